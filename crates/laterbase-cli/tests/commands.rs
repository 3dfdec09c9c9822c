//! What each command prints, as golden text that a person has read.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on says where"
)]

mod support;

use serde_json::Value;
use support::{Sandbox, answer, check_golden, mask, ndjson};

/// Two shipments, three trucks, an effect with its cause, bytes, and a late scan.
fn story() -> Sandbox {
    let sandbox = Sandbox::with_database();
    let append = |arguments: &[&str]| {
        let arguments = [&["append", "--json"], arguments].concat();
        let answer = sandbox.run(arguments).success();
        ndjson(&answer.stdout)[0]["id"].as_str().unwrap().to_owned()
    };
    let booked = append(&[
        "shipment/4711",
        "booked",
        "--data",
        r#"{"boxes": 2, "from": "DEHAM", "to": "NLRTM"}"#,
        "--valid-at",
        "2026-03-02T07:30:00Z",
        "--tag",
        "box:A1",
        "--tag",
        "box:A2",
        "--meta",
        "actor=anna",
    ]);
    append(&[
        "shipment/4711",
        "departed",
        "--data",
        r#"{"odometer_km": 1.10}"#,
        "--valid-at",
        "2026-03-02T10:00:00Z",
        "--tag",
        "truck:7",
        "--cause",
        &booked,
    ]);
    append(&[
        "shipment/4712",
        "departed",
        "--data",
        "{}",
        "--valid-at",
        "2026-03-02T10:20:00Z",
        "--tag",
        "truck:9",
        "--idempotency-key",
        "gate-3/88",
    ]);
    append(&[
        "shipment/4711",
        "scanned",
        "--data",
        r#"{"note":"box A2 is missing, \u001b[31m\"really\""}"#,
        "--valid-at",
        "2026-03-02T09:40:00.125Z",
        "--tag",
        "truck:7",
        "--tag",
        "device:scanner 12",
    ]);
    append(&[
        "photo",
        "taken",
        "--data",
        "\u{1}\u{2}",
        "--content-type",
        "image/png",
        "--schema-version",
        "2",
        "--valid-at",
        "2026-03-02T09:41:00Z",
    ]);
    sandbox
}

#[track_caller]
fn check(sandbox: &Sandbox, name: &str, arguments: &[&str]) {
    let answer = sandbox.run(arguments).success();
    check_golden(name, &mask(&answer.stdout, sandbox));
}

#[test]
fn events_are_listed_in_every_layout() {
    let sandbox = story();
    check(&sandbox, "read.txt", &["read"]);
    check(&sandbox, "read.json", &["read", "--json"]);
    check(&sandbox, "read.ndjson", &["read", "--format", "ndjson"]);
    check(&sandbox, "read.csv", &["read", "--format", "csv"]);
    check(&sandbox, "read-nothing.json", &["read", "--json", "--root", "nothing"]);
    check(&sandbox, "read-nothing.txt", &["read", "--root", "nothing"]);
    // The document is the lines.
    let document = sandbox.run(["read", "--json"]).success().stdout;
    let document: Value = serde_json::from_str(&document).unwrap();
    assert_eq!(document["events"].as_array().unwrap(), &sandbox.read(&[]));
    assert_eq!(document["count"], 5);
}

#[test]
fn a_table_fits_the_width_and_is_plain_where_nobody_looks() {
    let sandbox = story();
    for width in ["100", "72"] {
        let mut command = sandbox.command(["read", "--order", "valid"]);
        command.env("COLUMNS", width);
        let answer = answer(command, "").success();
        let limit: usize = width.parse().unwrap();
        for line in answer.stdout.lines() {
            assert!(line.chars().count() <= limit, "{line}");
            assert!(!line.contains('\x1b'), "{line}");
        }
        check_golden(&format!("read-{width}.txt"), &mask(&answer.stdout, &sandbox));
    }
}

#[test]
fn times_are_shown_in_utc_or_as_the_machine_has_them() {
    let sandbox = story();
    let mut command =
        sandbox.command(["read", "--local", "--type", "scanned", "--format", "ndjson"]);
    command.env("TZ", "Europe/Berlin");
    let event = &ndjson(&answer(command, "").success().stdout)[0];
    assert_eq!(event["valid_at"], "2026-03-02T10:40:00.125+01:00");
    let event = &sandbox.read(&["--utc", "--type", "scanned"])[0];
    assert_eq!(event["valid_at"], "2026-03-02T09:40:00.125Z");
}

/// How long ago something was depends on when the test runs.
fn without_age(text: &str) -> String {
    let lines = text.lines().map(|line| line.split("  (").next().unwrap());
    lines.map(|line| format!("{line}\n")).collect()
}

#[test]
fn an_event_is_shown_in_full() {
    let sandbox = story();
    let ids: Vec<String> =
        sandbox.read(&[]).iter().map(|event| event["id"].as_str().unwrap().to_owned()).collect();
    let cards: String = ids
        .iter()
        .map(|id| without_age(&sandbox.run(["get", id]).success().stdout) + "\n")
        .collect();
    check_golden("get.txt", &mask(&cards, &sandbox));
    let missing = "01ARZ3NDEK000E00000000001A";
    let answer = sandbox.run(["get", "--json", &ids[1], missing]).code(3);
    check_golden("get.json", &mask(&answer.stdout, &sandbox));
    assert_eq!(answer.stderr, "");
}

#[test]
fn filters_hold_together() {
    let sandbox = story();
    let booked = sandbox.read(&["--type", "booked"])[0]["id"].as_str().unwrap().to_owned();
    let departed = sandbox.read(&["shipment/4711", "--type", "departed"]).remove(0);
    let departed = departed["id"].as_str().unwrap();
    for (arguments, types) in [
        (vec!["shipment"], vec!["booked", "departed", "departed", "scanned"]),
        (vec!["shipment/4711"], vec!["booked", "departed", "scanned"]),
        (vec!["--root", "shipment", "--key", "4712"], vec!["departed"]),
        (vec!["--tag", "truck:7"], vec!["departed", "scanned"]),
        (vec!["--tag", "truck:7", "--tag", "device:scanner 12"], vec!["scanned"]),
        (vec!["--tag", "shipment:4712"], vec!["departed"]),
        (vec!["--type", "booked", "--type", "scanned"], vec!["booked", "scanned"]),
        (vec!["--tag", "truck:7", "--type", "booked"], vec![]),
        (vec!["--caused-by", &booked], vec!["departed"]),
        (vec!["--effects-of", &booked], vec!["departed"]),
        (vec!["--causes-of", departed], vec!["booked"]),
        (vec!["--order", "valid"], vec!["booked", "scanned", "taken", "departed", "departed"]),
        (vec!["--order", "arrival", "--reverse", "--limit", "2"], vec!["taken", "scanned"]),
        (
            vec![
                "--valid-from",
                "2026-03-02T09:40:00.125Z",
                "--valid-until",
                "2026-03-02T10:00:00Z",
            ],
            vec!["scanned", "taken"],
        ),
        (vec!["--tx-until", "2026-03-03"], vec![]),
        (vec!["--as-of", "2026-03-03"], vec![]),
        (vec!["--recorded-by", "2026-03-03"], vec![]),
    ] {
        let events = sandbox.read(&arguments);
        let found: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
        assert_eq!(found, types, "{arguments:?}");
    }
}

#[test]
fn a_version_vector_divides_what_is_known_from_what_is_not() {
    let sandbox = story();
    let stats = sandbox.run(["stats", "--json"]).success().stdout;
    let stats: Value = serde_json::from_str(&stats).unwrap();
    let vector = stats["vv"].as_str().unwrap();
    sandbox.run(["append", "shipment/4712", "arrived", "--data", "{}"]).success();
    let unknown = sandbox.read(&["--vv", vector]);
    assert_eq!(unknown.len(), 1);
    assert_eq!(unknown[0]["type"], "arrived");
    assert_eq!(sandbox.read(&["--as-of-vv", vector]).len(), 5);
    assert_eq!(stats["events"], 5);
    assert_eq!(stats["roots"]["shipment"]["events"], 4);
}

#[test]
fn the_tail_goes_on_behind_its_cursor() {
    let sandbox = story();
    let tail = |arguments: &[&str]| {
        let arguments = [&["tail", "--json"], arguments].concat();
        ndjson(&sandbox.run(arguments).success().stdout)
    };
    let types = |events: &[Value]| -> Vec<String> {
        events.iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
    };
    let last = tail(&["-n", "2"]);
    assert_eq!(types(&last), ["scanned", "taken"]);
    let cursor = last[0]["cursor"].as_str().unwrap();
    assert_eq!(types(&tail(&["--after", cursor])), ["taken"]);
    assert_eq!(types(&tail(&["-n", "1", "--tag", "truck:7"])), ["scanned"]);
    let end = last[1]["cursor"].as_str().unwrap();
    assert!(tail(&["--after", end]).is_empty());
}

#[test]
fn answers_of_the_other_commands() {
    let sandbox = Sandbox::new();
    check(&sandbox, "init.txt", &["init"]);
    check(&sandbox, "init.json", &["--json", "init", "other"]);
    check(&sandbox, "append.txt", &["append", "shipment/1", "booked", "--data", "{}"]);
    check(&sandbox, "append.json", &["append", "shipment/1", "left", "--data", "1", "--json"]);
    check(&sandbox, "verify.txt", &["verify"]);
    check(&sandbox, "verify.json", &["verify", "--json"]);
    check(&sandbox, "repair.txt", &["repair"]);
    sandbox.file("list.csv", "id,at\n7,2026-03-01T12:00:00Z\n8,\n");
    let import = ["import", "--root", "r", "--key", "/id", "--valid-at", "/at", "list.csv"];
    let answer = sandbox.run(import).code(5);
    check_golden("import.txt", &mask(&answer.stdout, &sandbox));
}

#[test]
fn a_backup_becomes_a_replica_of_its_own() {
    let sandbox = story();
    let before = sandbox.read(&[]);
    sandbox.run(["backup", "copy"]).success();
    sandbox.run(["append", "shipment/4712", "arrived", "--data", "{}"]).success();
    sandbox.run(["backup", "copy"]).success();
    let answer = sandbox.run(["restore", "copy", "--db", "restored", "--json"]).success();
    let report: Value = serde_json::from_str(&answer.stdout).unwrap();
    assert_ne!(report["replica"], before[0]["origin"]);
    let restored = sandbox.run(["read", "--db", "restored", "--format", "ndjson"]).success().stdout;
    let restored = ndjson(&restored);
    assert_eq!(restored.len(), 6);
    assert_eq!(restored[0]["id"], before[0]["id"]);
    sandbox.run(["verify", "--db", "restored"]).success();
    sandbox.run(["append", "--db", "restored", "shipment/1", "new", "--data", "1"]).success();
    sandbox.run(["restore", "copy", "--db", "restored"]).code(11);
    sandbox.run(["restore", "no-backup", "--db", "another"]).code(3);
}

#[cfg(feature = "demo")]
#[test]
fn the_demo_shows_the_whole_idea() {
    let sandbox = Sandbox::new();
    let answer = sandbox.run(["demo"]).success();
    check_golden("demo.txt", &mask(&without_age(&answer.stdout), &sandbox));
    sandbox.run(["demo", "--keep", "kept"]).success();
    let answer = sandbox.run(["read", "--db", "kept/demo.db", "--format", "ndjson"]).success();
    assert_eq!(ndjson(&answer.stdout).len(), 6);
    sandbox.run(["demo", "--keep", "kept"]).code(11);
}

#[test]
fn help_and_version_are_answers_and_not_mistakes() {
    let sandbox = Sandbox::new();
    sandbox.run(["--version"]).success();
    check(&sandbox, "help.txt", &["-h"]);
    for command in ["append", "import", "read", "tail", "sample"] {
        let answer = sandbox.run([command, "--help"]).success();
        assert!(answer.stdout.contains("Usage: laterbase "), "{}", answer.stdout);
    }
    let answer = sandbox.run(["--frobnicate", "--json"]).code(2);
    assert_eq!(ndjson(&answer.stderr)[0]["error"], "usage");
}

#[cfg(all(feature = "completions", feature = "man"))]
#[test]
fn completions_and_manual_pages_are_made() {
    let sandbox = Sandbox::new();
    for shell in ["bash", "zsh", "fish"] {
        let answer = sandbox.run(["completions", shell]).success();
        assert!(answer.stdout.contains("laterbase"), "{shell}");
    }
    assert!(sandbox.run(["man"]).success().stdout.contains(".TH laterbase 1"));
    assert!(sandbox.run(["man", "import"]).success().stdout.contains("POINTER"));
    sandbox.run(["man", "--into", "pages"]).success();
    assert!(sandbox.path("pages/laterbase-import.1").exists());
    sandbox.run(["man", "nothing"]).code(3);
}

#[test]
fn a_question_is_answered_in_every_layout() {
    let sandbox = story();
    let text = "?{key, type, at, km: payload.odometer_km} \
                :- event{root: \"shipment\", key, type, at, payload} order by at";
    check(&sandbox, "query.txt", &["query", "-e", text]);
    check(&sandbox, "query.json", &["query", "--json", "-e", text]);
    check(&sandbox, "query.ndjson", &["query", "--format", "ndjson", "-e", text]);
    check(&sandbox, "query.csv", &["query", "--format", "csv", "-e", text]);
    let nested = "?{key, events: many {kind: type, at, effects: many {kind: other, of} \
                  :- event{type: other, key: of, cause: id}} \
                  :- event{id, key, type, at} order by at} \
                  :- event{root: \"shipment\", key}";
    check(&sandbox, "query-tree.txt", &["query", "--format", "tree", "-e", nested]);
}

#[test]
fn a_question_comes_from_a_file_with_parameters_and_a_schema() {
    let sandbox = story();
    sandbox.file(
        "gates.later",
        "?{odometer_km, at} :- shipment.departed{odometer_km, at}, at < $before\n",
    );
    sandbox.file("fleet.later", "root shipment { event 1 departed { 1 odometer_km: decimal } }\n");
    let mut arguments = vec!["query", "gates.later", "--param", "before=\"2027-01-01\""];
    let without = sandbox.run(&arguments).success();
    arguments.extend(["--schema", "fleet.later", "--json"]);
    let with = sandbox.run(&arguments).success();
    assert!(without.stdout.contains("1.1"), "{}", without.stdout);
    let column = r#"{"name":"odometer_km","type":"decimal"}"#;
    assert!(with.stdout.contains(column), "{}", with.stdout);
    assert!(with.stdout.contains(r#""odometer_km":1.1"#), "{}", with.stdout);
}

#[test]
fn mistakes_in_a_question_are_shown_with_their_lines() {
    let sandbox = story();
    let schema = "root shipment { event 1 departed { 1 gate: int } }\n";
    sandbox.file("fleet.later", schema);
    sandbox.file("wrong.later", "root shipment { event 1 departed { 1 gate: number } }\n");
    let mut said = String::new();
    for arguments in [
        vec!["query", "-e", "?{gate} :- shipment.departed{gaet: gate}", "--schema", "fleet.later"],
        vec!["query", "-e", "?{gate} :- shipment.departed{gate", "--json"],
        vec!["query", "-e", "a{x} :- x = 1"],
        vec!["query", "-e", "?{x: 1 / n} :- event{}, n in [1, 0]"],
        vec!["query", "-e", "?{x: 1 / 0} :- event{}"],
        vec!["query", "-e", "?{x: $y} :- event{}", "--param", "z=1"],
        vec!["query", "-e", "?{x: 1} :- event{}", "--param", "z=one"],
        vec!["query", "-e", "?{x: 1} :- event{}", "--schema", "wrong.later"],
        vec!["query", "nowhere.later"],
        vec!["query"],
    ] {
        let answer = sandbox.run(&arguments);
        assert_ne!(answer.code, 0, "{arguments:?}");
        said.push_str(&format!("$ laterbase {}\n", arguments.join(" ")));
        said.push_str(&format!("{}{}exit code {}\n\n", answer.stdout, answer.stderr, answer.code));
    }
    check_golden("query-mistakes.txt", &mask(&said, &sandbox));
}

/// Types lines into a shell that is no terminal.
fn typed(sandbox: &Sandbox, lines: &[&str]) -> String {
    let answer = answer(sandbox.command(["shell"]), &format!("{}\n", lines.join("\n")));
    format!("{}{}exit code {}\n", answer.stdout, answer.stderr, answer.code)
}

#[test]
fn the_shell_keeps_rules_and_parameters_for_what_follows() {
    let sandbox = story();
    let said = typed(
        &sandbox,
        &[
            ".help",
            ".schema",
            "left{key, at} :- shipment.departed{key, at};",
            ".set before \"2026-03-02T10:10:00Z\"",
            "?{key, at} :- left{key, at},",
            "    at < $before",
            "",
            ".last json",
            ".format csv",
            "?{n: count()} :- left{key};",
            ".explain",
            ".explain ?{key} :- left{key}, key != \"4711\"",
            ".format tree",
            "?{key, left: one {at} :- left{key, at}} :- shipment.booked{key};",
            ".rules",
            ".forget left",
            ".rules",
            ".quit",
            "never read",
        ],
    );
    check_golden("shell.txt", &mask(&said, &sandbox));
}

#[test]
fn a_mistake_ends_a_shell_that_is_a_script() {
    let sandbox = story();
    for lines in [
        ["?{n: count()} :- evnt{};", ".help"],
        [".nothing", ".help"],
        [".format xml", ".help"],
        [".last", ".help"],
        [".set x y z", ".help"],
        ["left{key} :-", ""],
    ] {
        let said = typed(&sandbox, &lines);
        assert!(said.ends_with("exit code 2\n") && !said.contains(".timing"), "{lines:?}: {said}");
    }
}
