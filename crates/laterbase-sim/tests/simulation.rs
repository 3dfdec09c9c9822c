//! Runs by seed over copies in memory.
#![allow(clippy::print_stdout, clippy::panic, reason = "tests")]

use laterbase_sim::{Coverage, MemoryNode, Order, run};

#[test]
fn copies_in_memory_converge_whatever_happens() {
    let mut coverage = Coverage::default();
    let first: u64 = std::env::var("LATERBASE_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(1);
    let n: u64 = std::env::var("N").ok().and_then(|s| s.parse().ok()).unwrap_or(20);
    for seed in first..first + n {
        let report = run::<MemoryNode>(Order { seed, replicas: 5, events: 500 });
        coverage.merge(&report.coverage);
        if let Err(violation) = &report.outcome {
            let tail = report.tail(40).join("\n");
            panic!("seed {seed}: {}\n{tail}\n{}", violation.0, report.replay("memory"));
        }
    }
    println!("{coverage}");
}
