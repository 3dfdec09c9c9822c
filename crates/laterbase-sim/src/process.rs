//! A storage that ends like a process that is killed: nothing it asks for is done any more, and its
//! locks are gone, while the disk and what the system holds of it go on.

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use laterbase_log::storage::{
    FaultyStorage, Fingerprint, LockMode, OpenMode, Storage, StorageError, StorageFile,
    StorageLock, StorageOp,
};

/// One process's view of the disk.
#[derive(Debug, Clone)]
pub(crate) struct Process {
    disk: FaultyStorage,
    killed: Arc<AtomicBool>,
}

impl Process {
    pub(crate) fn on(disk: &FaultyStorage) -> Self {
        Self { disk: disk.clone(), killed: Arc::default() }
    }

    /// From now on whatever is asked fails and changes nothing.
    pub(crate) fn kill(&self) {
        self.killed.store(true, Ordering::SeqCst);
    }

    fn alive(&self, op: StorageOp, path: &str) -> Result<&FaultyStorage, StorageError> {
        if self.killed.load(Ordering::SeqCst) {
            return Err(StorageError::new(op, path, io::Error::other("the process was killed")));
        }
        Ok(&self.disk)
    }
}

impl Storage for Process {
    fn open(&self, path: &str, mode: OpenMode) -> Result<Arc<dyn StorageFile>, StorageError> {
        let file = self.alive(StorageOp::Open, path)?.open(path, mode)?;
        Ok(Arc::new(ProcessFile { process: self.clone(), path: path.to_owned(), file }))
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), StorageError> {
        self.alive(StorageOp::Rename, from)?.rename(from, to)
    }

    fn remove(&self, path: &str) -> Result<(), StorageError> {
        self.alive(StorageOp::Remove, path)?.remove(path)
    }

    fn list(&self, dir: &str) -> Result<Vec<String>, StorageError> {
        self.alive(StorageOp::List, dir)?.list(dir)
    }

    fn create_dir(&self, path: &str) -> Result<(), StorageError> {
        self.alive(StorageOp::CreateDir, path)?.create_dir(path)
    }

    fn remove_dir(&self, path: &str) -> Result<(), StorageError> {
        self.alive(StorageOp::Remove, path)?.remove_dir(path)
    }

    fn sync_dir(&self, path: &str) -> Result<(), StorageError> {
        self.alive(StorageOp::SyncDir, path)?.sync_dir(path)
    }

    fn exists(&self, path: &str) -> Result<bool, StorageError> {
        self.alive(StorageOp::Inspect, path)?.exists(path)
    }

    fn try_lock(
        &self,
        path: &str,
        mode: LockMode,
    ) -> Result<Option<Box<dyn StorageLock>>, StorageError> {
        self.alive(StorageOp::Lock, path)?.try_lock(path, mode)
    }

    fn fingerprint(&self, path: &str) -> Result<Fingerprint, StorageError> {
        self.alive(StorageOp::Inspect, path)?.fingerprint(path)
    }
}

#[derive(Debug)]
struct ProcessFile {
    process: Process,
    path: String,
    file: Arc<dyn StorageFile>,
}

impl ProcessFile {
    fn alive(&self, op: StorageOp) -> Result<&dyn StorageFile, StorageError> {
        self.process.alive(op, &self.path)?;
        Ok(self.file.as_ref())
    }
}

impl StorageFile for ProcessFile {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, StorageError> {
        self.alive(StorageOp::Read)?.read_at(offset, buf)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        self.alive(StorageOp::Write)?.write_at(offset, bytes)
    }

    fn write_vectored_at(&self, offset: u64, slices: &[IoSlice<'_>]) -> Result<(), StorageError> {
        self.alive(StorageOp::Write)?.write_vectored_at(offset, slices)
    }

    fn len(&self) -> Result<u64, StorageError> {
        self.alive(StorageOp::Len)?.len()
    }

    fn set_len(&self, len: u64) -> Result<(), StorageError> {
        self.alive(StorageOp::SetLen)?.set_len(len)
    }

    fn sync(&self) -> Result<(), StorageError> {
        self.alive(StorageOp::Sync)?.sync()
    }

    fn block_bytes(&self) -> usize {
        self.file.block_bytes()
    }
}
