//! Faults built into the log on purpose: the campaign catches each of them.
//!
//! Without the feature `mutants` there is nothing here to run. Each test runs lives of the campaign
//! with one fault on until the checker reports a violation, and says how many it took.
//!
//! Left out: the epoch in the checksums. Files are cut before they are used again, so that random
//! lives hardly meet a stale frame that would fit; the log's own tests put one there.
#![cfg(feature = "mutants")]
#![allow(dead_code, unreachable_pub, reason = "modules of a test, shared by two of them")]
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

use campaign::{Tally, Violation, damage, first_seed, storm};
use laterbase_log::mutant::{Mutant, with};

/// Runs lives with a fault on until one shows a violation.
fn assert_caught(
    mutant: Mutant,
    runs_max: u64,
    life: impl Fn(u64) -> (Result<(), Violation>, Tally),
) {
    for run in 1..=runs_max {
        let seed = first_seed() + run - 1;
        let (outcome, _) = with(mutant, || life(seed));
        let Err(Violation(text)) = outcome else { continue };
        println!("{mutant:?} is caught in run {run}, seed {seed}: {text}");
        // The same life without the fault is a good one: it is the fault that was caught.
        let (honest, _) = life(seed);
        assert!(honest.is_ok(), "seed {seed} fails without the fault, too: {honest:?}");
        return;
    }
    panic!("{mutant:?} was not caught in {runs_max} runs");
}

fn honest_life(seed: u64) -> (Result<(), Violation>, Tally) {
    storm::live(seed, 30)
}

#[test]
fn removing_the_sync_is_caught() {
    assert_caught(Mutant::SkipSync, 20, honest_life);
}

#[test]
fn acknowledging_before_the_sync_is_caught() {
    assert_caught(Mutant::EarlyAck, 20, honest_life);
}

#[test]
fn trying_a_failed_sync_again_is_caught() {
    assert_caught(Mutant::RetrySync, 60, honest_life);
}

#[test]
fn skipping_the_sync_of_the_directory_is_caught() {
    assert_caught(Mutant::SkipDirSync, 20, honest_life);
}

#[test]
fn acknowledging_what_recovery_has_not_synced_again_is_caught() {
    assert_caught(Mutant::NoResync, 40, honest_life);
}

#[test]
fn taking_damage_before_a_later_group_for_a_torn_tail_is_caught() {
    assert_caught(Mutant::LaterGroupIsTorn, 300, damage::flip_bits);
}
