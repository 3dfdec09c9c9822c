//! What goes wrong, and what is said: each case is a command, its exit code and its message.
//!
//! The messages are golden text in `golden/bad-input.txt`: a person has read them and would know
//! what to do. After every case the database must be as it was: nothing lost, nothing half-written.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test that cannot go on, or is skipped, says so"
)]

mod support;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use support::{Answer, Sandbox, answer, check_golden, mask, ndjson};

/// A database with three events in it.
fn with_events() -> Sandbox {
    let sandbox = Sandbox::with_database();
    for number in ["1", "2", "3"] {
        let valid_at = format!("2026-03-0{number}T12:00:00Z");
        let arguments =
            ["append", "shipment/4711", "scanned", "--data", number, "--valid-at", &valid_at];
        sandbox.run(arguments).success();
    }
    sandbox
}

fn transcript(log: &mut String, sandbox: &Sandbox, shown: &str, answer: &Answer) {
    let stdout = mask(&answer.stdout, sandbox);
    let stderr = mask(&answer.stderr, sandbox);
    writeln!(log, "$ laterbase {shown}\n{stdout}{stderr}[{}]\n", answer.code).unwrap();
}

#[test]
fn mistakes_are_named_with_what_to_write_instead() {
    let sandbox = with_events();
    let before = sandbox.run(["read", "--format", "ndjson"]).success().stdout;
    let long_root = format!("{}/1", "r".repeat(65));
    let long_key = format!("r/{}", "k".repeat(256));
    let mut log = String::new();
    for arguments in [
        vec!["append", "Shipment/1", "x", "--data", "1"],
        vec!["append", &long_root, "x", "--data", "1"],
        vec!["append", &long_key, "x", "--data", "1"],
        vec!["append", "shipment/", "x", "--data", "1"],
        vec!["append", "shipment/1", "", "--data", "1"],
        vec!["append", "shipment/1", "x", "--data", "{\"a\":"],
        vec!["append", "shipment/1", "x", "--data", "@no-such-file"],
        vec!["append", "shipment/1", "x", "--data", "1", "--valid-at", "yesterday"],
        vec!["append", "shipment/1", "x", "--data", "1", "--valid-at", "2026-03-01T12:00:00"],
        vec!["append", "shipment/1", "x", "--data", "1", "--tag", "truck"],
        vec!["append", "shipment/1", "x", "--data", "1", "--tag", "Truck:7"],
        vec!["append", "shipment/1", "x", "--data", "1", "--cause", "01ARZ3"],
        vec!["append", "shipment/1", "x", "--data", "1", "--expect", "some"],
        vec!["append", "shipment", "x", "--data", "1", "--expect", "none"],
        vec!["append", "shipment/4711", "x", "--data", "1", "--expect", "none"],
        vec!["append", "shipment/4711", "x", "--data", "1", "--expect", "7"],
        vec!["append", "shipment/4712", "x", "--data", "1", "--expect", "exists"],
        vec!["get", "not-an-id"],
        vec!["get", "01ARZ3NDEK000E00000000001A"],
        vec!["read", "--after", "AAAA"],
        vec!["read", "--vv", "!"],
        vec!["read", "--valid-from", "2026-03-02", "--valid-until", "2026-03-01"],
        vec!["read", "--as-of", "now"],
        vec!["tail", "--format", "csv"],
        vec!["sample", "--events", "1", "--back-dated", "120"],
        vec!["import", "missing.json", "--root", "r"],
        vec!["import", "x.json"],
        vec!["import", "x.json", "--root", "r", "--key", "id"],
        vec!["import", "x.json", "--root", "r", "--tag", "truck"],
        vec!["frobnicate"],
    ] {
        let answer = sandbox.run(&arguments);
        let words: Vec<String> = arguments
            .iter()
            .map(|word| if word.len() > 60 { "…".to_owned() } else { format!("{word:?}") })
            .collect();
        assert_ne!(answer.code, 0, "{arguments:?}");
        transcript(&mut log, &sandbox, &words.join(" ").replace('"', ""), &answer);
    }
    check_golden("bad-input.txt", &log);
    assert_eq!(sandbox.run(["read", "--format", "ndjson"]).success().stdout, before);
}

#[test]
fn refused_records_are_reported_with_file_line_and_reason() {
    let sandbox = Sandbox::with_database();
    let long_key = "k".repeat(256);
    let long_tag = "t".repeat(256);
    let mut lines = Vec::new();
    for line in [
        br#"{"id":"a","at":"2026-03-01T12:00:00Z","tags":["x","y"]}"#.to_vec(),
        b"{\"id\":\"\xff\"}".to_vec(),
        b"{\"id\":".to_vec(),
        br#"{"at":"2026-03-01T12:00:00Z"}"#.to_vec(),
        br#"{"id":"b"}"#.to_vec(),
        br#"{"id":"c","at":"01.03.2026"}"#.to_vec(),
        br#"{"id":{},"at":"2026-03-01T12:00:00Z"}"#.to_vec(),
        format!(r#"{{"id":"{long_key}","at":"2026-03-01T12:00:00Z"}}"#).into_bytes(),
        format!(r#"{{"id":"d","at":"2026-03-01T12:00:00Z","tags":"{long_tag}"}}"#).into_bytes(),
        br#"{"id":"e","at":"2026-03-01T12:00:00Z"}"#.to_vec(),
    ] {
        lines.extend(line);
        lines.push(b'\n');
    }
    sandbox.file("list.ndjson", lines);
    sandbox.file("empty.json", "{\"other\":[]}");
    let arguments = [
        "import",
        "--root",
        "r",
        "--key",
        "/id",
        "--valid-at",
        "/at",
        "--tag",
        "t=/tags",
        "list.ndjson",
    ];
    let mut log = String::new();
    let answer = sandbox.run(arguments).code(5);
    transcript(&mut log, &sandbox, &arguments.join(" "), &answer);
    let arguments = ["import", "--root", "r", "--each", "/list", "empty.json"];
    let answer = sandbox.run(arguments).code(5);
    transcript(&mut log, &sandbox, &arguments.join(" "), &answer);
    let arguments = ["import", "--json", "--root", "r", "--key", "/nope", "list.ndjson"];
    let answer = sandbox.run(arguments).code(5);
    let report = ndjson(&answer.stdout).pop().unwrap();
    assert_eq!(report["refused"], 10);
    check_golden("refused-records.txt", &log);
    // The good ones are there, and only they.
    let keys: Vec<String> = sandbox
        .read(&["--order", "arrival"])
        .iter()
        .map(|event| event["key"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(keys, ["a", "e"]);
}

#[test]
fn a_payload_over_the_limit_is_refused() {
    let sandbox = with_events();
    let file = sandbox.file("big.json", format!("\"{}\"", "x".repeat(17 << 20)));
    let data = format!("@{}", file.display());
    let answer = sandbox.run(["append", "photo/1", "taken", "--data", &data]).code(5);
    assert!(answer.stderr.contains("16777216"), "{}", answer.stderr);
    let answer = sandbox.run(["import", "--root", "photo", file.to_str().unwrap()]).code(5);
    assert!(answer.stdout.contains("big.json:1: "), "{}", answer.stdout);
    assert_eq!(sandbox.read(&[]).len(), 3);
}

#[test]
fn an_idempotency_key_stands_for_one_event() {
    let sandbox = Sandbox::with_database();
    let append =
        |data| sandbox.run(["append", "r/1", "x", "--data", data, "--idempotency-key", "once"]);
    let first = append("1").success();
    let again = append("1").success();
    assert!(first.stdout.starts_with("recorded "), "{}", first.stdout);
    assert!(again.stdout.starts_with("already there: "), "{}", again.stdout);
    let answer = append("2").code(4);
    assert!(answer.stderr.contains("idempotency key"), "{}", answer.stderr);
    assert_eq!(sandbox.read(&[]).len(), 1);
}

#[test]
fn what_is_no_database_is_said_to_be_none() {
    let sandbox = Sandbox::new();
    let mut log = String::new();
    fs::create_dir(sandbox.path("empty")).unwrap();
    sandbox.file("file", "not a directory");
    for db in ["missing", "empty", "file"] {
        for command in [vec!["read"], vec!["append", "r/1", "x", "--data", "1"], vec!["verify"]] {
            let arguments = [command.as_slice(), &["--db", db]].concat();
            let answer = sandbox.run(&arguments).code(10);
            transcript(&mut log, &sandbox, &arguments.join(" "), &answer);
        }
    }
    let mut command = sandbox.command(["read"]);
    command.env_remove("LATERBASE_DB");
    let unnamed = answer(command, "").code(2);
    transcript(&mut log, &sandbox, "read", &unnamed);
    check_golden("no-database.txt", &log);
    assert!(!sandbox.path("missing").exists(), "nothing is made by reading");

    sandbox.run(["init"]).success();
    let answer = sandbox.run(["init"]).code(11);
    assert!(answer.stderr.contains("there is a database in db already"), "{}", answer.stderr);
}

#[test]
fn a_database_that_is_being_written_is_locked_for_others_and_readable() {
    let sandbox = with_events();
    let writer = laterbase::Database::open(sandbox.db(), laterbase::Options::default()).unwrap();
    let refused = sandbox.run(["append", "late/1", "x", "--data", "1"]).code(6);
    assert!(refused.stderr.contains("open for writing elsewhere"), "{}", refused.stderr);
    assert!(refused.stderr.contains("reading works beside it"), "{}", refused.stderr);
    assert!(sandbox.read(&["--root", "shipment"]).len() == 3);
    let as_json = sandbox.run(["append", "late/1", "x", "--data", "1", "--json"]).code(6);
    let error = &ndjson(&as_json.stderr)[0];
    assert_eq!(error["error"], "locked");
    assert_eq!(error["exit_code"], 6);
    drop(writer);
    sandbox.run(["append", "late/1", "x", "--data", "1"]).success();
}

/// Flips a bit in the middle of the events' bytes: reading and verifying say so, with the place.
#[test]
fn a_damaged_log_is_reported_and_not_read_past() {
    let sandbox = with_events();
    let segment = files(&sandbox.db().join("log")).remove(0);
    let mut bytes = fs::read(&segment).unwrap();
    let at = bytes.windows(7).position(|window| window == b"scanned").unwrap();
    bytes[at] ^= 1;
    fs::write(&segment, bytes).unwrap();
    let answer = sandbox.run(["verify"]).code(7);
    let said = answer.stdout + &answer.stderr;
    assert!(said.contains("damaged"), "{said}");
    sandbox.run(["append", "r/1", "x", "--data", "1"]).code(7);
}

#[test]
fn a_missing_segment_is_reported() {
    let sandbox = with_events();
    for segment in files(&sandbox.db().join("log")) {
        fs::remove_file(segment).unwrap();
    }
    let answer = sandbox.run(["read"]).code(7);
    assert!(
        answer.stderr.contains("missing") || answer.stderr.contains("no log"),
        "{}",
        answer.stderr
    );
    sandbox.run(["append", "r/1", "x", "--data", "1"]).code(7);
}

/// A later version of the program wrote it: nothing is touched, and the code says so.
#[test]
fn a_database_of_a_newer_format_is_left_alone() {
    const SLOT_BYTES: usize = 4096;
    let sandbox = with_events();
    let identity = sandbox.db().join("identity");
    let mut bytes = fs::read(&identity).unwrap();
    for slot in bytes.chunks_mut(SLOT_BYTES) {
        slot[8] = 99;
        let (body, sum) = slot.split_at_mut(SLOT_BYTES - 4);
        sum.copy_from_slice(&crc32c(body).to_le_bytes());
    }
    fs::write(&identity, &bytes).unwrap();
    for arguments in [vec!["read"], vec!["append", "r/1", "x", "--data", "1"], vec!["repair"]] {
        let answer = sandbox.run(&arguments).code(9);
        assert!(answer.stderr.contains("upgrade"), "{}", answer.stderr);
    }
    assert_eq!(fs::read(&identity).unwrap(), bytes);
}

/// CRC-32C (RFC 3720, appendix B.4), bit by bit.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
            if sum & 1 == 1 { (sum >> 1) ^ 0x82F6_3B78 } else { sum >> 1 }
        })
    })
}

/// Damage to what is derived is no damage: it is built anew, by itself or with `repair`.
#[test]
fn damaged_indexes_are_built_anew() {
    let sandbox = Sandbox::with_database();
    let lines = sandbox.run(["sample", "--events", "3000"]).success().stdout;
    let file = sandbox.file("sample.ndjson", lines);
    sandbox.run(["import", "--preserve", file.to_str().unwrap()]).success();
    let expected = sandbox.read(&["--tag", "site:DEHAM"]);
    assert!(!expected.is_empty());
    let damage = || {
        for index in files(&sandbox.db().join("index")) {
            let bytes = fs::read(&index).unwrap();
            fs::write(&index, bytes.iter().map(|byte| byte ^ 0x55).collect::<Vec<u8>>()).unwrap();
        }
    };
    damage();
    sandbox.run(["repair"]).success();
    assert_eq!(sandbox.read(&["--tag", "site:DEHAM"]), expected);
    sandbox.run(["verify"]).success();
    // A writer mends them when it opens.
    damage();
    sandbox.run(["append", "r/1", "x", "--data", "1"]).success();
    assert_eq!(sandbox.read(&["--tag", "site:DEHAM"]), expected);
    fs::remove_dir_all(sandbox.db().join("index")).unwrap();
    assert_eq!(sandbox.read(&["--tag", "site:DEHAM"]), expected);
}

/// A copy of a directory becomes a replica of its own; nothing is lost and nothing renumbered.
#[test]
fn two_directories_with_one_identity_part_ways() {
    let sandbox = with_events();
    let before = sandbox.read(&[]);
    copy(&sandbox.db(), &sandbox.path("copy"));
    let append = |db: &str| {
        sandbox.run(["--db", db, "append", "shipment/4711", "copied", "--data", "1"]).success();
        let answer = sandbox.run(["--db", db, "read", "--format", "ndjson"]).success();
        ndjson(&answer.stdout)
    };
    let (original, copied) = (append("db"), append("copy"));
    assert_eq!(original[..3], before);
    assert_eq!(copied[..3], before);
    assert_eq!(original[3]["origin"], before[0]["origin"]);
    assert_ne!(copied[3]["origin"], before[0]["origin"]);
    assert_eq!((&original[3]["seq"], &copied[3]["seq"]), (&4.into(), &1.into()));
}

/// The system refuses to let files grow: nothing is lost, and the next try succeeds.
#[cfg(unix)]
#[test]
fn a_full_disk_is_said_and_nothing_is_lost() {
    let sandbox = with_events();
    let lines = sandbox.run(["sample", "--events", "20000"]).success().stdout;
    let file = sandbox.file("sample.ndjson", lines);
    let script = "trap '' XFSZ; ulimit -f 64; exec \"$@\"";
    let mut command = std::process::Command::new("sh");
    command
        .args(["-c", script, "sh", env!("CARGO_BIN_EXE_laterbase"), "import", "--preserve"])
        .arg(&file)
        .env("LATERBASE_DB", sandbox.db())
        .stdin(Stdio::null());
    let answer = answer(command, "").code(8);
    assert!(answer.stderr.contains("cannot "), "{}", answer.stderr);
    assert_eq!(sandbox.read(&["--root", "shipment", "--key", "4711"]).len(), 3);
    sandbox.run(["verify"]).success();
    sandbox.run(["import", "--preserve", file.to_str().unwrap()]).success();
    assert_eq!(sandbox.read(&[]).len(), 20_003);
}

#[cfg(unix)]
#[test]
fn a_read_only_directory_can_be_read_and_says_why_not_written() {
    use std::os::unix::fs::PermissionsExt as _;
    let sandbox = with_events();
    let expected = sandbox.read(&[]);
    let mut paths = vec![sandbox.db()];
    paths.extend(all_paths(&sandbox.db()));
    let permit = |bits: u32| {
        for path in &paths {
            let bits = if path.is_dir() { bits | (bits & 0o444) >> 2 } else { bits };
            fs::set_permissions(path, fs::Permissions::from_mode(bits)).unwrap();
        }
    };
    permit(0o444);
    let probe = sandbox.db().join("probe");
    if fs::write(&probe, "").is_ok() {
        fs::remove_file(&probe).unwrap();
        permit(0o644);
        eprintln!("SKIPPED: this user may write whatever the permissions say");
        return;
    }
    assert_eq!(sandbox.read(&[]), expected);
    let answer = sandbox.run(["append", "r/1", "x", "--data", "1"]).code(8);
    assert!(answer.stderr.contains("permission"), "{}", answer.stderr);
    permit(0o644);
    sandbox.run(["append", "r/1", "x", "--data", "1"]).success();
}

#[test]
fn a_reader_that_goes_away_is_no_mistake() {
    let sandbox = Sandbox::new();
    let mut child = sandbox
        .command(["sample", "--events", "100000"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(output.stderr, b"");
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = all_paths(directory);
    files.retain(|path| path.is_file());
    files.sort();
    files
}

fn all_paths(directory: &Path) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            paths.extend(all_paths(&path));
        }
        paths.push(path);
    }
    paths
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
