//! What a server tells `tracing`: requests by their ids, refusals, and nothing of tokens or data.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    dead_code,
    unreachable_pub,
    reason = "a test that cannot go on says so; a part of the support is used"
)]

#[path = "http/support.rs"]
mod support;

use std::io::{self, Write};
use std::sync::{Arc, Mutex, OnceLock};

use laterbase::{Database, Options};
use laterbase_server::{Asked, Authorizer, Denied, ServerConfig};
use serde_json::Value;
use support::Running;
use tracing_subscriber::fmt::MakeWriter;

const JSON: &str = "content-type: application/json";

/// All lines of this process, in the order in which they came.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Logs everything from now on; the tests of this file share one process.
fn lines() -> &'static Lines {
    static LINES: OnceLock<Lines> = OnceLock::new();
    LINES.get_or_init(|| {
        let lines = Lines::default();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .flatten_event(true)
            .with_span_list(false)
            .with_max_level(tracing::Level::TRACE)
            .with_writer(lines.clone());
        tracing::subscriber::set_global_default(subscriber.finish()).unwrap();
        lines
    })
}

/// The lines that name this request, in their span or by themselves.
fn of_request(id: &str) -> Vec<Value> {
    let text = String::from_utf8(lines().0.lock().unwrap().clone()).unwrap();
    let all = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    all.filter(|line| line["span"]["request_id"] == id || line["request_id"] == id).collect()
}

fn serve(directory: &std::path::Path, config: ServerConfig) -> Running {
    lines();
    Database::create(directory, Options::default()).unwrap().close().unwrap();
    Running::of(directory, config)
}

/// Lets nobody in who has a token, and tells why.
#[derive(Debug)]
struct Wary;

impl Authorizer for Wary {
    fn authorize(&self, token: Option<&str>, _: &Asked<'_>) -> Result<(), Denied> {
        match token {
            None => Ok(()),
            Some(_) => Err(Denied::Forbidden { reason: "nobody with a token".to_owned() }),
        }
    }
}

#[test]
fn a_request_is_told_with_its_route_database_and_status() {
    let directory = tempfile::tempdir().unwrap();
    let server = serve(directory.path(), ServerConfig::default());
    let event = b"{\"type\":\"a\",\"data\":1}";
    let named = "x-request-id: told-1";
    assert_eq!(server.ask("POST", "/e/truck", &[JSON, named], event).0, 201);
    assert_eq!(server.ask("GET", "/nowhere", &["x-request-id: told-2"], b"").0, 404);
    drop(server);
    let told = of_request("told-1");
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((&told[0]["level"], &told[0]["message"]), (&"DEBUG".into(), &"answered".into()));
    let span = &told[0]["span"];
    for (field, expected) in [
        ("name", Value::from("request")),
        ("method", "POST".into()),
        ("path", "/e/truck".into()),
        ("route", "append-under-root".into()),
        ("database", "default".into()),
        ("status", 201.into()),
    ] {
        assert_eq!(span[field], expected, "{field} of {span}");
    }
    assert!(span["duration_us"].as_u64().unwrap() > 0, "{span}");
    let span = &of_request("told-2")[0]["span"];
    assert_eq!((&span["status"], &span["route"]), (&404.into(), &Value::Null));
}

#[test]
fn requests_are_told_of_at_the_level_info_where_that_is_wanted() {
    let directory = tempfile::tempdir().unwrap();
    let config = ServerConfig { log_requests: true, ..ServerConfig::default() };
    let server = serve(directory.path(), config);
    server.ask("GET", "/health", &["x-request-id: wanted-1"], b"");
    drop(server);
    assert_eq!(of_request("wanted-1")[0]["level"], "INFO");
}

#[test]
fn a_refusal_is_told_with_its_reason_within_its_request() {
    let directory = tempfile::tempdir().unwrap();
    let config = ServerConfig { authorizer: Some(Arc::new(Wary)), ..ServerConfig::default() };
    let server = serve(directory.path(), config);
    let headers = ["authorization: Bearer guess", "x-request-id: refused-1"];
    assert_eq!(server.ask("GET", "/e", &headers, b"").0, 403);
    let said = server.said();
    drop(server);
    let told = of_request("refused-1");
    assert_eq!(told[0]["level"], "WARN");
    // The notice says the same.
    assert_eq!(told[0]["message"].as_str(), said.first().map(String::as_str));
    assert!(said[0].contains("nobody with a token"), "{said:?}");
    assert_eq!(told[0]["span"]["database"], "default");
    assert_eq!(told[1]["span"]["status"], 403);
}

#[test]
fn what_a_program_tells_on_a_blocking_thread_is_told_within_its_request() {
    lines();
    let directory = tempfile::tempdir().unwrap();
    Database::create(directory.path(), Options::default()).unwrap().close().unwrap();
    let server = Running::furnished(directory.path(), ServerConfig::default(), |server| {
        server.validator(|event| {
            tracing::info!(type_name = event.type_name, "looked at");
            Ok(())
        })
    });
    let event = b"{\"type\":\"weighed\",\"data\":1}";
    let named = "x-request-id: blocking-1";
    assert_eq!(server.ask("POST", "/e/truck", &[JSON, named], event).0, 201);
    drop(server);
    let told = of_request("blocking-1");
    assert!(told.iter().any(|line| line["type_name"] == "weighed"), "{told:?}");
}

#[test]
fn neither_tokens_nor_data_nor_parameters_are_told() {
    let directory = tempfile::tempdir().unwrap();
    let config = ServerConfig { authorizer: Some(Arc::new(Wary)), ..ServerConfig::default() };
    let server = serve(directory.path(), config);
    let token = "authorization: Bearer hush-token";
    let event = b"{\"type\":\"hush-type\",\"key\":\"hush-key\",\"data\":\"hush-data\"}";
    let wrong = b"{\"type\":\"hush-type\",\"data\":\"hush-data\",\"hush-member\":1}";
    let idempotent = "idempotency-key: hush-idempotency";
    for (status, method, path, headers, body) in [
        (201, "POST", "/e/truck", &[JSON, idempotent][..], &event[..]),
        (422, "POST", "/e/truck", &[JSON], wrong),
        (400, "POST", "/e/truck", &[JSON], b"{hush-json"),
        (403, "POST", "/e/truck", &[JSON, token], event),
        (403, "GET", "/e?root=hush-root", &[token], b""),
        (400, "GET", "/e?hush-parameter=1", &[], b""),
        (200, "GET", "/e", &["cookie: hush-cookie"], b""),
        (200, "POST", "/sync", &["content-type: application/vnd.laterbase.frames"], b"hush-frame"),
    ] {
        let headers = [headers, &["x-request-id: quiet"]].concat();
        let (answered, text) = server.ask(method, path, &headers, body);
        // What frames that make no sense are answered with is of no concern here.
        assert!(path == "/sync" || answered == status, "{method} {path}: {answered} {text}");
    }
    drop(server);
    assert!(of_request("quiet").len() >= 8);
    let text = String::from_utf8(lines().0.lock().unwrap().clone()).unwrap();
    let told: Vec<&str> = text.lines().filter(|line| line.contains("hush")).collect();
    assert_eq!(told, Vec::<&str>::new());
}
