//! Folds and views equal the fold from scratch: whatever arrived in whatever order, at every past
//! transaction time, version vector and valid time.
//!
//! Caught here (`mutants_folds.rs` sees to it): a late event that does not re-base the state, and a
//! past that is made from a state which holds what arrived later, rows that were kept and taken for
//! newer than they are.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod fold_worlds;
mod support;

use fold_worlds::{SMALL, Shape, live};

/// More rows than are kept.
const WIDE: Shape = Shape { acts: 30, keys: 12, burst: 6, places_max: 64 };

/// Streams of hundreds of events, which go beyond what is kept in place.
const LONG: Shape = Shape { acts: 60, keys: 2, burst: 40, places_max: 20 };

/// Worlds in all; `LATERBASE_SCALE=N` for N times as many.
fn run(first: u64, worlds: u64, shape: Shape) {
    let scale = std::env::var("LATERBASE_SCALE").ok().and_then(|text| text.parse().ok());
    let worlds = worlds * scale.unwrap_or(1);
    // Two threads: a world is single-threaded.
    std::thread::scope(|scope| {
        for half in 0..2 {
            scope.spawn(move || {
                for seed in (first..first + worlds).filter(|seed| seed % 2 == half) {
                    live(seed, shape).unwrap();
                }
            });
        }
    });
}

#[test]
fn small_worlds_equal_the_fold_from_scratch() {
    run(1, 10_000, SMALL);
}

#[test]
fn many_rows_equal_the_fold_from_scratch() {
    run(1_000_000, 100, WIDE);
}

#[test]
fn long_streams_equal_the_fold_from_scratch() {
    run(2_000_000, 30, LONG);
}
