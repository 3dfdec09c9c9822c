//! What the parts of an open log share: its directory, its segments, the ring and the poison.
//!
//! Locks are held for memory work only, never across storage calls, and at most one at a time. A
//! panic while one was held leaves the data valid, so that poisoned locks are taken all the same.

use crate::cache::ReadCache;
use crate::chunk::Chunk;
use crate::config::LogConfig;
use crate::error::Poisoned;
use crate::number::CommitNumber;
use crate::reader::StateAt;
use crate::ring::Ring;
use crate::segment::SegmentTable;
use crate::storage::{Storage, StorageError};
use laterbase_event::{DatabaseId, Position};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

/// The common part of an open log.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) dir: String,
    pub(crate) database: DatabaseId,
    pub(crate) config: LogConfig,
    /// Another process writes.
    pub(crate) is_read_only: bool,
    pub(crate) segments: RwLock<Arc<SegmentTable>>,
    pub(crate) ring: RwLock<Ring>,
    pub(crate) cache: ReadCache,
    pub(crate) progress: Progress,
    pub(crate) spares: Mutex<crate::spare::Spares>,
    /// What the next look at the heads begins with.
    state: Mutex<Option<StateAt>>,
    /// Emptied lists of chunks, to be used again.
    pub(crate) lists: Mutex<Vec<Vec<Arc<Chunk>>>>,
    poison: OnceLock<Poisoned>,
}

/// How far the log has come; each value only rises.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    written_commit: AtomicU64,
    written_position: AtomicU64,
    flushed_commit: AtomicU64,
    flushed_position: AtomicU64,
}

impl Progress {
    pub(crate) fn set_written(&self, commit: CommitNumber, position: Position) {
        self.written_commit.store(commit.as_u64(), Ordering::Release);
        self.written_position.store(position.as_u64(), Ordering::Release);
    }

    pub(crate) fn set_flushed(&self, commit: CommitNumber, position: Position) {
        self.flushed_commit.store(commit.as_u64(), Ordering::Release);
        self.flushed_position.store(position.as_u64(), Ordering::Release);
    }

    /// The last written commit and position.
    pub(crate) fn written(&self) -> (CommitNumber, Position) {
        let commit = CommitNumber::new(self.written_commit.load(Ordering::Acquire));
        (commit, Position::new(self.written_position.load(Ordering::Acquire)))
    }

    /// The last flushed commit and position.
    pub(crate) fn flushed(&self) -> (CommitNumber, Position) {
        let commit = CommitNumber::new(self.flushed_commit.load(Ordering::Acquire));
        (commit, Position::new(self.flushed_position.load(Ordering::Acquire)))
    }
}

impl Shared {
    pub(crate) fn new(
        storage: Arc<dyn Storage>,
        dir: &str,
        database: DatabaseId,
        config: LogConfig,
    ) -> Self {
        let ring = Ring::new(config.chunk_bytes, config.ring_bytes);
        let cache = ReadCache::new(config.cache_bytes);
        Self {
            storage,
            dir: dir.to_owned(),
            database,
            config,
            is_read_only: false,
            segments: RwLock::new(Arc::default()),
            ring: RwLock::new(ring),
            cache,
            progress: Progress::default(),
            spares: Mutex::default(),
            state: Mutex::default(),
            lists: Mutex::default(),
            poison: OnceLock::new(),
        }
    }

    /// The common part of a log that another process writes.
    pub(crate) fn read_only(
        storage: Arc<dyn Storage>,
        dir: &str,
        database: DatabaseId,
        config: LogConfig,
    ) -> Self {
        Self { is_read_only: true, ..Self::new(storage, dir, database, config) }
    }

    /// The segments as they are now.
    pub(crate) fn segments(&self) -> Arc<SegmentTable> {
        Arc::clone(&self.segments.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces the table of segments.
    pub(crate) fn change_segments(&self, change: impl FnOnce(&SegmentTable) -> SegmentTable) {
        let mut table = self.segments.write().unwrap_or_else(PoisonError::into_inner);
        *table = Arc::new(change(&table));
    }

    pub(crate) fn with_ring<T>(&self, read: impl FnOnce(&Ring) -> T) -> T {
        read(&self.ring.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn change_ring<T>(&self, change: impl FnOnce(&mut Ring) -> T) -> T {
        change(&mut self.ring.write().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn spares(&self) -> MutexGuard<'_, crate::spare::Spares> {
        self.spares.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The path of a file of the log, in the storage's root.
    pub(crate) fn path(&self, name: &str) -> String {
        crate::names::join(&self.dir, name)
    }

    /// Fails if the log is poisoned.
    pub(crate) fn check_poison(&self) -> Result<(), Poisoned> {
        self.poison.get().map_or(Ok(()), |poisoned| Err(poisoned.clone()))
    }

    /// Stops the log for good; the first cause stays.
    pub(crate) fn poison(&self, cause: StorageError) -> Poisoned {
        self.poison.get_or_init(|| Poisoned { cause }).clone()
    }

    /// What the last look at the heads left; whoever looks meanwhile begins with a footer.
    pub(crate) fn take_state(&self) -> Option<StateAt> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(crate) fn keep_state(&self, state: StateAt) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = Some(state);
    }

    pub(crate) fn take_list(&self) -> Vec<Arc<Chunk>> {
        let mut lists = self.lists.lock().unwrap_or_else(PoisonError::into_inner);
        lists.pop().unwrap_or_default()
    }

    pub(crate) fn give_list(&self, mut list: Vec<Arc<Chunk>>) {
        list.clear();
        self.lists.lock().unwrap_or_else(PoisonError::into_inner).push(list);
    }
}
