//! DuckDB, SQLite and Cozo, asked by Python: a process for each question.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde::de::DeserializeOwned;

use super::stored::Found;
use super::{Asked, Question};
use crate::error::BenchError;

/// Subjects, and the packages of PyPI that they need, with versions.
const ENGINES: [(&str, Option<(&str, &str)>); 3] = [
    ("duckdb", Some(("duckdb", "2.0.0"))),
    ("sqlite", None),
    ("cozo", Some(("cozo_embedded", "0.7.6"))),
];

/// Seconds that a question may take.
pub(super) const SECONDS_MAX: &str = "60";
/// What `timeout` ends with when it ended the command.
const TIMED_OUT: i32 = 124;

/// The engines that there are, with the Python that has each.
pub(super) struct Others {
    engines: Vec<(&'static str, PathBuf)>,
    missing: Vec<String>,
}

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

impl Others {
    /// Installs what is missing, if it can be.
    pub(super) fn find() -> Self {
        let (mut engines, mut missing) = (Vec::new(), Vec::new());
        for (name, package) in ENGINES {
            match package.map_or(Ok(PathBuf::from("python3")), install) {
                Ok(python) => engines.push((name, python)),
                Err(why) => missing.push(format!("{name} was not measured: {why}")),
            }
        }
        Self { engines, missing }
    }

    /// Who was not measured, and why.
    pub(super) fn missing(&self) -> &[String] {
        &self.missing
    }

    /// Those that can be asked about stored events.
    pub(super) fn stored(&self) -> impl Iterator<Item = &'static str> {
        let can = |name: &&'static str| matches!(*name, "sqlite" | "duckdb");
        self.engines.iter().map(|(name, _)| *name).filter(can)
    }

    /// Makes an engine's database of the lists in a folder.
    pub(super) fn load(&self, engine: &str, folder: &Path) -> Result<(), BenchError> {
        let _: serde_json::Value = self.stored_script(engine, folder, "load")?;
        Ok(())
    }

    /// Asks an engine the questions of a kind.
    pub(super) fn found(
        &self,
        engine: &str,
        folder: &Path,
        kind: &str,
    ) -> Result<Found, BenchError> {
        self.stored_script(engine, folder, kind)
    }

    fn stored_script<T: DeserializeOwned>(
        &self,
        engine: &str,
        folder: &Path,
        word: &str,
    ) -> Result<T, BenchError> {
        let python = self.engines.iter().find(|(name, _)| *name == engine);
        let python = python.map(|(_, python)| python.as_path()).unwrap_or(Path::new("python3"));
        let script = repository().join("bench/question-peers/stored.py");
        say(Command::new(python).arg(script).arg(engine).arg(folder).arg(word))
    }

    /// Asks each about a graph; nothing of those that took too long.
    pub(super) fn ask(&self, question: Question, edges: &Path) -> Asked {
        let script = repository().join("bench/question-peers/measure.py");
        let each = self.engines.iter().map(|(name, python)| {
            let mut command = Command::new("timeout");
            command.arg(SECONDS_MAX).arg(python).arg(&script);
            command.args([name, question.name()]).arg(edges);
            (name.to_string(), say(&mut command).ok())
        });
        each.collect()
    }
}

/// What a process says in one line of JSON.
pub(super) fn say<T: DeserializeOwned>(command: &mut Command) -> Result<T, BenchError> {
    read_line(&command.output().map_err(|error| BenchError::Child(error.to_string()))?)
}

fn read_line<T: DeserializeOwned>(output: &Output) -> Result<T, BenchError> {
    serde_json::from_slice(&output.stdout).map_err(|error| {
        let said = String::from_utf8_lossy(&output.stderr);
        BenchError::Child(format!("{error}: {}", said.trim()))
    })
}

/// What a process under `timeout` says; nothing if it took too long.
pub(super) fn say_in_time<T: DeserializeOwned>(
    command: &mut Command,
) -> Result<Option<T>, BenchError> {
    let output = command.output().map_err(|error| BenchError::Child(error.to_string()))?;
    if output.status.code() == Some(TIMED_OUT) {
        return Ok(None);
    }
    read_line(&output)
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
