//! Questions about stored events: ten million of them on the device, or as many as were asked for.
//!
//! ```text
//!   make ─▶ database, lists ─▶ SQLite, DuckDB load the lists and make the same indexes
//!   round ─▶ a process for each engine and each kind of question ─▶ times, rows, peak memory
//! ```
//! A process opens its database, asks each question once for each of its parameters, and says the
//! median; what is selective is asked a few times before, so that caches are warm. Rows are read.
//! All engines have one thread.

mod asked;
mod make;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use laterbase::ask::{Schema, Value, schema_of};
use laterbase::{Database, Options};
use serde::{Deserialize, Serialize};

use self::asked::{Parameter, Parameters, QUESTIONS, SCHEMA, Stored};
use super::others::{Others, say};
use super::{check, note_missing};
use crate::areas::Context;
use crate::engine::Engine;
use crate::error::{BenchError, StoreError};
use crate::machine::{disk_bytes, resident_bytes_max};
use crate::measurement::{Better, Measurement, median};
use crate::report::{OURS, Report};

/// How often a selective question is asked in a round.
const TIMES: u64 = 200;
/// How often before it is measured.
const TIMES_BEFORE: usize = 20;

/// What a process found.
#[derive(Serialize, Deserialize)]
pub(super) struct Found {
    answers: BTreeMap<String, Answers>,
    peak_bytes: u64,
}

#[derive(Serialize, Deserialize)]
struct Answers {
    /// All rows of all parameters.
    rows: u64,
    /// The median of one answer.
    seconds: f64,
}

const KINDS: [&str; 2] = ["selective", "whole"];

/// The name of this area.
const AREA: &str = "stored";

pub(crate) fn run(context: &Context, report: &mut Report) -> Result<(), BenchError> {
    let others = Others::find();
    let total = context.events.unwrap_or_else(|| context.scaled(200_000, 10_000_000));
    let scratch = context.scratch("stored")?;
    make_all(scratch.path(), total as u64)?;
    for engine in others.stored() {
        others.load(engine, scratch.path())?;
    }
    let disk = |name: &str| disk_bytes(&scratch.path().join(name)) >> 20;
    report.note(
        AREA,
        format!(
            "{total} events; on the device: laterbase {} MiB, sqlite {} MiB, duckdb {} MiB",
            disk(OURS),
            disk("sqlite"),
            disk("duckdb"),
        ),
    );
    let mut expected = BTreeMap::new();
    for _ in 0..context.rounds {
        for kind in KINDS {
            add(OURS, kind, ours(scratch.path(), kind)?, &mut expected, report)?;
            for engine in others.stored() {
                add(
                    engine,
                    kind,
                    others.found(engine, scratch.path(), kind)?,
                    &mut expected,
                    report,
                )?;
            }
        }
    }
    note_missing(&others, AREA, report);
    Ok(())
}

/// Makes the events and the lists, and says what is asked of them: also what a child does for who
/// wants to keep them.
pub(crate) fn make_all(folder: &Path, total: u64) -> Result<(), BenchError> {
    let made = make::make(folder, total, TIMES)?;
    let text = serde_json::to_string(&asked::parameters(&made)).unwrap_or_default();
    let wrap = |source| BenchError::File { path: folder.to_owned(), source };
    std::fs::write(folder.join("parameters.json"), text).map_err(wrap)
}

/// Adds what a process found to the report, and checks the rows.
fn add(
    subject: &str,
    kind: &str,
    found: Found,
    expected: &mut BTreeMap<String, u64>,
    report: &mut Report,
) -> Result<(), BenchError> {
    let mut sample = |case: String, unit, value| {
        let (subject, better, samples) = (subject.to_owned(), Better::Lower, vec![value]);
        report.add(Measurement { area: AREA, case, subject, unit, better, samples });
    };
    for question in QUESTIONS {
        let Some(answers) = found.answers.get(question.name) else { continue };
        check(*expected.entry(question.name.to_owned()).or_insert(answers.rows), answers.rows)?;
        sample(format!("stored: {}", question.name), "ms", answers.seconds * 1e3);
    }
    sample(format!("stored: {kind}, memory"), "MiB", found.peak_bytes as f64 / 1_048_576.0);
    Ok(())
}

fn ours(folder: &Path, kind: &str) -> Result<Found, BenchError> {
    let program = std::env::current_exe().unwrap_or_default();
    let folder: PathBuf = folder.to_owned();
    say(std::process::Command::new(program).args(["child", "stored"]).arg(folder).arg(kind))
}

/// What a child does: asks Laterbase, and prints what it found.
pub(crate) fn answer(folder: &Path, kind: &str) -> Result<(), BenchError> {
    let wrap = |source| BenchError::Store { engine: Engine::Laterbase, source };
    let found = found(folder, kind).map_err(wrap)?;
    println!("{}", serde_json::to_string(&found).unwrap_or_default());
    Ok(())
}

fn found(folder: &Path, kind: &str) -> Result<Found, StoreError> {
    let text = std::fs::read_to_string(folder.join("parameters.json"))?;
    let parameters: BTreeMap<String, Vec<Parameters>> = serde_json::from_str(&text)?;
    let database = Database::open(folder.join(OURS), Options::default())?;
    let schema = schema_of(SCHEMA)?;
    let mut answers = BTreeMap::new();
    for question in QUESTIONS.iter().filter(|it| it.is_whole == (kind == "whole")) {
        let asked = parameters.get(question.name).map(Vec::as_slice).unwrap_or_default();
        if !question.is_whole {
            for parameters in asked.iter().take(TIMES_BEFORE) {
                ask(&database, &schema, question, parameters)?;
            }
        }
        let (mut rows, mut seconds) = (0, Vec::new());
        for parameters in asked {
            let start = Instant::now();
            rows += ask(&database, &schema, question, parameters)?;
            seconds.push(start.elapsed().as_secs_f64());
        }
        let seconds = median(&seconds);
        answers.insert(question.name.to_owned(), Answers { rows, seconds });
    }
    Ok(Found { answers, peak_bytes: resident_bytes_max() })
}

/// Asks, and reads the rows; how many there are.
fn ask(
    database: &Database,
    schema: &Schema,
    question: &Stored,
    parameters: &Parameters,
) -> Result<u64, StoreError> {
    let mut ask = database.query(question.text).schema(schema);
    for (name, value) in parameters {
        ask = match value {
            Parameter::Time(us) => ask.bind(name, Value::Time(*us)),
            Parameter::Text(text) => ask.bind(name, text.as_str()),
        };
    }
    let answer = ask.run()?;
    let mut rows = 0;
    for row in answer.rows.iter() {
        std::hint::black_box(row.values());
        rows += 1;
    }
    Ok(rows)
}
