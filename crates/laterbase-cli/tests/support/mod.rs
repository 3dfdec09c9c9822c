//! A place to run the real program in, and what it answered.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "each test file uses a part; a test that cannot go on says where"
)]

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A temporary directory in which `laterbase` runs, on the database `db` in it.
#[derive(Debug)]
pub(crate) struct Sandbox {
    directory: TempDir,
    /// When it was made.
    began: String,
}

/// What a command answered.
#[derive(Debug)]
pub(crate) struct Answer {
    command: String,
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Sandbox {
    /// An empty directory.
    pub(crate) fn new() -> Self {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let micros = i64::try_from(since.as_secs()).unwrap() * 1_000_000;
        let began = laterbase_cli::time::Clockface::utc().format(micros);
        Self { directory: tempfile::tempdir().unwrap(), began }
    }

    /// A directory with an empty database in it.
    pub(crate) fn with_database() -> Self {
        let sandbox = Self::new();
        sandbox.run(["init"]).success();
        sandbox
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn db(&self) -> PathBuf {
        self.path("db")
    }

    /// Writes a file into the directory.
    pub(crate) fn file(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, contents).unwrap();
        path
    }

    /// The command, ready to be changed and run. Nothing of the tester's environment shows.
    pub(crate) fn command(
        &self,
        arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_laterbase"));
        command
            .args(arguments)
            .current_dir(self.directory.path())
            .env("LATERBASE_DB", "db")
            .env("TZ", "UTC")
            .env_remove("COLUMNS")
            .env_remove("PAGER")
            .stdin(Stdio::null());
        command
    }

    #[track_caller]
    pub(crate) fn run(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Answer {
        answer(self.command(arguments), "")
    }

    /// Runs a command with something on its standard input.
    #[track_caller]
    pub(crate) fn run_with_input(
        &self,
        arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
        input: &str,
    ) -> Answer {
        answer(self.command(arguments), input)
    }

    /// The events that `read` gives with these arguments.
    #[track_caller]
    pub(crate) fn read(&self, arguments: &[&str]) -> Vec<Value> {
        let arguments = [&["read", "--format", "ndjson"], arguments].concat();
        ndjson(&self.run(arguments).success().stdout)
    }

    /// A moment after everything before it and before everything after it.
    pub(crate) fn moment(&self) -> String {
        // Arrival times are counted in milliseconds: it takes one that is this moment's alone.
        let millis = millisecond_after(millisecond_after(-1));
        millisecond_after(millis);
        laterbase_cli::time::Clockface::utc().format(millis * 1_000)
    }
}

/// Waits until the wall clock shows a later millisecond; answers which one it shows.
fn millisecond_after(before: i64) -> i64 {
    loop {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let now = i64::try_from(since.as_millis()).unwrap();
        if now > before {
            return now;
        }
        std::thread::yield_now();
    }
}

impl Answer {
    /// It must have succeeded, and have had nothing to complain about.
    #[track_caller]
    pub(crate) fn success(self) -> Self {
        assert_eq!(self.stderr, "", "{}", self.command);
        self.code(0)
    }

    /// It must have ended with this code.
    #[track_caller]
    pub(crate) fn code(self, code: i32) -> Self {
        assert_eq!(
            self.code, code,
            "{}\nstdout: {}\nstderr: {}",
            self.command, self.stdout, self.stderr
        );
        self
    }
}

#[track_caller]
pub(crate) fn answer(mut command: Command, input: &str) -> Answer {
    let text = format!("{command:?}");
    if !input.is_empty() {
        command.stdin(Stdio::piped());
    }
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let writer = child.stdin.take().map(|mut stdin| {
        let input = input.to_owned();
        // It may end before it has read everything.
        std::thread::spawn(move || drop(stdin.write_all(input.as_bytes())))
    });
    let output = child.wait_with_output().unwrap();
    if let Some(writer) = writer {
        writer.join().unwrap();
    }
    Answer {
        command: text,
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The lines of NDJSON.
#[track_caller]
pub(crate) fn ndjson(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Compares a text with the snapshot of that name in `tests/golden`. With
/// `UPDATE_GOLDEN=1` the snapshot is written instead, to be reviewed.
#[track_caller]
pub(crate) fn check_golden(name: &str, actual: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, actual).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_else(|error| {
        panic!("{}: {error}; make it with UPDATE_GOLDEN=1", path.display())
    });
    assert_eq!(actual, expected, "differs from tests/golden/{name}; review with UPDATE_GOLDEN=1");
}

/// Replaces what differs from run to run: ids, replicas, databases, cursors, version vectors,
/// times since the test began, paths.
pub(crate) fn mask(text: &str, sandbox: &Sandbox) -> String {
    let text = text.replace(&sandbox.directory.path().display().to_string(), "/sandbox");
    let text = mask_members(&mask_times(&text, &sandbox.began));
    let upper = |letter: char| letter.is_ascii_digit() || letter.is_ascii_uppercase();
    let hex = |letter: char| letter.is_ascii_hexdigit() && !letter.is_ascii_uppercase();
    let text = mask_words(text, 26, "ID", upper);
    let text = mask_words(text, 32, "DATABASE", hex);
    mask_words(text, 16, "REPLICA", hex)
}

/// Numbers the words of that length and kind in the order in which they come. The mask is as long
/// as what it stands for, so columns stay where they are.
fn mask_words(mut text: String, length: usize, name: &str, kind: fn(char) -> bool) -> String {
    let words: Vec<String> = text
        .split(|letter: char| !letter.is_ascii_alphanumeric())
        .filter(|word| word.len() == length && word.chars().all(kind))
        // A word of digits alone is somebody's number.
        .filter(|word| word.chars().any(|letter| letter.is_ascii_alphabetic()))
        .map(str::to_owned)
        .collect();
    let mut known: Vec<String> = Vec::new();
    for word in words {
        if !known.contains(&word) {
            known.push(word.clone());
            let mask = format!("<{name}{}", known.len());
            text = text.replace(&word, &format!("{mask:-<width$}>", width = length - 1));
        }
    }
    text
}

/// Times from `began` on are when the test ran; earlier ones are the test's own.
fn mask_times(text: &str, began: &str) -> String {
    let mut masked = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("20") {
        let (before, time) = rest.split_at(at);
        masked.push_str(before);
        let length = time
            .find(|letter: char| !(letter.is_ascii_digit() || "-:.T ".contains(letter)))
            .unwrap_or(time.len());
        let ends_in_z = time[length..].starts_with('Z');
        if ends_in_z && (20..=26).contains(&length) | (length == 19) && time[..19] >= began[..19] {
            masked.push_str("<NOW>");
            rest = &time[length + 1..];
        } else {
            masked.push_str("20");
            rest = &time[2..];
        }
    }
    masked + rest
}

/// Texts whose form is nobody's business.
fn mask_members(text: &str) -> String {
    let mut masked = text.to_owned();
    for (before, after) in [("\"cursor\":\"", "\""), ("\"vv\":\"", "\""), ("\nvv         ", "\n")] {
        let mut from = 0;
        while let Some(at) = masked[from..].find(before).map(|at| at + from + before.len()) {
            let end = at + masked[at..].find(after).unwrap();
            masked.replace_range(at..end, "<OPAQUE>");
            from = at;
        }
    }
    masked
}
