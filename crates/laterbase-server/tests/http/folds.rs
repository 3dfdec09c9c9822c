//! Aggregates and views over HTTP: now, then, page by page, and as they change.
//!
//! Caught here: a page that shows another moment than the first, a tag that is not the stream's
//! version, a change that is told twice or lost when a client comes back.

use std::collections::BTreeMap;

use crate::support::{EventStream, Running, StreamEvent};
use laterbase::{Aggregate, ApplyError, FoldEvent, FoldOrder, Options, View};
use laterbase_server::ServerConfig;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Numbers, in the order in which they happened.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Tank {
    sum: i64,
    last: i64,
}

impl Aggregate for Tank {
    const ORDER: FoldOrder = FoldOrder::Valid;

    fn apply(&mut self, event: &FoldEvent<'_>) -> Result<(), ApplyError> {
        if event.type_name() == "burst" {
            return Err("a pipe burst".into());
        }
        self.last = event.json()?;
        self.sum += self.last;
        Ok(())
    }
}

/// Which tanks hold something, by their first letter.
#[derive(Debug, Clone, Copy)]
struct Full;

impl View for Full {
    type Row = BTreeMap<String, i64>;

    fn rows(&self, event: &FoldEvent<'_>, touch: &mut dyn FnMut(&str)) {
        event.key().get(..1).into_iter().for_each(touch);
    }

    fn apply(&self, row: &mut Self::Row, _: &str, event: &FoldEvent<'_>) -> Result<(), ApplyError> {
        let sum = row.entry(event.key().to_owned()).or_default();
        *sum += event.json::<i64>()?;
        row.retain(|_, sum| *sum != 0);
        Ok(())
    }

    fn is_hidden(&self, row: &Self::Row) -> bool {
        row.is_empty()
    }
}

fn serve(directory: &std::path::Path) -> Running {
    drop(laterbase::Database::create(directory, Options::default()).unwrap());
    Running::furnished(directory, ServerConfig::default(), |server| {
        server.aggregate::<Tank>("tank").view_of("full", Full)
    })
}

fn put(server: &Running, key: &str, number: i64, valid_at: Option<&str>) {
    let mut event = json!({ "key": key, "type": "added", "data": number });
    if let Some(at) = valid_at {
        event["valid_at"] = json!(at);
    }
    let header = ["content-type: application/json"];
    let (status, body) = server.ask("POST", "/e/tank", &header, event.to_string().as_bytes());
    assert_eq!(status, 201, "{body}");
}

fn get(server: &Running, path: &str) -> Value {
    let (status, body) = server.ask("GET", path, &[], b"");
    assert_eq!(status, 200, "{path}: {body}");
    serde_json::from_str(&body).unwrap()
}

fn refused(server: &Running, path: &str) -> (u16, String) {
    let (status, body) = server.ask("GET", path, &[], b"");
    let problem: Value = serde_json::from_str(&body).unwrap();
    (status, problem["type"].as_str().unwrap().trim_start_matches("/problems/").to_owned())
}

#[test]
fn one_aggregate_has_its_streams_version_and_every_past() {
    let dir = tempfile::tempdir().unwrap();
    let server = serve(dir.path());
    put(&server, "a", 1, Some("2026-03-01T10:00:00Z"));
    put(&server, "a", 10, Some("2026-03-03T10:00:00Z"));
    let vector = get(&server, "/db/default")["vv"].as_str().unwrap().to_owned();
    put(&server, "a", 100, Some("2026-03-02T10:00:00Z"));
    let (status, headers, body) = server.ask_whole("GET", "/a/tank/a", &[], b"");
    let now: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(now, json!({ "key": "a", "version": 3, "state": { "sum": 111, "last": 10 } }));
    assert_eq!((status, &get(&server, "/db/default/a/tank/a")), (200, &now));

    let then = get(&server, &format!("/a/tank/a?as_of={vector}"));
    assert_eq!(then["state"], json!({ "sum": 11, "last": 10 }));
    let on_monday = get(&server, "/a/tank/a?valid_at=2026-03-02T12:00:00Z");
    assert_eq!(on_monday["state"], json!({ "sum": 101, "last": 100 }));
    let both = format!("/a/tank/a?valid_at=2026-03-02T12:00:00Z&as_of={vector}");
    assert_eq!(get(&server, &both)["state"], json!({ "sum": 1, "last": 1 }));
    let nothing = refused(&server, "/a/tank/a?valid_at=2026-02-01T00:00:00Z");
    assert_eq!(nothing, (404, "no-such-row".to_owned()));

    // The tag is what an append can be held against.
    let tag = &headers["etag"];
    let same = format!("if-none-match: {tag}");
    let (status, _, body) = server.ask_whole("GET", "/a/tank/a", &[&same], b"");
    assert_eq!((status, body.as_str()), (304, ""));
    let event = json!({ "key": "a", "type": "added", "data": 1 }).to_string();
    let demand = format!("if-match: {tag}");
    let headers = ["content-type: application/json", demand.as_str()];
    assert_eq!(server.ask("POST", "/e/tank", &headers, event.as_bytes()).0, 201);
    assert_eq!(server.ask("POST", "/e/tank", &headers, event.as_bytes()).0, 412);
}

#[test]
fn pages_show_one_moment_and_what_cannot_be_folded_says_so_in_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let server = serve(dir.path());
    for number in 0..5 {
        put(&server, &format!("t{number}"), 1, None);
    }
    let burst = json!({ "key": "t1", "type": "burst", "data": 0 }).to_string();
    let header = ["content-type: application/json"];
    assert_eq!(server.ask("POST", "/e/tank", &header, burst.as_bytes()).0, 201);
    let first = get(&server, "/a/tank?limit=2");
    assert_eq!(
        first["rows"][0],
        json!({ "key": "t0", "version": 1,
        "state": { "sum": 1, "last": 1 } })
    );
    assert_eq!(first["rows"][1]["problem"]["type"], "/problems/not-folded");
    assert_eq!(first["fold_version"], 1);
    for number in 0..5 {
        put(&server, &format!("t{number}"), 10, None);
    }
    let next = first["next"].as_str().unwrap();
    let second = get(&server, &format!("/a/tank?limit=10&after={next}"));
    let sums: Vec<&Value> =
        second["rows"].as_array().unwrap().iter().map(|row| &row["state"]["sum"]).collect();
    assert_eq!(sums, [1, 1, 1]);
    assert_eq!(second["next"], Value::Null);
    let (_, lines) = server.ask("GET", "/a/tank?from=t3", &["accept: application/x-ndjson"], b"");
    let keys: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["key"].clone())
        .collect();
    assert_eq!(keys, ["t3", "t4"]);
    assert_eq!(get(&server, "/db/default/v/full/t")["state"]["t4"], 11);
    assert_eq!(get(&server, "/default/full")["rows"][0]["key"], "t");
}

#[test]
fn mistakes_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let server = serve(dir.path());
    put(&server, "a", 1, None);
    for (path, status, kind) in [
        ("/a/ship", 404, "no-such-fold"),
        ("/db/default/v/board", 404, "no-such-fold"),
        ("/db/none/a/tank", 404, "no-such-database"),
        ("/a/tank/b", 404, "no-such-row"),
        ("/a/tank?limit=0", 400, "bad-request"),
        ("/a/tank?colour=red", 400, "bad-request"),
        ("/a/tank?after=xyz", 400, "cursor"),
        ("/a/tank/a?as_of=xyz", 400, "bad-request"),
        ("/a/tank/a?valid_at=noon", 400, "bad-request"),
    ] {
        assert_eq!(refused(&server, path), (status, kind.to_owned()), "{path}");
    }
    let (status, _) = server.ask("GET", "/a/tank", &["accept: image/png"], b"");
    assert_eq!(status, 406);
}

/// One event of it: id, name, key, sum.
type Told = (String, String, String, i64);

/// The next event of a stream of rows.
fn next(stream: &mut EventStream) -> Told {
    let StreamEvent { id, name, data } = stream.next();
    let key = data["key"].as_str().unwrap_or_default().to_owned();
    (id, name, key, data["state"]["sum"].as_i64().unwrap_or(0))
}

/// The same without its id.
fn next_told(stream: &mut EventStream) -> (String, String, i64) {
    let (_, name, key, sum) = next(stream);
    (name, key, sum)
}

fn told(name: &str, key: &str, sum: i64) -> (String, String, i64) {
    (name.to_owned(), key.to_owned(), sum)
}

#[test]
fn a_stream_tells_rows_then_each_change_and_goes_on_where_it_was_left() {
    let dir = tempfile::tempdir().unwrap();
    let server = serve(dir.path());
    put(&server, "a", 1, None);
    put(&server, "b", 1, None);
    let mut all = EventStream::open(&server, "/a/tank", None);
    let (row, _, _, _) = next(&mut all);
    assert_eq!(next_told(&mut all), told("row", "b", 1));
    assert_eq!(next_told(&mut all), told("ready", "", 0));
    put(&server, "b", 10, None);
    let (change, name, key, sum) = next(&mut all);
    assert_eq!((name, key, sum), told("change", "b", 11));
    put(&server, "c", 5, None);
    assert_eq!(next_told(&mut all), told("change", "c", 5));
    drop(all);

    // From the change on: what came after it, and that alone.
    put(&server, "a", 100, None);
    let mut again = EventStream::open(&server, "/a/tank", Some(&change));
    assert_eq!(next_told(&mut again), told("change", "c", 5));
    assert_eq!(next_told(&mut again), told("change", "a", 101));
    // From the first row on: the rest of the rows of that moment, then all that changed since.
    let mut rest = EventStream::open(&server, "/a/tank", Some(&row));
    assert_eq!(next_told(&mut rest), told("row", "b", 1));
    assert_eq!(next_told(&mut rest), told("ready", "", 0));
    for change in [("b", 11), ("c", 5), ("a", 101)] {
        assert_eq!(next_told(&mut rest), told("change", change.0, change.1));
    }
    // One aggregate alone.
    let mut one = EventStream::open(&server, "/a/tank/a", None);
    assert_eq!(next_told(&mut one), told("row", "a", 101));
    assert_eq!(next_told(&mut one), told("ready", "", 0));
    put(&server, "b", 1, None);
    put(&server, "a", 1, None);
    assert_eq!(next_told(&mut one), told("change", "a", 102));
    // A row that goes.
    let mut full = EventStream::open(&server, "/default/full", None);
    while next_told(&mut full).0 != "ready" {}
    put(&server, "c", -5, None);
    assert_eq!(next_told(&mut full), told("gone", "c", 0));
    drop((again, rest, one, full));
}

/// With nothing that is flushed by itself.
fn serve_lazily(directory: &std::path::Path) -> Running {
    let mut options = Options::default();
    options.flush_interval_ms = 600_000;
    drop(laterbase::Database::create(directory, options.clone()).unwrap());
    Running::over(directory, options, ServerConfig::default(), |server| {
        server.aggregate::<Tank>("tank").view_of("full", Full)
    })
}

#[test]
fn nothing_is_told_of_a_state_that_a_power_cut_could_take_back() {
    let dir = tempfile::tempdir().unwrap();
    let server = serve_lazily(dir.path());
    let database = server.database();
    let paths = ["/a/tank/a", "/a/tank", "/default/full", "/db/default/v/full/a", "/db/default"];
    for path in paths {
        let mut commit = database.commit();
        commit.durability(laterbase::Durability::Relaxed);
        commit.push(&laterbase::NewEvent::new("tank", "a", "added").json(&1).unwrap()).unwrap();
        let appended = database.append(&mut commit).unwrap().wait().unwrap();
        assert!(database.statistics().unwrap().flushed < appended.position, "it is flushed early");
        get(&server, path);
        assert!(database.statistics().unwrap().flushed >= appended.position, "{path}");
    }
}

#[test]
fn a_state_has_a_tag_of_its_form_which_a_write_takes_for_its_version() {
    let dir = tempfile::tempdir().unwrap();
    let server = serve(dir.path());
    put(&server, "a", 1, None);
    let (_, head, _) = server.ask_whole("GET", "/a/tank/a", &[], b"");
    let of_state = &head["etag"];
    assert!(of_state.ends_with("-1-fold1-json\""), "{of_state}");
    assert!(head["vary"].contains("accept"), "{head:?}");
    // The same version, in another form.
    let (_, head, _) = server.ask_whole("GET", "/e/tank?key=a", &[], b"");
    assert_ne!(head["etag"], *of_state);
    let other = format!("if-none-match: {of_state}");
    assert_eq!(server.ask("GET", "/e/tank?key=a", &[&other], b"").0, 200);
}

/// A view whose rows are two for each event, and hold JSON as it was written.
#[derive(Debug, Clone, Copy)]
struct Both;

impl View for Both {
    type Row = Option<Box<serde_json::value::RawValue>>;

    fn rows(&self, event: &FoldEvent<'_>, touch: &mut dyn FnMut(&str)) {
        touch(&format!("a{}", event.key()));
        touch(&format!("z{}", event.key()));
    }

    fn apply(&self, row: &mut Self::Row, _: &str, event: &FoldEvent<'_>) -> Result<(), ApplyError> {
        *row = Some(serde_json::from_slice(event.payload())?);
        Ok(())
    }
}

fn serve_both(directory: &std::path::Path) -> Running {
    drop(laterbase::Database::create(directory, Options::default()).unwrap());
    Running::furnished(directory, ServerConfig::default(), |server| server.view_of("both", Both))
}

#[test]
fn a_stream_of_one_row_repeats_no_change_that_touched_other_rows_too() {
    let dir = tempfile::tempdir().unwrap();
    let server = serve_both(dir.path());
    let sum = |number: i64| json!({ "key": "1", "type": "t", "data": { "sum": number } });
    let put = |number: i64| {
        let header = ["content-type: application/json"];
        let body = sum(number).to_string();
        assert_eq!(server.ask("POST", "/e/tank", &header, body.as_bytes()).0, 201);
    };
    let keyed = "/db/default/v/both/a1";
    put(1);
    let mut one = EventStream::open(&server, keyed, None);
    while next_told(&mut one).0 != "ready" {}
    put(2);
    let (id, name, ..) = next(&mut one);
    assert_eq!((name.as_str(), id.is_empty()), ("change", false), "a change without an id");
    drop(one);
    put(3);
    let mut again = EventStream::open(&server, keyed, Some(&id));
    let (_, name, key, _) = next(&mut again);
    assert_eq!((name.as_str(), key.as_str()), ("change", "a1"));
    put(4);
    assert_eq!(next(&mut again).1, "change");
    drop(again);
    // Nothing came since: what comes next is the first thing that is told.
    let mut last = EventStream::open(&server, keyed, None);
    while next_told(&mut last).0 != "ready" {}
    put(5);
    let (id, ..) = next(&mut last);
    let mut behind = EventStream::open(&server, keyed, Some(&id));
    put(6);
    let (next, ..) = next(&mut behind);
    assert_ne!(next, id);
    drop((last, behind));
}

#[test]
fn a_state_that_was_written_on_several_lines_stands_on_one() {
    let dir = tempfile::tempdir().unwrap();
    let server = serve_both(dir.path());
    let mut commit = server.database().commit();
    let mut event = laterbase::NewEvent::new("tank", "1", "t");
    event.payload = b"{\n \"sum\":\r\n 7.50, \"text\": \"a \\n b\"\r}".to_vec();
    commit.push(&event).unwrap();
    server.database().append(&mut commit).unwrap().wait().unwrap();
    let (_, lines) = server.ask("GET", "/default/both", &["accept: application/x-ndjson"], b"");
    let state = r#""state":{"sum":7.50,"text":"a \n b"}}"#;
    assert_eq!(lines.lines().count(), 2, "{lines}");
    assert!(lines.lines().all(|line| line.ends_with(state)), "{lines}");
    let mut client = EventStream::open(&server, "/default/both", None);
    let mut data = String::new();
    while !data.starts_with("data: ") {
        data = client.line();
    }
    assert!(data.ends_with(state), "{data}");
    drop(client);
}

#[test]
fn metrics_tell_how_often_rows_were_folded_again() {
    let dir = tempfile::tempdir().unwrap();
    let server = serve(dir.path());
    let rebases = || {
        let (_, page) = server.ask("GET", "/metrics", &[], b"");
        let name = "laterbase_fold_rebases_total{database=\"default\",sort=\"aggregates\",";
        let line = page.lines().find(|line| line.starts_with(name)).map(str::to_owned);
        line.unwrap().rsplit(' ').next().unwrap().to_owned()
    };
    put(&server, "a", 1, None);
    get(&server, "/a/tank/a");
    put(&server, "a", 2, None);
    get(&server, "/a/tank/a");
    assert_eq!(rebases(), "0");
    put(&server, "a", 3, Some("2026-01-01T00:00:00Z"));
    get(&server, "/a/tank/a");
    get(&server, "/a/tank/a");
    assert_eq!(rebases(), "1");
}

#[test]
fn metrics_tell_how_far_a_fold_is_behind() {
    let dir = tempfile::tempdir().unwrap();
    let server = serve(dir.path());
    let lag = || {
        let (_, page) = server.ask("GET", "/metrics", &[], b"");
        let name = "laterbase_fold_lag_positions{";
        let lines = page.lines().filter(|line| line.starts_with(name)).map(str::to_owned);
        lines.collect::<Vec<String>>()
    };
    let of = |sort: &str, fold: &str, lag: u32| {
        let labels = format!("database=\"default\",sort=\"{sort}\",fold=\"{fold}\"");
        format!("laterbase_fold_lag_positions{{{labels}}} {lag}")
    };
    assert_eq!(lag(), [of("aggregates", "tank", 0), of("view", "full", 0)]);
    put(&server, "a", 1, None);
    assert_eq!(
        lag(),
        [of("aggregates", "tank", 1), of("view", "full", 1)],
        "what came since the server began is taken note of when somebody asks"
    );
    get(&server, "/a/tank/a");
    assert_eq!(lag(), [of("aggregates", "tank", 0), of("view", "full", 1)]);
    put(&server, "a", 1, None);
    put(&server, "b", 1, None);
    assert_eq!(lag(), [of("aggregates", "tank", 2), of("view", "full", 3)]);
}
