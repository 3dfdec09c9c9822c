//! Peers that stall, lie, send garbage, speak for another database: each is told what is wrong,
//! named, and hurts nobody else.

use std::io::Write as _;
use std::net::TcpStream;

use crate::support::{Running, append, held, sync};
use laterbase::sync::frame::{
    self, Batches, Capabilities, Form, Frame, FrameLimits, HeadsFrame, Hello, Purpose, Reason,
    RootDigest, Scope, Section,
};
use laterbase::sync::{Agreement, Digest, HashTag, Head, LogId};
use laterbase::{Database, DatabaseId, Hlc, Options, ReplicaId, RootName};
use laterbase_client::{Wire as _, WireError};
use laterbase_server::ServerConfig;

struct World {
    directory: tempfile::TempDir,
    id: DatabaseId,
    server: Running,
}

impl World {
    fn new(config: ServerConfig) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("server");
        let database = Database::create(&path, Options::default()).unwrap();
        append(&database, "shipment", 0..20, false);
        let id = database.id();
        database.close().unwrap();
        let server = Running::of(&path, config);
        Self { directory, id, server }
    }

    /// A good peer is served as ever.
    fn check_others(&self) {
        let path = self.directory.path().join(format!("good-{}", self.server.said().len()));
        let copy = Database::create_joined(&path, Options::default(), self.id).unwrap();
        let (done, _) = sync(&copy, &self.server);
        done.unwrap();
        assert_eq!(held(&copy).len(), 20);
        std::fs::remove_dir_all(path).unwrap();
    }

    fn hello(&self, replica: u64) -> Hello {
        let root = RootName::try_from("shipment").unwrap();
        Hello {
            database: self.id,
            replica: ReplicaId::from_u64(replica),
            purpose: Purpose::Ask,
            scope: Scope::All,
            heads_follow: false,
            capabilities: Capabilities::ZSTD,
            frame_bytes_max: 1 << 20,
            window_bytes: 1 << 20,
            wall_ms: 0,
            hlc: Hlc::ZERO,
            validators: None,
            agreement: Agreement::NONE,
            roots: vec![RootDigest { root, digest: Some(Digest([7; 16])) }],
        }
    }

    /// Sends a flight and answers with the reason of the Bye that comes back.
    fn told(&self, flight: &[u8]) -> Option<Reason> {
        let reply = self.server.wire().exchange(flight, None).unwrap();
        byes(&reply.flight).last().copied()
    }
}

fn byes(mut flight: &[u8]) -> Vec<Reason> {
    let limits = FrameLimits::default();
    let mut reasons = Vec::new();
    while let Some((first, rest)) = frame::split(flight, &limits).unwrap() {
        // Only a Bye is looked at, and that is never packed.
        if let Ok(opened) = frame::open(first, &limits, None)
            && let Ok(Some(Frame::Bye(bye))) = Frame::decode(&opened, &limits)
        {
            reasons.push(bye.reason);
        }
        flight = rest;
    }
    reasons
}

fn log(replica: u64) -> LogId {
    LogId::new(RootName::try_from("shipment").unwrap(), ReplicaId::from_u64(replica))
}

#[test]
fn what_is_no_frame_is_told_so_and_nobody_else_notices() {
    let world = World::new(ServerConfig::default());
    let hello = Frame::Hello(world.hello(7)).encode(None);
    let mut cut_off = hello.clone();
    cut_off.truncate(hello.len() - 3);
    let mut too_long = vec![0xFF, 0xFF, 0xFF, 0xFF, 0x0F];
    too_long.extend_from_slice(&[0; 64]);
    let mut newer = hello.clone();
    (newer[2], newer[3]) = (9, 9);
    // A packed frame that claims 30 MiB and holds a few bytes.
    let bomb = [&[9, 0x82][..], &[0x80, 0x80, 0x80, 0x0F], &[1, 2, 3, 4]].concat();
    let cases: [(&str, Vec<u8>, Reason); 6] = [
        ("garbage", vec![3, 4, 0xFF, 0xFF], Reason::Malformed),
        ("cut off", cut_off, Reason::Malformed),
        ("too long", too_long, Reason::TooMuch),
        ("newer", newer, Reason::Version),
        ("bomb", [hello.clone(), bomb].concat(), Reason::Malformed),
        ("trailing", [hello, vec![0x80]].concat(), Reason::Malformed),
    ];
    for (name, flight, reason) in cases {
        assert_eq!(world.told(&flight), Some(reason), "{name}");
        world.check_others();
    }
    let said = world.server.said();
    assert!(said.iter().any(|line| line.contains("an unknown peer sent what is no frame")));
    assert!(said.iter().any(|line| line.contains("refused 0000000000000007")), "{said:?}");
}

#[test]
fn liars_and_strangers_are_refused_by_name() {
    let world = World::new(ServerConfig::default());
    let mut stranger = world.hello(8);
    stranger.database = DatabaseId::from_bytes([9; 16]);
    assert_eq!(world.told(&Frame::Hello(stranger).encode(None)), Some(Reason::Database));
    let hello = Frame::Hello(world.hello(9)).encode(None);
    let batch = b"this is no batch";
    let batches = Batches {
        log: log(9),
        writer: ReplicaId::from_u64(9),
        ends: false,
        tag: HashTag([1; 8]),
        batches: vec![batch.as_slice().into()],
    };
    let flight = [hello, Frame::Batches(batches).encode(None)].concat();
    assert_eq!(world.told(&flight), Some(Reason::BadBatch));
    let said = world.server.said();
    assert!(said.iter().any(|line| line.contains("refused 0000000000000009: BadBatch")));
    world.check_others();
}

#[test]
fn heads_beyond_all_bounds_end_nothing_but_their_own_session() {
    let world = World::new(ServerConfig::default());
    let hello = Frame::Hello(world.hello(10)).encode(None);
    let head = Head { seq: u64::MAX, tag: HashTag([3; 8]), branch: None };
    let heads = |count: u64| {
        let root = RootName::try_from("shipment").unwrap();
        let heads = (1..=count).map(|number| (ReplicaId::from_u64(number), head)).collect();
        let sections = vec![Section { root, form: Form::Full, heads }];
        Frame::Heads(HeadsFrame { sections }).encode(None)
    };
    assert_eq!(world.told(&[hello.clone(), heads(100_000)].concat()), Some(Reason::TooMuch));
    world.check_others();
    // These could be true: they are asked for, and never come.
    let reply = world.server.wire().exchange(&[hello, heads(3)].concat(), None).unwrap();
    assert_eq!(byes(&reply.flight), []);
    world.check_others();
}

#[test]
fn sessions_are_bounded_in_all_and_per_peer() {
    let config =
        ServerConfig { sessions_max: 6, sessions_per_peer_max: 2, ..ServerConfig::default() };
    let world = World::new(config);
    let sessions = || {
        let (_, body) = world.server.ask("GET", "/db/default", &[], b"");
        let document: serde_json::Value = serde_json::from_str(&body).unwrap();
        document["sync_sessions"].as_u64().unwrap()
    };
    for _ in 0..5 {
        let flight = Frame::Hello(world.hello(77)).encode(None);
        assert!(world.server.wire().exchange(&flight, None).unwrap().session.is_some());
    }
    assert_eq!(sessions(), 2);
    for replica in 100..120 {
        let flight = Frame::Hello(world.hello(replica)).encode(None);
        assert!(world.server.wire().exchange(&flight, None).unwrap().session.is_some());
    }
    assert_eq!(sessions(), 6);
    let gone = world.server.wire().exchange(&[], Some("00000000000000000000000000000000"));
    assert_eq!(gone, Err(WireError::SessionUnknown));
    world.check_others();
}

#[test]
fn requests_that_stall_or_break_off_hold_nobody_up() {
    let world = World::new(ServerConfig { requests_max: 2, ..ServerConfig::default() });
    let head = "POST /sync HTTP/1.1\r\nhost: localhost\r\n\
                content-type: application/vnd.laterbase.frames\r\ncontent-length: 1000\r\n\r\n";
    // Bodies that never come, and heads that hang.
    let stalled: Vec<TcpStream> = (0..53)
        .map(|index| {
            let mut stream = TcpStream::connect(world.server.address).unwrap();
            let bytes = if index < 20 { head.len() } else { head.len() / 2 };
            stream.write_all(&head.as_bytes()[..bytes]).unwrap();
            stream
        })
        .collect();
    world.check_others();
    drop(stalled);
    world.check_others();
}

#[test]
fn what_http_itself_forbids_is_a_problem_document() {
    let world = World::new(ServerConfig { body_bytes_max: 1000, ..ServerConfig::default() });
    let frames = "content-type: application/vnd.laterbase.frames";
    let json = "content-type: application/json";
    type Case<'a> = (&'a str, &'a str, &'a [&'a str], &'a [u8], u16, &'a str);
    let site = "origin: https://example.org";
    let cases: [Case<'_>; 9] = [
        ("GET", "/health", &[site], b"", 403, "foreign"),
        ("GET", "/nowhere", &[], b"", 404, "not-found"),
        ("GET", "/db/other", &[], b"", 404, "no-such-database"),
        ("POST", "/db/other/sync", &[frames], b"", 404, "no-such-database"),
        ("PUT", "/db/default/sync", &[frames], b"", 405, "method"),
        ("POST", "/sync", &[json], b"", 415, "media-type"),
        ("POST", "/sync", &[frames], &[0; 2000], 413, "too-large"),
        ("POST", "/e/shipment", &[json], b"{", 400, "bad-request"),
        ("POST", "/e/shipment", &[json], b"{\"type\":\"\",\"data\":1}", 422, "refused-event"),
    ];
    for (method, path, headers, body, status, kind) in cases {
        let (found, text) = world.server.ask(method, path, headers, body);
        assert_eq!(found, status, "{method} {path}: {text}");
        let document: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(document["type"], format!("/problems/{kind}"), "{text}");
        assert_eq!(document["status"], status, "{text}");
    }
}

#[test]
fn garbage_over_a_live_connection_ends_that_connection() {
    let world = World::new(ServerConfig::default());
    let url = format!("ws://{}/sync", world.server.address);
    let connect = || {
        let stream = TcpStream::connect(world.server.address).unwrap();
        stream.set_read_timeout(Some(std::time::Duration::from_secs(60))).unwrap();
        tungstenite::client(url.as_str(), stream).unwrap().0
    };
    let mut garbage = connect();
    garbage.send(tungstenite::Message::Binary(vec![3, 4, 0xFF, 0xFF].into())).unwrap();
    let tungstenite::Message::Binary(answer) = garbage.read().unwrap() else { panic!("no Bye") };
    assert_eq!(byes(&answer), [Reason::Malformed]);
    assert!(matches!(garbage.read(), Ok(tungstenite::Message::Close(_)) | Err(_)));
    let mut text = connect();
    text.send(tungstenite::Message::Text("frames are bytes".into())).unwrap();
    assert!(matches!(text.read(), Ok(tungstenite::Message::Close(_)) | Err(_)));
    // One says nothing, and one leaves in the middle of a frame.
    let silent = connect();
    let mut leaving = connect();
    let hello = Frame::Hello(world.hello(11)).encode(None);
    leaving.send(tungstenite::Message::Binary(hello[..9].to_vec().into())).unwrap();
    drop(leaving);
    world.check_others();
    drop(silent);
}
