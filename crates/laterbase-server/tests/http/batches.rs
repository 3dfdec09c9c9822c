//! NDJSON of any length, recorded in commits of some events: what stays when something is wrong,
//! and what it takes.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::support::{Running, held, unchunked};
use laterbase::{Database, Options, Query};
use laterbase_server::ServerConfig;
use serde_json::{Value, json};

const NDJSON: &str = "content-type: application/x-ndjson";
/// After so long something is stuck.
const PATIENCE: Duration = Duration::from_secs(30);

fn serve(directory: &Path, config: ServerConfig) -> Running {
    Database::create(directory, Options::default()).unwrap().close().unwrap();
    Running::of(directory, config)
}

/// So many events, each with a key of its own and an idempotency key.
fn events(numbers: std::ops::Range<usize>) -> String {
    numbers
        .map(|n| {
            format!(
                "{{\"key\":\"{n}\",\"type\":\"seen\",\"data\":{n},\"idempotency_key\":\"i{n}\"}}\n"
            )
        })
        .collect()
}

fn post(server: &Running, path: &str, headers: &[&str], body: &[u8]) -> (u16, Value) {
    let headers = [&[NDJSON], headers].concat();
    let (status, text) = server.ask("POST", path, &headers, body);
    (status, serde_json::from_str(&text).unwrap())
}

fn kind(problem: &Value) -> &str {
    problem["type"].as_str().unwrap().trim_start_matches("/problems/")
}

fn count(database: &Database) -> usize {
    database.read(&Query::all()).unwrap().count()
}

/// A body that is sent in pieces.
struct Sending(TcpStream);

impl Sending {
    fn open(server: &Running, path: &str, headers: &[&str]) -> Self {
        let mut stream = TcpStream::connect(server.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let more: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        write!(
            stream,
            "POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{NDJSON}\r\n{more}\
             transfer-encoding: chunked\r\n\r\n"
        )
        .unwrap();
        Self(stream)
    }

    fn send(&mut self, text: &str) {
        write!(self.0, "{:x}\r\n{text}\r\n", text.len()).unwrap();
    }

    fn end(&mut self) {
        self.0.write_all(b"0\r\n\r\n").unwrap();
    }

    fn answer(mut self) -> (u16, Value) {
        let mut text = String::new();
        self.0.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let chunked = head.to_lowercase().contains("transfer-encoding: chunked");
        let body = if chunked { unchunked(body) } else { body.to_owned() };
        (status, serde_json::from_str(&body).unwrap())
    }
}

/// Waits until so many events are recorded.
fn wait_for_events(database: &Database, events: usize) {
    let deadline = Instant::now() + PATIENCE;
    while count(database) < events {
        assert!(Instant::now() < deadline, "{events} events");
        std::thread::yield_now();
    }
}

#[test]
fn a_body_much_longer_than_one_may_be_is_recorded_within_the_room_of_a_few() {
    const EVENTS: usize = 50_000;
    let directory = tempfile::tempdir().unwrap();
    let config = ServerConfig {
        body_bytes_max: 64 << 10,
        // What is held beyond this is refused.
        waiting_bytes_max: 256 << 10,
        ..ServerConfig::default()
    };
    let server = serve(directory.path(), config);
    let filler = "x".repeat(170);
    let line = |n: usize| format!("{{\"key\":\"{n}\",\"type\":\"a\",\"data\":\"{filler}\"}}\n");
    let body: String = (0..EVENTS).map(line).collect();
    assert!(body.len() > 9 << 20);
    // By their number, and by their length.
    for (batch, commits) in [(100, EVENTS / 100), (10_000, body.len().div_ceil(64 << 10))] {
        let path = format!("/e/ship?batch={batch}");
        let (status, answer) = post(&server, &path, &[], body.as_bytes());
        assert_eq!((status, &answer["recorded"]), (201, &json!(EVENTS)), "{answer}");
        let made = answer["commits"].as_u64().unwrap();
        assert!((commits as u64..commits as u64 + 10).contains(&made), "{answer}");
    }
    let keys: Vec<String> = server
        .database()
        .read(&Query::all())
        .unwrap()
        .map(|recorded| recorded.unwrap().event.key)
        .collect();
    let expected: Vec<String> = (0..2 * EVENTS).map(|n| (n % EVENTS).to_string()).collect();
    assert!(keys == expected, "{} of {}, or in another order", keys.len(), 2 * EVENTS);
}

#[test]
fn the_answer_sums_up_and_its_ids_and_vector_are_those_of_the_database() {
    let directory = tempfile::tempdir().unwrap();
    let server = serve(directory.path(), ServerConfig::default());
    let (status, answer) = post(&server, "/e/ship?batch=3", &[], events(0..8).as_bytes());
    assert_eq!(status, 201, "{answer}");
    let ids: Vec<String> = held(&server.database()).into_iter().map(|(id, _)| id).collect();
    let (_, described) = server.ask("GET", "/db/default", &[], b"");
    let described: Value = serde_json::from_str(&described).unwrap();
    let expected = json!({
        "outcome": "recorded", "events": 8, "commits": 3, "recorded": 8, "already": 0,
        "first": ids[0], "last": ids[7], "vv": described["vv"],
    });
    assert_eq!(answer, expected);
    // In a commit each, each naming its root; the same again.
    let rooted = "{\"root\":\"truck\",\"type\":\"a\",\"data\":1,\"idempotency_key\":\"a\"}\n\
                  {\"root\":\"depot\",\"type\":\"a\",\"data\":1,\"idempotency_key\":\"a\"}\n";
    for (outcome, commits, already) in [("recorded", 2, 0), ("already_applied", 0, 2)] {
        let (status, answer) = post(&server, "/e?batch=1", &[], rooted.as_bytes());
        assert_eq!((status, &answer["outcome"]), (201, &json!(outcome)), "{answer}");
        assert_eq!((&answer["commits"], &answer["already"]), (&json!(commits), &json!(already)));
    }
}

#[test]
fn a_wrong_line_refuses_its_batch_and_what_came_before_stays() {
    let directory = tempfile::tempdir().unwrap();
    let server = serve(directory.path(), ServerConfig::default());
    let wrong = "{\"type\":\"\",\"data\":1}\nno json\n";
    let body = [&events(0..7), wrong, &events(9..20)].concat();
    let (status, problem) = post(&server, "/e/ship?batch=3", &[], body.as_bytes());
    assert_eq!((status, kind(&problem)), (422, "refused-event"), "{problem}");
    let named: Vec<u64> = problem["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| error["index"].as_u64().unwrap())
        .collect();
    assert_eq!((named, &problem["index"]), (vec![7, 8], &json!(7)));
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.starts_with("event 7: ") && detail.contains("go on with event 6"), "{detail}");
    let ids: Vec<String> = held(&server.database()).into_iter().map(|(id, _)| id).collect();
    assert_eq!(ids.len(), 6);
    let done = &problem["done"];
    assert_eq!((&done["events"], &done["last"]), (&json!(6), &json!(ids[5])), "{problem}");
    // From there on.
    let rest = [events(6..7), events(9..20)].concat();
    let (status, answer) = post(&server, "/e/ship?batch=3", &[], rest.as_bytes());
    assert_eq!((status, &answer["recorded"]), (201, &json!(12)), "{answer}");
    // In the first batch nothing is recorded, and it is said.
    let (_, problem) = post(&server, "/e/ship?batch=3", &[], wrong.as_bytes());
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.ends_with("Nothing was recorded."), "{detail}");
}

#[test]
fn what_a_cut_left_is_recorded_by_sending_all_again_and_nothing_twice() {
    let directory = tempfile::tempdir().unwrap();
    let server = serve(directory.path(), ServerConfig::default());
    let body = events(0..100);
    // Two batches, whole lines of the third, and a part of one.
    let mut cut = Sending::open(&server, "/e/ship?batch=10", &[]);
    let line = body.len() / 100;
    cut.send(&body[..25 * line + line / 2]);
    cut.0.shutdown(Shutdown::Write).unwrap();
    let (status, problem) = cut.answer();
    assert_eq!((status, kind(&problem)), (400, "bad-request"), "{problem}");
    assert_eq!((&problem["done"]["events"], count(&server.database())), (&json!(20), 20));
    // With another size of batches, too: some of them are recorded in part.
    for (batch, recorded, already) in [(7, 80, 20), (10, 0, 100), (100, 0, 100)] {
        let path = format!("/e/ship?batch={batch}");
        let (status, answer) = post(&server, &path, &[], body.as_bytes());
        assert_eq!((status, &answer["recorded"]), (201, &json!(recorded)), "{answer}");
        assert_eq!(answer["already"], already);
    }
    let ids: Vec<String> = held(&server.database()).into_iter().map(|(id, _)| id).collect();
    assert_eq!(ids.len(), 100);
    let (_, answer) = post(&server, "/e/ship?batch=9", &[], body.as_bytes());
    assert_eq!((&answer["first"], &answer["last"]), (&json!(ids[0]), &json!(ids[99])));
    // A key that stands for another event is told with its place in the body.
    let other = body.replace("\"data\":42,", "\"data\":43,");
    let (status, problem) = post(&server, "/e/ship?batch=9", &[], other.as_bytes());
    assert_eq!((status, &problem["index"]), (409, &json!(42)), "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("event 42 "), "{problem}");
    let twice = [events(100..102), events(101..102)].concat();
    let (status, problem) = post(&server, "/e/ship?batch=9", &[], twice.as_bytes());
    assert_eq!((status, &problem["index"]), (422, &json!(2)), "{problem}");
    // So is what is wrong in what is left of a batch.
    let later = json!({"type": "a", "data": 1, "cause": format!("7ZZZZ{}", &ids[0][5..])});
    let later = format!("{}{later}\n", events(95..100));
    let (status, problem) = post(&server, "/e/ship?batch=9", &[], later.as_bytes());
    assert_eq!((status, &problem["errors"][0]["index"]), (422, &json!(5)), "{problem}");
}

#[test]
fn a_client_that_is_gone_leaves_its_whole_batches() {
    let directory = tempfile::tempdir().unwrap();
    let server = serve(directory.path(), ServerConfig::default());
    let mut gone = Sending::open(&server, "/e/ship?batch=10", &[]);
    gone.send(&events(0..25));
    wait_for_events(&server.database(), 20);
    gone.send("{\"type\":\"a\",\"data\":1}");
    drop(gone);
    let deadline = Instant::now() + PATIENCE;
    while !server.ask("GET", "/metrics", &[], b"").1.contains("laterbase_live_connections 0") {
        assert!(Instant::now() < deadline, "its place is kept");
    }
    assert_eq!(count(&server.database()), 20);
}

#[test]
fn one_key_for_the_body_makes_keys_by_the_place_in_all_of_it() {
    let directory = tempfile::tempdir().unwrap();
    let server = serve(directory.path(), ServerConfig::default());
    let body = "{\"type\":\"a\",\"data\":1}\n".repeat(5);
    for (batch, recorded) in [(2, 5), (3, 0)] {
        let path = format!("/e/ship?batch={batch}");
        let (status, answer) = post(&server, &path, &["idempotency-key: k"], body.as_bytes());
        assert_eq!((status, &answer["recorded"]), (201, &json!(recorded)), "{answer}");
    }
    let (status, _) = post(&server, "/e/ship?batch=2", &["idempotency-key: "], body.as_bytes());
    assert_eq!((status, count(&server.database())), (400, 5));
}

#[test]
fn lines_are_what_they_are_in_one_commit() {
    let directory = tempfile::tempdir().unwrap();
    let config = ServerConfig { body_bytes_max: 4 << 10, ..ServerConfig::default() };
    let server = serve(directory.path(), config);
    let event = "{\"type\":\"a\",\"data\":1}";
    // Blank lines, CRLF, no end of the last.
    let body = format!("\n\r\n{event}\r\n  \n{event}\n{event}");
    for path in ["/e/ship", "/e/ship?batch=1", "/e/ship?batch=2", "/e/ship?batch=10000"] {
        let (status, answer) = post(&server, path, &[], body.as_bytes());
        let events = answer["events"]
            .as_array()
            .map_or(answer["events"].as_u64(), |events| Some(events.len() as u64));
        assert_eq!((status, events), (201, Some(3)), "{answer}");
    }
    let two = [event.as_bytes(), b"\n\n", event.as_bytes(), b"\n"].concat();
    let no_text = [&two[..], b"{\"type\":\"\xff\",\"data\":1}\n"].concat();
    let (status, problem) = post(&server, "/e/ship?batch=2", &[], &no_text);
    assert_eq!((status, &problem["errors"][0]["index"]), (422, &json!(2)), "{problem}");
    let longer = format!("{{\"type\":\"a\",\"data\":\"{}\"}}\n", "x".repeat(4 << 10));
    let (status, problem) =
        post(&server, "/e/ship?batch=9", &[], &[&two, longer.as_bytes()].concat());
    assert_eq!((status, kind(&problem)), (413, "too-large"), "{problem}");
    assert_eq!((&problem["index"], &problem["done"]["events"]), (&json!(2), &json!(2)));
    for nothing in ["", "\n", " \r\n\n"] {
        let (status, problem) = post(&server, "/e/ship?batch=9", &[], nothing.as_bytes());
        assert_eq!((status, kind(&problem)), (400, "bad-request"), "{problem}");
    }
}

#[test]
fn what_holds_for_one_commit_does_not_go_with_batches() {
    let directory = tempfile::tempdir().unwrap();
    let server = serve(directory.path(), ServerConfig::default());
    let line = events(0..1);
    for batch in ["0", "-1", "x", "", "10001", "1.5", "5&batch=5", "99999999999999999999999"] {
        let path = format!("/e/ship?batch={batch}");
        let (status, problem) = post(&server, &path, &[], line.as_bytes());
        assert_eq!((status, kind(&problem)), (400, "bad-request"), "{batch}: {problem}");
    }
    for header in ["if-match: *", "if-none-match: *"] {
        let (status, problem) = post(&server, "/e/ship?batch=5", &[header], line.as_bytes());
        assert_eq!(status, 400, "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains("one commit"), "{problem}");
    }
    for other in ["application/json", "application/cloudevents-batch+json", "text/plain"] {
        let other = format!("content-type: {other}");
        let (status, text) = server.ask("POST", "/e/ship?batch=5", &[&other], line.as_bytes());
        assert_eq!(status, 415, "{text}");
    }
    let enveloped = format!("{{\"events\":[{}],\"expect\":{{}}}}\n", line.trim());
    let (status, problem) = post(&server, "/e/ship?batch=5", &[], enveloped.as_bytes());
    assert_eq!((status, kind(&problem)), (422, "refused-event"), "{problem}");
    assert_eq!(count(&server.database()), 0);
}

#[test]
fn a_body_that_does_not_go_on_is_given_up() {
    let directory = tempfile::tempdir().unwrap();
    let config =
        ServerConfig { request_timeout: Duration::from_millis(300), ..ServerConfig::default() };
    let server = serve(directory.path(), config);
    let mut slow = Sending::open(&server, "/e/ship?batch=2", &[]);
    slow.send(&events(0..5));
    let (status, problem) = slow.answer();
    assert_eq!((status, kind(&problem)), (408, "timeout"), "{problem}");
    assert_eq!((&problem["done"]["events"], count(&server.database())), (&json!(4), 4));
}

#[test]
fn a_client_that_sends_all_before_it_reads_is_answered() {
    let directory = tempfile::tempdir().unwrap();
    let server = serve(directory.path(), ServerConfig::default());
    let rest = events(1..400_000);
    assert!(rest.len() > 20 << 20, "more than connections hold");
    let mut sending = Sending::open(&server, "/e/ship?batch=2", &[]);
    sending.send("{}\n");
    sending.send(&rest);
    sending.end();
    let (status, problem) = sending.answer();
    assert_eq!((status, kind(&problem)), (422, "refused-event"), "{problem}");
}

#[test]
fn bodies_that_last_take_no_places_from_requests() {
    let directory = tempfile::tempdir().unwrap();
    let config = ServerConfig { requests_max: 1, live_max: 2, ..ServerConfig::default() };
    let server = serve(directory.path(), config);
    let mut open: Vec<Sending> =
        (0..2).map(|_| Sending::open(&server, "/e/ship?batch=2", &[])).collect();
    open.iter_mut().enumerate().for_each(|(n, one)| one.send(&events(n * 2..n * 2 + 2)));
    wait_for_events(&server.database(), 4);
    let json = "content-type: application/json";
    assert_eq!(server.ask("POST", "/e/ship", &[json], b"{\"type\":\"a\",\"data\":1}").0, 201);
    let (status, problem) = post(&server, "/e/ship?batch=2", &[], events(4..5).as_bytes());
    assert_eq!((status, kind(&problem)), (503, "busy"));
    for mut one in open {
        one.end();
        let (status, answer) = one.answer();
        assert_eq!((status, &answer["recorded"]), (201, &json!(2)), "{answer}");
    }
}

#[test]
fn bodies_of_two_databases_go_each_into_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let yard = directory.path().join("yard");
    Database::create(&yard, Options::default()).unwrap().close().unwrap();
    let server = serve(directory.path(), ServerConfig::default());
    let paths = ["/db/default/e/ship?batch=10", "/db/yard/e/ship?batch=10"];
    let mut both = paths.map(|path| Sending::open(&server, path, &[]));
    for n in 0..10 {
        both[0].send(&events(n * 7..n * 7 + 7));
        both[1].send(&events(n * 3..n * 3 + 3));
    }
    both.iter_mut().for_each(Sending::end);
    let recorded = both.map(|one| one.answer().1["recorded"].as_u64());
    assert_eq!(recorded, [Some(70), Some(30)]);
    let yard = server.databases.get("yard").unwrap().database.clone();
    assert_eq!((count(&server.database()), count(&yard)), (70, 30));
}

#[test]
fn a_server_that_ends_says_how_far_a_body_came() {
    let directory = tempfile::tempdir().unwrap();
    let server = serve(directory.path(), ServerConfig::default());
    let database = server.database();
    let mut sending = Sending::open(&server, "/e/ship?batch=10", &[]);
    sending.send(&events(0..25));
    wait_for_events(&database, 20);
    drop(server);
    let (status, problem) = sending.answer();
    assert_eq!((status, kind(&problem)), (503, "busy"), "{problem}");
    assert_eq!((&problem["done"]["events"], count(&database)), (&json!(20), 20));
}
