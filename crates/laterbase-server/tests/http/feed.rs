//! Event streams: everything once, from any id on, whatever comes from elsewhere meanwhile.

use std::time::{Duration, Instant};

use crate::support::{EventStream, Running, StreamEvent, append, sync};
use laterbase::{Database, Options};
use laterbase_server::ServerConfig;
use serde_json::Value;

/// One event of a stream: its id, and the event's own id and key.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Told {
    place: String,
    id: String,
    key: String,
}

/// The next events of a stream.
fn take(stream: &mut EventStream, count: usize) -> Vec<Told> {
    let told = |StreamEvent { id: place, data, .. }: StreamEvent| {
        let text = |name: &str| data[name].as_str().unwrap().to_owned();
        Told { place, id: text("id"), key: text("key") }
    };
    (0..count).map(|_| told(stream.next())).collect()
}

fn serve(directory: &std::path::Path, config: ServerConfig) -> Running {
    Database::create(directory, Options::default()).unwrap().close().unwrap();
    Running::of(directory, config)
}

fn event_ids(told: &[Told]) -> Vec<String> {
    told.iter().map(|told| told.id.clone()).collect()
}

#[test]
fn a_stream_catches_up_in_hlc_order_and_goes_on_in_arrival_order() {
    let directory = tempfile::tempdir().unwrap();
    let server = serve(&directory.path().join("a"), ServerConfig::default());
    let id = server.database().id();
    let other = Database::create_joined(directory.path().join("b"), Options::default(), id);
    let other = other.unwrap();
    // What the other records first arrives here last.
    append(&other, "shipment", 500..600, false);
    append(&server.database(), "shipment", 0..600, false);
    let mut client = EventStream::open(&server, "/e/shipment", None);
    let mut told = take(&mut client, 300);
    sync(&other, &server).0.unwrap();
    append(&server.database(), "shipment", 700..710, true);
    told.extend(take(&mut client, 410));
    let mut ids = event_ids(&told[..600]);
    assert!(ids.is_sorted(), "it catches up in HLC order");
    ids.extend(event_ids(&told[600..]));
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 710, "each once");
    // From every kind of place: just what came behind it, in the same order.
    for at in [0, 1, 255, 256, 299, 300, 598, 599, 600, 650, 699, 708] {
        let mut again = EventStream::open(&server, "/e/shipment", Some(&told[at].place));
        let rest = take(&mut again, 709 - at);
        assert_eq!(event_ids(&rest), event_ids(&told[at + 1..]), "from {at}");
        append(&server.database(), "other", 0..1, true);
    }
}

#[test]
fn ids_survive_a_restart_and_streams_leave_out_what_a_vector_covers() {
    let directory = tempfile::tempdir().unwrap();
    let (place, vv) = {
        let server = serve(directory.path(), ServerConfig::default());
        append(&server.database(), "truck", 0..10, false);
        let (_, described) = server.ask("GET", "/db/default", &[], b"");
        let described: Value = serde_json::from_str(&described).unwrap();
        append(&server.database(), "truck", 10..14, false);
        let vv = described["vv"].as_str().unwrap().to_owned();
        let mut client = EventStream::open(&server, &format!("/e?vv={vv}"), None);
        let told = take(&mut client, 2);
        assert_eq!(told[0].key, "10");
        (told[1].place.clone(), vv)
    };
    let server = Running::of(directory.path(), ServerConfig::default());
    let mut client = EventStream::open(&server, &format!("/e?vv={vv}"), Some(&place));
    append(&server.database(), "truck", 14..15, false);
    let keys: Vec<String> = take(&mut client, 3).into_iter().map(|told| told.key).collect();
    assert_eq!(keys, ["12", "13", "14"]);
    let (status, text) = server.ask(
        "GET",
        "/e",
        &["accept: text/event-stream", &format!("last-event-id: {place}")],
        b"",
    );
    assert_eq!((status, text.contains("/problems/cursor")), (400, true), "another vector: {text}");
    for question in ["limit=3", "order=valid", "as_of=AQA"] {
        let path = format!("/e?{question}");
        assert_eq!(server.ask("GET", &path, &["accept: text/event-stream"], b"").0, 400);
    }
}

#[test]
fn a_quiet_stream_says_that_it_is_there_and_ends_with_the_server() {
    let directory = tempfile::tempdir().unwrap();
    let config = ServerConfig { keep_alive: Duration::from_millis(50), ..ServerConfig::default() };
    let server = serve(directory.path(), config);
    let mut client = EventStream::open(&server, "/e", None);
    while client.line() != ": still here" {}
    drop(server);
    // The last chunk of an answer that was ended, not cut.
    while client.line() != "0" {}
}

#[test]
fn streams_are_bounded_and_slow_clients_hold_nobody_up() {
    let directory = tempfile::tempdir().unwrap();
    let config = ServerConfig { streams_max: 40, ..ServerConfig::default() };
    let server = serve(directory.path(), config);
    append(&server.database(), "truck", 0..5_000, true);
    // They ask for everything and read no more than the first line.
    let slow: Vec<EventStream> = (0..39).map(|_| EventStream::open(&server, "/e", None)).collect();
    let mut quick = EventStream::open(&server, "/e?key=x", None);
    let (status, text) = server.ask("GET", "/e", &["accept: text/event-stream"], b"");
    assert_eq!((status, text.contains("/problems/busy")), (503, true), "{text}");
    append(&server.database(), "truck", 5_000..5_001, true);
    let mut commit = server.database().commit();
    commit.push(&laterbase::NewEvent::new("truck", "x", "seen")).unwrap();
    server.database().append(&mut commit).unwrap().wait().unwrap();
    assert_eq!(take(&mut quick, 1)[0].key, "x");
    drop(slow);
    let until = Instant::now() + Duration::from_secs(10);
    while server.ask("GET", "/e?limit=1", &["accept: application/x-ndjson"], b"").0 != 200 {
        assert!(Instant::now() < until, "the places of clients that left are not given back");
    }
}

#[test]
fn clients_that_come_and_go_while_events_come_from_two_sides_see_each_once() {
    let directory = tempfile::tempdir().unwrap();
    let server = serve(&directory.path().join("a"), ServerConfig::default());
    let id = server.database().id();
    let other = Database::create_joined(directory.path().join("b"), Options::default(), id);
    let other = other.unwrap();
    const ROUNDS: u32 = 40;
    let total = (ROUNDS * 8) as usize;
    std::thread::scope(|threads| {
        threads.spawn(|| {
            for round in 0..ROUNDS {
                append(&other, "truck", round * 4..round * 4 + 2, false);
                append(&server.database(), "truck", round * 4 + 2..round * 4 + 6, round % 2 == 0);
                append(&other, "truck", round * 4 + 6..round * 4 + 8, true);
                sync(&other, &server).0.unwrap();
            }
        });
        for client in 0..4_usize {
            let server = &server;
            threads.spawn(move || {
                let mut told: Vec<Told> = Vec::new();
                while told.len() < total {
                    let place = told.last().map(|told| told.place.clone());
                    let mut stream = EventStream::open(server, "/e/truck", place.as_deref());
                    let count = (1 + (told.len() * 7 + client * 3) % 23).min(total - told.len());
                    told.extend(take(&mut stream, count));
                }
                let mut ids = event_ids(&told);
                ids.sort();
                ids.dedup();
                assert_eq!(ids.len(), total, "client {client} was told of one twice");
            });
        }
    });
}

#[test]
fn a_stream_that_says_its_order_resumes_from_every_id() {
    let directory = tempfile::tempdir().unwrap();
    let server = serve(directory.path(), ServerConfig::default());
    append(&server.database(), "truck", 0..3, true);
    let mut client = EventStream::open(&server, "/e?order=tx", None);
    let mut told = take(&mut client, 3);
    append(&server.database(), "truck", 3..6, true);
    told.extend(take(&mut client, 3));
    for (at, from) in told.iter().enumerate().take(5) {
        let mut again = EventStream::open(&server, "/e?order=tx", Some(&from.place));
        assert_eq!(event_ids(&take(&mut again, 5 - at)), event_ids(&told[at + 1..]), "from {at}");
    }
    // A page has one order, and no place of another.
    let place = &told[5].place;
    let (status, text) = server.ask("GET", &format!("/e?order=tx&after={place}"), &[], b"");
    assert_eq!((status, text.contains("/problems/cursor")), (400, true), "{text}");
}
