//! The log of `serve` on standard error: its form, its level, and what never stands in it.

use serde_json::Value;

use crate::served::Served;
use crate::support::{Sandbox, ndjson};

const JSON: &str = "content-type: application/json";

/// Serves `db` with tokens of a new key; the server, and a token that may read one root.
fn guarded(sandbox: &Sandbox, arguments: &[&str]) -> (Served, String) {
    sandbox.run(["token", "keygen", "hub.key"]).code(0);
    let create = ["token", "create", "--key", "hub.key", "--database", "default", "--root"];
    let limits = ["truck", "--verb", "read", "--never-expires"];
    let token = sandbox.run([&create[..], &limits].concat()).code(0).stdout;
    let serve = ["serve", "--listen", "127.0.0.1:0", "--token-key", "hub.key.pub"];
    let served = Served::start(sandbox.command([&serve[..], arguments].concat()));
    (served, token.trim().to_owned())
}

#[test]
fn a_refusal_is_one_line_of_text_or_of_json() {
    for format in ["text", "json"] {
        let sandbox = Sandbox::with_database();
        let (served, _) = guarded(&sandbox, &["--log", format]);
        let refused = served.ask("GET", "/e", &["x-request-id: gate-7"], "");
        assert!(refused.starts_with("HTTP/1.1 401"), "{refused}");
        let said = served.end();
        let lines: Vec<&str> = said.lines().filter(|line| line.contains("gate-7")).collect();
        assert_eq!(lines.len(), 1, "{said}");
        let line = lines[0];
        if format == "json" {
            let line: Value = serde_json::from_str(line).unwrap();
            assert_eq!(line["level"], "WARN");
            assert!(line["message"].as_str().unwrap().starts_with("denied: request gate-7: "));
            assert_eq!(line["request_id"], "gate-7");
            assert_eq!(line["span"]["method"], "GET");
        } else {
            assert!(line.contains(" WARN request{request_id=\"gate-7\" "), "{line}");
            assert!(line.contains("denied: request gate-7: "), "{line}");
            assert!(!line.contains('\u{1b}'), "{line}");
        }
    }
}

#[test]
fn the_log_is_json_where_answers_are_and_tells_of_requests_if_asked_to() {
    let sandbox = Sandbox::with_database();
    let serve = ["--json", "serve", "--listen", "127.0.0.1:0", "--log-requests"];
    let served = Served::start(sandbox.command(serve));
    served.ask("GET", "/health", &["x-request-id: one"], "");
    let told = ndjson(&served.end());
    let answered: Vec<&Value> =
        told.iter().filter(|line| line["span"]["request_id"] == "one").collect();
    assert_eq!(answered.len(), 1, "{told:?}");
    assert_eq!(
        (&answered[0]["message"], &answered[0]["level"]),
        (&"answered".into(), &"INFO".into())
    );
    assert_eq!(answered[0]["span"]["status"], 200);
}

#[test]
fn the_level_decides_what_is_told() {
    for (level, lines) in [
        ("off", 0),
        ("error", 0),
        ("warn", 1),
        ("info", 1),
        ("debug", 2),
        ("off,laterbase_server=debug", 2),
    ] {
        let sandbox = Sandbox::with_database();
        let (served, _) = guarded(&sandbox, &["--log-level", level]);
        served.ask("GET", "/e", &["x-request-id: gate-7"], "");
        let said = served.end();
        let count = said.lines().filter(|line| line.contains("gate-7")).count();
        assert_eq!(count, lines, "{level}: {said}");
    }
}

#[test]
fn a_peer_that_is_not_reached_is_told_of() {
    let sandbox = Sandbox::with_database();
    sandbox.run(["peer", "add", "hub", "http://127.0.0.1:9"]).code(0);
    let serve = ["--json", "serve", "--listen", "127.0.0.1:0", "--sync-every", "1h"];
    let mut served = Served::start(sandbox.command(serve));
    let line: Value = serde_json::from_str(&served.next_line()).unwrap();
    assert_eq!((&line["peer"], &line["database"]), (&"hub".into(), &"default".into()));
    assert_eq!((&line["level"], &line["target"]), (&"WARN".into(), &"laterbase_cli".into()));
    assert!(line["message"].as_str().unwrap().starts_with("hub: out of touch: "), "{line}");
}

#[test]
fn neither_tokens_nor_data_stand_in_the_log_at_any_level() {
    let sandbox = Sandbox::with_database();
    let (served, token) = guarded(&sandbox, &["--log-level", "trace", "--log-requests"]);
    let bearer = format!("authorization: Bearer {token}");
    let forged = format!("authorization: Bearer {}x", &token[..token.len() - 1]);
    let event = "{\"type\":\"seen\",\"data\":\"hush-data\"}";
    for (status, method, path, headers) in [
        ("200", "GET", "/e/truck?limit=1", &[bearer.as_str()][..]),
        ("403", "GET", "/e?root=truck", &[&bearer]),
        ("403", "POST", "/e/truck", &[&bearer, JSON]),
        ("401", "GET", "/e/truck", &[&forged]),
        ("401", "POST", "/e/truck", &[JSON]),
    ] {
        let answer = served.ask(method, path, headers, event);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{method} {path}: {answer}");
    }
    let said = served.end();
    assert!(said.lines().count() >= 8, "{said}");
    // Nor any part of a token that would be worth something.
    for piece in [&token[..24], &token[token.len() / 2..token.len() / 2 + 24], "hush"] {
        assert!(!said.contains(piece), "{piece} stands in {said}");
    }
}
