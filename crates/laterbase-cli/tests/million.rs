//! Many generated events: imported, verified, read by each path; the same after `index/` is
//! deleted, and after kill -9 in the middle of an import.
//!
//! What each path must answer is computed from the sample itself, by a plain loop over its lines.
//! By default 20,000 events; `LATERBASE_TEST_EVENTS=1000000` runs the full count.
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

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Stdio;

use serde_json::Value;
use support::{Sandbox, ndjson};

fn events_wanted() -> u64 {
    std::env::var("LATERBASE_TEST_EVENTS").map_or(20_000, |count| count.parse().unwrap())
}

/// The sample, as a file and as values.
fn sample(sandbox: &Sandbox, events: u64) -> (String, Vec<Value>) {
    let events = events.to_string();
    let answer =
        sandbox.run(["sample", "--events", &events, "--seed", "42", "--back-dated", "5"]).success();
    let file = sandbox.file("sample.ndjson", &answer.stdout);
    (file.to_str().unwrap().to_owned(), ndjson(&answer.stdout))
}

fn text<'a>(event: &'a Value, name: &str) -> &'a str {
    event[name].as_str().unwrap()
}

/// What identifies an event of the sample: its number is in its idempotency key.
fn numbers(events: &[Value]) -> Vec<u64> {
    events
        .iter()
        .map(|event| text(event, "idempotency_key").rsplit('-').next().unwrap().parse().unwrap())
        .collect()
}

fn sorted(mut numbers: Vec<u64>) -> Vec<u64> {
    numbers.sort_unstable();
    numbers
}

/// Every path against the sample.
#[track_caller]
fn check_every_path(sandbox: &Sandbox, sample: &[Value]) {
    let all: Vec<u64> = (1..=sample.len() as u64).collect();
    let wanted = |matches: &dyn Fn(&Value) -> bool| -> Vec<u64> {
        numbers(&sample.iter().filter(|event| matches(event)).cloned().collect::<Vec<_>>())
    };

    // Arrival: as they were imported, batch by batch and, within a batch, root by root.
    let arrived = sandbox.read(&["--order", "arrival"]);
    assert_eq!(sorted(numbers(&arrived)), all);
    for event in arrived.iter().step_by(997) {
        let number = numbers(std::slice::from_ref(event))[0];
        let origin = &sample[usize::try_from(number).unwrap() - 1];
        for name in ["root", "key", "type", "valid_at", "data"] {
            assert_eq!(event[name], origin[name], "{name} of {number}");
        }
    }
    // Transaction time: by id.
    let by_tx = sandbox.read(&[]);
    assert!(by_tx.is_sorted_by_key(|event| text(event, "id").to_owned()));
    assert_eq!(sorted(numbers(&by_tx)), all);
    let reversed = sandbox.read(&["--reverse"]);
    assert!(reversed.iter().rev().eq(by_tx.iter()));
    // Valid time, all of it and a range that the late ones reach into.
    let by_valid = sandbox.read(&["--order", "valid"]);
    assert!(by_valid.is_sorted_by_key(|event| {
        let valid_at = laterbase_cli::time::parse(text(event, "valid_at")).unwrap();
        (valid_at, text(event, "id").to_owned())
    }));
    assert_eq!(sorted(numbers(&by_valid)), all);
    let (from, until) = ("2026-01-04T00:00:00.000Z", "2026-01-05T06:10:00.000Z");
    let in_range = sandbox.read(&["--valid-from", from, "--valid-until", until]);
    let expected = wanted(&|event| (from..until).contains(&text(event, "valid_at")));
    assert!(!expected.is_empty());
    assert_eq!(sorted(numbers(&in_range)), expected);
    // Root, stream, tag, type, and a tag with a type.
    let in_root = sandbox.read(&["--root", "sensor"]);
    assert_eq!(sorted(numbers(&in_root)), wanted(&|event| event["root"] == "sensor"));
    let stream = sandbox.read(&["shipment/S-0000007"]);
    assert_eq!(
        sorted(numbers(&stream)),
        wanted(&|event| event["root"] == "shipment" && event["key"] == "S-0000007")
    );
    let has_tag = |event: &Value, tag: &str| {
        event["tags"].as_array().unwrap().iter().any(|found| found == tag)
            || format!("{}:{}", text(event, "root"), text(event, "key")) == tag
    };
    for tag in ["truck:T-0042", "site:DEHAM", "shipment:S-0000007"] {
        let tagged = sandbox.read(&["--tag", tag]);
        assert_eq!(sorted(numbers(&tagged)), wanted(&|event| has_tag(event, tag)), "{tag}");
    }
    let of_types = sandbox.read(&["--type", "arrived", "--type", "delivered"]);
    assert_eq!(
        sorted(numbers(&of_types)),
        wanted(&|event| event["type"] == "arrived" || event["type"] == "delivered")
    );
    let both = sandbox.read(&["--tag", "site:NLRTM", "--type", "scanned", "--order", "valid"]);
    assert_eq!(
        sorted(numbers(&both)),
        wanted(&|event| event["type"] == "scanned" && has_tag(event, "site:NLRTM"))
    );
    // Ids: a page of them, and pages by cursor that together are the whole.
    let ids: Vec<&str> = by_tx.iter().step_by(1_501).map(|event| text(event, "id")).collect();
    let got = sandbox.run([&["get", "--json"], ids.as_slice()].concat()).success();
    let got: Value = serde_json::from_str(&got.stdout).unwrap();
    assert!(got["events"].as_array().unwrap().iter().map(|event| text(event, "id")).eq(ids));
    check_pages(sandbox, &by_tx);
}

#[track_caller]
fn check_pages(sandbox: &Sandbox, by_tx: &[Value]) {
    let limit = (by_tx.len() / 3 + 1).to_string();
    let mut seen: Vec<String> = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let mut arguments = vec!["read", "--json", "--limit", &limit];
        if let Some(cursor) = &cursor {
            arguments.extend(["--after", cursor]);
        }
        let page: Value = serde_json::from_str(&sandbox.run(&arguments).success().stdout).unwrap();
        let events = page["events"].as_array().unwrap();
        if events.is_empty() {
            break;
        }
        seen.extend(events.iter().map(|event| text(event, "id").to_owned()));
        cursor = Some(text(&page, "cursor").to_owned());
    }
    assert!(seen.iter().map(String::as_str).eq(by_tx.iter().map(|event| text(event, "id"))));
}

#[test]
fn many_events_are_read_by_every_path_with_and_without_indexes() {
    let sandbox = Sandbox::with_database();
    let (file, sample) = sample(&sandbox, events_wanted());
    let answer = sandbox.run(["import", "--preserve", "--json", &file]).success();
    let report = ndjson(&answer.stdout).pop().unwrap();
    assert_eq!(report["imported"], events_wanted());
    sandbox.run(["verify"]).success();
    check_every_path(&sandbox, &sample);

    std::fs::remove_dir_all(sandbox.db().join("index")).unwrap();
    check_every_path(&sandbox, &sample);
    sandbox.run(["verify"]).success();
}

/// Kills an import when a third of the events has been acknowledged. This process keeps the list
/// of what was: every one must be there, and running the import again makes it whole.
#[test]
fn what_a_killed_import_had_acknowledged_is_there() {
    for durability in ["flushed", "buffered"] {
        let sandbox = Sandbox::with_database();
        let (file, sample) = sample(&sandbox, events_wanted());
        let batch = (events_wanted() / 100).clamp(50, 1_000).to_string();
        let mut child = sandbox
            .command(["import", "--preserve", "--json", "--batch", &batch])
            .args(["--durability", durability, &file])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut acknowledged: HashMap<u64, (String, String)> = HashMap::new();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut count = 0;
        let mut killed = false;
        // What is still in the pipe after the kill was acknowledged too.
        while let Some(Ok(line)) = lines.next() {
            let Ok(line) = serde_json::from_str::<Value>(&line) else { break };
            let Some(number) = line["batch"].as_u64() else { continue };
            let ids = (line["ids"][0].as_str().unwrap(), line["ids"][1].as_str().unwrap());
            acknowledged.insert(number, (ids.0.to_owned(), ids.1.to_owned()));
            count += line["count"].as_u64().unwrap();
            if !killed && count >= events_wanted() / 3 {
                child.kill().unwrap();
                killed = true;
            }
        }
        child.wait().unwrap();
        assert!(killed && count < events_wanted(), "killed in the middle");

        let there: Vec<String> =
            sandbox.read(&[]).iter().map(|event| text(event, "id").to_owned()).collect();
        let mut acknowledged_there = 0;
        for (number, (first, last)) in &acknowledged {
            let from = there.partition_point(|id| id < first);
            let until = there.partition_point(|id| id <= last);
            assert!(from < until && there[from] == *first && there[until - 1] == *last);
            acknowledged_there += (until - from) as u64;
            assert!(until - from <= 1_000, "batch {number}");
        }
        assert_eq!(acknowledged_there, count, "every acknowledged event, and each once");
        sandbox.run(["verify"]).success();

        let answer = sandbox.run(["import", "--preserve", "--json", &file]).success();
        let report = ndjson(&answer.stdout).pop().unwrap();
        let imported = report["imported"].as_u64().unwrap();
        let already = report["already_there"].as_u64().unwrap();
        assert_eq!(imported + already, events_wanted());
        assert!(already >= count);
        check_every_path(&sandbox, &sample);
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
    let (file, _) = sample(&sandbox, 3_000);
    sandbox.run(["import", "--preserve", "--batch", "100", &file]).success();
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
