//! DuckDB, SQLite and Cozo, asked by Python: a process for each question.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use super::{Asked, Edges, Question};
use crate::error::BenchError;

/// Subjects, and the packages of PyPI that they need, with versions.
const ENGINES: [(&str, Option<(&str, &str)>); 3] = [
    ("duckdb", Some(("duckdb", "2.0.0"))),
    ("sqlite", None),
    ("cozo", Some(("cozo_embedded", "0.7.6"))),
];

/// Seconds that a question may take.
const SECONDS_MAX: &str = "60";

/// The engines that there are, with the Python that has each.
pub(super) struct Others {
    engines: Vec<(&'static str, PathBuf)>,
    missing: Vec<String>,
    edges: PathBuf,
}

#[derive(Deserialize)]
struct Line {
    rows: u64,
    seconds: f64,
}

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

impl Others {
    /// Installs what is missing, if it can be.
    pub(super) fn find(folder: &Path) -> Self {
        let (mut engines, mut missing) = (Vec::new(), Vec::new());
        for (name, package) in ENGINES {
            match package.map_or(Ok(PathBuf::from("python3")), install) {
                Ok(python) => engines.push((name, python)),
                Err(why) => missing.push(format!("{name} was not measured: {why}")),
            }
        }
        Self { engines, missing, edges: folder.join("edges") }
    }

    /// Who was not measured, and why.
    pub(super) fn missing(&self) -> &[String] {
        &self.missing
    }

    /// Asks each; nothing of those that took too long.
    pub(super) fn ask(&self, question: Question, edges: &Edges) -> Result<Asked, BenchError> {
        let text: String = edges.iter().map(|(a, b)| format!("{a} {b}\n")).collect();
        let wrap = |source| BenchError::File { path: self.edges.clone(), source };
        std::fs::write(&self.edges, text).map_err(wrap)?;
        let script = repository().join("bench/question-peers/measure.py");
        let mut answers = Vec::new();
        for (name, python) in &self.engines {
            let output = Command::new("timeout")
                .arg(SECONDS_MAX)
                .arg(python)
                .arg(&script)
                .args([name, question.name()])
                .arg(&self.edges)
                .output()
                .map_err(|error| BenchError::Child(error.to_string()))?;
            let line: Option<Line> = serde_json::from_slice(&output.stdout).ok();
            answers.push((name.to_string(), line.map(|line| (line.rows, line.seconds))));
        }
        Ok(answers)
    }
}

fn install((name, version): (&str, &str)) -> Result<PathBuf, String> {
    let script = repository().join("scripts/python-tool");
    let output = Command::new(script).args([name, version]).output();
    let output = output.map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    match said.strip_prefix("SKIPPED ") {
        Some(why) => Err(why.to_owned()),
        None => Ok(PathBuf::from(said).join("bin/python")),
    }
}
