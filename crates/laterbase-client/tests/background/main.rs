//! Keeping in touch: with peers that hang, that are many, that tell of news.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod hub;

use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hub::Hub;
use laterbase::sync::frame::{self, Frame, FrameLimits};
use laterbase::sync::{Replica as _, SessionConfig, announce, hear};
use laterbase::{Database, NewEvent, Options};
use laterbase_client::{Background, BackgroundConfig, ContactFile, Peer, Peers};
use tempfile::TempDir;

/// After so long something is stuck, and far below the hour between syncs and the minute that a
/// request may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A copy with peers, in a directory of its own.
struct Copy {
    directory: TempDir,
    database: Database,
}

impl Copy {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let database = Database::create(directory.path().join("here"), Options::default()).unwrap();
        append(&database, "shipment");
        Self { directory, database }
    }

    fn path(&self) -> std::path::PathBuf {
        self.directory.path().join("here")
    }

    /// Another copy of the same database, which joins it empty.
    fn other(&self, name: &str) -> Database {
        let path = self.directory.path().join(name);
        Database::create_joined(path, Options::default(), self.database.id()).unwrap()
    }

    /// Keeps in touch with these, by news alone: the next sync without any is an hour away.
    fn keep_in_touch(&self, peers: impl IntoIterator<Item = Peer>, live: bool) -> Background {
        let mut listed = Peers::read(&self.path()).unwrap();
        for peer in peers {
            listed.add(peer).unwrap();
        }
        let interval = Duration::from_secs(3600);
        let config = BackgroundConfig { interval, live, ..BackgroundConfig::default() };
        Background::start(self.database.clone(), self.path(), config, Arc::new(|_| {}))
    }
}

fn append(database: &Database, root: &str) {
    let mut commit = database.commit();
    commit.push(&NewEvent::new(root, "4711", "seen")).unwrap();
    database.append(&mut commit).unwrap().wait().unwrap();
}

fn events(database: &Database) -> u64 {
    database.log_heads().unwrap().values().map(|head| head.seq).sum()
}

fn wait_for(what: &str, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn hubs(copy: &Copy, count: usize) -> Vec<Hub> {
    (0..count).map(|index| Hub::of(copy.other(&format!("hub-{index}")))).collect()
}

fn named(hubs: &[Hub]) -> impl Iterator<Item = Peer> {
    hubs.iter().enumerate().map(|(index, hub)| hub.peer(&format!("hub-{index}")))
}

/// An announcement: hops that are left, the roots it tells of, how many logs go along whole.
struct Announced {
    hops: u8,
    roots: Vec<String>,
    whole: usize,
}

/// The announcements that came to these.
fn announced(hubs: &[Hub]) -> Vec<Announced> {
    let limits = FrameLimits::default();
    let looked = |bytes: &Vec<u8>| {
        let opened = frame::open(bytes, &limits, None).unwrap();
        let Some(Frame::Announce(found)) = Frame::decode(&opened, &limits).unwrap() else {
            panic!("no announcement");
        };
        let roots = found.heads.sections.iter().map(|section| section.root.to_string());
        Announced { hops: found.hops, roots: roots.collect(), whole: found.batches.len() }
    };
    let heard = hubs.iter().map(|hub| hub.heard.lock().unwrap().clone());
    heard.collect::<Vec<_>>().concat().iter().map(looked).collect()
}

/// Has a copy hear an announcement of another one; whether it still lacks something.
fn hears(copy: &Copy, background: &Background, from: &Database, bytes_max: u64) -> bool {
    let port = from.sync_port().unwrap();
    let changed = port.heads().keys().map(|log| (*log, 0)).collect();
    let frame = announce(&port, &changed, 3, bytes_max);
    let mut port = copy.database.sync_port().unwrap();
    let heard = hear(&frame, &SessionConfig::default(), &mut port).unwrap().unwrap();
    background.hear(&heard);
    port.flush().unwrap();
    heard.lacks
}

#[test]
fn a_peer_that_hangs_holds_up_neither_news_nor_the_end() {
    let copy = Copy::new();
    let hubs = hubs(&copy, 3);
    let hangs = TcpListener::bind("127.0.0.1:0").unwrap();
    let hanging = Peer::new("hangs", &format!("http://{}", hangs.local_addr().unwrap())).unwrap();
    let background = copy.keep_in_touch(named(&hubs).chain([hanging]), false);
    wait_for("the first sync", || hubs.iter().all(|hub| events(&hub.database) == 1));
    // Each piece of news is told to three of four, drawn at random.
    for round in 0..10 {
        let before = announced(&hubs).len();
        append(&copy.database, "barge");
        wait_for(&format!("news {round}"), || announced(&hubs).len() >= before + 2);
    }
    let began = Instant::now();
    background.end();
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[test]
fn what_gossip_told_of_is_fetched_at_once() {
    let copy = Copy::new();
    let hubs = hubs(&copy, 1);
    let background = copy.keep_in_touch(named(&hubs), false);
    wait_for("the first sync", || events(&hubs[0].database) == 1);
    append(&hubs[0].database, "truck");
    assert!(hears(&copy, &background, &hubs[0].database, 0));
    wait_for("what the peer holds", || events(&copy.database) == 2);
}

#[test]
fn announcements_bring_small_batches_along() {
    let copy = Copy::new();
    let hubs = hubs(&copy, 4);
    let _background = copy.keep_in_touch(named(&hubs), false);
    wait_for("the first sync", || hubs.iter().all(|hub| events(&hub.database) == 1));
    append(&copy.database, "barge");
    wait_for("three announcements", || announced(&hubs).len() >= 3);
    let mut logs: Vec<usize> = announced(&hubs).iter().map(|one| one.whole).collect();
    logs.sort_unstable();
    assert_eq!(logs, [0, 1, 1]);
}

#[test]
fn what_gossip_brought_is_handed_on_with_a_hop_less_and_not_announced_anew() {
    let copy = Copy::new();
    let (hubs, other) = (hubs(&copy, 4), copy.other("other"));
    let background = copy.keep_in_touch(named(&hubs), false);
    wait_for("the first sync", || hubs.iter().all(|hub| events(&hub.database) == 1));
    append(&other, "truck");
    assert!(!hears(&copy, &background, &other, 4096));
    let of = |root: &str| -> Vec<u8> {
        let all = announced(&hubs);
        all.iter()
            .filter(|one| one.roots.iter().any(|name| name == root))
            .map(|one| one.hops)
            .collect()
    };
    wait_for("what was heard, with three others", || of("truck").len() >= 3);
    // News of here are announced, and behind whatever were to be announced anew.
    append(&copy.database, "barge");
    wait_for("news of here, with three", || of("barge").len() >= 3);
    assert_eq!((of("truck"), of("barge")), (vec![2; 3], vec![3; 3]));
}

#[test]
fn a_live_connection_that_came_to_nothing_counts_as_no_sync() {
    let copy = Copy::new();
    let hubs = hubs(&copy, 1);
    let background = copy.keep_in_touch(named(&hubs), true);
    wait_for("the first sync", || events(&hubs[0].database) == 1);
    let file = ContactFile::new(&copy.path(), "hub-0");
    wait_for("what is known of the peer", || file.read().syncs > 0);
    // Room for the connection that the peer does not offer.
    std::thread::sleep(Duration::from_millis(500));
    background.end();
    assert_eq!(file.read().syncs, 1);
}
