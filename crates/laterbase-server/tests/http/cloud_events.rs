//! CloudEvents over HTTP: the three modes in, two of them out, and the same back again.

use crate::support::Running;
use laterbase::{Database, Options};
use laterbase_server::ServerConfig;
use serde_json::{Value, json};

const ONE: &str = "content-type: application/cloudevents+json; charset=utf-8";
const BATCH: &str = "content-type: application/cloudevents-batch+json";

fn serve(directory: &std::path::Path) -> Running {
    Database::create(directory, Options::default()).unwrap().close().unwrap();
    Running::of(directory, ServerConfig::default())
}

fn post(server: &Running, path: &str, headers: &[&str], body: &str) -> (u16, Value) {
    let (status, text) = server.ask("POST", path, headers, body.as_bytes());
    (status, serde_json::from_str(&text).unwrap())
}

#[test]
fn an_event_comes_back_as_it_went_in_whatever_its_mode() {
    let directory = tempfile::tempdir().unwrap();
    let server = serve(directory.path());
    let one = json!({
        "specversion": "1.0", "id": "A-1", "source": "/yard/gate", "type": "departed",
        "subject": "4711", "time": "2026-03-01T12:00:00Z", "comexample": "x",
        "data": {"port": "NL"},
    });
    let (status, first) = post(&server, "/e/shipment", &[ONE], &one.to_string());
    assert_eq!(status, 201, "{first}");
    let (status, again) = post(&server, "/e/shipment", &[BATCH], &json!([one]).to_string());
    assert_eq!((status, &again["outcome"]), (201, &json!("already_applied")), "{again}");
    let binary = [
        "ce-specversion: 1.0",
        "ce-id: A-2",
        "ce-source: /yard/gate",
        "ce-type: weighed",
        "ce-subject: caf%C3%A9",
        "content-type: text/plain",
    ];
    let (status, second) = post(&server, "/e/shipment", &binary, "1 t");
    assert_eq!(status, 201, "{second}");
    let id = first["events"][0]["id"].as_str().unwrap();
    let accept = ["accept: application/cloudevents+json"];
    let (status, text) = server.ask("GET", &format!("/e?keys={id}"), &accept, b"");
    let back: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(status, 200, "{text}");
    for (name, value) in one.as_object().unwrap() {
        assert_eq!(&back[name], value, "{name}");
    }
    assert_eq!((&back["root"], &back["laterbaseid"]), (&json!("shipment"), &json!(id)));
    let accept = ["accept: application/cloudevents-batch+json"];
    let (_, text) = server.ask("GET", "/e/shipment", &accept, b"");
    let all: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&all[1]["subject"], &all[1]["data_base64"]), (&json!("café"), &json!("MSB0")));
    // What is sent back as it came is known already, on the path without a root too.
    let mut again = all[0].clone();
    again.as_object_mut().unwrap().remove("laterbaseid");
    let (status, answer) = post(&server, "/e", &[ONE], &again.to_string());
    assert_eq!((status, &answer["outcome"]), (201, &json!("already_applied")), "{answer}");
}

#[test]
fn an_event_of_this_database_is_a_cloud_event_too() {
    let directory = tempfile::tempdir().unwrap();
    let server = serve(directory.path());
    let json = "content-type: application/json";
    let body = r#"{"key":"7","type":"seen","data":1.50,"meta":{"by":"gate","a b":"no name"}}"#;
    let (status, answer) = post(&server, "/e/truck", &[json], body);
    assert_eq!(status, 201, "{answer}");
    let accept = ["accept: application/cloudevents-batch+json"];
    let (_, text) = server.ask("GET", "/e/truck", &accept, b"");
    assert!(text.contains("\"data\":1.50"), "{text}");
    let all: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(all[0]["id"], answer["events"][0]["id"]);
    assert_eq!((&all[0]["source"], &all[0]["by"]), (&json!("/db/default/e/truck"), &json!("gate")));
}

#[test]
fn what_is_no_cloud_event_is_refused_by_its_index() {
    let directory = tempfile::tempdir().unwrap();
    let server = serve(directory.path());
    let good = json!({"specversion": "1.0", "id": "A", "source": "/s", "type": "t"});
    let other = json!({"specversion": "0.3", "id": "B", "source": "/s", "type": "t"});
    let body = json!([good, other, {"specversion": "1.0"}]).to_string();
    let (status, problem) = post(&server, "/e/truck", &[BATCH], &body);
    let errors = problem["errors"].as_array().unwrap();
    assert_eq!((status, errors.len(), &errors[0]["index"]), (422, 2, &json!(1)), "{problem}");
    assert!(errors[0]["detail"].as_str().unwrap().contains("specversion 0.3"));
    let (status, problem) = post(&server, "/e/truck", &["ce-id: A", "ce-type: t"], "");
    assert_eq!((status, &problem["index"]), (422, &json!(0)), "{problem}");
    let (status, problem) = post(&server, "/e", &[ONE], &good.to_string());
    assert!(status == 422 && problem["detail"].as_str().unwrap().contains("root"), "{problem}");
}

#[test]
fn headers_beside_a_structured_event_do_not_count() {
    let directory = tempfile::tempdir().unwrap();
    let server = serve(directory.path());
    let one = json!({"specversion": "1.0", "id": "A", "source": "/s", "type": "inside"});
    let headers = [ONE, "ce-specversion: 1.0", "ce-type: outside", "ce-id: B"];
    let (status, answer) = post(&server, "/e/truck", &headers, &one.to_string());
    assert_eq!(status, 201, "{answer}");
    let (_, text) = server.ask("GET", "/e/truck", &[], b"");
    assert!(text.contains("inside") && !text.contains("outside"), "{text}");
    let avro = ["content-type: application/cloudevents+avro", "ce-id: B"];
    assert_eq!(post(&server, "/e/truck", &avro, "x").0, 415);
    // But what can be no attribute is a mistake of the sender's, and is told.
    for wrong in ["ce-type:", "ce-specversion: 2", "ce-time: noon", "ce-subject: %x"] {
        let (status, problem) = post(&server, "/e/truck", &[ONE, wrong], &one.to_string());
        let detail = problem["detail"].as_str().unwrap_or_default();
        let name = wrong.split(':').next().unwrap().trim_start_matches("ce-");
        assert!(status == 400 && detail.contains(name), "{wrong}: {problem}");
    }
}

#[test]
fn an_empty_batch_is_nothing_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let server = serve(directory.path());
    let (status, answer) = post(&server, "/e/truck", &[BATCH], "[]");
    assert_eq!((status, &answer["events"]), (200, &json!([])), "{answer}");
    assert_eq!(answer["outcome"], "nothing");
    assert_eq!(post(&server, "/e/truck", &[BATCH, "if-match: *"], "[]").0, 400);
    assert_eq!(server.database().event_count().unwrap(), 0);
}

#[test]
fn an_event_goes_out_in_binary_mode_as_it_came_in() {
    let directory = tempfile::tempdir().unwrap();
    let server = serve(directory.path());
    let sent = [
        "ce-specversion: 1.0",
        "ce-id: A-2",
        "ce-source: /yard/gate",
        "ce-type: weighed",
        "ce-subject: caf%C3%A9%20%227%22",
        "ce-time: 2026-03-01T12:00:00Z",
        "ce-comexample: 100%25",
    ];
    let cases = [("text/html", "<b>1 t</b>"), ("text/plain", ""), ("application/vnd.x+json", "{}")];
    for (at, (content_type, body)) in cases.into_iter().enumerate() {
        let content_type = format!("content-type: {content_type}");
        let id = format!("ce-id: A-{at}");
        let mut headers = sent.to_vec();
        headers[1] = &id;
        headers.push(&content_type);
        let (status, answer) = post(&server, "/e/shipment", &headers, body);
        assert_eq!(status, 201, "{answer}");
        let path =
            format!("/e?ce_mode=binary&keys={}", answer["events"][0]["id"].as_str().unwrap());
        let (status, head, back) = server.ask_whole("GET", &path, &[], b"");
        assert_eq!((status, back.as_str()), (200, body));
        for header in &headers {
            let (name, value) = header.split_once(": ").unwrap();
            assert_eq!(head[name], value, "{name}");
        }
        assert_eq!(head["ce-root"], "shipment");
        // What others wrote runs nowhere.
        assert_eq!(head["x-content-type-options"], "nosniff");
        assert!(head["content-security-policy"].contains("sandbox"));
    }
    // An event without data is one in the JSON format, too.
    let batch = ["accept: application/cloudevents-batch+json"];
    let (_, text) = server.ask("GET", "/e/shipment?type=weighed", &batch, b"");
    let all: Value = serde_json::from_str(&text).unwrap();
    let plain = all[1].as_object().unwrap();
    assert_eq!(plain["datacontenttype"], "text/plain");
    assert!(!plain.contains_key("data") && !plain.contains_key("data_base64"), "{text}");
    let both = "/e?ce_mode=binary&keys=01J00000000000000000000000,01J00000000000000000000001";
    for (path, expected) in [
        ("/e?ce_mode=binary", 400),
        ("/e?ce_mode=structured&keys=01J00000000000000000000000", 400),
        ("/e?ce_mode=binary&keys=01J00000000000000000000000", 404),
        (both, 406),
    ] {
        assert_eq!(server.ask("GET", path, &[], b"").0, expected, "{path}");
    }
}
