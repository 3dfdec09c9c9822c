//! Peers that may not bring all, or are not told all: what they own comes over, nothing else does,
//! and a session ends all the same.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "tests"
)]

mod world;

use std::collections::{BTreeMap, BTreeSet};

use laterbase_event::{BatchView, Hash, ReplicaId};
use laterbase_sync::{
    LogId, MemoryReplica, Outcome, PeerMemory, Replica, Roots, Session, SessionConfig, Status,
    announce,
    frame::{Bye, Capabilities, Fault, Frame, FrameLimits, Reason, open},
    hear,
};
use proptest::prelude::*;
use world::{append, exchange, flight, id, replica, root};

/// Whoever is granted this may bring what `peers` wrote.
fn own(peers: &[u64]) -> SessionConfig {
    let peers = Some(peers.iter().map(|number| id(*number)).collect());
    SessionConfig { may_relay: false, peers, ..SessionConfig::default() }
}

fn only(roots: &[&str]) -> Roots {
    Roots::Only(roots.iter().map(|name| root(name)).collect())
}

/// Writes under another id, as if it had come from there.
fn append_as(copy: &mut MemoryReplica, writer: u64, name: &str, now_ms: u64, count: usize) {
    let itself = copy.replica();
    copy.reincarnate(id(writer));
    append(copy, name, now_ms, count);
    copy.reincarnate(itself);
}

/// How a session went.
#[derive(Default)]
struct Run {
    /// Requests until it was over.
    round_trips: usize,
    /// Frames of the server.
    down: Vec<Vec<u8>>,
    /// Batches that crossed.
    batches: usize,
    /// How either side ended it.
    byes: Vec<Bye>,
    memory: Option<PeerMemory>,
}

/// A session as the program drives it: until the client is done.
fn run(
    client: &mut MemoryReplica,
    server: &mut MemoryReplica,
    config: &SessionConfig,
    memory: Option<PeerMemory>,
) -> Run {
    let mut here = Session::initiator(SessionConfig::default(), memory);
    let mut there = Session::responder(config.clone());
    let mut run = Run::default();
    loop {
        let was_settled = here.status() == Status::Settled;
        let up = here.poll_flight(0, client);
        if was_settled || up.is_empty() || matches!(here.status(), Status::Closed(_)) {
            break;
        }
        run.round_trips += 1;
        assert!(run.round_trips < 20, "it does not end");
        let outcomes = there.handle_flight(&up, 0, server);
        run.byes.extend(outcomes.iter().filter_map(bye));
        let down: Vec<Vec<u8>> = flight(&mut there, 0, server);
        run.batches += down.iter().filter(|frame| is_batches(frame)).count();
        here.handle_flight(&down.concat(), 0, client);
        run.down.extend(down);
    }
    run.batches += usize::from(here.progress().push_events > 0);
    run.memory = here.memory();
    run
}

fn bye(outcome: &Outcome) -> Option<Bye> {
    match outcome {
        Outcome::Refused { bye, .. } => Some(*bye),
        _ => None,
    }
}

fn decode<T>(bytes: &[u8], then: impl Fn(&Frame<'_>) -> T) -> T {
    let limits = FrameLimits::default();
    let opened = open(bytes, &limits, None).unwrap();
    then(&Frame::decode(&opened, &limits).unwrap().unwrap())
}

fn is_batches(frame: &[u8]) -> bool {
    decode(frame, |frame| matches!(frame, Frame::Batches(_)))
}

/// What it holds, by hash: who wrote it, under which root.
fn held(copy: &MemoryReplica) -> BTreeMap<Hash, (ReplicaId, String)> {
    let said = |bytes: &[u8]| {
        let view = BatchView::parse(bytes).unwrap();
        let header = view.header();
        (header.replica, header.root.as_str().to_owned())
    };
    copy.batches().into_iter().map(|(hash, bytes)| (hash, said(bytes))).collect()
}

#[test]
fn a_peer_brings_its_own_events_and_no_others_and_pulls_all() {
    let (mut client, mut server) = (replica(1), replica(2));
    append(&mut server, "shipment", 1, 3);
    append(&mut client, "shipment", 2, 2);
    append(&mut client, "_sys", 3, 1);
    append_as(&mut client, 9, "shipment", 4, 2);
    append_as(&mut client, 9, "truck", 5, 2);
    let before = server.batches().len();
    let done = run(&mut client, &mut server, &own(&[1]), None);
    assert_eq!(done.byes, []);
    assert_eq!(server.batches().len(), before + 2, "what it wrote itself");
    assert!(held(&server).values().all(|(writer, _)| *writer != id(9)));
    assert_eq!(client.batches().len(), 5, "and has what the server wrote");
    // Again there is nothing to do.
    let again = run(&mut client, &mut server, &own(&[1]), done.memory);
    assert_eq!((again.batches, again.byes.len()), (0, 0));
    // Where it holds nothing of others, both come to hold the same, in as many requests as ever.
    let (mut plain, mut hub) = (replica(1), replica(2));
    append(&mut plain, "shipment", 1, 1);
    append(&mut hub, "shipment", 1, 1);
    let (mut same, mut other) = (plain.clone(), hub.clone());
    let usual = run(&mut same, &mut other, &SessionConfig::default(), None);
    let partial = run(&mut plain, &mut hub, &own(&[1]), None);
    world::assert_same(&plain, &hub, "own events are all there is");
    assert_eq!(partial.round_trips, usual.round_trips);
}

#[test]
fn what_somebody_else_wrote_is_refused_by_name_and_not_stored() {
    let (mut client, mut server) = (replica(1), replica(2));
    append(&mut client, "shipment", 1, 1);
    append_as(&mut client, 9, "truck", 2, 1);
    // It knows nothing of what it may not, and sends it unasked.
    let mut liar = Session::initiator(SessionConfig::default(), None);
    let mut trusting = Session::responder(SessionConfig::default());
    let mut other = server.clone();
    trusting.handle_flight(&liar.poll_flight(0, &mut client), 0, &mut other);
    liar.handle_flight(&trusting.poll_flight(0, &mut other), 0, &mut client);
    let both = liar.poll_flight(0, &mut client);
    let mut wary = Session::responder(own(&[1]));
    let greeting = Session::initiator(SessionConfig::default(), None).poll_flight(0, &mut client);
    wary.handle_flight(&greeting, 0, &mut server);
    let outcomes = wary.handle_flight(&both, 0, &mut server);
    let fault = Some((Fault::Relayed, LogId::new(root("truck"), id(9)), 0));
    let refused = Bye { fault, ..Bye::new(Reason::Scope) };
    assert_eq!(outcomes.iter().filter_map(bye).collect::<Vec<_>>(), [refused]);
    assert!(held(&server).values().all(|(writer, _)| *writer == id(1)));
    let last = flight(&mut wary, 0, &mut server).pop().unwrap();
    decode(&last, |frame| assert_eq!(frame, &Frame::Bye(refused)));
    // Another session is not hurt by it.
    let done = run(&mut client, &mut server, &own(&[1]), None);
    assert_eq!((done.byes.len(), server.batches().len()), (0, 1));
}

#[test]
fn a_peer_is_one_of_those_that_it_may_be_or_is_told_nothing() {
    let (mut client, mut server) = (replica(1), replica(2));
    append(&mut client, "shipment", 1, 1);
    append(&mut server, "shipment", 1, 1);
    for may_relay in [false, true] {
        let config = SessionConfig { may_relay, ..own(&[3, 4]) };
        let done = run(&mut client, &mut server, &config, None);
        assert_eq!(done.byes, [Bye::new(Reason::Scope)]);
        assert_eq!(done.down.len(), 1, "a Bye, and nothing before it");
        decode(&done.down[0], |frame| assert_eq!(frame, &Frame::Bye(Bye::new(Reason::Scope))));
        assert_eq!((server.batches().len(), client.batches().len()), (1, 1));
    }
    // One that may be another may still bring what all wrote, if it may relay.
    append_as(&mut client, 9, "shipment", 2, 1);
    let config = SessionConfig { may_relay: true, ..own(&[1]) };
    run(&mut client, &mut server, &config, None);
    world::assert_same(&client, &server, "a peer that may relay");
}

#[test]
fn a_peer_that_is_told_nothing_learns_of_its_own_logs_alone() {
    let (mut client, mut server) = (replica(1), replica(2));
    append(&mut server, "shipment", 1, 3);
    append(&mut server, "secret", 1, 3);
    append(&mut server, "_sys", 1, 1);
    append_as(&mut server, 9, "truck", 1, 1);
    append(&mut client, "shipment", 2, 2);
    append(&mut client, "truck", 3, 1);
    let config = SessionConfig { told: only(&[]), ..own(&[1]) };
    for repeated in [false, true] {
        let done = run(&mut client, &mut server, &config, None);
        assert!(done.byes.is_empty() && client.batches().len() == 2);
        assert_eq!(server.batches().len(), 6);
        if repeated {
            assert_eq!(done.batches, 0, "its logs are known to be there");
        }
        for frame in &done.down {
            decode(frame, |frame| match frame {
                Frame::Hello(hello) => {
                    let names = hello.roots.iter().map(|entry| entry.root.as_str());
                    assert!(names.clone().all(|name| ["shipment", "truck"].contains(&name)));
                }
                Frame::Heads(heads) => {
                    let all = heads.sections.iter().flat_map(|section| &section.heads);
                    assert!(all.clone().all(|(replica, _)| *replica == id(1)));
                }
                Frame::Ack(_) | Frame::Bye(_) => {}
                other => panic!("{other:?}"),
            });
        }
    }
    // Asking for it does not help.
    let mut wants = Session::initiator(SessionConfig::default(), None);
    let mut full = Session::responder(SessionConfig::default());
    let mut copy = server.clone();
    full.handle_flight(&wants.poll_flight(0, &mut client), 0, &mut copy);
    wants.handle_flight(&full.poll_flight(0, &mut copy), 0, &mut client);
    let asks = wants.poll_flight(0, &mut client);
    let mut wary = Session::responder(config);
    let greeting = Session::initiator(SessionConfig::default(), None).poll_flight(0, &mut client);
    wary.handle_flight(&greeting, 0, &mut server);
    flight(&mut wary, 0, &mut server);
    wary.handle_flight(&asks, 0, &mut server);
    let told = flight(&mut wary, 0, &mut server);
    assert!(!told.iter().any(|frame| is_batches(frame)));
}

#[test]
fn roots_are_told_each_by_its_name() {
    let (mut client, mut server) = (replica(1), replica(2));
    for name in ["shipment", "truck", "_sys"] {
        append(&mut server, name, 1, 1);
    }
    let config = SessionConfig { told: only(&["truck"]), ..own(&[1]) };
    run(&mut client, &mut server, &config, None);
    let roots: BTreeSet<String> = held(&client).into_values().map(|(_, root)| root).collect();
    assert_eq!(roots, BTreeSet::from(["truck".to_owned()]));
}

#[test]
fn a_reincarnated_copy_brings_what_it_wrote_under_ids_that_it_may_be() {
    let (mut client, server) = (replica(1), replica(2));
    append_as(&mut client, 11, "shipment", 1, 2);
    append_as(&mut client, 9, "shipment", 2, 2);
    append(&mut client, "shipment", 3, 1);
    for (peers, writers) in [(&[1][..], &[1][..]), (&[1, 11], &[1, 11])] {
        let mut server = server.clone();
        let done = run(&mut client.clone(), &mut server, &own(peers), None);
        assert_eq!(done.byes, []);
        let found: BTreeSet<ReplicaId> = held(&server).into_values().map(|(by, _)| by).collect();
        assert_eq!(found, writers.iter().map(|number| id(*number)).collect());
    }
}

#[test]
fn both_branches_of_a_peers_own_log_come_over() {
    let (mut client, mut server) = (replica(1), replica(2));
    append(&mut client, "shipment", 1, 1);
    let mut restored = client.clone();
    append(&mut client, "shipment", 2, 1);
    let done = run(&mut client, &mut server, &own(&[1]), None);
    assert_eq!((done.byes.len(), server.batches().len()), (0, 2));
    // It goes on from an old copy, learns of it here, and goes on under another id.
    append(&mut restored, "shipment", 3, 1);
    append_as(&mut restored, 9, "shipment", 4, 1);
    let done = run(&mut restored, &mut server, &own(&[1]), None);
    assert_eq!((done.byes.len(), server.batches().len()), (0, 3));
    assert_eq!(restored.batches().len(), 4);
    restored.reincarnate(id(12));
    append(&mut restored, "shipment", 5, 1);
    let refused = run(&mut restored, &mut server, &own(&[1]), None);
    assert_eq!(refused.byes, [Bye::new(Reason::Scope)], "that one was not granted");
    let done = run(&mut restored, &mut server, &own(&[1, 12]), None);
    assert_eq!((done.byes.len(), server.batches().len()), (0, 4));
}

#[test]
fn what_is_sent_on_a_guess_is_refused_once_and_not_again() {
    let (mut client, mut server) = (replica(1), replica(2));
    append(&mut client, "shipment", 1, 1);
    exchange(&mut client, &mut server, &SessionConfig::default(), &mut 100);
    append_as(&mut client, 9, "shipment", 2, 1);
    append(&mut client, "shipment", 3, 1);
    let memory = client.recall(id(2));
    assert!(memory.is_some());
    // It could bring all before, and cannot know yet that it may no longer.
    let refused = run(&mut client, &mut server, &own(&[1]), memory);
    assert_eq!(refused.byes.len(), 1);
    let memory = PeerMemory::decode(&refused.memory.unwrap().encode()).unwrap();
    let done = run(&mut client, &mut server, &own(&[1]), Some(memory));
    assert_eq!(done.byes, []);
    assert!(held(&server).values().all(|(writer, _)| *writer == id(1)));
    assert_eq!(server.batches().len(), 2);
    // When it may again, it does.
    run(&mut client, &mut server, &SessionConfig::default(), done.memory);
    world::assert_same(&client, &server, "it may relay again");
}

#[test]
fn a_live_session_goes_on_both_ways_whatever_else_is_held() {
    let (mut left, mut right) = (replica(1), replica(2));
    append_as(&mut left, 9, "shipment", 1, 1);
    append(&mut right, "secret", 1, 1);
    let live = SessionConfig { live: true, ..SessionConfig::default() };
    let told = only(&["shipment", "truck"]);
    let mut here = Session::initiator(live, None);
    let mut there = Session::responder(SessionConfig { live: true, told, ..own(&[1]) });
    for round in 2..6 {
        append(&mut left, "shipment", round, 1);
        append(&mut right, "shipment", round, 1);
        append(&mut right, "truck", round, 1);
        for _ in 0..4 {
            let up = here.poll_flight(0, &mut left);
            there.handle_flight(&up, 0, &mut right);
            let down = there.poll_flight(0, &mut right);
            here.handle_flight(&down, 0, &mut left);
        }
        let rounds = usize::try_from(round).unwrap() - 1;
        assert_eq!(left.batches().len(), 1 + 3 * rounds);
        assert_eq!(right.batches().len(), 1 + 3 * rounds);
        assert_eq!([here.status(), there.status()], [Status::Settled; 2]);
    }
    // What one may not send comes to it later, and it is told that it was heard of.
    append_as(&mut left, 9, "depot", 7, 1);
    for _ in 0..4 {
        let up = here.poll_flight(0, &mut left);
        there.handle_flight(&up, 0, &mut right);
        let down = there.poll_flight(0, &mut right);
        if !down.is_empty() {
            here.handle_flight(&down, 0, &mut left);
        }
    }
    assert_eq!([here.status(), there.status()], [Status::Settled; 2]);
}

#[test]
fn what_both_knew_before_is_not_told_again() {
    let (mut client, mut server) = (replica(1), replica(2));
    append(&mut client, "shipment", 1, 1);
    append(&mut server, "shipment", 1, 1);
    exchange(&mut client, &mut server, &SessionConfig::default(), &mut 100);
    append(&mut client, "shipment", 2, 1);
    let config = SessionConfig { told: only(&[]), ..own(&[1]) };
    let memory = client.recall(id(2));
    let done = run(&mut client, &mut server, &config, memory);
    for frame in &done.down {
        decode(frame, |frame| match frame {
            Frame::Hello(hello) => assert_eq!(hello.agreement, laterbase_sync::Agreement::NONE),
            Frame::Heads(heads) => {
                let all = heads.sections.iter().flat_map(|section| &section.heads);
                assert!(all.clone().all(|(replica, _)| *replica == id(1)));
            }
            _ => {}
        });
    }
    assert_eq!(server.batches().len(), 3);
}

#[test]
fn gossip_brings_a_peers_own_events_and_says_nothing_of_others() {
    let (mut writer, mut near) = (replica(1), replica(2));
    append(&mut writer, "shipment", 1, 1);
    append_as(&mut writer, 9, "shipment", 2, 1);
    append_as(&mut writer, 9, "truck", 2, 1);
    let changed = writer.heads().keys().map(|log| (*log, 0)).collect();
    let whole = announce(&writer, &changed, 1, 10_000);
    assert_eq!(hear(&whole, &own(&[3]), &mut near), Ok(None), "it is another one");
    let heard = hear(&whole, &own(&[1]), &mut near).unwrap().unwrap();
    assert_eq!((heard.lacks, heard.fault), (false, None));
    assert_eq!(held(&near).into_values().map(|(by, _)| by).collect::<Vec<_>>(), [id(1)]);
    let mut far = replica(3);
    hear(&heard.forward.unwrap(), &SessionConfig::default(), &mut far).unwrap();
    assert_eq!(far.batches().len(), 1, "nor is it handed on");
}

#[test]
fn what_is_new_on_the_wire_has_its_numbers() {
    let log = LogId::new(root("a"), id(1));
    let bye = Bye { fault: Some((Fault::Relayed, log, 0)), ..Bye::new(Reason::Scope) };
    let expected = [16, 8, 4, 0, 2, 9, 1, b'a', 1, 0, 0, 0, 0, 0, 0, 0];
    let bytes = Frame::Bye(bye).encode(None);
    assert_eq!(bytes[..expected.len()], expected);
    assert_eq!(bytes[expected.len()..], [0]);
    assert_eq!(Capabilities::OWN.0, 2);
}

#[test]
fn a_hello_says_that_only_what_is_asked_for_is_taken() {
    let mut copy = replica(2);
    for (config, expected) in
        [(own(&[1]), Capabilities::OWN), (SessionConfig::default(), Capabilities(0))]
    {
        let hello = Session::initiator(config, None).poll_frame(0, &mut copy).unwrap();
        decode(&hello, |frame| match frame {
            Frame::Hello(hello) => assert_eq!(hello.capabilities, expected),
            other => panic!("{other:?}"),
        });
    }
}

proptest! {
    /// Whatever both hold and whatever is granted: a session ends by itself, brings what may come
    /// and nothing else, and the next one has nothing to do.
    #[test]
    fn what_is_granted_comes_over_and_nothing_else(
        here in prop::collection::vec((1_u64..6, 0_usize..4), 0..12),
        there in prop::collection::vec((1_u64..6, 0_usize..4), 0..12),
        shared in prop::collection::vec((1_u64..6, 0_usize..4), 0..6),
        peers in prop::sample::select(vec![vec![1], vec![1, 3], vec![1, 3, 4]]),
        told in prop::option::of(prop::sample::subsequence(vec![0_usize, 1, 2, 3], 0..4)),
    ) {
        const ROOTS: [&str; 4] = ["shipment", "truck", "depot", "_sys"];
        let mut common = replica(2);
        let mut now_ms = 0;
        let mut write = |copy: &mut MemoryReplica, all: &[(u64, usize)], first: u64| {
            for (writer, at) in all {
                now_ms += 1;
                // Ids of their own on either side: nothing is forked.
                append_as(copy, writer * first, ROOTS[*at], now_ms, 1);
            }
        };
        write(&mut common, &shared, 1);
        let (mut client, mut server) = (common.clone(), common);
        client.reincarnate(id(1));
        server.reincarnate(id(2));
        write(&mut server, &there, 100);
        write(&mut client, &here, 1);
        let named = |at: Vec<usize>| only(&at.iter().map(|at| ROOTS[*at]).collect::<Vec<_>>());
        let told = told.map_or(Roots::All, named);
        let config = SessionConfig { told: told.clone(), ..own(&peers) };
        let (at_client, at_server) = (held(&client), held(&server));
        let done = run(&mut client, &mut server, &config, None);
        prop_assert_eq!(done.byes.len(), 0);
        let is_own = |writer: &ReplicaId| peers.iter().any(|number| id(*number) == *writer);
        let brought = at_client.iter().filter(|(_, (writer, _))| is_own(writer));
        let mut expected = at_server.clone();
        expected.extend(brought.map(|(hash, said)| (*hash, said.clone())));
        prop_assert_eq!(held(&server), expected);
        let is_told = |said: &(ReplicaId, String)| told.names(&root(&said.1)) || is_own(&said.0);
        let mut expected = at_client;
        expected.extend(at_server.into_iter().filter(|(_, said)| is_told(said)));
        prop_assert_eq!(held(&client), expected);
        let again = run(&mut client, &mut server, &config, done.memory);
        prop_assert_eq!((again.batches, again.byes.len()), (0, 0));
    }
}
