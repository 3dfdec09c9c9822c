//! Durable consumers over HTTP: given, acknowledged, rejected, dead, and gone.

use crate::support::Running;
use laterbase::{Database, Options};
use laterbase_server::ServerConfig;
use serde_json::{Value, json};

fn serve(directory: &std::path::Path) -> Running {
    Database::create(directory, Options::default()).unwrap().close().unwrap();
    Running::of(directory, ServerConfig::default())
}

fn ask(server: &Running, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let header = ["content-type: application/json"];
    let text = if body.is_null() { String::new() } else { body.to_string() };
    let (status, text) = server.ask(method, path, &header, text.as_bytes());
    (status, serde_json::from_str(&text).unwrap_or(Value::Null))
}

fn positions(deliveries: &Value) -> Vec<u64> {
    let all = deliveries["deliveries"].as_array().unwrap().iter();
    all.map(|delivery| delivery["position"].as_u64().unwrap()).collect()
}

#[test]
fn a_consumer_is_given_what_matches_until_it_says_what_became_of_it() {
    let directory = tempfile::tempdir().unwrap();
    let server = serve(directory.path());
    let events: Vec<Value> =
        (0..4).map(|at| json!({ "key": "k", "type": "seen", "data": at })).collect();
    assert_eq!(ask(&server, "POST", "/e/truck", &json!(events)).0, 201);
    assert_eq!(ask(&server, "POST", "/e/ship", &json!(events)).0, 201);

    let billing = "/db/default/c/billing";
    let wanted = json!({ "root": "ship", "redeliver_ms": 0, "attempts_max": 2 });
    let (status, made) = ask(&server, "PUT", billing, &wanted);
    assert_eq!((status, &made["lag"], &made["root"]), (201, &json!(8), &json!("ship")));
    assert_eq!(ask(&server, "PUT", billing, &Value::Null).0, 200);
    let (_, listed) = ask(&server, "GET", "/db/default/c", &Value::Null);
    assert_eq!(listed, json!({ "consumers": ["billing"] }));

    let fetch = format!("{billing}/fetch?limit=3");
    let (status, given) = ask(&server, "POST", &fetch, &Value::Null);
    assert_eq!((status, positions(&given)), (200, vec![5, 6, 7]));
    assert_eq!(given["deliveries"][1]["event"]["data"], 1);
    let settle = format!("{billing}/settle");
    let done = json!({ "acknowledge": [5, 7, 99],
        "reject": [{ "position": 6, "reason": "no customer" }] });
    let (status, settled) = ask(&server, "POST", &settle, &done);
    assert_eq!(
        (status, &settled["acknowledged"], &settled["rejected"]),
        (200, &json!(2), &json!(1))
    );
    let (_, again) = ask(&server, "POST", &fetch, &Value::Null);
    assert_eq!(positions(&again), [6, 8]);
    assert_eq!(again["deliveries"][0]["attempt"], 2);
    let (_, settled) = ask(
        &server,
        "POST",
        &settle,
        &json!({ "acknowledge": [8], "reject": [{ "position": 6, "reason": "still none" }] }),
    );
    assert_eq!(settled["acknowledged"], 1);
    let (_, dead) = ask(&server, "GET", &format!("{billing}/dead"), &Value::Null);
    assert_eq!(
        (&dead["dead"][0]["position"], &dead["dead"][0]["reason"]),
        (&json!(6), &json!("still none"))
    );
    let (_, settled) = ask(&server, "POST", &settle, &json!({ "discard": [6] }));
    assert_eq!(settled["discarded"], 1);
    let (_, described) = ask(&server, "GET", billing, &Value::Null);
    assert_eq!(
        (&described["open"], &described["dead"], &described["lag"]),
        (&json!(0), &json!(0), &json!(0))
    );
    assert_eq!(ask(&server, "DELETE", billing, &Value::Null).0, 204);
    assert_eq!(ask(&server, "DELETE", billing, &Value::Null).0, 404);
}

/// The problem's name behind a status.
fn refused((status, problem): (u16, Value)) -> (u16, String) {
    let name = problem["type"].as_str().unwrap_or_default().trim_start_matches("/problems/");
    (status, name.to_owned())
}

#[test]
fn a_settlement_is_done_whole_or_not_at_all_and_its_lists_are_bounded() {
    let directory = tempfile::tempdir().unwrap();
    let server = serve(directory.path());
    let events: Vec<Value> =
        (0..3).map(|_| json!({ "key": "k", "type": "seen", "data": 1 })).collect();
    assert_eq!(ask(&server, "POST", "/e/ship", &json!(events)).0, 201);
    let billing = "/db/default/c/billing";
    assert_eq!(ask(&server, "PUT", billing, &json!({ "attempts_max": 1 })).0, 201);
    let fetch = format!("{billing}/fetch");
    assert_eq!(positions(&ask(&server, "POST", &fetch, &Value::Null).1), [1, 2, 3]);

    let settle = format!("{billing}/settle");
    let reject = json!({ "position": 2, "reason": "ü".repeat(2000) });
    for list in ["acknowledge", "retry", "discard", "reject"] {
        let one = if list == "reject" { reject.clone() } else { json!(2) };
        let long = json!({ list: vec![one; 10_001] });
        assert_eq!(refused(ask(&server, "POST", &settle, &long)), (400, "bad-request".to_owned()));
    }
    let (_, described) = ask(&server, "GET", billing, &Value::Null);
    assert_eq!(described["open"], 3);
    let all = json!({ "acknowledge": [1, 1], "reject": [reject], "retry": [2], "discard": [3] });
    let (status, settled) = ask(&server, "POST", &settle, &all);
    let expected = json!({ "acknowledged": 1, "rejected": 1, "retried": 1, "discarded": 0 });
    assert_eq!((status, settled), (200, expected), "in this order");
    assert_eq!(positions(&ask(&server, "POST", &fetch, &Value::Null).1), [2]);
    let again = json!({ "reject": [{ "position": 2, "reason": "ü".repeat(2000) }] });
    assert_eq!(ask(&server, "POST", &settle, &again).0, 200);
    let (_, dead) = ask(&server, "GET", &format!("{billing}/dead"), &Value::Null);
    let letter = &dead["dead"][0];
    assert_eq!(letter["reason"], "ü".repeat(512));
    assert_eq!((letter["readable"].as_bool(), letter["id"].is_string()), (Some(true), true));
}

#[test]
fn a_database_has_1000_consumers_at_the_most() {
    let directory = tempfile::tempdir().unwrap();
    let server = serve(directory.path());
    assert_eq!(ask(&server, "PUT", "/db/default/c/c0", &Value::Null).0, 201);
    let consumers = directory.path().join("consumers");
    for number in 1..1000 {
        let to = consumers.join(format!("c{number}.json"));
        std::fs::copy(consumers.join("c0.json"), to).unwrap();
    }
    let (status, problem) = ask(&server, "PUT", "/db/default/c/more", &Value::Null);
    assert_eq!((status, &problem["type"]), (409, &json!("/problems/too-many-consumers")));
    assert_eq!(problem["consumers_max"], 1000);
    assert_eq!(ask(&server, "PUT", "/db/default/c/c7", &Value::Null).0, 200);
    assert_eq!(ask(&server, "DELETE", "/db/default/c/c7", &Value::Null).0, 204);
    assert_eq!(ask(&server, "PUT", "/db/default/c/more", &Value::Null).0, 201);
}

#[test]
fn a_full_list_of_the_dead_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let server = serve(directory.path());
    let events: Vec<Value> =
        (0..10_001).map(|_| json!({ "key": "k", "type": "seen", "data": 1 })).collect();
    assert_eq!(ask(&server, "POST", "/e/ship", &json!(events)).0, 201);
    let billing = "/db/default/c/billing";
    let wanted = json!({ "attempts_max": 1, "redeliver_ms": 0, "open_max": 20_000 });
    assert_eq!(ask(&server, "PUT", billing, &wanted).0, 201);
    let fetch = format!("{billing}/fetch?limit=1000");
    let last = (0..30).map(|_| ask(&server, "POST", &fetch, &Value::Null));
    let (status, problem) = last.into_iter().find(|(status, _)| *status != 200).unwrap();
    assert_eq!((status, &problem["type"]), (409, &json!("/problems/too-many-dead")));
    assert_eq!(problem["dead_max"], 10_000);
    let settle = format!("{billing}/settle");
    assert_eq!(ask(&server, "POST", &settle, &json!({ "discard": [1, 2] })).0, 200);
    assert_eq!(ask(&server, "POST", &fetch, &Value::Null).0, 200);
}

/// `docs/reference/http.md` lists the errors of consumers in the order in which they are found: a
/// request that makes several mistakes is told the first.
#[test]
fn errors_are_told_in_the_order_of_the_reference() {
    let directory = tempfile::tempdir().unwrap();
    let config = ServerConfig { body_bytes_max: 1000, ..ServerConfig::default() };
    Database::create(directory.path(), Options::default()).unwrap().close().unwrap();
    let server = Running::of(directory.path(), config);
    assert_eq!(ask(&server, "PUT", "/db/default/c/there", &Value::Null).0, 201);
    let (plain, json) = ("content-type: text/plain", "content-type: application/json");
    let long = format!("{{\"colour\":\"{}\"}}", "x".repeat(2000));
    let (long, bad, good) = (long.as_str(), "{\"colour\":1}", "{}");
    let mut cases = Vec::new();
    for rest in ["/settle", ""] {
        let method = if rest.is_empty() { "PUT" } else { "POST" };
        cases.extend([
            (method, format!("/db/none/c/Bad{rest}?colour=1"), plain, long, "no-such-database"),
            (method, format!("/db/default/c/Bad{rest}?colour=1"), plain, long, "bad-request"),
            (method, format!("/db/default/c/Bad{rest}"), plain, long, "media-type"),
            (method, format!("/db/default/c/Bad{rest}"), json, long, "too-large"),
            (method, format!("/db/default/c/Bad{rest}"), json, bad, "bad-request"),
            (method, format!("/db/default/c/none{rest}"), json, bad, "bad-request"),
            (method, format!("/db/default/c/Bad{rest}"), json, good, "bad-request"),
        ]);
    }
    let start = "{\"start\":\"soon\"}";
    let root = "{\"start\":\"soon\",\"root\":\"No Root\"}";
    let make = |name: &str| format!("/db/default/c/{name}");
    let fetch = |rest: &str| format!("/db/{rest}");
    cases.extend([
        ("PUT", make("none"), json, root, "bad-request"),
        ("PUT", make("Bad"), json, start, "bad-request"),
        ("PUT", make("none"), json, start, "cursor"),
        ("POST", make("none/settle"), json, good, "no-such-consumer"),
        ("POST", fetch("none/c/none/fetch?limit=0"), json, good, "no-such-database"),
        ("POST", fetch("default/c/none/fetch?limit=0"), json, good, "bad-request"),
        ("POST", fetch("default/c/there/fetch"), json, good, "bad-request"),
        ("POST", fetch("default/c/none/fetch"), json, "", "no-such-consumer"),
        ("GET", fetch("none/c/none?colour=1"), json, "", "no-such-database"),
        ("GET", fetch("none/c/none/dead?colour=1"), json, "", "no-such-database"),
    ]);
    for (method, path, header, body, expected) in cases {
        let (_, text) = server.ask(method, &path, &[header], body.as_bytes());
        let problem: Value = serde_json::from_str(&text).unwrap();
        let name = refused((0, problem)).1;
        assert_eq!(name, expected, "{method} {path} {header} {:.40}: {text}", body);
    }
}

#[test]
fn mistakes_are_told() {
    let directory = tempfile::tempdir().unwrap();
    let server = serve(directory.path());
    let nothing = Value::Null;
    for (method, path, body, status, kind) in [
        ("GET", "/db/default/c/none", &nothing, 404, "no-such-consumer"),
        ("POST", "/db/default/c/none/fetch", &nothing, 404, "no-such-consumer"),
        ("PUT", "/db/default/c/Bad", &nothing, 400, "bad-request"),
        ("PUT", "/db/default/c/x", &json!({ "root": "No Root" }), 400, "bad-request"),
        ("PUT", "/db/default/c/x", &json!({ "colour": 1 }), 400, "bad-request"),
        ("PUT", "/db/default/c/x", &json!({ "open_max": 0 }), 400, "bad-request"),
        ("PUT", "/db/default/c/x", &json!({ "attempts_max": 1.5 }), 400, "bad-request"),
        ("PUT", "/db/default/c/x", &json!({ "start": "soon" }), 400, "cursor"),
        ("PUT", "/db/none/c/x", &nothing, 404, "no-such-database"),
        ("POST", "/db/default/c/x/fetch?limit=0", &nothing, 400, "bad-request"),
    ] {
        let (actual, problem) = ask(&server, method, path, body);
        let name = problem["type"].as_str().unwrap().trim_start_matches("/problems/").to_owned();
        assert_eq!((actual, name.as_str()), (status, kind), "{method} {path} {body}");
    }
}
