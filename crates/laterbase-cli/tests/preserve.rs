//! `read --format ndjson` and `import --preserve` are each other's inverse, as far as another log
//! allows it: only ids, places and times of recording differ, and those are kept in meta.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test that cannot go on, or is skipped, says so"
)]

mod support;

use std::collections::HashMap;

use serde_json::{Value, json};
use support::{Sandbox, ndjson};

/// A database in which every field of an event is used by some event.
fn rich() -> Sandbox {
    let sandbox = Sandbox::with_database();
    let append = |arguments: &[&str]| -> String {
        let arguments = [&["append", "--json"], arguments].concat();
        let answer = sandbox.run(arguments).success();
        ndjson(&answer.stdout)[0]["id"].as_str().unwrap().to_owned()
    };
    let booked = append(&[
        "shipment/4711",
        "booked",
        "--data",
        r#"{"n":1.10,"s":"tab\tnull\u0000 ü"}"#,
        "--valid-at",
        "2026-01-05T06:00:00.123456+01:00",
        "--tag",
        "truck:7",
        "--tag",
        "box:a b:c/d",
        "--meta",
        "actor=anna",
        "--idempotency-key",
        "k-1",
        "--schema-version",
        "3",
    ]);
    append(&["shipment/4711", "departed", "--data", "null", "--cause", &booked]);
    append(&["truck", "serviced", "--data", "[ 1,\n 2 ]", "--cause", &booked]);
    append(&["photo/1", "taken", "--data", "not json", "--content-type", "image/png"]);
    append(&["note/1", "cloud", "--data", "{}", "--content-type", "application/cloudevents+json"]);
    append(&["note/1", "orphan", "--data", "1", "--cause", "01ARZ3NDEK000E00000000001A"]);
    sandbox
}

fn dump(sandbox: &Sandbox) -> String {
    sandbox.run(["read", "--format", "ndjson"]).success().stdout
}

#[track_caller]
fn preserve(sandbox: &Sandbox, lines: &str, expected: Value) {
    let file = sandbox.file("dump.ndjson", lines);
    let answer = sandbox.run(["import", "--preserve", "--json", file.to_str().unwrap()]).success();
    let report = ndjson(&answer.stdout).pop().unwrap();
    for (name, count) in expected.as_object().unwrap() {
        assert_eq!(&report[name], count, "{name} in {report}");
    }
}

/// What must survive: everything but what another log cannot take over. Causes are named by
/// their place in the dump.
fn essence(lines: &str) -> Vec<Value> {
    let mut events = ndjson(lines);
    let places: HashMap<String, usize> = events
        .iter()
        .enumerate()
        .map(|(place, event)| (event["id"].as_str().unwrap().to_owned(), place))
        .collect();
    for event in &mut events {
        let own_key = event["key"] == event["id"];
        let event = event.as_object_mut().unwrap();
        for name in ["id", "seq", "tx", "origin", "position", "arrival"] {
            assert!(event.remove(name).is_some(), "{name}");
        }
        if own_key {
            event.remove("key");
        }
        let place =
            event.get("cause").and_then(|cause| places.get(cause.as_str().unwrap())).copied();
        if let Some(place) = place {
            event.insert("cause".to_owned(), json!({ "place": place }));
        }
    }
    events
}

#[test]
fn a_dump_is_taken_whole_and_the_second_dump_is_the_same() {
    let first = rich();
    let first_dump = dump(&first);
    let second = Sandbox::with_database();
    preserve(&second, &first_dump, json!({ "imported": 6, "refused": 0 }));
    let second_dump = dump(&second);

    // Against the original: the first identity is in meta, and ids serve as idempotency keys.
    let originals = ndjson(&first_dump);
    let mut expected = essence(&first_dump);
    for (expected, original) in expected.iter_mut().zip(&originals) {
        let expected = expected.as_object_mut().unwrap();
        // What was the event's own id is now the key that it has.
        expected.insert("key".to_owned(), original["key"].clone());
        expected.entry("idempotency_key").or_insert_with(|| original["id"].clone());
        let meta = expected.entry("meta").or_insert_with(|| json!({}));
        meta["origin.id"] = original["id"].clone();
        meta["origin.seq"] = original["seq"].to_string().into();
        meta["origin.tx"] = original["tx"].clone();
        meta["origin.replica"] = original["origin"].clone();
    }
    assert_eq!(essence(&second_dump), expected);

    // Against itself: from here on nothing changes any more.
    let third = Sandbox::with_database();
    preserve(&third, &second_dump, json!({ "imported": 6, "refused": 0 }));
    assert_eq!(essence(&dump(&third)), essence(&second_dump));
}

#[test]
fn what_a_database_holds_is_not_imported_again() {
    let first = rich();
    let first_dump = dump(&first);
    preserve(&first, &first_dump, json!({ "imported": 0, "already_there": 6, "refused": 0 }));
    assert_eq!(dump(&first), first_dump);

    let second = Sandbox::with_database();
    preserve(&second, &first_dump, json!({ "imported": 6 }));
    let second_dump = dump(&second);
    preserve(&second, &first_dump, json!({ "imported": 0, "already_there": 6, "refused": 0 }));
    preserve(&second, &second_dump, json!({ "imported": 0, "already_there": 6, "refused": 0 }));
    // The copies are known where the originals are.
    preserve(&first, &second_dump, json!({ "imported": 0, "already_there": 6, "refused": 0 }));
    assert_eq!(dump(&second), second_dump);
}

#[test]
fn bytes_that_are_no_json_come_back_as_they_were() {
    let sandbox = Sandbox::with_database();
    let file = sandbox.file("picture", [0_u8, 255, 10, 13, 34]);
    let data = format!("@{}", file.display());
    sandbox
        .run(["append", "photo/1", "taken", "--content-type", "image/png", "--data", &data])
        .success();
    let copy = Sandbox::with_database();
    preserve(&copy, &dump(&sandbox), json!({ "imported": 1 }));
    let event = copy.read(&[]).remove(0);
    assert_eq!(event["content_type"], "image/png");
    assert_eq!(event["data_base64"], "AP8KDSI=");
}

#[test]
fn an_interrupted_import_is_resumed_by_running_it_again() {
    let lines = Sandbox::new().run(["sample", "--events", "2500", "--seed", "5"]).success().stdout;
    let sandbox = Sandbox::with_database();
    let some: String = lines.lines().take(1_700).map(|line| format!("{line}\n")).collect();
    preserve(&sandbox, &some, json!({ "imported": 1_700 }));
    // Batches lie elsewhere now: some are there in part.
    let file = sandbox.file("all.ndjson", &lines);
    let file = file.to_str().unwrap();
    let arguments = ["import", "--preserve", "--json", "--batch", "400", file];
    let answer = sandbox.run(arguments).success();
    let report = ndjson(&answer.stdout).pop().unwrap();
    assert_eq!(report["imported"], 800);
    assert_eq!(report["already_there"], 1_700);
    assert_eq!(sandbox.read(&[]).len(), 2_500);
}
