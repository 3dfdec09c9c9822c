//! Peers that lie, stall, or send anything at all: refused by name, with a reason, and nothing of
//! theirs is stored.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "tests"
)]

mod world;

use laterbase_event::{
    BatchBuilder, BatchView, DatabaseId, Hash, Hlc, Limits, ReplicaId, Stamp, VerifyError,
};
use laterbase_sync::{
    HashTag, Head, LogId, MemoryReplica, Outcome, Replica, Roots, Session, SessionConfig, Status,
    frame::{
        Batches, Bye, Fault, Fork, Form, Frame, FrameLimits, HeadsFrame, Hello, Purpose, Reason,
        Scope, Section, open,
    },
};
use proptest::prelude::*;
use world::{append, draft, exchange, flight, id, replica, root};

fn hello(from: u64) -> Hello {
    let mut copy = replica(from);
    append(&mut copy, "shipment", 1, 1);
    let mut session = Session::initiator(SessionConfig::default(), None);
    let bytes = session.poll_frame(0, &mut copy).unwrap();
    decode(&bytes, |frame| match frame {
        Frame::Hello(hello) => hello.clone(),
        other => panic!("{other:?}"),
    })
}

fn decode<T>(bytes: &[u8], then: impl Fn(&Frame<'_>) -> T) -> T {
    let limits = FrameLimits::default();
    let opened = open(bytes, &limits, None).unwrap();
    then(&Frame::decode(&opened, &limits).unwrap().unwrap())
}

/// A session that a stranger has greeted.
fn greeted(copy: &mut MemoryReplica, config: SessionConfig) -> Session {
    let mut session = Session::responder(config);
    let outcomes = session.handle_frame(&Frame::Hello(hello(66)).encode(None), 0, copy);
    assert_eq!(outcomes, []);
    session
}

/// What the session says last.
fn last_bye(session: &mut Session, copy: &mut MemoryReplica) -> Bye {
    let frames = flight(session, 0, copy);
    decode(frames.last().unwrap(), |frame| match frame {
        Frame::Bye(bye) => *bye,
        other => panic!("{other:?}"),
    })
}

#[derive(Clone)]
struct Forged {
    database: DatabaseId,
    writer: ReplicaId,
    root: &'static str,
    first_seq: u64,
    previous: Hash,
    hlc: Hlc,
}

impl Forged {
    fn first() -> Self {
        Self {
            database: world::DATABASE,
            writer: id(66),
            root: "shipment",
            first_seq: 1,
            previous: Hash::ZERO,
            hlc: Hlc::new(5, 0),
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut builder = BatchBuilder::new(root(self.root));
        builder.push(&draft("k", b"{}")).unwrap();
        builder.push(&draft("k", b"{}")).unwrap();
        let body = builder.finish();
        let stamp = Stamp {
            database: self.database,
            replica: self.writer,
            first_seq: self.first_seq,
            first_hlc: self.hlc,
            commit_hlc: self.hlc,
            part: 0,
            parts: 1,
            previous: self.previous,
        };
        let mut bytes = Vec::new();
        body.write_batch(&body.stamp(&stamp).unwrap(), &mut bytes);
        bytes
    }
}

fn hash(bytes: &[u8]) -> Hash {
    BatchView::parse(bytes).unwrap().hash()
}

fn frame(batches: &[Vec<u8>]) -> Vec<u8> {
    let tag = batches.last().and_then(|last| BatchView::parse(last).ok().map(|v| v.hash()));
    let frame = Batches {
        log: LogId::new(root("shipment"), id(66)),
        writer: id(66),
        ends: false,
        tag: tag.map_or(HashTag::default(), |hash| HashTag::of(&hash)),
        batches: batches.iter().map(|batch| batch.as_slice().into()).collect(),
    };
    Frame::Batches(frame).encode(None)
}

/// The frame is refused for this fault at this event, by name, and nothing is stored.
fn check(bytes: &[u8], fault: Fault, seq: u64, stored: usize) {
    let mut copy = replica(1);
    let mut session = greeted(&mut copy, SessionConfig::default());
    let outcomes = session.handle_frame(bytes, 0, &mut copy);
    let log = LogId::new(root("shipment"), id(66));
    let bye = Bye { fault: Some((fault, log, seq)), ..Bye::new(Reason::BadBatch) };
    assert_eq!(outcomes.last(), Some(&Outcome::Refused { peer: Some(id(66)), bye }));
    assert_eq!(copy.batches().len(), stored);
    assert_eq!(last_bye(&mut session, &mut copy), bye, "its sender is told");
    assert_eq!(session.status(), Status::Closed(Reason::BadBatch));
    assert_eq!(session.handle_frame(bytes, 0, &mut copy), [], "and it is over");
}

#[test]
fn a_batch_that_fails_is_refused_with_its_fault_and_nothing_is_stored() {
    let first = Forged::first();
    let good = first.bytes();
    let next = Forged { first_seq: 3, previous: hash(&good), hlc: Hlc::new(9, 0), ..first.clone() };
    let other_database = Forged { database: DatabaseId::from_bytes([7; 16]), ..first.clone() };
    check(&frame(&[other_database.bytes()]), Fault::Database, 1, 0);
    check(&frame(&[Forged { root: "truck", ..first.clone() }.bytes()]), Fault::Root, 1, 0);
    check(&frame(&[Forged { writer: id(67), ..first.clone() }.bytes()]), Fault::Replica, 1, 0);
    check(&frame(&[vec![1, 2, 3]]), Fault::Encoding, 1, 0);
    // Behind the last number there is.
    let last = Forged { first_seq: u64::MAX - 1, previous: Hash::of(b"other"), ..first.clone() };
    check(&frame(&[last.bytes(), vec![1, 2, 3]]), Fault::Encoding, u64::MAX, 0);
    // Two batches of which the second does not follow.
    let gap = Forged { first_seq: 4, ..next.clone() };
    check(&frame(&[good.clone(), gap.bytes()]), Fault::Chain, 4, 0);
    let torn = Forged { previous: Hash::of(b"other"), ..next.clone() };
    check(&frame(&[good.clone(), torn.bytes()]), Fault::Chain, 3, 0);
    // Ids that do not rise: the batch before it is sound, and stays.
    let early = Forged { hlc: Hlc::new(5, 1), ..next.clone() };
    check(&frame(&[good.clone(), early.bytes()]), Fault::NotRising, 3, 1);
    // A payload that was changed under way.
    let mut changed = good.clone();
    *changed.last_mut().unwrap() ^= 1;
    let tag = HashTag::of(&hash(&good));
    let log = LogId::new(root("shipment"), id(66));
    let announced =
        Batches { log, writer: id(66), ends: false, tag, batches: vec![changed.as_slice().into()] };
    check(&Frame::Batches(announced).encode(None), Fault::Hash, 1, 0);
}

#[test]
fn a_batch_that_is_not_canonical_is_refused() {
    // A length that is longer than needed cannot be built; a flag that contradicts can.
    let mut bytes = Forged::first().bytes();
    bytes[2] ^= 1;
    let verified = BatchView::parse(&bytes).unwrap().verify(Limits::default());
    assert_eq!(verified, Err(VerifyError::Flags));
    check(&frame(&[bytes]), Fault::Encoding, 1, 0);
}

#[test]
fn two_batches_that_are_no_fork_prove_nothing() {
    let first = Forged::first();
    let next = Forged { first_seq: 3, previous: hash(&first.bytes()), ..first.clone() };
    let proof = |one: &[u8], other: &[u8]| Frame::Fork(Fork::of(one, other)).encode(None);
    let (one, other) = (first.bytes(), next.bytes());
    let seq = BatchView::parse((&one).min(&other)).unwrap().header().first_seq;
    check(&proof(&one, &other), Fault::NoProof, seq, 0);
}

/// Where both batches of a proof are packed together, one damaged bit may change both writers.
#[test]
fn damage_that_changes_the_writer_of_both_batches_is_no_fork() {
    let written = Forged { writer: id(67), ..Forged::first() };
    let (one, other) = (written.bytes(), Forged { hlc: Hlc::new(6, 0), ..written }.bytes());
    let Fork { first, second, tags } = Fork::of(&one, &other);
    let damaged = |batch: &[u8]| {
        let mut batch = batch.to_vec();
        let place = batch.windows(8).position(|bytes| bytes == 67_u64.to_le_bytes()).unwrap();
        batch[place] = 66;
        batch
    };
    let (first, second) = (damaged(first), damaged(second));
    let fork = Fork { first: &first, second: &second, tags };
    check(&Frame::Fork(fork).encode(None), Fault::Hash, 1, 0);
}

#[test]
fn a_stranger_of_another_database_is_refused() {
    let mut copy = replica(1);
    let mut session = Session::responder(SessionConfig::default());
    let other = Hello { database: DatabaseId::from_bytes([7; 16]), ..hello(66) };
    session.handle_frame(&Frame::Hello(other).encode(None), 0, &mut copy);
    assert_eq!(last_bye(&mut session, &mut copy), Bye::new(Reason::Database));
}

#[test]
fn an_unknown_version_is_refused_with_its_own_reason() {
    let mut copy = replica(1);
    let mut session = Session::responder(SessionConfig::default());
    session.handle_frame(&[4, 1, 2, 9, 0], 0, &mut copy);
    assert_eq!(last_bye(&mut session, &mut copy), Bye::new(Reason::Version));
}

fn heads(entries: Vec<(ReplicaId, Head)>, form: Form) -> Vec<u8> {
    let section = Section { root: root("shipment"), form, heads: entries };
    Frame::Heads(HeadsFrame { sections: vec![section] }).encode(None)
}

#[test]
fn a_peer_that_promises_what_it_does_not_keep_is_given_up() {
    let mut copy = replica(1);
    append(&mut copy, "shipment", 1, 1);
    let config = SessionConfig { retry_ms: 10, retries_max: 3, ..SessionConfig::default() };
    let mut session = greeted(&mut copy, config);
    let lie = Head { seq: u64::MAX, tag: HashTag([1; 8]), branch: None };
    let lies = heads(vec![(id(1), lie), (id(9), lie)], Form::Full);
    assert_eq!(session.handle_frame(&lies, 0, &mut copy), [], "bare heads prove nothing");
    for now_ms in (0..100).step_by(5) {
        while session.poll_frame(now_ms, &mut copy).is_some() {}
    }
    assert_eq!(session.status(), Status::Closed(Reason::Stalled));
    assert_eq!(copy.replica(), id(1), "and force nobody to take a new id");
}

#[test]
fn what_was_answered_with_nothing_new_is_not_asked_for_again_at_once() {
    let mut copy = replica(1);
    (0..3).for_each(|at| append(&mut copy, "shipment", at, 1));
    let log = LogId::new(root("shipment"), id(1));
    let mut first = Vec::new();
    copy.read(&log, 0, 1, &mut first).unwrap();
    let tag = HashTag::of(&copy.end_before(&log, 1).unwrap().hash);
    let batches = first.iter().map(|batch| batch.as_slice().into()).collect();
    let held = Frame::Batches(Batches { log, writer: id(1), ends: true, tag, batches });
    let held = held.encode(None);

    let config = SessionConfig { retry_ms: 100, retries_max: 3, ..SessionConfig::default() };
    let mut session = greeted(&mut copy, config);
    let lie = Head { seq: 9, tag: HashTag([1; 8]), branch: None };
    session.handle_frame(&heads(vec![(id(1), lie)], Form::Full), 0, &mut copy);
    let mut asked = Vec::new();
    for now_ms in 0..1000 {
        while let Some(frame) = session.poll_frame(now_ms, &mut copy) {
            if is_want(&frame) {
                asked.push(now_ms);
                session.handle_frame(&held, now_ms, &mut copy);
            }
        }
    }
    // The first answer was news: the peer holds this batch. After that it is asked with the clock.
    assert_eq!(asked, [0, 0, 100, 200, 300]);
    assert_eq!(session.status(), Status::Closed(Reason::Stalled));
    assert_eq!(copy.batches().len(), 3);
}

fn is_want(bytes: &[u8]) -> bool {
    let opened = open(bytes, &FrameLimits::default(), None).unwrap();
    matches!(Frame::decode(&opened, &FrameLimits::default()), Ok(Some(Frame::Want(_))))
}

#[test]
fn more_logs_than_a_session_may_take_are_refused() {
    let mut copy = replica(1);
    let config = SessionConfig { heads_max: 100, ..SessionConfig::default() };
    let mut session = greeted(&mut copy, config);
    let head = Head { seq: 1, tag: HashTag([1; 8]), branch: None };
    let many = (0..101).map(|number| (id(number), head)).collect();
    session.handle_frame(&heads(many, Form::Full), 0, &mut copy);
    assert_eq!(last_bye(&mut session, &mut copy), Bye::new(Reason::TooMuch));
}

/// One batch, under a name that its sender made up.
fn renamed(batch: &[u8], name: u64) -> Vec<u8> {
    let frame = Batches {
        log: LogId::new(root("shipment"), id(name)),
        writer: id(66),
        ends: false,
        tag: HashTag::of(&hash(batch)),
        batches: vec![batch.into()],
    };
    Frame::Batches(frame).encode(None)
}

#[test]
fn names_of_logs_that_a_peer_makes_up_take_no_memory() {
    let mut copy = replica(1);
    let mut session = greeted(&mut copy, SessionConfig::default());
    let batch = Forged::first().bytes();
    let mut size_after = |names: std::ops::Range<u64>| {
        for name in names {
            assert_eq!(copy.batches().len(), usize::from(name > 1000));
            session.handle_frame(&renamed(&batch, name), 0, &mut copy);
            drop(flight(&mut session, 0, &mut copy));
        }
        format!("{session:?}").len()
    };
    let size = size_after(1000..1100);
    assert!(size_after(1100..1200) < size + 100, "a peer makes a session grow");
    assert_eq!(session.status(), Status::Running);
}

#[test]
fn more_names_of_logs_in_one_flight_than_a_session_may_take_are_refused() {
    let mut copy = replica(1);
    let config = SessionConfig { heads_max: 100, ..SessionConfig::default() };
    // Held already, and behind one that is not here.
    let first = Forged::first();
    let gap = Forged { first_seq: 3, previous: Hash::of(b"other"), ..first.clone() };
    for batch in [first.bytes(), gap.bytes()] {
        let mut session = greeted(&mut copy, config.clone());
        for name in 1000..1101 {
            session.handle_frame(&renamed(&batch, name), 0, &mut copy);
        }
        assert_eq!(last_bye(&mut session, &mut copy), Bye::new(Reason::TooMuch));
    }
}

#[test]
fn more_logs_that_nothing_can_be_taken_of_than_a_session_may_know_are_refused() {
    let mut copy = replica(1);
    let config = SessionConfig { heads_max: 100, ..SessionConfig::default() };
    let mut session = greeted(&mut copy, config);
    for writer in 1000..1101 {
        assert_eq!(session.status(), Status::Running);
        let writer = id(writer);
        let previous = Hash::of(b"other");
        let batch = Forged { writer, first_seq: 3, previous, ..Forged::first() }.bytes();
        let frame = Batches {
            log: LogId::new(root("shipment"), writer),
            writer,
            ends: false,
            tag: HashTag::of(&hash(&batch)),
            batches: vec![batch.as_slice().into()],
        };
        session.handle_frame(&Frame::Batches(frame).encode(None), 0, &mut copy);
        if session.status() == Status::Running {
            drop(flight(&mut session, 0, &mut copy));
        }
    }
    assert_eq!(session.status(), Status::Closed(Reason::TooMuch));
}

#[test]
fn a_peer_that_talks_without_end_and_brings_nothing_is_given_up() {
    let mut copy = replica(1);
    let config = SessionConfig { idle_frames_max: 20, ..SessionConfig::default() };
    let mut session = greeted(&mut copy, config);
    let nothing = heads(Vec::new(), Form::Delta);
    for _ in 0..20 {
        session.handle_frame(&nothing, 0, &mut copy);
    }
    assert_eq!(last_bye(&mut session, &mut copy), Bye::new(Reason::Stalled));
}

#[test]
fn roots_that_were_not_granted_are_neither_taken_nor_told() {
    let mut copy = replica(1);
    append(&mut copy, "truck", 1, 1);
    append(&mut copy, "shipment", 2, 1);
    let granted = Roots::Only([root("truck")].into());
    let config = SessionConfig { granted, ..SessionConfig::default() };
    let mut session = greeted(&mut copy, config);
    for bytes in flight(&mut session, 0, &mut copy) {
        decode(&bytes, |frame| match frame {
            Frame::Hello(hello) => {
                assert_eq!(hello.scope, Scope::Listed);
                assert!(hello.roots.iter().all(|entry| entry.root != root("shipment")));
            }
            Frame::Batches(batches) => assert_eq!(batches.log.root, root("truck")),
            Frame::Heads(heads) => assert_eq!(heads.sections[0].root, root("truck")),
            other => panic!("{other:?}"),
        });
    }
    session.handle_frame(&frame(&[Forged::first().bytes()]), 0, &mut copy);
    assert_eq!(last_bye(&mut session, &mut copy), Bye::new(Reason::Scope));
    assert_eq!(copy.batches().len(), 2);
}

#[test]
fn who_may_not_relay_brings_its_own_events_only() {
    let mut copy = replica(1);
    let config = SessionConfig { may_relay: false, ..SessionConfig::default() };
    let mut session = greeted(&mut copy, config.clone());
    session.handle_frame(&frame(&[Forged::first().bytes()]), 0, &mut copy);
    assert_eq!(copy.batches().len(), 1);
    let of_others = Forged { writer: id(67), ..Forged::first() }.bytes();
    let log = LogId::new(root("shipment"), id(67));
    let tag = HashTag::of(&hash(&of_others));
    let relayed = Batches {
        log,
        writer: id(67),
        ends: false,
        tag,
        batches: vec![of_others.as_slice().into()],
    };
    session.handle_frame(&Frame::Batches(relayed).encode(None), 0, &mut copy);
    let fault = Some((Fault::Relayed, log, 0));
    assert_eq!(last_bye(&mut session, &mut copy), Bye { fault, ..Bye::new(Reason::Scope) });
    assert_eq!(copy.batches().len(), 1);
}

#[test]
fn a_session_that_is_hurt_hurts_no_other() {
    let (mut copy, mut honest) = (replica(1), replica(2));
    append(&mut honest, "shipment", 1, 3);
    let mut bad = greeted(&mut copy, SessionConfig::default());
    bad.handle_frame(&[0xFF; 40], 0, &mut copy);
    exchange(&mut copy, &mut honest, &SessionConfig::default(), &mut 100);
    world::assert_same(&copy, &honest, "after a bad peer");
}

/// All frames of an honest session, either way.
fn honest_frames() -> Vec<Vec<u8>> {
    let (mut client, mut server) = (replica(66), replica(1));
    append(&mut client, "shipment", 1, 2);
    append(&mut server, "shipment", 1, 2);
    append(&mut server, "_sys", 1, 1);
    let mut forked = client.clone();
    append(&mut forked, "shipment", 5, 1);
    append(&mut client, "shipment", 6, 1);
    exchange(&mut server, &mut forked, &SessionConfig::default(), &mut 500);
    let mut here = Session::initiator(SessionConfig::default(), None);
    let mut there = Session::responder(SessionConfig::default());
    let mut all = Vec::new();
    for _ in 0..4 {
        for frame in flight(&mut here, 0, &mut client) {
            there.handle_frame(&frame, 0, &mut server);
            all.push(frame);
        }
        for frame in flight(&mut there, 0, &mut server) {
            here.handle_frame(&frame, 0, &mut client);
            all.push(frame);
        }
    }
    all
}

proptest! {
    /// No bytes panic, and none make two sessions talk for ever.
    #[test]
    fn frames_that_were_changed_at_random_do_no_harm(
        changes in prop::collection::vec(
            (any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>(), 0..4u8),
            1..12,
        ),
    ) {
        let honest = honest_frames();
        let mut copy = replica(1);
        append(&mut copy, "shipment", 1, 2);
        let mut session = Session::responder(SessionConfig::default());
        session.handle_frame(&Frame::Hello(hello(66)).encode(None), 0, &mut copy);
        for (frame, place, byte, how) in changes {
            let mut bytes = frame.get(&honest).clone();
            let at = place.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => bytes.truncate(at),
                2 => bytes.insert(at, byte),
                _ => {}
            }
            session.handle_frame(&bytes, 0, &mut copy);
            let mut polled = 0;
            while session.poll_frame(0, &mut copy).is_some() {
                polled += 1;
                prop_assert!(polled < 1000);
            }
            prop_assert!(copy.is_sound());
        }
    }

    #[test]
    fn random_bytes_do_no_harm(frames in prop::collection::vec(
        (1..9u8, prop::collection::vec(any::<u8>(), 0..120)), 1..20,
    )) {
        let mut copy = replica(1);
        let mut session = greeted(&mut copy, SessionConfig::default());
        for (kind, body) in frames {
            let mut bytes = vec![u8::try_from(body.len() + 1).unwrap(), kind];
            bytes.extend(body);
            session.handle_frame(&bytes, 0, &mut copy);
            while session.poll_frame(0, &mut copy).is_some() {}
        }
        prop_assert!(copy.batches().is_empty());
    }
}

#[test]
fn a_hello_that_answers_nothing_and_frames_before_it_are_harmless() {
    let mut copy = replica(1);
    let mut session = Session::responder(SessionConfig::default());
    assert_eq!(session.handle_frame(&frame(&[Forged::first().bytes()]), 0, &mut copy), []);
    assert!(copy.batches().is_empty(), "nobody is known yet");
    let answer = Hello { purpose: Purpose::Answer, ..hello(66) };
    session.handle_frame(&Frame::Hello(answer).encode(None), 0, &mut copy);
    while session.poll_frame(0, &mut copy).is_some() {}
    assert_eq!(session.peer(), Some(id(66)));
}
