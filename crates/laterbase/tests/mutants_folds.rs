//! Faults built into folds on purpose: the comparison with the fold from scratch catches each.
//!
//! Without the feature `mutants` there is nothing here to run.
#![cfg(feature = "mutants")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, and says how many worlds it took"
)]

mod fold_worlds;
mod support;

use fold_worlds::{SMALL, live};
use laterbase_sync::mutant::{Mutant, with};

fn assert_caught(mutant: Mutant) {
    let mut runs = Vec::new();
    for hunt in 0..7 {
        let first = hunt * 1000;
        let caught = (1..=1000).find(|run| with(mutant, || live(first + run, SMALL)).is_err());
        let run = caught.unwrap_or_else(|| panic!("{mutant:?} was not caught in 1,000 worlds"));
        // The same world without the fault is a good one: it is the fault that was caught.
        live(first + run, SMALL).unwrap();
        runs.push(run);
    }
    runs.sort_unstable();
    println!("{mutant:?} is caught in world {} at the median of {runs:?}", runs[3]);
}

#[test]
fn forgetting_to_rebase_is_caught() {
    assert_caught(Mutant::ForgetToRebase);
}

#[test]
fn taking_kept_rows_for_newer_than_they_are_is_caught() {
    assert_caught(Mutant::SkipBehindKept);
}

#[test]
fn mixing_times_is_caught() {
    assert_caught(Mutant::MixTimes);
}
