//! A believable logistics workload, the same for the same seed.
//!
//! A hundred and twenty shipments move at once between sites: each is booked, changes hands,
//! departs, is scanned and measured on the way, arrives, departs again, and is delivered; then
//! another takes its place. Hand scanners, gates and sensors record that. Some recordings come
//! late: the device was out of coverage, so their valid time lies minutes to days before that of
//! their neighbours.
//!
//! The lines are events as `laterbase import --preserve` takes them, with about 188 bytes of
//! JSON in `data`. Left out: ids and causes, which only the store that records an event can give.

mod line;
mod random;
mod world;

use line::Line;
use random::Random;
use world::World;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plan {
    /// How many events.
    pub events: u64,
    /// The same seed gives the same events.
    pub seed: u64,
    /// How many in a hundred are recorded late.
    pub back_dated_percent: f64,
}

/// Prints the events of a [`Plan`], one after the other.
///
/// ```
/// let plan = laterbase_cli::sample::Plan { events: 2, seed: 7, back_dated_percent: 5.0 };
/// let mut sample = laterbase_cli::sample::Sample::new(plan);
/// let mut lines = Vec::new();
/// while sample.next_into(&mut lines) {}
/// assert_eq!(lines.iter().filter(|byte| **byte == b'\n').count(), 2);
/// ```
#[derive(Debug)]
pub struct Sample {
    plan: Plan,
    done: u64,
    /// Of 2^32 draws, how many are late.
    late_below: u64,
    random: Random,
    world: World,
    line: Line,
}

impl Sample {
    /// Sets the world up.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the percentage is clamped to 0..=100 first"
    )]
    pub fn new(plan: Plan) -> Self {
        let mut random = Random::new(plan.seed);
        let world = World::new(&mut random);
        let share = plan.back_dated_percent.clamp(0.0, 100.0) / 100.0;
        let late_below = (share * 4_294_967_296.0) as u64;
        Self { plan, done: 0, late_below, random, world, line: Line::default() }
    }

    /// Appends the next event to `out`, with its line end; `false` when there are no more.
    pub fn next_into(&mut self, out: &mut Vec<u8>) -> bool {
        if self.done >= self.plan.events {
            return false;
        }
        self.done = self.done.saturating_add(1);
        let late = self.random.next() >> 32 < self.late_below;
        let step = self.world.step(late, &mut self.random);
        self.line.write(&step, self.plan.seed, self.done, out);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(plan: Plan) -> Vec<serde_json::Value> {
        let mut sample = Sample::new(plan);
        let mut bytes = Vec::new();
        while sample.next_into(&mut bytes) {}
        let text = String::from_utf8(bytes).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn every_line_is_an_event_and_payloads_are_of_the_promised_size() {
        let plan = Plan { events: 20_000, seed: 1, back_dated_percent: 5.0 };
        let lines = lines(plan);
        assert_eq!(lines.len(), 20_000);
        let bytes: usize = lines.iter().map(|line| line["data"].to_string().len()).sum();
        let average = bytes / lines.len();
        assert!((178..=198).contains(&average), "{average} bytes");
    }

    #[test]
    fn the_same_seed_gives_the_same_events_and_another_seed_others() {
        let plan = Plan { events: 500, seed: 1, back_dated_percent: 5.0 };
        assert_eq!(lines(plan), lines(plan));
        assert_ne!(lines(plan), lines(Plan { seed: 2, ..plan }));
    }

    #[test]
    fn a_longer_sample_begins_with_the_shorter_one() {
        let plan = Plan { events: 100, seed: 3, back_dated_percent: 5.0 };
        let longer = lines(Plan { events: 300, ..plan });
        assert_eq!(lines(plan), longer[..100]);
    }

    #[test]
    fn as_many_are_late_as_was_asked() {
        for (percent, expected) in [(0.0, 0..=0), (5.0, 900..=1_100), (100.0, 20_000..=20_000)] {
            let plan = Plan { events: 20_000, seed: 9, back_dated_percent: percent };
            let late = lines(plan).iter().filter(|line| line["meta"]["late"].is_string()).count();
            assert!(expected.contains(&late), "{late} of 20000 at {percent} %");
        }
    }

    #[test]
    fn every_kind_of_event_comes_up_and_shipments_live_in_order() {
        let plan = Plan { events: 50_000, seed: 4, back_dated_percent: 0.0 };
        let mut stages = std::collections::HashMap::<String, Vec<String>>::new();
        let mut kinds = std::collections::BTreeSet::new();
        for line in lines(plan) {
            let kind = line["type"].as_str().unwrap().to_owned();
            kinds.insert(kind.clone());
            if line["root"] == "shipment" {
                stages.entry(line["key"].as_str().unwrap().to_owned()).or_default().push(kind);
            }
        }
        let expected = [
            "arrived",
            "booked",
            "custody_changed",
            "delivered",
            "departed",
            "measured",
            "scanned",
        ];
        assert!(kinds.iter().eq(expected), "{kinds:?}");
        for (key, kinds) in stages {
            assert_eq!(kinds[0], "booked", "{key}");
            let delivered = kinds.iter().position(|kind| kind == "delivered");
            assert!(delivered.is_none_or(|at| at + 1 == kinds.len()), "{key}: {kinds:?}");
        }
    }
}
