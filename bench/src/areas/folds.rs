//! Events that come late into a folded stream: what it costs to have the state right again, beside
//! folding the whole stream.
//!
//! The stream is in valid-time order and the events that come late are back-dated, by 1 to 256
//! events or anywhere in the stream. Measured is the next read of the aggregate, which takes note
//! of the event, puts it in its place and folds on from the last state before it. The peer is the
//! same fold over the same stream from its first event, in the same run.
//!
//! And what a start costs: a view of ten thousand rows taken up from what was kept, beside the same
//! view folded from the log.

use std::time::Instant;

use laterbase::{
    Aggregate, Aggregates, ApplyError, Cut, Database, Durability, FoldEvent, FoldOrder, Moment,
    NewEvent, Options, Timestamp, View,
};
use serde::{Deserialize, Serialize};

use super::{Context, SEED};
use crate::error::BenchError;
use crate::measurement::{Better, Measurement, median};
use crate::random::Random;
use crate::report::{OURS, Report};

const AREA: &str = "folds";
const ROOT: &str = "truck";
const KEY: &str = "7";
const BATCH: usize = 1_000;
/// Distance of two events in valid time, in microseconds.
const STEP_US: i64 = 1_000;
/// How late the near ones come, in events.
const NEAR_MAX: u64 = 256;

/// Rows of the view, each of a truck.
const ROWS: u64 = 10_000;

/// What a sensor reading says.
#[derive(Deserialize)]
struct Reading {
    celsius: f64,
    door: bool,
}

/// A truck's temperature, as its readings tell.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Truck {
    readings: u64,
    sum: f64,
    highest: f64,
    opened: u64,
    was_open: bool,
}

impl Aggregate for Truck {
    const ORDER: FoldOrder = FoldOrder::Valid;

    fn apply(&mut self, event: &FoldEvent<'_>) -> Result<(), ApplyError> {
        let reading: Reading = event.json()?;
        self.readings += 1;
        self.sum += reading.celsius;
        self.highest = self.highest.max(reading.celsius);
        self.opened += u64::from(reading.door && !self.was_open);
        self.was_open = reading.door;
        Ok(())
    }
}

/// The temperatures of all trucks.
struct Trucks;

impl View for Trucks {
    type Row = Truck;

    const ORDER: FoldOrder = FoldOrder::Valid;

    fn rows(&self, event: &FoldEvent<'_>, touch: &mut dyn FnMut(&str)) {
        touch(event.key());
    }

    fn apply(&self, row: &mut Truck, _: &str, event: &FoldEvent<'_>) -> Result<(), ApplyError> {
        row.apply(event)
    }
}

pub(super) fn run(context: &Context, report: &mut Report) -> Result<(), BenchError> {
    for events in [10_000, context.scaled(100_000, 1_000_000)] {
        measure(context, report, events).map_err(|error| BenchError::Fold(error.to_string()))?;
    }
    starts(context, report).map_err(|error| BenchError::Fold(error.to_string()))?;
    report.note(
        AREA,
        "Readings of some 110 bytes of JSON under one key. A late event is one back-dated reading; \
         the time is that of the next read of the aggregate. The replay folds the whole stream \
         from its first event. Suffix: the events behind the late one, as a share of a replay. \
         A start: the same readings of 10,000 trucks, from when the view is made to when it has \
         all of them; the database is open.",
    );
    Ok(())
}

fn measure(context: &Context, report: &mut Report, events: usize) -> Result<(), ApplyError> {
    let scratch = context.scratch(AREA)?;
    let database = Database::create(scratch.path(), Options::default())?;
    let trucks = database.aggregates::<Truck>(ROOT.try_into()?);
    let mut random = Random::new(SEED);
    for first in (0..events).step_by(BATCH) {
        let mut commit = database.commit();
        for at in first..(first + BATCH).min(events) {
            commit.push(&reading(&mut random, at as i64 * STEP_US)?)?;
        }
        database.append(&mut commit)?.wait()?;
    }
    let _ = trucks.get(KEY)?;
    // The valid times of the stream, in order: late events count as well once they are there.
    let mut times: Vec<i64> = (0..events as i64).map(|at| at * STEP_US).collect();
    let trials = context.scaled(50, 400);
    let mut near = Vec::with_capacity(trials);
    for _ in 0..trials {
        let late = 1 + random.below(NEAR_MAX) as usize;
        let before = times.len() - late;
        near.push(late_read(&database, &trucks, &mut random, &mut times, before)?);
    }
    let mut replays = Vec::new();
    let (mut spent, mut suffixes) = (0.0, 0.0);
    for _ in 0..context.rounds {
        let begun = Instant::now();
        let _ = trucks.get_at(KEY, &whole())?;
        replays.push(begun.elapsed().as_secs_f64() * 1e6);
        for _ in 0..8 {
            let before = 1 + random.below(times.len() as u64 - 1) as usize;
            suffixes += (times.len() - before) as f64 / times.len() as f64;
            spent += late_read(&database, &trucks, &mut random, &mut times, before)?;
        }
    }
    let replay = median(&replays);
    let mut say = |case: String, subject: &str, unit, value| {
        report.add(Measurement {
            area: AREA,
            case,
            subject: subject.to_owned(),
            unit,
            better: Better::Lower,
            samples: value,
        });
    };
    say(format!("{events} events, 1 to 256 late"), OURS, "µs", near);
    say(format!("{events} events, replay"), OURS, "µs", replays);
    let share = spent / (suffixes * replay);
    say(format!("{events} events, uniformly late to the suffix's share"), OURS, "", vec![share]);
    Ok(())
}

/// The time until a view has all rows, from what was kept and from the log, in turns.
fn starts(context: &Context, report: &mut Report) -> Result<(), ApplyError> {
    let events = context.scaled(100_000, 1_000_000);
    let scratch = context.scratch(AREA)?;
    let database = Database::create(scratch.path(), Options::default())?;
    let mut random = Random::new(SEED);
    for first in (0..events).step_by(BATCH) {
        let mut commit = database.commit();
        for at in first..(first + BATCH).min(events) {
            let key = format!("truck-{:05}", random.below(ROWS));
            commit.push(&reading_of(&mut random, &key, at as i64 * STEP_US)?)?;
        }
        database.append(&mut commit)?.wait()?;
    }
    let first = database.view(Trucks).kept("trucks")?;
    first.catch_up()?;
    let begun = Instant::now();
    first.keep_now()?;
    let written = begun.elapsed().as_secs_f64() * 1e3;
    drop(first);
    let bytes = std::fs::metadata(scratch.path().join("folds/trucks.v1"))?.len();
    let (mut kept, mut folded) = (Vec::new(), Vec::new());
    for _ in 0..context.rounds.max(3) {
        let begun = Instant::now();
        let rows = database.view(Trucks).kept("trucks")?;
        rows.catch_up()?;
        kept.push(begun.elapsed().as_secs_f64() * 1e3);
        let begun = Instant::now();
        database.view(Trucks).catch_up()?;
        folded.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    let mut say = |case: &str, unit, samples| {
        report.add(Measurement {
            area: AREA,
            case: format!("view of {events} events, {case}"),
            subject: OURS.to_owned(),
            unit,
            better: Better::Lower,
            samples,
        });
    };
    say("start from what was kept", "ms", kept);
    say("start from the log", "ms", folded);
    say("writing what is kept", "ms", vec![written]);
    say("what is kept", "MB", vec![bytes as f64 / 1e6]);
    Ok(())
}

/// The time of the first read after an event that comes behind `before` others, in microseconds.
fn late_read(
    database: &Database,
    trucks: &Aggregates<Truck>,
    random: &mut Random,
    times: &mut Vec<i64>,
    before: usize,
) -> Result<f64, ApplyError> {
    // As late as the event before it, and recorded after that: so it stands behind it.
    let at = before.checked_sub(1).and_then(|last| times.get(last)).copied().unwrap_or(-1);
    times.insert(before, at);
    let mut commit = database.commit();
    commit.push(&reading(random, at)?)?;
    commit.durability(Durability::Relaxed);
    database.append(&mut commit)?.wait()?;
    let begun = Instant::now();
    let _ = trucks.get(KEY)?;
    Ok(begun.elapsed().as_secs_f64() * 1e6)
}

/// Everything, from the first event on.
fn whole() -> Moment {
    Moment::known(Cut::RecordedBy(Timestamp::from_micros(i64::MAX)))
}

fn reading(random: &mut Random, at_us: i64) -> Result<NewEvent, ApplyError> {
    reading_of(random, KEY, at_us)
}

fn reading_of(random: &mut Random, key: &str, at_us: i64) -> Result<NewEvent, ApplyError> {
    let payload = serde_json::json!({
        "celsius": random.below(300) as f64 / 10.0 - 5.0,
        "humidity": random.below(1000) as f64 / 10.0,
        "door": random.below(20) == 0,
        "sensor": format!("sensor-{:04}", random.below(10_000)),
        "battery_mv": 3000 + random.below(400),
    });
    let event = NewEvent::new(ROOT, key, "read").json(&payload)?;
    Ok(event.valid_at(Timestamp::from_micros(1_700_000_000_000_000 + at_us)))
}
