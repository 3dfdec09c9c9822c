//! Three servers and a bundle: events written on all of them while a proxy between them cuts,
//! delays and tears connections and the processes are killed. In the end all hold the same, and
//! everything that was acknowledged is there.
//!
//! By default 3,000 events; `LATERBASE_TEST_EVENTS=100000` runs the full count, which takes
//! minutes. `LATERBASE_TEST_SEED` chooses the faults; a failure names it.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::node::{Node, ask};
use crate::proxy::Proxy;
use crate::support::{Sandbox, ndjson};
use laterbase_log::storage::Random;
use serde_json::Value;

const NAMES: [&str; 3] = ["a", "b", "c"];
/// Events of one request.
const TOGETHER: u64 = 20;
/// After so long without an acknowledgement, or without agreement, something is stuck.
const PATIENCE: Duration = Duration::from_secs(300);
/// How often the copies are compared.
const POLL: Duration = Duration::from_millis(50);
/// Between two requests of a writer: others write, sync and are killed meanwhile.
const PACE: Duration = Duration::from_millis(5);
/// Until a writer tries again what was not acknowledged.
const AGAIN: Duration = Duration::from_millis(20);
/// How long a node lives between two kills, at least, and up to how much longer.
const UP_FOR_MS: (u64, u64) = (100, 400);
/// How long a node that was killed stays down, at most.
const DOWN_FOR_MS: u64 = 200;

fn events_wanted() -> u64 {
    std::env::var("LATERBASE_TEST_EVENTS").map_or(3_000, |count| count.parse().unwrap())
}

fn seed() -> u64 {
    std::env::var("LATERBASE_TEST_SEED").map_or(1, |seed| seed.parse().unwrap())
}

/// Where each node listens by now; none while it is down.
#[derive(Default)]
struct Places {
    by_node: Mutex<[Option<SocketAddr>; 3]>,
    changed: Condvar,
}

impl Places {
    fn set(&self, index: usize, place: Option<SocketAddr>) {
        self.by_node.lock().unwrap()[index] = place;
        self.changed.notify_all();
    }

    /// Where a node listens, as soon as it does.
    fn wait(&self, index: usize) -> SocketAddr {
        let places = self.by_node.lock().unwrap();
        let is_down = |places: &mut [Option<SocketAddr>; 3]| places[index].is_none();
        let (places, _) = self.changed.wait_timeout_while(places, PATIENCE, is_down).unwrap();
        places[index].unwrap_or_else(|| panic!("node {index} stays down, seed {}", seed()))
    }
}

struct World {
    sandbox: Sandbox,
    nodes: Vec<Node>,
    proxies: Vec<Proxy>,
    places: Arc<Places>,
}

impl World {
    /// Three copies of one database, each a peer of the others, by way of the proxies.
    fn new(seed: u64) -> Self {
        let sandbox = Sandbox::new();
        let proxies: Vec<Proxy> = (0..3).map(|index| Proxy::new(seed * 31 + index)).collect();
        sandbox.run(["init", "--db", "a"]).success();
        let first = Node::start(&sandbox, "a");
        for name in ["b", "c"] {
            sandbox.run(["init", "--db", name, "--join", &first.url()]).success();
            sandbox.run(["peer", "remove", "origin", "--db", name]).success();
        }
        for (at, name) in NAMES.iter().enumerate() {
            for (other, peer) in NAMES.iter().enumerate().filter(|(other, _)| *other != at) {
                let url = proxies[other].url();
                sandbox.run(["peer", "add", peer, &url, "--db", name]).success();
            }
        }
        let places = Arc::default();
        let mut world = Self { sandbox, nodes: vec![first], proxies, places };
        for name in ["b", "c"] {
            let node = Node::start(&world.sandbox, name);
            world.nodes.push(node);
        }
        for index in 0..3 {
            world.found(index);
        }
        world
    }

    /// A node listens somewhere.
    fn found(&self, index: usize) {
        let address = self.nodes[index].address;
        self.proxies[index].lead_to(Some(address));
        self.places.set(index, Some(address));
    }

    fn lost(&self, index: usize) {
        self.proxies[index].lead_to(None);
        self.places.set(index, None);
    }

    /// Kills a node and starts it again.
    fn kill(&mut self, index: usize, down_for: Duration) {
        self.lost(index);
        self.nodes[index].kill();
        thread::sleep(down_for);
        self.nodes[index] = Node::start(&self.sandbox, NAMES[index]);
        self.found(index);
    }

    /// Ends a node, does something with its database, and starts it again.
    fn meanwhile(&mut self, index: usize, work: impl FnOnce(&Sandbox)) {
        self.lost(index);
        self.nodes[index].end();
        work(&self.sandbox);
        self.nodes[index] = Node::start(&self.sandbox, NAMES[index]);
        self.found(index);
    }

    /// Waits until all say the same of what they hold.
    fn converge(&self) {
        let began = Instant::now();
        loop {
            let all: Vec<Value> = self.nodes.iter().map(Node::describe).collect();
            if all.iter().all(|one| one["vv"] == all[0]["vv"]) {
                return;
            }
            let said: Vec<_> = all.iter().map(|one| one["roots"].to_string()).collect();
            assert!(began.elapsed() < PATIENCE, "no agreement, seed {}: {said:#?}", seed());
            thread::sleep(POLL);
        }
    }
}

/// Writes events to a node, wherever it is, each until it is acknowledged.
fn write(index: usize, count: u64, places: &Places) -> Vec<String> {
    let mut acknowledged = Vec::new();
    let mut last = Instant::now();
    let mut next = 0;
    while next < count {
        let keys: Vec<String> =
            (next..(next + TOGETHER).min(count)).map(|n| format!("{index}-{n}")).collect();
        let line = |key: &String| {
            format!(
                "{{\"key\":\"{key}\",\"type\":\"seen\",\"data\":{{\"by\":{index}}},\
                 \"idempotency_key\":\"{key}\"}}\n"
            )
        };
        let body: String = keys.iter().map(line).collect();
        assert!(last.elapsed() < PATIENCE, "nothing is acknowledged, seed {}", seed());
        let place = places.wait(index);
        let root = if next % 3 == 0 { "truck" } else { "shipment" };
        let path = format!("/e/{root}");
        let answer = ask(place, "POST", &path, "application/x-ndjson", body.as_bytes());
        match answer {
            Some((201, _)) => {
                next += keys.len() as u64;
                acknowledged.extend(keys);
                last = Instant::now();
                thread::sleep(PACE);
            }
            Some((status, body)) if status < 500 => panic!("{status}: {body}"),
            Some(_) | None => thread::sleep(AGAIN),
        }
    }
    acknowledged
}

/// What `read` prints for people, and the idempotency keys of the events.
fn read_all(sandbox: &Sandbox, name: &str) -> (String, Vec<Value>, BTreeSet<String>) {
    let table = sandbox.run(["read", "--db", name]).success().stdout;
    let lines = sandbox.run(["read", "--db", name, "--format", "ndjson"]).success().stdout;
    let mut events = ndjson(&lines);
    for event in &mut events {
        let event = event.as_object_mut().unwrap();
        // What is true of the copy, not of the event.
        event.remove("position");
        event.remove("arrival");
        event.remove("cursor");
    }
    let key = |event: &Value| event["idempotency_key"].as_str().map(str::to_owned);
    let all: Vec<String> = events.iter().filter_map(key).collect();
    let keys: BTreeSet<String> = all.iter().cloned().collect();
    assert_eq!(all.len(), keys.len(), "events that are there twice on {name}, seed {}", seed());
    (table, events, keys)
}

#[test]
fn three_servers_and_a_bundle_agree_whatever_the_network_and_the_processes_do() {
    let seed = seed();
    let mut world = World::new(seed);
    let count = events_wanted() / 3;
    let writers: Vec<_> = (0..3)
        .map(|index| {
            let places = Arc::clone(&world.places);
            thread::spawn(move || write(index, count, &places))
        })
        .collect();
    let mut random = Random::new(seed);
    let mut kills = 0;
    let is_pending = |world: &World| {
        (0..4).any(|kind| world.proxies.iter().all(|proxy| proxy.fired()[kind] == 0))
    };
    let kills_wanted = (events_wanted() / 4_000).max(6);
    while kills < kills_wanted
        || (kills < 100 && is_pending(&world))
        || writers.iter().any(|writer| !writer.is_finished())
    {
        // Each writer ends in time, or says what it waits for; so this does, too.
        let up_for = UP_FOR_MS.0 + random.below(UP_FOR_MS.1);
        thread::sleep(Duration::from_millis(up_for));
        let victim = usize::try_from(random.below(3)).unwrap();
        world.kill(victim, Duration::from_millis(random.below(DOWN_FOR_MS)));
        kills += 1;
        if kills == 3 {
            by_bundle(&mut world);
        }
    }
    let mut acknowledged: BTreeSet<String> =
        writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect();
    acknowledged.extend((0..20).map(|n| format!("stick-{n}")));
    for proxy in &world.proxies {
        proxy.calm();
    }
    world.converge();
    for node in &mut world.nodes {
        node.end();
    }
    let fired: Vec<[u64; 4]> = world.proxies.iter().map(Proxy::fired).collect();
    eprintln!("{kills} kills; cut, delayed, torn, refused: {fired:?}");
    let first = read_all(&world.sandbox, "a");
    assert!(first.2 == acknowledged, "other events than were acknowledged, seed {seed}");
    for name in ["b", "c"] {
        let other = read_all(&world.sandbox, name);
        assert!(first.0 == other.0, "read prints something else on {name}, seed {seed}");
        assert!(first.1 == other.1, "other events on {name}, seed {seed}");
    }
    for index in 0..4 {
        assert!(fired.iter().any(|kinds| kinds[index] > 0), "fault {index} never fired: {fired:?}");
    }
}

/// A fourth copy that no wire reaches: made from a bundle, written to, brought back by a bundle.
fn by_bundle(world: &mut World) {
    world.meanwhile(2, |sandbox| {
        sandbox.run(["export", "--db", "c", "out.bundle"]).success();
        sandbox.run(["init", "--db", "d", "--join", "out.bundle"]).success();
        for n in 0..20 {
            let key = format!("stick-{n}");
            let stream = format!("shipment/{key}");
            let arguments =
                ["append", "--db", "d", &stream, "seen", "--data", "{}", "--idempotency-key", &key];
            sandbox.run(arguments).success();
        }
        let vv = sandbox.run(["stats", "--db", "c", "--json"]).success().stdout;
        let vv: Value = serde_json::from_str(&vv).unwrap();
        let since = vv["vv"].as_str().unwrap();
        sandbox.run(["export", "--db", "d", "--since", since, "back.bundle"]).success();
        sandbox.run(["import-bundle", "--db", "c", "back.bundle"]).success();
    });
}
