//! The storage port on a simulated [`Disk`]: resolves paths, injects faults, counts and traces.
//!
//! One mutex guards everything, so that operations have one order, and with a single-threaded caller
//! the same order for the same seed. An operation is first decided on (is the power on? what does
//! the plan say?), then done to the disk.

use super::super::buffer::check_alignment;
use super::super::error::{StorageError, StorageOp};
use super::super::path;
use super::super::port::{
    Access, Fingerprint, LockMode, OpenMode, Storage, StorageFile, StorageLock,
};
use super::Random;
use super::disk::{Disk, InodeNumber, Survival};
use super::plan::{Fault, FaultPlan, PlannedOp};
use super::trace::{OpCounts, TraceEntry};
use std::collections::BTreeMap;
use std::io::{self, ErrorKind, IoSlice};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Why an operation failed that a simulated disk was told to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum InjectedError {
    /// An input/output error by plan.
    #[error("injected input/output error")]
    Fault,
    /// The power is cut; nothing works any more.
    #[error("the simulated power is cut")]
    PowerCut,
}

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
    shared: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    disk: Disk,
    random: Random,
    plan: FaultPlan,
    is_off: bool,
    block_bytes: usize,
    counts: OpCounts,
    trace: Option<Vec<TraceEntry>>,
    /// By inode: -1 for one exclusive holder, otherwise how many share it.
    locks: BTreeMap<InodeNumber, i64>,
    /// What the fingerprint says of the machine and the disk.
    machine: String,
    copies: u64,
}

/// What is asked for, before it is decided on.
#[derive(Clone, Copy)]
struct Request<'a> {
    op: StorageOp,
    path: &'a str,
    offset: u64,
    bytes: u64,
    mutates: bool,
}

impl FaultyStorage {
    /// An empty disk without faults; `seed` decides whatever is left to chance.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::with_disk(Disk::new(), Random::new(seed), 1, "simulated".to_owned())
    }

    /// The same disk; files opened for direct I/O refuse what is not aligned to `block_bytes`.
    #[must_use]
    pub fn with_block_bytes(self, block_bytes: usize) -> Self {
        self.state().block_bytes = block_bytes;
        self
    }

    /// From now on operations fail by this plan, and no longer by the one before.
    pub fn set_plan(&self, plan: FaultPlan) {
        self.state().plan = plan;
    }

    /// Limits what all files together may hold, in bytes; `None` for no limit.
    pub fn set_capacity(&self, capacity_bytes: Option<u64>) {
        self.state().disk.set_capacity(capacity_bytes);
    }

    /// What the files hold together, in bytes.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        self.state().disk.used_bytes()
    }

    /// How often the storage was asked for what.
    #[must_use]
    pub fn counts(&self) -> OpCounts {
        self.state().counts
    }

    /// Begins to record every operation, or starts over.
    pub fn start_trace(&self) {
        self.state().trace = Some(Vec::new());
    }

    /// What was recorded since the trace was started; nothing without one.
    #[must_use]
    pub fn trace(&self) -> Vec<TraceEntry> {
        self.state().trace.clone().unwrap_or_default()
    }

    /// Is the power cut?
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.state().is_off
    }

    /// Cuts the power: whatever is asked from now on fails.
    pub fn power_off(&self) {
        self.state().is_off = true;
    }

    /// Cuts the power and returns the disk as it is found afterwards, without faults and with new
    /// counts.
    #[must_use]
    pub fn crash(&self, survival: Survival) -> Self {
        let mut state = self.state();
        state.is_off = true;
        let mut random = state.random.fork();
        state.found(survival, &mut random)
    }

    /// The disk as a power cut at this moment would leave it; this one goes on.
    #[must_use]
    pub fn survivor(&self, survival: Survival, random: &mut Random) -> Self {
        self.state().found(survival, random)
    }

    /// A copy of all that is seen onto the machine called `machine`, which may be this one: equal
    /// bytes, all durable, other [fingerprints](Storage::fingerprint), no locks, no faults.
    #[must_use]
    pub fn copied_to(&self, machine: &str) -> Self {
        let mut state = self.state();
        state.copies += 1;
        let machine = format!("{machine}, copy {} of {}", state.copies, state.machine);
        let mut random = state.random.fork();
        let disk = state.disk.settled();
        let copy = Self::with_disk(disk, random.fork(), state.block_bytes, machine);
        drop(state);
        copy
    }

    /// Flips one bit of a file, on the disk and in what is seen of it.
    ///
    /// # Errors
    /// A missing file.
    pub fn flip_bit(&self, path: &str, offset: u64, bit: u32) -> Result<(), StorageError> {
        let op = StorageOp::Inspect;
        let mut state = self.state();
        let inode = state.resolve(path).map_err(|kind| fail(op, path, kind))?;
        state.disk.flip_bit(inode, offset, bit).map_err(|kind| fail(op, path, kind))
    }

    /// Flips one bit of a file at random, and says of which byte; `None` if the file is empty.
    ///
    /// # Errors
    /// A missing file.
    pub fn flip_random_bit(&self, path: &str) -> Result<Option<u64>, StorageError> {
        let (offset, bit) = {
            let mut state = self.state();
            let known = state.resolve(path).and_then(|inode| state.disk.attributes(inode));
            let len = known.map_err(|kind| fail(StorageOp::Inspect, path, kind))?.len;
            if len == 0 {
                return Ok(None);
            }
            (state.random.below(len), u32::try_from(state.random.below(8)).unwrap_or(0))
        };
        self.flip_bit(path, offset, bit)?;
        Ok(Some(offset))
    }

    fn with_disk(disk: Disk, random: Random, block_bytes: usize, machine: String) -> Self {
        let state = State {
            disk,
            random,
            plan: FaultPlan::default(),
            is_off: false,
            block_bytes,
            counts: OpCounts::default(),
            trace: None,
            locks: BTreeMap::new(),
            machine,
            copies: 0,
        };
        Self { shared: Arc::new(Mutex::new(state)) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Decides on a request, and does it unless the plan says otherwise.
    ///
    /// `act` does the operation; where it is told of a fault, it is to do what that leaves undone.
    fn run<T>(
        &self,
        request: Request<'_>,
        act: impl FnOnce(&mut State, Option<Fault>) -> Result<T, ErrorKind>,
    ) -> Result<T, StorageError> {
        let Request { op, path, .. } = request;
        path::check(op, path)?;
        let mut state = self.state();
        let mut fault = state.decide(request)?;
        if let Some(Fault::Delay(time)) = fault {
            drop(state);
            std::thread::sleep(time);
            state = self.state();
            fault = None;
        }
        let outcome = act(&mut state, fault);
        match fault {
            Some(Fault::Fail) => Err(injected(op, path, InjectedError::Fault)),
            Some(Fault::Full) => Err(fail(op, path, ErrorKind::StorageFull)),
            Some(Fault::PowerCut) => {
                state.is_off = true;
                Err(injected(op, path, InjectedError::PowerCut))
            }
            None | Some(Fault::Lie | Fault::Delay(_)) => {
                outcome.map_err(|kind| fail(op, path, kind))
            }
        }
    }

    /// As [`run`](Self::run), for an operation that is done or not, but never in part.
    fn run_whole<T>(
        &self,
        request: Request<'_>,
        act: impl FnOnce(&mut State) -> Result<T, ErrorKind>,
    ) -> Result<T, StorageError> {
        self.run(
            request,
            |state, fault| {
                if state.is_skipped(fault) { Err(ErrorKind::Other) } else { act(state) }
            },
        )
    }
}

impl Storage for FaultyStorage {
    fn open(&self, path: &str, mode: OpenMode) -> Result<Arc<dyn StorageFile>, StorageError> {
        let creates = mode.access == Access::Create;
        let request = Request { mutates: creates, ..look(StorageOp::Open, path) };
        let (inode, block_bytes) = self.run_whole(request, |state| {
            let inode = if creates { state.create(path)? } else { state.file(path)? };
            Ok((inode, if mode.direct { state.block_bytes } else { 1 }))
        })?;
        Ok(Arc::new(OpenFile {
            storage: self.clone(),
            inode,
            path: path.to_owned(),
            writable: mode.access != Access::Read,
            block_bytes,
        }))
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), StorageError> {
        path::check(StorageOp::Rename, to)?;
        self.run_whole(change(StorageOp::Rename, from), |state| {
            state.file(from)?;
            let (from_dir, from) = state.parent(from)?;
            let (to_dir, to) = state.parent(to)?;
            state.disk.rename((from_dir, from), (to_dir, to))
        })
    }

    fn remove(&self, path: &str) -> Result<(), StorageError> {
        self.run_whole(change(StorageOp::Remove, path), |state| {
            let (dir, name) = state.parent(path)?;
            state.disk.remove_file(dir, name)
        })
    }

    fn list(&self, dir: &str) -> Result<Vec<String>, StorageError> {
        self.run_whole(look(StorageOp::List, dir), |state| {
            let names = state.disk.list(state.resolve(dir)?)?;
            Ok(names.map(|(name, _)| name.to_owned()).collect())
        })
    }

    fn create_dir(&self, path: &str) -> Result<(), StorageError> {
        self.run_whole(change(StorageOp::CreateDir, path), |state| {
            let exists = state.resolve(path).and_then(|inode| state.disk.attributes(inode));
            if exists.is_ok_and(|known| known.is_dir) {
                return Ok(());
            }
            let (dir, name) = state.parent(path)?;
            state.disk.create_dir(dir, name).map(|_| ())
        })
    }

    fn remove_dir(&self, path: &str) -> Result<(), StorageError> {
        self.run_whole(change(StorageOp::Remove, path), |state| {
            let (dir, name) = state.parent(path)?;
            state.disk.remove_dir(dir, name)
        })
    }

    fn sync_dir(&self, path: &str) -> Result<(), StorageError> {
        self.run(change(StorageOp::SyncDir, path), |state, fault| {
            let dir = state.resolve(path)?;
            match fault {
                Some(Fault::Fail | Fault::Full) => state.disk.fail_sync_dir(dir, &mut state.random),
                Some(Fault::Lie) => Ok(()),
                Some(Fault::PowerCut) if state.random.flip() => Ok(()),
                None | Some(Fault::PowerCut | Fault::Delay(_)) => state.disk.sync_dir(dir),
            }
        })
    }

    fn exists(&self, path: &str) -> Result<bool, StorageError> {
        self.run_whole(look(StorageOp::Inspect, path), |state| match state.resolve(path) {
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
        let mutates = self.state().resolve(path).is_err();
        let request = Request { mutates, ..look(StorageOp::Lock, path) };
        let taken = self.run_whole(request, |state| {
            let inode = match state.file(path) {
                Err(ErrorKind::NotFound) => state.create(path)?,
                outcome => outcome?,
            };
            Ok(state.take_lock(inode, mode).then_some(inode))
        })?;
        let storage = self.clone();
        Ok(taken.map(|inode| Box::new(HeldLock { storage, inode, mode }) as Box<dyn StorageLock>))
    }

    fn fingerprint(&self, path: &str) -> Result<Fingerprint, StorageError> {
        self.run_whole(look(StorageOp::Inspect, path), |state| {
            let inode = state.resolve(path)?;
            Ok(Fingerprint::new(format!("machine={} inode={}", state.machine, inode.0)))
        })
    }
}

impl State {
    fn decide(&mut self, request: Request<'_>) -> Result<Option<Fault>, StorageError> {
        let Request { op, path, offset, bytes, mutates } = request;
        if self.is_off {
            return Err(injected(op, path, InjectedError::PowerCut));
        }
        self.counts.count(op, bytes, mutates);
        let fault = self.plan.decide(PlannedOp { op, mutates }, &mut self.random);
        if let Some(trace) = &mut self.trace {
            let (number, path) = (self.counts.operations, path.to_owned());
            trace.push(TraceEntry { number, op, path, offset, bytes, fault });
        }
        Ok(fault)
    }

    /// Does this fault keep an operation that cannot be done in part from being done?
    fn is_skipped(&mut self, fault: Option<Fault>) -> bool {
        match fault {
            Some(Fault::Fail | Fault::Full) => true,
            Some(Fault::PowerCut) => self.random.flip(),
            None | Some(Fault::Lie | Fault::Delay(_)) => false,
        }
    }

    fn found(&self, survival: Survival, random: &mut Random) -> FaultyStorage {
        let disk = self.disk.survivor(survival, random);
        let machine = self.machine.clone();
        FaultyStorage::with_disk(disk, random.fork(), self.block_bytes, machine)
    }

    fn resolve(&self, path: &str) -> Result<InodeNumber, ErrorKind> {
        let components = path.split('/').filter(|component| !component.is_empty());
        let mut inode = InodeNumber::ROOT;
        for component in components {
            inode = self.disk.lookup(inode, component)?;
        }
        Ok(inode)
    }

    fn parent<'a>(&self, path: &'a str) -> Result<(InodeNumber, &'a str), ErrorKind> {
        let (dir, name) = path::split(path).ok_or(ErrorKind::IsADirectory)?;
        Ok((self.resolve(dir)?, name))
    }

    fn file(&self, path: &str) -> Result<InodeNumber, ErrorKind> {
        let inode = self.resolve(path)?;
        let is_dir = self.disk.attributes(inode)?.is_dir;
        if is_dir { Err(ErrorKind::IsADirectory) } else { Ok(inode) }
    }

    fn create(&mut self, path: &str) -> Result<InodeNumber, ErrorKind> {
        let (dir, name) = path::split(path).ok_or(ErrorKind::AlreadyExists)?;
        let dir = self.resolve(dir)?;
        self.disk.create_file(dir, name)
    }

    fn take_lock(&mut self, inode: InodeNumber, mode: LockMode) -> bool {
        let holders = self.locks.entry(inode).or_insert(0);
        let taken = match mode {
            LockMode::Shared if *holders >= 0 => *holders + 1,
            LockMode::Exclusive if *holders == 0 => -1,
            LockMode::Shared | LockMode::Exclusive => return false,
        };
        *holders = taken;
        true
    }

    /// Writes the slices until the disk is full, and not more than `limit` bytes.
    fn write(
        &mut self,
        inode: InodeNumber,
        offset: u64,
        slices: &[IoSlice<'_>],
        limit: usize,
    ) -> Result<(), ErrorKind> {
        let mut at = offset;
        let mut left = limit;
        for slice in slices {
            let bytes = slice.get(..left.min(slice.len())).unwrap_or_default();
            let count = self.disk.write(inode, at, bytes)?;
            if count < bytes.len() {
                return Err(ErrorKind::StorageFull);
            }
            at += count as u64;
            left -= count;
        }
        Ok(())
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
        let bytes = buf.len() as u64;
        let request = Request { offset, bytes, ..look(StorageOp::Read, &self.path) };
        self.storage.run_whole(request, |state| state.disk.read(self.inode, offset, buf))
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        self.write_vectored_at(offset, &[IoSlice::new(bytes)])
    }

    fn write_vectored_at(&self, offset: u64, slices: &[IoSlice<'_>]) -> Result<(), StorageError> {
        self.check_writable(StorageOp::Write)?;
        for slice in slices {
            self.check(StorageOp::Write, offset, slice)?;
        }
        let total: usize = slices.iter().map(|slice| slice.len()).sum();
        let request =
            Request { offset, bytes: total as u64, ..change(StorageOp::Write, &self.path) };
        self.storage.run(request, |state, fault| {
            let limit = match fault {
                Some(Fault::Fail | Fault::Full) => state.random.index(total + 1),
                None | Some(Fault::Lie | Fault::PowerCut | Fault::Delay(_)) => total,
            };
            state.write(self.inode, offset, slices, limit)
        })
    }

    fn len(&self) -> Result<u64, StorageError> {
        self.storage.run_whole(look(StorageOp::Len, &self.path), |state| {
            Ok(state.disk.attributes(self.inode)?.len)
        })
    }

    fn set_len(&self, len: u64) -> Result<(), StorageError> {
        self.check_writable(StorageOp::SetLen)?;
        let request = Request { offset: len, ..change(StorageOp::SetLen, &self.path) };
        self.storage.run_whole(request, |state| state.disk.set_len(self.inode, len))
    }

    fn sync(&self) -> Result<(), StorageError> {
        self.storage.run(change(StorageOp::Sync, &self.path), |state, fault| match fault {
            Some(Fault::Fail | Fault::Full) => {
                state.disk.fail_sync_file(self.inode, &mut state.random)
            }
            Some(Fault::Lie) => Ok(()),
            Some(Fault::PowerCut) if state.random.flip() => Ok(()),
            None | Some(Fault::PowerCut | Fault::Delay(_)) => state.disk.sync_file(self.inode),
        })
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

impl Drop for HeldLock {
    fn drop(&mut self) {
        if let Some(holders) = self.storage.state().locks.get_mut(&self.inode) {
            *holders += match self.mode {
                LockMode::Shared => -1,
                LockMode::Exclusive => 1,
            };
        }
    }
}

impl StorageLock for HeldLock {}

fn look(op: StorageOp, path: &str) -> Request<'_> {
    Request { op, path, offset: 0, bytes: 0, mutates: false }
}

fn change(op: StorageOp, path: &str) -> Request<'_> {
    Request { mutates: true, ..look(op, path) }
}

fn fail(op: StorageOp, path: &str, kind: ErrorKind) -> StorageError {
    StorageError::new(op, path, io::Error::from(kind))
}

fn injected(op: StorageOp, path: &str, error: InjectedError) -> StorageError {
    StorageError::new(op, path, io::Error::other(error))
}
