//! A world for tests: copies in memory, links that lose, repeat and reorder, and one seed for all.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failure here is a failed test"
)]

use laterbase_event::{DatabaseId, EventDraft, ReplicaId, RootName};
use laterbase_sync::{MemoryReplica, Outcome, Replica, Session, SessionConfig, Status};

/// SplitMix64: small, and the same everywhere.
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    pub fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }
}

pub const DATABASE: DatabaseId = DatabaseId::from_bytes(*b"the test's own d");

pub fn root(name: &str) -> RootName {
    RootName::try_from(name).unwrap()
}

pub fn id(number: u64) -> ReplicaId {
    ReplicaId::from_u64(number)
}

pub fn replica(number: u64) -> MemoryReplica {
    MemoryReplica::new(DATABASE, id(number))
}

pub fn draft<'a>(key: &'a str, payload: &'a [u8]) -> EventDraft<'a> {
    EventDraft { content_type: "application/json", payload, ..EventDraft::new(key, "seen") }
}

/// Appends `count` events as one batch.
pub fn append(copy: &mut MemoryReplica, name: &str, now_ms: u64, count: usize) {
    let payload = format!("{{\"at\":{now_ms},\"by\":\"{}\"}}", copy.replica());
    let drafts: Vec<_> = (0..count).map(|_| draft("4711", payload.as_bytes())).collect();
    assert!(copy.append(&root(name), now_ms, &drafts), "an append to a forked log");
}

/// Does at once what a host must: takes a new id.
pub fn obey(copy: &mut MemoryReplica, outcomes: &[Outcome], next_id: &mut u64) {
    if outcomes.iter().any(|outcome| matches!(outcome, Outcome::Reincarnate { .. })) {
        *next_id += 1;
        copy.reincarnate(id(*next_id));
    }
}

/// What a session over requests and responses took.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Cost {
    pub round_trips: usize,
    pub bytes_up: usize,
    pub bytes_down: usize,
    pub outcomes: Vec<(bool, Outcome)>,
}

/// All frames that a session has to send now.
pub fn flight(session: &mut Session, now_ms: u64, copy: &mut MemoryReplica) -> Vec<Vec<u8>> {
    std::iter::from_fn(|| session.poll_frame(now_ms, copy)).collect()
}

/// A client's session with a server over requests and responses, until it has settled or nothing
/// more comes. Both remember each other.
pub fn exchange(
    client: &mut MemoryReplica,
    server: &mut MemoryReplica,
    config: &SessionConfig,
    next_id: &mut u64,
) -> Cost {
    let memory = client.recall(server.replica());
    let mut here = Session::initiator(config.clone(), memory);
    let mut there = Session::responder(config.clone());
    let mut cost = Cost::default();
    for _ in 0..200 {
        let up = flight(&mut here, 0, client);
        if up.is_empty() {
            break;
        }
        let counts = here.status() == Status::Running;
        cost.round_trips += usize::from(counts);
        for frame in up {
            cost.bytes_up += frame.len();
            let outcomes = there.handle_frame(&frame, 0, server);
            obey(server, &outcomes, next_id);
            cost.outcomes.extend(outcomes.into_iter().map(|outcome| (false, outcome)));
        }
        for frame in flight(&mut there, 0, server) {
            cost.bytes_down += frame.len();
            let outcomes = here.handle_frame(&frame, 0, client);
            obey(client, &outcomes, next_id);
            cost.outcomes.extend(outcomes.into_iter().map(|outcome| (true, outcome)));
        }
    }
    here.memory().into_iter().for_each(|memory| client.remember(&memory));
    there.memory().into_iter().for_each(|memory| server.remember(&memory));
    cost
}

/// Both hold the same batches under the same names, without gaps.
pub fn assert_same(left: &MemoryReplica, right: &MemoryReplica, what: &str) {
    assert!(left.is_sound() && right.is_sound(), "a chain is broken; {what}");
    assert_eq!(left.batches().len(), right.batches().len(), "other batches; {what}");
    assert!(left.batches() == right.batches(), "other batches; {what}");
    assert_eq!(left.heads(), right.heads(), "other heads; {what}");
}

/// The bytes of a fixture: hexadecimal text, `#` begins a comment.
pub fn fixture(text: &str) -> Vec<u8> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    let digits: String = lines.flat_map(str::split_whitespace).collect();
    let pairs = digits.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}
