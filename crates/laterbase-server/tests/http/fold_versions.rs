//! A server that begins with rows that were kept: its own, those of another version, or none that
//! it can use.
//!
//! Caught here: a first reader who waits for a whole view, an answer of rows that are half made, a
//! stream that tells of two versions, a past that is made up.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use laterbase::{Aggregate, ApplyError, Database, FoldEvent, NewEvent, Options, View};
use laterbase_server::{Server, ServerConfig};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::support::{EventStream, Running};

/// Holds up what is folded while it is shut, and counts it.
#[derive(Debug, Default)]
struct Gate {
    is_shut: Mutex<bool>,
    bell: Condvar,
    applied: AtomicU64,
}

impl Gate {
    fn set(&self, is_shut: bool) {
        *self.is_shut.lock().unwrap() = is_shut;
        self.bell.notify_all();
    }

    fn pass(&self) {
        let is_shut = self.is_shut.lock().unwrap();
        drop(self.bell.wait_while(is_shut, |is_shut| *is_shut).unwrap());
        self.applied.fetch_add(1, Ordering::SeqCst);
    }
}

/// Opens a gate at the latest when a test ends, or a failed one would never.
struct Opened(Arc<Gate>);

impl Drop for Opened {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

/// What is in each tank, times the version.
#[derive(Clone)]
struct Levels<const VERSION: u32>(Arc<Gate>);

impl<const VERSION: u32> View for Levels<VERSION> {
    type Row = i64;

    const VERSION: u32 = VERSION;

    fn rows(&self, event: &FoldEvent<'_>, touch: &mut dyn FnMut(&str)) {
        touch(event.key());
    }

    fn apply(&self, row: &mut i64, key: &str, event: &FoldEvent<'_>) -> Result<(), ApplyError> {
        self.0.pass();
        if key == "burst" {
            return Err("a pipe burst".into());
        }
        *row += event.json::<i64>()? * i64::from(VERSION);
        Ok(())
    }

    fn is_hidden(&self, row: &i64) -> bool {
        *row == 0
    }
}

/// The same as aggregates.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Tank<const VERSION: u32>(i64);

impl<const VERSION: u32> Aggregate for Tank<VERSION> {
    const VERSION: u32 = VERSION;

    fn apply(&mut self, event: &FoldEvent<'_>) -> Result<(), ApplyError> {
        self.0 += event.json::<i64>()? * i64::from(VERSION);
        Ok(())
    }
}

fn serve<const VERSION: u32>(directory: &Path, gate: &Arc<Gate>) -> Running {
    let furnish = |server: Server| {
        let levels = Levels::<VERSION>(Arc::clone(gate));
        server.aggregate::<Tank<VERSION>>("tank").view_of("levels", levels)
    };
    Running::furnished(directory, ServerConfig::default(), furnish)
}

fn put(database: &Database, key: &str, number: i64) {
    let mut commit = database.commit();
    commit.push(&NewEvent::new("tank", key, "added").json(&number).unwrap()).unwrap();
    database.append(&mut commit).unwrap().wait().unwrap();
}

/// A database whose rows version 1 has left, asked for by whoever reads.
fn left_by_one(directory: &Path) {
    let database = Database::create(directory, Options::default()).unwrap();
    for (key, number) in [("a", 1), ("b", 2), ("c", 3), ("gone", 0), ("burst", 1)] {
        put(&database, key, number);
    }
    drop(database);
    let server = serve::<1>(directory, &Arc::default());
    assert_eq!(ask(&server, "/default/levels?limit=1").1["rows"][0]["key"], "a");
    assert_eq!(ask(&server, "/a/tank/a").1["state"], 1);
}

/// Headers and document of an answer that is good.
fn ask(server: &Running, path: &str) -> (BTreeMap<String, String>, Value) {
    let (status, headers, body) = server.ask_whole("GET", path, &[], b"");
    assert_eq!(status, 200, "{path}: {body}");
    (headers, serde_json::from_str(&body).unwrap())
}

fn refused(server: &Running, path: &str) -> (u16, BTreeMap<String, String>, String) {
    let (status, headers, body) = server.ask_whole("GET", path, &[], b"");
    let problem: Value = serde_json::from_str(&body).unwrap();
    let kind = problem["type"].as_str().unwrap().trim_start_matches("/problems/").to_owned();
    (status, headers, kind)
}

fn versions(headers: &BTreeMap<String, String>) -> (Option<&str>, Option<&str>) {
    let one = |name: &str| headers.get(name).map(String::as_str);
    (one("laterbase-fold-version"), one("laterbase-fold-building"))
}

fn metric(server: &Running, name: &str, fold: &str) -> f64 {
    let (_, page) = server.ask("GET", "/metrics", &[], b"");
    let mut lines = page.lines().filter(|line| line.starts_with(&format!("{name}{{")));
    let line = lines.find(|line| line.contains(&format!("fold=\"{fold}\""))).unwrap();
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

/// What a stream tells: name, key and state.
fn next(stream: &mut EventStream) -> (String, String, Value) {
    let event = stream.next();
    let key = event.data["key"].as_str().unwrap_or_default().to_owned();
    (event.name, key, event.data["state"].clone())
}

fn told(name: &str, key: &str, state: Value) -> (String, String, Value) {
    (name.to_owned(), key.to_owned(), state)
}

#[test]
fn rows_of_another_version_answer_until_this_one_is_made() {
    let dir = tempfile::tempdir().unwrap();
    left_by_one(dir.path());
    let gate: Arc<Gate> = Arc::default();
    gate.set(true);
    let server = serve::<2>(dir.path(), &gate);
    let _opened = Opened(Arc::clone(&gate));
    put(&server.database(), "a", 10);

    let (headers, page) = ask(&server, "/default/levels?limit=2");
    assert_eq!(versions(&headers), (Some("1"), Some("2")));
    assert_eq!(page["fold_version"], 1);
    let row = |key: &str, state: i64| json!({ "key": key, "version": 1, "state": state });
    assert_eq!(page["rows"], json!([row("a", 1), row("b", 2)]), "without what came since");
    let next_page = format!("/default/levels?after={}", page["next"].as_str().unwrap());
    let (_, rest) = ask(&server, &next_page);
    assert_eq!(rest["rows"][0]["problem"]["type"], "/problems/rebuilding");
    assert_eq!((&rest["rows"][1], &rest["next"]), (&row("c", 3), &Value::Null));
    let (headers, one) = ask(&server, "/db/default/v/levels/b");
    assert_eq!((versions(&headers), &one), ((Some("1"), Some("2")), &row("b", 2)));
    assert_eq!(headers["laterbase-cursor"], page["cursor"].as_str().unwrap());
    let accept = ["accept: application/x-ndjson"];
    let (_, lines) = server.ask("GET", "/default/levels?until=b", &accept, b"");
    assert_eq!(lines, "{\"key\":\"a\",\"version\":1,\"state\":1}\n");

    // What they cannot say is to be asked for later; what is wrong is so at once.
    let levels = "/db/default/v/levels";
    for (path, status, kind) in [
        (format!("{levels}?as_of=2026-01-01T00:00:00Z"), 503, "rebuilding"),
        (format!("{levels}/a?valid_at=2026-01-01T00:00:00Z"), 503, "rebuilding"),
        (format!("{levels}/burst"), 503, "rebuilding"),
        (format!("{levels}/gone"), 404, "no-such-row"),
        (format!("{levels}/none"), 404, "no-such-row"),
        (format!("{levels}?limit=0"), 400, "bad-request"),
        (format!("{levels}?as_of=xyz"), 400, "bad-request"),
        (format!("{levels}?after=xyz"), 400, "cursor"),
    ] {
        let (actual, headers, told) = refused(&server, &path);
        assert_eq!((actual, told.as_str()), (status, kind), "{path}");
        assert_eq!(headers.contains_key("retry-after"), status == 503, "{path}");
    }

    // How far it is, for operators.
    let folds = ask(&server, "/db/default").1["folds"].clone();
    assert_eq!(folds[1]["name"], "levels");
    assert_eq!((&folds[1]["version"], &folds[1]["answering"]), (&json!(2), &json!(1)));
    assert_eq!(folds[1]["lag_until_ready"], 5);
    assert_eq!(metric(&server, "laterbase_fold_rebuild_lag_positions", "levels"), 5.0);
    // Aggregates are folded one by one: their new version answers at once.
    let (headers, tank) = ask(&server, "/a/tank/a");
    assert_eq!((versions(&headers), &tank["state"]), ((Some("2"), None), &json!(22)));

    // A stream waits for the new version, and tells of it alone.
    let mut stream = EventStream::open(&server, "/default/levels", None);
    let mut later = EventStream::open(&server, "/default/levels", page["cursor"].as_str());
    put(&server.database(), "d", 4);
    gate.set(false);
    for (key, state) in [("a", 22), ("b", 4)] {
        assert_eq!(next(&mut stream), told("row", key, json!(state)));
    }
    assert_eq!(next(&mut stream).1, "burst");
    assert_eq!(next(&mut stream), told("row", "c", json!(6)));
    // What came behind its opening is a change.
    assert_eq!(next(&mut stream), told("ready", "", Value::Null));
    assert_eq!(next(&mut stream), told("change", "d", json!(8)));
    put(&server.database(), "c", 1);
    assert_eq!(next(&mut stream), told("change", "c", json!(8)));
    for (key, state) in [("a", 22), ("d", 8), ("c", 8)] {
        assert_eq!(next(&mut later), told("change", key, json!(state)));
    }

    let (headers, page) = ask(&server, "/default/levels");
    assert_eq!((versions(&headers), &page["fold_version"]), ((Some("2"), None), &json!(2)));
    let (_, past) = ask(&server, &next_page);
    assert_eq!((&past["fold_version"], &past["rows"][1]["state"]), (&json!(2), &json!(6)));
    assert_eq!(metric(&server, "laterbase_fold_rebuild_lag_positions", "levels"), 0.0);
    drop((stream, later, server));
    let files = std::fs::read_dir(dir.path().join("folds")).unwrap();
    let mut files: Vec<_> = files.map(|file| file.unwrap().file_name()).collect();
    files.sort();
    assert_eq!(files, ["a-tank.v2", "v-levels.v2"]);
}

#[test]
fn a_server_that_begins_again_folds_nothing_again() {
    let dir = tempfile::tempdir().unwrap();
    left_by_one(dir.path());
    let gate: Arc<Gate> = Arc::default();
    let server = serve::<1>(dir.path(), &gate);
    let (headers, page) = ask(&server, "/default/levels?until=b");
    assert_eq!((versions(&headers), &page["rows"][0]["state"]), ((Some("1"), None), &json!(1)));
    assert_eq!(gate.applied.load(Ordering::SeqCst), 0);
    assert!(server.said().is_empty(), "{:?}", server.said());
}

#[test]
fn an_operator_is_told_of_rows_that_cannot_be_used_and_clients_are_not() {
    let dir = tempfile::tempdir().unwrap();
    left_by_one(dir.path());
    let file = dir.path().join("folds/v-levels.v1");
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, &bytes).unwrap();
    let gate: Arc<Gate> = Arc::default();
    let server = serve::<1>(dir.path(), &gate);
    assert_eq!(ask(&server, "/default/levels?until=b").1["rows"][0]["state"], 1);
    let said = server.said();
    let begin = "default: fold `v-levels` is not kept: folds/v-levels.v1 is damaged";
    assert!(said.len() == 1 && said[0].starts_with(begin), "{said:?}");
}
