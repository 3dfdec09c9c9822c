//! What the commands around sync say: to people, in JSON, and when something is wrong.

use std::sync::{Arc, Mutex};

use crate::node::{Node, ask};
use crate::support::{Sandbox, check_golden, mask, ndjson};
use laterbase::{Options, Validators};
use laterbase_cli::Program;
use laterbase_cli::output::{Output, Style};
use serde_json::Value;

/// A command, what it answered, and with which code.
fn transcript(sandbox: &Sandbox, commands: &[&[&str]]) -> String {
    let mut text = String::new();
    for arguments in commands {
        let answer = sandbox.run(*arguments);
        text.push_str(&format!("$ laterbase {}\n{}", arguments.join(" "), answer.stdout));
        text.push_str(&answer.stderr);
        if answer.code != 0 {
            text.push_str(&format!("[{}]\n", answer.code));
        }
    }
    mask(&text, sandbox)
}

#[test]
fn mistakes_say_what_to_do_next() {
    let sandbox = Sandbox::with_database();
    sandbox.file("no.bundle", b"this is no bundle");
    sandbox.run(["init", "--db", "other"]).success();
    sandbox.run(["export", "--db", "other", "other.bundle"]).success();
    let whole = std::fs::read(sandbox.path("other.bundle")).unwrap();
    sandbox.file("cut.bundle", &whole[..whole.len() - 1]);
    sandbox.file("taken.bundle.laterbase-new", b"half");
    let commands: &[&[&str]] = &[
        &["peer", "list"],
        &["peer", "list", "--db", "nowhere"],
        &["peer", "add", "Hub", "http://127.0.0.1:1"],
        &["peer", "add", "hub", "ftp://127.0.0.1:1"],
        &["peer", "add", "hub", "http://192.0.2.7:7410"],
        &["peer", "add", "hub", "127.0.0.1"],
        &["sync"],
        &["sync", "hub"],
        &["status"],
        &["peer", "add", "hub", "http://127.0.0.1:9"],
        &["peer", "add", "hub", "http://127.0.0.1:10"],
        &["peer", "add", "depot", "http://127.0.0.1:9"],
        &["peer", "list"],
        &["sync", "hub"],
        &["sync", "depot", "--json"],
        &["status"],
        &["peer", "remove", "hub"],
        &["peer", "remove", "hub"],
        &["serve", "--listen", "0.0.0.0:7410"],
        &["serve", "--listen", "here"],
        &["serve", "--db", "nowhere"],
        &["init", "--db", "copy", "--join", "http://127.0.0.1:9"],
        &["init", "--db", "copy", "--join", "nothing"],
        &["init", "--db", "cut", "--join", "cut.bundle"],
        &["init", "--db", "cut", "--join", "cut.bundle"],
        &["import-bundle", "no.bundle"],
        &["import-bundle", "missing.bundle"],
        &["import-bundle", "other.bundle"],
        &["export", "--for", "hub", "out.bundle"],
        &["export", "taken.bundle"],
        &["why-not-synced", "01M7XVYZ4K00023BJ65MYAFNT8"],
        &["forks"],
        &["quarantine", "list"],
        &["quarantine", "show", "01M7XVYZ4K00023BJ65MYAFNT8"],
        &["quarantine", "retry"],
    ];
    check_golden("sync-mistakes.txt", &transcript(&sandbox, commands));
}

#[test]
fn a_database_that_another_process_writes_and_does_not_serve_stays_its_own() {
    let sandbox = Sandbox::with_database();
    let mut watch = sandbox.command(["sync", "--watch"]);
    let mut watch = watch.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut first = String::new();
    let mut said = std::io::BufReader::new(watch.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut said, &mut first).unwrap();
    let locked = sandbox.run(["append", "shipment/1", "seen", "--data", "{}"]);
    watch.kill().unwrap();
    watch.wait().unwrap();
    let locked = locked.code(6);
    assert!(locked.stderr.contains("is open for writing elsewhere"), "{}", locked.stderr);
}

#[test]
fn databases_in_folders_are_served_under_their_names() {
    let sandbox = Sandbox::with_database();
    let mut server = Node::start(&sandbox, "db");
    let event = b"{\"key\":\"1\",\"type\":\"seen\",\"data\":{}}";
    let (status, _) =
        ask(server.address, "POST", "/e/shipment", "application/json", event).unwrap();
    assert_eq!(status, 201);
    assert_eq!(sandbox.read(&["shipment/1"]).len(), 1);
    // Folders with legal names are further databases.
    server.end();
    sandbox.run(["init", "--db", "db/port-of_rotterdam"]).success();
    sandbox.run(["init", "--db", "db/Not_A_Name"]).success();
    let server = Node::start(&sandbox, "db");
    let (_, body) = ask(server.address, "GET", "/db", "", b"").unwrap();
    let listed: Value = serde_json::from_str(&body).unwrap();
    let names: Vec<&str> = listed["databases"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["default", "port-of_rotterdam"]);
    let url = format!("{}/db/port-of_rotterdam", server.url());
    sandbox.run(["init", "--db", "copy", "--join", &url]).success();
    // And found by their folders.
    let append = ["append", "shipment/1", "seen", "--data", "{}", "--db", "db/port-of_rotterdam"];
    sandbox.run(append).success();
    assert_eq!(sandbox.run(["read", "--url", &url]).success().stdout.lines().count(), 2);
    assert_eq!(sandbox.read(&["shipment/1"]).len(), 1);
}

#[test]
fn bundles_that_differ_in_the_end_of_their_names_are_two() {
    let sandbox = Sandbox::with_database();
    sandbox.file("x.laterbase-new", b"somebody's");
    sandbox.run(["export", "x.a"]).success();
    sandbox.run(["export", "x.b"]).success();
    // Again: a file is replaced.
    sandbox.run(["export", "x.b"]).success();
    let read = |name: &str| std::fs::read(sandbox.path(name)).unwrap();
    assert_eq!(read("x.laterbase-new"), b"somebody's");
    assert!(!read("x.a").is_empty() && !read("x.b").is_empty());
    assert!(!sandbox.path("x.a.laterbase-new").exists());
}

#[cfg(unix)]
#[test]
fn what_is_no_file_is_written_into_and_stays_what_it_is() {
    use std::os::unix::fs::FileTypeExt as _;
    let sandbox = Sandbox::with_database();
    let pipe = sandbox.path("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let end = pipe.clone();
    let reader = std::thread::spawn(move || std::fs::read(end).unwrap());
    sandbox.run(["export", "pipe"]).success();
    assert!(std::fs::metadata(&pipe).unwrap().file_type().is_fifo());
    sandbox.file("piped.bundle", reader.join().unwrap());
    sandbox.run(["import-bundle", "piped.bundle"]).success();
}

#[test]
fn watching_ends_well_when_it_is_told_to() {
    let sandbox = Sandbox::with_database();
    let mut command = sandbox.command(["sync", "--watch"]);
    let mut child = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut first = String::new();
    let mut said = std::io::BufReader::new(child.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut said, &mut first).unwrap();
    assert_eq!(first, "syncing; end with Ctrl-C\n");
    let id = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    let status = child.wait().unwrap();
    assert!(status.success(), "{status}");
}

#[test]
fn a_copy_of_another_database_is_refused_with_the_reason() {
    let sandbox = Sandbox::with_database();
    sandbox.run(["init", "--db", "other"]).success();
    let server = Node::start(&sandbox, "other");
    let refused = sandbox.run(["sync", &server.url()]).code(12);
    assert!(refused.stderr.contains("it is another database"), "{}", refused.stderr);
    let (status, _) = ask(server.address, "GET", "/health", "", b"").unwrap();
    assert_eq!(status, 200);
}

/// Where a program of this process writes to.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Runs a command in a program that refuses the keys that begin so.
fn validated(sandbox: &Sandbox, refused: &'static str, arguments: &[&str]) -> String {
    let validators = Validators::default().with(move |event| {
        let is_refused = event.key.is_some_and(|key| key.starts_with(refused));
        if is_refused { Err(format!("no key begins with {refused}")) } else { Ok(()) }
    });
    let written = Written::default();
    let style = Style { terminal: false, colour: false, width: None };
    let db = sandbox.db().display().to_string();
    let all = [&["laterbase", "--db", &db], arguments].concat();
    let program = Program::new().options(Options::default().validators(validators));
    let code = program
        .run_with(all.into_iter().map(Into::into), Output::to(Box::new(written.clone()), style));
    assert_eq!(format!("{code:?}"), format!("{:?}", std::process::ExitCode::SUCCESS));
    let bytes = written.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn what_a_validator_refuses_is_kept_aside_forwarded_and_comes_to_life_later() {
    let sandbox = Sandbox::new();
    sandbox.run(["init", "--db", "hub"]).success();
    for key in ["good-1", "bad-1", "good-2"] {
        let stream = format!("shipment/{key}");
        sandbox.run(["append", "--db", "hub", &stream, "seen", "--data", "{}"]).success();
    }
    let server = Node::start(&sandbox, "hub");
    sandbox.run(["init", "--db", "third", "--join", &server.url()]).success();
    // An empty copy whose program has a validator.
    sandbox.run(["export", "--db", "third", "--for", "origin", "nothing.bundle"]).success();
    sandbox.run(["init", "--join", "nothing.bundle"]).success();
    validated(&sandbox, "bad", &["sync", &server.url()]);
    let keys = |db: &str| -> Vec<String> {
        let lines = sandbox.run(["read", "--db", db, "shipment", "--format", "ndjson"]).success();
        let events = ndjson(&lines.stdout);
        events.iter().map(|event| event["key"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(keys("db"), ["good-1", "good-2"]);
    let listed = validated(&sandbox, "bad", &["quarantine", "list", "--json"]);
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed["quarantine"][0]["message"], "no key begins with bad", "{listed}");
    let id = listed["quarantine"][0]["events"][0].as_str().unwrap().to_owned();
    let shown = validated(&sandbox, "bad", &["quarantine", "show", &id]);
    assert!(shown.contains("no key begins with bad"), "{shown}");
    let why = sandbox.run(["why-not-synced", &id]).code(3);
    assert!(why.stderr.contains("in quarantine"), "{}", why.stderr);
    // It goes on to others, who have no such validator.
    sandbox.run(["export", "all.bundle"]).success();
    sandbox.run(["init", "--db", "fourth", "--join", "all.bundle"]).success();
    assert_eq!(keys("fourth"), ["good-1", "bad-1", "good-2"]);
    let retried = validated(&sandbox, "bad", &["quarantine", "retry"]);
    assert_eq!(retried, "0 events admitted; batches that stay refused: 1\n");
    let retried = validated(&sandbox, "worse", &["quarantine", "retry"]);
    assert_eq!(retried, "1 event admitted; batches that stay refused: 0\n");
    assert_eq!(keys("db"), ["good-1", "bad-1", "good-2"]);
}
