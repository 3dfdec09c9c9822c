//! Databases that sync: all hold the same in the end, whatever became of their copies.
//!
//! Caught here: a fork of which one branch is dropped, an id that is used on after a restore, heads
//! that a reopened database computes otherwise, a quarantined batch that is not forwarded or that
//! a retry makes visible twice.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod support;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use laterbase::storage::{FaultyStorage, Survival};
use laterbase::sync::frame::{Codec, Reason};
use laterbase::sync::{
    BatchEnd, Checked, Found as FoundBatch, Heads, LogId, Offer, Outcome, PeerMemory, Replica,
    Session, SessionConfig, Split, Status, StoreError, SyncPort,
};
use laterbase::{
    Aggregate, ApplyError, Database, DatabaseId, Durability, Environment, EventDraft, EventId,
    FoldConfig, FoldEvent, Hlc, NewEvent, Order, Query, ReplicaId, RootName, Start, Validators,
    VersionVector,
};
use laterbase_event::Hash;
use laterbase_sync::MemoryReplica;
use support::{Fixture, TestEnvironment, options, storage};

fn append(db: &Database, root: &str, count: usize) -> Vec<EventId> {
    let mut commit = db.commit();
    for at in 0..count {
        let event = NewEvent::new(root, format!("k{}", at % 3), "seen").version(1);
        commit.push(&event.json(&at).unwrap()).unwrap();
    }
    let appended = db.append(&mut commit).unwrap().wait().unwrap();
    (0..count).map(|at| appended.id(at).unwrap()).collect()
}

/// A session over requests and responses, until neither has anything to say.
fn exchange(here: &Database, there: &Database) -> Vec<Outcome> {
    let (mut client, mut server) = (here.sync_port().unwrap(), there.sync_port().unwrap());
    let config = SessionConfig::default();
    let mut asks = Session::initiator(config.clone(), client.recall(there.replica()));
    let mut answers = Session::responder(config);
    let mut outcomes = Vec::new();
    let mut carry =
        |from: &mut Session, port: &mut SyncPort, to: &mut Session, at: &mut SyncPort| {
            let mut carried = 0;
            while let Some(frame) = from.poll_frame(0, port) {
                carried += 1;
                for outcome in to.handle_frame(&frame, 0, at) {
                    at.record(&outcome).unwrap();
                    outcomes.push(outcome);
                }
            }
            carried
        };
    for _ in 0..100 {
        let up = carry(&mut asks, &mut client, &mut answers, &mut server);
        let down = carry(&mut answers, &mut server, &mut asks, &mut client);
        if up + down == 0 {
            break;
        }
    }
    assert!(matches!(asks.status(), Status::Closed(_)), "{:?} {outcomes:?}", asks.status());
    client.remember(&asks.memory().unwrap());
    server.remember(&answers.memory().unwrap());
    outcomes
}

/// Syncs every pair until nothing changes, and compares everything.
fn converge(all: &[&Database]) {
    for _ in 0..6 {
        for (at, here) in all.iter().enumerate() {
            for there in &all[at + 1..] {
                exchange(here, there);
            }
        }
    }
    for db in all {
        assert_eq!(db.log_heads().unwrap(), all[0].log_heads().unwrap());
        assert_eq!(db.version_vector().unwrap(), all[0].version_vector().unwrap());
        assert_eq!(db.forks().unwrap(), all[0].forks().unwrap());
        assert_eq!(db.has_forks().unwrap(), !db.forks().unwrap().is_empty());
        assert_eq!(seen(db), seen(all[0]));
        assert!(db.verify(&mut |_| {}).unwrap().problems.is_empty());
    }
}

/// All events, reserved roots among them, in the order of their ids.
fn seen(db: &Database) -> Vec<(EventId, String, u64, Vec<u8>)> {
    let query = Query::all().unknown_to(VersionVector::new());
    let events = db.read(&query).unwrap().map(|event| event.unwrap().event);
    events.map(|event| (event.id, event.root.to_string(), event.seq, event.payload)).collect()
}

fn shown(db: &Database) -> BTreeSet<EventId> {
    let query = Query::all().order(Order::Arrival);
    db.read(&query).unwrap().map(|event| event.unwrap().event.id).collect()
}

fn joined(dir: &Path, of: &Database) -> Database {
    Database::create_joined(dir, options(), of.id()).unwrap()
}

/// The content of all files of a directory.
fn contents(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if entry.file_type().unwrap().is_dir() {
            let inner = contents(&entry.path());
            all.extend(inner.into_iter().map(|(path, bytes)| (format!("{name}/{path}"), bytes)));
        } else {
            all.push((name, std::fs::read(entry.path()).unwrap()));
        }
    }
    all
}

/// Puts a directory back to what it was, in the same files where they are still there: what a
/// restored disk image looks like from inside.
fn roll_back(dir: &Path, contents: &[(String, Vec<u8>)]) {
    for part in ["log", "index"] {
        for entry in std::fs::read_dir(dir.join(part)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                std::fs::remove_file(path).unwrap();
            }
        }
    }
    for (path, bytes) in contents {
        std::fs::write(dir.join(path), bytes).unwrap();
    }
}

/// A copy that can be cloned and lied with: its clones write on under one id.
fn memory_copy(of: &Database) -> MemoryReplica {
    MemoryReplica::new(of.id(), ReplicaId::from_u64(7))
}

/// Appends a batch of `count` events at a moment.
fn write(copy: &mut MemoryReplica, now_ms: u64, name: &str, count: usize) {
    let draft = EventDraft {
        content_type: "application/json",
        payload: b"{}",
        ..EventDraft::new(name, "seen")
    };
    assert!(copy.append(&RootName::try_from("truck").unwrap(), now_ms, &vec![draft; count]));
}

/// A database takes in what a copy holds, and the copy learns nothing.
fn bring(copy: &MemoryReplica, db: &Database) {
    let (mut there, mut here) = (copy.clone(), db.sync_port().unwrap());
    let mut asks = Session::initiator(SessionConfig::default(), None);
    let mut answers = Session::responder(SessionConfig::default());
    for _ in 0..20 {
        let up = asks.poll_flight(0, &mut there);
        answers.handle_flight(&up, 0, &mut here);
        let down = answers.poll_flight(0, &mut here);
        asks.handle_flight(&down, 0, &mut there);
    }
    assert_eq!(answers.status(), Status::Closed(Reason::Done));
}

#[test]
fn two_copies_end_with_the_same_events_in_the_same_order() {
    let dir = tempfile::tempdir().unwrap();
    let a = Database::create(dir.path().join("a"), options()).unwrap();
    let b = joined(&dir.path().join("b"), &a);
    let mut all = append(&a, "truck", 5);
    all.extend(append(&b, "truck", 3));
    all.extend(append(&b, "depot", 2));
    converge(&[&a, &b]);
    assert_eq!(shown(&a), all.iter().copied().collect());
    all.extend(append(&a, "truck", 1));
    converge(&[&a, &b]);
    assert_eq!(shown(&b), all.iter().copied().collect());
}

#[test]
fn a_copy_that_was_put_back_takes_a_new_id_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    let a = Database::create(&path, options()).unwrap();
    let b = joined(&dir.path().join("b"), &a);
    let mut all = append(&a, "truck", 2);
    a.close().unwrap();
    let yesterday = contents(&path);
    let a = Database::open(&path, options()).unwrap();
    all.extend(append(&a, "truck", 2));
    converge(&[&a, &b]);
    let former = a.replica();
    a.close().unwrap();
    roll_back(&path, &yesterday);
    let a = Database::open(&path, options()).unwrap();
    assert_eq!(a.opened().reincarnation, None, "it cannot know");
    let outcomes = exchange(&a, &b);
    let news = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Reincarnate { .. }));
    assert!(news.count() >= 1, "{outcomes:?}");
    assert_ne!(a.replica(), former);
    all.extend(append(&a, "truck", 1));
    converge(&[&a, &b]);
    assert_eq!(shown(&b), all.iter().copied().collect());
    assert_eq!(b.forks().unwrap(), []);
    assert!(!b.has_forks().unwrap());
    let (from, to) = (former.to_string(), a.replica().to_string());
    let record = serde_json::json!({ "from": from, "to": to, "reason": "known_to_peer" });
    assert_eq!(records(&b, "reincarnated"), [record]);
}

/// Makes a copy of a directory, in files of its own.
fn copy_directory(from: &Path, to: &Path) {
    for (path, bytes) in contents(from) {
        let target = to.join(path);
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        std::fs::write(target, bytes).unwrap();
    }
}

/// What is recorded in `_sys` under a type.
fn records(db: &Database, type_name: &str) -> Vec<serde_json::Value> {
    let query = Query::root("_sys".try_into().unwrap()).of_type(type_name.try_into().unwrap());
    let events = db.read(&query).unwrap().map(|event| event.unwrap().event);
    events.map(|event| serde_json::from_slice(&event.payload).unwrap()).collect()
}

/// A copy of a copy, each of which was closed again before anybody was met.
#[test]
fn every_new_id_is_recorded_with_its_own_reason() {
    let dir = tempfile::tempdir().unwrap();
    let [a, b, c] = ["a", "b", "c"].map(|name| dir.path().join(name));
    let first = Database::create(&a, options()).unwrap();
    append(&first, "truck", 1);
    let ids = |of: &Database| of.replica().to_string();
    let mut names = vec![ids(&first)];
    first.close().unwrap();
    for (from, to) in [(&a, &b), (&b, &c)] {
        copy_directory(from, to);
        let copy = Database::open(to, options()).unwrap();
        names.push(ids(&copy));
        append(&copy, "truck", 1);
        copy.close().unwrap();
    }
    let (first, last) = (Database::open(&a, options()).unwrap(), Database::open(&c, options()));
    let last = last.unwrap();
    assert_eq!(last.opened().reincarnation, None);
    converge(&[&last, &first]);
    let record = |at: usize| {
        let (from, to) = (&names[at], &names[at + 1]);
        serde_json::json!({ "from": from, "to": to, "reason": "copied" })
    };
    assert_eq!(records(&first, "reincarnated"), [record(0), record(1)]);
}

#[test]
fn branches_grow_in_a_process_that_reads() {
    let dir = tempfile::tempdir().unwrap();
    let db = Database::create(dir.path().join("a"), options()).unwrap();
    let mut one = memory_copy(&db);
    write(&mut one, 1000, "both", 2);
    let mut other = one.clone();
    write(&mut one, 2000, "one", 1);
    write(&mut other, 2000, "other", 1);
    bring(&one, &db);
    bring(&other, &db);
    let reader = Database::open_read_only(dir.path().join("a"), options()).unwrap();
    assert_eq!(reader.log_heads().unwrap(), db.log_heads().unwrap());
    write(&mut one, 3000, "one", 2);
    bring(&one, &db);
    reader.refresh().unwrap();
    assert_eq!(reader.log_heads().unwrap(), db.log_heads().unwrap());
    assert_eq!(reader.forks().unwrap(), db.forks().unwrap());
}

/// The process ended when the fork was on the device and its record was not.
#[test]
fn a_fork_whose_record_was_lost_is_recorded_by_the_next_sync() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    let db = Database::create(&path, options()).unwrap();
    let mut one = memory_copy(&db);
    write(&mut one, 1000, "both", 2);
    let mut other = one.clone();
    write(&mut one, 2000, "one", 1);
    write(&mut other, 3000, "other", 1);
    bring(&one, &db);
    let (mut there, mut here) = (other, db.sync_port().unwrap());
    let mut asks = Session::initiator(SessionConfig::default(), None);
    let mut answers = Session::responder(SessionConfig::default());
    for _ in 0..9 {
        while let Some(frame) = asks.poll_frame(0, &mut there) {
            answers.handle_frame(&frame, 0, &mut here);
        }
        while let Some(frame) = answers.poll_frame(0, &mut here) {
            asks.handle_frame(&frame, 0, &mut there);
        }
    }
    drop(here);
    let branches: Vec<String> =
        db.forks().unwrap()[0].branches.iter().map(|(name, _)| name.to_string()).collect();
    assert_eq!(records(&db, "forked"), Vec::<serde_json::Value>::new());
    db.close().unwrap();
    let db = Database::open(&path, options()).unwrap();
    for _ in 0..2 {
        drop(db.sync_port().unwrap());
        let record = serde_json::json!({
            "root": "truck", "replica": "0000000000000007", "seq": 3, "branches": branches,
            "brought_by": null, "signed": false,
        });
        assert_eq!(records(&db, "forked"), [record]);
    }
}

/// Two futures of one millisecond, of equally many events.
#[test]
fn a_vector_tells_branches_apart_that_say_the_same_of_themselves() {
    let dir = tempfile::tempdir().unwrap();
    let db = Database::create(dir.path().join("a"), options()).unwrap();
    let mut one = memory_copy(&db);
    write(&mut one, 1000, "both", 2);
    let mut other = one.clone();
    write(&mut one, 2000, "one", 3);
    write(&mut other, 2000, "other", 3);
    bring(&one, &db);
    bring(&other, &db);
    let branches = db.forks().unwrap().remove(0).branches;
    let mut lacking: Vec<String> = Vec::new();
    for (branch, _) in branches {
        let mut vector = db.version_vector().unwrap();
        vector.set(RootName::try_from("truck").unwrap(), branch, 3);
        let query = Query::root("truck".try_into().unwrap()).unknown_to(vector);
        let mut subscription = db.subscribe(&query, Start::Beginning).unwrap();
        let subscribed: Vec<String> = std::iter::from_fn(|| subscription.try_next().unwrap())
            .map(|event| event.event.key.to_string())
            .collect();
        let unknown = db.read(&query).unwrap();
        let keys: Vec<String> = unknown.map(|event| event.unwrap().event.key.to_string()).collect();
        assert_eq!(keys.len(), 2, "{keys:?}");
        assert_eq!(subscribed, keys);
        lacking.extend(keys);
    }
    lacking.sort();
    assert_eq!(lacking, ["one", "one", "other", "other"]);
}

/// A copy that was put back and written before it met anybody: both of its futures are kept.
#[test]
fn both_branches_of_a_fork_are_everywhere_under_the_same_names() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    let a = Database::create(&path, options()).unwrap();
    let b = joined(&dir.path().join("b"), &a);
    let c = joined(&dir.path().join("c"), &a);
    let mut all = append(&a, "truck", 2);
    a.close().unwrap();
    let yesterday = contents(&path);
    let a = Database::open(&path, options()).unwrap();
    all.extend(append(&a, "truck", 2));
    all.extend(append(&a, "truck", 1));
    converge(&[&a, &b]);
    a.close().unwrap();
    roll_back(&path, &yesterday);
    let a = Database::open(&path, options()).unwrap();
    let former = a.replica();
    all.extend(append(&a, "truck", 3));
    all.extend(append(&a, "depot", 1));
    converge(&[&a, &b, &c]);
    let forks = c.forks().unwrap();
    assert_eq!((forks.len(), forks[0].seq, forks[0].branches.len()), (1, 3, 2));
    let branches: Vec<String> =
        forks[0].branches.iter().map(|(name, _)| name.to_string()).collect();
    let record = |brought_by: ReplicaId| {
        serde_json::json!({
            "root": "truck", "replica": former.to_string(), "seq": 3, "branches": branches,
            "brought_by": brought_by.to_string(), "signed": false,
        })
    };
    // Both met it, each by the other.
    let mut found = records(&c, "forked");
    found.sort_by_key(|record| record["brought_by"].to_string());
    let mut expected = [record(former), record(b.replica())];
    expected.sort_by_key(|record| record["brought_by"].to_string());
    assert_eq!(found, expected);
    assert_eq!(shown(&c), all.iter().copied().collect());
    // What is before the fork counts once.
    let own = Query::root("_sys".try_into().unwrap());
    let count = |query: &Query| c.read(query).unwrap().count() as u64;
    let held = count(&Query::all()) + count(&own);
    assert_eq!(c.event_count().unwrap(), held);
    let roots = c.statistics().unwrap().roots;
    assert_eq!(roots.values().map(|root| root.events).sum::<u64>(), held);
    // What is opened anew names everything as before.
    let heads = a.log_heads().unwrap();
    a.close().unwrap();
    let a = Database::open(&path, options()).unwrap();
    assert_eq!(a.log_heads().unwrap(), heads);
    let mut more = append(&a, "truck", 1);
    more.extend(append(&b, "truck", 1));
    all.extend(more);
    converge(&[&c, &b, &a]);
    assert_eq!(shown(&a), all.iter().copied().collect());
    // The vector of one names what another lacks, branches among them.
    let d = joined(&dir.path().join("d"), &a);
    exchange(&d, &c);
    assert_eq!(d.read(&Query::all().unknown_to(c.version_vector().unwrap())).unwrap().count(), 0);
    assert_eq!(shown(&d), shown(&c));
}

#[test]
fn what_a_validator_refuses_is_forwarded_and_lives_after_a_retry() {
    let dir = tempfile::tempdir().unwrap();
    let a = Database::create(dir.path().join("a"), options()).unwrap();
    let strict = Validators::default()
        .with(|event| if event.root == "depot" { Err("no depots here".into()) } else { Ok(()) });
    let path = dir.path().join("b");
    drop(joined(&path, &a));
    let b = Database::open(&path, options().validators(strict.clone())).unwrap();
    let c = joined(&dir.path().join("c"), &a);
    let trucks = append(&a, "truck", 2);
    let depots = append(&a, "depot", 3);
    let more = append(&a, "depot", 1);
    exchange(&b, &a);
    assert_eq!(shown(&b), trucks.iter().copied().collect());
    let held = b.quarantined().unwrap();
    assert_eq!(held.len(), 2);
    let (id, message) = held[0].refusal.clone().unwrap();
    assert_eq!((id, message.as_str()), (depots[0], "no depots here"));
    // Forwarded on, and admitted where nobody objects.
    exchange(&c, &b);
    assert_eq!(c.log_heads().unwrap(), a.log_heads().unwrap());
    assert_eq!(shown(&c).len(), 6);
    assert_eq!(b.retry_quarantine().unwrap().refused, 2);
    b.close().unwrap();
    let b = Database::open(&path, options()).unwrap();
    assert_eq!(b.quarantined().unwrap().len(), 2);
    assert_eq!(b.retry_quarantine().unwrap().admitted_events, 4);
    assert_eq!(b.retry_quarantine().unwrap().admitted, 0);
    assert_eq!(shown(&b).len(), 6);
    b.close().unwrap();
    let b = Database::open(&path, options()).unwrap();
    assert_eq!((b.quarantined().unwrap().len(), shown(&b).len()), (0, 6));
    assert!(more.iter().all(|id| b.get(*id).unwrap().is_some()));
    append(&a, "depot", 1);
    converge(&[&a, &b, &c]);
}

#[test]
fn a_validator_may_ask_the_database_while_the_quarantine_is_looked_at() {
    let dir = tempfile::tempdir().unwrap();
    let asked: Arc<Mutex<Option<Database>>> = Arc::default();
    let asks = Arc::clone(&asked);
    let curious = Validators::default().with(move |_| match &*asks.lock().unwrap() {
        None => Err("not yet".into()),
        Some(db) => db.forks().map(drop).map_err(|error| error.to_string()),
    });
    let db = Database::create(dir.path().join("a"), options().validators(curious)).unwrap();
    let mut copy = memory_copy(&db);
    write(&mut copy, 1000, "one", 2);
    bring(&copy, &db);
    asked.lock().unwrap().replace(db.clone());
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || tell.send(db.retry_quarantine().unwrap()));
    let retried = told.recv_timeout(Duration::from_secs(20)).expect("the validator waits for ever");
    assert_eq!((retried.admitted, retried.refused), (1, 0));
    drop(asked.lock().unwrap().take());
}

#[test]
fn a_time_that_is_not_believed_is_kept_and_moves_no_clock() {
    let here = Fixture::new();
    let dir = tempfile::tempdir().unwrap();
    let clock = TestEnvironment::at_ms(1_800_000_000_000 + 3_600_000);
    // The two draw their numbers from one sequence; this one's begin elsewhere.
    clock.fill_random(&mut [0; 1000]).unwrap();
    let ahead = Database::create_joined_on(storage(&dir), clock, options(), here.db.id()).unwrap();
    let theirs = append(&ahead, "truck", 1);
    exchange(&here.db, &ahead);
    let found = here.db.get(theirs[0]).unwrap().unwrap();
    let max_drift_ms = options().max_drift_ms;
    assert!(found.is_clock_suspect(max_drift_ms));
    let ours = append(&here.db, "truck", 1);
    assert!(ours[0] < theirs[0], "the clock was moved");
    assert!(!here.db.get(ours[0]).unwrap().unwrap().is_clock_suspect(max_drift_ms));
    exchange(&ahead, &here.db);
    assert_eq!(shown(&ahead), shown(&here.db));
}

/// A port that is appended to right behind each flush, as by another thread.
struct Raced {
    port: SyncPort,
    db: Database,
}

impl Replica for Raced {
    fn database(&self) -> DatabaseId {
        self.port.database()
    }
    fn replica(&self) -> ReplicaId {
        self.port.replica()
    }
    fn clock(&self) -> Hlc {
        self.port.clock()
    }
    fn change_count(&self) -> u64 {
        self.port.change_count()
    }
    fn heads(&self) -> Heads {
        self.port.heads()
    }
    fn end_before(&self, log: &LogId, seq: u64) -> Option<BatchEnd> {
        self.port.end_before(log, seq)
    }
    fn find(&self, of: ReplicaId, root: &RootName, seq: u64, hash: &Hash) -> Option<FoundBatch> {
        self.port.find(of, root, seq, hash)
    }
    fn read(
        &self,
        log: &LogId,
        after: u64,
        bytes_max: u64,
        out: &mut Vec<Vec<u8>>,
    ) -> Result<(), StoreError> {
        self.port.read(log, after, bytes_max, out)
    }
    fn offer(&mut self, batch: &Checked<'_>) -> Offer {
        self.port.offer(batch)
    }
    fn split(&mut self, split: &Split, batch: &Checked<'_>) -> Result<(), StoreError> {
        self.port.split(split, batch)
    }
    fn flush(&mut self) -> Result<(), StoreError> {
        self.port.flush()?;
        let mut commit = self.db.commit();
        commit.durability(Durability::Relaxed);
        commit.push(&NewEvent::new("truck", "7", "seen")).unwrap();
        drop(self.db.append(&mut commit).unwrap());
        Ok(())
    }
    fn proof(&self, branch: &LogId) -> Option<(Vec<u8>, Vec<u8>)> {
        self.port.proof(branch)
    }
    fn recall(&self, peer: ReplicaId) -> Option<PeerMemory> {
        self.port.recall(peer)
    }
    fn remember(&mut self, memory: &PeerMemory) {
        self.port.remember(memory);
    }
    fn record(&mut self, outcome: &Outcome) {
        Replica::record(&mut self.port, outcome);
    }
    fn wall_ms(&self) -> u64 {
        self.port.wall_ms()
    }
    fn validators(&self) -> Option<[u8; 8]> {
        self.port.validators()
    }
    fn codec(&self) -> Option<&dyn Codec> {
        self.port.codec()
    }
}

#[test]
fn what_is_appended_behind_the_flush_is_for_the_next_flight() {
    let dir = tempfile::tempdir().unwrap();
    let mut alone = options();
    alone.threads = false;
    let db = Database::create(dir.path().join("a"), alone).unwrap();
    append(&db, "truck", 1);
    let mut there = MemoryReplica::new(db.id(), ReplicaId::from_u64(7));
    let mut here = Raced { port: db.sync_port().unwrap(), db: db.clone() };
    let config = SessionConfig::default();
    let mut asks = Session::initiator(config.clone(), None);
    let mut answers = Session::responder(config);
    let log = *here.heads().keys().next().unwrap();
    for _ in 0..8 {
        while let Some(frame) = asks.poll_frame(0, &mut there) {
            answers.handle_frame(&frame, 0, &mut here);
        }
        // Every poll flushes what the one before left behind.
        for _ in 0..3 {
            let Some(frame) = answers.poll_frame(0, &mut here) else { break };
            let flushed = here.heads()[&log].seq;
            asks.handle_frame(&frame, 0, &mut there);
            let taken = there.heads().get(&log).map_or(0, |head| head.seq);
            assert!(taken <= flushed, "{taken} were sent, {flushed} are on the device");
        }
    }
    assert!(there.heads()[&log].seq > 1);
}

#[test]
fn branches_of_a_fork_that_leave_quarantine_are_seen_by_vectors_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let (path, other) = (dir.path().join("a"), dir.path().join("b"));
    let a = Database::create(&path, options()).unwrap();
    drop(joined(&other, &a));
    let strict = Validators::default().with(|_| Err("nothing today".into()));
    let b = Database::open(&other, options().validators(strict)).unwrap();
    append(&a, "depot", 1);
    a.close().unwrap();
    let yesterday = contents(&path);
    let a = Database::open(&path, options()).unwrap();
    append(&a, "depot", 2);
    exchange(&b, &a);
    a.close().unwrap();
    roll_back(&path, &yesterday);
    let a = Database::open(&path, options()).unwrap();
    append(&a, "depot", 3);
    exchange(&b, &a);
    b.close().unwrap();
    let b = Database::open(&other, options()).unwrap();
    // The fork is known before its batches leave quarantine.
    assert_eq!(b.forks().unwrap().len(), 1);
    assert_eq!(b.retry_quarantine().unwrap().admitted_events, 6);
    exchange(&b, &a);
    assert_eq!(seen(&b), seen(&a));
}

/// What one side of a session has to say, for the other side.
fn fly(from: &mut Session, port: &mut SyncPort, to: &mut Session, at: &mut SyncPort) {
    let flight = from.poll_flight(0, port);
    to.handle_flight(&flight, 0, at);
}

#[test]
fn nothing_leaves_before_it_is_on_the_device() {
    let mut alone = options();
    alone.threads = false;
    let disk = FaultyStorage::new(7);
    let clock = TestEnvironment::at_ms(1_800_000_000_000);
    let a = Database::create_on(Arc::new(disk.clone()), clock.clone(), alone.clone()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let b = joined(&dir.path().join("b"), &a);
    append(&a, "truck", 1);
    let relaxed = |key: &str| {
        let mut commit = a.commit();
        commit.durability(Durability::Relaxed);
        commit.push(&NewEvent::new("truck", key, "seen")).unwrap();
        drop(a.append(&mut commit).unwrap());
    };
    relaxed("before the port");
    let (mut client, mut server) = (b.sync_port().unwrap(), a.sync_port().unwrap());
    relaxed("behind the port");
    let mut asks = Session::initiator(SessionConfig::default(), None);
    let mut answers = Session::responder(SessionConfig::default());
    for _ in 0..9 {
        fly(&mut asks, &mut client, &mut answers, &mut server);
        fly(&mut answers, &mut server, &mut asks, &mut client);
    }
    assert_eq!(shown(&b).len(), 3);
    // The power fails before anything else is asked of it.
    let disk = disk.crash(Survival::Lost);
    let after = Database::open_on(Arc::new(disk), clock, alone).unwrap();
    assert_eq!(shown(&after), shown(&b), "what was offered is there");
}

/// Payloads in the order in which they were folded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Payloads(Vec<Vec<u8>>);

impl Aggregate for Payloads {
    fn apply(&mut self, event: &FoldEvent<'_>) -> Result<(), ApplyError> {
        self.0.push(event.payload().to_vec());
        Ok(())
    }
}

#[test]
fn events_that_share_an_id_are_folded_wherever_they_stand() {
    let record = |copy: &mut MemoryReplica, now_ms: u64, payload: &[u8]| {
        let draft = EventDraft { payload, ..EventDraft::new("7", "seen") };
        assert!(copy.append(&RootName::try_from("truck").unwrap(), now_ms, &[draft]));
    };
    let tails = [0, 1, 2, 6, 7, 8, 9];
    let stands = [1, 15, 16, 17, 32, 40].into_iter().flat_map(|at| tails.map(|tail| (at, tail)));
    for (at, tail) in stands {
        for (places_max, twin) in [(8, b"0"), (8, b"2"), (1024, b"0"), (1024, b"2")] {
            let mut options = options();
            options.folds = FoldConfig { places_max, ..FoldConfig::default() };
            let Fixture { db, dir: _dir, .. } = Fixture::with_options(2000, options);
            let stream = db.aggregates::<Payloads>("truck".try_into().unwrap());
            let mut one = memory_copy(&db);
            (1..at).for_each(|now_ms| record(&mut one, now_ms, b"1"));
            let mut two = one.clone();
            record(&mut two, at, twin);
            bring(&one, &db);
            let _ = stream.get("7").unwrap();
            (at..=at + tail).for_each(|now_ms| record(&mut one, now_ms, b"1"));
            for copy in [&one, &two] {
                bring(copy, &db);
                let query = Query::stream("truck".try_into().unwrap(), "7".try_into().unwrap());
                let read = db.read(&query).unwrap().map(|event| event.unwrap().event.payload);
                let read: Vec<_> = read.collect();
                let folded = stream.get("7").unwrap().map(|folded| folded.state.0);
                assert_eq!(folded, Some(read), "twin at {at} of {}", at + tail);
            }
            assert_eq!(stream.get("7").unwrap().unwrap().version, at + tail + 1);
        }
    }
}

#[test]
fn a_reader_beside_the_writer_can_send_what_is_flushed_and_takes_nothing_in() {
    let fixture = Fixture::new();
    for key in ["1", "2"] {
        fixture.append(&NewEvent::new("ship", key, "seen").json(&1).unwrap());
    }
    let flushed = fixture.db.sync_port().unwrap().heads();
    let mut held_back = fixture.db.commit();
    held_back.durability(Durability::Relaxed);
    held_back.push(&NewEvent::new("ship", "3", "seen").json(&1).unwrap()).unwrap();
    fixture.db.append(&mut held_back).unwrap().wait().unwrap();
    let dir = fixture.dir.path();
    let reader = Database::open_read_only(dir, options()).unwrap();
    let mut port = reader.export_port().unwrap();
    assert_eq!(port.heads(), flushed);
    port.flush().unwrap();
    let (log, head) = flushed.iter().next().unwrap();
    let mut batches = Vec::new();
    port.read(log, 0, u64::MAX, &mut batches).unwrap();
    assert_eq!(batches.len(), 2);
    assert_eq!(port.end_before(log, head.seq).unwrap().seq, 2);
    assert!(matches!(reader.sync_port(), Err(laterbase::AppendError::ReadOnly)));
}
