//! Indexes that cannot be written: memory stays within its bound, appends fail with a reason, reads
//! go on, and nothing is lost.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use laterbase::storage::{Fault, FaultPlan, FaultyStorage, OpClass, StorageOp};
use laterbase::{AppendError, Database, Durability, NewEvent, Options, Order, Query};
use support::TestEnvironment;

const MEMTABLE_BYTES: usize = 32 << 10;
const SOON: Duration = Duration::from_secs(20);

struct World {
    disk: FaultyStorage,
    clock: Arc<TestEnvironment>,
    db: Database,
    appended: u64,
}

fn options(threads: bool) -> Options {
    let mut options = support::options();
    options.threads = threads;
    options.pending_entries_max = 512;
    options.index.memtable_bytes = MEMTABLE_BYTES;
    options
}

impl World {
    fn new(threads: bool) -> Self {
        let disk = FaultyStorage::new(1);
        let clock = TestEnvironment::at_ms(1_800_000_000_000);
        let storage = Arc::new(disk.clone());
        let db = Database::create_on(storage, clock.clone(), options(threads)).unwrap();
        Self { disk, clock, db, appended: 0 }
    }

    /// From now on these operations fail; the log has no need of them within a segment.
    fn fail(&self, op: StorageOp) {
        let plan = FaultPlan::default().with_rate(OpClass::Only(op), Fault::Fail, 1_000_000);
        self.disk.set_plan(plan);
    }

    fn append(&mut self) -> Result<(), AppendError> {
        let mut commit = self.db.commit();
        commit.push(&NewEvent::new("shipment", format!("{}", self.appended), "scanned")).unwrap();
        commit.durability(Durability::Flushed);
        self.db.append(&mut commit)?.wait()?;
        self.appended += 1;
        Ok(())
    }

    /// Appends until it is refused, and checks that the memory is within its bound.
    fn append_until_refused(&mut self) {
        let error = loop {
            match self.append() {
                Ok(()) => assert!(self.appended < 50_000, "nothing is refused"),
                Err(error) => break error,
            }
        };
        let AppendError::IndexesFull { bytes, .. } = error else { panic!("{error}") };
        // What waited when the bound was met comes on top.
        assert!((4 * MEMTABLE_BYTES..6 * MEMTABLE_BYTES).contains(&bytes), "{bytes}");
        self.check();
    }

    /// Everything that was recorded is read, and nothing else.
    fn check(&self) {
        for order in [Order::Tx, Order::Arrival] {
            let events = self.db.read(&Query::all().order(order)).unwrap();
            let keys = events.map(|event| event.unwrap().event.key.as_str().to_owned());
            assert!(keys.eq((0..self.appended).map(|number| number.to_string())), "{order:?}");
        }
    }

    fn reopen(&mut self, threads: bool) {
        self.db.clone().close().unwrap();
        let storage = Arc::new(self.disk.clone());
        self.db = Database::open_on(storage, self.clock.clone(), options(threads)).unwrap();
    }
}

/// Break: holding whatever is appended, or waiting forever for the index thread.
#[test]
fn appends_are_refused_while_full_indexes_cannot_be_written_and_go_on_afterwards() {
    for threads in [false, true] {
        let mut world = World::new(threads);
        world.fail(StorageOp::Open);
        world.append_until_refused();
        assert!(matches!(world.append(), Err(AppendError::IndexesFull { .. })));
        world.check();
        world.disk.set_plan(FaultPlan::default());
        let deadline = Instant::now() + SOON;
        while let Err(error) = world.append() {
            assert!(matches!(error, AppendError::IndexesFull { .. }), "{error}");
            assert!(threads && Instant::now() < deadline, "each refusal has it tried again");
            std::thread::yield_now();
        }
        for _ in 0..2_000 {
            world.append().unwrap();
        }
        world.check();
        world.reopen(threads);
        world.check();
    }
}

/// Break: taking an index whose manifest is in doubt for one that can be written.
#[test]
fn indexes_whose_manifest_is_in_doubt_are_written_again_after_opening() {
    for threads in [false, true] {
        let mut world = World::new(threads);
        world.fail(StorageOp::Rename);
        world.append_until_refused();
        world.disk.set_plan(FaultPlan::default());
        assert!(matches!(world.append(), Err(AppendError::IndexesFull { .. })));
        world.check();
        world.reopen(threads);
        world.append().unwrap();
        world.check();
    }
}

/// Break: waiting for room in indexes of which nothing may be written before it is flushed.
#[test]
fn relaxed_appends_without_threads_are_flushed_for_the_indexes() {
    let disk = FaultyStorage::new(1);
    let clock = TestEnvironment::at_ms(1_800_000_000_000);
    let mut options = options(false);
    options.pending_entries_max = 64;
    options.index.memtable_bytes = 1 << 10;
    let db = Database::create_on(Arc::new(disk), clock, options).unwrap();
    let mut commit = db.commit();
    for _ in 0..1_000 {
        commit.clear();
        commit.push(&NewEvent::new("shipment", "1", "scanned")).unwrap();
        commit.durability(Durability::Relaxed);
        db.append(&mut commit).unwrap().wait().unwrap();
    }
    assert_eq!(db.stream_version("shipment", "1").unwrap(), 1_000);
}

/// Break: waking the index thread only when many entries wait.
#[test]
fn indexes_are_written_where_every_append_is_read_at_once() {
    let mut world = World::new(true);
    let runs = |world: &World| world.db.statistics().unwrap().index.runs;
    for _ in 0..2_000 {
        world.append().unwrap();
        assert_eq!(world.db.stream_version("shipment", "0").unwrap(), 1);
    }
    let deadline = Instant::now() + SOON;
    while runs(&world) == 0 {
        assert!(Instant::now() < deadline, "all of it stays in memory");
        std::thread::yield_now();
    }
    world.check();
}
