//! A [`Disk`] whose operations fail by plan, are counted and traced, and end with a power cut.
//!
//! One mutex guards everything, so that operations have one order, and with a single-threaded
//! caller the same order for the same seed. An operation is first decided on (is the power on? what
//! does the plan say?), then delayed outside of the mutex if so decided, then done. What a fault
//! leaves of an operation is settled here, for the faulty storage and the power cut file system
//! alike.

use super::super::error::StorageOp;
use super::Random;
use super::disk::{Disk, InodeNumber, Survival};
use super::plan::{Fault, FaultPlan, PlannedOp};
use super::trace::{OpCounts, TraceEntry};
use std::io::{self, ErrorKind, IoSlice};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

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

/// Why an operation on a simulated disk failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DiskError {
    /// As any file system refuses it.
    #[error("{0}")]
    Refused(ErrorKind),
    /// Because of a fault.
    #[error("{0}")]
    Injected(InjectedError),
}

impl From<DiskError> for io::Error {
    fn from(error: DiskError) -> Self {
        match error {
            DiskError::Refused(kind) => Self::from(kind),
            DiskError::Injected(injected) => Self::other(injected),
        }
    }
}

/// What is asked of a simulated disk: for the plan, the counts and the trace.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The operation.
    pub op: StorageOp,
    /// What it is about, as the trace shall name it.
    pub path: &'a str,
    /// A read's or write's offset, or a new length; otherwise 0.
    pub offset: u64,
    /// A read's or write's length; otherwise 0.
    pub bytes: u64,
    /// Does it change something, or make it durable?
    pub mutates: bool,
}

impl<'a> Request<'a> {
    /// An operation that changes nothing.
    #[must_use]
    pub const fn look(op: StorageOp, path: &'a str) -> Self {
        Self { op, path, offset: 0, bytes: 0, mutates: false }
    }

    /// An operation that changes something, or makes it durable.
    #[must_use]
    pub const fn change(op: StorageOp, path: &'a str) -> Self {
        Self { mutates: true, ..Self::look(op, path) }
    }

    /// The same, about `bytes` bytes at `offset`.
    #[must_use]
    pub const fn at(self, offset: u64, bytes: u64) -> Self {
        Self { offset, bytes, ..self }
    }
}

/// A disk that fails by plan, until its power is cut.
#[derive(Debug)]
pub struct FaultyDisk {
    state: Mutex<State>,
    /// Something happened that somebody may wait for: a power cut, a hang, the end of hangs.
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    disk: Disk,
    random: Random,
    plan: FaultPlan,
    is_off: bool,
    /// How many operations hang now, and how often hangs were ended.
    hanging: u64,
    hangs_ended: u64,
    counts: OpCounts,
    trace: Option<Vec<TraceEntry>>,
}

impl FaultyDisk {
    /// This disk, without faults yet; `random` decides whatever is left to chance.
    #[must_use]
    pub fn new(disk: Disk, random: Random) -> Self {
        let state = State {
            disk,
            random,
            plan: FaultPlan::default(),
            is_off: false,
            hanging: 0,
            hangs_ended: 0,
            counts: OpCounts::default(),
            trace: None,
        };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// From now on operations fail by this plan, and no longer by the one before.
    pub fn set_plan(&self, plan: FaultPlan) {
        self.state().plan = plan;
    }

    /// How often the disk was asked for what.
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
        self.changed.notify_all();
    }

    /// Waits until the power is cut, by plan or by hand; `false` if it is still on after `timeout`.
    #[must_use]
    pub fn wait_for_power_cut(&self, timeout: Duration) -> bool {
        self.wait_for(timeout, |state| state.is_off)
    }

    /// Waits until an operation hangs; `false` if none does after `timeout`.
    #[must_use]
    pub fn wait_for_hang(&self, timeout: Duration) -> bool {
        self.wait_for(timeout, |state| state.hanging > 0)
    }

    /// Lets all operations that hang fail.
    pub fn end_hangs(&self) {
        self.state().hangs_ended += 1;
        self.changed.notify_all();
    }

    /// The disk as a power cut at this moment would leave it; this one goes on.
    #[must_use]
    pub fn survivor(&self, survival: Survival, random: &mut Random) -> Self {
        let disk = self.state().disk.survivor(survival, random);
        Self::new(disk, random.fork())
    }

    /// Cuts the power and returns the disk as it is found afterwards, without faults and with new
    /// counts.
    #[must_use]
    pub fn crash(&self, survival: Survival) -> Self {
        self.power_off();
        let mut random = self.state().random.fork();
        self.survivor(survival, &mut random)
    }

    /// Cuts the power, and switches it on again: this disk goes on with what has survived, without
    /// faults; counts and trace go on, too.
    pub fn restart(&self, survival: Survival) {
        self.power_off();
        let mut state = self.state();
        let mut random = state.random.fork();
        state.disk = state.disk.survivor(survival, &mut random);
        state.plan = FaultPlan::default();
        state.is_off = false;
    }

    /// Looks at the disk, or tampers with it, behind everybody's back: not counted, never failed,
    /// and whether the power is on or off.
    pub fn inspect<T>(&self, act: impl FnOnce(&mut Disk, &mut Random) -> T) -> T {
        let mut state = self.state();
        let State { disk, random, .. } = &mut *state;
        act(disk, random)
    }

    /// Does an operation that is done or not, but never in part.
    ///
    /// # Errors
    /// What `act` returns, or what was injected.
    pub fn run<T>(
        &self,
        request: Request<'_>,
        act: impl FnOnce(&mut Disk) -> Result<T, ErrorKind>,
    ) -> Result<T, DiskError> {
        self.run_in_part(request, |state, fault| {
            let is_skipped = match fault {
                Some(Harm::Fail | Harm::Full) => true,
                Some(Harm::PowerCut) => state.random.flip(),
                None | Some(Harm::Lie) => false,
            };
            if is_skipped { Err(ErrorKind::Other) } else { act(&mut state.disk) }
        })
    }

    /// Writes the slices, one behind the other; of a write that fails any part may have been done.
    ///
    /// # Errors
    /// A missing file, a full disk, or what was injected.
    pub fn write(
        &self,
        request: Request<'_>,
        inode: InodeNumber,
        slices: &[IoSlice<'_>],
    ) -> Result<(), DiskError> {
        let total: usize = slices.iter().map(|slice| slice.len()).sum();
        self.run_in_part(request, |state, fault| {
            let mut left = match fault {
                Some(Harm::Fail | Harm::Full) => state.random.index(total + 1),
                None | Some(Harm::Lie | Harm::PowerCut) => total,
            };
            let mut at = request.offset;
            for slice in slices {
                let bytes = slice.get(..left.min(slice.len())).unwrap_or_default();
                let count = state.disk.write(inode, at, bytes)?;
                if count < bytes.len() {
                    return Err(ErrorKind::StorageFull);
                }
                at += count as u64;
                left -= count;
            }
            Ok(())
        })
    }

    /// Syncs a file's data and length.
    ///
    /// # Errors
    /// A missing file, or what was injected.
    pub fn sync_file(&self, request: Request<'_>, inode: InodeNumber) -> Result<(), DiskError> {
        self.run_in_part(request, |State { disk, random, .. }, fault| match fault {
            Some(Harm::Fail | Harm::Full) => disk.fail_sync_file(inode, random),
            Some(Harm::Lie) => Ok(()),
            Some(Harm::PowerCut) if random.flip() => Ok(()),
            None | Some(Harm::PowerCut) => disk.sync_file(inode),
        })
    }

    /// Syncs a directory's entries.
    ///
    /// # Errors
    /// A missing directory, or what was injected.
    pub fn sync_dir(&self, request: Request<'_>, dir: InodeNumber) -> Result<(), DiskError> {
        self.run_in_part(request, |State { disk, random, .. }, fault| match fault {
            Some(Harm::Fail | Harm::Full) => disk.fail_sync_dir(dir, random),
            Some(Harm::Lie) => Ok(()),
            Some(Harm::PowerCut) if random.flip() => Ok(()),
            None | Some(Harm::PowerCut) => disk.sync_dir(dir),
        })
    }

    /// Decides on a request and has it done; `act` is told of harm, and does what that leaves.
    fn run_in_part<T>(
        &self,
        request: Request<'_>,
        act: impl FnOnce(&mut State, Option<Harm>) -> Result<T, ErrorKind>,
    ) -> Result<T, DiskError> {
        let mut state = self.state();
        let harm = match state.decide(request) {
            None => None,
            Some(Fault::Delay(time)) => {
                drop(state);
                std::thread::sleep(time);
                state = self.state();
                None
            }
            Some(Fault::Hang) => return Err(DiskError::Injected(self.hang(state))),
            Some(Fault::Fail) => Some(Harm::Fail),
            Some(Fault::Full) => Some(Harm::Full),
            Some(Fault::Lie) => Some(Harm::Lie),
            Some(Fault::PowerCut) => Some(Harm::PowerCut),
        };
        if state.is_off {
            return Err(DiskError::Injected(InjectedError::PowerCut));
        }
        let outcome = act(&mut state, harm);
        match harm {
            Some(Harm::Fail) => Err(DiskError::Injected(InjectedError::Fault)),
            Some(Harm::Full) => Err(DiskError::Refused(ErrorKind::StorageFull)),
            Some(Harm::PowerCut) => {
                state.is_off = true;
                self.changed.notify_all();
                Err(DiskError::Injected(InjectedError::PowerCut))
            }
            None | Some(Harm::Lie) => outcome.map_err(DiskError::Refused),
        }
    }

    /// Waits until hangs are ended or the power is cut.
    fn hang(&self, mut state: MutexGuard<'_, State>) -> InjectedError {
        let ended_before = state.hangs_ended;
        state.hanging += 1;
        self.changed.notify_all();
        let hangs = |state: &mut State| state.hangs_ended == ended_before && !state.is_off;
        let woken = self.changed.wait_while(state, hangs);
        let mut state = woken.unwrap_or_else(PoisonError::into_inner);
        state.hanging -= 1;
        if state.is_off { InjectedError::PowerCut } else { InjectedError::Fault }
    }

    fn wait_for(&self, timeout: Duration, has_come: impl Fn(&State) -> bool) -> bool {
        let state = self.state();
        let waited = self.changed.wait_timeout_while(state, timeout, |state| !has_come(state));
        has_come(&waited.unwrap_or_else(PoisonError::into_inner).0)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a fault does to an operation once its time has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Harm {
    Fail,
    Full,
    Lie,
    PowerCut,
}

impl State {
    fn decide(&mut self, request: Request<'_>) -> Option<Fault> {
        if self.is_off {
            return None;
        }
        let Request { op, path, offset, bytes, mutates } = request;
        self.counts.count(op, bytes, mutates);
        let fault = self.plan.decide(PlannedOp { op, mutates }, &mut self.random);
        if let Some(trace) = &mut self.trace {
            let (number, path) = (self.counts.operations, path.to_owned());
            trace.push(TraceEntry { number, op, path, offset, bytes, fault });
        }
        fault
    }
}
