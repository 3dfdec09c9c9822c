//! What a session costs on the wire, without compression, which is the host's.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests, which print what they measured"
)]

mod world;

use laterbase_sync::{MemoryReplica, Replica, SessionConfig};
use world::{Cost, append, assert_same, draft, exchange, replica, root};

fn sync(client: &mut MemoryReplica, server: &mut MemoryReplica) -> Cost {
    let cost = exchange(client, server, &SessionConfig::default(), &mut 1000);
    assert_same(client, server, "sizes");
    cost
}

/// Two copies of which the second holds `logs` logs under one root, and the first the same.
fn pair(logs: u64) -> (MemoryReplica, MemoryReplica) {
    let mut server = replica(1);
    for number in 1..=logs {
        server.reincarnate(world::id(number));
        append(&mut server, "shipment", 1_700_000_000_000, 1);
    }
    server.reincarnate(world::id(5001));
    let mut client = replica(5002);
    sync(&mut client, &mut server);
    (client, server)
}

/// One event of 188 bytes of JSON.
fn sample(copy: &mut MemoryReplica, number: usize) {
    let json = format!(
        "{{\"event\":\"departed\",\"shipment\":\"S-{number:06}\",\"truck\":\"HH-XY {:04}\",\
         \"dock\":\"D{:02}\",\"weight_kg\":{:05},\"driver\":\"d{:05}\",\"temperature\":{:03},\
         \"note\":\"left the yard on time, seals were checked\"}}",
        number * 7 % 9999,
        number % 40,
        number * 31 % 99_999,
        number * 13 % 99_999,
        number % 900
    );
    let json = format!("{json:<188}");
    let key = format!("S-{number:06}");
    let drafts = [draft(&key, json.as_bytes())];
    assert_eq!(json.len(), 188);
    assert!(copy.append(&root("shipment"), 1_700_000_000_000 + number as u64, &drafts));
}

#[test]
fn equal_copies_part_after_one_round_trip_of_less_than_128_bytes_each_way() {
    for logs in [1, 1000] {
        let (mut client, mut server) = pair(logs);
        for remembered in [true, false] {
            if !remembered {
                // A copy of the server that never met the client.
                server.reincarnate(world::id(6001));
            }
            let cost = sync(&mut client, &mut server);
            println!("{logs} logs, nothing to do: {} up, {} down", cost.bytes_up, cost.bytes_down);
            assert_eq!(cost.round_trips, 1);
            assert!(cost.bytes_up < 128 && cost.bytes_down < 128, "{cost:?}");
        }
    }
}

#[test]
fn a_hundred_missing_events_take_one_round_trip_either_way() {
    for (direction, logs) in [("pull", 1), ("push", 1), ("pull", 1000)] {
        let (mut client, mut server) = pair(logs);
        let writer = if direction == "pull" { &mut server } else { &mut client };
        let before: usize = writer.batches().values().map(|batch| batch.len()).sum();
        let json: Vec<String> = (0..100).map(|number| format!("{number:>188}")).collect();
        let drafts: Vec<_> = json.iter().map(|json| draft("S-1", json.as_bytes())).collect();
        assert!(writer.append(&root("shipment"), 1_700_000_000_000, &drafts));
        let after: usize = writer.batches().values().map(|batch| batch.len()).sum();
        let cost = sync(&mut client, &mut server);
        assert_eq!(cost.round_trips, 1, "{direction}");
        let bytes = cost.bytes_up + cost.bytes_down;
        println!(
            "{direction}, {logs} logs, one batch of 100 events: {} of batches, {bytes} raw",
            after - before
        );
        assert!(bytes - (after - before) < 600, "{direction}: {bytes}");
    }
}

#[test]
fn a_hundred_events_of_188_bytes_each_in_its_own_batch_take_one_round_trip() {
    let (mut client, mut server) = pair(3);
    for number in 0..100 {
        sample(&mut server, number);
    }
    let cost = sync(&mut client, &mut server);
    println!("100 batches of one event: {} up, {} down, raw", cost.bytes_up, cost.bytes_down);
    assert_eq!(cost.round_trips, 1);
    assert!(cost.bytes_down < 40_000);
}

#[test]
fn an_empty_copy_gets_everything_in_one_round_trip() {
    let mut server = replica(1);
    for number in 0..10_000 {
        sample(&mut server, number);
    }
    let mut client = replica(2);
    let cost = sync(&mut client, &mut server);
    println!("cold, 10,000 batches of one event: {} down, raw", cost.bytes_down);
    assert_eq!(cost.round_trips, 1);
    assert_eq!(client.heads(), server.heads());
}

#[test]
fn changes_on_both_sides_take_at_most_two_round_trips() {
    let (mut client, mut server) = pair(20);
    append(&mut client, "shipment", 1_700_000_100_000, 2);
    append(&mut server, "truck", 1_700_000_100_000, 2);
    let cost = sync(&mut client, &mut server);
    assert_eq!(cost.round_trips, 1, "what was agreed on is remembered");
    append(&mut client, "shipment", 1_700_000_200_000, 2);
    append(&mut server, "shipment", 1_700_000_200_000, 2);
    server.reincarnate(world::id(6001));
    let cost = sync(&mut client, &mut server);
    assert!(cost.round_trips <= 2, "two strangers: {}", cost.round_trips);
}
