//! The schema of a database over HTTP.

use laterbase::{Database, Options};
use laterbase_server::ServerConfig;
use serde_json::{Value, json};

use crate::support::Running;

const TEXT: &str = "content-type: text/plain";
const PATH: &str = "/db/default/schema";
const FIRST: &str = "root shipment {\n    event 1 departed { 1 port: text }\n}\n";

fn served() -> (Running, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    Database::create(directory.path(), Options::default()).unwrap().close().unwrap();
    (Running::of(directory.path(), ServerConfig::default()), directory)
}

fn put(server: &Running, path: &str, headers: &[&str], text: &str) -> (u16, Value) {
    let headers = [&[TEXT], headers].concat();
    let (status, body) = server.ask("PUT", path, &headers, text.as_bytes());
    (status, serde_json::from_str(&body).unwrap())
}

#[test]
fn a_schema_is_put_and_read_back_with_its_hash_as_entity_tag() {
    let (server, _directory) = served();
    let (status, change) = put(&server, PATH, &[], FIRST);
    assert_eq!((status, change["changes"].as_array().unwrap().len()), (200, 2), "{change}");
    let (status, headers, body) = server.ask_whole("GET", PATH, &["accept: text/plain"], b"");
    assert_eq!((status, body.as_str()), (200, FIRST));
    let tag = format!("\"{}\"", change["hash"].as_str().unwrap());
    assert_eq!(headers["etag"], tag);
    let same = server.ask("GET", PATH, &[&format!("if-none-match: {tag}")], b"");
    assert_eq!(same.0, 304);
    let (status, body) = server.ask("GET", PATH, &[], b"");
    let shown: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &shown["text"], &shown["conflicts"]), (200, &json!(FIRST), &json!([])));
    assert_eq!(shown["history"][0]["event"], change["event"]);
    let (status, again) = put(&server, PATH, &[], FIRST);
    assert_eq!((status, &again["event"]), (200, &Value::Null));
}

#[test]
fn what_may_not_change_is_a_422_that_shows_each_place() {
    let (server, _directory) = served();
    put(&server, PATH, &[], FIRST);
    for path in [PATH, "/db/default/schema?dry_run=true"] {
        let (status, problem) = put(&server, path, &[], &FIRST.replace("text", "int"));
        assert_eq!((status, &problem["type"]), (422, &json!("/problems/schema")), "{problem}");
        assert_eq!(problem["mistakes"][0]["line"], json!(2));
        assert!(problem["text"].as_str().unwrap().contains("cannot become int"), "{problem}");
    }
    let (status, problem) = put(&server, PATH, &[], "root {");
    assert_eq!((status, &problem["type"]), (422, &json!("/problems/schema")));
}

#[test]
fn if_match_keeps_one_from_overwriting_what_another_one_did() {
    let (server, _directory) = served();
    let (_, first) = put(&server, PATH, &[], FIRST);
    let tag = format!("if-match: \"{}\"", first["hash"].as_str().unwrap());
    let more = format!("{FIRST}root truck {{ event 1 parked }}\n");
    for path in ["/db/default/schema?dry_run=true", PATH] {
        assert_eq!(put(&server, path, &[&tag], &more).0, 200);
    }
    let (status, problem) = put(&server, PATH, &[&tag], &more);
    assert_eq!((status, &problem["type"]), (412, &json!("/problems/precondition")));
    assert_eq!(put(&server, "/db/default/schema?dry_run=true", &[&tag], &more).0, 412);
    assert_eq!(put(&server, PATH, &["if-match: \"x\""], &more).0, 412);
}

#[test]
fn a_dry_run_says_what_would_change_and_changes_nothing() {
    let (server, _directory) = served();
    let (status, told) = put(&server, "/db/default/schema?dry_run=true", &[], FIRST);
    let changes = json!(["+ root shipment", "+ event shipment.departed"]);
    assert_eq!((status, &told["changes"]), (200, &changes));
    assert_eq!(server.ask("GET", PATH, &["accept: text/plain"], b""), (200, String::new()));
    assert_eq!(put(&server, PATH, &["content-type: image/png"], FIRST).0, 400);
    assert_eq!(server.ask("PUT", PATH, &["content-type: image/png"], b"x").0, 415);
    assert_eq!(server.ask("PUT", PATH, &[TEXT], b"\xff").0, 400);
}

#[test]
fn events_are_held_against_the_schema_and_shown_with_names() {
    let (server, _directory) = served();
    put(&server, PATH, &[], FIRST);
    let post = |body: Value| {
        let body = body.to_string();
        server.ask("POST", "/e/shipment", &["content-type: application/json"], body.as_bytes())
    };
    let (status, body) = post(json!({"key": "1", "type": "departed", "data": {"prt": "a"}}));
    assert_eq!(status, 422, "{body}");
    assert!(body.contains("has no field `prt`"), "{body}");
    assert_eq!(post(json!({"key": "1", "type": "departed", "data": {"port": "a"}})).0, 201);
    let database = server.database();
    let event = database.declared_event("shipment", "2", "departed", &[("port", "b".into())]);
    let mut commit = database.commit();
    commit.push(&event.unwrap()).unwrap();
    database.append(&mut commit).unwrap().wait().unwrap();
    let forms = ["application/x-ndjson", "application/json", "application/cloudevents-batch+json"];
    for accept in forms {
        let (status, body) = server.ask("GET", "/e/shipment", &[&format!("accept: {accept}")], b"");
        assert_eq!(status, 200);
        assert!(body.contains(r#""data":{"port":"b"}"#), "{body}");
    }
}
