//! The events that every store is given: about 240 bytes each, from a seed.
//!
//! Each event belongs to one of many streams, carries one tag that no other event has and one of
//! ten thousand places, has one of eight types, and a payload of JSON. Five in a hundred are
//! back-dated by up to thirty days; the others' valid time is when they are recorded.

use std::fmt::Write;

use crate::random::Random;

/// The root that all events are recorded under.
pub(crate) const ROOT: &str = "shipment";
/// The root of the tag that is different for each event.
pub(crate) const ITEM: &str = "item";
/// The root of the tag that many events share.
pub(crate) const PLACE: &str = "place";

/// Back-dated valid times lie in the thirty days before this moment (2020-01-31).
const BACK_DATED_BEFORE_US: i64 = 1_580_428_800_000_000;
const BACK_DATED_SPAN_US: u64 = 30 * 86_400 * 1_000_000;
const BACK_DATED_PERCENT: u64 = 5;
const PLACES: u64 = 10_000;
/// How many events a stream has on average.
const EVENTS_PER_STREAM: u64 = 20;

const TYPES: [&str; 8] = [
    "booked",
    "picked-up",
    "departed",
    "scanned",
    "temperature-read",
    "arrived",
    "custody-changed",
    "delivered",
];

/// One event as a program hands it over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) key: String,
    pub(crate) type_name: &'static str,
    /// `(root, key)`: the item's own and the place's.
    pub(crate) tags: [(&'static str, String); 2],
    /// Microseconds since 1970, when it is not the moment of recording.
    pub(crate) valid_at_us: Option<i64>,
    pub(crate) payload: Vec<u8>,
}

/// An endless sequence of events.
#[derive(Debug, Clone)]
pub(crate) struct Workload {
    random: Random,
    next: u64,
    streams: u64,
}

impl Workload {
    /// For a database that will hold about `total` events; the same seed gives the same events.
    pub(crate) fn new(seed: u64, total: u64) -> Self {
        let streams = (total / EVENTS_PER_STREAM).max(1);
        Self { random: Random::new(seed), next: 0, streams }
    }

    /// The next `count` events.
    pub(crate) fn take(&mut self, count: usize) -> Vec<Event> {
        (0..count).map(|_| self.event()).collect()
    }

    fn event(&mut self) -> Event {
        let number = self.next;
        self.next += 1;
        let random = &mut self.random;
        let type_name = TYPES.get(random.below(8) as usize).copied().unwrap_or("booked");
        let item = random.next_u64();
        let place = random.below(PLACES);
        let back_dated = random.below(100) < BACK_DATED_PERCENT;
        let valid_at_us = back_dated.then(|| {
            BACK_DATED_BEFORE_US.saturating_sub_unsigned(random.below(BACK_DATED_SPAN_US))
        });
        let mut payload = String::with_capacity(176);
        let _ = write!(
            payload,
            concat!(
                r#"{{"device":"d-{:05}","reading":{{"temperature":{}.{},"humidity":{}}},"#,
                r#""position":[{}.{:06},{}.{:06}],"battery":{},"sequence":{},"#,
                r#""operator":"o-{:04}","remark":"routine check, seal intact"}}"#,
            ),
            random.below(20_000),
            random.below(40),
            random.below(10),
            random.below(100),
            random.below(90),
            random.below(1_000_000),
            random.below(180),
            random.below(1_000_000),
            random.below(101),
            number,
            random.below(3_000),
        );
        Event {
            key: format!("s-{:08}", random.below(self.streams)),
            type_name,
            tags: [(ITEM, format!("{item:016x}")), (PLACE, format!("p-{place:05}"))],
            valid_at_us,
            payload: payload.into_bytes(),
        }
    }
}

/// A moment in the back-dated past such that about one in `parts` of the back-dated events lies in
/// the returned range.
pub(crate) fn back_dated_range(random: &mut Random, parts: u64) -> (i64, i64) {
    let length = BACK_DATED_SPAN_US / parts.max(1);
    let start = random.below(BACK_DATED_SPAN_US - length);
    let from = BACK_DATED_BEFORE_US.saturating_sub_unsigned(BACK_DATED_SPAN_US - start);
    (from, from.saturating_add_unsigned(length))
}

/// A sum that depends on every byte of a payload, cheap enough to cost every store the same little.
pub(crate) fn touch(sum: &mut u64, payload: &[u8]) {
    let mut words = payload.chunks_exact(8);
    for word in &mut words {
        let bytes = <[u8; 8]>::try_from(word).unwrap_or_default();
        *sum = sum.wrapping_add(u64::from_le_bytes(bytes));
    }
    for byte in words.remainder() {
        *sum = sum.wrapping_add(u64::from(*byte));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_events() {
        assert_eq!(Workload::new(7, 100).take(50), Workload::new(7, 100).take(50));
        assert_ne!(Workload::new(7, 100).take(50), Workload::new(8, 100).take(50));
    }

    #[test]
    fn events_have_about_240_bytes_and_one_in_twenty_is_back_dated() {
        let events = Workload::new(1, 20_000).take(20_000);
        let bytes: usize = events
            .iter()
            .map(|event| {
                let tags: usize =
                    event.tags.iter().map(|(root, key)| root.len() + 1 + key.len()).sum();
                event.payload.len() + event.key.len() + event.type_name.len() + tags
            })
            .sum();
        let mean = bytes / events.len();
        assert!((230..=250).contains(&mean), "{mean}");
        let back_dated = events.iter().filter(|event| event.valid_at_us.is_some()).count();
        assert!((900..=1_100).contains(&back_dated), "{back_dated}");
    }

    #[test]
    fn a_range_of_the_past_holds_its_share_of_the_back_dated_events() {
        let events = Workload::new(1, 100_000).take(100_000);
        let (from, to) = back_dated_range(&mut Random::new(3), 10);
        let inside = events
            .iter()
            .filter(|event| event.valid_at_us.is_some_and(|at| (from..to).contains(&at)))
            .count();
        assert!((350..=650).contains(&inside), "{inside}");
    }

    #[test]
    fn every_byte_of_a_payload_changes_the_sum() {
        let mut payload = *b"0123456789abcdef012";
        let mut before = 0;
        touch(&mut before, &payload);
        for index in 0..payload.len() {
            payload[index] ^= 1;
            let mut after = 0;
            touch(&mut after, &payload);
            assert_ne!(before, after);
            payload[index] ^= 1;
        }
    }
}
