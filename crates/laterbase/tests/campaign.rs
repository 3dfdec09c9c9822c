//! Random operations on the whole database, on a disk that fails: see [`campaign`].
//!
//! ```text
//! LATERBASE_SEED=7 cargo test -p laterbase --test campaign -- acknowledged --nocapture
//! ```
//! `LATERBASE_SEED` is the first seed, `LATERBASE_CRASH_POINTS` how many to look at,
//! `LATERBASE_SCALE` how many times the usual number. Which built-in faults this catches, and after
//! how many runs, is shown by `mutants_faulty_disk.rs`.
#![allow(unreachable_pub, reason = "modules of a test, shared by two of them")]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "test code outside of test functions; a campaign says what it did"
)]

#[path = "campaign/mod.rs"]
mod campaign;

use campaign::{Tally, crash_points, damage, exhaustive, first_seed, report, storm};

/// Power cuts in one life of a world.
const CUTS_PER_WORLD: u64 = 30;

#[test]
fn acknowledged_events_survive_every_honest_fault() {
    let wanted = crash_points(2000);
    let mut tally = Tally::default();
    let mut seed = first_seed();
    let started = std::time::Instant::now();
    while tally.of("crash points") < wanted {
        let (outcome, lived) = storm::live(seed, CUTS_PER_WORLD);
        report("acknowledged_events_survive_every_honest_fault", seed, outcome);
        tally.merge(&lived);
        seed += 1;
    }
    println!("random, {:.0?}, seeds {}..{seed}:\n{tally}", started.elapsed(), first_seed());
    if wanted >= 2000 {
        tally.assert_happened(&[
            "acknowledged: Flushed",
            "acknowledged: Buffered",
            "acknowledged: Relaxed",
            "clean closes",
            "clock jumps",
            "clocks that ran ahead",
            "commits that were lost, none of them promised",
            "conflicting repetitions refused",
            "errors seen: Full",
            "errors seen: Read",
            "errors seen: Sync",
            "errors seen: SyncDir",
            "errors seen: Write",
            "fault: failed sync",
            "fault: failed write",
            "fault: power cut at sync",
            "fault: power cut at write",
            "index runs merged",
            "index runs written",
            "indexes built anew",
            "indexes removed",
            "killed processes",
            "logs that stopped",
            "lost events appended again",
            "openings on a full disk",
            "openings that were cut",
            "power cuts: Kept",
            "power cuts: Lost",
            "power cuts: Ordered",
            "power cuts: Scattered",
            "repetitions found",
            "segments made of spare files",
            "segments rolled",
            "segments sealed",
            "torn tails",
            "verifications",
            "wrong versions refused",
        ]);
    }
}

#[test]
fn power_may_be_cut_at_every_change_of_a_scenario() {
    let wanted = crash_points(8500);
    let mut tally = Tally::default();
    let mut seed = first_seed();
    while tally.of("crash points") < wanted {
        let mut cut = Tally::default();
        let outcome = exhaustive::cut_everywhere(seed, &mut cut).map(drop);
        tally.merge(&cut);
        report("power_may_be_cut_at_every_change_of_a_scenario", seed, outcome);
        seed += 1;
    }
    println!("at every change, seeds {}..{seed}:\n{tally}", first_seed());
    tally.assert_happened(&["power cuts", "torn tails", "events staged"]);
}

#[test]
fn lying_syncs_lose_nothing_before_the_first_lie_and_show_nothing_wrong() {
    let wanted = crash_points(400);
    let mut tally = Tally::default();
    for seed in first_seed()..first_seed() + wanted {
        let (outcome, lived) = damage::believe_lies(seed);
        let test = "lying_syncs_lose_nothing_before_the_first_lie_and_show_nothing_wrong";
        report(test, seed, outcome);
        tally.merge(&lived);
    }
    println!("lying syncs:\n{tally}");
    if wanted >= 400 {
        tally.assert_happened(&["fault: lying sync", "lies that lost something"]);
    }
}

#[test]
fn flipped_bits_are_reported_exactly() {
    let wanted = crash_points(400);
    let mut tally = Tally::default();
    for seed in first_seed()..first_seed() + wanted {
        let (outcome, lived) = damage::flip_bits(seed);
        report("flipped_bits_are_reported_exactly", seed, outcome);
        tally.merge(&lived);
    }
    println!("flipped bits:\n{tally}");
    if wanted >= 400 {
        tally.assert_happened(&[
            "flipped: hot segment",
            "flipped: sealed segment",
            "flipped: index",
            "damage named when opening",
            "damage named by verify",
            "flips that changed nothing",
        ]);
    }
}

#[test]
fn equal_seeds_give_equal_traces() {
    for seed in first_seed()..first_seed() + 3 {
        let trace = |seed| {
            let mut world = campaign::World::new(seed);
            let outcome = campaign::guarded(|| world.live(4));
            report("equal_seeds_give_equal_traces", seed, outcome);
            (world.disk.trace(), world.model.commits)
        };
        let (first, second) = (trace(seed), trace(seed));
        assert!(!first.0.is_empty());
        assert_eq!(first, second, "seed {seed}");
    }
}
