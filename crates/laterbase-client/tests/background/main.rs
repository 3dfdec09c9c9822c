//! Keeping in touch: with peers that hang, that are many, that tell of news.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod hub;

use std::net::TcpListener;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use hub::{Heard, Hub, Told};
use laterbase::sync::frame::{self, Frame, FrameLimits};
use laterbase::sync::{Replica as _, SessionConfig, announce, hear};
use laterbase::{Database, NewEvent, Options, Position};
use laterbase_client::{Background, BackgroundConfig, ContactFile, Peer, PeerNotice, Peers};
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
    fn keep_in_touch(
        &self,
        peers: impl IntoIterator<Item = Peer>,
        heard: &Arc<Heard>,
        live: bool,
    ) -> Background {
        let mut listed = Peers::read(&self.path()).unwrap();
        for peer in peers {
            listed.add(peer).unwrap();
        }
        let interval = Duration::from_secs(3600);
        let config = BackgroundConfig { interval, live, ..BackgroundConfig::default() };
        let heard = Arc::clone(heard);
        let notices = move |notice: &PeerNotice| {
            if let PeerNotice::Reached { .. } = notice {
                heard.take(|told| told.reached += 1);
            }
        };
        Background::start(self.database.clone(), self.path(), config, Arc::new(notices))
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

/// Waits until a copy has so many events.
fn wait_for_events(database: &Database, count: u64) {
    let mut position = Position::NONE;
    while events(database) < count {
        let flushed = database.wait_for_flushed(position, PATIENCE).unwrap();
        assert!(flushed > position, "{} events of {count}", events(database));
        position = flushed;
    }
}

/// Hubs with empty copies, and what they are told.
fn hubs(copy: &Copy, count: usize) -> (Vec<Hub>, Arc<Heard>) {
    let heard = Arc::new(Heard::default());
    let hub = |index| Hub::of(copy.other(&format!("hub-{index}")), &heard);
    ((0..count).map(hub).collect(), Arc::clone(&heard))
}

/// Waits until each has got what there is at the beginning, and the copy knows.
fn wait_for_first_sync(hubs: &[Hub], heard: &Heard) {
    let all = hubs.len();
    heard.wait("the first sync", PATIENCE, |told| (told.reached >= all).then_some(()));
    assert!(hubs.iter().all(|hub| events(&hub.database) == 1));
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

/// The announcements among what was told.
fn announced(told: &Told) -> Vec<Announced> {
    let limits = FrameLimits::default();
    let looked = |bytes: &Vec<u8>| {
        let opened = frame::open(bytes, &limits, None).unwrap();
        let Some(Frame::Announce(found)) = Frame::decode(&opened, &limits).unwrap() else {
            panic!("no announcement");
        };
        let roots = found.heads.sections.iter().map(|section| section.root.to_string());
        Announced { hops: found.hops, roots: roots.collect(), whole: found.batches.len() }
    };
    told.announcements.iter().map(looked).collect()
}

/// Waits for so many announcements that tell of a root; these.
fn wait_for_announcements(heard: &Heard, of: &str, count: usize) -> Vec<Announced> {
    heard.wait(&format!("{count} announcements of {of}"), PATIENCE, |told| {
        let mut all = announced(told);
        all.retain(|one| one.roots.iter().any(|root| root == of));
        (all.len() >= count).then_some(all)
    })
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
    let (hubs, heard) = hubs(&copy, 3);
    let hangs = TcpListener::bind("127.0.0.1:0").unwrap();
    let hanging = Peer::new("hangs", &format!("http://{}", hangs.local_addr().unwrap())).unwrap();
    let background = copy.keep_in_touch(named(&hubs).chain([hanging]), &heard, false);
    wait_for_first_sync(&hubs, &heard);
    // Each piece of news is told to three of four, drawn at random.
    for round in 0..10 {
        append(&copy.database, "barge");
        wait_for_announcements(&heard, "barge", 2 * (round + 1));
    }
    let (ended, end) = mpsc::channel();
    std::thread::spawn(move || {
        background.end();
        ended.send(())
    });
    end.recv_timeout(PATIENCE).unwrap();
}

#[test]
fn what_gossip_told_of_is_fetched_at_once() {
    let copy = Copy::new();
    let (hubs, heard) = hubs(&copy, 1);
    let background = copy.keep_in_touch(named(&hubs), &heard, false);
    wait_for_first_sync(&hubs, &heard);
    append(&hubs[0].database, "truck");
    assert!(hears(&copy, &background, &hubs[0].database, 0));
    wait_for_events(&copy.database, 2);
}

#[test]
fn announcements_bring_small_batches_along() {
    let copy = Copy::new();
    let (hubs, heard) = hubs(&copy, 4);
    let _background = copy.keep_in_touch(named(&hubs), &heard, false);
    wait_for_first_sync(&hubs, &heard);
    append(&copy.database, "barge");
    let announced = wait_for_announcements(&heard, "barge", 3);
    let mut logs: Vec<usize> = announced.iter().map(|one| one.whole).collect();
    logs.sort_unstable();
    assert_eq!(logs, [0, 1, 1]);
}

#[test]
fn what_gossip_brought_is_handed_on_with_a_hop_less_and_not_announced_anew() {
    let copy = Copy::new();
    let ((hubs, heard), other) = (hubs(&copy, 4), copy.other("other"));
    let background = copy.keep_in_touch(named(&hubs), &heard, false);
    wait_for_first_sync(&hubs, &heard);
    append(&other, "truck");
    assert!(!hears(&copy, &background, &other, 4096));
    wait_for_announcements(&heard, "truck", 3);
    // News of here are announced, and behind whatever were to be announced anew.
    append(&copy.database, "barge");
    let hops = |root: &str| -> Vec<u8> {
        wait_for_announcements(&heard, root, 3).iter().map(|one| one.hops).collect()
    };
    assert_eq!(hops("barge"), [3; 3]);
    assert_eq!(hops("truck"), [2; 3]);
}

#[test]
fn a_live_connection_that_came_to_nothing_counts_as_no_sync() {
    let copy = Copy::new();
    let (hubs, heard) = hubs(&copy, 1);
    let background = copy.keep_in_touch(named(&hubs), &heard, true);
    heard.wait("the wish for a live connection", PATIENCE, |told| {
        (told.live_asked > 0).then_some(())
    });
    background.end();
    assert_eq!(events(&hubs[0].database), 1);
    assert_eq!(ContactFile::new(&copy.path(), "hub-0").read().syncs, 1);
}
