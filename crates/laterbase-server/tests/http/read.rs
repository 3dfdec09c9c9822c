//! Events out: listings, pages, forms, what a vector lacks.

use std::collections::BTreeSet;

use crate::support::{Running, append};
use laterbase::{Database, NewEvent, Options, Timestamp};
use laterbase_server::ServerConfig;
use serde_json::{Value, json};

fn serve(directory: &std::path::Path) -> Running {
    Database::create(directory, Options::default()).unwrap().close().unwrap();
    Running::of(directory, ServerConfig::default())
}

fn get(server: &Running, path: &str) -> Value {
    let (status, text) = server.ask("GET", path, &[], b"");
    assert_eq!(status, 200, "{path}: {text}");
    serde_json::from_str(&text).unwrap()
}

fn ids(page: &Value) -> Vec<String> {
    let events = page["events"].as_array().unwrap().iter();
    events.map(|event| event["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn an_event_comes_out_digit_for_digit() {
    let directory = tempfile::tempdir().unwrap();
    let server = serve(directory.path());
    let body = r#"{"key":"4711","type":"departed",
        "data":{"weight":1.500,"big":12345678901234567890},
        "tags":["truck:7"],"valid_at":"2026-03-01T12:00:00Z","meta":{"by":"gate"}}"#;
    let json = "content-type: application/json";
    assert_eq!(server.ask("POST", "/e/shipment", &[json], body.as_bytes()).0, 201);
    let bytes = r#"{"type":"bytes","content_type":"application/cbor","data_base64":"gQE="}"#;
    assert_eq!(server.ask("POST", "/e/shipment", &[json], bytes.as_bytes()).0, 201);
    let (_, text) = server.ask("GET", "/db/default/e/shipment", &[], b"");
    assert!(text.contains(r#""data":{"weight":1.500,"big":12345678901234567890}"#), "{text}");
    let page: Value = serde_json::from_str(&text).unwrap();
    let (first, second) = (&page["events"][0], &page["events"][1]);
    assert_eq!((&first["root"], &first["seq"]), (&json!("shipment"), &json!(1)));
    assert_eq!(first["valid_at"], "2026-03-01T12:00:00Z");
    assert_eq!(second["data_base64"], "gQE=");
    assert_eq!(second["content_type"], "application/cbor");
    let origin = get(&server, "/db/default")["replica"].clone();
    assert_eq!(first["origin"], origin);
}

#[test]
fn pages_hold_every_event_once_whatever_comes_in_between() {
    let directory = tempfile::tempdir().unwrap();
    let server = serve(directory.path());
    append(&server.database(), "shipment", 0..25, false);
    for order in ["tx", "valid", "arrival"] {
        let mut path = format!("/e?order={order}&limit=7");
        let mut seen = Vec::new();
        loop {
            let page = get(&server, &path);
            seen.extend(ids(&page));
            append(&server.database(), "shipment", 100..101, false);
            let Some(next) = page["next"].as_str() else { break };
            path = format!("/e?order={order}&limit=7&after={next}");
            assert!(seen.len() < 200, "{order}: it does not end");
        }
        let once: BTreeSet<&String> = seen.iter().collect();
        assert_eq!(once.len(), seen.len(), "{order}");
        assert!(seen.len() >= 25, "{order}: {}", seen.len());
    }
}

#[test]
fn a_vector_answers_with_what_it_lacks_and_with_the_next_one() {
    let directory = tempfile::tempdir().unwrap();
    let server = serve(directory.path());
    append(&server.database(), "shipment", 0..10, false);
    append(&server.database(), "truck", 0..5, true);
    let all = ids(&get(&server, "/e"));
    let mut vv = String::new();
    let mut seen = Vec::new();
    for _ in 0..10 {
        let question = if vv.is_empty() { String::new() } else { format!("&vv={vv}") };
        let page = get(&server, &format!("/db/default/e?limit=4{question}"));
        seen.extend(ids(&page));
        page["vv"].as_str().unwrap().clone_into(&mut vv);
    }
    assert_eq!(seen, all);
    assert_eq!(get(&server, "/db/default")["vv"], vv);
    append(&server.database(), "truck", 5..6, true);
    assert_eq!(ids(&get(&server, &format!("/e?lc={vv}"))).len(), 1);
    assert_eq!(ids(&get(&server, &format!("/e/shipment?vv={vv}"))).len(), 0);
    let body = json!({"vv": vv, "limit": 10, "type": ["seen"]}).to_string();
    let (status, text) = server.ask("POST", "/db/default/changes", &[], body.as_bytes());
    assert_eq!((status, ids(&serde_json::from_str(&text).unwrap()).len()), (200, 1), "{text}");
    // The short cursor goes on where the page ended.
    let cursor = get(&server, "/e")["cursor"].as_str().unwrap().to_owned();
    append(&server.database(), "truck", 6..8, true);
    let page = get(&server, &format!("/e?after={cursor}"));
    assert_eq!(ids(&page).len(), 2);
    let cursor = page["cursor"].as_str().unwrap();
    assert_eq!(ids(&get(&server, &format!("/e?after={cursor}"))).len(), 0);
}

#[test]
fn ranges_cuts_and_filters_choose_events() {
    let directory = tempfile::tempdir().unwrap();
    let server = serve(directory.path());
    let database = server.database();
    let mut commit = database.commit();
    for day in 1..=5_i64 {
        let at = Timestamp::from_micros(day * 86_400_000_000);
        let tag = format!("truck:{day}").parse().unwrap();
        let event = NewEvent::new("shipment", format!("{day}"), "seen").valid_at(at).tag(tag);
        commit.push(&event).unwrap();
    }
    database.append(&mut commit).unwrap().wait().unwrap();
    let count = |question: &str| ids(&get(&server, &format!("/e?{question}"))).len();
    assert_eq!(count("valid_from=1970-01-03T00:00:00Z&valid_until=1970-01-05T00:00:00Z"), 2);
    assert_eq!(count("tx_from=2020-01-01&tx_until=2021-01-01"), 0);
    assert_eq!(count("tag=truck:3"), 1);
    assert_eq!(count("tag=truck:3&tag=truck:4"), 0);
    assert_eq!(count("type=seen&type=other&root=shipment&key=2"), 1);
    assert_eq!(count("root=truck"), 0);
    assert_eq!(count("as_of=2020-01-01T00:00:00Z"), 0);
    assert_eq!(count("as_of=recorded:2020-01-01T00:00:00Z"), 0);
    assert_eq!(count("as_of=AQA"), 0);
    let vv = get(&server, "/e")["vv"].as_str().unwrap().to_owned();
    assert_eq!(count(&format!("as_of={vv}")), 5);
    for question in [
        "colour=1",
        "limit=0",
        "limit=10001",
        "order=up",
        "vv=x",
        "tag=x",
        "as_of=x",
        "key=",
        "keys=x",
        "tx_from=soon",
        "limit=1&limit=2",
        "keys=x&limit=1",
    ] {
        let (status, text) = server.ask("GET", &format!("/e?{question}"), &[], b"");
        assert_eq!(status, 400, "{question}: {text}");
    }
    for after in ["x", "a~b", "a~b~c"] {
        let (_, text) = server.ask("GET", &format!("/e?after={after}"), &[], b"");
        assert!(text.contains("/problems/cursor"), "{after}: {text}");
    }
}

#[test]
fn events_are_found_by_id_and_missing_ones_are_listed() {
    let directory = tempfile::tempdir().unwrap();
    let server = serve(directory.path());
    append(&server.database(), "shipment", 0..3, true);
    let known = ids(&get(&server, "/e"));
    let missing = "01J00000000000000000000000";
    let page = get(&server, &format!("/e?keys={},{missing},{}", known[2], known[0]));
    assert_eq!(ids(&page), [known[2].clone(), known[0].clone()]);
    assert_eq!(page["missing"], json!([missing]));
    let page = get(&server, &format!("/e/truck?keys={}", known[0]));
    assert_eq!((ids(&page).len(), &page["missing"]), (0, &json!([known[0]])));
}

#[test]
fn the_form_follows_accept() {
    let directory = tempfile::tempdir().unwrap();
    let server = serve(directory.path());
    append(&server.database(), "shipment", 0..2_500, true);
    let (status, head, lines) =
        server.ask_whole("GET", "/e/shipment", &["accept: application/x-ndjson"], b"");
    assert_eq!((status, head["content-type"].as_str()), (200, "application/x-ndjson"));
    assert_eq!(lines.lines().count(), 2_500);
    let seqs = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    assert!(seqs.zip(1_u64..).all(|(event, seq)| event["seq"] == seq));
    let cursor = &head["laterbase-cursor"];
    assert_eq!(ids(&get(&server, &format!("/e?after={cursor}"))).len(), 0);
    let few = "/e/shipment?limit=3";
    let accept = ["accept: application/json;q=0.1, application/x-ndjson;q=0.9"];
    assert_eq!(server.ask("GET", few, &accept, b"").1.lines().count(), 3);
    assert_eq!(server.ask("GET", few, &["accept: image/png"], b"").0, 406);
    let (_, head, _) = server.ask_whole("GET", few, &["accept: application/cbor"], b"");
    assert_eq!(head["content-type"], "application/cbor");
    assert!(head.contains_key("laterbase-next"));
    let (_, head, _) = server.ask_whole("GET", few, &["accept-encoding: gzip"], b"");
    assert_eq!(head["content-encoding"], "gzip");
}

#[test]
fn each_form_of_a_stream_has_a_tag_of_its_own_and_says_what_it_depends_on() {
    let directory = tempfile::tempdir().unwrap();
    let server = serve(directory.path());
    append(&server.database(), "shipment", 7..8, true);
    let path = "/e/shipment?key=7";
    let mut tags = BTreeSet::new();
    let forms = ["json", "cbor", "cloudevents-batch+json", "json\r\naccept-encoding: gzip"];
    for form in forms {
        let accept = format!("accept: application/{form}");
        let (_, head, _) = server.ask_whole("GET", path, &[&accept], b"");
        let tag = head["etag"].clone();
        assert!(head.contains_key("vary"), "{form}: {head:?}");
        // What one form is called is not modified in that form alone.
        for known in &tags {
            let known = format!("if-none-match: {known}");
            let is_same = known.trim_end_matches('"').ends_with("-json") && form.contains("gzip");
            let status = server.ask("GET", path, &[&accept, &known], b"").0;
            assert_eq!(status, if is_same { 304 } else { 200 }, "{form} {known}");
        }
        let had = format!("if-none-match: {tag}");
        let (status, head, _) = server.ask_whole("GET", path, &[&accept, &had], b"");
        assert_eq!((status, &head["etag"]), (304, &tag), "{form}");
        assert!(tags.insert(tag), "{form} has the tag of another form");
    }
    // A write looks at the version alone.
    let event = b"{\"key\":\"7\",\"type\":\"a\",\"data\":1}";
    for (version, tag) in (1..).zip(&tags) {
        let demand = format!("if-match: {}", tag.replace("-1-", &format!("-{version}-")));
        let (status, text) = server.ask("POST", "/e/shipment", &[&demand], event);
        assert_eq!(status, 201, "{demand}: {text}");
        assert_eq!(server.ask("POST", "/e/shipment", &[&demand], event).0, 412, "{demand}");
    }
}

#[test]
fn answers_vary_by_accept_where_it_decides_and_by_the_coding() {
    let directory = tempfile::tempdir().unwrap();
    let server = serve(directory.path());
    append(&server.database(), "shipment", 7..8, true);
    let vary = |path: &str, header: &str| {
        let raw = server.raw(
            format!(
                "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{header}\r\n\r\n"
            )
            .as_bytes(),
        );
        let head = raw.split("\r\n\r\n").next().unwrap().to_lowercase();
        let lines = head.lines().filter_map(|line| line.strip_prefix("vary: "));
        lines.map(str::to_owned).collect::<BTreeSet<String>>()
    };
    let both = BTreeSet::from(["accept".to_owned(), "accept-encoding".to_owned()]);
    assert_eq!(vary("/e/shipment?key=7", "accept: */*"), both);
    assert_eq!(vary("/e/shipment?key=7", "if-none-match: *"), both);
    assert!(vary("/e", "accept: image/png").contains("accept"));
    assert!(!vary("/db", "accept: */*").contains("accept"));
}

#[test]
fn forms_without_a_place_for_missing_ids_say_how_many_there_are() {
    let directory = tempfile::tempdir().unwrap();
    let server = serve(directory.path());
    append(&server.database(), "shipment", 0..1, true);
    let known = &ids(&get(&server, "/e"))[0];
    let path = format!("/e?keys={known},01J00000000000000000000000");
    for form in ["x-ndjson", "cloudevents-batch+json"] {
        let accept = format!("accept: application/{form}");
        let (status, head, _) = server.ask_whole("GET", &path, &[&accept], b"");
        assert_eq!((status, head["laterbase-missing"].as_str()), (200, "1"), "{form}");
    }
}
