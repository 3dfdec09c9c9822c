//! Durable consumers: each matching event is given at least once, whatever crashes; what is
//! acknowledged is not given again; what cannot be dealt with ends on a list.
//!
//! Caught here: an acknowledgement that is not on the device, an event that is skipped because a
//! later one was acknowledged, an event that is given for ever.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod consumer_lives;
mod support;

use consumer_lives::live;
use laterbase::{
    Consumer, ConsumerConfig, ConsumerError, Database, Delivery, Durability, NewEvent, Position,
    Start,
};
use support::Fixture;

fn append(db: &Database, root: &str, count: usize) {
    let mut commit = db.commit();
    for at in 0..count {
        commit.push(&NewEvent::new(root, format!("k{at}"), "seen").json(&at).unwrap()).unwrap();
    }
    db.append(&mut commit).unwrap().wait().unwrap();
}

fn config() -> ConsumerConfig {
    ConsumerConfig { redeliver_ms: 1000, attempts_max: 3, ..ConsumerConfig::default() }
}

fn positions(deliveries: &[Delivery]) -> Vec<Position> {
    deliveries.iter().map(|delivery| delivery.recorded.position).collect()
}

fn numbers(deliveries: &[Delivery]) -> Vec<u64> {
    positions(deliveries).iter().map(|position| position.as_u64()).collect()
}

fn start(fixture: &Fixture, config: ConsumerConfig) -> Consumer {
    fixture.db.create_consumer("billing", config, Start::Beginning).unwrap();
    fixture.db.consumer("billing").unwrap()
}

#[test]
fn what_is_acknowledged_is_not_given_again_and_what_is_not_is() {
    let mut fixture = Fixture::new();
    append(&fixture.db, "shipment", 5);
    let billing = start(&fixture, config());
    let given = billing.fetch(3).unwrap();
    assert_eq!(numbers(&given), [1, 2, 3]);
    // The middle one is not dealt with.
    assert_eq!(billing.acknowledge(&[Position::new(1), Position::new(3)]).unwrap(), 2);
    assert_eq!(numbers(&billing.fetch(10).unwrap()), [4, 5]);
    drop(billing);
    fixture.reopen();
    let billing = fixture.db.consumer("billing").unwrap();
    // 4 and 5 were not acknowledged when the consumer's file was written last.
    let again = billing.fetch(10).unwrap();
    assert_eq!(numbers(&again), [4, 5]);
    fixture.clock.advance_ms(1001);
    let again = billing.fetch(10).unwrap();
    assert_eq!(numbers(&again), [2, 4, 5]);
    assert_eq!(again[0].attempt, 2);
    billing.acknowledge(&positions(&again)).unwrap();
    fixture.clock.advance_ms(10_000);
    assert!(billing.fetch(10).unwrap().is_empty());
    let status = billing.status().unwrap();
    assert_eq!((status.lag, status.open, status.dead), (0, 0, 0));
}

#[test]
fn what_is_given_too_often_ends_on_the_list_and_can_be_tried_again() {
    let fixture = Fixture::new();
    append(&fixture.db, "shipment", 2);
    let billing = start(&fixture, config());
    for attempt in 1..=3 {
        let given = billing.fetch(10).unwrap();
        assert_eq!(given[0].attempt, attempt);
        if attempt == 1 {
            billing.acknowledge(&[Position::new(2)]).unwrap();
        }
        // Rejected twice, then left alone.
        if attempt < 3 {
            assert!(billing.reject(Position::new(1), "no such customer").unwrap());
            fixture.clock.advance_ms(1000);
        }
    }
    assert!(billing.dead_letters().unwrap().is_empty());
    fixture.clock.advance_ms(1000);
    assert!(billing.fetch(10).unwrap().is_empty());
    let dead = billing.dead_letters().unwrap();
    assert_eq!(dead.len(), 1);
    assert_eq!((dead[0].position, dead[0].attempts), (Position::new(1), 3));
    assert_eq!(dead[0].reason.as_deref(), Some("no such customer"));

    assert_eq!(billing.retry(&[dead[0].position, Position::new(2)]).unwrap(), 1);
    let given = billing.fetch(10).unwrap();
    assert_eq!((numbers(&given), given[0].attempt), (vec![1], 1));
    for _ in 0..3 {
        billing.reject(Position::new(1), "still not").unwrap();
        fixture.clock.advance_ms(1000);
        drop(billing.fetch(10).unwrap());
    }
    assert_eq!(billing.discard(&[Position::new(1)]).unwrap(), 1);
    assert!(billing.dead_letters().unwrap().is_empty());
}

#[test]
fn only_what_matches_and_is_flushed_is_given_and_only_so_much() {
    let fixture = Fixture::new();
    let config = ConsumerConfig {
        root: Some("truck".to_owned()),
        types: vec!["seen".to_owned()],
        open_max: 2,
        ..config()
    };
    append(&fixture.db, "shipment", 3);
    append(&fixture.db, "truck", 3);
    let event = NewEvent::new("truck", "k", "seen").json(&0).unwrap();
    fixture.append_with(&event, Durability::Relaxed);
    let trucks = start(&fixture, config);
    assert_eq!(numbers(&trucks.fetch(10).unwrap()), [4, 5]);
    assert!(trucks.fetch(10).unwrap().is_empty(), "two are open, and no more may be");
    trucks.acknowledge(&[Position::new(4), Position::new(5)]).unwrap();
    assert_eq!(numbers(&trucks.fetch(10).unwrap()), [6], "the last one is not flushed");
    fixture.db.flush().unwrap();
    assert_eq!(numbers(&trucks.fetch(10).unwrap()), [7]);
}

#[test]
fn mistakes_are_told() {
    let fixture = Fixture::new();
    let db = &fixture.db;
    assert!(matches!(db.consumer("none"), Err(ConsumerError::Unknown { .. })));
    for name in ["", "Billing", "a/b", "../x"] {
        let made = db.create_consumer(name, config(), Start::Now);
        assert!(matches!(made, Err(ConsumerError::Name { .. })), "{name}");
    }
    let config = ConsumerConfig { tags: vec!["no tag".to_owned()], ..config() };
    let made = db.create_consumer("billing", config, Start::Now);
    assert!(matches!(made, Err(ConsumerError::Filter { .. })));
    assert!(db.consumers().unwrap().is_empty());
    start(&fixture, self::config());
    assert_eq!(db.consumers().unwrap(), ["billing"]);
    assert!(db.remove_consumer("billing").unwrap());
    assert!(!db.remove_consumer("billing").unwrap());
    assert!(matches!(db.consumer("billing"), Err(ConsumerError::Unknown { .. })));
}

#[test]
fn a_disk_that_fails_takes_no_acknowledgement_and_skips_no_event() {
    for seed in 1..=500 {
        if let Err(told) = live(seed) {
            panic!("life {seed}: {told}");
        }
    }
}

/// `consumers/billing.json` as version 1 wrote it.
#[test]
fn the_file_of_version_1_is_read() {
    let fixture = Fixture::new();
    append(&fixture.db, "shipment", 9);
    start(&fixture, config());
    let copy = {
        let written = std::fs::read(fixture.dir.path().join("consumers/billing.json")).unwrap();
        let written: serde_json::Value = serde_json::from_slice(&written).unwrap();
        written["copy"].as_str().unwrap().to_owned()
    };
    let kept = include_str!("fixtures/consumers-v1/billing.json").replace("COPY", &copy);
    std::fs::write(fixture.dir.path().join("consumers/old.json"), kept).unwrap();
    let old = fixture.db.consumer("old").unwrap();
    let status = old.status().unwrap();
    assert_eq!((status.open, status.dead, status.lag), (1, 1, 2));
    assert_eq!(status.config.types, ["delivered"]);
    assert_eq!(old.dead_letters().unwrap()[0].reason.as_deref(), Some("no such customer"));

    let newer = include_str!("fixtures/consumers-v1/billing.json").replace(": 1,", ": 2,");
    std::fs::write(fixture.dir.path().join("consumers/newer.json"), newer).unwrap();
    let refused = fixture.db.consumer("newer").map(drop).unwrap_err().to_string();
    assert_eq!(refused, "consumers/newer.json has format 2, and this build reads 1: upgrade");
    std::fs::write(fixture.dir.path().join("consumers/bad.json"), "{}").unwrap();
    assert!(matches!(fixture.db.consumer("bad"), Err(ConsumerError::File(_))));
}
