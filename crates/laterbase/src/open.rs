//! Opening: from a directory to a running database.
//!
//! ```text
//!   identity ─▶ lock ─▶ copied? clock ahead? (new replica id) ─▶ log recovers ─▶ indexes open
//!     ─▶ what the indexes lack is replayed from the log ─▶ threads start
//! ```
//! Creation writes the identity first, marked as unfinished, and last as complete: a creation that
//! was interrupted is taken up again, and a complete database without a log is known to have lost
//! it.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex};

use laterbase_event::{Clock, DatabaseId, Hlc, Position, ReplicaId};
use laterbase_index::{IndexConfig, IndexFollower, IndexWriter, PendingEntries};
use laterbase_log::storage::{FileStorage, Storage, StorageError};
use laterbase_log::{Log, LogReader, Recovery, TornTail};

use crate::database::Database;
use crate::environment::{EntropyError, Environment, SystemEnvironment};
use crate::flush_times::timed;
use crate::fold::KeptFolds;
use crate::follow::{EVERYTHING, FollowError, readable_to};
use crate::host::{Bell, Threads};
use crate::identity::{IDENTITY_FILE, Identity, IdentityError, State};
use crate::inner::{Follower, FollowerIndex, Front, Indexer, Inner, Role, Writer};
use crate::lock::{Holder, Lease, WriterLock, holder};
use crate::options::Options;
use crate::progress::Progress;
use crate::read::ReadError;
use crate::terms::TermHasher;

/// The directory of the log.
pub(crate) const LOG_DIR: &str = "log";
/// The directory of the indexes.
pub(crate) const INDEX_DIR: &str = "index";

/// No clock of this build starts before this moment: 2026-11-01T00:00:00Z, in milliseconds.
const BUILD_FLOOR_MS: u64 = 1_793_491_200_000;

/// A database cannot be opened or created.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// There is a database already.
    #[error("there is a database in this directory already: open it, or choose another directory")]
    Exists,
    /// Who this copy is cannot be read.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// Another process writes.
    #[error(
        "another process has the database open for writing ({holder}): stop it, or open read-only"
    )]
    Locked {
        /// Who, as far as it says.
        holder: String,
        /// Where it serves the database, if it does ([`Database::publish_address`]).
        url: Option<String>,
    },
    /// The log cannot be opened.
    #[error(transparent)]
    Log(#[from] laterbase_log::OpenError),
    /// The indexes cannot be opened, and rebuilding them failed too, or they are of a newer format.
    #[error(transparent)]
    Index(#[from] laterbase_index::OpenError),
    /// The indexes could not be written while they were brought up to date.
    #[error("the indexes could not be brought up to date: {0}")]
    Maintain(#[from] laterbase_index::MaintainError),
    /// The log ends before what the indexes have seen of it.
    #[error(
        "the log ends at position {log}, but {index} had been flushed: its newest segments are \
         missing; put them back, or restore a backup"
    )]
    LogCutShort {
        /// The last position of the log.
        log: Position,
        /// The last position that was indexed.
        index: Position,
    },
    /// How far may be read cannot be told.
    #[error(transparent)]
    Follow(#[from] FollowError),
    /// What is in the log cannot be read back.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// No randomness for new ids.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// The database could not be closed again.
    #[error("the database could not be closed: {0}")]
    Close(String),
    /// The threads could not be started.
    #[error("the background threads could not be started: {0}")]
    Threads(std::io::Error),
}

/// Why a copy got a new replica id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reincarnation {
    /// The directory is a copy of another one, or was moved to another file system.
    Copied,
    /// Its clock was further ahead of the wall clock than is believed.
    ClockAhead,
    /// A peer knew its log further, or other, than it did itself: it was restored or cloned in a
    /// way that only peers can see.
    KnownToPeer,
}

/// What happened while a database was opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenReport {
    /// Whether it had been closed properly.
    pub clean: bool,
    /// What followed the last intact commit, cut and kept aside. Nothing in it was acknowledged as
    /// flushed.
    pub torn_tail: Option<TornTail>,
    /// Damage that was accepted: what is lost.
    pub damages: Vec<laterbase_log::Damage>,
    /// The new replica id's reason, and the id before.
    pub reincarnation: Option<(Reincarnation, ReplicaId)>,
    /// Whether the indexes were built anew.
    pub indexes_rebuilt: bool,
    /// Events that the indexes lacked and took from the log.
    pub replayed_events: u64,
}

/// Where and how to open.
pub(crate) struct Opening {
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) environment: Arc<dyn Environment>,
    pub(crate) options: Options,
}

impl Opening {
    /// A directory of this machine.
    pub(crate) fn of_path(path: &Path, options: Options, create: bool) -> Result<Self, OpenError> {
        let storage = if create { FileStorage::create(path)? } else { FileStorage::open(path)? };
        Ok(Self { storage: Arc::new(storage), environment: Arc::new(SystemEnvironment), options })
    }

    /// Creates a database, with a given id or a new one.
    pub(crate) fn create(self, database: Option<DatabaseId>) -> Result<Database, OpenError> {
        let storage = self.storage.as_ref();
        let unfinished = match Identity::read(storage) {
            Ok(identity) if identity.state == State::Complete => return Err(OpenError::Exists),
            Ok(identity) => Some(identity),
            Err(IdentityError::Missing | IdentityError::Damaged) => None,
            Err(error) => return Err(error.into()),
        };
        if unfinished.is_none() && storage.exists(LOG_DIR)? {
            // Something was here; only an identity that is lost can say what.
            return Err(OpenError::Exists);
        }
        let lock = self.take_lock()?;
        let mut identity = match unfinished {
            Some(identity) => identity,
            None => Identity::mint(self.environment.as_ref(), database)?,
        };
        identity.write(storage)?;
        remove_all(storage, LOG_DIR)?;
        let entropy = self.environment.random_u64()?;
        let config = self.options.log.clone();
        let dir = Arc::clone(&self.storage);
        let log = Log::create(dir, LOG_DIR, identity.database, config, entropy)?;
        IndexWriter::destroy(storage, INDEX_DIR)?;
        let index = IndexWriter::open_or_create(
            Arc::clone(&self.storage),
            INDEX_DIR,
            self.index_config(&identity),
        )?;
        storage.sync_dir("")?;
        identity.state = State::Complete;
        identity.write(storage)?;
        let report = OpenReport { clean: true, ..OpenReport::default() };
        self.start(identity, lock, log, index, report)
    }

    /// Opens to write.
    pub(crate) fn open(self) -> Result<Database, OpenError> {
        let storage = self.storage.as_ref();
        if Identity::read(storage)?.state == State::Creating {
            return self.create(None);
        }
        let lock = self.take_lock()?;
        // Again: it may have been rewritten before the lock was taken.
        let mut identity = Identity::read(storage)?;
        identity.settle(storage)?;
        let mut report = OpenReport::default();
        let fingerprint = storage.fingerprint(IDENTITY_FILE)?;
        if identity.fingerprint.as_ref() != Some(&fingerprint) {
            report.reincarnation = Some((Reincarnation::Copied, identity.replica));
            identity.reincarnate(self.environment.as_ref(), Reincarnation::Copied)?;
            identity.copy = self.environment.random_u64()?;
            identity.write(storage)?;
        }
        let entropy = self.environment.random_u64()?;
        let log = Log::open(
            Arc::clone(&self.storage),
            LOG_DIR,
            identity.database,
            self.options.log.clone(),
            entropy,
        )?;
        let own = own_hlc(&log, identity.replica);
        if self.clock(&identity, own).runs_ahead(self.now_ms()) {
            report.reincarnation = Some((Reincarnation::ClockAhead, identity.replica));
            identity.reincarnate(self.environment.as_ref(), Reincarnation::ClockAhead)?;
            identity.write(storage)?;
        }
        report.take(&log.recovery);
        let last = last_position(&log.recovery);
        let index = self.open_index(&identity, last, &mut report)?;
        self.start(identity, lock, log, index, report)
    }

    /// Opens to read, beside a writing process or alone.
    pub(crate) fn open_read_only(self) -> Result<Database, OpenError> {
        let identity = Identity::read(self.storage.as_ref())?;
        if identity.state == State::Creating {
            return Err(IdentityError::Missing.into());
        }
        // Before anything is looked at, so that nothing of it is reclaimed.
        let lease = Lease::take(&self.storage, self.environment.as_ref())?;
        let entropy = self.environment.random_u64()?;
        let flushed = readable_to(&self.storage, identity.database, &self.options.log, entropy)?;
        let open_log = |flushed| {
            let storage = Arc::clone(&self.storage);
            let config = self.options.log.clone();
            LogReader::open(storage, LOG_DIR, identity.database, config, flushed)
        };
        let reader = match open_log(flushed) {
            // Nobody writes, and this is how far it goes.
            Err(laterbase_log::OpenError::Behind { found, .. }) if flushed == EVERYTHING => {
                open_log(found)?
            }
            opened => opened?,
        };
        let config = self.index_config(&identity);
        let storage = Arc::clone(&self.storage);
        let index = match IndexFollower::open(storage, INDEX_DIR, config) {
            Ok(follower) if follower.watermark() <= reader.flushed().1 => {
                FollowerIndex::Files(Box::new(follower))
            }
            Ok(_) => FollowerIndex::in_memory(config)?,
            Err(error) if is_rebuildable(&error) => FollowerIndex::in_memory(config)?,
            Err(error) => return Err(error.into()),
        };
        let index_reader = index.reader();
        let follower = Follower { index: Mutex::new(index), lease: Mutex::new(lease) };
        let (commit, position) = reader.flushed();
        let inner = Arc::new(Inner {
            storage: self.storage,
            environment: self.environment,
            validators: Mutex::new(self.options.validators.clone()),
            options: self.options,
            database: identity.database,
            replica: AtomicU64::new(identity.replica.as_u64()),
            copy: identity.copy,
            hasher: TermHasher::new(identity.secret),
            reader,
            progress: Progress::starting_at(commit.as_u64(), position),
            index_reader,
            role: Role::Follower(Box::new(follower)),
            bell: Bell::default(),
            closing: AtomicBool::new(false),
            index_failed: AtomicBool::new(false),
            buffers: Mutex::default(),
            catalog: Mutex::default(),
            remembered: Mutex::default(),
            consumers: Mutex::default(),
            folds: KeptFolds::default(),
            #[cfg(feature = "query")]
            schema: crate::declared::SchemaState::starting_at(position),
        });
        let report = OpenReport { clean: true, ..OpenReport::default() };
        Ok(Database::new(inner, Threads::default(), report))
    }

    fn take_lock(&self) -> Result<WriterLock, OpenError> {
        let storage = self.storage.as_ref();
        WriterLock::try_take(storage)?.ok_or_else(|| {
            let Holder { name: holder, url } = holder(storage);
            OpenError::Locked { holder, url }
        })
    }

    fn now_ms(&self) -> u64 {
        self.environment.now_us().max(0).unsigned_abs() / 1000
    }

    fn clock(&self, identity: &Identity, recovered: Hlc) -> Clock {
        let floor = Hlc::new(BUILD_FLOOR_MS, 0);
        Clock::new(identity.replica, recovered, floor, self.options.max_drift_ms)
    }

    fn index_config(&self, identity: &Identity) -> IndexConfig {
        self.options.index.with_owner(identity.secret)
    }

    /// Opens the indexes; what is missing or damaged is built anew, since the log has it all.
    fn open_index(
        &self,
        identity: &Identity,
        last: Position,
        report: &mut OpenReport,
    ) -> Result<IndexWriter, OpenError> {
        let config = self.index_config(identity);
        match IndexWriter::open(Arc::clone(&self.storage), INDEX_DIR, config) {
            Ok(index) if index.watermark() <= last => return Ok(index),
            Ok(index) if !self.options.log.accept_damage => {
                let index = index.watermark();
                return Err(OpenError::LogCutShort { log: last, index });
            }
            Ok(_) => {}
            Err(error) if is_rebuildable(&error) => {}
            Err(error) => return Err(error.into()),
        }
        report.indexes_rebuilt = true;
        IndexWriter::destroy(self.storage.as_ref(), INDEX_DIR)?;
        Ok(IndexWriter::open_or_create(Arc::clone(&self.storage), INDEX_DIR, config)?)
    }

    fn start(
        self,
        identity: Identity,
        lock: WriterLock,
        log: Log,
        mut index: IndexWriter,
        mut report: OpenReport,
    ) -> Result<Database, OpenError> {
        let hasher = TermHasher::new(identity.secret);
        let last = last_position(&log.recovery);
        report.replayed_events = last.as_u64().saturating_sub(index.watermark().as_u64());
        crate::replay::replay(&hasher, &log.reader, &mut index, last)?;
        let commit = log.recovery.next_commit.as_u64().saturating_sub(1);
        lock.publish(last)?;
        let mut clock = self.clock(&identity, own_hlc(&log, identity.replica));
        // New ids come after what others' events were believed to say, too.
        let _ = clock.observe(log.front.last_arrival(), self.now_ms());
        let index_reader = index.reader();
        #[cfg(feature = "query")]
        let system_upto = crate::declared::SchemaState::system_upto_of(log.front.heads(), last);
        let mut pending = PendingEntries::new();
        pending.set_upto(last);
        pending.reserve(self.options.pending_entries_max);
        let mut spare = PendingEntries::new();
        spare.reserve(self.options.pending_entries_max);
        let writer = Writer {
            indexer: Mutex::new(Indexer {
                index,
                spare,
                handed: PendingEntries::new(),
                failure: None,
                broken: None,
            }),
            writer: Mutex::new(Some(timed(log.writer))),
            front: Mutex::new(Front { clock, log: Some(log.front), pending, headers: Vec::new() }),
            maintenance: Mutex::new(log.maintenance),
            lock: Mutex::new(Some(lock)),
            // They may be recorded already: that is looked up before it is done.
            is_unrecorded: AtomicBool::new(!identity.former.is_empty()),
            may_lack_forks: AtomicBool::new(true),
            identity: Mutex::new(identity.clone()),
        };
        let inner = Arc::new(Inner {
            storage: self.storage,
            environment: self.environment,
            validators: Mutex::new(self.options.validators.clone()),
            options: self.options,
            database: identity.database,
            replica: AtomicU64::new(identity.replica.as_u64()),
            copy: identity.copy,
            hasher,
            reader: log.reader,
            progress: Progress::starting_at(commit, last),
            index_reader,
            role: Role::Writer(Box::new(writer)),
            bell: Bell::default(),
            closing: AtomicBool::new(false),
            index_failed: AtomicBool::new(false),
            buffers: Mutex::default(),
            catalog: Mutex::default(),
            remembered: Mutex::default(),
            consumers: Mutex::default(),
            folds: KeptFolds::default(),
            #[cfg(feature = "query")]
            schema: crate::declared::SchemaState::starting_at(system_upto),
        });
        started(inner, report)
    }
}

impl OpenReport {
    fn take(&mut self, recovery: &Recovery) {
        self.clean = recovery.clean;
        self.torn_tail.clone_from(&recovery.torn_tail);
        self.damages.clone_from(&recovery.damages);
    }
}

/// With the threads that it wants.
fn started(inner: Arc<Inner>, report: OpenReport) -> Result<Database, OpenError> {
    let threads = if inner.options.threads {
        Threads::start(&inner).map_err(OpenError::Threads)?
    } else {
        Threads::default()
    };
    inner.bell.ring_maintenance();
    Ok(Database::new(inner, threads, report))
}

/// The highest time that this replica gave out, or saw arrive.
fn own_hlc(log: &Log, replica: ReplicaId) -> Hlc {
    let heads = log.front.heads().iter();
    heads
        .filter(|(_, of, _)| *of == replica)
        .map(|(_, _, head)| head.hlc)
        .max()
        .unwrap_or(Hlc::ZERO)
}

fn last_position(recovery: &Recovery) -> Position {
    Position::new(recovery.next_position.as_u64().saturating_sub(1))
}

/// Whether an index that cannot be opened may be thrown away.
fn is_rebuildable(error: &laterbase_index::OpenError) -> bool {
    use laterbase_index::OpenError as E;
    match error {
        E::Missing { .. } | E::Foreign { .. } | E::Damaged(_) => true,
        E::Exists { .. } | E::NewerFormat { .. } | E::Storage(_) => false,
    }
}

/// Removes what an interrupted creation left.
fn remove_all(storage: &dyn Storage, dir: &str) -> Result<(), StorageError> {
    if !storage.exists(dir)? {
        return Ok(());
    }
    for name in storage.list(dir)? {
        let path = format!("{dir}/{name}");
        match storage.remove(&path) {
            Ok(()) => {}
            Err(_) if storage.list(&path).is_ok() => {
                remove_all(storage, &path)?;
                storage.remove_dir(&path)?;
            }
            Err(error) => return Err(error),
        }
    }
    storage.sync_dir(dir)
}
