//! Statements that write: mutations and transactions.
//!
//! Breaks that these tests catch: a part of a transaction that is recorded without the rest; a
//! demand that is not held against what is there when the commit is made; two statements that both
//! decide on what the other one changes; a statement in front of a wrong one that is carried out;
//! a right that is not asked for.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod support;

use std::thread;

use laterbase::ask::{AskFault, Limits, QueryError, Value};
use laterbase::execute::{Done, ExecuteError, ExecuteFault, Written};
use laterbase::{Database, NewEvent, Query};
use support::{Fixture, at};

const SCHEMA: &str = "
root shipment {
    event 1 booked { 1 customer: ref customer, 2 weight_kg: decimal, 3 fragile: bool = false }
    event 2 departed { 1 port: text, 2 carrier: text? }
    event 3 arrived { 1 port: text }
}
root note lax { event 1 written { 1 text: text } }
table 1 customer { 1 name: text, 2 region: text = \"EU\", 3 points: counter, 4 tags: set text,
    5 note: text? }
table 2 place { 1 port: text }
table 3 stock { 1 count: int }
";

fn declared() -> Fixture {
    let fixture = Fixture::new();
    fixture.db.apply_schema(SCHEMA).unwrap_or_else(|error| panic!("{error}"));
    fixture
}

fn run(db: &Database, text: &str) -> Result<Done, ExecuteError> {
    db.execute(text).run()
}

/// Carries a text out that writes.
fn write(fixture: &Fixture, text: &str) -> Written {
    fixture.clock.advance_ms(1);
    match run(&fixture.db, text).unwrap_or_else(|error| panic!("{error}")) {
        Done::Written(written) => written,
        Done::Rows(rows) => panic!("{rows:?}"),
    }
}

/// Why a text is not carried out; nothing is recorded by it.
fn refused(fixture: &Fixture, text: &str) -> String {
    let before = fixture.db.version_vector().unwrap();
    let error = run(&fixture.db, text).unwrap_err();
    assert_eq!(fixture.db.version_vector().unwrap(), before);
    error.to_string()
}

/// The rows of a question as lines of JSON.
fn rows(db: &Database, text: &str) -> Vec<String> {
    let answer = db.query(text).run().unwrap_or_else(|error| panic!("{error}"));
    let rows: Vec<serde_json::Value> = answer.rows_as().unwrap();
    rows.iter().map(ToString::to_string).collect()
}

#[test]
fn an_event_is_added_as_it_is_declared() {
    let fixture = declared();
    let text = "add shipment.departed{key: $key, port: \"NLRTM\", tags: [\"truck:7\"]}
        valid 2026-03-01T12:00Z";
    let done = fixture.db.execute(text).bind("key", "4711").run().unwrap();
    let Done::Written(Written { events: 1, appended: Some(appended) }) = done else {
        panic!("{done:?}");
    };
    let recorded = fixture.db.get(appended.commit).unwrap().unwrap().event;
    assert_eq!((recorded.root.as_str(), recorded.key.as_str()), ("shipment", "4711"));
    assert_eq!(recorded.valid_at, at(1_772_366_400));
    assert_eq!(recorded.tags, [("truck".to_owned(), "7".to_owned())]);
    let schema = fixture.db.schema().unwrap();
    let expected = format!("application/vnd.laterbase.event+cbor; schema={}", schema.hash);
    assert_eq!(recorded.content_type, expected);
    let answer =
        rows(&fixture.db, "?{key, port, carrier} :- shipment.departed{key, port, carrier}");
    assert_eq!(answer, [r#"{"carrier":null,"key":"4711","port":"NLRTM"}"#]);
}

#[test]
fn what_no_schema_declares_is_added_as_json() {
    let fixture = Fixture::new();
    write(&fixture, "add ship.seen{key: \"a\", n: 1, at_port: true, none: null}");
    let event = fixture.db.read(&Query::all()).unwrap().next().unwrap().unwrap().event;
    assert_eq!(event.content_type, "application/json");
    assert_eq!(event.payload, br#"{"at_port":true,"n":1}"#);
    let declared = declared();
    write(&declared, "add note.written{key: \"n\", text: \"t\", colour: \"red\"}");
    let answer = rows(&declared.db, "?{text, colour} :- note.written{text, colour}");
    assert_eq!(answer, [r#"{"colour":"red","text":"t"}"#]);
}

#[test]
fn a_mutation_from_a_query_writes_once_for_each_different_row() {
    let fixture = declared();
    write(
        &fixture,
        "transaction {
            add shipment.departed{key: \"a\", port: \"NLRTM\"} valid 2026-03-01
            add shipment.departed{key: \"a\", port: \"NLRTM\"} valid 2026-03-02
            add shipment.departed{key: \"b\", port: \"USNYC\"} valid 2026-03-03
        }",
    );
    let text = "add shipment.arrived{key: s, port} :- shipment.departed{key: s, port}";
    assert_eq!(write(&fixture, text).events, 2);
    let text = "add shipment.arrived{key: s, port} valid t + 1d
        :- shipment.departed{key: s, port, at: t}, not shipment.arrived{key: s}";
    assert_eq!(write(&fixture, text), Written { events: 0, appended: None });
}

#[test]
fn a_transaction_is_recorded_whole_or_not_at_all() {
    let fixture = declared();
    let arrive = "transaction {
        expect none :- shipment.arrived{key: \"4711\", port: p}
        add shipment.arrived{key: \"4711\", port: \"USNYC\"}
        put place{key: \"4711\", port: \"USNYC\"}
    }";
    let first = write(&fixture, arrive);
    assert_eq!(first.events, 2);
    let told = refused(&fixture, arrive);
    let commit = first.appended.unwrap().commit;
    assert_eq!(
        told,
        format!(
            "error: no rows were expected, and some were found
 --> query:2:9
  |
2 |         expect none :- shipment.arrived{{key: \"4711\", port: p}}
  |         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  = help: found {{p: \"USNYC\"}} by the events [\"{commit}\"]"
        )
    );
    let told = refused(
        &fixture,
        "transaction {
            add shipment.departed{key: \"4712\", port: \"USNYC\"}
            expect some :- shipment.booked{key: \"4712\"}
        }",
    );
    assert!(told.contains("rows were expected, and there are none"), "{told}");
}

#[test]
fn the_events_of_a_statement_are_one_commit() {
    let fixture = declared();
    let written = write(
        &fixture,
        "transaction {
            add note.written{key: \"n\", text: \"t\"}
            add shipment.arrived{key: \"s\", port: \"USNYC\"}
            put place{key: \"p\", port: \"USNYC\"}
        }",
    );
    let ids: Vec<_> = written.appended.unwrap().ids().collect();
    let roots: Vec<String> =
        ids.iter().map(|id| fixture.db.get(*id).unwrap().unwrap().event.root).collect();
    assert_eq!(roots, ["note", "shipment", "_table.2"]);
}

#[test]
fn a_version_that_is_demanded_is_held_against_the_stream() {
    let fixture = declared();
    let text = "transaction {
        expect shipment \"4711\" none
        expect shipment \"4712\" at 0
        add shipment.departed{key: \"4711\", port: \"NLRTM\"}
    }";
    write(&fixture, text);
    let told = refused(&fixture, text);
    assert!(told.contains("`shipment/4711` has 1 event, and no events was expected"), "{told}");
    assert!(told.contains("2 |         expect shipment \"4711\" none"), "{told}");
    let told = refused(&fixture, "transaction { expect shipment \"4711\" at 3 }");
    assert!(told.contains("`shipment/4711` has 1 event, and version 3 was expected"), "{told}");
    write(&fixture, "transaction { expect shipment \"4711\" exists; expect shipment \"x\" none }");
}

#[test]
fn a_wrong_statement_keeps_those_in_front_from_being_carried_out() {
    let fixture = declared();
    let told = refused(
        &fixture,
        "add shipment.arrived{key: \"1\", port: \"NLRTM\"}
        add shipment.arived{key: \"2\", port: \"NLRTM\"}
        ?{x} :- shipment.arrived{key: y}",
    );
    assert!(told.contains("did you mean `arrived`?"), "{told}");
    assert!(told.contains("nothing binds `x`"), "{told}");
}

#[test]
fn a_statement_that_fails_says_how_many_were_carried_out() {
    let fixture = declared();
    let error = run(
        &fixture.db,
        "add shipment.arrived{key: \"1\", port: \"NLRTM\"}
        ?{key} :- shipment.arrived{key}
        transaction { expect none :- shipment.arrived{} }
        add shipment.arrived{key: \"2\", port: \"NLRTM\"}",
    )
    .unwrap_err();
    assert!(matches!(error.fault, ExecuteFault::Expectation(_)), "{error:?}");
    assert_eq!(error.done, 2);
    assert!(error.to_string().ends_with("the 2 statements before it were carried out"), "{error}");
    assert_eq!(rows(&fixture.db, "?{key} :- shipment.arrived{key}"), [r#"{"key":"1"}"#]);
}

#[test]
fn a_statement_sees_those_in_front_and_not_itself() {
    let fixture = declared();
    let mut answers = Vec::new();
    let text = "add shipment.arrived{key: \"1\", port: \"NLRTM\"}
        ?{n: count()} :- shipment.arrived{}
        transaction {
            add shipment.arrived{key: \"2\", port: \"NLRTM\"}
            expect none :- shipment.arrived{key: \"2\"}
            add shipment.departed{key: s, port: \"X\"} :- shipment.arrived{key: s}
        }
        ?{n: count()} :- shipment.departed{}";
    fixture
        .db
        .execute(text)
        .each(|done| {
            answers.push(match done {
                Done::Rows(answer) => {
                    let rows: Vec<(i64,)> = answer.rows_as().unwrap();
                    format!("counted {}", rows[0].0)
                }
                Done::Written(written) => format!("wrote {}", written.events),
            });
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(answers, ["wrote 1", "counted 1", "wrote 2", "counted 1"]);
}

#[test]
fn of_statements_that_decide_on_the_same_one_wins() {
    let fixture = declared();
    let db = &fixture.db;
    let text = "transaction {
        expect none :- note.written{key: $slot}
        add note.written{key: $slot, text: $who}
    }";
    thread::scope(|scope| {
        for who in 0..4 {
            scope.spawn(move || {
                for slot in 0..25 {
                    let execute = db.execute(text).bind("slot", slot.to_string().as_str());
                    match execute.bind("who", who.to_string().as_str()).run() {
                        Ok(_) => {}
                        Err(error) => {
                            assert!(matches!(error.fault, ExecuteFault::Expectation(_)), "{error}");
                        }
                    }
                }
            });
        }
    });
    let answer = rows(db, "?{key, n: count()} :- note.written{key} having n > 1");
    assert_eq!(answer, Vec::<String>::new());
    assert_eq!(rows(db, "?{n: count()} :- note.written{}"), [r#"{"n":25}"#]);
}

#[test]
fn no_update_that_follows_from_another_is_lost() {
    let fixture = declared();
    let db = &fixture.db;
    write(&fixture, "put stock{key: \"bolt\", count: 0}");
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(move || {
                let text = "put stock{key, count: count + 1} :- stock{key, count}, key = \"bolt\"";
                let mut written = 0;
                while written < 10 {
                    match run(db, text) {
                        Ok(_) => written += 1,
                        Err(error) => assert!(matches!(error.fault, ExecuteFault::Busy), "{error}"),
                    }
                }
            });
        }
    });
    assert_eq!(rows(db, "?{count} :- stock{key: \"bolt\", count}"), [r#"{"count":40}"#]);
}

#[test]
fn rows_are_put_and_deleted_for_their_valid_times() {
    let fixture = declared();
    write(
        &fixture,
        "put customer{key: \"c1\", name: \"Acme\", points: +5, tags: +\"cold\"} valid 2026-01-01
        put customer{key: \"c1\", name: \"Acme Ltd\", points: -2, tags: +[\"dry\"]} valid 2026-02-01
        put customer{key: \"c1\", region: \"US\", tags: -\"cold\"} valid in [2026-03-01, 2026-04-01)
        delete customer{key: \"c1\"} valid 2026-05-01",
    );
    let answer = rows(
        &fixture.db,
        "?{p, name, region, points, tags} :- customer{key: \"c1\", name, region, points, tags}
            order by p valid in [2026-01-01, 2027-01-01) as p",
    );
    let expected = [
        ("2026-01-01", "2026-02-01", "Acme", "EU", 5, r#"["cold"]"#),
        ("2026-02-01", "2026-03-01", "Acme Ltd", "EU", 3, r#"["cold","dry"]"#),
        ("2026-03-01", "2026-04-01", "Acme Ltd", "US", 3, r#"["dry"]"#),
        ("2026-04-01", "2026-05-01", "Acme Ltd", "EU", 3, r#"["cold","dry"]"#),
    ];
    let expected: Vec<String> = expected
        .iter()
        .map(|(from, until, name, region, points, tags)| {
            format!(
                "{{\"name\":\"{name}\",\"p\":{{\"from\":\"{from}T00:00:00Z\",\
                 \"until\":\"{until}T00:00:00Z\"}},\"points\":{points},\
                 \"region\":\"{region}\",\"tags\":{tags}}}"
            )
        })
        .collect();
    assert_eq!(answer, expected);
    let now = rows(&fixture.db, "?{key} :- customer{key}");
    assert_eq!(now, Vec::<String>::new());
}

#[test]
fn several_steps_on_one_row_of_one_transaction_follow_each_other() {
    let fixture = declared();
    write(
        &fixture,
        "transaction {
            put customer{key: \"c1\", name: \"A\", points: +1, tags: +\"x\"}
            put customer{key: \"c1\", name: \"B\", points: +1, tags: -\"x\"}
            put customer{key: \"c2\", name: \"C\"}
            delete customer{key: \"c2\"}
            put customer{key: \"c2\", name: \"D\"}
        }",
    );
    let text = "?{key, name, points, tags} :- customer{key, name, points, tags}";
    let expected = [
        r#"{"key":"c1","name":"B","points":2,"tags":[]}"#,
        r#"{"key":"c2","name":"D","points":0,"tags":[]}"#,
    ];
    assert_eq!(rows(&fixture.db, text), expected);
    write(&fixture, "put customer{key, tags: set [\"y\", \"z\"], note: \"n\"} :- customer{key}");
    write(&fixture, "put customer{key, tags: set [\"z\"], note: null} :- customer{key}");
    let text = "?{tags, note} :- customer{key: \"c1\", tags, note}";
    assert_eq!(rows(&fixture.db, text), [r#"{"note":null,"tags":["z"]}"#]);
}

#[test]
fn a_row_without_what_it_must_have_is_refused() {
    let fixture = declared();
    let told = refused(&fixture, "put customer{key: \"c1\", points: +1}");
    assert!(told.contains("the row `c1` would have no `name`"), "{told}");
    write(&fixture, "put customer{key: \"c1\", name: \"A\"} valid 2026-03-01");
    let told = refused(&fixture, "put customer{key: \"c1\", points: +1} valid 2026-02-01");
    assert!(told.contains("the row `c1` would have no `name`"), "{told}");
    write(&fixture, "put customer{key: \"c1\", points: +1} valid 2026-03-02");
    assert_eq!(write(&fixture, "delete customer{key: \"other\"}").events, 0);
}

#[test]
fn rows_of_a_body_that_do_not_fit_are_refused() {
    let fixture = declared();
    write(
        &fixture,
        "add note.written{key: \"a\", text: \"t\", port: 3, from: \"2026-03-02T00:00Z\"}
        add note.written{key: \"b\", text: \"t\", from: \"2026-03-02T00:00Z\"}",
    );
    let told = refused(&fixture, "add shipment.arrived{key, port} :- note.written{key, port}");
    assert!(told.contains("`port` is absent in a row of the body"), "{told}");
    let told = refused(
        &fixture,
        "add note.written{key, text: \"t\", tags: [text]} :- note.written{key, text}",
    );
    assert!(told.contains("these are no tags"), "{told}");
    let told = refused(
        &fixture,
        "put place{key, port: \"x\"} valid in [time(from), 2026-03-01)
            :- note.written{key, from}",
    );
    assert!(told.contains("it ends before it begins"), "{told}");
    let told = refused(&fixture, "add shipment.arrived{key: k, port: \"X\"} :- k in [\"\"]");
    assert!(told.contains("key"), "{told}");
}

#[test]
fn only_what_is_allowed_is_read_and_written() {
    let fixture = declared();
    write(&fixture, "add note.written{key: \"n\", text: \"secret\"}");
    let reads = |root: Option<&str>| root == Some("shipment");
    let writes = |root: &str| root == "shipment";
    let run = |text: &str| fixture.db.execute(text).allow(&reads).allow_write(&writes).run();
    run("add shipment.arrived{key: \"1\", port: \"X\"}").unwrap();
    let forbidden = [
        "add note.written{key: \"n\", text: \"t\"}",
        "put place{key: \"n\", port: \"t\"}",
        "add shipment.arrived{key: \"1\", port: t} :- note.written{text: t}",
        "transaction { expect none :- note.written{}
            add shipment.arrived{key: \"1\", port: \"X\"} }",
        "transaction { expect note \"n\" none; add shipment.arrived{key: \"1\", port: \"X\"} }",
        "?{text} :- note.written{text}",
    ];
    for text in forbidden {
        let error = run(text).unwrap_err();
        assert!(matches!(error.fault, ExecuteFault::Ask(AskFault::Forbidden)), "{text}: {error:?}");
    }
}

#[test]
fn a_statement_that_is_too_much_writes_nothing() {
    let fixture = declared();
    let mut commit = fixture.db.commit();
    for number in 0..300 {
        commit.push(&NewEvent::new("ship", number.to_string(), "seen")).unwrap();
    }
    fixture.db.append(&mut commit).unwrap().wait().unwrap();
    let limits = Limits { rows_max: 10_000, ..Limits::default() };
    let text = "add note.written{key: a, text: b, c} :- ship.seen{key: a}, ship.seen{key: b},
        ship.seen{key: c}";
    let before = fixture.db.version_vector().unwrap();
    let error = fixture.db.execute(text).limits(limits).run().unwrap_err();
    let fault = &error.fault;
    assert!(
        matches!(fault, ExecuteFault::Ask(AskFault::Query(QueryError::Exhausted(_)))),
        "{fault:?}"
    );
    let over = || true;
    let error = fixture.db.execute(text).cancel(&over).run().unwrap_err();
    let fault = &error.fault;
    assert!(
        matches!(fault, ExecuteFault::Ask(AskFault::Query(QueryError::Cancelled))),
        "{fault:?}"
    );
    assert_eq!(fixture.db.version_vector().unwrap(), before);
}

#[test]
fn parameters_are_values_and_never_text() {
    let fixture = declared();
    let evil = "x\"} add note.written{key: \"y";
    let execute = fixture.db.execute("add note.written{key: $key, text: $key}");
    execute.bind("key", evil).run().unwrap();
    let answer = fixture.db.query("?{key} :- note.written{key}").run().unwrap();
    let found: Vec<(String,)> = answer.rows_as().unwrap();
    assert_eq!(found, [(evil.to_owned(),)]);
    let error = fixture.db.execute("add note.written{key: $key, text: \"t\"}");
    let error = error.bind("key", Value::Int(3)).run().unwrap_err();
    assert!(error.to_string().contains("expected text, found int"), "{error}");
}

#[test]
fn a_text_that_holds_no_statement_is_refused() {
    let fixture = declared();
    for text in ["", "// nothing", "late{s} :- shipment.arrived{key: s}"] {
        let error = run(&fixture.db, text).unwrap_err();
        assert!(matches!(error.fault, ExecuteFault::Ask(AskFault::NoStatement)), "{text}");
    }
    let told = refused(&fixture, "table 9 x { 1 a: int }");
    assert!(told.contains("laterbase schema apply FILE"), "{told}");
    let told = refused(&fixture, "live ?{key} :- note.written{key}");
    assert!(told.contains("live queries are not answered here"), "{told}");
}
