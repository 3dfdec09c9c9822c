//! Questions about a graph, answered in memory: recursion and triangles, beside other engines.
//!
//! ```text
//!   closure          tc{x, z} :- edge{x, y}, tc{y, z}          all pairs
//!   same generation  sg{x, y} :- edge{a, x}, sg{a, b}, edge{b, y}
//!   reach            what can be reached from one node
//!   triangles        edge{x, y}, edge{y, z}, edge{z, x}
//! ```
//! A graph of n nodes has ten times as many edges, at random. Each engine has the edges in memory
//! already, in its own form, and counts the rows of the answer; none is read. ascent and datafrog
//! are compiled for each question; DuckDB, SQLite and Cozo are asked by Python, on one thread.

mod others;
mod peers;
mod plans;

use std::time::Instant;

use laterbase_query::{Limits, Never};

use super::{Context, SEED};
use crate::engine::Engine;
use crate::error::BenchError;
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

pub(super) fn run(context: &Context, report: &mut Report) -> Result<(), BenchError> {
    let scratch = context.scratch(AREA)?;
    let others = others::Others::find(scratch.path());
    let sizes: &[u64] = if context.quick { &[300] } else { &[1_000, 2_000, 5_000] };
    for nodes in sizes {
        let edges = graph(*nodes);
        for question in Question::ALL {
            let case = format!("{}, {nodes} nodes", question.name());
            let mut expected = None;
            for _ in 0..context.rounds {
                for (subject, asked) in asked(question, &edges, &others)? {
                    let Some((rows, seconds)) = asked else { continue };
                    check(*expected.get_or_insert(rows), rows)?;
                    report.add(Measurement {
                        area: AREA,
                        case: case.clone(),
                        subject,
                        unit: "ms",
                        better: Better::Lower,
                        samples: vec![seconds * 1e3],
                    });
                }
            }
        }
    }
    for missing in others.missing() {
        report.note(AREA, missing);
    }
    Ok(())
}

/// Who was asked; rows and seconds, nothing of those that did not answer.
type Asked = Vec<(String, Option<(u64, f64)>)>;

fn asked(question: Question, edges: &Edges, others: &others::Others) -> Result<Asked, BenchError> {
    let mut asked = vec![(OURS.to_owned(), Some(ours(question, edges)?))];
    asked.push(("ascent".to_owned(), timed(|| peers::ascent_count(question, edges))));
    asked.push(("datafrog".to_owned(), timed(|| peers::datafrog_count(question, edges))));
    asked.extend(others.ask(question, edges)?);
    Ok(asked)
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
