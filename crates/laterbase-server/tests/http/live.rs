//! A live connection: events go both ways as they come, with nobody asking.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::support::{Running, append, held};
use laterbase::{Database, DatabaseId, Options};
use laterbase_client::{Background, BackgroundConfig, Peer, Peers};
use laterbase_server::ServerConfig;

/// After so long something is stuck.
const PATIENCE: Duration = Duration::from_secs(120);

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

fn wait_for(what: &str, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(10));
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
    wait_for("the first events", || held(&one.database).len() == 10);
    wait_for("the first events", || held(&two.database).len() == 10);
    wait_for("two live connections", || {
        let (_, body) = server.ask("GET", "/db/default", &[], b"");
        let document: serde_json::Value = serde_json::from_str(&body).unwrap();
        let peers = document["peers"].as_array().unwrap().clone();
        peers.iter().filter(|peer| peer["live"] == true).count() == 2
    });
    for round in 0..20 {
        append(&one.database, "shipment", 100 + round * 10..103 + round * 10, false);
        append(&two.database, "barge", round..round + 1, false);
        post(&server, 1);
    }
    let count = 10 + 20 * 5;
    wait_for("all events at one", || held(&one.database).len() == count);
    wait_for("all events at two", || held(&two.database).len() == count);
    assert_eq!(held(&one.database), held(&two.database));
}

#[test]
fn without_a_live_connection_local_news_are_pushed_all_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let (server, id) = served(directory.path());
    let one = copy(&directory.path().join("one"), id, &server, false);
    wait_for("the first events", || held(&one.database).len() == 10);
    append(&one.database, "barge", 0..5, false);
    wait_for("the news at the server", || {
        let (_, body) = server.ask("GET", "/db/default", &[], b"");
        let document: serde_json::Value = serde_json::from_str(&body).unwrap();
        document["events"] == 15
    });
}

#[test]
fn gossip_reaches_all_when_there_are_more_peers_than_are_told_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let (first, id) = served(directory.path());
    let one = copy(&directory.path().join("one"), id, &first, false);
    wait_for("the first events", || held(&one.database).len() == 10);
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
    let events = |server: &Running| {
        let (_, body) = server.ask("GET", "/db/default", &[], b"");
        let document: serde_json::Value = serde_json::from_str(&body).unwrap();
        document["events"].as_u64().unwrap()
    };
    wait_for("the first sync with all", || servers.iter().all(|server| events(server) == 10));
    // Each piece of news reaches three of six at random.
    wait_for("an announcement at each", || {
        append(&one.database, "barge", 0..1, false);
        std::thread::sleep(Duration::from_millis(20));
        servers.iter().all(|server| events(server) > 10)
    });
}
