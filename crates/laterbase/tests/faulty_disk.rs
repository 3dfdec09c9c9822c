//! What a failing or damaged disk does to an open database, one example each.
//!
//! The campaign meets all of this at random; here each case stands alone.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod support;

use std::sync::Arc;

use laterbase::storage::{Fault, FaultPlan, FaultyStorage, OpClass, OpenMode, Storage, StorageOp};
use laterbase::{
    AppendError, Cut, Database, Durability, NewEvent, OpenError, Options, Order, Position, Query,
    ReadError,
};
use support::{TestEnvironment, at};

/// A database without threads on a disk that fails on purpose.
struct World {
    disk: FaultyStorage,
    clock: Arc<TestEnvironment>,
    db: Database,
}

fn options() -> Options {
    let mut options = support::options();
    options.threads = false;
    options
}

fn event(index: u64) -> NewEvent {
    NewEvent::new("shipment", format!("event-{index:04}"), "scanned")
}

impl World {
    fn new() -> Self {
        let disk = FaultyStorage::new(1);
        let clock = TestEnvironment::at_ms(1_800_000_000_000);
        let db = Database::create_on(Arc::new(disk.clone()), clock.clone(), options()).unwrap();
        Self { disk, clock, db }
    }

    fn append(&self, event: &NewEvent, durability: Durability) -> Result<(), AppendError> {
        let mut commit = self.db.commit();
        commit.push(event).unwrap();
        commit.durability(durability);
        self.db.append(&mut commit)?.wait().map(drop)
    }

    /// Events 1 to `count`, each in a group of its own.
    fn fill(&self, count: u64) {
        for index in 1..=count {
            self.append(&event(index), Durability::Flushed).unwrap();
        }
    }

    fn open(&self, options: Options) -> Result<Database, OpenError> {
        Database::open_on(Arc::new(self.disk.clone()), self.clock.clone(), options)
    }

    /// Flips a bit where the key of an event stands in the first segment.
    fn damage(&self, index: u64) {
        let path = "log/00000001.log";
        let file = self.disk.open(path, OpenMode::READ).unwrap();
        let mut bytes = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
        assert_eq!(file.read_at(0, &mut bytes).unwrap(), bytes.len());
        let key = format!("event-{index:04}");
        let offset = bytes.windows(key.len()).position(|window| window == key.as_bytes()).unwrap();
        self.disk.flip_bit(path, offset as u64, 0).unwrap();
    }
}

/// Reads until the end or an error, and past it.
fn read(db: &Database, query: &Query) -> (Vec<u64>, Option<ReadError>) {
    let mut events = db.read(query).unwrap();
    let mut positions = Vec::new();
    let mut failure = None;
    for event in events.by_ref() {
        match event {
            Ok(event) => positions.push(event.position.as_u64()),
            Err(error) => assert!(failure.replace(error).is_none(), "an error ends the answer"),
        }
    }
    assert!(events.next().is_none(), "and nothing follows it");
    (positions, failure)
}

/// Break: an iterator that drops the error when some events were read before it.
#[test]
fn read_that_fails_midway_hands_out_what_came_before_and_then_the_error() {
    let world = World::new();
    world.fill(40);
    world.db.clone().close().unwrap();
    let db = world.open(options()).unwrap();
    world.damage(20);
    for query in [Query::all().order(Order::Arrival), Query::all()] {
        let (positions, failure) = read(&db, &query);
        assert_eq!(positions, (1..20).collect::<Vec<u64>>(), "{query:?}");
        let corrupt =
            matches!(&failure, Some(ReadError::Log(laterbase_log::ReadError::Corrupt { .. })));
        assert!(corrupt, "{query:?}: {failure:?}");
    }
}

/// Break: indexing that stops at accepted damage.
#[test]
fn log_with_accepted_damage_is_indexed_up_to_its_end() {
    let world = World::new();
    world.fill(40);
    world.db.clone().close().unwrap();
    world.damage(20);
    for name in world.disk.list("index").unwrap() {
        world.disk.remove(&format!("index/{name}")).unwrap();
    }
    let refused = world.open(options()).unwrap_err();
    let is_damaged = matches!(refused, OpenError::Log(laterbase_log::OpenError::Damaged { .. }));
    assert!(is_damaged, "{refused}");
    let mut accepting = options();
    accepting.log.accept_damage = true;
    let db = world.open(accepting).unwrap();
    assert_eq!(db.opened().damages[0].first_position, Position::new(20));
    let (positions, failure) = read(&db, &Query::all());
    assert_eq!(positions, (1..20).chain(21..=40).collect::<Vec<u64>>());
    assert!(failure.is_none(), "{failure:?}");
}

/// Break: asking the log when an event arrived that it only holds in an open buffer.
#[test]
fn cut_by_time_holds_what_was_appended_with_relaxed_durability() {
    let world = World::new();
    world.fill(2);
    world.clock.advance_ms(1000);
    let before = world.clock.advance_ms(0);
    world.clock.advance_ms(1000);
    for index in 3..=5 {
        world.append(&event(index), Durability::Relaxed).unwrap();
    }
    let after = world.clock.advance_ms(1000);
    for (known_at, count) in [(at(0), 0), (before, 2), (after, 5)] {
        let (positions, failure) = read(&world.db, &Query::all().as_of(Cut::KnownAt(known_at)));
        assert_eq!(positions, (1..=count).collect::<Vec<u64>>(), "known at {known_at:?}");
        assert!(failure.is_none(), "{failure:?}");
    }
}

/// Break: a step that finds nothing to write and says that all is well.
#[test]
fn step_tells_of_a_log_that_has_failed() {
    let world = World::new();
    world.fill(1);
    world.disk.set_plan(FaultPlan::default().with_nth(
        OpClass::Only(StorageOp::Sync),
        1,
        Fault::Fail,
    ));
    let error = world.append(&event(2), Durability::Flushed).unwrap_err();
    assert!(matches!(error, AppendError::Failed { .. }), "{error}");
    for _ in 0..2 {
        let error = world.db.step().unwrap_err();
        assert!(matches!(error, AppendError::Failed { .. }), "{error}");
    }
}
