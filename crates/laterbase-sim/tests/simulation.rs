//! Runs by seed: whatever happens, all copies end with the same, and nothing promised is missing.
//!
//! ```text
//! LATERBASE_SEED=7 cargo test -p laterbase-sim --test simulation -- --nocapture
//! ```
//! `LATERBASE_SEED` is the first seed, `LATERBASE_SCALE` how many times the usual number of runs.
//! A failure prints the command that replays it and the end of its trace. Which built-in faults the
//! checks catch, and after how many runs, is shown by `mutants_simulation.rs`.
#![allow(
    clippy::print_stdout,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests; a campaign says what it did"
)]

use laterbase_sim::{
    Coverage, DatabaseNode, GossipOrder, Happening, MemoryNode, Node, Order, Passage, gossip, run,
};

/// Lines of the trace that a failure shows.
const TAIL: usize = 40;

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Runs so many seeds, each of which must count; what was covered.
fn campaign<N: Node>(nodes: &str, usual: u64) -> Coverage {
    let first = setting("LATERBASE_SEED").unwrap_or(1);
    let runs = usual * setting("LATERBASE_SCALE").unwrap_or(1).max(1);
    let mut coverage = Coverage::default();
    for seed in first..first + runs {
        let report = run::<N>(Order { seed, replicas: 5 + (seed % 3) as usize, events: 500 });
        if let Err(violation) = &report.outcome {
            let tail = report.tail(TAIL).join("\n");
            panic!("{tail}\nseed {seed}: {}\nreplay: {}", violation.0, report.replay(nodes));
        }
        assert!(report.counts(), "seed {seed} does not count: {}", report.coverage.line());
        coverage.merge(&report.coverage);
    }
    println!("seeds {first}..{}, {nodes}:\n{coverage}", first + runs);
    coverage
}

/// Everything that a fair number of runs must have met.
fn assert_met(coverage: &Coverage, all: &[Happening]) {
    let missing: Vec<_> = all.iter().filter(|what| coverage.of(**what) == 0).collect();
    assert!(missing.is_empty(), "never happened: {missing:?}");
}

const NETWORK_AND_POWER: [Happening; 17] = [
    Happening::Lost,
    Happening::Duplicated,
    Happening::Reordered,
    Happening::Corrupted,
    Happening::Partition,
    Happening::OneWay,
    Happening::Cut,
    Happening::Crash,
    Happening::CrashInSync,
    Happening::Kill,
    Happening::RestoreInPlace,
    Happening::RestoreElsewhere,
    Happening::CloneUnnoticed,
    Happening::CloneElsewhere,
    Happening::Clock1970,
    Happening::Clock2090,
    Happening::YearAsleep,
];

#[test]
fn databases_converge_whatever_happens() {
    let coverage = campaign::<DatabaseNode>("database", 40);
    assert_met(&coverage, &NETWORK_AND_POWER);
    assert_met(
        &coverage,
        &[Happening::TornTail, Happening::DiskFull, Happening::DiskFailed, Happening::Liar],
    );
    for passage in [
        Passage::Fork,
        Passage::Reincarnation,
        Passage::ClockAhead,
        Passage::Suspect,
        Passage::Quarantined,
        Passage::Gossiped,
        Passage::Relaxed,
    ] {
        assert!(coverage.times(passage) > 0, "never happened: {passage:?}");
    }
}

#[test]
fn copies_in_memory_converge_whatever_happens() {
    let coverage = campaign::<MemoryNode>("memory", 60);
    assert_met(&coverage, &NETWORK_AND_POWER);
}

#[test]
fn gossip_sends_at_most_three_times_the_least_payload() {
    let seeds = 15 * setting("LATERBASE_SCALE").unwrap_or(1).max(1);
    let seed = setting("LATERBASE_SEED").unwrap_or(1);
    for loss_percent in [0, 30] {
        let order = GossipOrder { copies: 50, seed, seeds, loss_percent, announces: true };
        let report = gossip(order).unwrap();
        println!("{report}");
        assert!(report.payload_percent(95) <= 300, "{report}");
        assert!(report.rounds(95) <= 6, "{report}");
    }
}

#[test]
fn equal_seeds_give_equal_traces() {
    let first = setting("LATERBASE_SEED").unwrap_or(1);
    for seed in first..first + 3 {
        let order = Order { seed, replicas: 5, events: 500 };
        let (one, other) = (run::<DatabaseNode>(order), run::<DatabaseNode>(order));
        assert!(one.trace.len() > 1000, "a trace of {} lines", one.trace.len());
        assert_eq!(one.trace.join("\n"), other.trace.join("\n"), "seed {seed}");
        assert_eq!(one.coverage, other.coverage, "seed {seed}");
    }
}
