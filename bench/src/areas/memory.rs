//! Resident memory of a process that has a database of a million events open and only appends.
//!
//! A child process appends and then says the most memory it ever had resident. Laterbase runs
//! twice: as it comes, and as configured for small devices; each has a bound that `--check`
//! enforces.

use super::{Context, Scratch};
use crate::child::{Memory, Profile};
use crate::engine::Engine;
use crate::error::BenchError;
use crate::measurement::{Better, Measurement};
use crate::report::Report;

const AREA: &str = "memory";
/// What the process has before it appends.
const EVENTS: usize = 1_000_000;
const MIB: f64 = 1_048_576.0;

pub(super) fn run(context: &Context, report: &mut Report) -> Result<(), BenchError> {
    let events = context.scaled(100_000, EVENTS);
    for engine in &context.engines {
        for profile in Profile::of(*engine) {
            let scratch = context.scratch(AREA)?;
            let bytes = child(*engine, *profile, &scratch, events)?;
            let mib = bytes as f64 / MIB;
            let case = profile.name();
            println!("memory: {engine} {case} {mib:.1} MiB");
            if let Some(bound) = profile.bound_mib().filter(|bound| mib > *bound as f64) {
                let said = format!("{case}: {mib:.1} MiB resident of {bound}");
                report.exceeded.push(said);
            }
            report.add(Measurement {
                area: AREA,
                case: case.to_owned(),
                subject: engine.name().to_owned(),
                unit: "MiB",
                better: Better::Lower,
                samples: vec![mib],
            });
        }
    }
    report.note(AREA, format!("The most resident while appending to {events} events."));
    Ok(())
}

/// Fills the database in one child and measures another one that opens it and goes on.
fn child(
    engine: Engine,
    profile: Profile,
    scratch: &Scratch,
    events: usize,
) -> Result<u64, BenchError> {
    Memory { engine, profile, folder: scratch.path().to_owned(), events }.fill()?;
    Memory { engine, profile, folder: scratch.path().to_owned(), events: events / 10 }.measure()
}
