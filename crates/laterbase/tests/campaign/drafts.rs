//! Random events: few roots, streams, tags and types, so that they meet.

use laterbase::storage::Random;
use laterbase::{Cause, EventId, NewEvent, Timestamp};

pub const ROOTS: [&str; 3] = ["shipment", "truck", "a.b"];
pub const TYPES: [&str; 4] = ["booked", "departed", "scanned", "lost"];
pub const TAG_ROOTS: [&str; 3] = ["truck", "pallet", "shipment"];
pub const KEYS: u64 = 5;
/// Explicit valid times lie within so many seconds.
pub const VALID_SECONDS: u64 = 60;

pub fn pick<'a>(random: &mut Random, from: &[&'a str]) -> &'a str {
    from[random.index(from.len())]
}

/// How large the payloads are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payloads {
    /// Mostly some hundred bytes, now and then more than a block.
    Mixed,
    /// So large that a segment takes few.
    Large,
}

/// A random event. `before` are ids that it may name as its cause, `index` is its place in its
/// commit.
pub fn draft(
    random: &mut Random,
    payloads: Payloads,
    before: &[EventId],
    earlier: &[NewEvent],
) -> NewEvent {
    let root = pick(random, &ROOTS);
    let type_name = pick(random, &TYPES);
    let mut event = if random.chance(1, 15) {
        NewEvent::keyless(root, type_name)
    } else {
        NewEvent::new(root, random.below(KEYS).to_string(), type_name)
    };
    for _ in 0..random.below(3) {
        let text = format!("{}:{}", pick(random, &TAG_ROOTS), random.below(KEYS));
        event = event.tag(text.parse().expect("a tag"));
    }
    if random.chance(1, 3) {
        let seconds = random.below(VALID_SECONDS) as i64;
        event = event.valid_at(Timestamp::from_micros(seconds * 1_000_000));
    }
    let in_commit = earlier.iter().rposition(|other| other.root == root);
    event = match (random.below(4), in_commit) {
        (0, _) if !before.is_empty() => event.cause(Cause::Id(before[random.index(before.len())])),
        (1, Some(index)) => event.cause(Cause::Earlier(index)),
        _ => event,
    };
    if random.chance(1, 5) {
        event = event.meta("actor", format!("actor {}", random.below(9)));
    }
    let bytes = match payloads {
        Payloads::Mixed if random.chance(1, 25) => 3000 + random.index(9000),
        Payloads::Mixed => random.index(300),
        Payloads::Large => 6000 + random.index(24_000),
    };
    // Half of it compresses, so that sealed blocks differ in length.
    let noise = (0..bytes / 2).map(|_| random.next_u64() as u8);
    let payload: Vec<u8> = noise.chain(std::iter::repeat_n(b'.', bytes - bytes / 2)).collect();
    event.bytes("application/octet-stream", payload)
}
