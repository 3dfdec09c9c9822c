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
    frame::{Batches, Codec, Form, Frame, FrameLimits, HeadsFrame, Reason, Section, Want, open},
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

fn want_in(bytes: &[u8]) -> Option<Want> {
    let opened = open(bytes, &FrameLimits::default(), None).unwrap();
    match Frame::decode(&opened, &FrameLimits::default()).unwrap().unwrap() {
        Frame::Want(want) => Some(want),
        _ => None,
    }
}

/// One log forks at its first batch, and one of its branches forks again. The copy holds the
/// first fork and a part of the branch, and so no log of the name that the second fork begins
/// behind. Whatever names the branches get by chance, and so in which order they are asked for.
#[test]
fn a_fork_of_a_branch_is_asked_for_from_what_is_held_of_the_branch() {
    for at in 0..12 {
        let mut base = replica(1);
        (0..3).for_each(|nth| append(&mut base, "shipment", 100 * at + nth, 1));
        let (mut part, mut other) = (base.clone(), replica(1));
        append(&mut other, "shipment", 100 * at + 10, 1);
        (3..6).for_each(|nth| append(&mut base, "shipment", 100 * at + nth, 1));
        let (mut left, mut right) = (base.clone(), base);
        append(&mut left, "shipment", 100 * at + 20, 1);
        append(&mut right, "shipment", 100 * at + 30, 1);
        let (mut copy, mut hub) = (replica(2), replica(3));
        let config = SessionConfig::default();
        for source in [&mut part, &mut other.clone()] {
            exchange(source, &mut copy, &config, &mut 900);
        }
        for source in [&mut left, &mut right, &mut other] {
            exchange(source, &mut hub, &config, &mut 900);
        }
        assert_eq!((copy.batches().len(), hub.batches().len()), (4, 9));
        // One batch an answer, and two answers at a time.
        let config = SessionConfig { want_bytes_max: 1, window_bytes: 200, ..config };
        let mut here = Session::initiator(config.clone(), None);
        let mut there = Session::responder(config);
        let mut wants: Vec<Want> = Vec::new();
        for _ in 0..40 {
            for frame in flight(&mut here, 0, &mut copy) {
                if let Some(want) = want_in(&frame) {
                    let common = want.places.first().map(|place| place.seq >= 3);
                    assert_eq!(common, Some(true), "{at}: as if nothing were held, {want:?}");
                    assert!(!wants.contains(&want), "{at}: asked for twice, {want:?}");
                    wants.push(want);
                }
                there.handle_frame(&frame, 0, &mut hub);
            }
            for frame in flight(&mut there, 0, &mut hub) {
                here.handle_frame(&frame, 0, &mut copy);
            }
        }
        world::assert_same(&copy, &hub, "forked twice");
        assert_eq!(here.status(), Status::Closed(Reason::Done), "{at}");
    }
}

/// The peer hears nothing of the fork that the copy knows, and calls one branch by the plain name.
#[test]
fn a_log_that_is_held_under_another_name_is_asked_for_from_what_was_sent_of_it() {
    let (mut base, mut other) = (replica(1), replica(1));
    (0..6).for_each(|at| append(&mut base, "shipment", at, 1));
    append(&mut other, "shipment", 10, 1);
    let (mut copy, mut peer, mut longer) = (replica(2), replica(3), base.clone());
    (6..9).for_each(|at| append(&mut longer, "shipment", at, 1));
    let config = SessionConfig::default();
    exchange(&mut base, &mut copy, &config, &mut 900);
    exchange(&mut other, &mut copy, &config, &mut 900);
    exchange(&mut longer, &mut peer, &config, &mut 900);
    assert_eq!((copy.batches().len(), peer.batches().len()), (7, 9));
    let config = SessionConfig { want_bytes_max: 1, ..config };
    let mut here = Session::initiator(config.clone(), None);
    let mut there = Session::responder(config);
    let mut places = Vec::new();
    for _ in 0..20 {
        for frame in flight(&mut here, 0, &mut copy) {
            if let Some(want) = want_in(&frame) {
                places.push(want.places.first().map_or(0, |place| place.seq));
            }
            if matches!(kind(&frame), "hello" | "want") {
                there.handle_frame(&frame, 0, &mut peer);
            }
        }
        for frame in flight(&mut there, 0, &mut peer) {
            here.handle_frame(&frame, 0, &mut copy);
        }
    }
    assert_eq!(places, [0, 6, 7, 8], "the first answer says which branch it is");
    assert_eq!((copy.batches().len(), peer.batches().len()), (10, 9));
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
