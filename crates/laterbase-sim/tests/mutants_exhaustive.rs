//! Faults built in on purpose: the exhaustive search of small worlds finds each of these, by the
//! shortest path there is, which is printed.
//!
//! Without the feature `mutants` there is nothing here to run.
#![cfg(feature = "mutants")]
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "tests; a search says what it found")]

use laterbase_sim::mutant::{Mutant, with};
use laterbase_sim::{Bounds, MemoryNode, search};

const BOUNDS: Bounds =
    Bounds { copies: 3, appends: 2, cuts: 0, frames: 0, crashes: 0, backups: 0, depth: 40 };

fn assert_found(mutant: Mutant, bounds: Bounds, by: &str) {
    let violation = with(mutant, || search::<MemoryNode>(bounds)).unwrap_err();
    println!("{mutant:?}: {}", violation.0);
    assert!(violation.0.contains(by), "{}", violation.0);
}

#[test]
fn acknowledging_before_it_is_durable_is_found() {
    let bounds = Bounds { appends: 1, crashes: 1, ..BOUNDS };
    assert_found(Mutant::EarlyAck, bounds, "lost what it had acknowledged");
}

#[test]
fn keeping_an_id_that_others_write_under_is_found() {
    assert_found(Mutant::NoNewId, Bounds { backups: 1, ..BOUNDS }, "copy 0");
}

#[test]
fn names_that_depend_on_the_order_of_arrival_are_found() {
    let bounds = Bounds { appends: 3, backups: 1, ..BOUNDS };
    assert_found(Mutant::AliasByArrival, bounds, "do not come to hold the same");
}

#[test]
fn storing_what_is_held_is_found() {
    assert_found(Mutant::NoDuplicateCheck, Bounds { cuts: 1, ..BOUNDS }, "a gap");
}
