//! A real database as a copy in the world: without threads, on a disk that fails on purpose, with a
//! clock and random numbers of the world's.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use laterbase::sync::SyncPort;
use laterbase::{
    Database, Durability, EntropyError, Environment, IndexConfig, LogConfig, NewEvent, Options,
    Query, Reincarnation, ReplicaId, Timestamp, Validators, VersionVector,
};
use laterbase_log::storage::{
    Fault, FaultPlan, FaultyStorage, OpClass, ProcessStorage, Random, Storage, StorageOp, Survival,
};
use laterbase_sync::{Outcome, PeerMemory};

use crate::folds::Folds;
use crate::memory_node::see;
use crate::node::{
    Appended, Birth, Care, Ending, ForkSeen, Node, Opened, Place, Seen, Trouble, Violation, Wish,
    is_refused, violation,
};
use crate::tables;

/// Folds are asked after so many appends.
const ASK_EVERY: usize = 8;

/// A database, its disk and its clock.
#[derive(Debug)]
pub struct DatabaseNode {
    database: Option<Database>,
    /// Folds that live as long as it is open, and how many appends they have seen.
    folds: Option<Folds>,
    appends: usize,
    disk: FaultyStorage,
    process: ProcessStorage,
    environment: Arc<Surroundings>,
    replica: ReplicaId,
    number: usize,
    trouble: Option<Trouble>,
    /// Something failed that only opening again mends.
    has_failed: bool,
    /// A row could not be edited, for no reason.
    mistake: Option<String>,
}

/// A clock that shows what it is told, and random numbers that repeat.
#[derive(Debug)]
struct Surroundings {
    now_us: AtomicI64,
    random: AtomicU64,
}

impl Environment for Surroundings {
    fn now_us(&self) -> i64 {
        self.now_us.load(Ordering::SeqCst)
    }

    fn fill_random(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        let seed = self.random.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::SeqCst);
        let mut random = Random::new(seed);
        for chunk in bytes.chunks_mut(8) {
            let drawn = random.next_u64().to_le_bytes();
            for (byte, drawn) in chunk.iter_mut().zip(drawn) {
                *byte = drawn;
            }
        }
        Ok(())
    }
}

/// Sizes so small that some hundred events go through everything.
fn options(is_strict: bool) -> Options {
    let mut options = Options::small_device();
    options.threads = false;
    options.pending_entries_max = 150;
    options.folds.keep_every = 40;
    options.log = LogConfig {
        segment_bytes: 64 << 10,
        chunk_bytes: 8 << 10,
        ring_bytes: 40 << 10,
        commit_bytes_max: 1 << 20,
        cache_bytes: 64 << 10,
        read_ahead_bytes: 4096,
        hot_bytes_max: 64 << 10,
        spares: 1,
        ..LogConfig::small_device()
    };
    options.index = IndexConfig {
        memtable_bytes: 12 << 10,
        cache_bytes: 64 << 10,
        merge_bytes: 16 << 10,
        ..IndexConfig::small_device()
    };
    if is_strict {
        options.validators = Validators::default().with(|event| {
            if is_refused(event.type_name) { Err("doubtful".to_owned()) } else { Ok(()) }
        });
    }
    options
}

impl DatabaseNode {
    fn on(disk: FaultyStorage, birth: &Birth, replica: ReplicaId) -> Self {
        Self {
            database: None,
            folds: None,
            appends: 0,
            process: ProcessStorage::on(&disk),
            disk,
            environment: Arc::new(Surroundings {
                now_us: AtomicI64::new(birth.wall_us),
                random: AtomicU64::new(birth.seed),
            }),
            replica,
            number: birth.number,
            trouble: None,
            has_failed: false,
            mistake: None,
        }
    }

    /// Edits rows as the events that were recorded make it.
    fn edit_rows(&mut self, wishes: &[Wish]) {
        let Some(database) = &self.database else { return };
        for wish in wishes {
            match tables::edit(database, wish) {
                Ok(_) => {}
                Err(_) if self.trouble.is_some() => self.has_failed = true,
                Err(error) => self.mistake = Some(error.to_string()),
            }
        }
    }

    fn open(&self) -> Result<&Database, Violation> {
        self.database.as_ref().ok_or_else(|| violation!("it is closed"))
    }

    fn storage(&self) -> Arc<dyn Storage> {
        Arc::new(self.process.clone())
    }

    /// The storage as it is now, on the same machine or on another one.
    fn copy_of(disk: &FaultyStorage, place: Place, number: usize) -> FaultyStorage {
        match place {
            // What is seen, under the same names of files and machine.
            Place::InPlace => disk.survivor(Survival::Kept, &mut Random::new(number as u64)),
            Place::Elsewhere => disk.copied_to(&format!("place of {number}")),
        }
    }

    fn take_replica(&mut self) {
        if let Some(database) = &self.database {
            self.replica = database.replica();
        }
    }
}

impl Node for DatabaseNode {
    type Port = SyncPort;
    type Backup = FaultyStorage;
    const KEEPS_CLOCK: bool = true;

    fn create(birth: &Birth) -> Result<Self, Violation> {
        let disk = FaultyStorage::with_block_bytes(birth.seed, 1);
        let mut node = Self::on(disk, birth, ReplicaId::from_u64(0));
        let environment: Arc<dyn Environment> = Arc::clone(&node.environment) as _;
        let options = options(birth.is_strict);
        let made = Database::create_joined_on(node.storage(), environment, options, birth.database);
        let database = made.map_err(|error| violation!("cannot be created: {error}"))?;
        tables::declare(&database)?;
        node.folds = Some(Folds::of(&database));
        node.database = Some(database);
        node.take_replica();
        Ok(node)
    }

    fn is_up(&self) -> bool {
        self.database.is_some()
    }

    fn port(&self) -> Option<SyncPort> {
        self.database.as_ref()?.sync_port().ok()
    }

    fn replica(&self) -> ReplicaId {
        self.database.as_ref().map_or(self.replica, Database::replica)
    }

    fn set_wall_us(&mut self, now_us: i64) {
        self.environment.now_us.store(now_us, Ordering::SeqCst);
    }

    fn append(&mut self, wishes: &[Wish], care: Care) -> Appended {
        let Some(database) = &self.database else { return Appended::Failed };
        let mut commit = database.commit();
        commit.durability(match care {
            Care::Flushed => Durability::Flushed,
            Care::Relaxed => Durability::Relaxed,
        });
        for wish in wishes {
            let mut event = NewEvent::new(wish.root, wish.key.as_str(), wish.type_name);
            event.valid_at = wish.valid_us.map(Timestamp::from_micros);
            event.payload.clone_from(&wish.payload);
            if commit.push(&event).is_err() {
                return Appended::Refused;
            }
        }
        let appended = database.append(&mut commit).and_then(laterbase::Ticket::wait);
        match appended {
            Ok(appended) => {
                self.appends += 1;
                if self.appends.is_multiple_of(ASK_EVERY)
                    && let (Some(folds), Some(wish)) = (&self.folds, wishes.first())
                {
                    folds.ask(&wish.key);
                }
                let last = appended.ids().map(|id| id.hlc().millis()).max();
                self.edit_rows(wishes);
                Appended::Done { millis: last.unwrap_or(0) }
            }
            Err(_) => {
                self.has_failed = true;
                Appended::Failed
            }
        }
    }

    fn step(&mut self) {
        if let Some(database) = &self.database
            && database.step().is_err()
        {
            self.has_failed = true;
        }
    }

    fn record(&mut self, outcomes: &[Outcome]) {
        let forks = |outcome: &&Outcome| matches!(outcome, Outcome::Forked { .. });
        for outcome in outcomes.iter().filter(forks) {
            let done = self.port().map(|mut port| port.record(outcome));
            if !matches!(done, Some(Ok(()))) {
                self.has_failed = true;
            }
        }
    }

    fn is_struck(&mut self) -> Option<Ending> {
        if self.disk.is_off() {
            return Some(Ending::PowerCut);
        }
        // While there is trouble, whether the log still works is found out by using it.
        let is_struck = self.has_failed
            || (self.trouble.is_some()
                && self.database.as_ref().is_some_and(|database| database.flush().is_err()));
        if self.disk.is_off() {
            return Some(Ending::PowerCut);
        }
        is_struck.then_some(Ending::Killed)
    }

    fn stop(&mut self, ending: Ending, random: &mut Random) {
        self.take_replica();
        if let (Ending::Closed, Some(database)) = (ending, self.database.take()) {
            let _ = database.close();
        }
        // Closing may have met the power cut that was planned.
        if ending == Ending::PowerCut || self.disk.is_off() {
            self.disk = self.disk.crash(Survival::random(random));
            self.disk.set_capacity(None);
            self.trouble = None;
        }
        self.process.kill();
        (self.folds, self.database) = (None, None);
        self.has_failed = false;
    }

    fn reopen(&mut self, is_strict: bool) -> Result<Option<Opened>, Violation> {
        self.process = ProcessStorage::on(&self.disk);
        self.has_failed = false;
        let environment: Arc<dyn Environment> = Arc::clone(&self.environment) as _;
        let database = match Database::open_on(self.storage(), environment, options(is_strict)) {
            Ok(database) => database,
            Err(_) if self.trouble.is_some() => return Ok(None),
            Err(error) => return Err(violation!("does not open: {error} ({error:?})")),
        };
        let report = database.opened();
        let reason = report.reincarnation.map(|(reason, _)| reason);
        let opened = Opened {
            torn_tail: report.torn_tail.is_some(),
            was_copied: reason == Some(Reincarnation::Copied),
            clock_was_ahead: reason == Some(Reincarnation::ClockAhead),
        };
        self.folds = Some(Folds::of(&database));
        self.database = Some(database);
        self.take_replica();
        Ok(Some(opened))
    }

    fn trouble(&mut self, trouble: Option<Trouble>) {
        self.trouble = trouble;
        let plan = FaultPlan::default();
        let (plan, capacity) = match trouble {
            None => (plan, None),
            Some(Trouble::PowerCutAt(nth)) => {
                (plan.with_nth(OpClass::Mutation, nth, Fault::PowerCut), None)
            }
            Some(Trouble::SyncFailsAt(nth)) => {
                (plan.with_nth(OpClass::Only(StorageOp::Sync), nth, Fault::Fail), None)
            }
            Some(Trouble::WriteFailsAt(nth)) => {
                (plan.with_nth(OpClass::Only(StorageOp::Write), nth, Fault::Fail), None)
            }
            Some(Trouble::Full(room)) => (plan, Some(self.disk.used_bytes() + room)),
        };
        self.disk.set_plan(plan);
        self.disk.set_capacity(capacity);
    }

    fn backup(&mut self) -> FaultyStorage {
        Self::copy_of(&self.disk, Place::InPlace, self.number)
    }

    fn restore(&mut self, backup: &FaultyStorage, place: Place) {
        self.disk = Self::copy_of(backup, place, self.number);
        self.disk.set_capacity(None);
        self.trouble = None;
    }

    fn twin(&mut self, birth: &Birth, place: Place) -> Self {
        self.take_replica();
        let disk = Self::copy_of(&self.disk, place, birth.number);
        disk.set_capacity(None);
        Self::on(disk, birth, self.replica)
    }

    fn remember(&mut self, memory: &PeerMemory) {
        if let Some(mut port) = self.port() {
            port.remember(memory);
        }
    }

    fn visible(&self) -> Result<Vec<Seen>, Violation> {
        let database = self.open()?;
        let failed = |error| violation!("cannot be read: {error}");
        let mut seen = Vec::new();
        let all = Query::all().unknown_to(VersionVector::new());
        let mut after_id = None;
        for event in database.read(&all).map_err(failed)? {
            let event = event.map_err(failed)?.event;
            if after_id > Some(event.id) {
                return Err(violation!("reads {} out of order", event.id));
            }
            after_id = Some(event.id);
            seen.push(see(&event));
        }
        // The same by arrival, and without what databases record about themselves.
        let own: BTreeSet<_> = seen.iter().filter(|seen| !seen.is_reserved).copied().collect();
        let mut read = BTreeSet::new();
        for event in database.read(&Query::all()).map_err(failed)? {
            read.insert(see(&event.map_err(failed)?.event));
        }
        if own != read {
            let differs = own.symmetric_difference(&read).next();
            return Err(violation!(
                "reads {} events by arrival, {} by id; the first that is not in both: {differs:?}",
                read.len(),
                own.len()
            ));
        }
        Ok(seen)
    }

    fn quarantined(&self) -> Result<usize, Violation> {
        let all = self.open()?.quarantined();
        Ok(all.map_err(|error| violation!("quarantine cannot be listed: {error}"))?.len())
    }

    fn retry_quarantine(&mut self) -> Result<(), Violation> {
        let retried = self.open()?.retry_quarantine();
        let retried = retried.map_err(|error| violation!("cannot retry: {error}"))?;
        match (retried.refused, self.quarantined()?) {
            (0, 0) => Ok(()),
            (refused, left) => {
                Err(violation!("quarantine keeps {left} batches, {refused} were refused again"))
            }
        }
    }

    fn forks(&self) -> Result<Option<Vec<ForkSeen>>, Violation> {
        let forks = self.open()?.forks();
        let forks = forks.map_err(|error| violation!("forks cannot be listed: {error}"))?;
        let seen = |fork: laterbase::sync::Fork| ForkSeen {
            root: fork.root.as_str().to_owned(),
            writer: fork.replica,
            first_seq: fork.seq,
        };
        Ok(Some(forks.into_iter().map(seen).collect()))
    }

    fn folded(&self) -> Result<BTreeMap<String, String>, Violation> {
        let database = self.open()?;
        if let Some(mistake) = &self.mistake {
            return Err(violation!("a row cannot be edited: {mistake}"));
        }
        let mut rows = tables::rows(database)?;
        if let Some(folds) = &self.folds {
            rows.extend(folds.rows(database)?);
        }
        Ok(rows)
    }

    fn verify(&self) -> Result<(), Violation> {
        let report = self.open()?.verify(&mut |_| {});
        let report = report.map_err(|error| violation!("cannot be verified: {error}"))?;
        match report.problems.first() {
            None => Ok(()),
            Some(problem) => Err(violation!("verify finds: {problem}")),
        }
    }
}
