//! Questions over HTTP.

use laterbase::{Database, Options};
use laterbase_server::ServerConfig;
use serde_json::{Value, json};

use crate::support::{Running, append};

const JSON: &str = "content-type: application/json";
const TEXT: &str = "content-type: text/plain";

struct Asked {
    server: Running,
    _directory: tempfile::TempDir,
}

impl Asked {
    fn new(config: ServerConfig) -> Self {
        let directory = tempfile::tempdir().unwrap();
        Database::create(directory.path(), Options::default()).unwrap().close().unwrap();
        let server = Running::of(directory.path(), config);
        append(&server.database(), "shipment", 0..50, false);
        append(&server.database(), "truck", 0..5, false);
        Self { server, _directory: directory }
    }

    fn ask(&self, text: &str, accept: &str) -> (u16, String) {
        let accept = format!("accept: {accept}");
        self.server.ask("POST", "/q", &[TEXT, &accept], text.as_bytes())
    }

    fn refused(&self, text: &str) -> (u16, Value) {
        let (status, body) = self.ask(text, "application/json");
        (status, serde_json::from_str(&body).unwrap())
    }
}

#[test]
fn rows_come_as_json_lines_and_csv() {
    let asked = Asked::new(ServerConfig::default());
    let text = "?{root, n: count()} :- event{root} order by root";
    let (status, body) = asked.ask(text, "application/json");
    let document: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &document["count"]), (200, &json!(2)));
    assert_eq!(document["rows"], json!([{"root": "shipment", "n": 50}, {"root": "truck", "n": 5}]));
    let column = json!({"name": "n", "type": "int", "optional": false});
    assert_eq!(document["columns"][1], column);
    let (_, lines) = asked.ask(text, "application/x-ndjson");
    assert_eq!(lines, "{\"root\":\"shipment\",\"n\":50}\n{\"root\":\"truck\",\"n\":5}\n");
    let (_, csv) = asked.ask(text, "text/csv");
    assert_eq!(csv, "root,n\nshipment,50\ntruck,5\n");
    assert_eq!(asked.ask(text, "image/png").0, 406);
}

#[test]
fn an_answer_of_many_pieces_is_whole() {
    let asked = Asked::new(ServerConfig::default());
    let text = "?{a, b, c} :- event{id: a}, event{id: b}, c in [1, 2, 3]";
    for accept in ["application/json", "application/x-ndjson", "text/csv"] {
        let (status, body) = asked.ask(text, accept);
        let lines = body.lines().filter(|line| line.contains("01")).count();
        assert_eq!((status, lines), (200, 55 * 55 * 3), "{accept}");
    }
}

#[test]
fn parameters_are_values_and_never_text() {
    let asked = Asked::new(ServerConfig::default());
    let body = json!({
        "query": "?{x: $x, n: count()} :- event{root: $root}",
        "parameters": {"root": "truck", "x": "\"} :- event{id}, x = {\""},
    });
    let (status, text) =
        asked.server.ask("POST", "/db/default/q", &[JSON], body.to_string().as_bytes());
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((status, &document["rows"][0]["n"]), (200, &json!(5)), "{text}");
    assert_eq!(document["rows"][0]["x"], "\"} :- event{id}, x = {\"");
}

#[test]
fn mistakes_say_where_they_stand() {
    let asked = Asked::new(ServerConfig::default());
    let (status, problem) = asked.refused("// count\n?{n: count()} :- evnt{root}");
    assert_eq!((status, &problem["type"]), (422, &json!("/problems/query")));
    let first = &problem["mistakes"][0];
    assert_eq!((&first["line"], &first["column"]), (&json!(2), &json!(18)), "{problem}");
    assert_eq!(first["label"], "did you mean `event`?");
    assert!(problem["text"].as_str().unwrap().contains("^^^^"), "{problem}");
    assert_eq!(asked.refused("a{x} :- x = 1").1["type"], "/problems/query");
    for body in ["", "{", "[]", "{\"query\": 1}", "{\"query\": \"\", \"more\": 1}"] {
        let (status, _) = asked.server.ask("POST", "/q", &[JSON], body.as_bytes());
        assert_eq!(status, 400, "{body}");
    }
    let xml = "content-type: application/xml";
    assert_eq!(asked.server.ask("POST", "/q", &[xml], b"?{n}").0, 415);
    assert_eq!(asked.server.ask("GET", "/q", &[], b"").0, 405);
    assert_eq!(asked.server.ask("POST", "/db/none/q", &[TEXT], b"?{n: 1} :- event{}").0, 404);
}

#[test]
fn a_question_that_takes_too_long_is_given_up() {
    let config = ServerConfig {
        request_timeout: std::time::Duration::from_millis(200),
        ..ServerConfig::default()
    };
    let asked = Asked::new(config);
    let text =
        "?{n: count()} :- event{id: a}, event{id: b}, event{id: c}, event{id: d}, event{id: e}";
    let (status, problem) = asked.refused(text);
    assert_eq!((status, &problem["type"]), (503, &json!("/problems/slow")), "{problem}");
}

#[cfg(feature = "tokens")]
#[test]
fn a_token_for_one_root_asks_of_that_root_alone() {
    use crate::penetration::Fort;
    use laterbase_server::Verb;
    let fort = Fort::new(ServerConfig::default());
    let ask = |token: &str, text: &str| {
        let body = json!({ "query": text }).to_string();
        fort.ask(token, "POST", "/q", body.as_bytes())
    };
    let token = fort.token("default", "truck", &[Verb::Read]);
    assert_eq!(ask(&token, "?{n: count()} :- truck.seen{}").0, 200);
    assert_eq!(ask(&token, "?{n: count()} :- event{}").0, 403);
    // A root that is there and one that is not are told apart by nothing.
    let (there, nowhere) =
        (ask(&token, "?{} :- shipment.seen{}"), ask(&token, "?{} :- shipless.seen{}"));
    assert_eq!(there.0, 422);
    assert_eq!(there.1.replace("shipment", "shipless"), nowhere.1);
    let token = fort.token("default", "*", &[Verb::Write]);
    assert_eq!(ask(&token, "?{n: count()} :- truck.seen{}").0, 403);
    let token = fort.token("yard", "*", &[Verb::Read]);
    assert_eq!(ask(&token, "?{n: count()} :- truck.seen{}").0, 403);
    assert_eq!(fort.server.ask("POST", "/q", &[TEXT], b"?{n: count()} :- event{}").0, 401);
}

#[test]
fn statements_that_write_say_what_they_wrote() {
    let asked = Asked::new(ServerConfig::default());
    let text = "add truck.seen{key: \"t9\", port: \"NLRTM\"}
        add truck.lost{key} :- truck.missed{key}
        ?{key} :- truck.seen{key, port: \"NLRTM\"}";
    let (status, body) = asked.ask(text, "application/json");
    let document: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &document["rows"]), (200, &json!([{"key": "t9"}])), "{body}");
    let written = document["written"].as_array().unwrap();
    assert_eq!((written.len(), &written[0]["events"]), (2, &json!(1)), "{body}");
    assert!(written[0]["commit"].is_string(), "{body}");
    assert_eq!(written[1], json!({"events": 0, "commit": null}));
    let (status, body) = asked.ask("add truck.seen{key: \"t9\"}", "application/json");
    let document: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &document["count"]), (200, &json!(0)), "{body}");
    assert_eq!(asked.ask("add truck.seen{key: \"t9\"}", "text/csv"), (200, String::new()));
}

#[test]
fn an_expectation_that_does_not_hold_is_a_conflict() {
    let asked = Asked::new(ServerConfig::default());
    let text = "add truck.seen{key: \"t8\"}
        transaction { expect none :- truck.seen{key: \"t8\"}; add truck.lost{key: \"t8\"} }";
    let (status, problem) = asked.refused(text);
    assert_eq!((status, &problem["type"]), (409, &json!("/problems/condition")), "{problem}");
    assert_eq!(problem["done"], 1, "{problem}");
    assert_eq!(problem["mistakes"][0]["line"], 2, "{problem}");
    assert!(problem["text"].as_str().unwrap().contains("found the events"), "{problem}");
    let (_, body) = asked.ask("?{n: count()} :- truck.lost{}", "application/json");
    assert!(body.contains("\"n\":0"), "{body}");
    let (status, problem) = asked.refused("add truck.seen{key: \"\"}");
    assert_eq!((status, &problem["type"]), (422, &json!("/problems/query")), "{problem}");
}

#[cfg(feature = "tokens")]
#[test]
fn a_statement_writes_where_the_token_says() {
    use crate::penetration::Fort;
    use laterbase_server::Verb;

    let fort = Fort::new(ServerConfig::default());
    let ask = |token: &str, text: &str| {
        let body = json!({"query": text}).to_string();
        fort.ask(token, "POST", "/q", body.as_bytes())
    };
    let token = fort.token("default", "truck", &[Verb::Read, Verb::Write]);
    assert_eq!(ask(&token, "add truck.seen{key: \"t\"}").0, 200);
    let (there, nowhere) = (
        ask(&token, "add shipment.seen{key: \"t\"}"),
        ask(&token, "add shipless.seen{key: \"t\"}"),
    );
    assert_eq!((there.0, nowhere.0), (403, 403), "{there:?} {nowhere:?}");
    let guess = "transaction { expect shipment \"s1\" none; add truck.seen{key: \"t\"} }";
    assert_eq!(ask(&token, guess).0, 403);
    let token = fort.token("default", "truck", &[Verb::Read]);
    assert_eq!(ask(&token, "add truck.seen{key: \"t\"}").0, 403);
    let token = fort.token("default", "truck", &[Verb::Write]);
    // Whoever may read nothing asks nothing here, and writes by `POST …/e`.
    assert_eq!(ask(&token, "add truck.seen{key: \"t\"}").0, 403);
}

#[test]
fn a_compressed_answer_comes_to_its_end() {
    let asked = Asked::new(ServerConfig::default());
    let body = "?{key, at} :- shipment.a{key, at}";
    let head = "host: localhost\r\nconnection: close\r\naccept-encoding: gzip\r\n";
    for request in [
        format!("POST /q HTTP/1.1\r\n{head}{TEXT}\r\ncontent-length: {}\r\n\r\n{body}", body.len()),
        format!("GET /e HTTP/1.1\r\n{head}accept: application/x-ndjson\r\n\r\n"),
    ] {
        let answer = asked.server.raw(request.as_bytes());
        assert!(answer.contains("content-encoding: gzip"), "{answer}");
        // The last chunk, which an answer that breaks off does not have.
        assert!(answer.ends_with("\r\n0\r\n\r\n"), "{answer:?}");
    }
}
