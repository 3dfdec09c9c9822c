//! The program under test: how its commands are called, and how their answers are read.
//!
//! Everything known of the command line's shape is here.

use crate::ledger::{Acknowledged, Durability, Found};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

/// The exit code of a command that has found the database damaged.
pub const EXIT_CORRUPT: i32 = 7;

/// The program, and the database it is run on.
#[derive(Clone, Debug)]
pub struct Program {
    /// The executable file.
    pub executable: PathBuf,
    /// The database's directory.
    pub database: PathBuf,
    /// A fault to switch on in it, by name.
    pub mutant: Option<&'static str>,
    /// Use the configuration for small devices: small segments, so that many are rolled.
    pub small_device: bool,
}

/// A command that did not do what it was asked to.
#[derive(Clone, Debug, thiserror::Error)]
#[error("`laterbase {command}` ended with {status}: {errors}")]
pub struct Failed {
    /// The command's name.
    pub command: &'static str,
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote to standard error.
    pub errors: String,
}

/// Why a program could not be run or understood.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// It could not be started, or its answer not be read.
    #[error("cannot run the program: {0}")]
    Io(#[from] std::io::Error),
    /// It has failed.
    #[error(transparent)]
    Failed(#[from] Failed),
    /// Its answer is not what it should be.
    #[error("cannot understand this answer: {0}")]
    Answer(String),
}

impl Program {
    /// Makes the database.
    ///
    /// # Errors
    /// The command fails.
    pub fn init(&self) -> Result<(), ProgramError> {
        self.run("init", &["init"]).map(|_| ())
    }

    /// Checks the database from end to end.
    ///
    /// # Errors
    /// The command fails, or finds something.
    pub fn verify(&self) -> Result<(), ProgramError> {
        self.run("verify", &["verify"]).map(|_| ())
    }

    /// Reads all events, in the order of arrival.
    ///
    /// # Errors
    /// The command fails, or its answer is not events of this campaign.
    pub fn read(&self) -> Result<Vec<Found>, ProgramError> {
        let output = self.run("read", &["read", "--format", "ndjson", "--order", "arrival"])?;
        let text = String::from_utf8_lossy(&output.stdout);
        text.lines().map(found).collect()
    }

    /// Starts an import of `file`, in batches of `batch` records.
    ///
    /// # Errors
    /// The program cannot be started.
    pub fn import(
        &self,
        file: &Path,
        batch: usize,
        durability: Durability,
    ) -> Result<Import, ProgramError> {
        let durability = match durability {
            Durability::Flushed => "flushed",
            Durability::Buffered => "buffered",
            Durability::Relaxed => "relaxed",
        };
        let mut command = self.command();
        command.args(["import", "--json", "--root", "sample", "--format", "ndjson"]);
        command.args(["--key", "/key", "--type", "/type", "--tag", "item=/items"]);
        command.args(["--idempotency", "/once", "--durability", durability]);
        command.args(["--batch", &batch.to_string()]).arg(file);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Import::start(command.spawn()?)
    }

    fn run(&self, name: &'static str, arguments: &[&str]) -> Result<Output, ProgramError> {
        let output = self.command().args(arguments).output()?;
        if output.status.success() {
            return Ok(output);
        }
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        Err(Failed { command: name, status: output.status, errors }.into())
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.executable);
        command.env_remove("LATERBASE_DB").env_remove("LATERBASE_MUTANT").env("NO_COLOR", "1");
        command.stdin(Stdio::null()).arg("--db").arg(&self.database);
        if let Some(mutant) = self.mutant {
            command.env("LATERBASE_MUTANT", mutant);
        }
        if self.small_device {
            command.arg("--small-device");
        }
        command
    }
}

/// The record of this number: its key, type, tags and size follow from the number.
#[must_use]
pub fn record(number: usize, padding_bytes: usize) -> String {
    let padding = "x".repeat(padding_bytes);
    format!(
        "{{\"n\":{number},\"once\":\"record {number}\",\"key\":\"{}\",\"type\":\"{}\",\
         \"items\":[\"{}\",\"{}\"],\"padding\":\"{padding}\"}}\n",
        number % 97,
        ["sent", "scanned", "arrived"].get(number % 3).unwrap_or(&"sent"),
        number % 13,
        13 + number % 7,
    )
}

/// An import that is running.
#[derive(Debug)]
pub struct Import {
    child: Child,
    acknowledged: Arc<Mutex<Vec<Acknowledged>>>,
    answers: JoinHandle<()>,
    errors: JoinHandle<String>,
}

/// An import that has ended.
#[derive(Debug)]
pub struct Ended {
    /// How.
    pub status: ExitStatus,
    /// What it acknowledged, as far as the driver read it.
    pub acknowledged: Vec<Acknowledged>,
    /// What it wrote to standard error.
    pub errors: String,
}

impl Import {
    fn start(mut child: Child) -> Result<Self, ProgramError> {
        let missing = || ProgramError::Answer("no standard output".to_owned());
        let output = child.stdout.take().ok_or_else(missing)?;
        let mut errors = child.stderr.take().ok_or_else(missing)?;
        let acknowledged = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&acknowledged);
        let answers = std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                heard.lock().unwrap_or_else(PoisonError::into_inner).extend(batch(&line));
            }
        });
        let errors = std::thread::spawn(move || {
            let mut text = Vec::new();
            let _ = errors.read_to_end(&mut text);
            String::from_utf8_lossy(&text).into_owned()
        });
        Ok(Self { child, acknowledged, answers, errors })
    }

    /// How many batches it has acknowledged so far.
    #[must_use]
    pub fn acknowledged(&self) -> usize {
        self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Has it ended by itself?
    ///
    /// # Errors
    /// The operating system cannot tell.
    pub fn has_ended(&mut self) -> Result<bool, ProgramError> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// Kills it, if it has not ended already. It ends once the call that it is in has ended.
    pub fn kill(&mut self) {
        // That it has ended already is no mistake.
        let _ = self.child.kill();
    }

    /// Kills it, if it has not ended already, waits until it has, and returns what it has said.
    ///
    /// # Errors
    /// The operating system cannot tell how it ended.
    pub fn end(mut self) -> Result<Ended, ProgramError> {
        self.kill();
        let status = self.child.wait()?;
        let _ = self.answers.join();
        let errors = self.errors.join().unwrap_or_default();
        let mut acknowledged = self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Ended { status, acknowledged: std::mem::take(&mut acknowledged), errors })
    }
}

/// The batch that a line of an import's answer acknowledges, if it does. A line that was cut off
/// acknowledges nothing.
fn batch(line: &str) -> Option<Acknowledged> {
    let answer: Value = serde_json::from_str(line).ok()?;
    let ids = answer.get("ids")?;
    Some(Acknowledged {
        first: ids.get(0)?.as_str()?.to_owned(),
        last: ids.get(1)?.as_str()?.to_owned(),
        count: usize::try_from(answer.get("count")?.as_u64()?).ok()?,
        at: Instant::now(),
    })
}

/// The record behind one line of `read --format ndjson`, whose content must be that record's.
fn found(line: &str) -> Result<Found, ProgramError> {
    let not_ours = || ProgramError::Answer(line.to_owned());
    let event: Value = serde_json::from_str(line).map_err(|_| not_ours())?;
    let text = |name: &str| event.get(name).and_then(Value::as_str);
    let data = event.get("data").ok_or_else(not_ours)?;
    let padding = data.get("padding").and_then(Value::as_str).ok_or_else(not_ours)?;
    let number = data.get("n").and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok());
    let number = number.ok_or_else(not_ours)?;
    let sent: Value =
        serde_json::from_str(&record(number, padding.len())).map_err(|_| not_ours())?;
    let same = *data == sent
        && text("key") == sent.get("key").and_then(Value::as_str)
        && text("type") == sent.get("type").and_then(Value::as_str)
        && text("idempotency_key") == sent.get("once").and_then(Value::as_str);
    let id = text("id").filter(|_| same).ok_or_else(not_ours)?;
    Ok(Found { id: id.to_owned(), number })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acknowledgements_are_told_from_other_answers() {
        let line = r#"{"batch":1,"ids":["01A","01B"],"count":2,"durability":"flushed"}"#;
        let batch_of = |line| batch(line).map(|batch| (batch.first, batch.last, batch.count));
        assert_eq!(batch_of(line), Some(("01A".to_owned(), "01B".to_owned(), 2)));
        assert_eq!(batch_of(r#"{"batch":1,"ids":["01A","01B"],"cou"#), None);
        assert_eq!(batch_of(r#"{"imported":20,"already_there":0,"refused":0}"#), None);
    }

    #[test]
    fn event_with_another_content_is_not_taken_for_its_record() {
        let data = record(5, 3);
        let line = |data: &str| {
            format!(
                r#"{{"id":"01A","root":"sample","key":"5","type":"arrived",
                "idempotency_key":"record 5","data":{data}}}"#
            )
        };
        assert_eq!(found(&line(&data)).unwrap().number, 5);
        assert!(found(&line(&data.replace("xxx", "xyx"))).is_err());
        assert!(found(&line(&data.replace("\"n\":5", "\"n\":6"))).is_err());
    }
}
