//! What a session believes, and when it stops believing: gaps, lost frames, peers that know less
//! of a fork. The port here refuses to be offered anything that does not extend a log.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "tests"
)]

mod world;

use laterbase_event::{DatabaseId, Hash, Hlc, ReplicaId, RootName};
use laterbase_sync::{
    BatchEnd, Checked, Found, HashTag, Heads, LogId, MemoryReplica, Offer, Outcome, PeerMemory,
    Replica, Session, SessionConfig, Split, Status, StoreError,
    frame::{Batches, Codec, Form, Frame, FrameLimits, HeadsFrame, Section, open},
};
use world::{append, exchange, flight, id, replica, root};

/// A copy that panics when it is offered what it must not be.
struct Strict(MemoryReplica);

impl Replica for Strict {
    fn database(&self) -> DatabaseId {
        self.0.database()
    }

    fn replica(&self) -> ReplicaId {
        self.0.replica()
    }

    fn clock(&self) -> Hlc {
        self.0.clock()
    }

    fn change_count(&self) -> u64 {
        self.0.change_count()
    }

    fn heads(&self) -> Heads {
        self.0.heads()
    }

    fn end_before(&self, log: &LogId, seq: u64) -> Option<BatchEnd> {
        self.0.end_before(log, seq)
    }

    fn find(
        &self,
        writer: ReplicaId,
        root: &RootName,
        last_seq: u64,
        hash: &Hash,
    ) -> Option<Found> {
        self.0.find(writer, root, last_seq, hash)
    }

    fn read(
        &self,
        log: &LogId,
        after: u64,
        bytes_max: u64,
        out: &mut Vec<Vec<u8>>,
    ) -> Result<(), StoreError> {
        self.0.read(log, after, bytes_max, out)
    }

    fn offer(&mut self, batch: &Checked<'_>) -> Offer {
        let header = batch.header;
        assert!(
            header.first_seq == 1
                || self
                    .find(header.replica, &header.root, header.first_seq - 1, &header.previous)
                    .is_some(),
            "offered a batch behind a gap"
        );
        assert!(
            self.find(header.replica, &header.root, header.last_seq(), &batch.hash).is_none(),
            "offered a batch that is held"
        );
        self.0.offer(batch)
    }

    fn split(&mut self, split: &Split, batch: &Checked<'_>) -> Result<(), StoreError> {
        self.0.split(split, batch)
    }

    fn proof(&self, branch: &LogId) -> Option<(Vec<u8>, Vec<u8>)> {
        self.0.proof(branch)
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        self.0.flush()
    }

    fn recall(&self, peer: ReplicaId) -> Option<PeerMemory> {
        self.0.recall(peer)
    }

    fn remember(&mut self, memory: &PeerMemory) {
        self.0.remember(memory);
    }

    fn record(&mut self, outcome: &Outcome) {
        self.0.record(outcome);
    }

    fn wall_ms(&self) -> u64 {
        self.0.wall_ms()
    }

    fn validators(&self) -> Option<[u8; 8]> {
        self.0.validators()
    }

    fn codec(&self) -> Option<&dyn Codec> {
        self.0.codec()
    }
}

fn kind(bytes: &[u8]) -> &'static str {
    let opened = open(bytes, &FrameLimits::default(), None).unwrap();
    match Frame::decode(&opened, &FrameLimits::default()).unwrap().unwrap() {
        Frame::Hello(_) => "hello",
        Frame::Heads(_) => "heads",
        Frame::Want(_) => "want",
        Frame::Batches(_) => "batches",
        Frame::Ack(_) => "ack",
        Frame::Fork(_) => "fork",
        Frame::Announce(_) => "announce",
        Frame::Bye(_) => "bye",
    }
}

#[test]
fn a_batch_behind_a_gap_is_not_offered_nor_acknowledged_but_asked_for() {
    let mut peer = replica(2);
    (0..3).for_each(|at| append(&mut peer, "shipment", at, 1));
    let log = LogId::new(root("shipment"), id(2));
    let mut all = Vec::new();
    peer.read(&log, 0, u64::MAX, &mut all).unwrap();
    let end = peer.end_before(&log, 3).unwrap();
    let tag = HashTag::of(&end.hash);
    let late =
        Batches { log, writer: id(2), ends: false, tag, batches: vec![all[2].as_slice().into()] };
    let late = Frame::Batches(late).encode(None);

    let mut copy = Strict(replica(1));
    let mut greeter = Session::initiator(SessionConfig::default(), None);
    let hello = greeter.poll_frame(0, &mut peer).unwrap();
    let mut session = Session::responder(SessionConfig::default());
    for frame in [&hello, &late, &late] {
        session.handle_frame(frame, 0, &mut copy);
    }
    let frames: Vec<_> = std::iter::from_fn(|| session.poll_frame(0, &mut copy)).collect();
    let kinds: Vec<_> = frames.iter().map(|frame| kind(frame)).collect();
    assert_eq!(kinds, ["hello", "want"]);
    assert!(copy.0.batches().is_empty());
    // The answer to the want closes the gap.
    for frame in &frames {
        greeter.handle_frame(frame, 0, &mut peer);
    }
    for frame in flight(&mut greeter, 0, &mut peer) {
        session.handle_frame(&frame, 0, &mut copy);
    }
    world::assert_same(&copy.0, &peer, "closed");
}

#[test]
fn what_is_held_is_not_offered_again() {
    let mut peer = replica(2);
    (0..3).for_each(|at| append(&mut peer, "shipment", at, 1));
    let mut copy = Strict(replica(1));
    let mut here = Session::initiator(SessionConfig::default(), None);
    let mut there = Session::responder(SessionConfig::default());
    let hello = here.poll_frame(0, &mut copy).unwrap();
    there.handle_frame(&hello, 0, &mut peer);
    let answer = flight(&mut there, 0, &mut peer);
    for frame in answer.iter().chain(&answer) {
        here.handle_frame(frame, 0, &mut copy);
    }
    world::assert_same(&copy.0, &peer, "twice");
}

/// Two copies that agreed, of which the second then wrote; and the first one's open session, with
/// what the second one answers.
fn after_agreement() -> (MemoryReplica, Session, Vec<Vec<u8>>) {
    let (mut client, mut server) = (replica(1), replica(2));
    append(&mut server, "shipment", 1, 1);
    append(&mut client, "shipment", 1, 1);
    exchange(&mut client, &mut server, &SessionConfig::default(), &mut 900);
    append(&mut server, "shipment", 2, 1);
    let memory = client.recall(id(2));
    assert!(memory.as_ref().is_some_and(|memory| memory.agreed().len() == 2));
    let mut here = Session::initiator(SessionConfig::default(), memory);
    let mut there = Session::responder(SessionConfig::default());
    for frame in flight(&mut here, 0, &mut client) {
        there.handle_frame(&frame, 0, &mut server);
    }
    let answer = flight(&mut there, 0, &mut server);
    (client, here, answer)
}

#[test]
fn what_was_agreed_on_travels_as_changes_alone() {
    let (mut client, mut here, answer) = after_agreement();
    let kinds: Vec<_> = answer.iter().map(|frame| kind(frame)).collect();
    assert_eq!(kinds, ["hello", "heads", "batches"]);
    assert!(answer[1].len() < 45, "one head: {}", answer[1].len());
    for frame in &answer {
        here.handle_frame(frame, 0, &mut client);
    }
    assert_eq!(client.batches().len(), 3);
    here.poll_frame(0, &mut client);
    assert_eq!(here.status(), Status::Settled);
}

#[test]
fn an_agreement_that_does_not_fit_the_digest_settles_nothing() {
    let (mut client, mut here, answer) = after_agreement();
    here.handle_frame(&answer[0], 0, &mut client);
    while here.poll_frame(0, &mut client).is_some() {}
    assert_eq!(here.status(), Status::Running, "the heads and the batches were lost");
}

#[test]
fn changes_that_do_not_fit_the_digest_settle_nothing_and_are_answered_with_all_heads() {
    let (mut client, mut here, answer) = after_agreement();
    here.handle_frame(&answer[0], 0, &mut client);
    let section = Section { root: root("shipment"), form: Form::Delta, heads: Vec::new() };
    let nothing = Frame::Heads(HeadsFrame { sections: vec![section] }).encode(None);
    here.handle_frame(&nothing, 0, &mut client);
    let kinds: Vec<_> = flight(&mut here, 0, &mut client).iter().map(|frame| kind(frame)).collect();
    assert_eq!((kinds, here.status()), (vec!["heads"], Status::Running));
}

#[test]
fn a_peer_that_does_not_know_of_a_fork_is_shown_the_proof_first() {
    let mut copy = replica(1);
    append(&mut copy, "shipment", 1, 1);
    let mut clone = copy.clone();
    append(&mut copy, "shipment", 2, 1);
    append(&mut clone, "shipment", 3, 1);
    append(&mut clone, "shipment", 4, 1);
    let (mut hub, mut unaware) = (replica(2), replica(3));
    let config = SessionConfig::default();
    exchange(&mut copy, &mut unaware, &config, &mut 900);
    exchange(&mut copy, &mut hub, &config, &mut 900);
    exchange(&mut clone, &mut hub, &config, &mut 900);
    let mut here = Session::initiator(config.clone(), None);
    let mut there = Session::responder(config);
    let mut shown = Vec::new();
    for _ in 0..4 {
        for frame in flight(&mut here, 0, &mut hub) {
            shown.push(kind(&frame));
            there.handle_frame(&frame, 0, &mut unaware);
        }
        for frame in flight(&mut there, 0, &mut unaware) {
            here.handle_frame(&frame, 0, &mut hub);
        }
    }
    world::assert_same(&hub, &unaware, "aware");
    let place = |what: &str| shown.iter().position(|kind| *kind == what);
    assert!(place("fork").unwrap() < place("batches").unwrap(), "{shown:?}");
}
