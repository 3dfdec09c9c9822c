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
        ("{", 400),
        ("{\"events\":[],\"expect\":{\"x\":1}}", 400),
        ("{\"type\":\"a\"}", 422),
        ("{\"type\":\"a\",\"data\":1,\"colour\":2}", 422),
        ("{\"type\":\"a\",\"data\":1,\"root\":\"truck\"}", 422),
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

#[test]
fn each_wrong_event_is_named_by_its_index() {
    let directory = tempfile::tempdir().unwrap();
    let server = serve(directory.path());
    let body = json!([
        {"type": "a", "data": 1}, {"type": "", "data": 1}, {"type": "c", "data": 1},
        {"data": 1}, {"type": "e", "data": 1, "tags": ["x"]},
    ]);
    let (status, problem) = post(&server, &[JSON], &body.to_string());
    assert_eq!((status, &problem["type"]), (422, &json!("/problems/refused-event")));
    let errors = problem["errors"].as_array().unwrap();
    let indices: Vec<u64> = errors.iter().map(|one| one["index"].as_u64().unwrap()).collect();
    assert_eq!(indices, [1, 3, 4], "{problem}");
    let lines = "{\"type\":\"a\",\"data\":1}\n{\"type\":\n";
    let (status, problem) = post(&server, &[NDJSON], lines);
    assert_eq!((status, &problem["index"]), (422, &json!(1)), "{problem}");
}

#[test]
fn one_body_records_under_several_roots_or_not_at_all() {
    let directory = tempfile::tempdir().unwrap();
    let server = serve(directory.path());
    let send = |body: &Value| {
        let (status, text) =
            server.ask("POST", "/db/default/e", &[JSON], body.to_string().as_bytes());
        (status, serde_json::from_str::<Value>(&text).unwrap())
    };
    let truck = json!({"root": "truck", "key": "7", "type": "loaded", "data": 1});
    let shipment = json!({"root": "shipment", "key": "4711", "type": "loaded", "data": 1});
    let (status, answer) = send(&json!([truck, shipment]));
    assert_eq!((status, answer["events"].as_array().unwrap().len()), (201, 2), "{answer}");
    assert_eq!(send(&json!([truck, {"type": "a", "data": 1}])).0, 422);
    assert_eq!(send(&json!([truck, {"root": "_sys", "type": "a", "data": 1}])).0, 422);
    let (_, described) = server.ask("GET", "/db/default", &[], b"");
    let described: Value = serde_json::from_str(&described).unwrap();
    assert_eq!(described["events"], 2);
}

#[test]
fn conditions_hold_for_the_whole_body() {
    let directory = tempfile::tempdir().unwrap();
    let server = serve(directory.path());
    let event = json!({"key": "4711", "type": "a", "data": 1});
    let send = |more: Value| {
        let mut body = json!({"events": [event]});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        post(&server, &[JSON], &body.to_string())
    };
    let (status, first) = send(json!({"expect": {"shipment:4711": "none"}}));
    assert_eq!(status, 201, "{first}");
    let (status, problem) = send(json!({"expect": {"shipment:4711": "none"}}));
    assert_eq!((status, &problem["type"]), (409, &json!("/problems/version")), "{problem}");
    assert_eq!((&problem["actual"], &problem["stream"]), (&json!(1), &json!("shipment:4711")));
    assert_eq!(send(json!({"expect": {"shipment:4711": 1, "truck:7": "none"}})).0, 201);
    assert_eq!(send(json!({"expect": {"shipment:4711": "exists"}})).0, 201);
    let items = json!([{"types": ["a"], "tags": ["shipment:4711"]}]);
    let (status, problem) = send(json!({"fail_if": {"items": items}}));
    assert_eq!((status, &problem["type"]), (409, &json!("/problems/condition")), "{problem}");
    let after = json!({"vv": first["vv"]});
    assert_eq!(send(json!({"fail_if": {"items": items, "after": after}})).0, 409);
    let (_, page) = server.ask("GET", "/db/default/e", &[], b"");
    let page: Value = serde_json::from_str(&page).unwrap();
    let last = json!({"fail_if": {"items": items, "after": page["cursor"]}});
    assert_eq!(send(last.clone()).0, 201);
    assert_eq!(send(last).0, 409);
    assert_eq!(send(json!({"fail_if": {"items": []}})).0, 201);
    assert_eq!(send(json!({"fail_if": {"all": true}})).0, 409);
    assert_eq!(send(json!({"fail_if": {}})).0, 400);
    assert_eq!(send(json!({"fail_if": {"items": [], "after": "x"}})).1["type"], "/problems/cursor");
}

#[test]
fn entity_tags_guard_a_stream_and_name_the_replica_they_count_on() {
    let directory = tempfile::tempdir().unwrap();
    let server = serve(directory.path());
    let event = "{\"key\":\"4711\",\"type\":\"a\",\"data\":1}";
    let send = |header: &str| {
        let (status, head, body) =
            server.ask_whole("POST", "/e/shipment", &[JSON, header], event.as_bytes());
        (status, head.get("etag").cloned(), serde_json::from_str::<Value>(&body).unwrap())
    };
    let (status, tag, answer) = send("if-none-match: *");
    assert_eq!(status, 201, "{answer}");
    let tag = tag.unwrap();
    let (status, _, problem) = send("if-none-match: *");
    assert_eq!((status, &problem["type"]), (412, &json!("/problems/precondition")));
    assert_eq!(problem["actual"], 1);
    let (status, next, _) = send(&format!("if-match: {tag}"));
    assert_eq!(status, 201);
    assert_eq!(send(&format!("if-match: {tag}")).0, 412);
    assert_eq!(send("if-match: *").0, 201);
    assert_eq!(send("if-match: \"0000000000000001-3\"").0, 412);
    assert_eq!(send("if-match: W/\"3\"").0, 412);
    assert!(next.unwrap().ends_with("-2\""));
    let (status, head, _) = server.ask_whole("GET", "/e/shipment?key=4711", &[], b"");
    let tag = head.get("etag").cloned().unwrap();
    assert_eq!((status, tag.ends_with("-3-json\"")), (200, true));
    let unchanged = format!("if-none-match: {tag}");
    assert_eq!(server.ask("GET", "/e/shipment?key=4711", &[&unchanged], b"").0, 304);
    let two =
        "[{\"key\":\"1\",\"type\":\"a\",\"data\":1},{\"key\":\"2\",\"type\":\"a\",\"data\":1}]";
    assert_eq!(post(&server, &[JSON, "if-match: *"], two).0, 400);
}

#[test]
fn a_key_for_several_events_gives_each_one_of_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let server = serve(directory.path());
    let body =
        "[{\"type\":\"a\",\"data\":1},{\"type\":\"a\",\"data\":1,\"idempotency_key\":\"own\"}]";
    let headers = [JSON, "idempotency-key: K"];
    let (status, first) = post(&server, &headers, body);
    assert_eq!(status, 201, "{first}");
    let (status, again) = post(&server, &headers, body);
    assert_eq!((status, &again["outcome"]), (201, &json!("already_applied")));
    assert_eq!(again["events"], first["events"]);
    let (_, page) = server.ask("GET", "/e/shipment", &[], b"");
    let page: Value = serde_json::from_str(&page).unwrap();
    let keys: Vec<&str> = page["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["idempotency_key"].as_str().unwrap())
        .collect();
    assert_eq!(keys, ["K/0", "own"]);
}

#[test]
fn a_cause_that_comes_later_is_refused_at_the_events_that_name_it() {
    let directory = tempfile::tempdir().unwrap();
    let server = serve(directory.path());
    let later = laterbase::Hlc::from_u64(u64::MAX >> 1);
    let cause = laterbase::EventId::new(later, server.database().replica()).to_string();
    let fine = json!({"type": "a", "data": 1});
    let wrong = json!({"type": "a", "data": 1, "cause": cause});
    let (status, problem) = post(&server, &[JSON], &json!([fine, wrong, fine, wrong]).to_string());
    assert_eq!((status, &problem["index"]), (422, &json!(1)), "{problem}");
    assert_eq!(problem["errors"][1]["index"], 3, "{problem}");
}

#[test]
fn a_commit_that_the_log_does_not_take_is_too_large() {
    let directory = tempfile::tempdir().unwrap();
    let mut options = Options::default();
    options.log.commit_bytes_max = 64 << 10;
    Database::create(directory.path(), options.clone()).unwrap().close().unwrap();
    let server = Running::over(directory.path(), options, ServerConfig::default(), |server| server);
    let event = json!({"type": "a", "data": "x".repeat(40 << 10)});
    let (status, problem) = post(&server, &[JSON], &json!([event, event]).to_string());
    assert_eq!((status, &problem["type"]), (413, &json!("/problems/too-large")), "{problem}");
    assert_eq!(problem["bytes_max"], 64 << 10, "{problem}");
    assert_eq!(post(&server, &[JSON], &event.to_string()).0, 201);
}
