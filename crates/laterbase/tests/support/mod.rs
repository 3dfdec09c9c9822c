//! What the library's tests share: a database in a folder of its own, and a clock to set.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]

mod environment;

pub use environment::TestEnvironment;

use std::sync::Arc;

use laterbase::storage::{FileStorage, Storage};
use laterbase::sync::{Session, SessionConfig};
use laterbase::{
    Appended, ConsumerConfig, Database, Durability, Environment, EventDraft, EventId, NewEvent,
    Options, Query, Recorded, ReplicaId, Tag, Timestamp,
};
use laterbase_sync::MemoryReplica;

impl TestEnvironment {
    pub fn at_ms(now_ms: i64) -> Arc<Self> {
        Arc::new(Self::new(now_ms, 1))
    }

    /// With other random numbers.
    pub fn seeded(now_ms: i64, seed: u64) -> Arc<Self> {
        Arc::new(Self::new(now_ms, seed))
    }

    /// Moves the clock; answers the new time.
    pub fn advance_ms(&self, ms: i64) -> Timestamp {
        self.jump_us(ms * 1000);
        Timestamp::from_micros(self.now_us())
    }
}

/// A database in a folder of its own.
pub struct Fixture {
    pub dir: tempfile::TempDir,
    pub db: Database,
    pub clock: Arc<TestEnvironment>,
}

impl Fixture {
    pub fn new() -> Self {
        Self::with_clock(1_800_000_000_000)
    }

    pub fn with_clock(now_ms: i64) -> Self {
        Self::with_options(now_ms, options())
    }

    pub fn with_options(now_ms: i64, options: Options) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = TestEnvironment::at_ms(now_ms);
        let db = Database::create_on(storage(&dir), clock.clone(), options).unwrap();
        Self { dir, db, clock }
    }

    pub fn append(&self, event: &NewEvent) -> Appended {
        self.append_with(event, Durability::Flushed)
    }

    pub fn append_with(&self, event: &NewEvent, durability: Durability) -> Appended {
        let mut commit = self.db.commit();
        commit.push(event).unwrap();
        commit.durability(durability);
        self.db.append(&mut commit).unwrap().wait().unwrap()
    }

    pub fn ids(&self, query: &Query) -> Vec<EventId> {
        self.db.read(query).unwrap().map(|event| event.unwrap().event.id).collect()
    }

    pub fn reopen(&mut self) {
        self.db.clone().close().unwrap();
        self.db = Database::open_on(storage(&self.dir), self.clock.clone(), options()).unwrap();
    }

    pub fn reopen_without_indexes(&mut self) {
        self.db.clone().close().unwrap();
        std::fs::remove_dir_all(self.dir.path().join("index")).unwrap();
        self.db = Database::open_on(storage(&self.dir), self.clock.clone(), options()).unwrap();
    }
}

/// Small segments and memtables, so that small tests go through all of it.
pub fn options() -> Options {
    Options::small_device()
}

/// Without threads: only the test asks the disk for something.
pub fn quiet() -> Options {
    let mut options = options();
    options.threads = false;
    options
}

/// A consumer of the root `ship`, that gives up after three attempts.
pub fn of_ships() -> ConsumerConfig {
    ConsumerConfig {
        root: Some("ship".to_owned()),
        redeliver_ms: 1000,
        attempts_max: 3,
        ..ConsumerConfig::default()
    }
}

pub fn storage(dir: &tempfile::TempDir) -> Arc<dyn Storage> {
    Arc::new(FileStorage::open(dir.path()).unwrap())
}

/// An event of shipment 1.
pub fn event(type_name: &str) -> NewEvent {
    NewEvent::new("shipment", "1", type_name)
}

/// The stream of shipment 1.
pub fn stream() -> Query {
    Query::stream("shipment".try_into().unwrap(), "1".try_into().unwrap())
}

pub fn tag(text: &str) -> Tag {
    text.parse().unwrap()
}

pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000)
}

pub fn keys(events: &[Recorded]) -> Vec<&str> {
    events.iter().map(|event| event.event.key.as_str()).collect()
}

/// A database takes in what another writer made, whatever that is.
pub fn bring(copy: &MemoryReplica, db: &Database) {
    let (mut there, mut here) = (copy.clone(), db.sync_port().unwrap());
    let mut asks = Session::initiator(SessionConfig::default(), None);
    let mut answers = Session::responder(SessionConfig::default());
    for _ in 0..20 {
        let up = asks.poll_flight(0, &mut there);
        answers.handle_flight(&up, 0, &mut here);
        let down = answers.poll_flight(0, &mut here);
        asks.handle_flight(&down, 0, &mut there);
    }
}

/// Brings events of one root and key, by another writer.
pub fn bring_events(fixture: &Fixture, root: &str, drafts: &[EventDraft<'_>]) {
    let mut other = MemoryReplica::new(fixture.db.id(), ReplicaId::from_u64(7));
    let root = root.try_into().unwrap();
    for (now_ms, draft) in (1_800_000_001_000..).zip(drafts) {
        assert!(other.append(&root, now_ms, &[*draft]));
    }
    bring(&other, &fixture.db);
    fixture.clock.advance_ms(60_000);
}
