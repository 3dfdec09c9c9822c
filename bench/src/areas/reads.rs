//! Reads: by id, stream, tag and valid time, and full scans; warm, and cold where caches can be
//! dropped.
//!
//! Every payload byte that is read is added up, in every store. Laterbase, redb and fjall verify
//! checksums while they read; LMDB and SQLite have none to verify. Laterbase compresses all but the
//! newest part of its log, so that a large database is asked for its newest events apart.
//!
//! Memory: the ids, and the keys of some events; the events themselves are made again for each
//! store, so that the page cache is left to the stores.

use std::time::{Duration, Instant};

use super::{Context, SEED, Scratch, blame};
use crate::engine::Engine;
use crate::error::BenchError;
use crate::machine::drop_caches;
use crate::measurement::{Better, Measurement};
use crate::random::Random;
use crate::report::Report;
use crate::store::{EventStore, Id};
use crate::workload::{ITEM, Workload, back_dated_range, touch};

const AREA: &str = "reads";
/// The batches that databases are filled with: larger ones where the peers would take hours.
const BATCH: usize = 1_000;
const LARGE_BATCH: usize = 10_000;
const LARGE_FROM: usize = 5_000_000;
/// About one back-dated event in this many lies in a measured range of valid time.
const RANGES: u64 = 500;

/// The newest events, which are asked for apart in a larger database.
const NEWEST: usize = 500_000;
/// How many events are remembered, to be asked for by stream and tag.
const SAMPLES: usize = 200_000;
/// How many events are made at a time.
const WINDOW: usize = 100_000;

/// What is known of the events that every store holds.
struct Given {
    total: usize,
    /// The key and the tag of some of them.
    samples: Vec<(String, String)>,
    /// What every payload adds up to.
    sum: u64,
}

/// A filled database of one store.
struct Subject {
    engine: Engine,
    scratch: Scratch,
    ids: Vec<Id>,
    store: Option<Box<dyn EventStore>>,
}

pub(super) fn run(context: &Context, report: &mut Report) -> Result<(), BenchError> {
    let total = context.events.unwrap_or_else(|| context.scaled(200_000, 2_000_000));
    let batch = if total < LARGE_FROM { BATCH } else { LARGE_BATCH };
    let given = Given::new(total);
    let mut subjects = Vec::new();
    for engine in &context.engines {
        let scratch = context.scratch(&format!("{AREA}-{engine}"))?;
        let store = engine.open(scratch.path())?;
        let mut workload = Workload::new(SEED, total as u64);
        let mut ids = Vec::with_capacity(total);
        while ids.len() < total {
            for events in workload.take(WINDOW.min(total - ids.len())).chunks(batch) {
                blame(*engine, store.append(events, &mut ids))?;
            }
        }
        // Opened again, so that every store reads what lies on the disk and not what it just wrote.
        drop(store);
        subjects.push(Subject { engine: *engine, scratch, ids, store: None });
    }
    for subject in &mut subjects {
        subject.store = Some(subject.engine.open(subject.scratch.path())?);
    }
    for round in 0..context.rounds {
        for engine in context.turn(round) {
            if let Some(subject) = subjects.iter().find(|subject| subject.engine == engine) {
                warm(context, subject, &given, round, report)?;
            }
        }
    }
    cold(context, &mut subjects, &given, report)?;
    report.note(AREA, format!("{total} events, appended in batches of {batch}, then reopened."));
    Ok(())
}

impl Given {
    fn new(total: usize) -> Self {
        let mut workload = Workload::new(SEED, total as u64);
        let mut given = Self { total, samples: Vec::new(), sum: 0 };
        let spacing = total.div_ceil(SAMPLES).max(1);
        let mut done = 0;
        while done < total {
            let events = workload.take(WINDOW.min(total - done));
            done += events.len();
            for event in &events {
                touch(&mut given.sum, &event.payload);
            }
            given.samples.extend(events.into_iter().step_by(spacing).map(|event| {
                let [(_, item), _] = event.tags;
                (event.key, item)
            }));
        }
        given
    }

    fn sample(&self, random: &mut Random) -> (&str, &str) {
        let index = random.below(self.samples.len() as u64) as usize;
        self.samples.get(index).map_or(("", ""), |(key, item)| (key, item))
    }
}

/// One round of warm reads of one store.
fn warm(
    context: &Context,
    subject: &Subject,
    given: &Given,
    round: usize,
    report: &mut Report,
) -> Result<(), BenchError> {
    let Some(store) = subject.store.as_deref() else { return Ok(()) };
    let gets = context.scaled(20_000, 200_000);
    let terms = context.scaled(2_000, 20_000);
    let ranges = context.scaled(100, 500);
    let seed = round as u64;
    // Once without the clock, so that what is measured is warm.
    by_id(subject, store, 0, gets, seed)?;
    let time = by_id(subject, store, 0, gets, seed)?;
    report.add(each(subject, "warm get by id", time, gets));
    if given.total > NEWEST {
        let from = given.total - NEWEST;
        by_id(subject, store, from, gets, seed)?;
        let time = by_id(subject, store, from, gets, seed)?;
        report.add(each(subject, "warm get by id, newest 500,000", time, gets));
    }
    by_stream(subject, store, given, terms, seed)?;
    let time = by_stream(subject, store, given, terms, seed)?;
    report.add(each(subject, "warm stream", time, terms));
    let time = by_tag(subject, store, given, terms, seed)?;
    report.add(each(subject, "warm tag with one event", time, terms));
    if let Some(time) = by_valid_time(subject, store, ranges, seed)? {
        report.add(each(subject, "warm range of valid time", time, ranges));
    }
    let (time, count) = scan(subject, store, given)?;
    report.add(Measurement {
        area: AREA,
        case: "full scan".to_owned(),
        subject: subject.engine.name().to_owned(),
        unit: "/s",
        better: Better::Higher,
        samples: vec![count as f64 / time.as_secs_f64()],
    });
    Ok(())
}

/// Reads right after opening with nothing cached, where the kernel lets us drop its caches.
fn cold(
    context: &Context,
    subjects: &mut [Subject],
    given: &Given,
    report: &mut Report,
) -> Result<(), BenchError> {
    let reads = context.scaled(200, 1_000);
    for round in 0..context.rounds {
        for subject in &mut *subjects {
            subject.store = None;
            if !drop_caches() {
                report.note(AREA, "Cold reads were not measured: dropping caches needs root.");
                return Ok(());
            }
            let store = subject.engine.open(subject.scratch.path())?;
            let seed = 1_000 + round as u64;
            let time = by_id(subject, &*store, 0, reads, seed)?;
            report.add(each(subject, "cold get by id", time, reads));
            let time = by_stream(subject, &*store, given, reads, seed)?;
            report.add(each(subject, "cold stream", time, reads));
        }
    }
    Ok(())
}

fn each(subject: &Subject, case: &str, time: Duration, count: usize) -> Measurement {
    Measurement {
        area: AREA,
        case: case.to_owned(),
        subject: subject.engine.name().to_owned(),
        unit: "µs",
        better: Better::Lower,
        samples: vec![time.as_secs_f64() * 1e6 / count.max(1) as f64],
    }
}

fn by_id(
    subject: &Subject,
    store: &dyn EventStore,
    from: usize,
    count: usize,
    seed: u64,
) -> Result<Duration, BenchError> {
    let engine = subject.engine;
    let mut random = Random::new(seed);
    let mut sum = 0;
    let ids = subject.ids.get(from..).unwrap_or_default();
    let begun = Instant::now();
    for _ in 0..count {
        let index = random.below(ids.len() as u64) as usize;
        let id = ids.get(index).copied().unwrap_or_default();
        if !blame(engine, store.get(id, &mut |payload| touch(&mut sum, payload)))? {
            return Err(BenchError::WrongAnswer { engine, path: "get", expected: 1, found: 0 });
        }
    }
    std::hint::black_box(sum);
    Ok(begun.elapsed())
}

fn by_stream(
    subject: &Subject,
    store: &dyn EventStore,
    given: &Given,
    count: usize,
    seed: u64,
) -> Result<Duration, BenchError> {
    let engine = subject.engine;
    let mut random = Random::new(seed);
    let mut sum = 0;
    let begun = Instant::now();
    for _ in 0..count {
        let (key, _) = given.sample(&mut random);
        let found = blame(engine, store.stream(key, &mut |payload| touch(&mut sum, payload)))?;
        if found == 0 {
            return Err(BenchError::WrongAnswer { engine, path: "stream", expected: 1, found });
        }
    }
    std::hint::black_box(sum);
    Ok(begun.elapsed())
}

fn by_tag(
    subject: &Subject,
    store: &dyn EventStore,
    given: &Given,
    count: usize,
    seed: u64,
) -> Result<Duration, BenchError> {
    let engine = subject.engine;
    let mut random = Random::new(seed);
    let mut sum = 0;
    let begun = Instant::now();
    for _ in 0..count {
        let (_, item) = given.sample(&mut random);
        let found = blame(engine, store.tag(ITEM, item, &mut |payload| touch(&mut sum, payload)))?;
        if found != 1 {
            return Err(BenchError::WrongAnswer { engine, path: "tag", expected: 1, found });
        }
    }
    std::hint::black_box(sum);
    Ok(begun.elapsed())
}

fn by_valid_time(
    subject: &Subject,
    store: &dyn EventStore,
    count: usize,
    seed: u64,
) -> Result<Option<Duration>, BenchError> {
    let mut random = Random::new(seed);
    let mut sum = 0;
    let begun = Instant::now();
    for _ in 0..count {
        let (from, to) = back_dated_range(&mut random, RANGES);
        let read = store.valid_range(from, to, &mut |payload| touch(&mut sum, payload));
        if blame(subject.engine, read)?.is_none() {
            return Ok(None);
        }
    }
    std::hint::black_box(sum);
    Ok(Some(begun.elapsed()))
}

fn scan(
    subject: &Subject,
    store: &dyn EventStore,
    given: &Given,
) -> Result<(Duration, u64), BenchError> {
    let engine = subject.engine;
    let mut sum = 0;
    let begun = Instant::now();
    let found = blame(engine, store.scan(&mut |payload| touch(&mut sum, payload)))?;
    let time = begun.elapsed();
    let expected = given.total as u64;
    if found != expected || sum != given.sum {
        return Err(BenchError::WrongAnswer { engine, path: "scan", expected, found });
    }
    Ok((time, found))
}
