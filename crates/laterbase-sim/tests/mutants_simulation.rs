//! Faults built into the protocol and its host on purpose: the simulation catches each of them.
//!
//! Without the feature `mutants` there is nothing here to run. Each test runs seeds with one fault
//! on, several times from different seeds, until a check fails; it says which, and the median
//! number of runs that this took. The check that was made for the fault must be among those that
//! caught it, and the same seed without the fault must be a good one.
#![cfg(feature = "mutants")]
#![allow(clippy::print_stdout, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use laterbase_sim::mutant::{Mutant, with};
use laterbase_sim::{DatabaseNode, MemoryNode, Node, Order, run};

/// How often each fault is caught anew, to tell the median.
const HUNTS: u64 = 7;

/// Runs seeds with a fault on until one is caught, `HUNTS` times.
fn assert_caught_among<N: Node>(nodes: &str, mutant: Mutant, by: &[&str], runs_max: u64) {
    let mut all = Vec::new();
    let mut is_caught_by = false;
    for hunt in 0..HUNTS {
        let first = 1 + hunt * 1000;
        let caught = (0..runs_max).find_map(|runs| {
            let order = Order { seed: first + runs, replicas: 5, events: 500 };
            let violation = with(mutant, || run::<N>(order)).outcome.err()?;
            Some((runs + 1, order, violation.0))
        });
        let Some((runs, order, violation)) = caught else {
            panic!("{mutant:?} was not caught in {runs_max} runs from seed {first}");
        };
        println!("{mutant:?}, {nodes}, seed {}: {violation}", order.seed);
        let honest = run::<N>(order).outcome;
        assert!(honest.is_ok(), "seed {} fails without the fault, too: {honest:?}", order.seed);
        all.push(runs);
        is_caught_by |= by.iter().any(|by| violation.contains(by));
    }
    assert!(is_caught_by, "{mutant:?} was never caught by {by:?}");
    all.sort_unstable();
    let median = all[all.len() / 2];
    println!("{mutant:?}, {nodes}: caught in run {median} at the median of {all:?}");
}

fn assert_caught(mutant: Mutant, by: &[&str], runs_max: u64) {
    assert_caught_among::<MemoryNode>("memory", mutant, by, runs_max);
    assert_caught_among::<DatabaseNode>("database", mutant, by, runs_max);
}

#[test]
fn taking_over_a_clock_of_the_far_future_is_caught() {
    // Copies in memory have no such rule.
    let by = ["its clock never showed more", "its clock was ahead"];
    assert_caught_among::<DatabaseNode>("database", Mutant::ClockTooFar, &by, 60);
}

#[test]
fn accepting_a_gap_is_caught() {
    assert_caught(Mutant::AcceptGap, &["a gap", "that it had acknowledged"], 20);
}

#[test]
fn storing_what_is_held_is_caught() {
    let by = ["held twice", "a gap", "refuses an honest batch"];
    assert_caught(Mutant::NoDuplicateCheck, &by, 20);
}

#[test]
fn acknowledging_before_it_is_durable_is_caught() {
    assert_caught(Mutant::EarlyAck, &["that it had acknowledged"], 40);
}

#[test]
fn keeping_an_id_that_others_write_under_is_caught() {
    let by = ["as it knows another copy does", "write under one id"];
    assert_caught(Mutant::NoNewId, &by, 20);
}

#[test]
fn names_that_depend_on_the_order_of_arrival_are_caught() {
    let by = ["do not hold the same", "by other names", "does not end"];
    assert_caught(Mutant::AliasByArrival, &by, 20);
}

#[test]
fn believing_bare_heads_is_caught() {
    assert_caught(Mutant::BelieveHeads, &["under which nobody else ever wrote"], 40);
}

#[test]
fn forgetting_to_rebase_a_fold_is_caught() {
    // Copies in memory fold nothing.
    assert_caught_among::<DatabaseNode>("database", Mutant::ForgetToRebase, &["folds"], 20);
}

#[test]
fn showing_what_a_row_was_in_another_life_is_caught() {
    // Copies in memory have no tables.
    let by = ["merges rows"];
    assert_caught_among::<DatabaseNode>("database", Mutant::KeepOlderLife, &by, 60);
}

#[test]
fn taking_the_value_that_arrived_last_is_caught() {
    let by = ["folds row"];
    assert_caught_among::<DatabaseNode>("database", Mutant::LastByArrival, &by, 20);
}
