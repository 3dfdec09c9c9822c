//! Peers that may bring what they wrote: over requests and over a WebSocket, that and nothing else,
//! and they are told no more than they may read.

use std::collections::BTreeSet;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use laterbase::sync::frame::{self, Batches, Bye, Fault, Frame, FrameLimits, Hello, Reason};
use laterbase::sync::{HashTag, LogId, PeerMemory, Replica as _, Session, SessionConfig, announce};
use laterbase::{Database, Options, Position, ReplicaId, RootName};
use laterbase_client::{
    Background, BackgroundConfig, Peer, Peers, Report, SyncError, Token, TokenFile, Wire as _,
    drive,
};
use laterbase_server::tokens::{Limits, Mint, Right, narrow};
use laterbase_server::{ServerConfig, Verb};
use tungstenite::client::IntoClientRequest as _;

use crate::penetration::Fort;
use crate::support::{Running, append, held, sync};

const FRAMES: &str = "content-type: application/vnd.laterbase.frames";
/// After so long something is stuck.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server that asks for tokens, and a device of its database.
struct Field {
    fort: Fort,
    device: Database,
    directory: tempfile::TempDir,
}

impl Field {
    fn new() -> Self {
        Self::with(ServerConfig::default())
    }

    fn with(config: ServerConfig) -> Self {
        let fort = Fort::new(config);
        let directory = tempfile::tempdir().unwrap();
        let device = copy(&fort.server.database(), &directory.path().join("device"));
        Self { fort, device, directory }
    }

    /// A token for these replicas: what it may, and under which root.
    fn token(&self, replicas: &[ReplicaId], rights: &[(&str, Verb)]) -> String {
        let right = |(root, verb): &(&str, Verb)| Right {
            database: "default".to_owned(),
            root: (*root).to_owned(),
            verb: *verb,
        };
        let replicas = Some(replicas.iter().copied().collect()).filter(|_| !replicas.is_empty());
        let rights = rights.iter().map(right).collect();
        Mint { rights, replicas, expires: None }.sign(&self.fort.key).unwrap()
    }

    /// One for the device, to bring what it wrote and to read all.
    fn own(&self) -> String {
        self.token(&[self.device.replica()], &[("*", Verb::SyncOwn), ("*", Verb::Read)])
    }

    /// Has the device hold what another copy wrote.
    fn relayed(&self) -> ReplicaId {
        let path = self.directory.path().join("mate");
        let mate = copy(&self.device, &path);
        append(&mate, "mate", 0..2, true);
        let replica = mate.replica();
        mate.close().unwrap();
        let mate = Running::of(&path, ServerConfig::default());
        sync(&self.device, &mate).0.unwrap();
        replica
    }

    /// Syncs the device once.
    fn sync(&self, token: &str) -> (Result<(), SyncError>, Report) {
        let port = self.device.sync_port().unwrap();
        let memory = port.recall(self.fort.server.database().replica());
        self.sync_with(token, memory)
    }

    fn sync_with(
        &self,
        token: &str,
        memory: Option<PeerMemory>,
    ) -> (Result<(), SyncError>, Report) {
        let mut port = self.device.sync_port().unwrap();
        let mut wire = self.fort.server.wire().with_token(Some(Token::new(token).unwrap()));
        let mut report = Report::default();
        let config = SessionConfig::default();
        let done = drive(&mut port, &mut wire, &config, memory, &mut report, &mut |_| {});
        (done, report)
    }

    /// Which roots the server holds events of by this replica.
    fn brought(&self, by: ReplicaId) -> BTreeSet<String> {
        roots(&self.fort.server.database(), by)
    }

    /// A Hello of this replica, which holds what the device does.
    fn hello(&self, replica: ReplicaId) -> Vec<u8> {
        let mut port = self.device.sync_port().unwrap();
        let mut session = Session::initiator(SessionConfig::default(), None);
        let hello = session.poll_frame(0, &mut port).unwrap();
        let mut changed = None;
        decode(&hello, |frame| {
            if let Frame::Hello(hello) = frame {
                changed =
                    Some(Hello { replica, capabilities: frame::Capabilities(0), ..hello.clone() });
            }
        });
        Frame::Hello(changed.unwrap()).encode(None)
    }

    /// All that a replica wrote under a root, as the device holds it.
    fn batches(&self, writer: ReplicaId, root: &str) -> Vec<u8> {
        let port = self.device.sync_port().unwrap();
        let log = LogId::new(RootName::try_from(root).unwrap(), writer);
        let mut batches = Vec::new();
        port.read(&log, 0, u64::MAX, &mut batches).unwrap();
        let end = port.end_before(&log, u64::MAX).unwrap();
        let frame = Batches {
            log,
            writer,
            ends: false,
            tag: HashTag::of(&end.hash),
            batches: batches.iter().map(|batch| batch.as_slice().into()).collect(),
        };
        Frame::Batches(frame).encode(None)
    }

    /// What a flight is answered with by POST.
    fn post(&self, token: &str, flight: &[u8]) -> Vec<Vec<u8>> {
        let mut wire = self.fort.server.wire().with_token(Some(Token::new(token).unwrap()));
        frames(&wire.exchange(flight, None).unwrap().flight)
    }

    /// What flights are answered with over a WebSocket, until the server ends it.
    fn live(&self, token: &str, flights: &[&[u8]]) -> Vec<Vec<u8>> {
        let stream = TcpStream::connect(self.fort.server.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut request =
            format!("ws://{}/sync", self.fort.server.address).into_client_request().unwrap();
        let shown = format!("Bearer {token}").parse().unwrap();
        request.headers_mut().insert("authorization", shown);
        let (mut socket, _) = tungstenite::client(request, stream).unwrap();
        for flight in flights {
            socket.send(tungstenite::Message::Binary(flight.to_vec().into())).unwrap();
        }
        let mut all = Vec::new();
        while let Ok(message) = socket.read() {
            match message {
                tungstenite::Message::Binary(bytes) => all.extend(frames(&bytes)),
                tungstenite::Message::Close(_) => break,
                tungstenite::Message::Ping(_) | tungstenite::Message::Pong(_) => {}
                tungstenite::Message::Text(_) | tungstenite::Message::Frame(_) => panic!("text"),
            }
        }
        all
    }
}

fn copy(of: &Database, path: &std::path::Path) -> Database {
    Database::create_joined(path, Options::default(), of.id()).unwrap()
}

fn roots(database: &Database, by: ReplicaId) -> BTreeSet<String> {
    let all = database.read(&laterbase::Query::all()).unwrap();
    let all = all.map(|recorded| recorded.unwrap().event);
    all.filter(|event| event.id.replica() == by).map(|event| event.root).collect()
}

fn frames(mut flight: &[u8]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    while let Some((first, rest)) = frame::split(flight, &FrameLimits::default()).unwrap() {
        all.push(first.to_vec());
        flight = rest;
    }
    all
}

fn decode(bytes: &[u8], mut then: impl FnMut(&Frame<'_>)) {
    let limits = FrameLimits::default();
    let opened = frame::open(bytes, &limits, None).unwrap();
    then(&Frame::decode(&opened, &limits).unwrap().unwrap());
}

/// The Bye among frames.
fn bye(frames: &[Vec<u8>]) -> Option<Bye> {
    let mut found = None;
    for bytes in frames {
        decode(bytes, |frame| {
            if let Frame::Bye(bye) = frame {
                found = Some(*bye);
            }
        });
    }
    found
}

#[test]
fn a_peer_brings_what_it_wrote_and_reads_what_it_may() {
    let field = Field::new();
    let mate = field.relayed();
    append(&field.device, "scan", 0..5, false);
    for _ in 0..2 {
        field.sync(&field.own()).0.unwrap();
    }
    assert_eq!(field.brought(field.device.replica()), BTreeSet::from(["scan".to_owned()]));
    assert_eq!(field.brought(mate), BTreeSet::new());
    let of_server = roots(&field.device, field.fort.server.database().replica());
    assert_eq!(of_server, BTreeSet::from(["shipment".to_owned(), "truck".to_owned()]));
    let (done, report) = field.sync(&field.own());
    done.unwrap();
    assert_eq!((report.progress.pull_events, report.progress.push_events), (0, 0), "{report:?}");
}

#[test]
fn bringing_anothers_log_is_refused_by_name_and_nothing_is_stored() {
    let field = Field::new();
    let mate = field.relayed();
    append(&field.device, "scan", 0..1, true);
    let hello = field.hello(field.device.replica());
    let (own, relayed) =
        (field.batches(field.device.replica(), "scan"), field.batches(mate, "mate"));
    let log = LogId::new(RootName::try_from("mate").unwrap(), mate);
    let refused = Bye { fault: Some((Fault::Relayed, log, 0)), ..Bye::new(Reason::Scope) };
    let token = field.own();
    let before = held(&field.fort.server.database());
    let posted = field.post(&token, &[&hello[..], &relayed].concat());
    assert_eq!(bye(&posted), Some(refused));
    let live = field.live(&token, &[&hello, &relayed]);
    assert_eq!(bye(&live), Some(refused));
    assert_eq!(held(&field.fort.server.database()), before);
    // In the name of the device it is not the batch that it claims to be.
    let mut claimed = relayed;
    let (from, to) = (mate.as_u64().to_le_bytes(), field.device.replica().as_u64().to_le_bytes());
    let at = claimed.windows(8).position(|bytes| bytes == from).unwrap();
    claimed[at..at + 8].copy_from_slice(&to);
    let posted = field.post(&token, &[&hello[..], &claimed].concat());
    assert_eq!(bye(&posted).map(|bye| bye.reason), Some(Reason::BadBatch));
    assert_eq!(held(&field.fort.server.database()), before);
    assert!(field.fort.server.said().iter().any(|line| line.contains("Relayed")));
    // Its own is taken all the same, and another session was not hurt.
    field.post(&token, &[&hello[..], &own].concat());
    assert_eq!(field.brought(field.device.replica()).len(), 1);
    field.sync(&token).0.unwrap();
}

#[test]
fn a_peer_is_a_replica_that_its_token_names() {
    let field = Field::new();
    append(&field.device, "scan", 0..1, true);
    let own = field.batches(field.device.replica(), "scan");
    let other = ReplicaId::from_u64(7);
    let rights = [("*", Verb::SyncOwn), ("*", Verb::Read)];
    let device = field.device.replica();
    let stolen = field.token(&[other], &rights);
    // As itself, which the token does not name; as the one that it names, with its own events.
    for (replica, reason) in [(device, Reason::Scope), (other, Reason::Scope)] {
        let hello = field.hello(replica);
        let posted = field.post(&stolen, &[&hello[..], &own].concat());
        let live = field.live(&stolen, &[&hello, &own]);
        for told in [&posted, &live] {
            assert_eq!(bye(told).map(|bye| bye.reason), Some(reason), "{replica}");
        }
        assert_eq!(posted.len(), 1, "a Bye, and nothing else");
    }
    assert_eq!(field.brought(device).len(), 0);
    // Narrowed to the device it is of the device; to another as well, of nobody.
    let broad = field.token(&[], &rights);
    let to = |replica: ReplicaId| Limits {
        replicas: Some(BTreeSet::from([replica])),
        ..Limits::default()
    };
    let narrowed = narrow(&broad, &to(device)).unwrap();
    let nobodys = narrow(&narrowed, &to(other)).unwrap();
    for token in [&broad, &nobodys] {
        let (done, _) = field.sync(token);
        assert!(done.is_err(), "{done:?}");
    }
    assert_eq!(field.brought(device).len(), 0);
    field.sync(&narrowed).0.unwrap();
    assert_eq!(field.brought(device).len(), 1);
}

#[test]
fn sync_own_without_a_replica_counts_for_nobody() {
    let field = Field::new();
    let token = field.token(&[], &[("*", Verb::SyncOwn), ("*", Verb::Read)]);
    let hello = field.hello(field.device.replica());
    let shown = format!("authorization: Bearer {token}");
    let (status, _) = field.fort.server.ask("POST", "/sync", &[&shown, FRAMES], &hello);
    assert_eq!(status, 403);
    let upgrade = ["connection: upgrade", "upgrade: websocket", "sec-websocket-version: 13"];
    let key = "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==";
    let headers = [&upgrade[..], &[key, &shown]].concat();
    assert_eq!(field.fort.server.ask("GET", "/sync", &headers, b"").0, 403);
    let said = field.fort.server.said();
    assert!(said.iter().any(|line| line.contains("names no replica")), "{said:?}");
}

#[test]
fn a_peer_that_reads_nothing_is_told_nothing() {
    let field = Field::new();
    append(&field.device, "scan", 0..3, true);
    append(&field.device, "shipment", 100..101, true);
    let device = field.device.replica();
    let token = field.token(&[device], &[("*", Verb::SyncOwn)]);
    let (done, report) = field.sync_with(&token, None);
    done.unwrap();
    assert_eq!((report.progress.pull_events, report.progress.push_events), (0, 4), "{report:?}");
    let hello = field.hello(device);
    for told in [field.post(&token, &hello), field.live_hello(&token, &hello)] {
        for bytes in told {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            assert!(!text.contains("truck"), "{text}");
            decode(&bytes, |frame| match frame {
                Frame::Heads(heads) => {
                    let all = heads.sections.iter().flat_map(|section| &section.heads);
                    assert!(all.clone().all(|(replica, _)| *replica == device));
                }
                Frame::Batches(_) | Frame::Fork(_) | Frame::Announce(_) => panic!("{frame:?}"),
                Frame::Hello(_) | Frame::Want(_) | Frame::Ack(_) | Frame::Bye(_) => {}
            });
        }
    }
    // What it may read comes, root by root.
    let token = field.token(&[device], &[("*", Verb::SyncOwn), ("truck", Verb::Read)]);
    field.sync_with(&token, None).0.unwrap();
    let of_server = roots(&field.device, field.fort.server.database().replica());
    assert_eq!(of_server, BTreeSet::from(["truck".to_owned()]));
}

impl Field {
    /// What a Hello over a WebSocket is answered with.
    fn live_hello(&self, token: &str, hello: &[u8]) -> Vec<Vec<u8>> {
        let bye = Frame::Bye(Bye::new(Reason::Done)).encode(None);
        self.live(token, &[hello, &bye])
    }
}

#[test]
fn a_peer_takes_part_in_the_roots_of_its_token() {
    let field = Field::new();
    let device = field.device.replica();
    append(&field.device, "scan", 0..1, true);
    append(&field.device, "truck", 50..51, true);
    let token = field.token(&[device], &[("truck", Verb::SyncOwn), ("*", Verb::Read)]);
    field.sync(&token).0.unwrap();
    assert_eq!(field.brought(device), BTreeSet::from(["truck".to_owned()]));
    let hello = field.hello(device);
    let posted = field.post(&token, &[&hello[..], &field.batches(device, "scan")].concat());
    assert_eq!(bye(&posted).map(|bye| bye.reason), Some(Reason::Scope));
    assert_eq!(field.brought(device), BTreeSet::from(["truck".to_owned()]));
    // Of another database it is none.
    let yard = field.fort.server.ask(
        "POST",
        "/db/yard/sync",
        &[&format!("authorization: Bearer {token}"), FRAMES],
        &hello,
    );
    assert_eq!(yard.0, 403);
}

#[test]
fn a_session_is_not_continued_with_another_grant() {
    let field = Field::new();
    append(&field.device, "scan", 0..1, true);
    let device = field.device.replica();
    let relay = field.token(&[], &[("*", Verb::Relay)]);
    let hello = field.hello(device);
    let shown = |token: &str| format!("authorization: Bearer {token}");
    let (status, headers, _) =
        field.fort.server.ask_whole("POST", "/sync", &[&shown(&relay), FRAMES], &hello);
    assert_eq!(status, 200);
    let session = format!("laterbase-session: {}", headers["laterbase-session"]);
    let go_on = |token: &str| {
        field.fort.server.ask("POST", "/sync", &[&shown(token), FRAMES, &session], b"").0
    };
    assert_eq!(go_on(&field.own()), 410);
    assert_eq!(go_on(&relay), 200);
}

#[test]
fn what_a_peer_may_no_longer_bring_ends_one_session_and_not_the_next() {
    let field = Field::new();
    let relay = field.token(&[], &[("*", Verb::Relay)]);
    append(&field.device, "scan", 0..1, true);
    field.sync(&relay).0.unwrap();
    let mate = field.relayed();
    append(&field.device, "scan", 1..2, true);
    // It goes on from what it remembers, and sends what it always did.
    let error = field.sync(&field.own()).0.unwrap_err();
    assert!(error.is_passing() && error.to_string().contains("left out"), "{error}");
    field.sync(&field.own()).0.unwrap();
    assert_eq!(field.brought(mate), BTreeSet::new());
    assert_eq!(held(&field.fort.server.database()).len(), 8);
    field.sync(&relay).0.unwrap();
    assert_eq!(field.brought(mate), BTreeSet::from(["mate".to_owned()]));
}

#[test]
fn gossip_and_bundles_bring_no_more() {
    let field = Field::new();
    let mate = field.relayed();
    append(&field.device, "scan", 0..1, true);
    let port = field.device.sync_port().unwrap();
    let changed = port.heads().keys().map(|log| (*log, 0)).collect();
    let frame = announce(&port, &changed, 1, 1 << 20);
    let post = |path: &str, body: &[u8]| {
        let shown = format!("authorization: Bearer {}", field.own());
        field.fort.server.ask("POST", path, &[&shown, FRAMES], body).0
    };
    assert_eq!(post("/sync", &frame), 204);
    assert_eq!(field.brought(field.device.replica()), BTreeSet::from(["scan".to_owned()]));
    assert_eq!(field.brought(mate), BTreeSet::new());
    assert_eq!(post("/db/default/bundle", &field.hello(field.device.replica())), 403);
}

#[test]
fn a_live_session_ends_when_its_token_is_revoked() {
    let field =
        Field::with(ServerConfig { recheck_after: Duration::ZERO, ..ServerConfig::default() });
    let token = field.own();
    let hello = field.hello(field.device.replica());
    std::thread::scope(|threads| {
        let live = threads.spawn(|| field.live(&token, &[&hello]));
        let deadline = Instant::now() + PATIENCE;
        while !field.is_live() {
            assert!(Instant::now() < deadline, "no live connection");
            std::thread::yield_now();
        }
        field.fort.revoke(&token);
        append(&field.fort.server.database(), "secret", 0..1, true);
        let told = live.join().unwrap();
        assert!(!told.iter().any(|bytes| String::from_utf8_lossy(bytes).contains("secret")));
    });
}

impl Field {
    fn is_live(&self) -> bool {
        let token = self.token(&[], &[("*", Verb::Read)]);
        let (_, text) = self.fort.ask(&token, "GET", "/db/default", b"");
        text.contains("\"live\":true")
    }
}

#[test]
fn copies_with_tokens_of_their_own_converge_in_the_background() {
    let field = Field::new();
    let start = |name: &str| {
        let path = field.directory.path().join(name);
        let database = copy(&field.device, &path);
        let rights = [("*", Verb::SyncOwn), ("*", Verb::Read)];
        let token = Token::new(&field.token(&[database.replica()], &rights)).unwrap();
        TokenFile::new(&path, "hub").write(&token).unwrap();
        let peer = Peer::new("hub", &field.fort.server.peer().to_string()).unwrap();
        Peers::read(&path).unwrap().add(peer).unwrap();
        let config = BackgroundConfig {
            interval: Duration::from_secs(3600),
            live: true,
            ..BackgroundConfig::default()
        };
        let background = Background::start(database.clone(), path, config, Arc::new(|_| {}));
        (database, background)
    };
    let (one, _keeps_one) = start("one");
    let (two, _keeps_two) = start("two");
    let mut count = 6;
    for round in 0..5 {
        append(&one, "scan", round..round + 1, true);
        append(&two, "scan", round..round + 1, true);
        append(&field.fort.server.database(), "order", round..round + 1, true);
        count += 3;
        for database in [&one, &two, &field.fort.server.database()] {
            wait_for_events(database, count);
        }
    }
    assert_eq!(held(&one), held(&two));
    assert_eq!(held(&one), held(&field.fort.server.database()));
}

fn wait_for_events(database: &Database, count: usize) {
    let mut position = Position::NONE;
    while held(database).len() < count {
        let flushed = database.wait_for_flushed(position, PATIENCE).unwrap();
        assert!(flushed > position, "{} events of {count}", held(database).len());
        position = flushed;
    }
}
