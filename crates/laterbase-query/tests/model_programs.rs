//! Random programs over random rows: the engine answers what the oracle answers, row for row.
//!
//! `LATERBASE_SEED` is the first seed, `LATERBASE_SCALE` how many times the usual number.
//!
//! Each of these breaks was made and caught here, most within the first thousand programs:
//!
//! - absent values that join, by index or by check; a variable that is bound twice bound anew
//! - a delta taken for what was before it, or one row short; merged rows of a lattice that stay
//! - a negation that is ignored; a body left behind a step that still binds something
//! - a limit before the order, or over all groups of a tree; a descending order that ascends
//! - bindings and list elements that count twice; a tree of aggregates without its empty groups
//! - a closure that goes by way of absent values, or whose columns change places
//! - demand that forgets what stands before an atom, or a rule of what is handed through
//! - rows of one time taken for another's; a range that leaves out its end
//! - first rows that end within a key, or that are taken for all
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    unreachable_pub,
    missing_docs,
    reason = "a test fails by panicking"
)]

mod programs;

use laterbase_lang::Value;
use laterbase_query::{Limits, Never, explain, oracle, run, why};

const USUAL: u64 = 20_000;

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

fn check(seed: u64) -> usize {
    let program = programs::program(seed);
    // Some without matrices, so that closures are made by rounds of rows too.
    let matrix_bytes_max = if seed.is_multiple_of(3) { 0 } else { Limits::NONE.matrix_bytes_max };
    let limits = Limits { matrix_bytes_max, ..Limits::NONE };
    let found = run(&program.plan, &program.data, &limits, &Never);
    let found = found.map(|rows| rows.iter().map(|row| row.values()).collect::<Vec<_>>());
    let expected = oracle::answer(&program.plan, &program.data);
    match (found, expected) {
        (Ok(found), Ok(expected)) => {
            if seed.is_multiple_of(4) {
                check_reasons(seed, &program, &limits, &found);
            }
            assert!(
                found == expected,
                "LATERBASE_SEED={seed} LATERBASE_ONE=1 cargo test -p laterbase-query --test \
                 model_programs\n{}\n{:?}\nengine {}\noracle {}",
                programs::show(&program.plan),
                program.data,
                text(&found),
                text(&expected),
            );
            expected.len()
        }
        (Err(_), Err(_)) => 0,
        (found, expected) => {
            panic!("seed {seed}: {} {found:?} {expected:?}", programs::show(&program.plan))
        }
    }
}

/// With reasons the rows are the same, and none is made of nothing but what is said.
fn check_reasons(seed: u64, program: &programs::Program, limits: &Limits, found: &[Vec<Value>]) {
    let explained = why(&program.plan, &program.data, limits, &Never).unwrap();
    let rows: Vec<Vec<Value>> = explained.iter().map(|row| row.values()).collect();
    let without: Vec<&[Value]> = rows.iter().map(|row| row.split_last().unwrap().1).collect();
    assert!(without == found, "seed {seed}: {}\n{rows:?}", programs::show(&program.plan));
    let _ = explain(&program.plan, &program.data).unwrap();
}

fn text(rows: &[Vec<Value>]) -> String {
    let lines = rows.iter().map(|row| {
        let cells: Vec<String> = row.iter().map(ToString::to_string).collect();
        format!("\n  {}", cells.join(" | "))
    });
    lines.collect()
}

#[test]
fn the_engine_answers_what_the_oracle_answers() {
    let first = setting("LATERBASE_SEED").unwrap_or(1);
    let count = match setting("LATERBASE_ONE") {
        Some(count) => count,
        None => USUAL * setting("LATERBASE_SCALE").unwrap_or(1).max(1),
    };
    let answered = (first..first + count).map(check).filter(|rows| *rows > 0).count();
    println!("{answered} of {count} programs had rows");
}

/// A lattice that demand put among its readers, which saw rows before they were merged.
#[test]
fn programs_that_were_wrong_once_are_right() {
    check(60_017_346);
}
