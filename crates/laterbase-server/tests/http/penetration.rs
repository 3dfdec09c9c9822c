//! What nobody gets past: each line of docs/reference/security.md is one of these.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use laterbase::{ConsumerConfig, Database, Options, Start};
use laterbase_server::tokens::{Guard, Limits, Mint, Revoked, Right, SecretKey, inspect, narrow};
use laterbase_server::{ServerConfig, Verb};
use serde_json::{Value, json};

use crate::support::{Running, append};

const JSON: &str = "content-type: application/json";
const EVENT: &[u8] = b"{\"type\":\"seen\",\"data\":1}";

/// A server with two databases that asks for tokens, and the key that signs them.
pub(crate) struct Fort {
    pub(crate) server: Running,
    pub(crate) key: SecretKey,
    revoked: PathBuf,
    _directory: tempfile::TempDir,
}

impl Fort {
    pub(crate) fn new(config: ServerConfig) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for name in ["", "yard"] {
            let path = directory.path().join(name);
            Database::create(&path, Options::default()).unwrap().close().unwrap();
        }
        let revoked = directory.path().join("revoked");
        std::fs::write(&revoked, "laterbase-revoked 1\n").unwrap();
        let key = SecretKey::generate();
        let guard = Guard::new(vec![key.public()], Some(revoked.clone())).unwrap();
        let config = ServerConfig { authorizer: Some(Arc::new(guard)), ..config };
        let server = Running::of(directory.path(), config);
        append(&server.database(), "shipment", 0..3, true);
        append(&server.database(), "truck", 0..3, true);
        Self { server, key, revoked, _directory: directory }
    }

    pub(crate) fn token(&self, database: &str, root: &str, verbs: &[Verb]) -> String {
        let right = |verb: &Verb| Right {
            database: database.to_owned(),
            root: root.to_owned(),
            verb: *verb,
        };
        let rights = verbs.iter().map(right).collect();
        Mint { rights, ..Mint::default() }.sign(&self.key).unwrap()
    }

    /// The status of a request, and its document without what it is called.
    pub(crate) fn ask(&self, token: &str, method: &str, path: &str, body: &[u8]) -> (u16, String) {
        let header = format!("authorization: Bearer {token}");
        self.server.ask(method, path, &[&header, JSON], body)
    }

    /// Puts a token on the list.
    pub(crate) fn revoke(&self, token: &str) {
        let id = inspect(token).unwrap().remove(0).revocation_id;
        let list = Revoked::with_one_more("", &id, None).unwrap();
        std::fs::write(&self.revoked, list).unwrap();
    }

    fn status(&self, token: &str, method: &str, path: &str) -> u16 {
        self.ask(token, method, path, if method == "POST" { EVENT } else { b"" }).0
    }
}

/// What touches no database, and asks for no token. Nothing else may.
const OPEN: &[&str] = &[
    "/console/api",
    "/health",
    "/health/live",
    "/health/ready",
    "/openapi.json",
    "/problems/{name}",
];

/// One line of the table of routes, which the description is made of.
struct Operation {
    method: String,
    path: String,
    verb: Verb,
}

impl Fort {
    /// All that is not open, with names in its paths.
    fn guarded(&self) -> Vec<Operation> {
        let (status, text) = self.server.ask("GET", "/openapi.json", &[], b"");
        assert_eq!(status, 200);
        let document: Value = serde_json::from_str(&text).unwrap();
        let mut all = Vec::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let verb = operation["x-laterbase-verb"].as_str().unwrap();
                assert_eq!(verb == "ask", OPEN.contains(&path.as_str()), "{method} {path}");
                let path = path
                    .replace("{db}", "default")
                    .replace("{root}", "shipment")
                    .replace("{key}", "0")
                    .replace("{view}", "board")
                    .replace("{consumer}", "billing")
                    .replace("{name}", "internal");
                assert!(!path.contains('{'), "a name for {path}");
                let method = method.to_uppercase();
                if verb == "ask" {
                    assert_eq!(self.server.ask(&method, &path, &[], b"").0, 200, "{method} {path}");
                } else {
                    all.push(Operation { method, path, verb: verb.parse().unwrap() });
                }
            }
        }
        assert!(all.len() > 30, "{}", all.len());
        all
    }
}

#[test]
fn without_a_token_nothing_is_answered_that_touches_a_database() {
    let fort = Fort::new(ServerConfig::default());
    let guarded = fort.guarded();
    for Operation { method, path, .. } in &guarded {
        for headers in [&[][..], &["authorization: Basic eDp5"], &["authorization: Bearer"]] {
            let (status, head, _) = fort.server.ask_whole(method, path, headers, b"");
            assert_eq!(status, 401, "{method} {path}");
            assert_eq!(head["www-authenticate"], "Bearer");
        }
    }
    let denied = fort.server.said();
    assert_eq!(denied.len(), 3 * guarded.len(), "{denied:?}");
    assert!(denied[0].starts_with("denied: request ") && denied[0].ends_with(": no token"));
}

#[test]
fn every_path_asks_for_its_own_verb_and_no_other_will_do() {
    let fort = Fort::new(ServerConfig::default());
    let whole = fort.token("*", "*", &Verb::GRANTABLE);
    let nowhere = [
        Limits { roots: Some(BTreeSet::new()), ..Limits::default() },
        Limits { databases: Some(BTreeSet::new()), ..Limits::default() },
        Limits { verbs: Some(BTreeSet::new()), ..Limits::default() },
    ];
    let mut powerless: Vec<String> =
        nowhere.iter().map(|limits| narrow(&whole, limits).unwrap()).collect();
    powerless.push(fort.token("yard", "*", &Verb::GRANTABLE));
    let database = fort.server.database();
    for Operation { method, path, verb } in fort.guarded() {
        let others: Vec<Verb> =
            Verb::GRANTABLE.into_iter().filter(|other| *other != verb).collect();
        let (others, only) = (fort.token("*", "*", &others), fort.token("*", "*", &[verb]));
        // With a consumer of the name and without.
        for is_there in [true, false] {
            if is_there {
                let config = ConsumerConfig::default();
                database.create_consumer("billing", config, Start::Beginning).unwrap();
            } else {
                database.remove_consumer("billing").unwrap();
            }
            for token in powerless.iter().chain([&others]) {
                assert_eq!(fort.status(token, &method, &path), 403, "{method} {path} {verb}");
            }
            let status = fort.status(&only, &method, &path);
            assert!(!matches!(status, 0 | 401 | 403), "{method} {path}: {status}");
        }
    }
}

#[test]
fn a_token_of_another_key_or_with_changed_bytes_is_no_token() {
    let fort = Fort::new(ServerConfig::default());
    let right = Right { database: "*".into(), root: "*".into(), verb: Verb::Read };
    let forged = Mint { rights: vec![right], ..Mint::default() };
    let forged = forged.sign(&SecretKey::generate()).unwrap();
    let good = fort.token("*", "*", &[Verb::Read]);
    assert_eq!(fort.status(&good, "GET", "/e"), 200);
    let mut changed = good.clone().into_bytes();
    changed[40] = if changed[40] == b'A' { b'B' } else { b'A' };
    let changed = String::from_utf8(changed).unwrap();
    for token in [&forged, &changed, &good[1..], &format!("{good}{good}"), &"A".repeat(9 << 10)] {
        assert_eq!(fort.status(token, "GET", "/e"), 401, "{token}");
    }
}

#[test]
fn a_token_for_one_root_reads_and_writes_no_other() {
    let fort = Fort::new(ServerConfig::default());
    let token = fort.token("default", "shipment", &[Verb::Read, Verb::Write]);
    assert_eq!(fort.status(&token, "GET", "/e/shipment"), 200);
    assert_eq!(fort.status(&token, "POST", "/e/shipment"), 201);
    for (method, path) in [("GET", "/e/truck"), ("POST", "/e/truck"), ("GET", "/a/truck/0")] {
        assert_eq!(fort.status(&token, method, path), 403, "{method} {path}");
    }
    let (root, key) = ("truck".try_into().unwrap(), "0".try_into().unwrap());
    let ids = fort.server.database().read(&laterbase::Query::stream(root, key)).unwrap();
    let id = ids.map(|recorded| recorded.unwrap().id().to_string()).next().unwrap();
    let (status, text) = fort.ask(&token, "GET", &format!("/e/shipment?keys={id}"), b"");
    assert_eq!(status, 200);
    assert!(text.contains("missing") && !text.contains("\"truck\""), "{text}");
}

#[test]
fn what_spans_roots_needs_a_token_for_all_of_them() {
    let fort = Fort::new(ServerConfig::default());
    let all = [Verb::Read, Verb::Write, Verb::Relay, Verb::SyncOwn, Verb::Admin];
    let token = fort.token("default", "shipment", &all);
    for path in ["/e", "/e?root=shipment", "/db/default", "/default/board", "/sync"] {
        assert_eq!(fort.status(&token, "GET", path), 403, "{path}");
    }
    for path in ["/e", "/changes", "/sync"] {
        assert_eq!(fort.status(&token, "POST", path), 403, "{path}");
    }
}

/// What using a consumer is, making and removing it apart.
const USE: &[(&str, &str)] =
    &[("GET", ""), ("HEAD", ""), ("POST", "/fetch"), ("POST", "/settle"), ("GET", "/dead")];

impl Fort {
    /// Uses a consumer in each way, with a body that each takes.
    fn uses(&self, token: &str, name: &str) -> Vec<(u16, String)> {
        let one = |(method, what): &(&str, &str)| {
            self.ask(token, method, &format!("/db/default/c/{name}{what}"), b"")
        };
        USE.iter().map(one).collect()
    }

    fn make(&self, token: &str, name: &str, config: &Value) -> (u16, String) {
        self.ask(token, "PUT", &format!("/db/default/c/{name}"), config.to_string().as_bytes())
    }

    fn consumer(&self, token: &str, name: &str) -> Value {
        serde_json::from_str(&self.ask(token, "GET", &format!("/db/default/c/{name}"), b"").1)
            .unwrap()
    }
}

#[test]
fn a_token_for_one_root_uses_no_consumer_of_another() {
    let fort = Fort::new(ServerConfig::default());
    let whole = fort.token("default", "*", &[Verb::Read]);
    let narrowed =
        Limits { roots: Some(BTreeSet::from(["shipment".to_owned()])), ..Limits::default() };
    let narrowed = narrow(&whole, &narrowed).unwrap();
    assert_eq!(fort.make(&whole, "trucks", &json!({ "root": "truck" })).0, 201);
    assert_eq!(fort.make(&whole, "everything", &json!({})).0, 201);
    let before = ["trucks", "everything"].map(|name| fort.consumer(&whole, name));
    for token in [fort.token("default", "shipment", &Verb::GRANTABLE), narrowed] {
        // Of another root, of all roots, not there, and none that could be: the same answer.
        let missing = fort.uses(&token, "missing");
        for name in ["trucks", "everything", "missing", "Missing"] {
            let used = fort.uses(&token, name);
            assert!(used.iter().all(|(status, _)| *status == 403), "{name}: {used:?}");
            assert_eq!(used, missing, "{name}");
            let acknowledge = json!({ "acknowledge": [1, 2, 3, 4, 5, 6] }).to_string();
            let settle = format!("/db/default/c/{name}/settle");
            assert_eq!(fort.ask(&token, "POST", &settle, acknowledge.as_bytes()).0, 403);
            assert_eq!(fort.status(&token, "DELETE", &format!("/db/default/c/{name}")), 403);
        }
        for config in [
            json!({ "root": "truck" }),
            json!({ "tags": ["truck:1"] }),
            json!({}),
            json!({ "root": "*" }),
            json!({ "root": "" }),
            json!({ "root": null }),
        ] {
            assert_eq!(fort.make(&token, "mine", &config).0, 403, "{config}");
        }
        // What is there is neither changed nor shown.
        for name in ["trucks", "everything"] {
            let (status, text) = fort.make(&token, name, &json!({ "root": "shipment" }));
            assert!(status == 403 && !text.contains("truck"), "{name}: {status} {text}");
        }
        assert_eq!(fort.status(&token, "GET", "/db/default/c"), 403);
    }
    assert_eq!(["trucks", "everything"].map(|name| fort.consumer(&whole, name)), before);
    let (_, listed) = fort.ask(&whole, "GET", "/db/default/c", b"");
    assert_eq!(listed.trim(), r#"{"consumers":["everything","trucks"]}"#);
}

#[test]
fn a_token_to_read_a_root_makes_and_uses_consumers_of_it_and_removes_none() {
    let fort = Fort::new(ServerConfig::default());
    let token = fort.token("default", "shipment", &[Verb::Read]);
    let mine = json!({ "root": "shipment" });
    assert_eq!(fort.make(&token, "mine", &mine).0, 201);
    assert_eq!(fort.make(&token, "mine", &mine).0, 200);
    let (status, given) = fort.ask(&token, "POST", "/db/default/c/mine/fetch", b"");
    assert_eq!(status, 200);
    let given: Value = serde_json::from_str(&given).unwrap();
    let given = given["deliveries"].as_array().unwrap();
    assert!(given.len() == 3 && given.iter().all(|one| one["event"]["root"] == "shipment"));
    let positions: Vec<&Value> = given.iter().map(|one| &one["position"]).collect();
    let settle = json!({ "acknowledge": positions }).to_string();
    let settled = fort.ask(&token, "POST", "/db/default/c/mine/settle", settle.as_bytes());
    assert!(settled.0 == 200 && settled.1.contains("\"acknowledged\":3"), "{settled:?}");
    assert!(fort.uses(&token, "mine").iter().all(|(status, _)| *status == 200));
    // Others rely on what it knows: reading all roots does not remove it either.
    for token in [&token, &fort.token("default", "*", &[Verb::Read, Verb::Write])] {
        assert_eq!(fort.status(token, "DELETE", "/db/default/c/mine"), 403);
    }
    let writer = fort.token("default", "*", &[Verb::Write, Verb::Relay, Verb::Admin]);
    assert!(fort.uses(&writer, "mine").iter().all(|(status, _)| *status == 403));
    assert_eq!(fort.status(&writer, "DELETE", "/db/default/c/mine"), 204);
}

#[test]
fn conditions_tell_a_writer_nothing_of_other_roots() {
    let fort = Fort::new(ServerConfig::default());
    let token = fort.token("default", "shipment", &[Verb::Write]);
    let ask = |conditions: &str| {
        let body = format!("{{\"events\":[{{\"type\":\"a\",\"data\":1}}],{conditions}}}");
        fort.ask(&token, "POST", "/e/shipment", body.as_bytes()).0
    };
    assert_eq!(ask("\"expect\":{\"truck:0\":7}"), 403);
    assert_eq!(ask("\"fail_if\":{\"all\":true}"), 403);
    assert_eq!(ask("\"expect\":{\"shipment:0\":7}"), 409);
    assert_eq!(ask("\"expect\":{\"shipment:0\":1}"), 201);
}

#[test]
fn a_token_to_read_writes_nothing() {
    let fort = Fort::new(ServerConfig::default());
    let token = fort.token("*", "*", &[Verb::Read]);
    let before = fort.server.database().cursor();
    for (method, path) in
        [("POST", "/e"), ("POST", "/e/shipment"), ("PUT", "/db/new"), ("GET", "/metrics")]
    {
        assert_eq!(fort.status(&token, method, path), 403, "{method} {path}");
    }
    assert_eq!(fort.server.database().cursor(), before);
}

#[test]
fn nobody_relays_without_the_grant() {
    let fort = Fort::new(ServerConfig::default());
    let all_others = [Verb::Read, Verb::Write, Verb::SyncOwn, Verb::Admin];
    let token = fort.token("*", "*", &all_others);
    assert_eq!(fort.status(&token, "POST", "/sync"), 403);
    assert_eq!(fort.status(&token, "GET", "/sync"), 403);
    let relay = fort.token("*", "*", &[Verb::Relay]);
    assert_eq!(fort.status(&relay, "POST", "/sync"), 415);
    assert_eq!(fort.status(&relay, "GET", "/sync"), 400);
}

#[test]
fn a_narrowed_token_does_not_reach_beyond_its_limits() {
    let fort = Fort::new(ServerConfig::default());
    let token = fort.token("*", "*", &[Verb::Read, Verb::Write]);
    let roots = Some(BTreeSet::from(["shipment".to_owned()]));
    let verbs = Some(BTreeSet::from([Verb::Read]));
    let limits = Limits { roots, verbs, ..Limits::default() };
    let narrower = narrow(&token, &limits).unwrap();
    let wider = narrow(&narrower, &Limits { verbs: None, ..limits }).unwrap();
    for token in [&narrower, &wider] {
        assert_eq!(fort.status(token, "GET", "/e/shipment"), 200);
        for (method, path) in [("GET", "/e/truck"), ("GET", "/e"), ("POST", "/e/shipment")] {
            assert_eq!(fort.status(token, method, path), 403, "{method} {path}");
        }
    }
    assert_eq!(fort.status(&token, "POST", "/e/shipment"), 201);
}

#[test]
fn an_expired_token_is_no_token() {
    let fort = Fort::new(ServerConfig::default());
    let token = fort.token("*", "*", &[Verb::Read]);
    let limits = Limits { expires: Some(SystemTime::now()), ..Limits::default() };
    assert_eq!(fort.status(&narrow(&token, &limits).unwrap(), "GET", "/e"), 401);
    assert_eq!(fort.status(&token, "GET", "/e"), 200);
}

#[test]
fn a_revoked_token_is_no_token_without_a_restart_and_a_broken_list_lets_nobody_in() {
    let fort = Fort::new(ServerConfig::default());
    let token = fort.token("*", "*", &[Verb::Read]);
    let narrower = narrow(&token, &Limits::default()).unwrap();
    let other = fort.token("*", "*", &[Verb::Read, Verb::Write]);
    assert_eq!(fort.status(&narrower, "GET", "/e"), 200);
    let list = std::fs::read_to_string(&fort.revoked).unwrap();
    let id = inspect(&token).unwrap().remove(0).revocation_id;
    std::fs::write(&fort.revoked, Revoked::with_one_more(&list, &id, None).unwrap()).unwrap();
    assert_eq!(fort.status(&token, "GET", "/e"), 401);
    assert_eq!(fort.status(&narrower, "GET", "/e"), 401);
    assert_eq!(fort.status(&other, "GET", "/e"), 200);
    std::fs::write(&fort.revoked, "laterbase-revoked 1\nnonsense\n").unwrap();
    assert_eq!(fort.status(&token, "GET", "/e"), 500);
}

#[test]
fn a_stream_ends_when_its_token_is_revoked() {
    // No sign of life comes before the reader gives up on a stream that does not end.
    let keep_alive = Duration::from_secs(60);
    let recheck_after = Duration::ZERO;
    let fort = Fort::new(ServerConfig { keep_alive, recheck_after, ..ServerConfig::default() });
    let token = fort.token("*", "*", &[Verb::Read]);
    let mut stream = TcpStream::connect(fort.server.address).unwrap();
    let request = format!(
        "GET /e HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\
         accept: text/event-stream\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.contains("\"shipment\"")), "it may, until now");
    fort.revoke(&token);
    append(&fort.server.database(), "secret", 0..1, true);
    let rest: Vec<String> = lines.collect();
    assert!(!rest.iter().any(|line| line.contains("\"secret\"")), "{rest:?}");
}

#[test]
fn lines_in_batches_are_written_under_roots_of_the_token_alone() {
    let fort = Fort::new(ServerConfig::default());
    let lines = "{\"type\":\"a\",\"data\":1}\n{\"root\":\"truck\",\"type\":\"a\",\"data\":1}\n";
    let ask = |token: &str, path: &str| {
        let token = format!("authorization: Bearer {token}");
        let headers = [&token, "content-type: application/x-ndjson"];
        fort.server.ask("POST", path, &headers, lines.as_bytes()).0
    };
    let events = || fort.server.database().event_count().unwrap();
    let before = events();
    let one = fort.token("*", "shipment", &[Verb::Write]);
    assert_eq!(ask(&one, "/e?batch=1"), 403);
    assert_eq!(ask(&one, "/e/truck?batch=1"), 403);
    assert_eq!(ask(&fort.token("*", "*", &[Verb::Read]), "/e/shipment?batch=1"), 403);
    assert_eq!(ask(&one, "/e/shipment?batch=2"), 422);
    assert_eq!(events(), before);
    assert_eq!(ask(&one, "/e/shipment?batch=1"), 422);
    assert_eq!(events(), before + 1, "the line before that of the other root");
}

#[test]
fn lines_in_batches_end_when_their_token_is_revoked() {
    let recheck_after = Duration::ZERO;
    let fort = Fort::new(ServerConfig { recheck_after, ..ServerConfig::default() });
    let database = fort.server.database();
    let before = database.event_count().unwrap();
    let token = fort.token("*", "*", &[Verb::Write]);
    let mut stream = TcpStream::connect(fort.server.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let event = std::str::from_utf8(EVENT).unwrap();
    let line = format!("{:x}\r\n{event}\n\r\n", EVENT.len() + 1);
    let request = format!(
        "POST /e/shipment?batch=1 HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\
         content-type: application/x-ndjson\r\nconnection: close\r\n\
         transfer-encoding: chunked\r\n\r\n{line}"
    );
    stream.write_all(request.as_bytes()).unwrap();
    while database.event_count().unwrap() == before {
        std::thread::yield_now();
    }
    fort.revoke(&token);
    stream.write_all(format!("{line}0\r\n\r\n").as_bytes()).unwrap();
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
    assert!(lines.next().unwrap().contains(" 403 "));
    assert!(lines.any(|line| line.contains("\"events\":1")), "it is told how far it came");
    assert_eq!(database.event_count().unwrap(), before + 1);
}

#[test]
fn a_token_of_one_database_learns_nothing_of_another() {
    let fort = Fort::new(ServerConfig::default());
    let token = fort.token("yard", "*", &Verb::GRANTABLE);
    assert_eq!(fort.status(&token, "GET", "/db/yard/e"), 200);
    let made = fort.ask(&fort.token("*", "*", &[Verb::Read]), "PUT", "/db/default/c/billing", b"");
    assert_eq!(made.0, 201);
    let paths = [
        "/db/{}",
        "/db/{}/e",
        "/db/{}/e/shipment",
        "/db/{}/a/shipment",
        "/db/{}/v/board",
        "/db/{}/c",
        "/db/{}/c/billing",
        "/db/{}/sync",
    ];
    for path in paths {
        // One that is there and one that is not: the same answer.
        let there = fort.ask(&token, "GET", &path.replace("{}", "default"), b"");
        let missing = fort.ask(&token, "GET", &path.replace("{}", "nowhere"), b"");
        assert_eq!(there.0, 403, "{path}");
        assert_eq!(there, missing, "{path}");
    }
    let (there, missing) = (
        fort.ask(&token, "GET", "/e/shipment?limit=1", b""),
        fort.ask(&token, "GET", "/e/nothing?limit=x", b""),
    );
    assert_eq!((there.0, &there), (403, &missing));
    assert_eq!(fort.status(&token, "GET", "/db"), 403);
    assert_eq!(fort.status(&token, "PUT", "/db/nowhere"), 403);
}

#[test]
fn no_spelling_of_a_path_leads_around_a_token() {
    let fort = Fort::new(ServerConfig::default());
    let token = fort.token("yard", "shipment", &[Verb::Read]);
    let ways = [
        "/db/yard/../default/e/shipment",
        "/db/yard/%2e%2e/default/e/shipment",
        "/db/yard%2f..%2fdefault/e/shipment",
        "/db/yard%00/e/shipment",
        "/db/YARD/e/shipment",
        "/db/*/e/shipment",
        "/db/yard/e/*",
        "/db/yard/e/shipment%2f..%2ftruck",
        "/db/yard/e/shipment/../truck",
        "/db/yard/e/shipment%00truck",
        "//db/yard/e/truck",
        "/db//e/shipment",
        "/db/yard/e/%2a",
        "/db/yard/e/truck?root=shipment",
        "/e/shipment",
        "/default/shipment",
    ];
    for path in ways {
        let (status, text) = fort.ask(&token, "GET", path, b"");
        assert!(matches!(status, 400 | 403 | 404), "{path}: {status} {text}");
        assert!(!text.contains("\"truck\""), "{path}: {text}");
    }
    let (status, _) = fort.ask(&token, "GET", "/db/yard/e/shipment?root=truck", b"");
    assert_eq!(status, 400);
}

#[test]
fn a_request_without_a_right_is_refused_before_its_body_is_read() {
    let fort = Fort::new(ServerConfig { body_bytes_max: 1_000, ..ServerConfig::default() });
    let token = fort.token("*", "*", &[Verb::Read]);
    let long = vec![b' '; 100_000];
    assert_eq!(fort.ask(&token, "POST", "/e/shipment", &long).0, 403);
    let consumer = "/db/default/c/trucks";
    assert_eq!(fort.make(&token, "trucks", &json!({ "root": "truck" })).0, 201);
    let shipments = fort.token("*", "shipment", &[Verb::Read]);
    let settle = format!("{consumer}/settle");
    assert_eq!(fort.ask(&shipments, "POST", &settle, &long).0, 403);
    assert_eq!(fort.ask(&token, "POST", &settle, &long).0, 413);
    let writer = fort.token("*", "*", &[Verb::Write]);
    assert_eq!(fort.ask(&writer, "PUT", consumer, &long).0, 403);
    assert_eq!(fort.ask(&writer, "POST", "/e/shipment", &long).0, 413);
    let header = format!("authorization: Bearer {}", "A".repeat(40 << 10));
    assert_eq!(fort.server.ask("GET", "/e", &[&header], b"").0, 431);
}

#[test]
fn a_slow_request_is_broken_off() {
    let timeout = Duration::from_millis(500);
    let fort = Fort::new(ServerConfig { request_timeout: timeout, ..ServerConfig::default() });
    let writer = fort.token("*", "*", &[Verb::Write]);
    let head = format!(
        "POST /e/shipment HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {writer}\r\n\
         content-type: application/json\r\ncontent-length: 100\r\nconnection: close\r\n\r\n{{"
    );
    let answer = fort.server.raw(head.as_bytes());
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
}
