//! Event streams: everything once, from any id on, whatever comes from elsewhere meanwhile.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::support::{Running, append, sync};
use laterbase::{Database, Options};
use laterbase_server::ServerConfig;
use serde_json::Value;

/// A client of an event stream.
struct Client {
    lines: BufReader<TcpStream>,
}

/// One event of it: its id, and the event's own id and key.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Told {
    place: String,
    id: String,
    key: String,
}

impl Client {
    fn new(server: &Running, path: &str, last: Option<&str>) -> Self {
        let mut stream = TcpStream::connect(server.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let last = last.map_or_else(String::new, |id| format!("last-event-id: {id}\r\n"));
        let accept = "accept: text/event-stream";
        write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\n{accept}\r\n{last}\r\n").unwrap();
        let mut lines = BufReader::new(stream);
        let mut status = String::new();
        lines.read_line(&mut status).unwrap();
        assert!(status.contains("200"), "{status}");
        Self { lines }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        assert!(!line.is_empty(), "the stream ended");
        line.trim_end().to_owned()
    }

    fn next(&mut self) -> Told {
        let mut place = String::new();
        loop {
            let line = self.line();
            if let Some(id) = line.strip_prefix("id: ") {
                id.clone_into(&mut place);
            } else if let Some(data) = line.strip_prefix("data: ") {
                let event: Value = serde_json::from_str(data).unwrap();
                let text = |name: &str| event[name].as_str().unwrap().to_owned();
                return Told { place, id: text("id"), key: text("key") };
            }
        }
    }

    fn take(&mut self, count: usize) -> Vec<Told> {
        (0..count).map(|_| self.next()).collect()
    }
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
    let mut client = Client::new(&server, "/e/shipment", None);
    let mut told = client.take(300);
    sync(&other, &server).0.unwrap();
    append(&server.database(), "shipment", 700..710, true);
    told.extend(client.take(410));
    let mut ids = event_ids(&told[..600]);
    assert!(ids.is_sorted(), "it catches up in HLC order");
    ids.extend(event_ids(&told[600..]));
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 710, "each once");
    // From every kind of place: just what came behind it, in the same order.
    for at in [0, 1, 255, 256, 299, 300, 598, 599, 600, 650, 699, 708] {
        let mut again = Client::new(&server, "/e/shipment", Some(&told[at].place));
        let rest = again.take(709 - at);
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
        let mut client = Client::new(&server, &format!("/e?vv={vv}"), None);
        let told = client.take(2);
        assert_eq!(told[0].key, "10");
        (told[1].place.clone(), vv)
    };
    let server = Running::of(directory.path(), ServerConfig::default());
    let mut client = Client::new(&server, &format!("/e?vv={vv}"), Some(&place));
    append(&server.database(), "truck", 14..15, false);
    let keys: Vec<String> = client.take(3).into_iter().map(|told| told.key).collect();
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
    let mut client = Client::new(&server, "/e", None);
    while client.line() != ": still here" {}
    let began = Instant::now();
    drop(server);
    assert!(began.elapsed() < Duration::from_secs(5), "the stream held the server up");
}

#[test]
fn streams_are_bounded_and_slow_clients_hold_nobody_up() {
    let directory = tempfile::tempdir().unwrap();
    let config = ServerConfig { streams_max: 40, ..ServerConfig::default() };
    let server = serve(directory.path(), config);
    append(&server.database(), "truck", 0..5_000, true);
    // They ask for everything and read no more than the first line.
    let slow: Vec<Client> = (0..39).map(|_| Client::new(&server, "/e", None)).collect();
    let mut quick = Client::new(&server, "/e?key=x", None);
    let (status, text) = server.ask("GET", "/e", &["accept: text/event-stream"], b"");
    assert_eq!((status, text.contains("/problems/busy")), (503, true), "{text}");
    append(&server.database(), "truck", 5_000..5_001, true);
    let mut commit = server.database().commit();
    commit.push(&laterbase::NewEvent::new("truck", "x", "seen")).unwrap();
    let began = Instant::now();
    server.database().append(&mut commit).unwrap().wait().unwrap();
    assert_eq!(quick.next().key, "x");
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
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
                    let mut stream = Client::new(server, "/e/truck", place.as_deref());
                    let count = (1 + (told.len() * 7 + client * 3) % 23).min(total - told.len());
                    told.extend(stream.take(count));
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
    let mut client = Client::new(&server, "/e?order=tx", None);
    let mut told = client.take(3);
    append(&server.database(), "truck", 3..6, true);
    told.extend(client.take(3));
    for (at, from) in told.iter().enumerate().take(5) {
        let mut again = Client::new(&server, "/e?order=tx", Some(&from.place));
        assert_eq!(event_ids(&again.take(5 - at)), event_ids(&told[at + 1..]), "from {at}");
    }
    // A page has one order, and no place of another.
    let place = &told[5].place;
    let (status, text) = server.ask("GET", &format!("/e?order=tx&after={place}"), &[], b"");
    assert_eq!((status, text.contains("/problems/cursor")), (400, true), "{text}");
}
