//! Faults built into consumers on purpose: lives on a disk that fails catch each.
//!
//! Without the feature `mutants` there is nothing here to run.
#![cfg(feature = "mutants")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, and says how many lives it took"
)]

mod consumer_lives;
mod support;

use consumer_lives::live;
use laterbase_sync::mutant::{Mutant, with};

fn assert_caught(mutant: Mutant, why: &str) {
    for seed in 1..=1000 {
        let Err(told) = with(mutant, || live(seed)) else { continue };
        println!("{mutant:?} is caught in life {seed}: {told}");
        assert!(told.contains(why), "{told}");
        // The same life without the fault is a good one: it is the fault that was caught.
        live(seed).unwrap();
        return;
    }
    panic!("{mutant:?} was not caught in 1,000 lives");
}

#[test]
fn saying_that_is_kept_what_is_not_written_is_caught() {
    assert_caught(Mutant::SettleUnwritten, "was acknowledged, and is given again");
}

#[test]
fn looking_further_than_was_given_is_caught() {
    assert_caught(Mutant::LookBeforeGive, "is not given again");
}

#[test]
fn counting_an_attempt_before_the_event_is_read_is_caught() {
    assert_caught(Mutant::CountBeforeRead, "times");
}
