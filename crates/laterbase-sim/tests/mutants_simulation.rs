//! Faults built into the protocol and its host on purpose: the simulation catches each of them.
//!
//! Without the feature `mutants` there is nothing here to run. Each test runs seeds with one fault
//! on, several times from different seeds, until a check fails; it says which, and the median
//! number of runs that this took. The same seed without the fault is a good one.
#![cfg(feature = "mutants")]
#![allow(clippy::print_stdout, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use laterbase_sim::mutant::{Mutant, with};
use laterbase_sim::{MemoryNode, Order, run};

/// How often each fault is caught anew, to tell the median.
const HUNTS: u64 = 7;

/// Runs seeds with a fault on until one is caught, `HUNTS` times.
fn assert_caught(mutant: Mutant, by: &str, runs_max: u64) {
    let mut all = Vec::new();
    let mut said = String::new();
    for hunt in 0..HUNTS {
        let first = 1 + hunt * 1000;
        let caught = (0..runs_max).find_map(|runs| {
            let order = Order { seed: first + runs, replicas: 5, events: 500 };
            let violation = with(mutant, || run::<MemoryNode>(order)).outcome.err()?;
            Some((runs + 1, order, violation.0))
        });
        let Some((runs, order, violation)) = caught else {
            panic!("{mutant:?} was not caught in {runs_max} runs from seed {first}");
        };
        println!("{mutant:?}, seed {}: {violation}", order.seed);
        let honest = run::<MemoryNode>(order).outcome;
        assert!(honest.is_ok(), "seed {} fails without the fault, too: {honest:?}", order.seed);
        all.push(runs);
        if violation.contains(by) {
            said = violation;
        }
    }
    assert!(!said.is_empty(), "{mutant:?} was never caught by `{by}`");
    all.sort_unstable();
    println!("{mutant:?}: caught after {} runs at the median of {all:?}", all[all.len() / 2]);
}

#[test]
fn accepting_a_gap_is_caught() {
    assert_caught(Mutant::AcceptGap, "", 50);
}

#[test]
fn storing_what_is_held_is_caught() {
    assert_caught(Mutant::NoDuplicateCheck, "", 50);
}

#[test]
fn acknowledging_before_it_is_durable_is_caught() {
    assert_caught(Mutant::EarlyAck, "", 50);
}

#[test]
fn keeping_an_id_that_others_write_under_is_caught() {
    assert_caught(Mutant::NoNewId, "", 50);
}

#[test]
fn names_that_depend_on_the_order_of_arrival_are_caught() {
    assert_caught(Mutant::AliasByArrival, "", 50);
}

#[test]
fn believing_bare_heads_is_caught() {
    assert_caught(Mutant::BelieveHeads, "", 50);
}
