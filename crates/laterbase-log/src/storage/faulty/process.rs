//! A storage that ends like a process that is killed: nothing it asks for is done any more, and its
//! locks are gone, while the disk and what the system holds of it go on.

use super::super::error::{StorageError, StorageOp};
use super::super::port::{Fingerprint, LockMode, OpenMode, Storage, StorageFile, StorageLock};
use super::storage::FaultyStorage;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// One process's view of a [`FaultyStorage`]; clones are the same process.
///
/// ```
/// use laterbase_log::storage::{FaultyStorage, OpenMode, ProcessStorage, Storage, StorageFile};
///
/// let disk = FaultyStorage::new(7);
/// let process = ProcessStorage::on(&disk);
/// let file = process.open("a", OpenMode::CREATE)?;
/// file.write_at(0, b"seen")?;
/// process.kill();
/// assert!(file.write_at(4, b" no more").is_err());
/// assert_eq!(disk.open("a", OpenMode::READ)?.len()?, 4);
/// # Ok::<(), laterbase_log::storage::StorageError>(())
/// ```
#[derive(Debug, Clone)]
pub struct ProcessStorage {
    disk: FaultyStorage,
    killed: Arc<AtomicBool>,
}

impl ProcessStorage {
    /// A process that begins to use this disk.
    #[must_use]
    pub fn on(disk: &FaultyStorage) -> Self {
        Self { disk: disk.clone(), killed: Arc::default() }
    }

    /// From now on whatever is asked fails and changes nothing.
    pub fn kill(&self) {
        self.killed.store(true, Ordering::SeqCst);
    }

    fn alive(&self, op: StorageOp, path: &str) -> Result<&FaultyStorage, StorageError> {
        if self.killed.load(Ordering::SeqCst) {
            return Err(StorageError::new(op, path, io::Error::other("the process was killed")));
        }
        Ok(&self.disk)
    }
}

impl Storage for ProcessStorage {
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
    process: ProcessStorage,
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
