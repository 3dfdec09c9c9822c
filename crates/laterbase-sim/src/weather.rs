//! What goes wrong in a run, and how often: drawn from the seed, so that runs differ in kind and
//! not only in detail (swarm testing: Groce et al., 2012).

use laterbase_log::storage::Random;

/// What the world may do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    Append,
    Connect,
    Carry,
    Step,
    Backup,
    Cut,
    Partition,
    OneWay,
    Mend,
    Crash,
    Kill,
    Trouble,
    Restore,
    Clone,
    Clock,
    Sleep,
    Liar,
    Taste,
}

/// The rates of one run. Messages in a thousand, deeds by weight.
#[derive(Clone, Debug)]
pub(crate) struct Weather {
    pub(crate) loss: u64,
    pub(crate) duplication: u64,
    pub(crate) corruption: u64,
    pub(crate) latency_ms: u64,
    pub(crate) jitter_ms: u64,
    pub(crate) gossips: bool,
    pub(crate) deeds: Vec<(Deed, u64)>,
}

impl Weather {
    /// The weather of a seed.
    pub(crate) fn of(random: &mut Random) -> Self {
        let loss = rate(random, 300);
        let duplication = rate(random, 200);
        let corruption = if random.chance(1, 3) { 1 + random.below(20) } else { 0 };
        let usual = [
            (Deed::Append, 600),
            (Deed::Connect, 500),
            (Deed::Carry, 9000),
            (Deed::Step, 300),
            (Deed::Backup, 60),
            (Deed::Mend, 100),
        ];
        let faults = [
            (Deed::Cut, 160),
            (Deed::Partition, 60),
            (Deed::OneWay, 80),
            (Deed::Crash, 90),
            (Deed::Kill, 60),
            (Deed::Trouble, 120),
            (Deed::Restore, 40),
            (Deed::Clone, 16),
            (Deed::Clock, 60),
            (Deed::Sleep, 12),
            (Deed::Liar, 60),
            (Deed::Taste, 30),
        ];
        let mut deeds = usual.to_vec();
        deeds.extend(faults.map(|(deed, most)| (deed, rate(random, most))));
        Self {
            loss,
            duplication,
            corruption,
            latency_ms: 1 + random.below(30),
            jitter_ms: rate(random, 60),
            gossips: random.chance(2, 3),
            deeds,
        }
    }

    /// What happens next.
    pub(crate) fn draw(&self, random: &mut Random) -> Deed {
        let total: u64 = self.deeds.iter().map(|(_, weight)| weight).sum();
        let mut at = random.below(total);
        for (deed, weight) in &self.deeds {
            match at.checked_sub(*weight) {
                Some(rest) => at = rest,
                None => return *deed,
            }
        }
        Deed::Carry
    }
}

/// Never, in one run of four; otherwise up to `most`.
fn rate(random: &mut Random, most: u64) -> u64 {
    if random.chance(1, 4) { 0 } else { 1 + random.below(most) }
}
