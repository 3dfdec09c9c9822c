//! Storage in memory: for databases that are never meant to last, and for tests.
//!
//! Everything written is "durable" for as long as a handle lives; what a power cut does is
//! [`FaultyStorage`](super::FaultyStorage)'s business. Clones share the files;
//! [`copied_to`](MemoryStorage::copied_to) copies them, as copying a directory would.
//!
//! Invariant: each entry's parent directory exists; the root always does.

use super::buffer::check_alignment;
use super::error::{StorageError, StorageOp};
use super::path;
use super::port::{Access, Fingerprint, LockMode, OpenMode, Storage, StorageFile, StorageLock};
use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

/// Files and directories in memory, shared by all clones.
#[derive(Clone, Debug)]
pub struct MemoryStorage {
    tree: Arc<Mutex<Tree>>,
    block_bytes: usize,
}

impl MemoryStorage {
    /// An empty storage that needs no alignment.
    #[must_use]
    pub fn new() -> Self {
        Self::with_block_bytes(1)
    }

    /// An empty storage whose files, opened for direct I/O, refuse what is not aligned to
    /// `block_bytes`, as a disk does; 1 for no alignment.
    #[must_use]
    pub fn with_block_bytes(block_bytes: usize) -> Self {
        let tree = Tree::new("memory".to_owned());
        Self { tree: Arc::new(Mutex::new(tree)), block_bytes }
    }

    /// A copy of all files on the machine called `machine`, which may be this one: equal bytes,
    /// other [fingerprints](Storage::fingerprint), no locks.
    #[must_use]
    pub fn copied_to(&self, machine: &str) -> Self {
        let mut tree = self.tree();
        tree.copies += 1;
        let machine = format!("{machine}, copy {} of {}", tree.copies, tree.machine);
        let mut copy = Tree::new(machine);
        for (path, node) in &tree.entries {
            let node = match node {
                Node::Dir => Node::Dir,
                Node::File(file) => Node::File(copy.new_file(read(&file.bytes).clone())),
            };
            copy.entries.insert(path.clone(), node);
        }
        Self { tree: Arc::new(Mutex::new(copy)), block_bytes: self.block_bytes }
    }

    fn tree(&self) -> MutexGuard<'_, Tree> {
        lock(&self.tree)
    }
}

impl Default for MemoryStorage {
    fn default() -> Self {
        Self::new()
    }
}

impl Storage for MemoryStorage {
    fn open(&self, path: &str, mode: OpenMode) -> Result<Arc<dyn StorageFile>, StorageError> {
        path::check(StorageOp::Open, path)?;
        let mut tree = self.tree();
        let file = match mode.access {
            Access::Read | Access::ReadWrite => tree.file(StorageOp::Open, path)?,
            Access::Create => tree.create(StorageOp::Open, path)?,
        };
        Ok(Arc::new(OpenFile {
            file,
            path: path.to_owned(),
            writable: mode.access != Access::Read,
            block_bytes: if mode.direct { self.block_bytes } else { 1 },
        }))
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), StorageError> {
        path::check(StorageOp::Rename, from)?;
        path::check(StorageOp::Rename, to)?;
        let mut tree = self.tree();
        let file = tree.file(StorageOp::Rename, from)?;
        tree.check_parent(StorageOp::Rename, to)?;
        if tree.is_dir(to) {
            return fail(StorageOp::Rename, to, io::ErrorKind::IsADirectory);
        }
        tree.entries.remove(from);
        tree.entries.insert(to.to_owned(), Node::File(file));
        Ok(())
    }

    fn remove(&self, path: &str) -> Result<(), StorageError> {
        path::check(StorageOp::Remove, path)?;
        let mut tree = self.tree();
        tree.file(StorageOp::Remove, path)?;
        tree.entries.remove(path);
        Ok(())
    }

    fn list(&self, dir: &str) -> Result<Vec<String>, StorageError> {
        path::check(StorageOp::List, dir)?;
        self.tree().list(StorageOp::List, dir)
    }

    fn create_dir(&self, path: &str) -> Result<(), StorageError> {
        path::check(StorageOp::CreateDir, path)?;
        let mut tree = self.tree();
        if tree.is_dir(path) {
            return Ok(());
        }
        tree.check_parent(StorageOp::CreateDir, path)?;
        if tree.entries.contains_key(path) {
            return fail(StorageOp::CreateDir, path, io::ErrorKind::AlreadyExists);
        }
        tree.entries.insert(path.to_owned(), Node::Dir);
        Ok(())
    }

    fn remove_dir(&self, path: &str) -> Result<(), StorageError> {
        path::check(StorageOp::Remove, path)?;
        let mut tree = self.tree();
        if !tree.list(StorageOp::Remove, path)?.is_empty() {
            return fail(StorageOp::Remove, path, io::ErrorKind::DirectoryNotEmpty);
        }
        tree.entries.remove(path);
        Ok(())
    }

    fn sync_dir(&self, path: &str) -> Result<(), StorageError> {
        path::check(StorageOp::SyncDir, path)?;
        self.tree().check_dir(StorageOp::SyncDir, path)
    }

    fn exists(&self, path: &str) -> Result<bool, StorageError> {
        path::check(StorageOp::Inspect, path)?;
        Ok(path.is_empty() || self.tree().entries.contains_key(path))
    }

    fn try_lock(
        &self,
        path: &str,
        mode: LockMode,
    ) -> Result<Option<Box<dyn StorageLock>>, StorageError> {
        path::check(StorageOp::Lock, path)?;
        let mut tree = self.tree();
        let file = match tree.file(StorageOp::Lock, path) {
            Err(error) if error.is_not_found() => tree.create(StorageOp::Lock, path)?,
            outcome => outcome?,
        };
        Ok(HeldLock::take(&file, mode).map(|held| Box::new(held) as Box<dyn StorageLock>))
    }

    fn fingerprint(&self, path: &str) -> Result<Fingerprint, StorageError> {
        path::check(StorageOp::Inspect, path)?;
        let tree = self.tree();
        let file = tree.file(StorageOp::Inspect, path)?;
        Ok(Fingerprint::new(format!("machine={} inode={}", tree.machine, file.inode)))
    }
}

#[derive(Debug)]
struct Tree {
    machine: String,
    entries: BTreeMap<String, Node>,
    /// How many files were ever born here.
    born: u64,
    /// How many copies of this tree were taken.
    copies: u64,
}

#[derive(Debug)]
enum Node {
    Dir,
    File(Arc<MemoryFile>),
}

#[derive(Debug)]
struct MemoryFile {
    inode: u64,
    bytes: RwLock<Vec<u8>>,
    /// -1 for one exclusive holder, otherwise how many share it.
    holders: Mutex<i64>,
}

impl Tree {
    fn new(machine: String) -> Self {
        Self { machine, entries: BTreeMap::new(), born: 0, copies: 0 }
    }

    fn new_file(&mut self, bytes: Vec<u8>) -> Arc<MemoryFile> {
        self.born += 1;
        let bytes = RwLock::new(bytes);
        Arc::new(MemoryFile { inode: self.born, bytes, holders: Mutex::new(0) })
    }

    fn is_dir(&self, path: &str) -> bool {
        path.is_empty() || matches!(self.entries.get(path), Some(Node::Dir))
    }

    fn check_dir(&self, op: StorageOp, path: &str) -> Result<(), StorageError> {
        if self.is_dir(path) {
            return Ok(());
        }
        let exists = self.entries.contains_key(path);
        let kind = if exists { io::ErrorKind::NotADirectory } else { io::ErrorKind::NotFound };
        fail(op, path, kind)
    }

    fn check_parent(&self, op: StorageOp, path: &str) -> Result<(), StorageError> {
        let parent = path::split(path).map_or("", |(parent, _)| parent);
        self.check_dir(op, parent)
    }

    fn file(&self, op: StorageOp, path: &str) -> Result<Arc<MemoryFile>, StorageError> {
        match self.entries.get(path) {
            Some(Node::File(file)) => Ok(Arc::clone(file)),
            Some(Node::Dir) => fail(op, path, io::ErrorKind::IsADirectory),
            None if path.is_empty() => fail(op, path, io::ErrorKind::IsADirectory),
            None => fail(op, path, io::ErrorKind::NotFound),
        }
    }

    fn create(&mut self, op: StorageOp, path: &str) -> Result<Arc<MemoryFile>, StorageError> {
        self.check_parent(op, path)?;
        if path.is_empty() || self.entries.contains_key(path) {
            return fail(op, path, io::ErrorKind::AlreadyExists);
        }
        let file = self.new_file(Vec::new());
        self.entries.insert(path.to_owned(), Node::File(Arc::clone(&file)));
        Ok(file)
    }

    fn list(&self, op: StorageOp, dir: &str) -> Result<Vec<String>, StorageError> {
        self.check_dir(op, dir)?;
        let inside = |path: &String| {
            path::split(path).filter(|(parent, _)| *parent == dir).map(|(_, name)| name.to_owned())
        };
        let mut names: Vec<String> = self.entries.keys().filter_map(inside).collect();
        names.sort_unstable();
        Ok(names)
    }
}

#[derive(Debug)]
struct OpenFile {
    file: Arc<MemoryFile>,
    path: String,
    writable: bool,
    block_bytes: usize,
}

impl OpenFile {
    fn check(&self, op: StorageOp, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        check_alignment(op, &self.path, offset, bytes, self.block_bytes)
    }

    fn check_writable(&self, op: StorageOp) -> Result<(), StorageError> {
        if self.writable { Ok(()) } else { fail(op, &self.path, io::ErrorKind::PermissionDenied) }
    }
}

impl StorageFile for OpenFile {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, StorageError> {
        self.check(StorageOp::Read, offset, buf)?;
        Ok(copy_from(&read(&self.file.bytes), offset, buf))
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        self.write_vectored_at(offset, &[IoSlice::new(bytes)])
    }

    fn write_vectored_at(&self, offset: u64, slices: &[IoSlice<'_>]) -> Result<(), StorageError> {
        self.check_writable(StorageOp::Write)?;
        for slice in slices {
            self.check(StorageOp::Write, offset, slice)?;
        }
        let mut content = self.file.bytes.write().unwrap_or_else(PoisonError::into_inner);
        let mut at = in_memory(StorageOp::Write, &self.path, offset)?;
        for slice in slices {
            copy_to(&mut content, at, slice);
            at += slice.len();
        }
        Ok(())
    }

    fn len(&self) -> Result<u64, StorageError> {
        Ok(read(&self.file.bytes).len() as u64)
    }

    fn set_len(&self, len: u64) -> Result<(), StorageError> {
        self.check_writable(StorageOp::SetLen)?;
        let len = in_memory(StorageOp::SetLen, &self.path, len)?;
        self.file.bytes.write().unwrap_or_else(PoisonError::into_inner).resize(len, 0);
        Ok(())
    }

    fn sync(&self) -> Result<(), StorageError> {
        Ok(())
    }

    fn block_bytes(&self) -> usize {
        self.block_bytes
    }
}

#[derive(Debug)]
struct HeldLock {
    file: Arc<MemoryFile>,
    mode: LockMode,
}

impl HeldLock {
    fn take(file: &Arc<MemoryFile>, mode: LockMode) -> Option<Self> {
        let mut holders = lock(&file.holders);
        *holders = match mode {
            LockMode::Shared if *holders >= 0 => *holders + 1,
            LockMode::Exclusive if *holders == 0 => -1,
            LockMode::Shared | LockMode::Exclusive => return None,
        };
        Some(Self { file: Arc::clone(file), mode })
    }
}

impl Drop for HeldLock {
    fn drop(&mut self) {
        *lock(&self.file.holders) += match self.mode {
            LockMode::Shared => -1,
            LockMode::Exclusive => 1,
        };
    }
}

impl StorageLock for HeldLock {}

fn fail<T>(op: StorageOp, path: &str, kind: io::ErrorKind) -> Result<T, StorageError> {
    Err(StorageError::new(op, path, io::Error::from(kind)))
}

fn in_memory(op: StorageOp, path: &str, bytes: u64) -> Result<usize, StorageError> {
    usize::try_from(bytes)
        .map_err(|_| StorageError::new(op, path, io::Error::from(io::ErrorKind::FileTooLarge)))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read<T>(shared: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    shared.read().unwrap_or_else(PoisonError::into_inner)
}

/// Copies what `content` holds from `offset` on into `buf`; returns how much that was.
fn copy_from(content: &[u8], offset: u64, buf: &mut [u8]) -> usize {
    let rest = usize::try_from(offset).ok().and_then(|at| content.get(at..)).unwrap_or_default();
    let count = rest.len().min(buf.len());
    if let (Some(to), Some(from)) = (buf.get_mut(..count), rest.get(..count)) {
        to.copy_from_slice(from);
    }
    count
}

/// Writes `bytes` at `at`, extending `content` with zeroes as needed.
fn copy_to(content: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let end = at + bytes.len();
    if content.len() < end && !bytes.is_empty() {
        content.resize(end, 0);
    }
    if let Some(place) = content.get_mut(at..end) {
        place.copy_from_slice(bytes);
    }
}
