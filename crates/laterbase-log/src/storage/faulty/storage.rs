//! The storage port on a simulated disk: resolves paths, keeps locks, checks alignment.

use super::super::buffer::check_alignment;
use super::super::error::{StorageError, StorageOp};
use super::super::path;
use super::super::port::{
    Access, Fingerprint, LockMode, OpenMode, Storage, StorageFile, StorageLock,
};
use super::Random;
use super::disk::{Disk, InodeNumber, Survival};
use super::faulty_disk::{FaultyDisk, InjectedError, Request};
use super::plan::FaultPlan;
use super::trace::{OpCounts, TraceEntry};
use std::collections::BTreeMap;
use std::io::{ErrorKind, IoSlice};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

impl InjectedError {
    /// What was injected to cause this error, if anything was.
    #[must_use]
    pub fn behind(error: &StorageError) -> Option<Self> {
        error.source.get_ref()?.downcast_ref().copied()
    }
}

/// Storage on a simulated disk that fails on purpose; clones share the disk.
///
/// ```
/// use laterbase_log::storage::{FaultyStorage, OpenMode, Storage, StorageFile, Survival};
///
/// let storage = FaultyStorage::new(7);
/// let file = storage.open("a", OpenMode::CREATE)?;
/// storage.sync_dir("")?;
/// file.write_at(0, b"kept")?;
/// file.sync()?;
/// file.write_at(4, b" lost")?;
/// let found = storage.crash(Survival::Lost);
/// assert!(file.len().is_err(), "the power is cut");
/// assert_eq!(found.open("a", OpenMode::READ)?.len()?, 4);
/// # Ok::<(), laterbase_log::storage::StorageError>(())
/// ```
#[derive(Clone, Debug)]
pub struct FaultyStorage {
    machine: Arc<Machine>,
}

/// The disk, and what is lost with the machine's memory.
#[derive(Debug)]
struct Machine {
    disk: FaultyDisk,
    /// What the fingerprint says of the machine and the disk.
    name: String,
    block_bytes: usize,
    volatile: Mutex<Volatile>,
}

#[derive(Debug, Default)]
struct Volatile {
    /// By inode: -1 for one exclusive holder, otherwise how many share it.
    locks: BTreeMap<InodeNumber, i64>,
    /// How many copies of the disk were taken.
    copies: u64,
}

impl FaultyStorage {
    /// An empty disk without faults; `seed` decides whatever is left to chance.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::with_block_bytes(seed, 1)
    }

    /// The same, whose files, opened for direct I/O, refuse what is not aligned to `block_bytes`.
    #[must_use]
    pub fn with_block_bytes(seed: u64, block_bytes: usize) -> Self {
        let disk = FaultyDisk::new(Disk::new(), Random::new(seed));
        Self::on(disk, "simulated".to_owned(), block_bytes)
    }

    /// The disk, to look at and tamper with.
    #[must_use]
    pub fn disk(&self) -> &FaultyDisk {
        &self.machine.disk
    }

    /// From now on operations fail by this plan, and no longer by the one before.
    pub fn set_plan(&self, plan: FaultPlan) {
        self.disk().set_plan(plan);
    }

    /// Limits what all files together may hold, in bytes; `None` for no limit.
    pub fn set_capacity(&self, capacity_bytes: Option<u64>) {
        self.disk().inspect(|disk, _| disk.set_capacity(capacity_bytes));
    }

    /// What the files hold together, in bytes.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        self.disk().inspect(|disk, _| disk.used_bytes())
    }

    /// How often the storage was asked for what.
    #[must_use]
    pub fn counts(&self) -> OpCounts {
        self.disk().counts()
    }

    /// Begins to record every operation, or starts over.
    pub fn start_trace(&self) {
        self.disk().start_trace();
    }

    /// What was recorded since the trace was started; nothing without one.
    #[must_use]
    pub fn trace(&self) -> Vec<TraceEntry> {
        self.disk().trace()
    }

    /// Is the power cut?
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.disk().is_off()
    }

    /// Cuts the power: whatever is asked from now on fails.
    pub fn power_off(&self) {
        self.disk().power_off();
    }

    /// Cuts the power and returns the disk as it is found afterwards, without faults and with new
    /// counts.
    #[must_use]
    pub fn crash(&self, survival: Survival) -> Self {
        self.beside(self.disk().crash(survival))
    }

    /// The disk as a power cut at this moment would leave it; this one goes on.
    #[must_use]
    pub fn survivor(&self, survival: Survival, random: &mut Random) -> Self {
        self.beside(self.disk().survivor(survival, random))
    }

    /// A copy of all that is seen onto the machine called `machine`, which may be this one: equal
    /// bytes, all durable, other [fingerprints](Storage::fingerprint), no locks, no faults.
    #[must_use]
    pub fn copied_to(&self, machine: &str) -> Self {
        let copy = {
            let mut volatile = self.volatile();
            volatile.copies += 1;
            volatile.copies
        };
        let disk =
            self.disk().inspect(|disk, random| FaultyDisk::new(disk.settled(), random.fork()));
        let name = format!("{machine}, copy {copy} of {}", self.machine.name);
        Self::on(disk, name, self.machine.block_bytes)
    }

    /// Flips one bit of a file, on the disk and in what is seen of it.
    ///
    /// # Errors
    /// A missing file.
    pub fn flip_bit(&self, path: &str, offset: u64, bit: u32) -> Result<(), StorageError> {
        let flipped = self.disk().inspect(|disk, _| {
            let inode = resolve(disk, path)?;
            disk.flip_bit(inode, offset, bit)
        });
        flipped.map_err(|kind| fail(StorageOp::Inspect, path, kind))
    }

    /// Flips one bit of a file at random, and says of which byte; `None` if the file is empty.
    ///
    /// # Errors
    /// A missing file.
    pub fn flip_random_bit(&self, path: &str) -> Result<Option<u64>, StorageError> {
        let flipped = self.disk().inspect(|disk, random| {
            let inode = resolve(disk, path)?;
            let len = disk.attributes(inode)?.len;
            let offset = random.below(len);
            let bit = u32::try_from(random.below(8)).unwrap_or(0);
            disk.flip_bit(inode, offset, bit)?;
            Ok((len > 0).then_some(offset))
        });
        flipped.map_err(|kind| fail(StorageOp::Inspect, path, kind))
    }

    fn on(disk: FaultyDisk, name: String, block_bytes: usize) -> Self {
        let volatile = Mutex::new(Volatile::default());
        Self { machine: Arc::new(Machine { disk, name, block_bytes, volatile }) }
    }

    /// Another disk on a machine like this one.
    fn beside(&self, disk: FaultyDisk) -> Self {
        Self::on(disk, self.machine.name.clone(), self.machine.block_bytes)
    }

    fn volatile(&self) -> MutexGuard<'_, Volatile> {
        self.machine.volatile.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run<T>(
        &self,
        request: Request<'_>,
        act: impl FnOnce(&mut Disk) -> Result<T, ErrorKind>,
    ) -> Result<T, StorageError> {
        let Request { op, path, .. } = request;
        path::check(op, path)?;
        let outcome = self.disk().run(request, act);
        outcome.map_err(|error| StorageError::new(op, path, error.into()))
    }
}

impl Storage for FaultyStorage {
    fn open(&self, path: &str, mode: OpenMode) -> Result<Arc<dyn StorageFile>, StorageError> {
        let request = match mode.access {
            Access::Create => Request::change(StorageOp::Open, path),
            Access::Read | Access::ReadWrite => Request::look(StorageOp::Open, path),
        };
        let inode = self.run(request, |disk| match mode.access {
            Access::Create => create(disk, path),
            Access::Read | Access::ReadWrite => file(disk, path),
        })?;
        Ok(Arc::new(OpenFile {
            storage: self.clone(),
            inode,
            path: path.to_owned(),
            writable: mode.access != Access::Read,
            block_bytes: if mode.direct { self.machine.block_bytes } else { 1 },
        }))
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), StorageError> {
        path::check(StorageOp::Rename, to)?;
        self.run(Request::change(StorageOp::Rename, from), |disk| {
            file(disk, from)?;
            let (from, to) = (parent(disk, from)?, parent(disk, to)?);
            disk.rename(from, to)
        })
    }

    fn remove(&self, path: &str) -> Result<(), StorageError> {
        self.run(Request::change(StorageOp::Remove, path), |disk| {
            let (dir, name) = parent(disk, path)?;
            disk.remove_file(dir, name)
        })
    }

    fn list(&self, dir: &str) -> Result<Vec<String>, StorageError> {
        self.run(Request::look(StorageOp::List, dir), |disk| {
            let names = disk.list(resolve(disk, dir)?)?;
            Ok(names.map(|(name, _)| name.to_owned()).collect())
        })
    }

    fn create_dir(&self, path: &str) -> Result<(), StorageError> {
        self.run(Request::change(StorageOp::CreateDir, path), |disk| {
            let known = resolve(disk, path).and_then(|inode| disk.attributes(inode));
            if known.is_ok_and(|known| known.is_dir) {
                return Ok(());
            }
            let (dir, name) = parent(disk, path)?;
            disk.create_dir(dir, name).map(|_| ())
        })
    }

    fn remove_dir(&self, path: &str) -> Result<(), StorageError> {
        self.run(Request::change(StorageOp::Remove, path), |disk| {
            let (dir, name) = parent(disk, path)?;
            disk.remove_dir(dir, name)
        })
    }

    fn sync_dir(&self, path: &str) -> Result<(), StorageError> {
        let op = StorageOp::SyncDir;
        path::check(op, path)?;
        let dir = self.disk().inspect(|disk, _| resolve(disk, path));
        // While the power is off this fails for want of power, and not of the directory.
        let dir = if self.is_off() {
            InodeNumber::ROOT
        } else {
            dir.map_err(|kind| fail(op, path, kind))?
        };
        let outcome = self.disk().sync_dir(Request::change(op, path), dir);
        outcome.map_err(|error| StorageError::new(op, path, error.into()))
    }

    fn exists(&self, path: &str) -> Result<bool, StorageError> {
        self.run(Request::look(StorageOp::Inspect, path), |disk| match resolve(disk, path) {
            Ok(_) => Ok(true),
            Err(ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(false),
            Err(kind) => Err(kind),
        })
    }

    fn try_lock(
        &self,
        path: &str,
        mode: LockMode,
    ) -> Result<Option<Box<dyn StorageLock>>, StorageError> {
        let exists = self.disk().inspect(|disk, _| resolve(disk, path).is_ok());
        let request = Request { mutates: !exists, ..Request::look(StorageOp::Lock, path) };
        let inode = self.run(request, |disk| match file(disk, path) {
            Err(ErrorKind::NotFound) => create(disk, path),
            outcome => outcome,
        })?;
        Ok(HeldLock::take(self, inode, mode).map(|held| Box::new(held) as Box<dyn StorageLock>))
    }

    fn fingerprint(&self, path: &str) -> Result<Fingerprint, StorageError> {
        let request = Request::look(StorageOp::Inspect, path);
        let inode = self.run(request, |disk| resolve(disk, path))?;
        Ok(Fingerprint::new(format!("machine={} inode={}", self.machine.name, inode.0)))
    }
}

#[derive(Debug)]
struct OpenFile {
    storage: FaultyStorage,
    inode: InodeNumber,
    path: String,
    writable: bool,
    block_bytes: usize,
}

impl OpenFile {
    fn check(&self, op: StorageOp, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        check_alignment(op, &self.path, offset, bytes, self.block_bytes)
    }

    fn check_writable(&self, op: StorageOp) -> Result<(), StorageError> {
        if self.writable { Ok(()) } else { Err(fail(op, &self.path, ErrorKind::PermissionDenied)) }
    }
}

impl StorageFile for OpenFile {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, StorageError> {
        self.check(StorageOp::Read, offset, buf)?;
        let request = Request::look(StorageOp::Read, &self.path).at(offset, buf.len() as u64);
        self.storage.run(request, |disk| disk.read(self.inode, offset, buf))
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        self.write_vectored_at(offset, &[IoSlice::new(bytes)])
    }

    fn write_vectored_at(&self, offset: u64, slices: &[IoSlice<'_>]) -> Result<(), StorageError> {
        let op = StorageOp::Write;
        self.check_writable(op)?;
        for slice in slices {
            self.check(op, offset, slice)?;
        }
        let total: usize = slices.iter().map(|slice| slice.len()).sum();
        let request = Request::change(op, &self.path).at(offset, total as u64);
        let outcome = self.storage.disk().write(request, self.inode, slices);
        outcome.map_err(|error| StorageError::new(op, self.path.as_str(), error.into()))
    }

    fn len(&self) -> Result<u64, StorageError> {
        self.storage.run(Request::look(StorageOp::Len, &self.path), |disk| {
            Ok(disk.attributes(self.inode)?.len)
        })
    }

    fn set_len(&self, len: u64) -> Result<(), StorageError> {
        self.check_writable(StorageOp::SetLen)?;
        let request = Request::change(StorageOp::SetLen, &self.path).at(len, 0);
        self.storage.run(request, |disk| disk.set_len(self.inode, len))
    }

    fn sync(&self) -> Result<(), StorageError> {
        let op = StorageOp::Sync;
        let outcome = self.storage.disk().sync_file(Request::change(op, &self.path), self.inode);
        outcome.map_err(|error| StorageError::new(op, self.path.as_str(), error.into()))
    }

    fn block_bytes(&self) -> usize {
        self.block_bytes
    }
}

#[derive(Debug)]
struct HeldLock {
    storage: FaultyStorage,
    inode: InodeNumber,
    mode: LockMode,
}

impl HeldLock {
    fn take(storage: &FaultyStorage, inode: InodeNumber, mode: LockMode) -> Option<Self> {
        let mut volatile = storage.volatile();
        let holders = volatile.locks.entry(inode).or_insert(0);
        *holders = match mode {
            LockMode::Shared if *holders >= 0 => *holders + 1,
            LockMode::Exclusive if *holders == 0 => -1,
            LockMode::Shared | LockMode::Exclusive => return None,
        };
        Some(Self { storage: storage.clone(), inode, mode })
    }
}

impl Drop for HeldLock {
    fn drop(&mut self) {
        if let Some(holders) = self.storage.volatile().locks.get_mut(&self.inode) {
            *holders += match self.mode {
                LockMode::Shared => -1,
                LockMode::Exclusive => 1,
            };
        }
    }
}

impl StorageLock for HeldLock {}

fn fail(op: StorageOp, path: &str, kind: ErrorKind) -> StorageError {
    StorageError::new(op, path, kind.into())
}

fn resolve(disk: &Disk, path: &str) -> Result<InodeNumber, ErrorKind> {
    let mut components = path.split('/').filter(|component| !component.is_empty());
    components.try_fold(InodeNumber::ROOT, |inode, component| disk.lookup(inode, component))
}

fn parent<'a>(disk: &Disk, path: &'a str) -> Result<(InodeNumber, &'a str), ErrorKind> {
    let (dir, name) = path::split(path).ok_or(ErrorKind::IsADirectory)?;
    Ok((resolve(disk, dir)?, name))
}

fn file(disk: &Disk, path: &str) -> Result<InodeNumber, ErrorKind> {
    let inode = resolve(disk, path)?;
    if disk.attributes(inode)?.is_dir { Err(ErrorKind::IsADirectory) } else { Ok(inode) }
}

fn create(disk: &mut Disk, path: &str) -> Result<InodeNumber, ErrorKind> {
    let (dir, name) = path::split(path).ok_or(ErrorKind::AlreadyExists)?;
    let dir = resolve(disk, dir)?;
    disk.create_file(dir, name)
}
