//! Durable appends: how many events a second, with every index kept.
//!
//! The events are made before the clock starts. It stops when the last event is not only durable
//! but also found through its stream, so that a store which indexes behind its answers is not
//! flattered. The device takes part as a subject of its own: commits of 4 KiB, one after the other.

use std::sync::Barrier;
use std::time::{Duration, Instant};

use super::{Context, SEED, blame};
use crate::device::CommitProbe;
use crate::engine::Engine;
use crate::error::BenchError;
use crate::measurement::{Better, Measurement};
use crate::report::{DEVICE, Report};
use crate::store::EventStore;
use crate::workload::{Event, Workload};

const AREA: &str = "append";

/// One cell of the table.
struct Case {
    batch: usize,
    threads: usize,
    events: usize,
}

pub(super) fn run(context: &Context, report: &mut Report) -> Result<(), BenchError> {
    let few = context.scaled(6_000, 30_000);
    let many = context.scaled(100_000, 500_000);
    let cases = [
        Case { batch: 1, threads: 1, events: few },
        Case { batch: 1, threads: 4, events: few },
        Case { batch: 1, threads: 16, events: 2 * few },
        Case { batch: 1, threads: 64, events: 4 * few },
        Case { batch: 100, threads: 1, events: many },
        Case { batch: 1_000, threads: 1, events: many },
        Case { batch: 10_000, threads: 1, events: 2 * many },
    ];
    let most = cases.iter().map(|case| case.events).max().unwrap_or(0);
    let events = Workload::new(SEED, most as u64).take(most);
    let limit = Duration::from_secs(if context.quick { 5 } else { 30 });
    let is_wanted = |case: &&Case| context.batch.is_none_or(|batch| batch == case.batch);
    for case in cases.iter().filter(is_wanted) {
        let name = format!("batch {}, {} threads", case.batch, case.threads);
        for round in 0..context.rounds {
            if case.batch == 1 && case.threads == 1 {
                report.add(sample(&name, DEVICE, device_rate(context)?));
            }
            for engine in context.turn(round) {
                let given = events.get(..case.events).unwrap_or(&events);
                let rate = rate(context, engine, case, given, limit)?;
                report.add(sample(&name, engine.name(), rate));
            }
        }
    }
    report.note(
        AREA,
        format!(
            "Events a second, durable before the answer, all indexes kept. Each round is a new \
             database; a store that needs longer than {} s is measured on what it did by then.",
            limit.as_secs()
        ),
    );
    Ok(())
}

fn sample(case: &str, subject: &str, rate: f64) -> Measurement {
    Measurement {
        area: AREA,
        case: case.to_owned(),
        subject: subject.to_owned(),
        unit: "/s",
        better: Better::Higher,
        samples: vec![rate],
    }
}

/// The device's own commits a second.
fn device_rate(context: &Context) -> Result<f64, BenchError> {
    let commits = context.scaled(3_000, 20_000);
    let mut probe = CommitProbe::new(&context.folder)?;
    let total: Duration = probe.run(commits)?.iter().sum();
    Ok(commits as f64 / total.as_secs_f64())
}

/// One store's events a second in a new database.
fn rate(
    context: &Context,
    engine: Engine,
    case: &Case,
    events: &[Event],
    limit: Duration,
) -> Result<f64, BenchError> {
    let scratch = context.scratch(AREA)?;
    let store = engine.open(scratch.path())?;
    let share = events.len().div_ceil(case.threads);
    let barrier = Barrier::new(case.threads + 1);
    let (done, time) = std::thread::scope(|scope| {
        let workers: Vec<_> = events
            .chunks(share)
            .map(|own| {
                let (store, barrier) = (&*store, &barrier);
                scope.spawn(move || {
                    barrier.wait();
                    append_until(engine, store, own, case.batch, limit)
                })
            })
            .collect();
        barrier.wait();
        let begun = Instant::now();
        let mut done = 0;
        let mut last = None;
        for worker in workers {
            let (count, key) = worker
                .join()
                .map_err(|_| BenchError::Child("an appending thread panicked".to_owned()))??;
            done += count;
            last = key.or(last);
        }
        if let Some(key) = last {
            let found = blame(engine, store.stream(key, &mut |_| ()))?;
            if found == 0 {
                let path = "stream of the last event";
                return Err(BenchError::WrongAnswer { engine, path, expected: 1, found });
            }
        }
        Ok((done, begun.elapsed()))
    })?;
    Ok(done as f64 / time.as_secs_f64())
}

/// Appends until the events or the time are over; how many, and the last one's stream.
fn append_until<'a>(
    engine: Engine,
    store: &dyn EventStore,
    events: &'a [Event],
    batch: usize,
    limit: Duration,
) -> Result<(usize, Option<&'a str>), BenchError> {
    let begun = Instant::now();
    let mut ids = Vec::with_capacity(events.len());
    let mut done = 0;
    let mut last = None;
    for batch in events.chunks(batch) {
        blame(engine, store.append(batch, &mut ids))?;
        done += batch.len();
        last = batch.last().map(|event| event.key.as_str());
        if begun.elapsed() >= limit {
            break;
        }
    }
    Ok((done, last))
}
