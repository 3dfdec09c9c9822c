//! Appends with readers beside the writer: the latency of appends at p99, less the device's own
//! fdatasync at p99, with a reader that is paced to half a core against without one.
//!
//! One writer appends batches; one reader gets events by id and reads streams for five
//! milliseconds, then rests for five. With and without alternate in rounds.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::{Context, SEED, blame, fill};
use crate::device::{CommitProbe, micros, percentile};
use crate::engine::Engine;
use crate::error::BenchError;
use crate::measurement::{Better, Measurement};
use crate::random::Random;
use crate::report::Report;
use crate::store::{EventStore, Id};
use crate::workload::{Event, Workload, touch};

const AREA: &str = "beside";
const BATCH: usize = 100;
const BURST: Duration = Duration::from_millis(5);
/// The least latency beyond the device's that is told from noise.
const FLOOR_US: f64 = 5.0;

pub(super) fn run(context: &Context, report: &mut Report) -> Result<(), BenchError> {
    let before = context.scaled(50_000, 500_000);
    let appended = context.scaled(50_000, 200_000);
    let events = Workload::new(SEED, before as u64).take(before + appended * 2);
    let (existing, fresh) = events.split_at(before);
    for engine in &context.engines {
        for _ in 0..context.rounds {
            let scratch = context.scratch(AREA)?;
            let store = engine.open(scratch.path())?;
            let ids = fill(*engine, &*store, existing, 1_000)?;
            let (alone, accompanied) = fresh.split_at(appended);
            let device = device_p99(context)?;
            let without = p99(*engine, &*store, alone, None)?;
            let with = p99(*engine, &*store, accompanied, Some((existing, &ids)))?;
            let beyond = |latency: f64| (latency - device).max(FLOOR_US);
            let mut say = |case: &str, unit, value| {
                report.add(Measurement {
                    area: AREA,
                    case: case.to_owned(),
                    subject: engine.name().to_owned(),
                    unit,
                    better: Better::Lower,
                    samples: vec![value],
                });
            };
            say("append p99 without a reader", "µs", without);
            say("append p99 beside a reader", "µs", with);
            say("beside to without, beyond the device", "", beyond(with) / beyond(without));
        }
    }
    report.note(
        AREA,
        format!(
            "Batches of {BATCH}. The last row compares p99 less the device's fdatasync p99 of the \
             same round; the target is at most 1.2."
        ),
    );
    Ok(())
}

fn device_p99(context: &Context) -> Result<f64, BenchError> {
    let mut latencies = CommitProbe::new(&context.folder)?.run(1_000)?;
    latencies.sort_unstable();
    Ok(micros(percentile(&latencies, 99)))
}

/// The 99th percentile of appends in microseconds, beside a reader when there is something to read.
fn p99(
    engine: Engine,
    store: &dyn EventStore,
    events: &[Event],
    reading: Option<(&[Event], &[Id])>,
) -> Result<f64, BenchError> {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = reading.map(|(known, ids)| {
            let done = &done;
            scope.spawn(move || read_until(engine, store, known, ids, done))
        });
        let mut latencies = Vec::with_capacity(events.len() / BATCH + 1);
        let mut ids = Vec::with_capacity(events.len());
        let mut outcome = Ok(());
        for batch in events.chunks(BATCH) {
            let begun = Instant::now();
            outcome = blame(engine, store.append(batch, &mut ids));
            latencies.push(begun.elapsed());
            if outcome.is_err() {
                break;
            }
        }
        done.store(true, Ordering::Release);
        if let Some(reader) = reader {
            reader
                .join()
                .map_err(|_| BenchError::Child("the reading thread panicked".to_owned()))??;
        }
        outcome?;
        latencies.sort_unstable();
        Ok(micros(percentile(&latencies, 99)))
    })
}

/// Reads in bursts with rests of the same length until told to stop.
fn read_until(
    engine: Engine,
    store: &dyn EventStore,
    known: &[Event],
    ids: &[Id],
    done: &AtomicBool,
) -> Result<(), BenchError> {
    let mut random = Random::new(SEED);
    let mut sum = 0;
    while !done.load(Ordering::Acquire) {
        let begun = Instant::now();
        while begun.elapsed() < BURST {
            let index = random.below(ids.len() as u64) as usize;
            let id = ids.get(index).copied().unwrap_or_default();
            blame(engine, store.get(id, &mut |payload| touch(&mut sum, payload)))?;
            let Some(event) = known.get(index) else { continue };
            blame(engine, store.stream(&event.key, &mut |payload| touch(&mut sum, payload)))?;
        }
        std::thread::sleep(BURST);
    }
    std::hint::black_box(sum);
    Ok(())
}
