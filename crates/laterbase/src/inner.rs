//! What all handles of an open database share, and the steps that move it on.
//!
//! ```text
//!   append ─▶ front (clock, order, staging) ─▶ writer (write, sync) ─▶ progress (who waits)
//!                    └─▶ pending entries ─▶ indexer (sort, runs, merges) ─▶ snapshots
//! ```
//! Each box is a single-threaded core behind a mutex of its own. Locks are taken in the order
//! catalog, indexer, writer, identity, front; nobody holds the front lock while touching a device.
//! Every step is run by whoever needs it (an appender that waits, a reader that must see its
//! writes) or by the background threads in `host.rs`; without threads, `Database::step` runs them.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use laterbase_event::{
    Clock, DatabaseId, EventView, Hlc, Position, RootName, Timestamp, VersionVector,
};
use laterbase_index::{
    AbsorbError, IndexConfig, IndexFollower, IndexReader, IndexSnapshot, IndexWriter,
    MaintainError, PendingEntries,
};
use laterbase_log::storage::{MemoryStorage, Storage};
use laterbase_log::{CommitError, EventBuffer, LogFront, LogReader, LogWriter, Maintenance, Sync};

use crate::append::AppendError;
use crate::consumer::Consumers;
use crate::environment::Environment;
use crate::fold::KeptFolds;
use crate::follow::{EVERYTHING, readable_to};
use crate::host::Bell;
use crate::identity::Identity;
use crate::lock::{Lease, WriterLock};
use crate::options::Options;
use crate::progress::{Durability, Listener, Progress};
use crate::read::{Access, ReadError};
use crate::replay::feed;
use crate::sync::{Catalog, Remembered};
use crate::terms::TermHasher;
use crate::validator::Validators;
use crate::walk::View;

/// Warm buffers that are kept while nobody reads; more go as they come.
const IDLE_BUFFERS_MAX: usize = 16;

/// What all handles of an open database share.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) environment: Arc<dyn Environment>,
    pub(crate) options: Options,
    /// Those of the options, and those that came later.
    pub(crate) validators: Mutex<Validators>,
    pub(crate) database: DatabaseId,
    /// The id under which this copy writes now. Changed under the lock of the front alone.
    pub(crate) replica: AtomicU64,
    /// Names this copy in cursors.
    pub(crate) copy: u64,
    pub(crate) hasher: TermHasher,
    pub(crate) reader: LogReader,
    pub(crate) progress: Progress,
    pub(crate) index_reader: IndexReader,
    pub(crate) role: Role,
    /// Wakes the background threads.
    pub(crate) bell: Bell,
    pub(crate) closing: AtomicBool,
    /// Writing the indexes failed last: [`Indexer::failure`] says why.
    pub(crate) index_failed: AtomicBool,
    /// Warm buffers for reading single events.
    pub(crate) buffers: Mutex<Vec<EventBuffer>>,
    /// What sync sessions share. Locked before everything else.
    pub(crate) catalog: Mutex<Catalog>,
    /// Held by whoever writes what is remembered of a peer, and nothing else with it.
    pub(crate) remembered: Mutex<Remembered>,
    /// Consumers that are in use.
    pub(crate) consumers: Consumers,
    /// Projections that are kept on disk.
    pub(crate) folds: KeptFolds,
    /// What is known of the schema.
    #[cfg(feature = "query")]
    pub(crate) schema: crate::declared::SchemaState,
}

/// What this handle may do.
#[derive(Debug)]
pub(crate) enum Role {
    Writer(Box<Writer>),
    Follower(Box<Follower>),
}

/// The parts of the one process that writes.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) indexer: Mutex<Indexer>,
    pub(crate) writer: Mutex<Option<LogWriter>>,
    pub(crate) front: Mutex<Front>,
    pub(crate) maintenance: Mutex<Maintenance>,
    /// Given up when the database is closed, however many handles are left.
    pub(crate) lock: Mutex<Option<WriterLock>>,
    /// Who this copy is. Locked before the front.
    pub(crate) identity: Mutex<Identity>,
    /// There may be a reincarnation that is not in `_sys` yet. Changed with the identity locked.
    pub(crate) is_unrecorded: AtomicBool,
    /// There may be a fork that is not in `_sys` yet.
    pub(crate) may_lack_forks: AtomicBool,
}

/// The parts of a process that reads beside it.
#[derive(Debug)]
pub(crate) struct Follower {
    pub(crate) index: Mutex<FollowerIndex>,
    pub(crate) lease: Mutex<Option<Lease>>,
}

/// The indexes of a process that reads.
#[derive(Debug)]
pub(crate) enum FollowerIndex {
    /// The writer's runs, and an overlay of what they lack.
    Files(Box<IndexFollower>),
    /// There are no usable runs and nobody who may write them: all of it in memory.
    Memory(Box<IndexWriter>),
}

impl FollowerIndex {
    pub(crate) fn in_memory(config: IndexConfig) -> Result<Self, laterbase_index::OpenError> {
        let storage = Arc::new(MemoryStorage::new());
        Ok(Self::Memory(Box::new(IndexWriter::create(storage, "index", config)?)))
    }

    pub(crate) fn reader(&self) -> IndexReader {
        match self {
            Self::Files(index) => index.reader(),
            Self::Memory(index) => index.reader(),
        }
    }

    fn complete_to(&self) -> Position {
        match self {
            Self::Files(index) => index.complete_to(),
            Self::Memory(index) => index.complete_to(),
        }
    }

    fn absorb(&mut self, pending: &mut PendingEntries) -> Result<(), AbsorbError> {
        match self {
            Self::Files(index) => index.absorb(pending),
            Self::Memory(index) => index.absorb(pending),
        }
    }
}

/// The indexes, and a buffer that changes places with the front's.
#[derive(Debug)]
pub(crate) struct Indexer {
    pub(crate) index: IndexWriter,
    pub(crate) spare: PendingEntries,
    /// What is given to the index.
    pub(crate) handed: PendingEntries,
    /// Why the last run could not be written; `None` once one was.
    pub(crate) failure: Option<Arc<MaintainError>>,
    /// The index refused entries, and lacks them.
    pub(crate) broken: Option<AbsorbError>,
}

/// Where appends are put in order.
#[derive(Debug)]
pub(crate) struct Front {
    pub(crate) clock: Clock,
    pub(crate) log: Option<LogFront>,
    /// Entries of what was staged and is not in the indexes yet.
    pub(crate) pending: PendingEntries,
    /// Headers of the batches that are being staged.
    pub(crate) headers: Vec<u8>,
}

/// How much of a step's work is done at a time: index entries.
pub(crate) const INDEX_STEP_ENTRIES: usize = 32 * 1024;
/// How much of a step's work is done at a time: bytes of the log.
pub(crate) const LOG_STEP_BYTES: usize = 1024 * 1024;

impl Inner {
    /// The parts that only the writing process has.
    pub(crate) fn writer(&self) -> Option<&Writer> {
        match &self.role {
            Role::Writer(writer) => Some(writer),
            Role::Follower(_) => None,
        }
    }

    /// How far each log is held here, branches of forks by their own names.
    pub(crate) fn version_vector(&self) -> Result<VersionVector, ReadError> {
        if let Some(vector) = self.plain_version_vector() {
            return Ok(vector);
        }
        let mut vector = VersionVector::new();
        for (log, head) in self.heads_at()?.heads.iter() {
            vector.set(log.root, log.replica, head.seq);
        }
        Ok(vector)
    }

    /// The same where no log is forked, as the writing process knows it without reading.
    fn plain_version_vector(&self) -> Option<VersionVector> {
        let front = lock(&self.writer()?.front);
        let log = front.log.as_ref()?;
        if log.forked().next().is_some() {
            return None;
        }
        let mut vector = VersionVector::new();
        for (root, replica, head) in log.heads().iter() {
            // As `heads_at` does: a root that is none is in no vector.
            if let Ok(root) = RootName::try_from(root) {
                vector.set(root, replica, head.seq);
            }
        }
        Some(vector)
    }

    /// Waits until a commit has a durability, doing the work if nobody else is at it.
    pub(crate) fn wait_for(&self, commit: u64, durability: Durability) -> Result<(), AppendError> {
        loop {
            if self.progress.has_reached(commit, durability) {
                return Ok(());
            }
            self.check_failure()?;
            match self.try_lead(durability) {
                Ok(true) => continue,
                Ok(false) => {}
                // Whoever closed the database may have flushed it first.
                Err(_) if self.progress.has_reached(commit, durability) => return Ok(()),
                Err(error) => return Err(error),
            }
            let listener = Listener::Thread(std::thread::current());
            let registration = self.progress.register(commit, durability, listener);
            // The one at work may have finished between the attempt and the registration. Whoever
            // gets the writer, even only to look, must lead and wake: else two that look at the
            // same time could each take the other for a leader.
            let busy = matches!(self.try_lead(durability), Ok(false));
            if busy && !self.progress.has_reached(commit, durability) {
                std::thread::park();
            }
            self.progress.forget(registration);
        }
    }

    /// Whether a commit has a durability, or never will.
    pub(crate) fn poll_for(
        &self,
        commit: u64,
        durability: Durability,
    ) -> Option<Result<(), AppendError>> {
        if self.progress.has_reached(commit, durability) {
            return Some(Ok(()));
        }
        self.check_failure().err().map(Err)
    }

    /// Asks the background to write what is staged.
    pub(crate) fn request_work(&self) {
        if self.options.threads {
            self.bell.ring_commit();
        } else {
            // Without threads the one who awaits does the work; a failure is in the progress.
            let _ = self.try_lead(Durability::Flushed);
        }
    }

    /// Writes what is staged if nobody else is writing; `false` if somebody is.
    pub(crate) fn try_lead(&self, durability: Durability) -> Result<bool, AppendError> {
        let Some(writer) = self.writer() else { return Err(AppendError::ReadOnly) };
        let mut guard = match writer.writer.try_lock() {
            Ok(guard) => guard,
            Err(TryLockError::WouldBlock) => return Ok(false),
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        };
        let led = self.lead(writer, &mut guard, durability);
        drop(guard);
        self.progress.wake();
        led.map(|()| true)
    }

    /// Who looks at events, as of now.
    pub(crate) fn validators(&self) -> Validators {
        lock(&self.validators).clone()
    }

    /// Writes what is staged; the caller holds the writer and wakes the others afterwards.
    pub(crate) fn lead(
        &self,
        parts: &Writer,
        log: &mut Option<LogWriter>,
        durability: Durability,
    ) -> Result<(), AppendError> {
        let Some(log) = log else { return Err(AppendError::Closed) };
        let sync = match durability {
            Durability::Flushed => Sync::Flush,
            Durability::Buffered | Durability::Relaxed => Sync::Write,
        };
        let group = lock(&parts.front).log.as_mut().and_then(|log| log.take_group(sync));
        let Some(group) = group else { return Ok(()) };
        match log.commit(group) {
            Ok(written) => {
                self.bell.ring_maintenance();
                let commit = written.commit.as_u64();
                if let Some(took) = written.synced {
                    self.progress.flush_counts.count(took);
                }
                if written.flushed {
                    self.progress.record_flushed(commit, written.position);
                    // Others only learn of it later: nothing that was acknowledged is in danger.
                    if let Some(published) = &*lock(&parts.lock) {
                        let _ = published.publish(written.position);
                    }
                } else {
                    self.progress.record_written(commit, written.position);
                    self.bell.ring_flush();
                }
                Ok(())
            }
            Err(CommitError::Poisoned(poisoned)) => {
                self.progress.record_failure(poisoned);
                self.check_failure()
            }
            Err(error @ CommitError::OutOfOrder { .. }) => Err(AppendError::Internal(error)),
        }
    }

    /// The failure of the log, if it has failed.
    pub(crate) fn check_failure(&self) -> Result<(), AppendError> {
        match self.progress.failure() {
            None => Ok(()),
            Some(cause) => Err(AppendError::Failed { cause }),
        }
    }

    /// Makes staged events readable that are not written yet.
    pub(crate) fn ensure_readable(&self, position: Position) {
        if let Some(writer) = self.writer()
            && position > self.reader.written().1
            && let Some(log) = lock(&writer.front).log.as_mut()
        {
            log.freeze();
        }
    }

    /// The last position up to `bound` that was known here at a moment.
    pub(crate) fn known_at(&self, at: Timestamp, bound: Position) -> Result<Position, ReadError> {
        // What was revealed before it was written counts as well.
        self.ensure_readable(bound);
        Ok(bound.min(self.reader.position_known_at(crate::walk::last_hlc_at(at))?))
    }

    /// A warm buffer, if one is idle.
    pub(crate) fn take_buffer(&self) -> EventBuffer {
        lock(&self.buffers).pop().unwrap_or_default()
    }

    /// Keeps a warm buffer for whoever reads next.
    pub(crate) fn give_back(&self, buffer: EventBuffer) {
        let mut buffers = lock(&self.buffers);
        if buffers.len() < IDLE_BUFFERS_MAX {
            buffers.push(buffer);
        }
    }

    /// Reads the event at a position, with its arrival, through a warm buffer.
    pub(crate) fn with_event_at<R>(
        &self,
        position: Position,
        read: impl FnOnce(&EventView<'_>, Hlc) -> R,
    ) -> Result<R, ReadError> {
        self.ensure_readable(position);
        let mut buffer = self.take_buffer();
        let (event, arrival) = self.reader.get(position, &mut buffer)?;
        let result = read(&event, arrival);
        self.give_back(buffer);
        Ok(result)
    }

    /// Reads the event at a position, through a warm buffer.
    pub(crate) fn with_event<R>(
        &self,
        position: Position,
        read: impl FnOnce(&EventView<'_>) -> R,
    ) -> Result<R, ReadError> {
        self.with_event_at(position, |event, _| read(event))
    }

    /// A snapshot of the indexes that holds everything up to `bound`.
    pub(crate) fn snapshot_to(&self, bound: Position) -> Result<Arc<IndexSnapshot>, ReadError> {
        let snapshot = self.index_reader.snapshot();
        if snapshot.complete_to() >= bound {
            return Ok(snapshot);
        }
        match &self.role {
            Role::Writer(writer) => {
                let mut indexer = lock(&writer.indexer);
                self.absorb(writer, &mut indexer)?;
                // Where every append is read at once, nothing ever waits long enough to ring.
                if indexer.index.memtable_bytes() >= self.options.index.memtable_bytes / 2 {
                    self.bell.ring_index();
                }
            }
            Role::Follower(follower) => self.follow(&mut lock(&follower.index), bound)?,
        }
        Ok(self.index_reader.snapshot())
    }

    /// Brings a reading process's overlay up to `bound`.
    fn follow(&self, index: &mut FollowerIndex, bound: Position) -> Result<(), ReadError> {
        let after = index.complete_to();
        if after >= bound {
            return Ok(());
        }
        feed(&self.hasher, &self.reader, after, bound, |pending| Ok(index.absorb(pending)?))
    }

    /// Picks up what the writing process has flushed since.
    pub(crate) fn refresh(&self) -> Result<(), ReadError> {
        let Role::Follower(follower) = &self.role else { return Ok(()) };
        let failed = |error: &dyn std::fmt::Display| ReadError::Refresh(error.to_string());
        let entropy = self.environment.random_u64().map_err(|error| failed(&error))?;
        let flushed = readable_to(&self.storage, self.database, &self.options.log, entropy)
            .map_err(|error| failed(&error))?;
        // The new lease is held before the old one goes: nothing is ever without one.
        let mut lease = lock(&follower.lease);
        let renewed = Lease::take(&self.storage, self.environment.as_ref());
        let renewed = renewed.map_err(|error| failed(&error))?;
        match self.reader.refresh(flushed) {
            Err(laterbase_log::OpenError::Behind { found, .. }) if flushed == EVERYTHING => {
                self.reader.refresh(found).map_err(|error| failed(&error))?;
            }
            refreshed => refreshed.map_err(|error| failed(&error))?,
        }
        if let FollowerIndex::Files(index) = &mut *lock(&follower.index) {
            index.refresh().map_err(|error| failed(&error))?;
        }
        *lease = renewed;
        drop(lease);
        let (commit, position) = self.reader.flushed();
        self.progress.record_flushed(commit.as_u64(), position);
        #[cfg(feature = "query")]
        self.schema.note_system(position);
        // Nothing is pushed to its chains here: they are built anew from what can be read now.
        *lock(&self.catalog) = Catalog::default();
        Ok(())
    }

    /// What a read at this moment sees.
    pub(crate) fn view(self: &Arc<Self>) -> Result<View, ReadError> {
        self.view_to(self.progress.visible())
    }

    /// What can be seen up to a position.
    pub(crate) fn view_to(self: &Arc<Self>, bound: Position) -> Result<View, ReadError> {
        Ok(View {
            snapshot: self.snapshot_to(bound)?,
            access: Arc::new(Access::new(Arc::clone(self))),
            hasher: self.hasher,
            bound,
        })
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }
}

/// Locks a mutex. What they guard stays whole at every point where a panic could start: the cores
/// refuse to go on after a failure by themselves.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
