//! Copies that should not be: a directory that was copied, a backup that was restored. Both sides
//! write under one replica id, and still everything ends up everywhere.

use std::fs;
use std::path::Path;

use crate::node::Node;
use crate::support::{Sandbox, ndjson};
use serde_json::Value;

fn copy_directory(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_directory(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn append(sandbox: &Sandbox, db: &str, key: &str) {
    let stream = format!("shipment/{key}");
    sandbox.run(["append", "--db", db, &stream, "seen", "--data", "{}"]).success();
}

/// The keys of all shipments.
fn keys(sandbox: &Sandbox, db: &str) -> Vec<String> {
    let lines = sandbox.run(["read", "--db", db, "shipment", "--format", "ndjson"]).success();
    let mut keys: Vec<String> = ndjson(&lines.stdout)
        .iter()
        .map(|event| event["key"].as_str().unwrap().to_owned())
        .collect();
    keys.sort();
    keys
}

fn json(sandbox: &Sandbox, arguments: &[&str]) -> Value {
    let answer = sandbox.run([arguments, &["--json"]].concat()).success();
    serde_json::from_str(&answer.stdout).unwrap()
}

fn replica(sandbox: &Sandbox, db: &str) -> String {
    json(sandbox, &["stats", "--db", db])["replica"].as_str().unwrap().to_owned()
}

/// The reincarnations that are recorded: from, to and reason of each.
fn reincarnations(sandbox: &Sandbox, db: &str) -> Vec<[String; 3]> {
    let lines = sandbox.run(["read", "--db", db, "_sys", "--format", "ndjson"]).success().stdout;
    let events = ndjson(&lines);
    let records = events.iter().filter(|event| event["type"] == "reincarnated");
    let field = |event: &Value, name: &str| event["data"][name].as_str().unwrap().to_owned();
    records.map(|event| ["from", "to", "reason"].map(|name| field(event, name))).collect()
}

/// Syncs each of these with the server until nothing moves any more.
fn sync_all(sandbox: &Sandbox, server: &Node, databases: &[&str]) {
    for _ in 0..3 {
        for db in databases {
            sandbox.run(["sync", "--db", db, &server.url()]).success();
        }
    }
}

#[test]
fn a_directory_that_was_copied_while_closed_goes_on_as_two_replicas() {
    let sandbox = Sandbox::new();
    sandbox.run(["init", "--db", "third"]).success();
    let server = Node::start(&sandbox, "third");
    sandbox.run(["init", "--db", "one", "--join", &server.url()]).success();
    append(&sandbox, "one", "before");
    copy_directory(&sandbox.path("one"), &sandbox.path("two"));
    append(&sandbox, "one", "in-one");
    append(&sandbox, "two", "in-two");
    let ids = [replica(&sandbox, "one"), replica(&sandbox, "two")];
    sync_all(&sandbox, &server, &["one", "two"]);
    append(&sandbox, "one", "later-in-one");
    append(&sandbox, "two", "later-in-two");
    sync_all(&sandbox, &server, &["one", "two"]);
    let expected = ["before", "in-one", "in-two", "later-in-one", "later-in-two"];
    for db in ["one", "two", "third"] {
        assert_eq!(keys(&sandbox, db), expected, "{db}");
        let expected = [[ids[0].clone(), ids[1].clone(), "copied".to_owned()]];
        assert_eq!(reincarnations(&sandbox, db), expected, "{db}");
    }
    assert_eq!([replica(&sandbox, "one"), replica(&sandbox, "two")], ids);
    assert_ne!(ids[0], ids[1]);
}

#[test]
fn yesterdays_backup_goes_on_under_a_new_id_and_loses_nothing() {
    let sandbox = Sandbox::new();
    sandbox.run(["init", "--db", "hub"]).success();
    let server = Node::start(&sandbox, "hub");
    sandbox.run(["init", "--db", "one", "--join", &server.url()]).success();
    append(&sandbox, "one", "1");
    sandbox.run(["backup", "--db", "one", "yesterday"]).success();
    append(&sandbox, "one", "2");
    append(&sandbox, "one", "3");
    sandbox.run(["sync", "--db", "one", &server.url()]).success();
    let before = replica(&sandbox, "one");
    sandbox.run(["restore", "yesterday", "--db", "restored"]).success();
    append(&sandbox, "restored", "after-the-restore");
    let restored = replica(&sandbox, "restored");
    sync_all(&sandbox, &server, &["restored"]);
    append(&sandbox, "restored", "later");
    sync_all(&sandbox, &server, &["restored"]);
    let expected = ["1", "2", "3", "after-the-restore", "later"];
    for db in ["restored", "hub"] {
        assert_eq!(keys(&sandbox, db), expected, "{db}");
        let expected = [[before.clone(), restored.clone(), "copied".to_owned()]];
        assert_eq!(reincarnations(&sandbox, db), expected, "{db}");
    }
    assert_ne!(restored, before);
}

#[test]
fn a_directory_put_back_in_place_is_noticed_by_its_peer_and_forks_nothing_away() {
    let sandbox = Sandbox::new();
    sandbox.run(["init", "--db", "hub"]).success();
    let server = Node::start(&sandbox, "hub");
    sandbox.run(["init", "--db", "one", "--join", &server.url()]).success();
    append(&sandbox, "one", "1");
    copy_directory(&sandbox.path("one/log"), &sandbox.path("old-log"));
    let index = sandbox.path("one/index");
    append(&sandbox, "one", "2");
    sandbox.run(["sync", "--db", "one", &server.url()]).success();
    let before = replica(&sandbox, "one");
    // The disk is rolled back: the same files, by name and birth, with what they held before.
    for entry in fs::read_dir(sandbox.path("old-log")).unwrap().map(Result::unwrap) {
        let bytes = fs::read(entry.path()).unwrap();
        fs::write(sandbox.path("one/log").join(entry.file_name()), bytes).unwrap();
    }
    fs::remove_dir_all(index).unwrap();
    append(&sandbox, "one", "other-2");
    sync_all(&sandbox, &server, &["one"]);
    append(&sandbox, "one", "3");
    sync_all(&sandbox, &server, &["one"]);
    for db in ["one", "hub"] {
        assert_eq!(keys(&sandbox, db), ["1", "2", "3", "other-2"], "{db}");
        let expected = [[before.clone(), replica(&sandbox, "one"), "known_to_peer".to_owned()]];
        assert_eq!(reincarnations(&sandbox, db), expected, "{db}");
        let forks = json(&sandbox, &["forks", "--db", db]);
        assert_eq!(forks["forks"].as_array().unwrap().len(), 1, "{db}: {forks}");
        let read = |root: &[&str]| {
            let arguments = [&["read", "--db", db, "--format", "ndjson"], root].concat();
            ndjson(&sandbox.run(arguments).success().stdout)
        };
        let events = read(&[]);
        let count = events.len() + read(&["_sys"]).len();
        assert_eq!(json(&sandbox, &["status", "--db", db])["events"], count, "{db}");
        let logs = branches(&forks["forks"][0]);
        let of = |key: &str| {
            let event = events.iter().find(|event| event["key"] == key).unwrap();
            let id = event["id"].as_str().unwrap();
            let why = json(&sandbox, &["why-not-synced", "--db", db, id]);
            assert!(why["peers"].as_array().unwrap().iter().all(|peer| peer["has_it"] == true));
            why["log"].as_str().unwrap().to_owned()
        };
        // What was written twice is on two branches, and what was before the fork on none.
        assert_ne!(of("2"), of("other-2"), "{db}");
        assert!(logs.contains(&of("2")) && logs.contains(&of("other-2")), "{db}: {logs:?}");
        assert!(!logs.contains(&of("1")), "{db}: {logs:?}");
    }
}

/// The names of a fork's branches.
fn branches(fork: &Value) -> Vec<String> {
    let all = fork["branches"].as_array().unwrap();
    all.iter().map(|branch| branch["log"].as_str().unwrap().to_owned()).collect()
}
