//! Events over HTTP: what is recorded, what is answered, what is refused.

use crate::support::Running;
use laterbase::{Database, Options};
use laterbase_server::ServerConfig;
use serde_json::{Value, json};

const JSON: &str = "content-type: application/json";
const NDJSON: &str = "content-type: application/x-ndjson";

fn serve(directory: &std::path::Path) -> Running {
    Database::create(directory, Options::default()).unwrap().close().unwrap();
    Running::of(directory, ServerConfig::default())
}

fn post(server: &Running, headers: &[&str], body: &str) -> (u16, Value) {
    let (status, text) = server.ask("POST", "/db/default/e/shipment", headers, body.as_bytes());
    (status, serde_json::from_str(&text).unwrap())
}

#[test]
fn one_event_an_array_and_lines_are_recorded_as_they_were_written() {
    let directory = tempfile::tempdir().unwrap();
    let server = serve(directory.path());
    let one = json!({
        "key": "4711", "type": "departed", "version": 2, "valid_at": "2026-03-01T13:00:00+01:00",
        "data": {"port": "NLRTM"}, "tags": ["truck:7"], "meta": {"by": "gate"},
    });
    let (status, answer) = post(&server, &[JSON], &one.to_string());
    assert_eq!((status, &answer["outcome"]), (201, &json!("recorded")), "{answer}");
    assert_eq!(answer["events"][0]["seq"], 1);
    let first = answer["events"][0]["id"].as_str().unwrap().to_owned();
    let array = json!([
        {"key": "4711", "type": "seen", "data": 1.50, "cause": first},
        {"type": "bytes", "content_type": "image/png", "data_base64": "AAEC"},
    ]);
    let (status, answer) = post(&server, &[JSON], &array.to_string());
    assert_eq!(status, 201, "{answer}");
    assert_eq!(answer["events"][1]["seq"], 3);
    let lines = "{\"type\":\"a\",\"data\":null}\n\n{\"type\":\"b\",\"data\":[]}\n";
    let (status, answer) = post(&server, &[NDJSON], lines);
    assert_eq!((status, answer["events"].as_array().unwrap().len()), (201, 2), "{answer}");
    let database = Database::open_read_only(directory.path(), Options::default()).unwrap();
    let recorded = database.get(first.parse().unwrap()).unwrap().unwrap().event;
    assert_eq!((recorded.version, recorded.type_name.as_str()), (2, "departed"));
    assert_eq!(recorded.valid_at.as_micros(), 1_772_366_400_000_000);
    assert_eq!(recorded.tags, [("truck".to_owned(), "7".to_owned())]);
    assert_eq!(recorded.payload, b"{\"port\":\"NLRTM\"}");
    assert_eq!(database.statistics().unwrap().events, 5);
}

#[test]
fn the_same_key_again_answers_with_the_first_event() {
    let directory = tempfile::tempdir().unwrap();
    let server = serve(directory.path());
    let body = "{\"type\":\"seen\",\"data\":1}";
    let headers = [JSON, "idempotency-key: k-1"];
    let (status, first) = post(&server, &headers, body);
    assert_eq!(status, 201);
    let (status, again) = post(&server, &headers, body);
    assert_eq!((status, &again["outcome"]), (201, &json!("already_applied")));
    assert_eq!(again["events"], first["events"]);
    let (status, problem) = post(&server, &headers, "{\"type\":\"seen\",\"data\":2}");
    assert_eq!((status, &problem["type"]), (409, &json!("/problems/conflict")), "{problem}");
}

#[test]
fn a_body_with_one_bad_event_records_none() {
    let directory = tempfile::tempdir().unwrap();
    let server = serve(directory.path());
    let cases = [
        ("[]", 400),
        ("{\"type\":\"a\"}", 422),
        ("{\"type\":\"a\",\"data\":1,\"colour\":2}", 400),
        ("[{\"type\":\"a\",\"data\":1},{\"type\":\"b\",\"data\":1,\"valid_at\":\"soon\"}]", 422),
        ("[{\"type\":\"a\",\"data\":1},{\"type\":\"b\",\"data\":1,\"tags\":[\"x\"]}]", 422),
        ("{\"type\":\"a\",\"data\":1,\"data_base64\":\"AA==\"}", 422),
        ("{\"type\":\"a\",\"data_base64\":\"!\"}", 422),
        ("{\"type\":\"a\",\"data\":1,\"cause\":\"no id\"}", 422),
    ];
    for (body, expected) in cases {
        let (status, problem) = post(&server, &[JSON], body);
        assert_eq!(status, expected, "{body}: {problem}");
        assert!(!problem["detail"].as_str().unwrap().is_empty(), "{problem}");
    }
    let (_, described) = server.ask("GET", "/db/default", &[], b"");
    let described: Value = serde_json::from_str(&described).unwrap();
    assert_eq!(described["events"], 0);
}
