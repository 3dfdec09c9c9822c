//! What a session does for its host: forks, copies that come back, scopes, budgets, live links.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "tests"
)]

mod world;

use std::collections::BTreeMap;

use laterbase_event::BatchView;
use laterbase_sync::{
    Branch, HashTag, Head, Heads, LogId, MemoryReplica, Outcome, PeerMemory, Replica, Roots,
    Session, SessionConfig, Status, alias, announce,
    frame::{Bye, Frame, FrameLimits, Reason, open},
    hear,
};
use world::{append, assert_same, exchange, flight, id, replica, root};

fn sync(client: &mut MemoryReplica, server: &mut MemoryReplica) -> world::Cost {
    exchange(client, server, &SessionConfig::default(), &mut 900)
}

/// What a frame tells of its batches: log, number of batches.
fn batches_of(bytes: &[u8]) -> Option<(LogId, usize)> {
    let opened = open(bytes, &FrameLimits::default(), None).unwrap();
    match Frame::decode(&opened, &FrameLimits::default()).unwrap() {
        Some(Frame::Batches(batches)) => Some((batches.log, batches.batches.len())),
        _ => None,
    }
}

#[test]
fn a_restored_copy_learns_of_its_future_and_takes_a_new_id() {
    let (mut copy, mut hub) = (replica(1), replica(2));
    append(&mut copy, "shipment", 10, 1);
    let backup = copy.clone();
    append(&mut copy, "shipment", 20, 2);
    sync(&mut copy, &mut hub);
    let mut restored = backup;
    let cost = sync(&mut restored, &mut hub);
    let told: Vec<_> = cost
        .outcomes
        .iter()
        .filter_map(|(here, outcome)| match outcome {
            Outcome::Reincarnate { root, seq, forked, .. } => Some((*here, *root, *seq, *forked)),
            _ => None,
        })
        .collect();
    assert_eq!(told, [(true, root("shipment"), 2, false)]);
    assert_ne!(restored.replica(), id(1));
    append(&mut restored, "shipment", 30, 1);
    sync(&mut restored, &mut hub);
    assert_same(&restored, &hub, "restored");
    assert_eq!(hub.heads().len(), 2);
}

/// A copy and its clone, which both went on under the same id.
fn clones(events_before: u64) -> (MemoryReplica, MemoryReplica) {
    let mut copy = replica(1);
    for at in 0..events_before {
        append(&mut copy, "shipment", 10 + at, 1);
    }
    let mut clone = copy.clone();
    append(&mut copy, "shipment", 100, 1);
    append(&mut copy, "shipment", 101, 1);
    append(&mut clone, "shipment", 200, 3);
    (copy, clone)
}

#[test]
fn two_clones_that_both_wrote_end_with_both_branches() {
    for before in [0, 1, 5, 40] {
        let (mut copy, mut clone) = clones(before);
        let mut hub = replica(2);
        let firsts: Vec<_> = [&copy, &clone]
            .map(|copy| {
                let log = LogId::new(root("shipment"), id(1));
                let mut all = Vec::new();
                copy.read(&log, before, u64::MAX, &mut all).unwrap();
                alias(
                    id(1),
                    &root("shipment"),
                    before + 1,
                    &BatchView::parse(&all[0]).unwrap().hash(),
                )
            })
            .to_vec();
        sync(&mut copy, &mut hub);
        let cost = sync(&mut clone, &mut hub);
        let fork = cost.outcomes.iter().find_map(|(here, outcome)| match outcome {
            Outcome::Forked { writer, seq, via, ours, theirs, .. } if !*here => {
                Some((*writer, *seq, *via, [*ours, *theirs]))
            }
            _ => None,
        });
        let names = [firsts[0], firsts[1]];
        assert_eq!(fork, Some((id(1), before + 1, Some(id(1)), names)), "{before}");
        sync(&mut copy, &mut hub);
        sync(&mut clone, &mut hub);
        assert_same(&copy, &hub, "forked");
        assert_same(&clone, &hub, "forked");
        let heads = hub.heads();
        let branch = Some(Branch { writer: id(1), first_seq: before + 1 });
        assert_eq!(heads[&firsts[0]].branch, branch);
        assert_eq!((heads[&firsts[0]].seq, heads[&firsts[1]].seq), (before + 2, before + 3));
        let plain = heads.get(&LogId::new(root("shipment"), id(1))).map_or(0, |head| head.seq);
        assert_eq!(plain, before, "the plain log ends before the fork");
        assert!(copy.replica() != id(1) && clone.replica() != id(1));
    }
}

#[test]
fn a_fork_far_behind_the_last_common_place_is_reached_in_small_answers() {
    let mut copy = replica(1);
    (0..60).for_each(|at| append(&mut copy, "shipment", 10 + at, 1));
    let mut clone = copy.clone();
    (0..70).for_each(|at| append(&mut copy, "shipment", 100 + at, 1));
    (0..70).for_each(|at| append(&mut clone, "shipment", 200 + at, 1));
    // Three batches an answer; the places that a want tells are up to 64 apart.
    let config = SessionConfig { want_bytes_max: 600, ..SessionConfig::default() };
    exchange(&mut copy, &mut clone, &config, &mut 900);
    assert_same(&copy, &clone, "forked long ago");
    assert_eq!(copy.batches().len(), 200);
}

#[test]
fn a_batch_that_the_peer_got_elsewhere_is_not_sent_on_a_guess() {
    let (mut copy, mut peer, mut third) = (replica(1), replica(2), replica(3));
    append(&mut copy, "shipment", 10, 1);
    sync(&mut copy, &mut peer);
    sync(&mut third, &mut copy);
    append(&mut copy, "shipment", 20, 1);
    sync(&mut third, &mut copy);
    sync(&mut third, &mut peer);
    // So that the session goes on behind the digests.
    append(&mut peer, "truck", 30, 1);
    // The copy remembers a peer that lacks the second batch, and guesses at nothing.
    let config = SessionConfig { optimistic_bytes: 0, ..SessionConfig::default() };
    let memory = copy.recall(peer.replica());
    assert!(memory.is_some());
    let mut asks = Session::initiator(config.clone(), memory);
    let mut answers = Session::responder(config);
    for _ in 0..4 {
        for frame in flight(&mut asks, 0, &mut copy) {
            assert_eq!(batches_of(&frame), None, "sent although it is held");
            answers.handle_frame(&frame, 0, &mut peer);
        }
        for frame in flight(&mut answers, 0, &mut peer) {
            asks.handle_frame(&frame, 0, &mut copy);
        }
    }
    assert_same(&copy, &peer, "after a session without a guess");
}

/// Branches within branches, met in any order.
fn family() -> Vec<MemoryReplica> {
    let mut base = replica(1);
    (0..4).for_each(|at| append(&mut base, "shipment", at, 1));
    let mut early = base.clone();
    (4..8).for_each(|at| append(&mut base, "shipment", at, 1));
    let mut late = base.clone();
    let mut later = base.clone();
    append(&mut early, "shipment", 50, 2);
    append(&mut base, "shipment", 51, 1);
    append(&mut late, "shipment", 52, 1);
    append(&mut later, "shipment", 53, 1);
    append(&mut later, "shipment", 54, 1);
    vec![base, early, late, later]
}

fn permutations(items: Vec<usize>) -> Vec<Vec<usize>> {
    if items.is_empty() {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for at in 0..items.len() {
        let mut rest = items.clone();
        let first = rest.remove(at);
        all.extend(permutations(rest).into_iter().map(|mut tail| {
            tail.insert(0, first);
            tail
        }));
    }
    all
}

#[test]
fn logs_have_the_same_names_whatever_the_order_in_which_branches_are_met() {
    let mut expected: Option<Heads> = None;
    for order in permutations(vec![0, 1, 2, 3]) {
        let mut hub = replica(2);
        for at in &order {
            sync(&mut family()[*at], &mut hub);
        }
        assert!(hub.is_sound());
        let heads = hub.heads();
        assert_eq!(heads.len(), 6, "plain to 4, early, rest to 8, and three behind: {order:?}");
        assert_eq!(*expected.get_or_insert_with(|| heads.clone()), heads, "{order:?}");
    }
}

#[test]
fn a_copy_that_joins_late_gets_all_branches() {
    let mut hub = replica(2);
    for copy in &mut family() {
        sync(copy, &mut hub);
    }
    let mut late = replica(3);
    sync(&mut late, &mut hub);
    assert_same(&late, &hub, "late");
}

#[test]
fn peers_exchange_the_roots_that_both_take_part_in_and_always_sys() {
    let (mut truck, mut hub) = (replica(1), replica(2));
    for name in ["_sys", "shipment", "truck"] {
        append(&mut hub, name, 10, 1);
        append(&mut truck, name, 20, 1);
    }
    let scope = Roots::Only([root("truck")].into());
    let config = SessionConfig { scope, ..SessionConfig::default() };
    let mut here = Session::initiator(config, None);
    let mut there = Session::responder(SessionConfig::default());
    for _ in 0..4 {
        for frame in flight(&mut here, 0, &mut truck) {
            there.handle_frame(&frame, 0, &mut hub);
        }
        for frame in flight(&mut there, 0, &mut hub) {
            here.handle_frame(&frame, 0, &mut truck);
        }
    }
    assert!(matches!(here.status(), Status::Closed(_)));
    let held = |copy: &MemoryReplica, name: &str| {
        copy.heads().keys().filter(|log| log.root == root(name)).count()
    };
    assert_eq!(["_sys", "truck", "shipment"].map(|name| held(&truck, name)), [2, 2, 1]);
    assert_eq!(["_sys", "truck", "shipment"].map(|name| held(&hub, name)), [2, 2, 1]);
}

#[test]
fn a_session_that_was_cut_goes_on_at_the_last_ack() {
    let (mut client, mut server) = (replica(1), replica(2));
    (0..200).for_each(|at| append(&mut server, "shipment", at, 3));
    let config =
        SessionConfig { window_bytes: 8000, frame_bytes_target: 1000, ..SessionConfig::default() };
    let mut here = Session::initiator(config.clone(), None);
    let mut there = Session::responder(config.clone());
    let mut carried = 0;
    for _ in 0..3 {
        for frame in flight(&mut here, 0, &mut client) {
            there.handle_frame(&frame, 0, &mut server);
        }
        for frame in flight(&mut there, 0, &mut server) {
            carried += batches_of(&frame).map_or(0, |(_, count)| count);
            here.handle_frame(&frame, 0, &mut client);
        }
    }
    assert_eq!(client.batches().len(), carried);
    assert!((20..150).contains(&carried), "{carried}");
    let progress = here.progress();
    assert_eq!(progress.pull_events_total, 600, "announced up front");
    assert_eq!(progress.pull_events, carried as u64 * 3);
    let cost = exchange(&mut client, &mut server, &config, &mut 900);
    assert_same(&client, &server, "resumed");
    let rest: usize = server.batches().values().map(|batch| batch.len()).sum();
    let rest = rest * (200 - carried) / 200;
    assert!(cost.bytes_down < rest + 6000, "{} for a rest of {rest}", cost.bytes_down);
}

#[test]
fn system_events_go_first_and_then_by_priority() {
    let (mut client, mut server) = (replica(1), replica(2));
    for name in ["aaa", "bbb", "_sys", "ccc"] {
        append(&mut server, name, 10, 1);
    }
    let priorities = BTreeMap::from([(root("ccc"), 1), (root("aaa"), 200)]);
    let config = SessionConfig { priorities, ..SessionConfig::default() };
    let mut here = Session::initiator(config.clone(), None);
    let mut there = Session::responder(config);
    for frame in flight(&mut here, 0, &mut client) {
        there.handle_frame(&frame, 0, &mut server);
    }
    let frames = flight(&mut there, 0, &mut server);
    let roots: Vec<_> = frames
        .iter()
        .filter_map(|frame| batches_of(frame))
        .map(|(log, _)| log.root.as_str().to_owned())
        .collect();
    assert_eq!(roots, ["_sys", "ccc", "bbb", "aaa"]);
    for frame in frames.iter().chain(&frames) {
        here.handle_frame(frame, 0, &mut client);
    }
    assert_same(&client, &server, "each frame came twice");
}

#[test]
fn a_live_session_sends_on_what_comes_later() {
    let (mut left, mut right) = (replica(1), replica(2));
    let config = SessionConfig { live: true, ..SessionConfig::default() };
    let mut here = Session::initiator(config.clone(), None);
    let mut there = Session::responder(config);
    for round in 0..5 {
        append(&mut left, "shipment", round, 1);
        append(&mut right, "truck", round, 1);
        for _ in 0..3 {
            for frame in flight(&mut here, 0, &mut left) {
                there.handle_frame(&frame, 0, &mut right);
            }
            for frame in flight(&mut there, 0, &mut right) {
                here.handle_frame(&frame, 0, &mut left);
            }
        }
        assert_same(&left, &right, "live");
        assert_eq!([here.status(), there.status()], [Status::Settled; 2]);
    }
    let memory = here.memory().unwrap();
    assert_eq!(PeerMemory::decode(&memory.encode()), Ok(memory));
}

#[test]
fn a_batch_longer_than_the_peers_frames_holds_up_its_own_log_alone() {
    let (mut client, mut server) = (replica(1), replica(2));
    append(&mut server, "shipment", 1, 1);
    let payload = vec![b'1'; 5000];
    assert!(server.append(&root("truck"), 2, &[world::draft("k", &payload)]));
    let frames = FrameLimits { frame_bytes_max: 2000, ..FrameLimits::default() };
    let small = SessionConfig { frames, ..SessionConfig::default() };
    let mut here = Session::initiator(small, None);
    let mut there = Session::responder(SessionConfig::default());
    for _ in 0..3 {
        for frame in flight(&mut here, 0, &mut client) {
            there.handle_frame(&frame, 0, &mut server);
        }
        for frame in flight(&mut there, 0, &mut server) {
            here.handle_frame(&frame, 0, &mut client);
        }
    }
    assert_eq!(client.batches().len(), 1);
    let stuck: Vec<_> = there.too_large().iter().map(|(log, after)| (log.root, *after)).collect();
    assert_eq!(stuck, [(root("truck"), 0)]);
}

#[test]
fn gossip_is_stored_forwarded_while_it_is_news_and_asks_for_what_it_lacks() {
    let (mut writer, mut near, mut far) = (replica(1), replica(2), replica(3));
    let config = SessionConfig::default();
    let log = LogId::new(root("shipment"), id(1));
    append(&mut writer, "shipment", 1, 2);
    let whole = announce(&writer, &BTreeMap::from([(log, 0)]), 1, 10_000);
    let heard = hear(&whole, &config, &mut near).unwrap().unwrap();
    assert_eq!((heard.from, heard.lacks, heard.fault), (id(1), false, None));
    assert_same(&near, &writer, "gossip");
    let again = hear(&whole, &config, &mut near).unwrap().unwrap();
    assert_eq!((again.forward, again.outcomes), (None, Vec::new()), "no news");
    let on = hear(&heard.forward.unwrap(), &config, &mut far).unwrap().unwrap();
    assert_eq!((on.from, on.forward), (id(2), None), "the hops are used up");
    assert_same(&far, &writer, "gossip");
    // Heads alone, and batches that do not extend what is held, ask for a pull.
    append(&mut writer, "shipment", 5, 1);
    let heads = announce(&writer, &BTreeMap::from([(log, 2)]), 1, 0);
    assert!(hear(&heads, &config, &mut near).unwrap().unwrap().lacks);
    append(&mut writer, "shipment", 6, 1);
    let late = announce(&writer, &BTreeMap::from([(log, 3)]), 1, 10_000);
    let heard = hear(&late, &config, &mut near).unwrap().unwrap();
    assert!(heard.lacks && heard.outcomes.is_empty());
    let foreign = hear(
        &late,
        &config,
        &mut MemoryReplica::new(laterbase_event::DatabaseId::from_bytes([7; 16]), id(4)),
    );
    assert_eq!(foreign, Ok(None));
}

#[test]
fn the_memory_of_a_peer_of_version_1() {
    let text = include_str!("fixtures/peer-memory-v1.hex");
    let bytes = world::fixture(text);
    let memory = PeerMemory::decode(&bytes).unwrap();
    assert_eq!(memory.peer(), id(0x00C0_FFEE_0123_4567));
    assert_eq!(memory.encode(), bytes);
    let expected = Head {
        seq: 300,
        tag: HashTag([1, 2, 3, 4, 5, 6, 7, 8]),
        branch: Some(Branch { writer: id(7), first_seq: 5 }),
    };
    assert_eq!(memory.agreed().get(&LogId::new(root("shipment"), id(9))), Some(&expected));
    for end in 0..bytes.len() {
        assert!(PeerMemory::decode(&bytes[..end]).is_err());
    }
}

/// Another session brings something while a Hello is being answered: a new root, more of one that
/// was the same, or the first of one that only the peer had. Neither side knows the other's heads
/// of the last one, unless they are told with the answer.
#[test]
fn what_comes_between_a_hello_and_its_answer_is_told_with_the_answer() {
    for (late, met) in [("truck", true), ("depot", true), ("truck", false)] {
        let (mut client, mut server) = (replica(1), replica(2));
        append(&mut client, "truck", 1, 1);
        if met {
            exchange(&mut client, &mut server, &SessionConfig::default(), &mut 1000);
        }
        let mut here = Session::initiator(SessionConfig::default(), None);
        let mut there = Session::responder(SessionConfig::default());
        for frame in flight(&mut here, 0, &mut client) {
            there.handle_frame(&frame, 0, &mut server);
        }
        append(&mut server, late, 2, 1);
        for _ in 0..4 {
            for frame in flight(&mut there, 0, &mut server) {
                here.handle_frame(&frame, 0, &mut client);
            }
            for frame in flight(&mut here, 0, &mut client) {
                there.handle_frame(&frame, 0, &mut server);
            }
        }
        assert_ne!(here.status(), Status::Running, "{late}, {met}: it waits for the clock");
        assert_same(&client, &server, late);
    }
}

#[test]
fn a_session_that_waits_says_when_it_asks_anew() {
    let mut copy = replica(1);
    let config = SessionConfig { retry_ms: 10, ..SessionConfig::default() };
    let mut session = Session::initiator(config, None);
    assert_eq!(session.poll_timeout(), None, "it has said nothing yet");
    while session.poll_frame(5, &mut copy).is_some() {}
    assert_eq!(session.poll_timeout(), Some(15));
    assert_eq!(session.poll_frame(14, &mut copy), None);
    assert!(session.poll_frame(15, &mut copy).is_some());
    session.close(Bye::new(Reason::Done));
    while session.poll_frame(16, &mut copy).is_some() {}
    assert_eq!(session.poll_timeout(), None, "it is over");
}
