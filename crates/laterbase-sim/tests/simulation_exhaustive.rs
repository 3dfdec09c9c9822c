//! Small worlds, searched to the end: see [`laterbase_sim::search`].
//!
//! Caught here: whatever goes wrong after a few appends, exchanges, cuts, crashes and restores, in
//! any order. Built-in faults that this catches are named in `mutants_exhaustive.rs`.
#![allow(clippy::print_stdout, clippy::panic, reason = "tests; a search says what it did")]

use laterbase_sim::{Bounds, DatabaseNode, MemoryNode, Node, Searched, search};

fn searched<N: Node>(what: &str, bounds: Bounds) -> Searched {
    match search::<N>(bounds) {
        Ok(searched) => {
            println!("{what}: {searched}");
            searched
        }
        Err(violation) => panic!("{what}: {}", violation.0),
    }
}

const NONE: Bounds =
    Bounds { copies: 3, appends: 0, cuts: 0, frames: 0, crashes: 0, backups: 0, depth: 40 };

#[test]
fn four_events_and_exchanges_in_any_order() {
    let bounds = Bounds { appends: 4, ..NONE };
    let searched = searched::<MemoryNode>("appends and exchanges", bounds);
    assert!(searched.is_complete && searched.states > 1000, "{searched}");
}

#[test]
fn three_events_and_a_restore_in_any_order() {
    let bounds = Bounds { appends: 3, backups: 1, ..NONE };
    let searched = searched::<MemoryNode>("appends, exchanges, a restore", bounds);
    assert!(searched.is_complete && searched.states > 1000, "{searched}");
    assert!(searched.forks > 0 && searched.reincarnations > 0, "{searched}");
}

/// Some minutes: for long campaigns.
#[test]
fn four_events_and_a_restore_in_any_order() {
    if std::env::var("LATERBASE_SCALE").map_or(true, |scale| scale == "1") {
        println!("left to campaigns: LATERBASE_SCALE is 1");
        return;
    }
    let bounds = Bounds { appends: 4, backups: 1, ..NONE };
    let searched = searched::<MemoryNode>("four appends, exchanges, a restore", bounds);
    assert!(searched.is_complete && searched.forks > 0, "{searched}");
}

#[test]
fn two_events_a_cut_exchange_a_crash_and_a_restore_in_any_order() {
    let bounds = Bounds { appends: 2, cuts: 1, frames: 4, crashes: 1, backups: 1, ..NONE };
    let searched = searched::<MemoryNode>("appends, a cut exchange, a crash, a restore", bounds);
    assert!(searched.is_complete && searched.forks > 0, "{searched}");
}

#[test]
fn exchanges_cut_after_any_frame_and_a_crash_in_any_order() {
    let bounds = Bounds { appends: 2, cuts: 2, frames: 5, crashes: 1, ..NONE };
    let searched = searched::<MemoryNode>("appends, cut exchanges, a crash", bounds);
    assert!(searched.is_complete && searched.states > 1000, "{searched}");
}

#[test]
fn databases_in_any_order_up_to_a_depth() {
    let bounds =
        Bounds { appends: 2, cuts: 1, frames: 3, crashes: 1, backups: 1, depth: 4, ..NONE };
    let searched = searched::<DatabaseNode>("databases", bounds);
    assert!(searched.states > 200, "{searched}");
}
