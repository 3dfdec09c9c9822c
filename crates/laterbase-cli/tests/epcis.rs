//! Real supply-chain documents, imported with one command and read back.
//!
//! The documents are GS1 EPCIS 2.0 captures beside the repository, in `shared/data/epcis`; where
//! they are missing these tests say so and are skipped. What a careful reader expects of them is
//! in `fixtures/epcis-expected.ndjson`, one line for each of the 68 events in the order of the
//! files. It was made by reading the documents with another JSON parser, in another language,
//! and checked by hand; nothing of it comes from the code under test.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test that cannot go on, or is skipped, says so"
)]

#[path = "epcis/questions.rs"]
mod questions;
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;
use support::{Sandbox, ndjson};

const EXPECTED: &str = include_str!("fixtures/epcis-expected.ndjson");

/// The one command: `eventTime` is valid time, every EPC is a tag.
const IMPORT: [&str; 17] = [
    "import",
    "--root",
    "epcis",
    "--each",
    "/epcisBody/eventList",
    "--type",
    "/type",
    "--valid-at",
    "/eventTime",
    "--tag",
    "epc=/epcList",
    "--tag",
    "epc=/childEPCs",
    "--tag",
    "epc=/parentID",
    "--tag",
    "epc=/inputEPCList",
];

/// From, until (not included), and how many events happened in between.
const VALID_RANGES: [(&str, &str, usize); 5] = [
    ("2005-01-01", "2006-01-01", 11),
    ("2013-01-01", "2014-01-01", 9),
    ("2019-10-07", "2019-10-08", 5),
    ("2019-11-01T14:00:00+01:00", "2019-11-06T14:00:00+01:00", 5),
    ("1970-01-01", "2005-01-01", 0),
];

/// Events in the first twelve files: up to `Combination_of_different_event.json`.
const FIRST_TWELVE_FILES: usize = 19;

/// Of the three event ids that stand twice, how many mean the same event both times.
const TWICE_AND_EQUAL: u64 = 1;

#[derive(Debug)]
struct Expected {
    file: String,
    type_name: String,
    valid_at_micros: i64,
    epcs: BTreeSet<String>,
}

fn expected() -> Vec<Expected> {
    ndjson(EXPECTED)
        .iter()
        .map(|line| Expected {
            file: line["file"].as_str().unwrap().to_owned(),
            type_name: line["type"].as_str().unwrap().to_owned(),
            valid_at_micros: line["valid_at_us"].as_i64().unwrap(),
            epcs: line["epcs"]
                .as_array()
                .unwrap()
                .iter()
                .map(|epc| epc.as_str().unwrap().to_owned())
                .collect(),
        })
        .collect()
}

/// The documents' directory, found by walking up from this package to beside the repository.
fn documents() -> Option<Vec<PathBuf>> {
    let found = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .map(|directory| directory.join("shared/data/epcis"))
        .find(|directory| directory.is_dir());
    let Some(directory) = found else {
        eprintln!("SKIPPED: no shared/data/epcis beside the repository");
        return None;
    };
    let mut files: Vec<PathBuf> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    files.sort();
    assert_eq!(files.len(), 38, "the documents are not those that the test knows");
    Some(files)
}

fn import(sandbox: &Sandbox, files: &[PathBuf]) -> Value {
    let mut arguments: Vec<&str> = IMPORT.to_vec();
    arguments.extend(["--tag", "epc=/outputEPCList", "--json"]);
    arguments.extend(files.iter().map(|path| path.to_str().unwrap()));
    let output = sandbox.run(&arguments).success();
    ndjson(&output.stdout).pop().unwrap()
}

/// What must be equal of an event that was read and one that is expected.
fn read_line(event: &Value) -> (String, i64, BTreeSet<String>) {
    let valid_at = laterbase_cli::time::parse(event["valid_at"].as_str().unwrap()).unwrap();
    let tags = event["tags"].as_array().cloned().unwrap_or_default();
    let epcs = tags
        .iter()
        .map(|tag| tag.as_str().unwrap().strip_prefix("epc:").unwrap().to_owned())
        .collect();
    (event["type"].as_str().unwrap().to_owned(), valid_at, epcs)
}

fn expected_line(event: &Expected) -> (String, i64, BTreeSet<String>) {
    (event.type_name.clone(), event.valid_at_micros, event.epcs.clone())
}

#[test]
fn every_event_of_the_documents_comes_in_whole() {
    let Some(files) = documents() else { return };
    let sandbox = Sandbox::with_database();
    let report = import(&sandbox, &files);
    assert_eq!(report["imported"], 68);
    assert_eq!(report["already_there"], 0);
    assert_eq!(report["refused"], 0);
    assert_eq!(report["files"], 38);

    let events = sandbox.read(&["--order", "arrival"]);
    let expected = expected();
    assert_eq!(events.len(), 68);
    let mut from_files = files.iter().flat_map(|path| {
        let document: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        document["epcisBody"]["eventList"].as_array().unwrap().clone()
    });
    for (event, expected) in events.iter().zip(&expected) {
        assert_eq!(read_line(event), expected_line(expected), "{}", expected.file);
        assert_eq!(event["data"], from_files.next().unwrap(), "{}", expected.file);
        assert_eq!(event["root"], "epcis");
        // No --key: the event's own id is its key.
        assert_eq!(event["key"], event["id"]);
    }
    let ids: BTreeSet<&str> = events.iter().map(|event| event["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 68);
}

#[test]
fn reading_by_tag_gives_each_things_events() {
    let Some(files) = documents() else { return };
    let sandbox = Sandbox::with_database();
    import(&sandbox, &files);
    // Counted by hand in the documents.
    for (epc, count) in [
        ("urn:epc:id:sgtin:0614141.107346.2018", 13),
        ("urn:epc:id:sgtin:0614141.107346.2017", 9),
        ("urn:epc:id:sscc:0614141.1234567890", 6),
        ("https://id.gs1.de/01/04012345999990/21/XYZ-1234", 6),
        ("urn:epc:id:grai:4012345.55555.98765", 3),
        ("urn:epc:id:sgtin:0614141.107346.9999", 0),
    ] {
        let tag = format!("epc:{epc}");
        assert_eq!(sandbox.read(&["--tag", &tag]).len(), count, "{epc}");
    }
    // And every one of the 56 EPCs against the expected list.
    let mut by_epc = BTreeMap::<String, Vec<(String, i64, BTreeSet<String>)>>::new();
    for event in expected() {
        for epc in &event.epcs {
            by_epc.entry(epc.clone()).or_default().push(expected_line(&event));
        }
    }
    assert_eq!(by_epc.len(), 56);
    for (epc, expected) in by_epc {
        let tag = format!("epc:{epc}");
        let events = sandbox.read(&["--tag", &tag, "--order", "arrival"]);
        let events: Vec<_> = events.iter().map(read_line).collect();
        assert_eq!(events, expected, "{epc}");
    }
    let both = sandbox.read(&[
        "--tag",
        "epc:urn:epc:id:sgtin:0614141.107346.2017",
        "--tag",
        "epc:urn:epc:id:sscc:0614141.1234567890",
        "--type",
        "AggregationEvent",
    ]);
    let both: Vec<_> = both.iter().map(read_line).collect();
    let expected: Vec<_> = expected()
        .iter()
        .filter(|event| {
            event.type_name == "AggregationEvent"
                && event.epcs.contains("urn:epc:id:sgtin:0614141.107346.2017")
                && event.epcs.contains("urn:epc:id:sscc:0614141.1234567890")
        })
        .map(expected_line)
        .collect();
    assert_eq!(both, expected);
}

#[test]
fn reading_by_valid_time_is_by_when_it_happened() {
    let Some(files) = documents() else { return };
    let sandbox = Sandbox::with_database();
    import(&sandbox, &files);
    // Counted by hand: what happened in 2005, in 2013, on a day of 2019, in a half-open range.
    for (from, until, count) in VALID_RANGES {
        let events =
            sandbox.read(&["--valid-from", from, "--valid-until", until, "--order", "valid"]);
        assert_eq!(events.len(), count, "{from} to {until}");
        let micros = |text| laterbase_cli::time::parse(text).unwrap();
        let mut expected: Vec<_> = expected()
            .iter()
            .filter(|event| (micros(from)..micros(until)).contains(&event.valid_at_micros))
            .map(expected_line)
            .collect();
        // Events of the same moment stand in the order of their ids, and so of the files.
        expected.sort_by_key(|(_, valid_at, _)| *valid_at);
        assert_eq!(events.iter().map(read_line).collect::<Vec<_>>(), expected);
    }
}

#[test]
fn as_of_a_moment_between_two_imports_is_what_was_known_then() {
    let Some(files) = documents() else { return };
    let sandbox = Sandbox::with_database();
    let (first, second) = files.split_at(12);
    assert_eq!(import(&sandbox, first)["imported"], FIRST_TWELVE_FILES);
    let between = sandbox.moment();
    assert_eq!(import(&sandbox, second)["imported"], 68 - FIRST_TWELVE_FILES);

    let then = sandbox.read(&["--as-of", &between, "--order", "arrival"]);
    let then: Vec<_> = then.iter().map(read_line).collect();
    let expected: Vec<_> = expected().iter().take(FIRST_TWELVE_FILES).map(expected_line).collect();
    assert_eq!(then, expected);
    assert_eq!(sandbox.read(&[]).len(), 68);
    // What was back-dated by the second import is in the range now and was not then.
    let range = ["--valid-from", "2005-01-01", "--valid-until", "2006-01-01"];
    assert_eq!(sandbox.read(&range).len(), 11);
    let as_of = [range.as_slice(), &["--as-of", &between]].concat();
    assert_eq!(sandbox.read(&as_of).len(), 0);
}

#[test]
fn importing_the_documents_twice_adds_nothing() {
    let Some(files) = documents() else { return };
    let sandbox = Sandbox::with_database();
    import(&sandbox, &files);
    let before = sandbox.read(&["--order", "arrival"]);
    let report = import(&sandbox, &files);
    assert_eq!(report["imported"], 0);
    assert_eq!(report["already_there"], 68);
    assert_eq!(report["refused"], 0);
    assert_eq!(sandbox.read(&["--order", "arrival"]), before);
}

/// Three event ids stand twice in the documents, one of them for equal events and two for
/// different ones. With the event id as idempotency key the equal one is there already, and the
/// different ones are refused with their places.
#[test]
fn event_ids_as_idempotency_keys_find_what_is_there_twice() {
    let Some(files) = documents() else { return };
    let sandbox = Sandbox::with_database();
    let mut arguments: Vec<&str> = IMPORT.to_vec();
    arguments.extend(["--tag", "epc=/outputEPCList", "--json", "--idempotency", "/eventID"]);
    arguments.extend(files.iter().map(|path| path.to_str().unwrap()));
    let output = sandbox.run(&arguments).code(5);
    let lines = ndjson(&output.stdout);
    let report = lines.last().unwrap();
    assert_eq!(report["imported"], 65);
    assert_eq!(report["already_there"], TWICE_AND_EQUAL);
    assert_eq!(report["refused"], 3 - TWICE_AND_EQUAL);
    // Again: nothing is added, the events without an id neither.
    let output = sandbox.run(&arguments).code(5);
    let lines = ndjson(&output.stdout);
    let report = lines.last().unwrap();
    assert_eq!(report["imported"], 0);
    assert_eq!(report["already_there"], 65 + TWICE_AND_EQUAL);
}
