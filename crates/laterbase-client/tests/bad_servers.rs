//! Servers that are none, lie, stall or never stop: each ends with an error that says so, and the
//! database is as it was.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::{Duration, Instant};

use laterbase::sync::frame::{Bye, Frame, Reason};
use laterbase::sync::{Session, SessionConfig};
use laterbase::{Database, NewEvent, Options};
use laterbase_client::{
    BundleError, Contact, HttpWire, PeerAddress, Reply, Report, SyncError, Wire, WireError,
    database_of, drive, import, sync_once,
};

/// A server that answers each request so, and nothing else.
fn server(answer: impl Fn(&mut std::net::TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request);
            answer(&mut stream);
        }
    });
    address
}

fn answering(head: &'static str, body: Vec<u8>) -> SocketAddr {
    server(move |stream| {
        let length = body.len();
        let head =
            format!("HTTP/1.1 {head}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
        let _ = stream.write_all(&[head.as_bytes(), &body].concat());
    })
}

const FRAMES: &str = "200 OK\r\ncontent-type: application/vnd.laterbase.frames";

fn outcome(server: SocketAddr) -> SyncError {
    let directory = tempfile::tempdir().unwrap();
    let database = Database::create(directory.path(), Options::default()).unwrap();
    let mut commit = database.commit();
    commit.push(&NewEvent::new("shipment", "4711", "booked")).unwrap();
    database.append(&mut commit).unwrap().wait().unwrap();
    let mut wire = HttpWire::new(PeerAddress::new(server, "default"), Duration::from_secs(2));
    let config = SessionConfig::default();
    let contact = Contact::default();
    let (done, _) = sync_once(&database, &mut wire, &contact, &config, &mut |_| {});
    assert_eq!(database.version_vector().unwrap().iter().count(), 1);
    done.unwrap_err()
}

#[test]
fn what_is_no_laterbase_is_said_to_be_none() {
    let foreign = |error: SyncError| matches!(error, SyncError::Wire(WireError::Foreign));
    assert!(foreign(outcome(answering("200 OK\r\ncontent-type: text/html", b"<html>".to_vec()))));
    assert!(foreign(outcome(answering("404 Not Found", b"nothing".to_vec()))));
    assert!(foreign(outcome(answering("302 Found\r\nlocation: http://127.0.0.1:1/", Vec::new()))));
    let garbage = server(|stream| drop(stream.write_all(b"\x16\x03\x01 no HTTP at all\r\n\r\n")));
    assert!(!outcome(garbage).to_string().is_empty());
}

#[test]
fn frames_that_make_no_sense_end_the_session() {
    let garbage = outcome(answering(FRAMES, vec![3, 4, 0xFF, 0xFF]));
    let SyncError::Refused { bye } = garbage else { panic!("{garbage}") };
    assert_eq!(bye.reason, Reason::Malformed);
    let silent = outcome(answering(FRAMES, Vec::new()));
    assert!(matches!(silent, SyncError::Silent), "{silent}");
    let busy = Frame::Bye(Bye::new(Reason::Busy)).encode(None);
    let busy = outcome(answering(FRAMES, busy));
    assert!(matches!(busy, SyncError::Left { .. }) && busy.is_passing(), "{busy}");
}

#[test]
fn answers_that_never_end_or_never_come_are_given_up() {
    let endless = server(|stream| {
        let head = format!("HTTP/1.1 {FRAMES}\r\nconnection: close\r\n\r\n");
        let _ = stream.write_all(head.as_bytes());
        let zeros = vec![0; 1 << 20];
        while stream.write_all(&zeros).is_ok() {}
    });
    let error = outcome(endless);
    let is_given_up =
        matches!(error, SyncError::Wire(WireError::TooLong { .. } | WireError::Lost { .. }));
    assert!(is_given_up, "{error}");
    let stalled = server(|stream| {
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
    });
    let error = outcome(stalled);
    assert!(matches!(error, SyncError::Wire(WireError::Lost { .. })), "{error}");
    let cut = server(|stream| {
        let head = format!("HTTP/1.1 {FRAMES}\r\ncontent-length: 100\r\n\r\nabc");
        let _ = stream.write_all(head.as_bytes());
    });
    let error = outcome(cut);
    assert!(matches!(error, SyncError::Wire(WireError::Lost { .. })), "{error}");
}

/// A copy with so many events of 64 KiB that cannot be compressed, and an empty one.
fn copies(directory: &Path, count: u64) -> (Database, Database) {
    let one = Database::create(directory.join("one"), Options::default()).unwrap();
    let two = Database::create_joined(directory.join("two"), Options::default(), one.id()).unwrap();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut noise = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state ^ (state >> 29)).to_le_bytes()
    };
    for key in 0..count {
        let noise: Vec<u8> = (0..8 << 10).flat_map(|_| noise()).collect();
        let mut commit = one.commit();
        let event = NewEvent::new("shipment", format!("{key}"), "seen");
        commit.push(&event.bytes("application/octet-stream", noise)).unwrap();
        one.append(&mut commit).unwrap().wait().unwrap();
    }
    (one, two)
}

#[test]
fn what_comes_of_an_answer_that_is_cut_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    let (one, two) = copies(directory.path(), 200);
    let config = SessionConfig { frame_bytes_target: 128 << 10, ..SessionConfig::default() };
    // Two round trips; of the answer with events nothing comes behind the half.
    let (at, served) = (Instant::now(), config.clone());
    let mut port = one.sync_port().unwrap();
    let mut session = Session::responder(config.clone());
    let cutting = Cutting(move |flight: &[u8]| {
        let now_ms = u64::try_from(at.elapsed().as_millis()).unwrap();
        session.handle_flight(flight, now_ms, &mut port);
        let mut flight = session.poll_flight(now_ms, &mut port);
        let mut cut = None;
        if flight.len() > 64 << 10 {
            flight.truncate(flight.len() / 2);
            cut = Some(WireError::Lost { message: "cut".to_owned() });
        }
        Reply { flight, session: Some("1".to_owned()), cut }
    });
    let mut report = Report::default();
    let mut there = two.sync_port().unwrap();
    let done = drive(&mut there, &mut { cutting }, &served, None, &mut report, &mut |_| {});
    assert!(matches!(done, Err(SyncError::Wire(WireError::Lost { .. }))), "{done:?}");
    let kept: u64 = two.log_heads().unwrap().values().map(|head| head.seq).sum();
    assert!(kept > 0 && kept < 200, "{kept} events");
    assert_eq!(report.progress.pull_events, kept);
    assert_eq!(report.outcomes, []);
}

/// A way that a test answers on.
struct Cutting<F>(F);

impl<F: FnMut(&[u8]) -> Reply> Wire for Cutting<F> {
    fn exchange(&mut self, flight: &[u8], _session: Option<&str>) -> Result<Reply, WireError> {
        Ok(self.0(flight))
    }
}

#[test]
fn long_answers_that_are_cut_bring_what_came_over_http() {
    let busy = Frame::Bye(Bye::new(Reason::Busy)).encode(None);
    // A whole frame, and then less than was promised.
    let cut = server(move |stream| {
        let head = format!("HTTP/1.1 {FRAMES}\r\ncontent-length: 100\r\n\r\n");
        let _ = stream.write_all(&[head.as_bytes(), &busy, &[50, 1]].concat());
    });
    let error = outcome(cut);
    assert!(matches!(error, SyncError::Left { .. }), "{error}");
}

#[test]
fn flights_are_bounded() {
    let directory = tempfile::tempdir().unwrap();
    let (one, two) = copies(directory.path(), 100);
    let config = SessionConfig::default();
    let mut port = two.sync_port().unwrap();
    let mut session = Session::responder(config.clone());
    let mut longest = 0;
    let mut wire = Cutting(|flight: &[u8]| {
        longest = longest.max(flight.len());
        session.handle_flight(flight, 0, &mut port);
        let flight = session.poll_flight(0, &mut port);
        Reply { flight, session: Some("1".to_owned()), cut: None }
    });
    let mut report = Report::default();
    let mut here = one.sync_port().unwrap();
    drive(&mut here, &mut wire, &config, None, &mut report, &mut |_| {}).unwrap();
    assert_eq!(report.progress.push_events, 100);
    assert!(longest < 3 << 20, "{longest} bytes");
}

#[test]
fn servers_that_are_at_work_are_tried_again() {
    for (status, passes) in [(404, false), (408, true), (409, true), (413, false), (500, true)] {
        let error = WireError::Refused { status, title: "so".to_owned() };
        assert_eq!(error.is_passing(), passes, "{status}");
    }
    let asks = |seconds| WireError::Busy { retry_after: Duration::from_secs(seconds) };
    assert_eq!(asks(7).retry_after(), Duration::from_secs(7));
    assert_eq!(asks(3600).retry_after(), Duration::from_secs(60));
    assert_eq!(SyncError::Wire(asks(u64::MAX)).retry_after(), Duration::from_secs(60));
}

#[test]
fn a_slow_answer_has_a_time_of_its_own() {
    let busy = Frame::Bye(Bye::new(Reason::Busy)).encode(None);
    /// Three quarters of the time for a request until the answer begins, as long until it ends.
    const SLOW: Duration = Duration::from_millis(1500);
    let slow = server(move |stream| {
        std::thread::sleep(SLOW);
        let length = busy.len();
        let head = format!("HTTP/1.1 {FRAMES}\r\ncontent-length: {length}\r\n\r\n");
        let _ = stream.write_all(head.as_bytes());
        std::thread::sleep(SLOW);
        let _ = stream.write_all(&busy);
    });
    let error = outcome(slow);
    assert!(matches!(error, SyncError::Left { .. }), "{error}");
}

#[test]
fn busy_and_refusing_servers_are_told_apart() {
    let busy = answering(
        "503 Service Unavailable\r\nretry-after: 7\r\ncontent-type: application/problem+json",
        b"{\"title\":\"busy\"}".to_vec(),
    );
    let retry_after = Duration::from_secs(7);
    assert_eq!(outcome(busy), SyncError::Wire(WireError::Busy { retry_after }));
    let refusing = answering(
        "404 Not Found\r\ncontent-type: application/problem+json",
        b"{\"title\":\"There is no such database\"}".to_vec(),
    );
    let title = "There is no such database".to_owned();
    assert_eq!(outcome(refusing), SyncError::Wire(WireError::Refused { status: 404, title }));
}

#[test]
fn a_bundle_that_is_cut_off_brings_what_came_before() {
    let directory = tempfile::tempdir().unwrap();
    let one = Database::create(directory.path().join("one"), Options::default()).unwrap();
    for root in ["barge", "shipment", "truck"] {
        let mut commit = one.commit();
        commit.push(&NewEvent::new(root, "4711", "booked")).unwrap();
        one.append(&mut commit).unwrap().wait().unwrap();
    }
    let mut bundle = Vec::new();
    let mut port = one.sync_port().unwrap();
    let exported =
        laterbase_client::export(&mut port, &laterbase::sync::Heads::new(), &mut bundle).unwrap();
    assert_eq!((exported.events, exported.bytes), (3, bundle.len() as u64));
    assert_eq!(database_of(&mut bundle.as_slice()).unwrap(), one.id());
    let config = SessionConfig::default();
    for length in (0..bundle.len()).step_by(13) {
        let path = directory.path().join(format!("copy-{length}"));
        let copy = Database::create_joined(&path, Options::default(), one.id()).unwrap();
        let mut port = copy.sync_port().unwrap();
        let error = import(&mut port, &mut &bundle[..length], &config).unwrap_err();
        assert!(
            matches!(error, BundleError::CutOff | BundleError::NoBundle),
            "{length} bytes: {error}"
        );
        // The rest brings the rest, however often.
        if length % 4 == 0 {
            for events in [None, Some(0)] {
                let imported = import(&mut port, &mut bundle.as_slice(), &config).unwrap();
                assert!(events.is_none_or(|events| imported.events == events));
                assert!(imported.lacking.is_empty());
            }
            assert_eq!(copy.log_heads().unwrap(), one.log_heads().unwrap());
        }
        drop((port, copy));
        std::fs::remove_dir_all(path).unwrap();
    }
}
