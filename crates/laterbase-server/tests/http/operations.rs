//! What keeps a server going: databases, health, metrics, limits, names of requests.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::{Running, append, sync};
use laterbase::{Database, Options};
use laterbase_server::{Rate, ServerConfig};
use serde_json::{Value, json};

const JSON: &str = "content-type: application/json";

fn serve(directory: &std::path::Path, config: ServerConfig) -> Running {
    Database::create(directory, Options::default()).unwrap().close().unwrap();
    Running::of(directory, config)
}

fn kind(text: &str) -> String {
    let document: Value = serde_json::from_str(text).unwrap();
    document["type"].as_str().unwrap().to_owned()
}

#[test]
fn databases_are_made_once_and_stay() {
    let directory = tempfile::tempdir().unwrap();
    let server = serve(directory.path(), ServerConfig::default());
    let (status, made) = server.ask("PUT", "/db/yard", &[], b"");
    assert_eq!(status, 201, "{made}");
    let (status, again) = server.ask("PUT", "/db/yard", &[JSON], b"{}");
    assert_eq!((status, &again), (200, &made));
    let other = json!({"database": "0".repeat(31) + "1"}).to_string();
    assert_eq!(server.ask("PUT", "/db/copy", &[JSON], other.as_bytes()).0, 201);
    let (status, text) = server.ask("PUT", "/db/yard", &[JSON], other.as_bytes());
    assert_eq!((status, kind(&text).as_str()), (409, "/problems/conflict"));
    for name in ["e", "A", "a.b", "..", "%2e%2e", "x%2fy"] {
        let (status, text) = server.ask("PUT", &format!("/db/{name}"), &[], b"");
        assert!(matches!(status, 400 | 404), "{name}: {text}");
    }
    let event = b"{\"type\":\"a\",\"data\":1}";
    assert_eq!(server.ask("POST", "/db/yard/e/truck", &[JSON], event).0, 201);
    drop(server);
    let server = Running::of(directory.path(), ServerConfig::default());
    let (_, list) = server.ask("GET", "/db", &[], b"");
    let list: Value = serde_json::from_str(&list).unwrap();
    let names: Vec<&str> = list["databases"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["copy", "default", "yard"]);
    let (_, yard) = server.ask("GET", "/db/yard", &[], b"");
    let yard: Value = serde_json::from_str(&yard).unwrap();
    assert_eq!((&yard["events"], &yard["quarantined_events"]), (&json!(1), &json!(0)));
}

#[test]
fn clients_make_so_many_databases_and_somebody_is_told_of_each() {
    let directory = tempfile::tempdir().unwrap();
    Database::create(directory.path(), Options::default()).unwrap().close().unwrap();
    let config = ServerConfig { databases_max: 3, ..ServerConfig::default() };
    let told: Arc<Mutex<Vec<String>>> = Arc::default();
    let tell = Arc::clone(&told);
    let server = Running::furnished(directory.path(), config, |server| {
        server.made(Arc::new(move |hosted| tell.lock().unwrap().push(hosted.name.clone())))
    });
    for (name, expected) in [("x", 201), ("x", 200), ("y", 201), ("z", 409), ("y", 200)] {
        let (status, text) = server.ask("PUT", &format!("/db/{name}"), &[], b"");
        assert_eq!(status, expected, "{name}: {text}");
        assert_eq!(status == 409, text.contains("/problems/too-many-databases"), "{text}");
    }
    assert_eq!(*told.lock().unwrap(), ["x", "y"]);
}

#[test]
fn health_and_metrics_tell_what_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let server = serve(directory.path(), ServerConfig::default());
    let event = b"{\"type\":\"a\",\"data\":1}";
    assert_eq!(server.ask("POST", "/e/truck", &[JSON], event).0, 201);
    for path in ["/health", "/health/live", "/health/ready"] {
        assert_eq!(server.ask("GET", path, &[], b"").0, 200);
    }
    let (_, head, page) = server.ask_whole("GET", "/metrics", &[], b"");
    assert!(head["content-type"].starts_with("text/plain; version=0.0.4"));
    for line in [
        "laterbase_requests_total{route=\"append-under-root\",status=\"201\"} 1",
        "laterbase_commit_seconds_count{database=\"default\",outcome=\"recorded\"} 1",
        "laterbase_commit_seconds_bucket{database=\"default\",outcome=\"recorded\",le=\"+Inf\"} 1",
        "laterbase_events{database=\"default\"} 1",
        "laterbase_quarantined_events{database=\"default\"} 0",
        "laterbase_requests_at_work 0",
    ] {
        assert!(page.lines().any(|found| found == line), "{line} is missing in\n{page}");
    }
    let flushes = page.lines().find(|line| line.starts_with("laterbase_flushes_total{"));
    assert!(!flushes.unwrap().ends_with(" 0"), "{page}");
    // Each of these had the device sync.
    let value = |name: &str| {
        let line = page.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
    };
    let synced = value("laterbase_flush_seconds_count{database=\"default\"}");
    assert_eq!(synced, value("laterbase_flushes_total{database=\"default\"}"), "{page}");
    let all = value("laterbase_flush_seconds_bucket{database=\"default\",le=\"+Inf\"}");
    assert_eq!(all, synced, "{page}");
    assert!(value("laterbase_flush_seconds_sum{database=\"default\"}").is_some(), "{page}");
    assert!(page.contains("laterbase_flush_seconds_bucket{database=\"default\",le=\"0.00005\"} "));
}

#[test]
fn head_options_and_names_of_requests_are_as_expected() {
    let directory = tempfile::tempdir().unwrap();
    let server = serve(directory.path(), ServerConfig::default());
    let (status, head, body) = server.ask_whole("HEAD", "/e", &[], b"");
    assert_eq!((status, body.as_str()), (200, ""));
    assert_eq!(head["content-type"], "application/json");
    let (status, head, _) = server.ask_whole("OPTIONS", "/db/default/e/truck", &[], b"");
    assert_eq!((status, head["allow"].as_str()), (204, "GET, HEAD, OPTIONS, POST"));
    let (status, head, text) = server.ask_whole("DELETE", "/db/default", &[], b"");
    assert_eq!((status, head["allow"].as_str()), (405, "GET, HEAD, OPTIONS, PUT"));
    assert_eq!(kind(&text), "/problems/method");
    let (_, head, _) = server.ask_whole("GET", "/health", &["x-request-id: gate-7"], b"");
    assert_eq!(head["x-request-id"], "gate-7");
    let (_, head, _) = server.ask_whole("GET", "/health", &["x-request-id: two words"], b"");
    assert_ne!(head["x-request-id"], "two words");
    let (status, text) = server.ask("GET", "/problems/refused-event", &[], b"");
    assert!(status == 200 && text.contains("422"), "{text}");
    assert_eq!(server.ask("GET", "/problems/none", &[], b"").0, 404);
    let (_, head, page) = server.ask_whole("GET", "/console/api", &[], b"");
    assert!(head["content-security-policy"].contains("default-src 'none'"));
    assert!(!page.contains("://"), "the page asks for something from elsewhere");
    let (_, text) = server.ask("GET", "/openapi.json", &[], b"");
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
}

#[test]
fn limits_are_told_by_problems() {
    let directory = tempfile::tempdir().unwrap();
    let config = ServerConfig {
        header_bytes_max: 2_000,
        uri_bytes_max: 1_000,
        body_bytes_max: 1_000,
        request_timeout: Duration::from_millis(300),
        ..ServerConfig::default()
    };
    let server = serve(directory.path(), config);
    let long = format!("x-long: {}", "x".repeat(3_000));
    let (status, text) = server.ask("GET", "/health", &[&long], b"");
    assert_eq!((status, kind(&text).as_str()), (431, "/problems/headers-too-large"));
    let (status, text) = server.ask("GET", &format!("/e?vv={}", "A".repeat(2_000)), &[], b"");
    assert_eq!((status, kind(&text).as_str()), (414, "/problems/uri-too-long"));
    let (status, text) = server.ask("POST", "/e/truck", &[JSON], &[b' '; 2_000]);
    assert_eq!((status, kind(&text).as_str()), (413, "/problems/too-large"));
    // A body that never comes.
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let head = "POST /e/truck HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10\r\n\r\n{";
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 408");
    append(&server.database(), "truck", 0..1, true);
    assert_eq!(server.ask("GET", "/e", &[], b"").0, 200);
}

#[test]
fn one_client_may_send_so_much() {
    let directory = tempfile::tempdir().unwrap();
    let rate = Some(Rate { per_second: 0.1, burst: 3 });
    let server = serve(directory.path(), ServerConfig { rate, ..ServerConfig::default() });
    for _ in 0..3 {
        assert_eq!(server.ask("GET", "/health", &[], b"").0, 200);
    }
    let (status, head, text) = server.ask_whole("GET", "/health", &[], b"");
    assert_eq!((status, kind(&text).as_str()), (429, "/problems/rate-limit"));
    assert!(head["retry-after"].parse::<u32>().unwrap() > 5);
}

#[test]
fn pages_of_listed_origins_may_ask_and_no_others() {
    let directory = tempfile::tempdir().unwrap();
    let cors_origins = vec!["https://fleet.example".to_owned()];
    let config = ServerConfig { cors_origins, ..ServerConfig::default() };
    let server = serve(directory.path(), config);
    let listed = "origin: https://fleet.example";
    let (status, head, _) = server.ask_whole("GET", "/health", &[listed], b"");
    assert_eq!(status, 200);
    assert_eq!(head["access-control-allow-origin"], "https://fleet.example");
    let other = "origin: https://elsewhere.example";
    let (status, head, _) = server.ask_whole("GET", "/health", &[other], b"");
    assert_eq!((status, head.contains_key("access-control-allow-origin")), (403, false));
    let asks = [listed, "access-control-request-method: POST"];
    let (status, head, _) = server.ask_whole("OPTIONS", "/e/truck", &asks, b"");
    assert_eq!(status, 200);
    assert!(head["access-control-allow-methods"].contains("POST"));
}

#[test]
fn appends_are_counted_by_what_became_of_them() {
    let directory = tempfile::tempdir().unwrap();
    let server = serve(directory.path(), ServerConfig::default());
    let event = b"{\"key\":\"1\",\"type\":\"a\",\"data\":1}";
    let once = "idempotency-key: once";
    for (headers, expected) in
        [(vec![JSON, once], 201), (vec![JSON, once], 201), (vec![JSON, "if-none-match: *"], 412)]
    {
        assert_eq!(server.ask("POST", "/e/truck", &headers, event).0, expected);
    }
    let (_, page) = server.ask("GET", "/metrics", &[], b"");
    for (name, value) in [
        ("laterbase_commit_seconds_count{database=\"default\",outcome=\"recorded\"}", "1"),
        ("laterbase_commit_seconds_count{database=\"default\",outcome=\"already_applied\"}", "1"),
        ("laterbase_commit_seconds_count{database=\"default\",outcome=\"refused\"}", "1"),
        ("laterbase_commit_seconds_count{database=\"default\",outcome=\"failed\"}", "0"),
        ("laterbase_appended_events_total{database=\"default\"}", "1"),
        ("laterbase_index_lag_positions{database=\"default\"}", "1"),
    ] {
        let line = format!("{name} {value}");
        assert!(page.lines().any(|found| found == line), "{line} is missing in\n{page}");
    }
}

/// What a directory of a database holds.
fn contents(directory: &std::path::Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(contents(&path));
        } else {
            all.push((path.clone(), std::fs::read(path).unwrap()));
        }
    }
    all
}

#[test]
fn events_before_a_fork_count_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a");
    let server = serve(&path, ServerConfig::default());
    let id = server.database().id();
    let other = Database::create_joined(directory.path().join("b"), Options::default(), id);
    let other = other.unwrap();
    append(&server.database(), "truck", 0..2, false);
    drop(server);
    let yesterday = contents(&path);
    let server = Running::of(&path, ServerConfig::default());
    append(&server.database(), "truck", 2..5, false);
    sync(&other, &server).0.unwrap();
    drop(server);
    // A disk that is put back to what it was: the copy writes the same numbers again.
    for part in ["log", "index"] {
        for (file, _) in contents(&path.join(part)) {
            std::fs::remove_file(file).unwrap();
        }
    }
    for (file, bytes) in yesterday {
        std::fs::write(file, bytes).unwrap();
    }
    let server = Running::of(&path, ServerConfig::default());
    append(&server.database(), "truck", 5..6, false);
    sync(&other, &server).0.unwrap();
    let database = server.database();
    assert_eq!(database.forks().unwrap().len(), 1);
    let own = laterbase::Query::root("_sys".try_into().unwrap());
    let count = |query| database.read(query).unwrap().count();
    let held = count(&laterbase::Query::all()) + count(&own);
    let (_, text) = server.ask("GET", "/db/default", &[], b"");
    let described: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(described["events"], held);
    let (_, page) = server.ask("GET", "/metrics", &[], b"");
    let line = format!("laterbase_events{{database=\"default\"}} {held}");
    assert!(page.lines().any(|found| found == line), "{line} is missing in\n{page}");
}

#[test]
fn a_parameter_that_is_not_known_is_refused_on_every_path() {
    let directory = tempfile::tempdir().unwrap();
    let server = serve(directory.path(), ServerConfig::default());
    assert_eq!(server.ask("PUT", "/db/default/c/one", &[JSON], b"{}").0, 201);
    let (_, text) = server.ask("GET", "/openapi.json", &[], b"");
    let document: Value = serde_json::from_str(&text).unwrap();
    for (path, item) in document["paths"].as_object().unwrap() {
        if path.contains("{view}") || path.contains("/a/{root}") {
            // This server folds nothing.
            continue;
        }
        let filled = [("{db}", "default"), ("{root}", "truck"), ("{consumer}", "one")];
        let filled =
            filled.iter().fold(path.clone(), |path, (part, name)| path.replace(part, name));
        let filled = filled.replace("{name}", "bad-request");
        for method in item.as_object().unwrap().keys() {
            let asked = format!("{filled}?colour=red");
            let (status, text) = server.ask(&method.to_uppercase(), &asked, &[], b"");
            assert_eq!(status, 400, "{method} {asked}: {text}");
            assert!(method == "head" || text.contains("no parameter `colour`"), "{asked}: {text}");
        }
    }
}

/// The members that a schema has a place for.
fn described(document: &Value, schema: &str) -> Vec<String> {
    let schema = &document["components"]["schemas"][schema]["properties"];
    let mut members: Vec<String> = schema.as_object().unwrap().keys().cloned().collect();
    members.sort();
    members
}

#[test]
fn answers_have_the_members_that_the_description_has() {
    let directory = tempfile::tempdir().unwrap();
    let server = serve(directory.path(), ServerConfig::default());
    let (_, text) = server.ask("GET", "/openapi.json", &[], b"");
    let document: Value = serde_json::from_str(&text).unwrap();
    let ask = |method: &str, path: &str, body: &str| -> Value {
        let (_, text) = server.ask(method, path, &[JSON], body.as_bytes());
        serde_json::from_str(&text).unwrap()
    };
    let event = r#"{"key":"1","type":"a","data":1,"tags":["a:b"],"meta":{"a":"b"},
        "idempotency_key":"k"}"#;
    let appended = ask("POST", "/e/truck", event);
    let id = appended["events"][0]["id"].as_str().unwrap();
    let page = ask("GET", "/e", "");
    let by_id = ask("GET", &format!("/e?keys={id}"), "");
    let consumer = ask("PUT", "/db/default/c/one", "{}");
    let (database, databases) = (ask("GET", "/db/default", ""), ask("GET", "/db", ""));
    // What an answer may leave out stands behind it.
    for (schema, answer, left_out) in [
        ("Database", &database, &[][..]),
        ("Databases", &databases, &[]),
        ("Appended", &appended, &[]),
        ("Page", &page, &["missing"]),
        ("Page", &by_id, &["cursor", "next", "vv"]),
        (
            "Event",
            &page["events"][0],
            &["cause", "clock_suspect", "content_type", "data_base64", "idempotency_key_base64"],
        ),
        ("Consumer", &consumer, &[]),
        ("Deliveries", &ask("POST", "/db/default/c/one/fetch", ""), &[]),
        ("Settled", &ask("POST", "/db/default/c/one/settle", "{}"), &[]),
        ("DeadLetters", &ask("GET", "/db/default/c/one/dead", ""), &[]),
        ("Consumers", &ask("GET", "/db/default/c", ""), &[]),
    ] {
        let mut members: Vec<String> = answer.as_object().unwrap().keys().cloned().collect();
        members.extend(left_out.iter().map(|&name| name.to_owned()));
        members.sort();
        assert_eq!(members, described(&document, schema), "{schema}: {answer}");
    }
}
