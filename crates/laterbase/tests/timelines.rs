//! Timelines: what copies put, record and sync when, and what each answers of both axes of time.
//!
//! A file under `tests/timelines` is one case. In front of a line `---` stand what it is about,
//! where it comes from, and a schema; behind it steps, each at a time that never goes back:
//!
//! ```text
//! @ 2027-03-01 a            the copy `a` carries out the statements below
//! @ 2027-03-02 sync a b     the two copies sync
//! @ 2027-03-05 vector v a   `$v` is from now on what `a` holds
//! ```
//! What is expected of a question stands behind a line `--`, a row to a line. Cases of public
//! suites are data alone: their steps in this language, their rows as they say them.
//!
//! Breaks that this test catches: what was known taken for what had been recorded, and the other
//! way round.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking"
)]

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use laterbase::ask::{Answer, Value};
use laterbase::execute::Done;
use laterbase::sync::{Replica as _, Session, SessionConfig};
use laterbase::{Database, Environment as _};
use support::{TestEnvironment, options, storage};

/// A step: when, what, and the lines below it.
struct Step {
    at: i64,
    words: Vec<String>,
    lines: Vec<String>,
    line_number: usize,
}

/// Copies by name, and version vectors by name.
struct World {
    name: String,
    schema: String,
    clock: Arc<TestEnvironment>,
    copies: BTreeMap<String, (tempfile::TempDir, Database)>,
    vectors: BTreeMap<String, Value>,
}

#[test]
fn timelines_answer_what_the_files_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/timelines");
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() >= 16, "{} timelines", paths.len());
    let mut wrong = Vec::new();
    for path in &paths {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        wrong.extend(play(&name, &std::fs::read_to_string(path).unwrap()));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// Carries a file out; what it answers otherwise than it says.
fn play(name: &str, file: &str) -> Vec<String> {
    let (head, _) = file.split_once("\n---\n").unwrap_or_else(|| panic!("{name} has no steps"));
    let (about, schema) = head.split_once("\n\n").unwrap();
    assert!(about.contains("\nSource: "), "{name} names no source");
    let steps = steps(name, file);
    let mut world = World {
        name: name.to_owned(),
        schema: schema.to_owned(),
        clock: TestEnvironment::at_ms(steps[0].at / 1000),
        copies: BTreeMap::new(),
        vectors: BTreeMap::new(),
    };
    for step in &steps {
        let from = match step.words[0].as_str() {
            "sync" => 1,
            "vector" => 2,
            _ => 0,
        };
        step.words[from..].iter().for_each(|copy| world.make(copy));
    }
    steps.iter().filter_map(|step| world.take(step)).collect()
}

fn steps(name: &str, file: &str) -> Vec<Step> {
    let mut found: Vec<Step> = Vec::new();
    let behind = file.lines().enumerate().skip_while(|(_, line)| *line != "---").skip(1);
    for (number, line) in behind {
        let Some(said) = line.strip_prefix("@ ") else {
            found.last_mut().unwrap_or_else(|| panic!("{name}: no step")).lines.push(line.into());
            continue;
        };
        let mut words = said.split_whitespace().map(str::to_owned);
        let at = time(&words.next().unwrap());
        let words = words.collect();
        found.push(Step { at, words, lines: Vec::new(), line_number: number + 1 });
    }
    found
}

/// A day, or a time, in microseconds.
fn time(text: &str) -> i64 {
    let text = if text.contains('T') { text.to_owned() } else { format!("{text}T00:00:00Z") };
    let text = if text.len() == 17 { text.replace('Z', ":00Z") } else { text };
    text.parse::<jiff::Timestamp>()
        .unwrap_or_else(|error| panic!("{text}: {error}"))
        .as_microsecond()
}

impl World {
    /// Carries a step out.
    fn take(&mut self, step: &Step) -> Option<String> {
        let by = step.at - self.clock.now_us();
        assert!(by >= 0, "{}:{}: time goes back", self.name, step.line_number);
        self.clock.jump_us(by);
        let words: Vec<&str> = step.words.iter().map(String::as_str).collect();
        match words[..] {
            ["sync", here, there] => {
                exchange(&self.copy(here), &self.copy(there));
                None
            }
            ["vector", name, copy] => {
                let vector = self.copy(copy).version_vector().unwrap();
                self.vectors.insert(name.to_owned(), Value::Bytes(vector.encode().into()));
                None
            }
            [copy] => self.carry_out(copy, step),
            _ => panic!("{}:{}: no such step", self.name, step.line_number),
        }
    }

    fn carry_out(&mut self, copy: &str, step: &Step) -> Option<String> {
        let is_mark = |line: &&String| line.as_str() == "--";
        let text: Vec<&str> =
            step.lines.iter().take_while(|line| !is_mark(line)).map(String::as_str).collect();
        let expected: Vec<&String> = step.lines.iter().skip_while(|line| !is_mark(line)).collect();
        let db = self.copy(copy);
        let mut execute = db.execute(text.join("\n"));
        for (name, vector) in &self.vectors {
            execute = execute.bind(name, vector.clone());
        }
        let place = format!("{}:{}", self.name, step.line_number);
        let done = execute.run();
        let done = done.unwrap_or_else(|error| panic!("{place}: {}", error.render("step")));
        let found = match done {
            Done::Written(_) if expected.is_empty() => return None,
            Done::Written(_) => panic!("{place}: a statement that writes has no rows"),
            Done::Rows(answer) => rows(&answer),
        };
        let expected: Vec<&str> = expected.iter().skip(1).map(|line| line.as_str()).collect();
        let said = || format!("{}\n  expected {expected:#?}\n  found {found:#?}", text.join("\n"));
        (found != expected).then(|| format!("{place}: {}", said()))
    }

    fn copy(&self, name: &str) -> Database {
        self.copies[name].1.clone()
    }

    /// Makes a copy: the first one with the schema, others from the first one.
    fn make(&mut self, name: &str) {
        if self.copies.contains_key(name) {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let (storage, clock) = (storage(&dir), self.clock.clone());
        let db = match self.copies.values().next() {
            None => {
                let db = Database::create_on(storage, clock, options()).unwrap();
                db.apply_schema(&self.schema).unwrap_or_else(|error| panic!("{error}"));
                db
            }
            Some((_, first)) => {
                let id = first.id();
                let db = Database::create_joined_on(storage, clock, options(), id).unwrap();
                exchange(first, &db);
                db
            }
        };
        self.copies.insert(name.to_owned(), (dir, db));
    }
}

/// The rows as lines: texts of one word as they stand, midnights as days.
fn rows(answer: &Answer) -> Vec<String> {
    let is_word = |text: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || "_-.".contains(c))
    };
    let cell = |value: &Value| match value {
        Value::Null => "-".to_owned(),
        Value::Text(text) if is_word(text) => text.to_string(),
        _ => value.to_string().replace("T00:00:00Z", ""),
    };
    let rows = answer.rows.iter();
    rows.map(|row| row.values().iter().map(cell).collect::<Vec<_>>().join(" ")).collect()
}

/// A session over requests and responses, until neither has anything to say.
fn exchange(here: &Database, there: &Database) {
    let (mut client, mut server) = (here.sync_port().unwrap(), there.sync_port().unwrap());
    let config = SessionConfig::default();
    let mut asks = Session::initiator(config.clone(), client.recall(there.replica()));
    let mut answers = Session::responder(config);
    for _ in 0..100 {
        let mut carried = 0;
        while let Some(frame) = asks.poll_frame(0, &mut client) {
            carried += 1;
            for outcome in answers.handle_frame(&frame, 0, &mut server) {
                server.record(&outcome).unwrap();
            }
        }
        while let Some(frame) = answers.poll_frame(0, &mut server) {
            carried += 1;
            for outcome in asks.handle_frame(&frame, 0, &mut client) {
                client.record(&outcome).unwrap();
            }
        }
        if carried == 0 {
            break;
        }
    }
    assert_eq!(here.version_vector().unwrap(), there.version_vector().unwrap());
    client.remember(&asks.memory().unwrap());
    server.remember(&answers.memory().unwrap());
}
