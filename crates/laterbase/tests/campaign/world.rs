//! One database on one disk, its model, and how both are opened, ended and forked.

use std::sync::Arc;

use laterbase::storage::{FaultyStorage, ProcessStorage, Random, Storage, Survival};
use laterbase::{
    AppendError, CloseError, Database, Durability, IdentityError, NewEvent, OpenError, Options,
    ReadError, Reincarnation, ReplicaId, Ticket,
};
use laterbase::{IndexConfig, LogConfig};

use super::drafts::Payloads;
use super::environment::TestEnvironment;
use super::model::Model;
use super::{Stop, Tally, Violation, random_for, violation};

/// Where the clock starts: later than any build of this program, in milliseconds.
const START_MS: i64 = 1_800_000_000_000;

/// A ticket that was kept, and up to which commit it speaks.
pub struct Kept {
    pub ticket: Ticket,
    pub commits: usize,
    pub durability: Durability,
}

/// A database, its disk and its model.
pub struct World {
    pub random: Random,
    pub disk: FaultyStorage,
    pub environment: Arc<TestEnvironment>,
    pub options: Options,
    pub db: Option<Database>,
    pub model: Model,
    /// So many commits were revealed to reads.
    pub revealed: usize,
    pub tickets: Vec<Kept>,
    /// Events with idempotency keys that were tried, recorded or not.
    pub keyed: Vec<NewEvent>,
    pub payloads: Payloads,
    /// Faults are planned: errors of the storage are no surprise.
    pub stormy: bool,
    /// The log has said that it stopped.
    pub poisoned: Option<laterbase::storage::StorageError>,
    pub tally: Tally,
    pub seen: Seen,
    process: ProcessStorage,
    created: bool,
    replica: Option<ReplicaId>,
}

/// What was seen of segments and runs last.
#[derive(Debug, Clone, Copy, Default)]
pub struct Seen {
    pub segment: u64,
    pub sealed: usize,
    pub runs: usize,
}

/// Sizes so small that some hundred operations go through everything.
fn small_options(random: &mut Random) -> Options {
    let mut options = Options::small_device();
    options.threads = false;
    options.pending_entries_max = 64 + random.index(200);
    options.log = LogConfig {
        segment_bytes: 64 << 10,
        chunk_bytes: 8 << 10,
        ring_bytes: 40 << 10,
        commit_bytes_max: 1 << 20,
        cache_bytes: 64 << 10,
        read_ahead_bytes: 4096,
        hot_bytes_max: 64 << 10,
        spares: 1,
        direct: true,
        ..LogConfig::small_device()
    };
    options.index = IndexConfig {
        memtable_bytes: 12 << 10,
        cache_bytes: 64 << 10,
        merge_bytes: 16 << 10,
        fan_out: 2 + random.index(3),
        ..IndexConfig::small_device()
    };
    options
}

impl World {
    pub fn new(seed: u64) -> Self {
        let mut random = random_for(seed, 0);
        let block_bytes = if random.flip() { 1 } else { 4096 };
        let disk = FaultyStorage::with_block_bytes(random.next_u64(), block_bytes);
        let payloads = if random.chance(1, 6) { Payloads::Large } else { Payloads::Mixed };
        let options = small_options(&mut random);
        let environment = Arc::new(TestEnvironment::new(START_MS, random.next_u64()));
        Self::on(disk, random, environment, options, payloads)
    }

    fn on(
        disk: FaultyStorage,
        random: Random,
        environment: Arc<TestEnvironment>,
        options: Options,
        payloads: Payloads,
    ) -> Self {
        disk.start_trace();
        Self {
            process: ProcessStorage::on(&disk),
            random,
            disk,
            environment,
            options,
            db: None,
            model: Model::default(),
            revealed: 0,
            tickets: Vec::new(),
            keyed: Vec::new(),
            payloads,
            stormy: false,
            poisoned: None,
            tally: Tally::default(),
            seen: Seen::default(),
            created: false,
            replica: None,
        }
    }

    /// The same world with another disk, not opened yet.
    pub fn fork(&self, disk: FaultyStorage, random: Random) -> Self {
        let environment = Arc::new(self.environment.fork());
        let fork = Self::on(disk, random, environment, self.options.clone(), self.payloads);
        Self {
            model: self.model.clone(),
            keyed: self.keyed.clone(),
            created: self.created,
            replica: self.replica,
            ..fork
        }
    }

    pub fn db(&self) -> &Database {
        self.db.as_ref().expect("the database is open")
    }

    /// Opens the database, or makes it if it was never there.
    fn open_now(&mut self) -> Result<Database, OpenError> {
        self.process = ProcessStorage::on(&self.disk);
        let storage: Arc<dyn Storage> = Arc::new(self.process.clone());
        let opened =
            Database::open_on(Arc::clone(&storage), self.environment.clone(), self.options.clone());
        match opened {
            Err(OpenError::Identity(IdentityError::Missing | IdentityError::Damaged))
                if !self.created =>
            {
                Database::create_on(storage, self.environment.clone(), self.options.clone())
            }
            opened => opened,
        }
    }

    /// Opens, and leaves the comparison to the caller.
    pub fn try_open(&mut self) -> Result<(), OpenError> {
        if self.db.is_some() {
            self.kill_quietly();
        }
        let db = self.open_now()?;
        self.created = true;
        self.poisoned = None;
        let report = db.opened();
        super::tell(|| format!("opened: {report:?}"));
        self.tally.one("openings");
        for (what, happened) in [
            ("openings after a clean close", report.clean),
            ("torn tails", report.torn_tail.is_some()),
            ("indexes built anew", report.indexes_rebuilt),
            ("events replayed into indexes", report.replayed_events > 0),
            ("clocks that ran ahead", report.reincarnation.is_some()),
        ] {
            self.tally.add(what, u64::from(happened));
        }
        self.db = Some(db);
        Ok(())
    }

    /// Opens; at least `promised` commits must be there.
    pub fn open(&mut self, promised: usize) -> Result<(), Stop> {
        match self.try_open() {
            Ok(()) => {}
            Err(error) if self.stormy && is_of_storage(&error) => {
                // It may have taken a new id, with nobody to tell.
                self.replica = None;
                return Err(Stop::Struck);
            }
            Err(error) => return Err(violation!("does not open: {error} ({error:?})").into()),
        }
        self.check_replica()?;
        self.check_opened(promised)
    }

    fn check_replica(&mut self) -> Result<(), Violation> {
        let now = self.db().replica();
        let minted = self.db().opened().reincarnation;
        match (self.replica, minted) {
            (Some(before), None) if before != now => {
                return Err(violation!("replica {before} became {now} without a word"));
            }
            (_, Some((Reincarnation::Copied, before))) => {
                return Err(violation!("replica {before} was taken for a copy"));
            }
            _ => self.replica = Some(now),
        }
        Ok(())
    }

    /// The power is cut, and what survives is found.
    pub fn crash(&mut self, survival: Survival) {
        super::tell(|| {
            let trace = self.disk.trace();
            let from = trace.iter().position(|entry| entry.fault.is_some());
            let from = from.unwrap_or(trace.len().saturating_sub(1));
            let tail: String = trace[from..].iter().map(|entry| format!("\n    {entry}")).collect();
            format!("power cut, {survival:?}; {}; since the fault:{tail}", self.model.state())
        });
        let found = self.disk.crash(survival);
        self.tally.one("power cuts");
        self.tally.one(&format!("power cuts: {survival:?}"));
        self.tally.take_trace(&self.disk);
        self.let_go();
        self.disk = found;
        self.disk.start_trace();
    }

    /// The process is killed; the system goes on.
    pub fn kill(&mut self) {
        super::tell(|| format!("killed; {}", self.model.state()));
        self.tally.one("killed processes");
        self.kill_quietly();
        self.disk.set_plan(laterbase::storage::FaultPlan::default());
    }

    fn kill_quietly(&mut self) {
        self.process.kill();
        self.let_go();
    }

    /// Forgets the database, which can no longer change anything.
    fn let_go(&mut self) {
        self.tickets.clear();
        self.db = None;
    }

    /// Closes in good order.
    pub fn close(&mut self) -> Result<(), Stop> {
        let db = self.db.take().expect("the database is open");
        let closed = db.close();
        self.tickets.clear();
        match closed {
            Ok(()) => {
                self.tally.one("clean closes");
                self.model.acknowledge_flushed(self.model.commits.len());
                Ok(())
            }
            Err(CloseError::Append(error)) => Err(self.append_stop(error)),
            Err(_) if self.stormy => Err(Stop::Struck),
            Err(error) => Err(violation!("does not close: {error}").into()),
        }
    }

    /// What an error of a read means.
    pub fn read_stop(&self, error: ReadError) -> Stop {
        if self.stormy && is_read_of_storage(&error) {
            return Stop::Struck;
        }
        violation!("cannot be read: {error} ({error:?})").into()
    }

    /// What an error of an append, a flush or a step means.
    pub fn append_stop(&mut self, error: AppendError) -> Stop {
        match error {
            AppendError::Failed { cause } if self.stormy => {
                self.poisoned = Some(cause.cause.clone());
                Stop::Struck
            }
            AppendError::Read(error) => self.read_stop(error),
            AppendError::IndexesFull { .. } if self.stormy => Stop::Struck,
            error => violation!("an append fails: {error} ({error:?})").into(),
        }
    }
}

/// Whether the storage itself failed.
pub fn is_of_storage(error: &OpenError) -> bool {
    use laterbase_index::{MaintainError, OpenError as IndexOpenError};
    matches!(
        error,
        OpenError::Storage(_)
            | OpenError::Log(laterbase_log::OpenError::Storage(_))
            | OpenError::Index(IndexOpenError::Storage(_))
            | OpenError::Identity(IdentityError::Storage(_))
            | OpenError::Maintain(MaintainError::Storage(_) | MaintainError::Stopped { .. })
    ) || matches!(error, OpenError::Read(error) if is_read_of_storage(error))
}

fn is_read_of_storage(error: &ReadError) -> bool {
    matches!(
        error,
        ReadError::Log(laterbase_log::ReadError::Storage(_))
            | ReadError::Index(laterbase_index::ReadError::Storage(_))
    )
}
