//! Opening after a kill -9: a child process fills a database and goes on appending until it is
//! killed; then the time until the store is open and has answered one read.

use std::time::Instant;

use super::{Context, blame};
use crate::child::Writer;
use crate::error::BenchError;
use crate::measurement::{Better, Measurement};
use crate::report::Report;

const AREA: &str = "opening";

pub(super) fn run(context: &Context, report: &mut Report) -> Result<(), BenchError> {
    let events = context.scaled(100_000, 2_000_000);
    let ours = context.scaled(100_000, 10_000_000);
    for engine in &context.engines {
        let events = if engine.name() == crate::report::OURS { ours } else { events };
        let scratch = context.scratch(AREA)?;
        for _ in 0..context.rounds {
            let (id, count) = Writer { engine: *engine, folder: scratch.path(), events }.kill()?;
            let begun = Instant::now();
            let store = engine.open(scratch.path())?;
            let found = blame(*engine, store.get(id, &mut |_| ()))?;
            let time = begun.elapsed();
            if !found {
                let (engine, path) = (*engine, "get of an acknowledged event after the kill");
                return Err(BenchError::WrongAnswer { engine, path, expected: 1, found: 0 });
            }
            report.add(Measurement {
                area: AREA,
                case: "open and get one event".to_owned(),
                subject: engine.name().to_owned(),
                unit: "ms",
                better: Better::Lower,
                samples: vec![time.as_secs_f64() * 1e3],
            });
            report.note(AREA, format!("{engine} held at least {count} events."));
        }
    }
    Ok(())
}
