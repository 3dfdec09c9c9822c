//! Many generated events: imported, verified, read by each path; the same after `index/` is
//! deleted, and after kill -9 in the middle of an import.
//!
//! What each path must answer is computed from the sample itself, by a plain loop over its lines.
//! By default 20,000 events; `LATERBASE_TEST_EVENTS=1000000` runs the full count, which takes
//! minutes and 1.1 GB: answers are taken line by line, and of each line only what identifies it is
//! kept.
//!
//! Breaks that this catches: acknowledging a batch before it is written (the killed import then
//! lacks events of the list that its reader kept); an index that misses or repeats an event on
//! any path; indexes that are not rebuilt from the log.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test that cannot go on, or is skipped, says so"
)]

mod support;

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{BufRead as _, BufReader, Write as _};
use std::ops::Range;
use std::process::Stdio;
use std::time::Instant;

use serde::Deserialize;
use serde_json::Value;
use support::{Sandbox, ndjson};

fn events_wanted() -> u64 {
    std::env::var("LATERBASE_TEST_EVENTS").map_or(20_000, |count| count.parse().unwrap())
}

/// What is imported.
struct Sample {
    file: String,
    text: String,
    /// The event with number n is at n - 1.
    events: Vec<Origin>,
}

/// One event of the sample.
struct Origin {
    line: Range<usize>,
    root: Box<str>,
    key: Box<str>,
    type_name: Box<str>,
    valid_at: Box<str>,
    tags: Vec<Box<str>>,
}

/// One event of an answer.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Answered {
    /// Which event of the sample it is.
    number: u64,
    id: Id,
    valid_at_micros: i64,
    /// Of the whole line.
    digest: u64,
}

/// The text of an event id.
type Id = [u8; 26];

#[derive(Deserialize)]
struct SampleLine<'a> {
    root: &'a str,
    key: &'a str,
    #[serde(rename = "type")]
    type_name: &'a str,
    valid_at: &'a str,
    tags: Vec<Box<str>>,
    idempotency_key: &'a str,
}

#[derive(Deserialize)]
struct AnswerLine<'a> {
    id: &'a str,
    valid_at: &'a str,
    idempotency_key: &'a str,
}

#[derive(Deserialize)]
struct Page {
    events: Vec<PageEvent>,
    cursor: Option<String>,
}

#[derive(Deserialize)]
struct PageEvent {
    id: String,
}

impl Sample {
    fn new(sandbox: &Sandbox, events: u64) -> Self {
        let events = events.to_string();
        let arguments = ["sample", "--events", &events, "--seed", "42", "--back-dated", "5"];
        let text = sandbox.run(arguments).success().stdout;
        let file = sandbox.file("sample.ndjson", &text).to_str().unwrap().to_owned();
        let mut events = Vec::new();
        let mut start = 0;
        for line in text.lines() {
            let parsed: SampleLine<'_> = serde_json::from_str(line).unwrap();
            events.push(Origin {
                line: start..start + line.len(),
                root: parsed.root.into(),
                key: parsed.key.into(),
                type_name: parsed.type_name.into(),
                valid_at: parsed.valid_at.into(),
                tags: parsed.tags,
            });
            assert_eq!(number(parsed.idempotency_key), events.len() as u64);
            start += line.len() + 1;
        }
        Self { file, text, events }
    }

    /// The numbers of the events that match.
    fn wanted(&self, matches: impl Fn(&Origin) -> bool) -> Vec<u64> {
        let numbered = (1..).zip(&self.events);
        numbered.filter(|(_, event)| matches(event)).map(|(number, _)| number).collect()
    }

    /// Compares one line of an answer with what was imported.
    #[track_caller]
    fn check_content(&self, line: &str) {
        let event: Value = serde_json::from_str(line).unwrap();
        let number = number(event["idempotency_key"].as_str().unwrap());
        let origin = &self.text[self.events[index(number)].line.clone()];
        let origin: Value = serde_json::from_str(origin).unwrap();
        for name in ["root", "key", "type", "data"] {
            assert_eq!(event[name], origin[name], "{name} of {number}");
        }
        let valid_at = |event: &Value| micros(event["valid_at"].as_str().unwrap());
        assert_eq!(valid_at(&event), valid_at(&origin), "valid time of {number}");
        let tags = |event: &Value| {
            let tags = event["tags"].as_array().unwrap().iter();
            let mut tags: Vec<String> = tags.map(Value::to_string).collect();
            tags.sort();
            tags
        };
        assert_eq!(tags(&event), tags(&origin), "tags of {number}");
    }
}

impl Origin {
    fn has_tag(&self, tag: &str) -> bool {
        self.tags.iter().any(|found| **found == *tag)
            || format!("{}:{}", self.root, self.key) == tag
    }
}

/// An event's number is in its idempotency key.
fn number(key: &str) -> u64 {
    key.rsplit('-').next().unwrap().parse().unwrap()
}

fn micros(time: &str) -> i64 {
    laterbase_cli::time::parse(time).unwrap()
}

fn index(number: u64) -> usize {
    usize::try_from(number).unwrap() - 1
}

fn numbers(events: &[Answered]) -> Vec<u64> {
    let mut numbers: Vec<u64> = events.iter().map(|event| event.number).collect();
    numbers.sort_unstable();
    numbers
}

/// What `read` answers; `look` sees each line.
#[track_caller]
fn read_lines(sandbox: &Sandbox, arguments: &[&str], mut look: impl FnMut(&str)) -> Vec<Answered> {
    let arguments = [&["read", "--format", "ndjson"], arguments].concat();
    let mut child = sandbox.command(&arguments).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut events = Vec::new();
    let mut line = String::new();
    while lines.read_line(&mut line).unwrap() > 0 {
        let parsed: AnswerLine<'_> = serde_json::from_str(&line).unwrap();
        let mut hasher = DefaultHasher::new();
        line.hash(&mut hasher);
        events.push(Answered {
            number: number(parsed.idempotency_key),
            id: parsed.id.as_bytes().try_into().unwrap(),
            valid_at_micros: micros(parsed.valid_at),
            digest: hasher.finish(),
        });
        look(&line);
        line.clear();
    }
    assert!(child.wait().unwrap().success(), "{arguments:?}");
    events
}

#[track_caller]
fn read(sandbox: &Sandbox, arguments: &[&str]) -> Vec<Answered> {
    read_lines(sandbox, arguments, |_| {})
}

/// Says how long something took: only of interest with many events.
fn timed<T>(what: &str, act: impl FnOnce() -> T) -> T {
    let started = Instant::now();
    let result = act();
    eprintln!("{what}: {:.1} s", started.elapsed().as_secs_f64());
    result
}

/// Every path against the sample.
#[track_caller]
fn check_every_path(sandbox: &Sandbox, sample: &Sample) {
    let all: Vec<u64> = (1..=sample.events.len() as u64).collect();
    // Arrival: as they were imported, batch by batch and, within a batch, root by root.
    let mut seen = 0;
    let arrived = read_lines(sandbox, &["--order", "arrival"], |line| {
        if seen % 997 == 0 {
            sample.check_content(line);
        }
        seen += 1;
    });
    assert_eq!(numbers(&arrived), all);
    drop(arrived);
    // Transaction time: by id.
    let by_tx = read(sandbox, &[]);
    assert!(by_tx.is_sorted_by_key(|event| event.id));
    assert_eq!(numbers(&by_tx), all);
    assert!(read(sandbox, &["--reverse"]).iter().rev().eq(by_tx.iter()));
    // Valid time, all of it and a range that the late ones reach into.
    let by_valid = read(sandbox, &["--order", "valid"]);
    assert!(by_valid.is_sorted_by_key(|event| (event.valid_at_micros, event.id)));
    assert_eq!(numbers(&by_valid), all);
    drop(by_valid);
    check_filters(sandbox, sample);
    // Ids: a page of them, and pages by cursor that together are the whole.
    let ids: Vec<&str> =
        by_tx.iter().step_by(1_501).map(|event| str::from_utf8(&event.id).unwrap()).collect();
    let got = sandbox.run([&["get", "--json"], ids.as_slice()].concat()).success();
    let got: Page = serde_json::from_str(&got.stdout).unwrap();
    assert!(got.events.iter().map(|event| event.id.as_str()).eq(ids));
    check_pages(sandbox, &by_tx);
}

/// Root, stream, tag, type, a tag with a type, and a range of valid time.
#[track_caller]
fn check_filters(sandbox: &Sandbox, sample: &Sample) {
    let check = |arguments: &[&str], matches: &dyn Fn(&Origin) -> bool| {
        assert_eq!(numbers(&read(sandbox, arguments)), sample.wanted(matches), "{arguments:?}");
    };
    let (from, until) = ("2026-01-04T00:00:00.000Z", "2026-01-05T06:10:00.000Z");
    let in_range = |event: &Origin| (from..until).contains(&&*event.valid_at);
    assert!(!sample.wanted(in_range).is_empty());
    check(&["--valid-from", from, "--valid-until", until], &in_range);
    check(&["--root", "sensor"], &|event| &*event.root == "sensor");
    check(&["shipment/S-0000007"], &|event| {
        &*event.root == "shipment" && &*event.key == "S-0000007"
    });
    for tag in ["truck:T-0042", "site:DEHAM", "shipment:S-0000007"] {
        check(&["--tag", tag], &|event| event.has_tag(tag));
    }
    check(&["--type", "arrived", "--type", "delivered"], &|event| {
        &*event.type_name == "arrived" || &*event.type_name == "delivered"
    });
    check(&["--tag", "site:NLRTM", "--type", "scanned", "--order", "valid"], &|event| {
        &*event.type_name == "scanned" && event.has_tag("site:NLRTM")
    });
}

#[track_caller]
fn check_pages(sandbox: &Sandbox, by_tx: &[Answered]) {
    let limit = (by_tx.len() / 3 + 1).to_string();
    let mut seen = 0;
    let mut cursor: Option<String> = None;
    loop {
        let mut arguments = vec!["read", "--json", "--limit", &limit];
        if let Some(cursor) = &cursor {
            arguments.extend(["--after", cursor]);
        }
        let page: Page = serde_json::from_str(&sandbox.run(&arguments).success().stdout).unwrap();
        if page.events.is_empty() {
            break;
        }
        for event in &page.events {
            assert_eq!(event.id.as_bytes(), by_tx[seen].id, "event {seen}");
            seen += 1;
        }
        cursor = page.cursor;
    }
    assert_eq!(seen, by_tx.len());
}

#[test]
fn many_events_are_read_by_every_path_with_and_without_indexes() {
    let sandbox = Sandbox::with_database();
    let sample = timed("sample", || Sample::new(&sandbox, events_wanted()));
    let import = ["import", "--preserve", "--json", &sample.file];
    let answer = timed("import", || sandbox.run(import).success());
    let report = ndjson(&answer.stdout).pop().unwrap();
    assert_eq!(report["imported"], events_wanted());
    timed("verify", || sandbox.run(["verify"]).success());
    timed("every path", || check_every_path(&sandbox, &sample));

    std::fs::remove_dir_all(sandbox.db().join("index")).unwrap();
    timed("every path without index/", || check_every_path(&sandbox, &sample));
    timed("verify without index/", || sandbox.run(["verify"]).success());
}

/// A batch that the killed import had acknowledged.
struct Acknowledged {
    first: Id,
    last: Id,
    count: u64,
}

/// Imports until a third of the events has been acknowledged, and kills the import. Answers what
/// it had acknowledged, in order: kept by this process, which nothing happens to.
fn import_until_killed(sandbox: &Sandbox, sample: &Sample, durability: &str) -> Vec<Acknowledged> {
    let batch = (events_wanted() / 100).clamp(50, 1_000).to_string();
    let mut child = sandbox
        .command(["import", "--preserve", "--json", "--batch", &batch])
        .args(["--durability", durability, &sample.file])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut acknowledged = Vec::new();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (mut count, mut killed) = (0, false);
    // What is still in the pipe after the kill was acknowledged too.
    for line in lines.map_while(Result::ok) {
        let Ok(line) = serde_json::from_str::<Value>(&line) else { break };
        if line["batch"].is_null() {
            continue;
        }
        let id = |index: usize| line["ids"][index].as_str().unwrap().as_bytes().try_into().unwrap();
        let batch =
            Acknowledged { first: id(0), last: id(1), count: line["count"].as_u64().unwrap() };
        count += batch.count;
        acknowledged.push(batch);
        if !killed && count >= events_wanted() / 3 {
            child.kill().unwrap();
            killed = true;
        }
    }
    child.wait().unwrap();
    assert!(killed && count < events_wanted(), "killed in the middle");
    acknowledged
}

/// Kills an import when a third of the events has been acknowledged. Every event of the list that
/// was kept must be there, once, in its batch and with its content; running the import again makes
/// it whole.
#[test]
fn what_a_killed_import_had_acknowledged_is_there() {
    for durability in ["flushed", "buffered"] {
        let sandbox = Sandbox::with_database();
        let sample = Sample::new(&sandbox, events_wanted());
        let acknowledged = timed("import until it is killed", || {
            import_until_killed(&sandbox, &sample, durability)
        });
        let there = timed("compare one by one", || {
            read_lines(&sandbox, &[], |line| sample.check_content(line))
        });
        let unique = numbers(&there);
        assert!(unique.is_sorted_by(|a, b| a < b), "no event twice");
        let mut next = 1;
        for (batch, number) in acknowledged.iter().zip(1..) {
            let from = there.partition_point(|event| event.id < batch.first);
            let until = there.partition_point(|event| event.id <= batch.last);
            let found = &there[from..until];
            // Records are taken in the order of the file, and nothing else is between a batch's
            // ids: each of its events, one by one.
            let expected: Vec<u64> = (next..next + batch.count).collect();
            assert_eq!(numbers(found), expected, "batch {number}");
            assert!(found[0].id == batch.first && found[found.len() - 1].id == batch.last);
            next += batch.count;
        }
        let count = next - 1;
        eprintln!(
            "{durability}: {count} acknowledged in {} batches, {} there",
            acknowledged.len(),
            there.len()
        );
        timed("verify", || sandbox.run(["verify"]).success());

        let import = ["import", "--preserve", "--json", &sample.file];
        let answer = timed("import again", || sandbox.run(import).success());
        let report = ndjson(&answer.stdout).pop().unwrap();
        let imported = report["imported"].as_u64().unwrap();
        let already = report["already_there"].as_u64().unwrap();
        assert_eq!(imported + already, events_wanted());
        assert_eq!(already, there.len() as u64);
        timed("every path", || check_every_path(&sandbox, &sample));
    }
}

/// Tailing while another process imports: every event once, in order of arrival.
#[test]
fn a_follower_sees_every_event_once() {
    let sandbox = Sandbox::with_database();
    let mut follower = sandbox
        .command(["tail", "--follow", "--json", "-n", "0"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(follower.stdout.take().unwrap()).lines();
    let sample = Sample::new(&sandbox, 3_000);
    sandbox.run(["import", "--preserve", "--batch", "100", &sample.file]).success();
    let mut positions = Vec::new();
    while positions.len() < 3_000 {
        let line: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        positions.push(line["position"].as_u64().unwrap());
        assert!(line["cursor"].is_string());
    }
    follower.kill().unwrap();
    follower.wait().unwrap();
    let expected: Vec<u64> = (1..=3_000).collect();
    assert_eq!(positions, expected);
}

#[test]
fn standard_input_is_as_good_as_a_file() {
    let sandbox = Sandbox::with_database();
    let lines = sandbox.run(["sample", "--events", "1500"]).success().stdout;
    let mut child = sandbox
        .command(["import", "--preserve", "--json", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let report = ndjson(&String::from_utf8(output.stdout).unwrap()).pop().unwrap();
    assert_eq!(report["imported"], 1_500);
    let file = sandbox.file("same.ndjson", &lines);
    let answer = sandbox.run(["import", "--preserve", file.to_str().unwrap()]).success();
    assert!(answer.stdout.contains("1500 already there"), "{}", answer.stdout);
}

/// Records with keys of their own are imported as they come: the first is acknowledged before the
/// second is written.
#[test]
fn a_live_stream_is_imported_as_it_comes() {
    let sandbox = Sandbox::with_database();
    let import = |lines: &[&str]| {
        let mut child = sandbox
            .command(["import", "--root", "r", "--idempotency", "/id", "--batch", "1", "--json"])
            .arg("-")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let mut answers = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut acknowledged = 0;
        for line in lines {
            writeln!(stdin, "{line}").unwrap();
            let answer: Value = serde_json::from_str(&answers.next().unwrap().unwrap()).unwrap();
            acknowledged += answer["count"].as_u64().unwrap();
        }
        drop(stdin);
        let report: Value = serde_json::from_str(&answers.next().unwrap().unwrap()).unwrap();
        assert!(child.wait().unwrap().success());
        assert_eq!(report["imported"], acknowledged);
    };
    import(&[r#"{"id":1}"#, r#"{"id":2}"#, r#"{"n":3}"#]);
    // The same stream again, and one more: the one without a key is known by what came before.
    let lines = "{\"id\":1}\n{\"id\":2}\n{\"n\":3}\n{\"id\":4}\n";
    let arguments = ["import", "--root", "r", "--idempotency", "/id", "--json", "-"];
    let answer = sandbox.run_with_input(arguments, lines).success();
    let report = ndjson(&answer.stdout).pop().unwrap();
    assert_eq!((&report["imported"], &report["already_there"]), (&1.into(), &3.into()));
}
