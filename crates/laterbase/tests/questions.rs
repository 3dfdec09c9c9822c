//! Questions over what is stored.
//!
//! Breaks that these tests catch: a constant that an index is asked for and that leaves out a row,
//! or lets one too many in; an order that a source promises and does not keep; a cut or a valid
//! time that is forgotten; a payload that is read as another type than is declared.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod support;

use laterbase::ask::{AskFault, Limits, QueryError, Value, schema_of};
use laterbase::{Cause, NewEvent, Query, Recorded, Timestamp, Upcasters};
use serde_json::json;
use support::{Fixture, at, options};

/// The rows of a question as lines of JSON.
fn rows(fixture: &Fixture, text: &str) -> Vec<String> {
    let answer = fixture.db.query(text).run();
    let answer = answer.unwrap_or_else(|error| panic!("{}", error.render("query")));
    let rows: Vec<serde_json::Value> = answer.rows_as().unwrap();
    rows.iter().map(ToString::to_string).collect()
}

/// Two ships with readings, some late, some with causes and tags.
fn fleet() -> Fixture {
    let fixture = Fixture::new();
    let mut last = None;
    for number in 0..60_i64 {
        fixture.clock.advance_ms(7);
        let type_name = ["taken", "lost", "moved"][(number % 3) as usize];
        let mut event = NewEvent::new("ship", format!("k{}", number % 4), type_name)
            .valid_at(at(1_800_000_000 + (number * 37) % 50))
            .json(&json!({"n": number, "port": format!("P{}", number % 5)}))
            .unwrap();
        if number % 2 == 0 {
            event = event.tag(support::tag(&format!("truck:{}", number % 6)));
        }
        if let (Some(cause), true) = (last, number % 5 == 0) {
            event = event.cause(Cause::Id(cause));
        }
        last = Some(fixture.append(&event).commit);
        let other = NewEvent::new("truck", "k1", "taken").json(&json!({"n": -number})).unwrap();
        fixture.append(&other);
    }
    fixture
}

/// A condition as it is written, and what it means.
type Case<'a> = (String, Box<dyn Fn(&Recorded) -> bool + 'a>);

#[test]
fn every_path_to_events_leads_to_the_same_rows() {
    let fixture = fleet();
    let all: Vec<Recorded> = fixture.db.read(&Query::all()).unwrap().map(Result::unwrap).collect();
    let some = &all[60];
    let (middle, tx) = (at(1_800_000_025), Timestamp::from_hlc(some.event.id.hlc()));
    let text = |at: Timestamp| Value::Time(at.as_micros()).to_string();
    let cause = all.iter().find_map(|it| it.event.cause).unwrap();
    let conditions: Vec<Vec<Case<'_>>> = vec![
        vec![
            (String::new(), Box::new(|_| true)),
            ("key: \"k1\"".into(), Box::new(|it| it.event.key == "k1")),
            ("key: \"none\"".into(), Box::new(|_| false)),
            (format!("id: #{}", some.event.id), Box::new(|it| it.event.id == some.event.id)),
            (format!("cause: #{cause}"), Box::new(|it| it.event.cause == Some(cause))),
        ],
        vec![
            (String::new(), Box::new(|_| true)),
            ("root: \"ship\"".into(), Box::new(|it| it.event.root == "ship")),
        ],
        vec![
            (String::new(), Box::new(|_| true)),
            ("type: \"taken\"".into(), Box::new(|it| it.event.type_name == "taken")),
        ],
        vec![
            (String::new(), Box::new(|_| true)),
            (format!(", at < {}", text(middle)), Box::new(|it| it.event.valid_at < middle)),
            (format!(", at >= {}", text(middle)), Box::new(|it| it.event.valid_at >= middle)),
            (format!(", at = {}", text(middle)), Box::new(|it| it.event.valid_at == middle)),
            (
                format!(", tx > {}", text(tx)),
                Box::new(|it| Timestamp::from_hlc(it.event.id.hlc()) > tx),
            ),
            (
                format!(", tx <= {}", text(tx)),
                Box::new(|it| Timestamp::from_hlc(it.event.id.hlc()) <= tx),
            ),
            (
                ", \"truck:2\" in tags".into(),
                Box::new(|it| it.event.tags.contains(&("truck".into(), "2".into()))),
            ),
        ],
    ];
    let mut count = 0;
    for first in &conditions[0] {
        for root in &conditions[1] {
            for type_name in &conditions[2] {
                for behind in &conditions[3] {
                    let cases = [first, root, type_name, behind];
                    check(&fixture, &all, &cases);
                    count += 1;
                }
            }
        }
    }
    assert_eq!(count, 140);
}

/// Asks with some conditions, in every order and with a limit, and compares with a look at all.
fn check(fixture: &Fixture, all: &[Recorded], cases: &[&Case<'_>; 4]) {
    let within = |names: &[&str]| {
        let fields: Vec<&str> = cases[..3].iter().map(|(text, _)| text.as_str()).collect();
        let free = names
            .iter()
            .filter(|name| !fields.iter().any(|field| field.starts_with(&format!("{name}:"))));
        let fields = fields.iter().filter(|field| !field.is_empty()).chain(free);
        fields.copied().collect::<Vec<_>>().join(", ")
    };
    let body =
        format!("event{{{}}}{}", within(&["key", "at", "tx", "tags", "payload"]), cases[3].0);
    let mut expected: Vec<&Recorded> =
        all.iter().filter(|it| cases.iter().all(|(_, holds)| holds(it))).collect();
    let number = |it: &&Recorded| it.json::<serde_json::Value>().unwrap()["n"].as_i64();
    let asked = |clause: &str| -> Vec<Option<i64>> {
        let text = format!("?{{n: payload.n, at, tx}} :- {body} {clause}");
        let answer = fixture.db.query(&text).run();
        let answer = answer.unwrap_or_else(|error| panic!("{}", error.render("query")));
        let rows: Vec<serde_json::Value> = answer.rows_as().unwrap();
        rows.iter().map(|row| row["n"].as_i64()).collect()
    };
    expected.sort_by_key(number);
    let numbers: Vec<Option<i64>> = expected.iter().map(number).collect();
    assert_eq!(asked("order by n"), numbers, "{body}");
    expected.sort_by_key(|it| (it.event.valid_at, number(it)));
    let first: Vec<Option<i64>> = expected.iter().take(5).map(number).collect();
    assert_eq!(asked("order by at, n limit 5"), first, "{body}");
    expected.sort_by_key(|it| it.event.id);
    let last: Vec<i64> = expected
        .iter()
        .rev()
        .take(5)
        .map(|it| Timestamp::from_hlc(it.event.id.hlc()).as_micros())
        .collect();
    let text = format!("?{{tx, n: payload.n}} :- {body} order by tx desc limit 5");
    let answer = fixture.db.query(&text).run().unwrap();
    let found: Vec<Value> = answer.rows.iter().map(|row| row.value(0)).collect();
    assert_eq!(found, last.into_iter().map(Value::Time).collect::<Vec<_>>(), "{body}");
}

/// Boxes in boxes, of which each but the first is packed into another: four each, some recorded
/// one by one and some many at a time, among events of others.
fn boxes(count: u64) -> Fixture {
    let fixture = Fixture::new();
    for number in (1..count).step_by(7) {
        fixture.clock.advance_ms(1_000);
        let mut commit = fixture.db.commit();
        let many = if number % 3 == 0 { 1 } else { 7 };
        for number in (number..count).take(many) {
            let key = format!("b{}", (number - 1) / 4);
            let event = NewEvent::new("box", key, "packed");
            let item = json!({"item": format!("b{number}")});
            commit.push(&event.valid_at(at(1_000 + number as i64)).json(&item).unwrap()).unwrap();
            for noise in 0..number % 3 {
                let other = NewEvent::new("box", format!("n{noise}"), "seen");
                commit.push(&other.json(&item).unwrap()).unwrap();
            }
        }
        fixture.db.append(&mut commit).unwrap().wait().unwrap();
    }
    fixture
}

/// Many keys are asked for at once, in as many ways as events are cut: none is lost, and none is
/// there that should not be.
#[test]
fn what_is_in_boxes_is_what_a_look_at_everything_finds() {
    let fixture = boxes(1_500);
    let all: Vec<Recorded> = fixture.db.read(&Query::all()).unwrap().map(Result::unwrap).collect();
    let middle = Timestamp::from_hlc(all[all.len() / 2].event.id.hlc());
    let ever = Timestamp::from_micros(i64::MAX);
    let cuts = [
        (String::new(), ever, ever),
        (format!(" as of {}", Value::Time(middle.as_micros())), middle, ever),
        (format!(" as of recorded {}", Value::Time(middle.as_micros())), middle, ever),
        (format!(" valid {}", Value::Time(at(1_700).as_micros())), ever, at(1_700)),
    ];
    for (cut, recorded, happened) in cuts {
        let mut inside = std::collections::BTreeSet::new();
        let mut open = vec!["b0".to_owned()];
        while let Some(within) = open.pop() {
            for recorded in all.iter().filter(|it| {
                let event = &it.event;
                (event.key.as_str(), event.type_name.as_str()) == (within.as_str(), "packed")
                    && Timestamp::from_hlc(event.id.hlc()) <= recorded
                    && event.valid_at <= happened
            }) {
                let payload: serde_json::Value =
                    serde_json::from_slice(&recorded.event.payload).unwrap();
                let item = payload["item"].as_str().unwrap().to_owned();
                inside.insert(json!({"item": item}).to_string());
                open.push(item);
            }
        }
        let text = format!(
            "inside{{item, box}} :- box.packed{{key: box, item}}\n\
             inside{{item, box}} :- box.packed{{key: box, item: m}}, inside{{item, box: m}}\n\
             ?{{item}} :- inside{{item, box: \"b0\"}}{cut}"
        );
        let mut found = rows(&fixture, &text);
        found.sort();
        assert!(inside.len() > 100, "{cut}: {}", inside.len());
        assert_eq!(found, inside.into_iter().collect::<Vec<_>>(), "{cut}");
    }
}

#[test]
fn a_question_by_key_reads_the_stream_and_no_more() {
    let fixture = fleet();
    let text = "?{n: payload.n} :- event{root: \"ship\", key: \"k1\", payload}";
    let answer = fixture.db.query(text).run().unwrap();
    assert_eq!((answer.rows.len(), answer.rows.usage().rows_read), (15, 15));
}

#[test]
fn two_ids_of_one_moment_are_two_rows() {
    let fixture = Fixture::new();
    let mut commit = fixture.db.commit();
    for key in ["a", "b"] {
        commit.push(&NewEvent::new("ship", key, "seen")).unwrap();
    }
    fixture.db.append(&mut commit).unwrap().wait().unwrap();
    let ids = fixture.ids(&Query::all());
    let list = Value::List([Value::Id(ids[0]), Value::Id(ids[1])].into());
    // Each of a few ids is looked up by itself.
    for text in [
        "?{n: count()} :- id in $ids, event{id}",
        "?{n: count()} :- event{id}, id in $ids",
        "?{n: count()} :- id in $ids, event{id}, other in $ids",
    ] {
        let answer = fixture.db.query(text).bind("ids", list.clone()).run().unwrap();
        let expected = if text.contains("other") { 4 } else { 2 };
        assert_eq!(answer.rows.iter().next().unwrap().value(0), Value::Int(expected), "{text}");
    }
}

#[test]
fn the_newest_few_are_read_without_the_others() {
    let fixture = fleet();
    let text = "?{id, n: payload.n} :- event{id, payload} order by id desc limit 3";
    let answer = fixture.db.query(text).run().unwrap();
    let read = answer.rows.usage().rows_read;
    assert_eq!(answer.rows.len(), 3);
    assert!(read <= 16, "{read} rows were read");
}

#[test]
fn what_is_known_and_what_had_happened_are_two_questions() {
    let fixture = Fixture::new();
    let place = |place: &str, at_s: i64| {
        let event = NewEvent::new("pallet", "1", "moved").valid_at(at(at_s));
        fixture.append(&event.json(&json!({"place": place})).unwrap());
    };
    place("yard", 1_700_000_000);
    let friday = fixture.clock.advance_ms(86_400_000);
    fixture.clock.advance_ms(86_400_000);
    place("gate", 1_600_000_000);
    place("ship", 1_900_000_000);
    let friday = Value::Time(friday.as_micros());
    let ask = |clause: &str| {
        let text = format!("?{{at, place}} :- pallet.moved{{at, place}} {clause}");
        let rows = rows(&fixture, &text);
        rows.iter().map(|row| row.split('"').nth(7).unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(ask(""), ["gate", "yard", "ship"]);
    assert_eq!(ask(&format!("as of {friday}")), ["yard"]);
    assert_eq!(ask("valid 2023-12-01"), ["gate", "yard"]);
    assert_eq!(ask("valid in [2023-01-01, 2025-01-01)"), ["yard"]);
    assert_eq!(ask(&format!("as of {friday} valid 2021-01-01")), Vec::<String>::new());
    assert_eq!(ask(&format!("as of recorded {friday}")), ["yard"]);
}

#[test]
fn a_version_vector_is_a_cut() {
    let fixture = Fixture::new();
    let event = |n: i64| NewEvent::new("ship", "1", "seen").json(&json!({ "n": n })).unwrap();
    fixture.append(&event(1));
    let vector = Value::Bytes(fixture.db.version_vector().unwrap().encode().into());
    fixture.append(&event(2));
    let ask = |text: &str| {
        let answer = fixture.db.query(text).bind("then", vector.clone()).run().unwrap();
        answer.rows.len()
    };
    assert_eq!(ask("?{n} :- ship.seen{n} as of $then"), 1);
    assert_eq!(ask("?{n} :- ship.seen{n}"), 2);
}

#[test]
fn old_events_are_read_as_their_upcasters_make_them() {
    let upcasters = Upcasters::default().with_json("box", "weighed", 1, |old| {
        let grams = old["g"].as_i64().ok_or("no grams")?;
        Ok(json!({ "kg": grams / 1000 }))
    });
    let fixture = Fixture::with_options(1_800_000_000_000, options().upcasters(upcasters));
    for (key, version, payload) in [
        ("a", 1, json!({"g": 5000})),
        ("b", 2, json!({"kg": 7})),
        // No upcaster makes anything of it, and what it holds is none of today's fields.
        ("c", 1, json!({"kg": 9})),
    ] {
        fixture
            .append(&NewEvent::new("box", key, "weighed").json(&payload).unwrap().version(version));
    }
    let found = rows(&fixture, "?{key, kg} :- box.weighed{key, kg}");
    let expected = [r#"{"key":"a","kg":5}"#, r#"{"key":"b","kg":7}"#, r#"{"key":"c","kg":null}"#];
    assert_eq!(found, expected);
    let versions = rows(&fixture, "?{key, version} :- event{root: \"box\", key, version}");
    assert_eq!(versions.len(), 3, "{versions:?}");
}

#[test]
fn declared_types_are_what_payloads_are_read_as() {
    let fixture = Fixture::new();
    let schema = schema_of(
        "root ship { event 1 seen { 1 weight: decimal, 2 when: time, 3 stops: set text, \
         4 dwell: duration?, 5 grade: text = \"A\" } }",
    )
    .unwrap();
    let seen = |json: serde_json::Value| {
        fixture.append(&NewEvent::new("ship", "1", "seen").json(&json).unwrap());
    };
    seen(json!({"weight": 12, "when": "2026-03-01T13:00:00+01:00", "stops": ["b", "a", "b"],
                "dwell": "90m", "grade": "C"}));
    seen(json!({"weight": "0.30", "when": "soon", "stops": "a"}));
    let text =
        "?{weight, when, stops, dwell, grade} :- ship.seen{weight, when, stops, dwell, grade}";
    let answer = fixture.db.query(text).schema(&schema).run().unwrap();
    let found: Vec<String> = answer
        .rows
        .iter()
        .map(|row| row.values().iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(
        found,
        ["0.3 null null null \"A\"", "12.0 2026-03-01T12:00:00Z set [\"a\", \"b\"] 1h30m \"C\"",]
    );
}

#[test]
fn transitive_questions_follow_causes() {
    let fixture = Fixture::new();
    let first = fixture.append(&NewEvent::new("a", "1", "made")).commit;
    let second = fixture.append(&NewEvent::new("a", "2", "made").cause(Cause::Id(first))).commit;
    fixture.append(&NewEvent::new("a", "3", "made").cause(Cause::Id(second)));
    fixture.append(&NewEvent::new("a", "4", "made"));
    let text = "follows{id, root} :- event{id, cause: root}\n\
                follows{id, root} :- event{id, cause: m}, follows{id: m, root}\n\
                ?{key} :- follows{id, root: $root}, event{id, key}";
    let answer = fixture.db.query(text).bind("root", first).run().unwrap();
    let keys: Vec<(String,)> = answer.rows_as().unwrap();
    assert_eq!(keys, [("2".to_owned(),), ("3".to_owned(),)]);
}

#[test]
fn mistakes_are_shown_where_they_stand() {
    let fixture = fleet();
    let error = fixture.db.query("?{port} :-\n  ship.taken{prot: port},").run().unwrap_err();
    assert!(error.render("query").contains("--> query:2:26"), "{}", error.render("query"));
    let error = fixture.db.query("?{n} :- sihp.taken{n}").run().unwrap_err();
    assert!(error.to_string().contains("did you mean `ship`?"), "{error}");
    let error = fixture.db.query("?{x: 1 / n} :- truck.taken{n: m}, n = int(m)").run().unwrap_err();
    assert!(error.to_string().contains("division by zero"), "{error}");
    assert!(matches!(
        fixture.db.query("a{x} :- x = 1").run().unwrap_err().fault,
        AskFault::NoQuery
    ));
    for text in ["put t{key: \"a\"}", "add ship.taken{n: 1}", "live ?{n} :- ship.taken{n}"] {
        assert_eq!(fixture.db.query(text).run().unwrap_err().diagnostics().len(), 1, "{text}");
    }
}

#[test]
fn a_question_that_grows_too_large_is_stopped_and_named() {
    let fixture = fleet();
    let limits = Limits { steps_max: 100_000, ..Limits::default() };
    let text = "?{n: count()} :- event{id: a}, event{id: b}, event{id: c}";
    let error = fixture.db.query(text).limits(limits).run().unwrap_err();
    assert!(
        matches!(&error.fault, AskFault::Query(QueryError::Exhausted(_))),
        "{}",
        error.render("query")
    );
}

#[test]
fn a_question_stops_when_it_is_told_to() {
    let fixture = fleet();
    let stop = || true;
    let text = "?{n: count()} :- event{id: a}, event{id: b}, event{id: c}";
    let error = fixture.db.query(text).cancel(&stop).run().unwrap_err();
    assert!(matches!(&error.fault, AskFault::Query(QueryError::Cancelled)), "{error}");
}

#[test]
fn what_may_not_be_read_is_neither_read_nor_told_of() {
    let fixture = fleet();
    let allow = |root: Option<&str>| root == Some("truck");
    let ask = |text: &str| fixture.db.query(text).allow(&allow).run();
    assert_eq!(ask("?{n} :- truck.taken{n}").unwrap().rows.len(), 60);
    assert!(matches!(ask("?{id} :- event{id}").unwrap_err().fault, AskFault::Forbidden));
    // As if there were no such root.
    let (there, nowhere) = (ask("?{n} :- ship.taken{n}"), ask("?{n} :- shop.taken{n}"));
    let (there, nowhere) = (there.unwrap_err().to_string(), nowhere.unwrap_err().to_string());
    assert_eq!(there.replace("ship", "shop"), nowhere);
}
