//! Questions: about a graph, answered in memory, and about stored events; beside other engines.
//!
//! ```text
//!   closure          tc{x, z} :- edge{x, y}, tc{y, z}          all pairs
//!   same generation  sg{x, y} :- edge{a, x}, sg{a, b}, edge{b, y}
//!   reach            what can be reached from one node
//!   triangles        edge{x, y}, edge{y, z}, edge{z, x}
//! ```
//! A graph of n nodes has ten times as many edges, at random. Each engine has the edges in memory
//! already, in its own form, and counts the rows of the answer; none is read. ascent and datafrog
//! are compiled for each question; DuckDB, SQLite and Cozo are asked by Python, on one thread. Each
//! answer is a process's only one, and the most memory of that process is told beside its time: of
//! Python it includes the interpreter and its list of the edges. Who takes longer than a minute has
//! no answer.
//!
//! Questions about stored events are [`stored`].

mod others;
mod peers;
mod plans;

mod stored;

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use laterbase_query::{Limits, Never};
use serde::{Deserialize, Serialize};

pub(crate) use self::stored::{answer as answer_stored, make_all, run as run_stored};
use super::{Context, SEED};
use crate::engine::Engine;
use crate::error::BenchError;
use crate::machine::resident_bytes_max;
use crate::measurement::{Better, Measurement};
use crate::random::Random;
use crate::report::{OURS, Report};

const AREA: &str = "questions";

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Question {
    Closure,
    SameGeneration,
    Reach,
    Triangles,
}

impl Question {
    const ALL: [Self; 4] = [Self::Closure, Self::SameGeneration, Self::Reach, Self::Triangles];

    fn name(self) -> &'static str {
        match self {
            Self::Closure => "closure",
            Self::SameGeneration => "same generation",
            Self::Reach => "reach",
            Self::Triangles => "triangles",
        }
    }
}

type Edges = [(i64, i64)];

/// What a process found out about a graph.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Line {
    rows: u64,
    seconds: f64,
    peak_bytes: u64,
}

/// Who was asked, and nothing of those that did not answer.
type Asked = Vec<(String, Option<Line>)>;

/// Those that are asked by this program, each in a process of its own.
const COMPILED: [&str; 3] = [OURS, "ascent", "datafrog"];

pub(super) fn run(context: &Context, report: &mut Report) -> Result<(), BenchError> {
    let scratch = context.scratch(AREA)?;
    let others = others::Others::find();
    let sizes: &[u64] = if context.quick { &[300] } else { &[1_000, 2_000, 5_000] };
    let file = scratch.path().join("edges");
    for nodes in sizes {
        let text: String = graph(*nodes).iter().map(|(a, b)| format!("{a} {b}\n")).collect();
        std::fs::write(&file, text).map_err(|source| wrap(&file, source))?;
        for question in Question::ALL {
            let case = format!("{}, {nodes} nodes", question.name());
            let mut expected = None;
            for _ in 0..context.rounds {
                let mut asked: Asked = Vec::new();
                for subject in COMPILED {
                    asked.push((subject.to_owned(), ask_child(subject, question, &file)?));
                }
                asked.extend(others.ask(question, &file));
                for (subject, line) in asked {
                    let Some(line) = line else { continue };
                    check(*expected.get_or_insert(line.rows), line.rows)?;
                    add(&case, &subject, line, report);
                }
            }
        }
    }
    note_missing(&others, AREA, report);
    Ok(())
}

/// Says who was not measured.
fn note_missing(others: &others::Others, area: &'static str, report: &mut Report) {
    for missing in others.missing() {
        report.note(area, missing);
    }
}

fn wrap(path: &Path, source: std::io::Error) -> BenchError {
    BenchError::File { path: path.to_owned(), source }
}

fn add(case: &str, subject: &str, line: Line, report: &mut Report) {
    let mut sample = |case: String, unit, value| {
        let (subject, better, samples) = (subject.to_owned(), Better::Lower, vec![value]);
        report.add(Measurement { area: AREA, case, subject, unit, better, samples });
    };
    sample(case.to_owned(), "ms", line.seconds * 1e3);
    sample(format!("{case}, memory"), "MiB", line.peak_bytes as f64 / 1_048_576.0);
}

fn ask_child(subject: &str, question: Question, edges: &Path) -> Result<Option<Line>, BenchError> {
    let program = std::env::current_exe().unwrap_or_default();
    let mut command = Command::new("timeout");
    command.arg(others::SECONDS_MAX).arg(program);
    command.args(["child", "graph", subject, question.name()]).arg(edges);
    others::say_in_time(&mut command)
}

/// What a child does: asks about a graph, and prints what it found.
pub(crate) fn answer_graph(subject: &str, question: &str, edges: &Path) -> Result<(), BenchError> {
    let text = std::fs::read_to_string(edges).map_err(|source| wrap(edges, source))?;
    let edge = |line: &str| {
        let (a, b) = line.split_once(' ')?;
        Some((a.parse().ok()?, b.parse().ok()?))
    };
    let edges: Vec<(i64, i64)> = text.lines().filter_map(edge).collect();
    let unknown = || BenchError::Usage(format!("there is no question `{question}`"));
    let question = Question::ALL.into_iter().find(|it| it.name() == question);
    let question = question.ok_or_else(unknown)?;
    let asked = match subject {
        OURS => Some(ours(question, &edges)?),
        "ascent" => timed(|| peers::ascent_count(question, &edges)),
        _ => timed(|| peers::datafrog_count(question, &edges)),
    };
    let peak_bytes = resident_bytes_max();
    let line = asked.map(|(rows, seconds)| Line { rows, seconds, peak_bytes });
    println!("{}", serde_json::to_string(&line).unwrap_or_default());
    Ok(())
}

fn timed(count: impl FnOnce() -> Option<usize>) -> Option<(u64, f64)> {
    let start = Instant::now();
    count().map(|rows| (rows as u64, start.elapsed().as_secs_f64()))
}

fn ours(question: Question, edges: &Edges) -> Result<(u64, f64), BenchError> {
    let (plan, data) = (plans::plan(question), plans::Graph(edges));
    let start = Instant::now();
    let rows = laterbase_query::run(&plan, &data, &Limits::default(), &Never);
    let seconds = start.elapsed().as_secs_f64();
    let wrap = |source| BenchError::Store { engine: Engine::Laterbase, source: Box::new(source) };
    Ok((rows.map_err(wrap)?.len() as u64, seconds))
}

fn check(expected: u64, found: u64) -> Result<(), BenchError> {
    if expected == found {
        return Ok(());
    }
    let (engine, path) = (Engine::Laterbase, "a question");
    Err(BenchError::WrongAnswer { engine, path, expected, found })
}

/// Ten edges for each node, at random.
fn graph(nodes: u64) -> Vec<(i64, i64)> {
    let mut random = Random::new(SEED);
    let mut node = || i64::try_from(random.below(nodes)).unwrap_or_default();
    let mut edges: Vec<(i64, i64)> = (0..nodes * 10).map(|_| (node(), node())).collect();
    edges.sort_unstable();
    edges.dedup();
    edges
}
