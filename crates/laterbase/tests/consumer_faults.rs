//! Consumers where something goes wrong: the disk, the file, another handle, the list of the dead.
//!
//! Caught here: an event that is skipped because a later one could not be read, an attempt that was
//! none, an acknowledgement that is lost with a failed write, a consumer that comes back after it
//! was removed, a file that can be written and not read.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod support;

use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use laterbase::storage::{Fault, FaultPlan, FaultyStorage, OpClass, Storage, StorageOp};
use laterbase::{
    Consumer, ConsumerConfig, ConsumerError, ConsumerFileError, Database, Delivery, NewEvent,
    Position, Rejection, Settlement, Start,
};
use support::{Fixture, TestEnvironment, of_ships, options, quiet, storage};

const READ: OpClass = OpClass::Only(StorageOp::Read);

/// A database on a simulated disk, and a consumer of the root `ship`.
struct World {
    disk: FaultyStorage,
    clock: Arc<TestEnvironment>,
    db: Database,
    billing: Consumer,
}

fn append(db: &Database, root: &str, count: usize) {
    for part in 0..count.div_ceil(5000) {
        let mut commit = db.commit();
        for at in part * 5000..count.min(part * 5000 + 5000) {
            commit.push(&NewEvent::new(root, "k", "seen").json(&at).unwrap()).unwrap();
        }
        db.append(&mut commit).unwrap().wait().unwrap();
    }
}

/// With events that have to be read from the disk.
fn world(fill: impl FnOnce(&Database)) -> World {
    let disk = FaultyStorage::new(1);
    let clock = TestEnvironment::at_ms(1_800_000_000_000);
    let db = Database::create_on(Arc::new(disk.clone()), clock.clone(), quiet()).unwrap();
    fill(&db);
    db.close().unwrap();
    let db = Database::open_on(Arc::new(disk.clone()), clock.clone(), quiet()).unwrap();
    db.create_consumer("billing", of_ships(), Start::Beginning).unwrap();
    let billing = db.consumer("billing").unwrap();
    World { disk, clock, db, billing }
}

fn at(positions: impl IntoIterator<Item = u64>) -> Vec<Position> {
    positions.into_iter().map(Position::new).collect()
}

fn numbers(deliveries: &[Delivery]) -> Vec<u64> {
    deliveries.iter().map(|delivery| delivery.recorded.position.as_u64()).collect()
}

fn nth(class: OpClass, nth: u64, fault: Fault) -> FaultPlan {
    FaultPlan::default().with_nth(class, nth, fault)
}

/// Everything that is given until there is nothing more.
fn drain(consumer: &Consumer) -> Vec<u64> {
    let mut all = Vec::new();
    loop {
        let deliveries = consumer.fetch(100).unwrap();
        if deliveries.is_empty() {
            return all;
        }
        all.extend(numbers(&deliveries));
    }
}

#[test]
fn a_read_that_fails_far_behind_what_was_found_skips_no_event() {
    let world = world(|db| {
        append(db, "ship", 1);
        append(db, "truck", 70_000);
        append(db, "ship", 1);
        append(db, "truck", 70_000);
    });
    let before = world.disk.counts().reads;
    assert_eq!(drain(&world.billing), [1, 70_002]);
    let reads = world.disk.counts().reads - before;
    assert!(reads >= 10, "{reads} reads");
    for read in 1..=reads {
        world.db.create_consumer("other", of_ships(), Start::Beginning).unwrap();
        let other = world.db.consumer("other").unwrap();
        world.disk.set_plan(nth(READ, read, Fault::Fail));
        let (mut given, mut failed) = (Vec::new(), 0);
        for _ in 0..4 {
            match other.fetch(100) {
                Ok(deliveries) => given.extend(numbers(&deliveries)),
                Err(ConsumerError::Read(_)) => failed += 1,
                Err(error) => panic!("{error}"),
            }
        }
        assert!(failed <= 1, "read {read}");
        assert_eq!(given, [1, 70_002], "read {read}");
        world.db.remove_consumer("other").unwrap();
    }
}

#[test]
fn one_window_that_gives_something_is_enough_for_a_fetch() {
    let world = world(|db| {
        append(db, "ship", 2);
        append(db, "truck", 70_000);
        append(db, "ship", 1);
    });
    assert_eq!(numbers(&world.billing.fetch(100).unwrap()), [1, 2]);
    assert_eq!(world.billing.status().unwrap().lag, 70_003 - 65_536);
    assert_eq!(numbers(&world.billing.fetch(100).unwrap()), [70_003], "what does not match passes");
}

#[test]
fn acknowledging_waits_for_no_read() {
    let world = world(|db| {
        append(db, "ship", 1);
        append(db, "truck", 70_000);
    });
    assert_eq!(numbers(&world.billing.fetch(1).unwrap()), [1]);
    world.disk.set_plan(nth(READ, 1, Fault::Hang));
    let (settled, done) = mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(|| world.billing.fetch(1));
        assert!(world.disk.disk().wait_for_hang(Duration::from_secs(60)));
        scope.spawn(|| {
            let acknowledged = world.billing.acknowledge(&at([1])).unwrap();
            settled.send((acknowledged, world.billing.status().unwrap().open)).unwrap();
        });
        let in_time = done.recv_timeout(Duration::from_secs(20));
        world.disk.disk().end_hangs();
        assert_eq!(in_time, Ok((1, 0)));
    });
}

#[test]
fn an_event_that_cannot_be_read_is_not_counted_as_given() {
    let world = world(|db| append(db, "ship", 2));
    assert_eq!(numbers(&world.billing.fetch(10).unwrap()), [1, 2]);
    world.disk.set_plan(FaultPlan::default().with_rate(READ, Fault::Fail, 1_000_000));
    for _ in 0..5 {
        world.clock.advance_ms(1001);
        match world.billing.fetch(10) {
            Err(ConsumerError::Unreadable { position, .. }) => assert_eq!(position.as_u64(), 1),
            other => panic!("{other:?}"),
        }
    }
    world.disk.set_plan(FaultPlan::default());
    let again = world.billing.fetch(10).unwrap();
    assert_eq!((numbers(&again), again[0].attempt), (vec![1, 2], 2));
    assert_eq!(world.billing.status().unwrap().dead, 0);
}

#[test]
fn an_event_that_cannot_be_read_holds_up_no_other_that_was_given() {
    let world = world(|db| append(db, "ship", 3));
    world.billing.fetch(10).unwrap();
    world.clock.advance_ms(1001);
    world.disk.set_plan(nth(READ, 1, Fault::Fail));
    let given = numbers(&world.billing.fetch(10).unwrap());
    assert!(given == [2, 3] || given == [3], "{given:?}");
    assert_eq!(world.billing.fetch(1).unwrap()[0].recorded.position.as_u64(), 1);
}

#[test]
fn a_dead_letter_that_cannot_be_read_is_listed_and_says_why() {
    let world = world(|db| append(db, "ship", 2));
    for _ in 0..3 {
        assert_eq!(numbers(&world.billing.fetch(10).unwrap()), [1, 2]);
        world.clock.advance_ms(1001);
    }
    assert!(world.billing.fetch(10).unwrap().is_empty());
    let letters = world.billing.dead_letters().unwrap();
    assert!(letters.iter().all(|letter| letter.id.is_some() && letter.unreadable.is_none()));
    world.disk.set_plan(FaultPlan::default().with_rate(READ, Fault::Fail, 1_000_000));
    let letters = world.billing.dead_letters().unwrap();
    assert_eq!(letters.len(), 2);
    for (letter, position) in letters.iter().zip(1..) {
        assert_eq!((letter.position, letter.id), (Position::new(position), None));
        assert!(letter.unreadable.as_ref().is_some_and(|why| !why.is_empty()));
    }
}

#[test]
fn one_fetch_gives_32_mib_at_the_most_and_one_event_at_least() {
    let mut roomy = quiet();
    roomy.payload_bytes_max = 16 << 20;
    let fixture = Fixture::with_options(1_800_000_000_000, roomy);
    for _ in 0..5 {
        fixture.append(&NewEvent::new("ship", "k", "seen").bytes("x/y", vec![7; 12 << 20]));
    }
    fixture.db.create_consumer("billing", of_ships(), Start::Beginning).unwrap();
    let billing = fixture.db.consumer("billing").unwrap();
    for _ in 0..2 {
        assert_eq!(numbers(&billing.fetch(10).unwrap()), [1, 2]);
        assert_eq!(numbers(&billing.fetch(10).unwrap()), [3, 4]);
        assert_eq!(numbers(&billing.fetch(10).unwrap()), [5]);
        fixture.clock.advance_ms(1001);
    }
}

#[test]
fn a_removed_consumer_is_not_written_by_a_handle_that_is_left() {
    let fixture = Fixture::new();
    append(&fixture.db, "ship", 3);
    fixture.db.create_consumer("billing", of_ships(), Start::Beginning).unwrap();
    let old = fixture.db.consumer("billing").unwrap();
    old.fetch(3).unwrap();
    assert!(fixture.db.remove_consumer("billing").unwrap());
    let is_unknown = |error: ConsumerError| matches!(error, ConsumerError::Unknown { .. });
    for new_one in [false, true] {
        if new_one {
            fixture.db.create_consumer("billing", of_ships(), Start::Beginning).unwrap();
        }
        assert!(is_unknown(old.acknowledge(&at([1])).unwrap_err()));
        assert!(is_unknown(old.fetch(3).unwrap_err()));
        assert!(is_unknown(old.status().unwrap_err()));
        assert!(is_unknown(old.dead_letters().unwrap_err()));
        let file = fixture.dir.path().join("consumers/billing.json");
        assert_eq!(file.exists(), new_one);
    }
    let new = fixture.db.consumer("billing").unwrap();
    assert_eq!(numbers(&new.fetch(3).unwrap()), [1, 2, 3]);
}

#[test]
fn a_process_that_only_reads_removes_no_consumer() {
    let fixture = Fixture::new();
    fixture.db.create_consumer("billing", of_ships(), Start::Beginning).unwrap();
    let clock = fixture.clock.clone();
    let reader = Database::open_read_only_on(storage(&fixture.dir), clock, options()).unwrap();
    assert!(matches!(reader.remove_consumer("billing"), Err(ConsumerError::ReadOnly)));
    assert_eq!(reader.consumers().unwrap(), ["billing"]);
    assert!(fixture.db.consumer("billing").is_ok());
}

#[test]
fn a_handle_of_a_closed_database_writes_nothing() {
    let mut fixture = Fixture::new();
    append(&fixture.db, "ship", 2);
    fixture.db.create_consumer("billing", of_ships(), Start::Beginning).unwrap();
    let old = fixture.db.consumer("billing").unwrap();
    let closed = fixture.db.clone();
    old.fetch(2).unwrap();
    fixture.reopen();
    let new = fixture.db.consumer("billing").unwrap();
    new.fetch(2).unwrap();
    new.acknowledge(&at([1, 2])).unwrap();
    assert!(matches!(old.acknowledge(&at([1])), Err(ConsumerError::Closed)));
    assert!(matches!(closed.consumer("billing"), Err(ConsumerError::Closed)));
    assert!(matches!(closed.remove_consumer("billing"), Err(ConsumerError::Closed)));
    drop(new);
    fixture.reopen();
    fixture.clock.advance_ms(5000);
    assert!(fixture.db.consumer("billing").unwrap().fetch(2).unwrap().is_empty());
}

#[test]
fn while_the_list_of_the_dead_is_full_nothing_is_given_and_the_error_says_what_to_do() {
    let fixture = Fixture::new();
    append(&fixture.db, "ship", 10_002);
    let config = ConsumerConfig { open_max: 20_000, attempts_max: 1, ..of_ships() };
    fixture.db.create_consumer("billing", config, Start::Beginning).unwrap();
    let billing = fixture.db.consumer("billing").unwrap();
    assert_eq!(billing.fetch(10_001).unwrap().len(), 10_001);
    fixture.clock.advance_ms(1001);
    for _ in 0..2 {
        let refused = billing.fetch(10).unwrap_err().to_string();
        assert_eq!(
            refused,
            "10000 events of consumer `billing` are dead, and the list holds no more: retry or \
             discard some of them, then it is given events again"
        );
    }
    let status = billing.status().unwrap();
    assert_eq!((status.dead, status.open), (10_000, 1));
    assert_eq!(billing.discard(&at([5])).unwrap(), 1);
    assert_eq!(numbers(&billing.fetch(10).unwrap()), [10_002]);
    let status = billing.status().unwrap();
    assert_eq!((status.dead, status.open), (10_000, 1));
}

#[test]
fn what_changes_nothing_writes_nothing_and_a_settlement_is_written_once() {
    let world = world(|db| append(db, "ship", 9));
    let billing = &world.billing;
    billing.fetch(6).unwrap();
    let written = || world.disk.counts().mutations;
    let before = written();
    assert_eq!(billing.acknowledge(&[]).unwrap(), 0);
    assert_eq!(billing.acknowledge(&at([8, 99])).unwrap(), 0);
    assert_eq!(billing.retry(&at([1])).unwrap() + billing.discard(&at([1])).unwrap(), 0);
    assert!(!billing.reject(Position::new(8), "not given").unwrap());
    assert_eq!(written(), before);
    let replaced = world.disk.counts().dir_syncs;
    let reject = |position| Rejection { position: Position::new(position), reason: "no".into() };
    let settled = billing.settle(&Settlement {
        acknowledge: at([1, 2, 99]),
        reject: vec![reject(3), reject(4), reject(99)],
        ..Settlement::default()
    });
    let settled = settled.unwrap();
    assert_eq!((settled.acknowledged, settled.rejected), (2, 2));
    assert_eq!(world.disk.counts().dir_syncs, replaced + 1);
}

#[test]
fn a_settlement_that_cannot_be_written_changes_nothing_and_may_be_repeated() {
    for op in [StorageOp::Write, StorageOp::Sync, StorageOp::Rename] {
        let world = world(|db| append(db, "ship", 3));
        let billing = &world.billing;
        billing.fetch(10).unwrap();
        world.disk.set_plan(nth(OpClass::Only(op), 1, Fault::Fail));
        assert!(matches!(billing.acknowledge(&at([1, 3])), Err(ConsumerError::File(_))), "{op}");
        assert_eq!(billing.status().unwrap().open, 3, "{op}");
        world.clock.advance_ms(1001);
        assert_eq!(numbers(&billing.fetch(10).unwrap()), [1, 2, 3], "{op}");
        assert_eq!(billing.acknowledge(&at([1, 3])).unwrap(), 2, "{op}");
    }
}

#[test]
fn a_file_that_says_what_cannot_be_is_refused_by_name() {
    let fixture = Fixture::new();
    append(&fixture.db, "ship", 9);
    fixture.db.create_consumer("good", of_ships(), Start::Beginning).unwrap();
    fixture.db.consumer("good").unwrap().fetch(2).unwrap();
    fixture.db.consumer("good").unwrap().acknowledge(&at([1])).unwrap();
    let path = |name: &str| fixture.dir.path().join(format!("consumers/{name}.json"));
    let good: serde_json::Value =
        serde_json::from_slice(&std::fs::read(path("good")).unwrap()).unwrap();
    let one = good["state"]["open"]["2"].clone();
    let dead = serde_json::json!({ "attempts": 1, "since_us": 0, "reason": null });
    let cases = [
        ("zero", "open", "0", &one),
        ("far", "open", "3", &one),
        ("dead-zero", "dead", "0", &dead),
        ("dead-far", "dead", "3", &dead),
        ("both", "dead", "2", &dead),
    ];
    for (name, list, position, entry) in cases {
        let mut bad = good.clone();
        bad["state"][list][position] = entry.clone();
        std::fs::write(path(name), bad.to_string()).unwrap();
        let error = fixture.db.consumer(name).map(drop).unwrap_err();
        let damaged = matches!(error, ConsumerError::File(ConsumerFileError::Damaged { .. }));
        assert!(damaged, "{name}: {error}");
        let told = error.to_string();
        let begin = format!("consumers/{name}.json is damaged");
        assert!(told.starts_with(&begin), "{told}");
        assert!(told.ends_with("remove the consumer and make it again"), "{told}");
        assert!(fixture.db.remove_consumer(name).unwrap());
    }
}

#[test]
fn consumers_and_what_they_name_have_a_bound() {
    let world = world(|_| {});
    let db = &world.db;
    let wide = [
        ConsumerConfig { open_max: 100_001, ..of_ships() },
        ConsumerConfig { types: vec!["seen".to_owned(); 1001], ..of_ships() },
        ConsumerConfig { tags: vec!["a:b".to_owned(); 1001], ..of_ships() },
    ];
    for config in wide {
        let made = db.create_consumer("wide", config, Start::Now);
        assert!(matches!(made, Err(ConsumerError::Config { .. })), "{made:?}");
    }
    for number in 1..1000 {
        assert!(db.create_consumer(&format!("c{number}"), of_ships(), Start::Now).unwrap());
    }
    let refused = db.create_consumer("more", of_ships(), Start::Now);
    assert!(matches!(refused, Err(ConsumerError::TooMany { max: 1000 })), "{refused:?}");
    assert!(!db.create_consumer("c1", of_ships(), Start::Now).unwrap(), "it is there");
    assert!(db.remove_consumer("c1").unwrap());
    assert!(db.create_consumer("more", of_ships(), Start::Now).unwrap());
}

#[test]
fn a_removal_that_fails_leaves_the_consumer_and_may_be_repeated() {
    let world = world(|db| append(db, "ship", 1));
    for op in [StorageOp::Remove, StorageOp::SyncDir] {
        world.disk.set_plan(nth(OpClass::Only(op), 1, Fault::Fail));
        assert!(matches!(world.db.remove_consumer("billing"), Err(ConsumerError::File(_))));
        assert!(world.billing.status().is_ok(), "{op}");
    }
    assert!(world.db.remove_consumer("billing").unwrap());
    let left = world.disk.exists("consumers/billing.json").unwrap();
    assert!(!left && matches!(world.billing.status(), Err(ConsumerError::Unknown { .. })));
}
