//! What keeps a server going: databases, health, metrics, limits, names of requests.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use crate::support::{Running, append};
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
        "laterbase_commit_seconds_count{database=\"default\"} 1",
        "laterbase_commit_seconds_bucket{database=\"default\",le=\"+Inf\"} 1",
        "laterbase_events{database=\"default\"} 1",
        "laterbase_quarantined_events{database=\"default\"} 0",
        "laterbase_requests_at_work 0",
    ] {
        assert!(page.lines().any(|found| found == line), "{line} is missing in\n{page}");
    }
    let flushes = page.lines().find(|line| line.starts_with("laterbase_flushes_total{"));
    assert!(!flushes.unwrap().ends_with(" 0"), "{page}");
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
