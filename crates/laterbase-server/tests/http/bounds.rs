//! What clients can make a server hold and do: no more than its bounds, whoever leaves or stalls.
//!
//! Caught here: a write that is called undone and is done, places that stalled bodies take, health
//! that fails because clients are slow, answers that nobody takes and that stay.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::{Arc, Condvar, LazyLock, Mutex};
use std::time::{Duration, Instant};

use crate::support::{Running, append};
use laterbase::{Aggregate, ApplyError, Database, FoldEvent, NewEvent, Options, Validators};
use laterbase_server::{BundleRefused, ServerConfig, TakeBundle};
use serde::{Deserialize, Serialize};
use serde_json::Value;

const JSON: &str = "content-type: application/json";
/// Between two looks at what a server shows.
const LOOK: Duration = Duration::from_millis(10);
/// After so long something is stuck.
const PATIENCE: Duration = Duration::from_secs(30);

fn serve(directory: &Path, config: ServerConfig) -> Running {
    Database::create(directory, Options::default()).unwrap().close().unwrap();
    Running::of(directory, config)
}

fn kind(text: &str) -> String {
    let document: Value = serde_json::from_str(text).unwrap();
    document["type"].as_str().unwrap().trim_start_matches("/problems/").to_owned()
}

/// A number that the server shows.
fn metric(server: &Running, name: &str) -> f64 {
    let (status, page) = server.ask("GET", "/metrics", &[], b"");
    assert_eq!(status, 200, "{page}");
    let line = page.lines().find(|line| line.split(' ').next() == Some(name));
    line.unwrap().split(' ').nth(1).unwrap().parse().unwrap()
}

fn wait_for(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(LOOK);
    }
}

/// Holds up whoever comes until it is opened.
#[derive(Debug, Default)]
struct Gate {
    /// How many have come, and whether it is open.
    state: Mutex<(usize, bool)>,
    bell: Condvar,
}

impl Gate {
    fn pass(&self) {
        let mut state = self.state.lock().unwrap();
        state.0 += 1;
        self.bell.notify_all();
        drop(self.bell.wait_while(state, |(_, is_open)| !*is_open).unwrap());
    }

    fn wait_for(&self, count: usize) {
        let state = self.state.lock().unwrap();
        let waited = self.bell.wait_timeout_while(state, PATIENCE, |(came, _)| *came < count);
        assert!(!waited.unwrap().1.timed_out(), "nobody came");
    }

    fn open(&self) {
        self.state.lock().unwrap().1 = true;
        self.bell.notify_all();
    }
}

/// Where the fold below is held up.
static FOLDING: LazyLock<Gate> = LazyLock::new(Gate::default);

/// Takes its time.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Sluggish;

impl Aggregate for Sluggish {
    fn apply(&mut self, _: &FoldEvent<'_>) -> Result<(), ApplyError> {
        FOLDING.pass();
        Ok(())
    }
}

#[test]
fn reads_are_given_up_in_time_and_writes_are_waited_for() {
    let directory = tempfile::tempdir().unwrap();
    let database = Database::create(directory.path(), Options::default()).unwrap();
    append(&database, "truck", 0..1, true);
    database.close().unwrap();
    let recording = Arc::new(Gate::default());
    let at_gate = Arc::clone(&recording);
    let slow = Validators::default().with(move |_| {
        at_gate.pass();
        Ok(())
    });
    let config =
        ServerConfig { request_timeout: Duration::from_millis(200), ..ServerConfig::default() };
    let options = Options::default().validators(slow);
    let server = Running::over(directory.path(), options, config, |server| {
        server.aggregate::<Sluggish>("truck")
    });
    std::thread::scope(|threads| {
        let write = threads
            .spawn(|| server.ask("POST", "/e/gate", &[JSON], b"{\"type\":\"a\",\"data\":1}"));
        recording.wait_for(1);
        // The read begins behind the write, and has had its time.
        let (status, text) = server.ask("GET", "/a/truck/0", &[], b"");
        assert_eq!((status, kind(&text).as_str()), (503, "slow"), "{text}");
        // Both go on where they are, and hold nobody up.
        assert!(metric(&server, "laterbase_requests_at_work") >= 2.0);
        assert_eq!(server.ask("GET", "/health/live", &[], b"").0, 200);
        recording.open();
        let (status, text) = write.join().unwrap();
        assert_eq!(status, 201, "{text}");
    });
    FOLDING.open();
    wait_for("the end of the work", || metric(&server, "laterbase_requests_at_work") == 0.0);
    assert_eq!(server.ask("GET", "/a/truck/0", &[], b"").0, 200);
}

#[test]
fn a_validator_holds_up_nobody_but_those_who_write() {
    const WRITERS: usize = 8;
    let directory = tempfile::tempdir().unwrap();
    Database::create(directory.path(), Options::default()).unwrap().close().unwrap();
    let gate = Arc::new(Gate::default());
    let at_gate = Arc::clone(&gate);
    let slow = Validators::default().with(move |_| {
        at_gate.pass();
        Ok(())
    });
    let options = Options::default().validators(slow);
    let server = Running::over(directory.path(), options, ServerConfig::default(), |server| server);
    let event = b"{\"type\":\"a\",\"data\":1}";
    std::thread::scope(|threads| {
        let write = || threads.spawn(|| server.ask("POST", "/e/gate", &[JSON], event).0);
        let writes: Vec<_> = (0..WRITERS).map(|_| write()).collect();
        gate.wait_for(WRITERS);
        assert_eq!(server.ask("GET", "/e", &[], b"").0, 200);
        gate.open();
        assert!(writes.into_iter().all(|write| write.join().unwrap() == 201));
    });
}

#[test]
fn a_database_without_threads_is_written_by_those_who_wait() {
    let directory = tempfile::tempdir().unwrap();
    let mut options = Options::default();
    options.threads = false;
    Database::create(directory.path(), options.clone()).unwrap().close().unwrap();
    let server = Running::over(directory.path(), options, ServerConfig::default(), |server| server);
    let event = b"{\"key\":\"1\",\"type\":\"a\",\"data\":1}";
    assert_eq!(server.ask("POST", "/e/ship", &[JSON], event).0, 201);
    let conditional = ["if-match: *", JSON];
    assert_eq!(server.ask("POST", "/e/ship", &conditional, event).0, 201);
}

#[test]
fn bodies_that_never_come_take_no_places() {
    let directory = tempfile::tempdir().unwrap();
    let config = ServerConfig { requests_max: 2, ..ServerConfig::default() };
    let server = serve(directory.path(), config);
    let head = "POST /e/truck HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n\r\n{";
    let stalled: Vec<TcpStream> = (0..50)
        .map(|_| {
            let mut stream = TcpStream::connect(server.address).unwrap();
            stream.write_all(head.as_bytes()).unwrap();
            stream
        })
        .collect();
    let event = b"{\"type\":\"a\",\"data\":1}";
    assert_eq!(server.ask("POST", "/e/truck", &[JSON], event).0, 201);
    for path in ["/health", "/health/ready", "/metrics", "/e"] {
        assert_eq!(server.ask("GET", path, &[], b"").0, 200, "{path}");
    }
    drop(stalled);
}

#[test]
fn bundles_that_never_end_take_no_places() {
    let directory = tempfile::tempdir().unwrap();
    let config = ServerConfig { requests_max: 2, live_max: 8, ..ServerConfig::default() };
    let reads_all: TakeBundle = Arc::new(|_, input| {
        let mut bytes = Vec::new();
        let read = input.read_to_end(&mut bytes);
        read.map(Value::from).map_err(|error| BundleRefused::Wrong(error.to_string()))
    });
    Database::create(directory.path(), Options::default()).unwrap().close().unwrap();
    let server = Running::over(directory.path(), Options::default(), config, |server| {
        server.bundles(reads_all)
    });
    let head = "POST /db/default/bundle HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n\
                content-type: application/vnd.laterbase.frames\r\n\r\n{";
    let stalled: Vec<TcpStream> = (0..8)
        .map(|_| {
            let mut stream = TcpStream::connect(server.address).unwrap();
            stream.write_all(head.as_bytes()).unwrap();
            stream
        })
        .collect();
    wait_for("all bundles", || metric(&server, "laterbase_live_connections") == 8.0);
    let event = b"{\"type\":\"a\",\"data\":1}";
    assert_eq!(server.ask("POST", "/e/truck", &[JSON], event).0, 201);
    let frames = "content-type: application/vnd.laterbase.frames";
    let (status, text) = server.ask("POST", "/db/default/bundle", &[frames], b"");
    assert_eq!((status, kind(&text).as_str()), (503, "busy"));
    drop(stalled);
    wait_for("their end", || metric(&server, "laterbase_live_connections") == 0.0);
}

#[test]
fn bodies_share_a_bounded_room() {
    let directory = tempfile::tempdir().unwrap();
    let config = ServerConfig {
        body_bytes_max: 1 << 20,
        waiting_bytes_max: 2 << 20,
        ..ServerConfig::default()
    };
    let server = serve(directory.path(), config);
    let head = "POST /e/truck HTTP/1.1\r\nhost: localhost\r\ncontent-length: 900000\r\n\r\n";
    let stalled: Vec<TcpStream> = (0..2)
        .map(|_| {
            let mut stream = TcpStream::connect(server.address).unwrap();
            stream.write_all(head.as_bytes()).unwrap();
            stream.write_all(&vec![b' '; 899_999]).unwrap();
            stream
        })
        .collect();
    wait_for("two bodies", || metric(&server, "laterbase_waiting_bytes") > 1_799_998.0);
    let body = vec![b' '; 900_000];
    let (status, text) = server.ask("POST", "/e/truck", &[JSON], &body);
    assert_eq!((status, kind(&text).as_str()), (503, "busy"), "{text}");
    let event = b"{\"type\":\"a\",\"data\":1}";
    assert_eq!(server.ask("POST", "/e/truck", &[JSON], event).0, 201);
    drop(stalled);
    wait_for("the room that they gave back", || {
        // Blank bodies are refused once they are whole.
        server.ask("POST", "/e/truck", &[JSON], &body).0 == 400
    });
}

#[test]
fn connections_are_bounded() {
    let directory = tempfile::tempdir().unwrap();
    let config = ServerConfig { connections_max: 5, ..ServerConfig::default() };
    let server = serve(directory.path(), config);
    let open = || {
        let mut stream = TcpStream::connect(server.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let _ = stream.write_all(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n");
        let mut answer = [0; 12];
        let answered = stream.read_exact(&mut answer).is_ok();
        (stream, answered)
    };
    let mut kept: Vec<_> = (0..5).map(|_| open()).collect();
    assert!(kept.iter().all(|(_, answered)| *answered));
    assert!(!open().1, "a sixth is closed as it comes");
    kept.pop();
    wait_for("the place of one that left", || open().1);
    // Until the server has noticed who left, asking is refused as well.
    wait_for("the count of those that were refused", || {
        let (_, page) = server.ask("GET", "/metrics", &[], b"");
        page.lines().any(|line| {
            let count = line.strip_prefix("laterbase_connections_refused_total ");
            count.is_some_and(|count| count != "0")
        })
    });
}

#[test]
fn an_answer_that_nobody_takes_is_given_up() {
    let directory = tempfile::tempdir().unwrap();
    let config =
        ServerConfig { write_timeout: Duration::from_millis(300), ..ServerConfig::default() };
    let server = serve(directory.path(), config);
    let database = server.database();
    for _ in 0..6 {
        let mut commit = database.commit();
        let mut event = NewEvent::new("truck", "1", "seen");
        event.payload = vec![b'x'; 8 << 20];
        commit.push(&event).unwrap();
        database.append(&mut commit).unwrap().wait().unwrap();
    }
    let mut stream = TcpStream::connect(server.address).unwrap();
    let head = "GET /e/truck HTTP/1.1\r\nhost: localhost\r\naccept: application/x-ndjson\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    wait_for("the stream", || metric(&server, "laterbase_streams") == 1.0);
    wait_for("its end", || metric(&server, "laterbase_streams") == 0.0);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut taken = Vec::new();
    let _ = stream.read_to_end(&mut taken);
    assert!(!taken.ends_with(b"0\r\n\r\n"), "what was broken off looks whole");
}

#[test]
fn ids_are_looked_up_once_each_and_up_to_so_many_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let server = serve(directory.path(), ServerConfig::default());
    let database = server.database();
    let mut ids = Vec::new();
    for _ in 0..3 {
        let mut commit = database.commit();
        let mut event = NewEvent::new("truck", "1", "seen");
        event.payload = vec![b'x'; 3 << 20];
        commit.push(&event).unwrap();
        let appended = database.append(&mut commit).unwrap().wait().unwrap();
        ids.push(appended.id(0).unwrap().to_string());
    }
    let ask = |keys: &[&str]| server.ask("GET", &format!("/e?keys={}", keys.join(",")), &[], b"");
    let (status, text) = ask(&[ids[0].as_str(); 100]);
    assert_eq!(status, 200);
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["events"].as_array().unwrap().len(), 1);
    assert_eq!(ask(&[&ids[0], &ids[1]]).0, 200);
    let (status, text) = ask(&[&ids[0], &ids[1], &ids[2]]);
    assert_eq!((status, text.contains("ask for fewer")), (400, true), "{text}");
}
