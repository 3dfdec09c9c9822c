//! Benchmarks of Laterbase against other stores, in one run, on one device.
//!
//! ```text
//! arguments ─▶ machine + device limits ─▶ areas ─▶ report (Markdown, JSON)
//!                                          │
//!                       workload ──────────┤  the same events for everybody
//!                       store::EventStore ─┘  the same access paths for everybody
//! ```
//!
//! What keeps the comparison honest: every store keeps the same access paths (the table is in
//! [`store`]), syncs before it answers, gets the same events from the same seed, and takes turns in
//! rounds; a number is the median of the rounds with its minimum and maximum beside it. The
//! device's own limits are measured in the same run. What is claimed is a ratio, never a bare time.
//! Stores behind a server have an area of their own, `load`, with clients in other processes.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a tool for the terminal: printing is what it is for"
)]

mod areas;
mod arguments;
mod child;
mod device;
mod engine;
mod error;
mod machine;
mod measurement;
mod peers;
mod random;
#[cfg(feature = "peers")]
mod record;
mod report;
mod sample;
mod store;
mod workload;

use std::process::ExitCode;

use arguments::{Arguments, USAGE};
use error::BenchError;
use report::Report;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[String]) -> Result<(), BenchError> {
    if words.iter().any(|word| word == "--help") {
        print!("{USAGE}");
        return Ok(());
    }
    if let Some(job) = child::Job::parse(words)? {
        return job.run();
    }
    let arguments = Arguments::parse(words)?;
    let context = areas::Context::new(&arguments)?;
    let mut report = Report::new(machine::describe(&context.folder)?);
    if arguments.measures_device() {
        report.device = Some(device::measure(&context.folder, context.quick)?);
    }
    print!("{}", report.header());
    for area in &arguments.areas {
        area.run(&context, &mut report)?;
        print!("{}", report.area_markdown(area.name()));
    }
    if let Some(path) = &arguments.json {
        report.write_json(path)?;
    }
    if arguments.check { report.check() } else { Ok(()) }
}
