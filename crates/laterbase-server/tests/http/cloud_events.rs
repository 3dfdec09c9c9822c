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
