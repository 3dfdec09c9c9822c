//! A live connection: events go both ways as they come, with nobody asking.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::support::{Running, append, held};
use laterbase::{Database, DatabaseId, Options, Position};
use laterbase_client::{Background, BackgroundConfig, Peer, Peers};
use laterbase_server::ServerConfig;

/// After so long something is stuck.
const PATIENCE: Duration = Duration::from_secs(120);

/// Between two looks at what a server shows.
const LOOK: Duration = Duration::from_millis(10);

/// How long news may take to one that they are told to, before there are more.
const NEWS_EVERY: Duration = Duration::from_millis(50);

struct Copy {
    database: Database,
    _background: Background,
}

/// A copy that keeps in touch with the server, and with nothing but news to do so.
fn copy(path: &Path, id: DatabaseId, server: &Running, live: bool) -> Copy {
    let database = Database::create_joined(path, Options::default(), id).unwrap();
    let peer = Peer::new("hub", &server.peer().to_string()).unwrap();
    Peers::read(path).unwrap().add(peer).unwrap();
    let config = BackgroundConfig {
        interval: Duration::from_secs(3600),
        live,
        ..BackgroundConfig::default()
    };
    let background = Background::start(database.clone(), path.to_owned(), config, Arc::new(|_| {}));
    Copy { database, _background: background }
}

/// Waits until a copy has so many events.
fn wait_for_events(database: &Database, count: usize) {
    let mut position = Position::NONE;
    while held(database).len() < count {
        let flushed = database.wait_for_flushed(position, PATIENCE).unwrap();
        assert!(flushed > position, "{} events of {count}", held(database).len());
        position = flushed;
    }
}

fn served(directory: &Path) -> (Running, DatabaseId) {
    let path = directory.join("server");
    let database = Database::create(&path, Options::default()).unwrap();
    append(&database, "shipment", 0..10, false);
    let id = database.id();
    database.close().unwrap();
    (Running::of(&path, ServerConfig::default()), id)
}

/// How many live connections a server shows.
fn live_count(server: &Running) -> usize {
    let (_, body) = server.ask("GET", "/db/default", &[], b"");
    let document: serde_json::Value = serde_json::from_str(&body).unwrap();
    document["peers"].as_array().unwrap().iter().filter(|peer| peer["live"] == true).count()
}

fn post(server: &Running, count: usize) {
    for _ in 0..count {
        let event = b"{\"type\":\"seen\",\"data\":1}";
        let (status, body) = server.ask("POST", "/e/truck", &[], event);
        assert_eq!(status, 201, "{body}");
    }
}

#[test]
fn what_one_writes_comes_to_the_others_without_their_asking() {
    let directory = tempfile::tempdir().unwrap();
    let (server, id) = served(directory.path());
    let one = copy(&directory.path().join("one"), id, &server, true);
    let two = copy(&directory.path().join("two"), id, &server, true);
    wait_for_events(&one.database, 10);
    wait_for_events(&two.database, 10);
    let deadline = Instant::now() + PATIENCE;
    while live_count(&server) < 2 {
        assert!(Instant::now() < deadline, "no two live connections");
        std::thread::sleep(LOOK);
    }
    for round in 0..20 {
        append(&one.database, "shipment", 100 + round * 10..103 + round * 10, false);
        append(&two.database, "barge", round..round + 1, false);
        post(&server, 1);
    }
    let count = 10 + 20 * 5;
    wait_for_events(&one.database, count);
    wait_for_events(&two.database, count);
    assert_eq!(held(&one.database), held(&two.database));
}

#[test]
fn without_a_live_connection_local_news_are_pushed_all_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let (server, id) = served(directory.path());
    let one = copy(&directory.path().join("one"), id, &server, false);
    wait_for_events(&one.database, 10);
    append(&one.database, "barge", 0..5, false);
    wait_for_events(&server.database(), 15);
}

#[test]
fn gossip_reaches_all_when_there_are_more_peers_than_are_told_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let (first, id) = served(directory.path());
    let one = copy(&directory.path().join("one"), id, &first, false);
    wait_for_events(&one.database, 10);
    // Five more servers that one lists; anti-entropy takes an hour, so what comes is gossip's.
    let servers: Vec<Running> = (0..5)
        .map(|index| {
            let path = directory.path().join(format!("server-{index}"));
            Database::create_joined(&path, Options::default(), id).unwrap().close().unwrap();
            Running::of(&path, ServerConfig::default())
        })
        .collect();
    let mut peers = Peers::read(&directory.path().join("one")).unwrap();
    for (index, server) in servers.iter().enumerate() {
        let peer = Peer::new(&format!("p{index}"), &server.peer().to_string()).unwrap();
        peers.add(peer).unwrap();
    }
    let databases: Vec<Database> = servers.iter().map(Running::database).collect();
    databases.iter().for_each(|database| wait_for_events(database, 10));
    // Each piece of news reaches three of six at random.
    let deadline = Instant::now() + PATIENCE;
    for database in &databases {
        let before = database.wait_for_flushed(Position::NONE, PATIENCE).unwrap();
        while held(database).len() == 10 {
            assert!(Instant::now() < deadline, "one of them hears nothing");
            append(&one.database, "barge", 0..1, false);
            let _ = database.wait_for_flushed(before, NEWS_EVERY);
        }
    }
}
