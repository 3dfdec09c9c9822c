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
