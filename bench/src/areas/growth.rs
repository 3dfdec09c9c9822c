//! Whether appends stay as fast when the database grows: the rate of the last events of a large
//! database against that of the first events of a small one, same store, same run.
//!
//! By default only Laterbase is measured to the full size; a peer stops when it has used up its
//! time, and its row says how far it came.

use std::time::{Duration, Instant};

use super::{Context, SEED, blame};
use crate::engine::Engine;
use crate::error::BenchError;
use crate::measurement::{Better, Measurement};
use crate::report::Report;
use crate::workload::Workload;

const AREA: &str = "growth";
const BATCH: usize = 1_000;

pub(super) fn run(context: &Context, report: &mut Report) -> Result<(), BenchError> {
    let total = context.scaled(500_000, 10_000_000);
    let window = context.scaled(50_000, 500_000);
    let small = context.scaled(50_000, 100_000);
    for engine in &context.engines {
        let limit = Duration::from_secs(if context.quick { 20 } else { 240 });
        let growth = grow(context, *engine, total, window, limit)?;
        let begun = small_rate(context, *engine, small)?;
        let mut say = |case: &str, unit, value| {
            report.add(Measurement {
                area: AREA,
                case: case.to_owned(),
                subject: engine.name().to_owned(),
                unit,
                better: Better::Higher,
                samples: vec![value],
            });
        };
        say("rate of a small database", "/s", begun);
        say("rate at the end", "/s", growth.last_rate);
        say("end to small", "", growth.last_rate / begun);
        say("events at the end", "", growth.events as f64);
    }
    report.note(
        AREA,
        format!(
            "Batches of {BATCH}. Small: the median rate of new databases of {small} events. \
             End: the last {window} events of {total}, or of as many as fitted into the time."
        ),
    );
    Ok(())
}

struct Growth {
    events: usize,
    last_rate: f64,
}

/// Appends `total` events, or as many as fit into `limit`; the rate of the last whole window.
fn grow(
    context: &Context,
    engine: Engine,
    total: usize,
    window: usize,
    limit: Duration,
) -> Result<Growth, BenchError> {
    let scratch = context.scratch(AREA)?;
    let store = engine.open(scratch.path())?;
    let mut workload = Workload::new(SEED, total as u64);
    let mut ids = Vec::with_capacity(BATCH);
    let mut growth = Growth { events: 0, last_rate: 0.0 };
    let mut spent = Duration::ZERO;
    while growth.events < total && spent < limit {
        let events = workload.take(window);
        let begun = Instant::now();
        for batch in events.chunks(BATCH) {
            ids.clear();
            blame(engine, store.append(batch, &mut ids))?;
        }
        // Whatever indexes behind its answers is waited for, as in the area of appends.
        if let Some(last) = events.last() {
            blame(engine, store.stream(&last.key, &mut |_| ()))?;
        }
        let time = begun.elapsed();
        spent += time;
        growth.events += events.len();
        growth.last_rate = events.len() as f64 / time.as_secs_f64();
    }
    Ok(growth)
}

/// The median rate of new, small databases.
fn small_rate(context: &Context, engine: Engine, events: usize) -> Result<f64, BenchError> {
    let given = Workload::new(SEED, events as u64).take(events);
    let mut rates = Vec::new();
    for _ in 0..context.rounds {
        let scratch = context.scratch(AREA)?;
        let store = engine.open(scratch.path())?;
        let begun = Instant::now();
        super::fill(engine, &*store, &given, BATCH)?;
        if let Some(last) = given.last() {
            blame(engine, store.stream(&last.key, &mut |_| ()))?;
        }
        rates.push(events as f64 / begun.elapsed().as_secs_f64());
    }
    Ok(crate::measurement::median(&rates))
}
