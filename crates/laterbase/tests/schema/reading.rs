//! Events that were written by one schema and are read by another.

use laterbase::ask::{Schema, Value, schema_of};
use laterbase::{Database, NewEvent, Query};
use serde_json::json;

use crate::copies::{pair, sync};
use crate::support::Fixture;
use crate::{FIRST, next_millisecond};

/// Records an event whose fields are written by number.
fn add(db: &Database, type_name: &str, fields: &[(&str, Value)]) {
    let event = db.declared_event("shipment", "1", type_name, fields).unwrap();
    let mut commit = db.commit();
    commit.push(&event).unwrap();
    db.append(&mut commit).unwrap().wait().unwrap();
}

fn rows(db: &Database, text: &str) -> Vec<serde_json::Value> {
    let answer = db.query(text).run();
    answer.unwrap_or_else(|error| panic!("{}", error.render("query"))).rows_as().unwrap()
}

/// The payloads of all shipments as people see them.
fn shown(db: &Database) -> Vec<String> {
    let events = db.read(&Query::root("shipment".try_into().unwrap())).unwrap();
    let named = events.map(|event| db.with_names(event.unwrap()).unwrap().event.payload);
    named.map(|payload| String::from_utf8_lossy(&payload).into_owned()).collect()
}

#[test]
fn fields_by_number_keep_their_meaning_through_renames() {
    let mut fixture = Fixture::new();
    fixture.db.apply_schema(FIRST).unwrap();
    add(&fixture.db, "departed", &[("carrier", "Maersk".into()), ("port", "NLRTM".into())]);
    let json = json!({"port": "USNYC"});
    fixture.append(&NewEvent::new("shipment", "2", "departed").json(&json).unwrap());
    let renamed = FIRST.replace("2 departed", "2 left").replace("port:", "harbour:");
    fixture.db.apply_schema(&renamed).unwrap();
    add(&fixture.db, "left", &[("harbour", "DEHAM".into())]);
    for _ in 0..2 {
        let text = "?{key, harbour, carrier} :- shipment.left{key, harbour, carrier}";
        let found = rows(&fixture.db, text);
        assert_eq!(
            found,
            [
                json!({"key": "1", "harbour": "DEHAM", "carrier": null}),
                json!({"key": "1", "harbour": "NLRTM", "carrier": "Maersk"}),
                json!({"key": "2", "harbour": "USNYC", "carrier": null}),
            ]
        );
        assert_eq!(
            shown(&fixture.db),
            [
                r#"{"carrier":"Maersk","port":"NLRTM"}"#,
                r#"{"port":"USNYC"}"#,
                r#"{"harbour":"DEHAM"}"#,
            ]
        );
        fixture.reopen();
    }
}

#[test]
fn values_of_all_types_come_back() {
    let fixture = Fixture::new();
    let schema = "root r { event 1 e {
        1 a: bool, 2 b: int, 3 c: decimal, 4 d: float, 5 e: text, 6 f: bytes, 7 g: time
        8 h: date, 9 i: duration, 10 k: list int, 11 l: set text, 12 m: json, 13 n: period?
        14 o: decimal = 1.5
    } }";
    fixture.db.apply_schema(schema).unwrap();
    let payload = json!({
        "a": true, "b": -3, "c": 12.5, "d": 0.1, "e": "é", "f": "AP8=",
        "g": "2026-03-01T12:00:00Z", "h": "2026-03-01", "i": "1h30m", "k": [2, 1],
        "l": ["b", "a", "b"], "m": {"x": [1.5, null]},
        "n": {"from": "2026-03-01T12:00:00Z", "until": null},
    });
    let all = "?{a, b, c, d, e, f, g, h, i, k, l, m, n, o} :-
        r.e{key, a, b, c, d, e: e, f, g, h, i, k, l, m, n, o}, key =";
    fixture.append(&NewEvent::new("r", "json", "e").json(&payload).unwrap());
    let by_name = rows(&fixture.db, &format!("{all} \"json\""));
    let answer = fixture.db.query(format!("{all} \"json\"")).run().unwrap();
    let row = answer.rows.iter().next().unwrap().values().to_vec();
    let names: Vec<String> = answer.columns().iter().map(|it| it.name.to_string()).collect();
    let fields: Vec<(&str, Value)> = names.iter().map(String::as_str).zip(row).collect();
    let event = fixture.db.declared_event("r", "cbor", "e", &fields).unwrap();
    fixture.append(&event);
    assert_eq!(rows(&fixture.db, &format!("{all} \"cbor\"")), by_name);
    assert_eq!(by_name[0]["o"], json!(1.5));
    assert_eq!(by_name[0]["l"], json!(["a", "b"]));
    assert_eq!(by_name[0]["n"]["from"], json!("2026-03-01T12:00:00Z"));
}

#[test]
fn two_types_with_one_number_are_never_taken_for_each_other() {
    let (_dir, here, there) = pair();
    let with = |event: &str| FIRST.replace("text? }\n", &format!("text? }}\n    {event}\n"));
    here.apply_schema(&with("event 3 arrived { 1 port: text }")).unwrap();
    next_millisecond();
    there.apply_schema(&with("event 3 lost { 1 reason: text }")).unwrap();
    add(&here, "arrived", &[("port", "NLRTM".into())]);
    add(&there, "lost", &[("reason", "storm".into())]);
    sync(&here, &there);
    for db in [&here, &there] {
        assert_eq!(db.schema().unwrap().conflicts.len(), 1);
        assert_eq!(rows(db, "?{port} :- shipment.arrived{port}"), [json!({"port": "NLRTM"})]);
        assert_eq!(rows(db, "?{reason} :- shipment.lost{reason}"), [json!({"reason": "storm"})]);
    }
    let settled = with("event 3 arrived { 1 port: text }\n    event 4 lost { 1 reason: text }");
    here.apply_schema(&settled).unwrap();
    add(&here, "lost", &[("reason", "fire".into())]);
    sync(&here, &there);
    for db in [&here, &there] {
        assert_eq!(db.schema().unwrap().conflicts, []);
        let found = rows(db, "?{reason} :- shipment.lost{reason} order by reason");
        assert_eq!(found, [json!({"reason": "fire"}), json!({"reason": "storm"})]);
        assert_eq!(rows(db, "?{port} :- shipment.arrived{port}"), [json!({"port": "NLRTM"})]);
    }
}

#[test]
fn two_fields_with_one_number_are_never_taken_for_each_other() {
    let (_dir, here, there) = pair();
    let with = |field: &str| FIRST.replace("carrier: text?", &format!("carrier: text?, {field}"));
    here.apply_schema(&with("3 gate: text?")).unwrap();
    there.apply_schema(&with("3 berth: text?")).unwrap();
    add(&here, "departed", &[("port", "a".into()), ("gate", "g".into())]);
    add(&there, "departed", &[("port", "b".into()), ("berth", "q".into())]);
    sync(&here, &there);
    // Of two changes of one millisecond the ids decide.
    let gate_stays = here.schema().unwrap().text.contains("gate");
    let (field, first, second) = if gate_stays {
        ("gate", json!("g"), json!(null))
    } else {
        ("berth", json!(null), json!("q"))
    };
    for db in [&here, &there] {
        let text = format!("?{{port, f}} :- shipment.departed{{port, {field}: f}} order by port");
        let expected = [json!({"port": "a", "f": first}), json!({"port": "b", "f": second})];
        assert_eq!(rows(db, &text), expected);
        for payload in [r#"{"berth":"q","port":"b"}"#, r#"{"gate":"g","port":"a"}"#] {
            assert!(shown(db).contains(&payload.to_owned()), "{:?}", shown(db));
        }
    }
}

#[test]
fn what_came_together_here_is_known_to_others_once_it_is_written_by() {
    let (dir, here, there) = pair();
    let third = dir.path().join("third");
    let third = Database::create_joined(third, laterbase::Options::default(), here.id()).unwrap();
    sync(&here, &third);
    here.apply_schema(&FIRST.replace("carrier: text?", "carrier: text?, 3 gate: text?")).unwrap();
    there.apply_schema(&FIRST.replace("weight_kg: decimal", "weight_kg: json")).unwrap();
    third.apply_schema(&format!("{FIRST}root truck {{ event 1 parked }}")).unwrap();
    sync(&here, &there);
    // By a schema that nobody has applied, and that the third one never comes to.
    add(&there, "departed", &[("port", "a".into()), ("gate", "g".into())]);
    sync(&there, &third);
    let found = rows(&third, "?{port, gate} :- shipment.departed{port, gate}");
    assert_eq!(found, [json!({"port": "a", "gate": "g"})]);
}

#[test]
fn an_older_schema_reads_of_a_newer_one_what_it_knows_and_the_rest_as_json() {
    let fixture = Fixture::new();
    fixture.db.apply_schema(FIRST).unwrap();
    let newer = FIRST.replace("carrier: text?", "carrier: text?, 3 gate: text?");
    fixture.db.apply_schema(&newer).unwrap();
    add(&fixture.db, "departed", &[("port", "a".into()), ("gate", "g".into())]);
    let old: Schema = schema_of(FIRST).unwrap();
    let text = "?{port, payload} :- shipment.departed{port, payload}";
    let answer = fixture.db.query(text).schema(&old).run().unwrap();
    let found: Vec<serde_json::Value> = answer.rows_as().unwrap();
    assert_eq!(found, [json!({"port": "a", "payload": {"gate": "g", "port": "a"}})]);
}

#[test]
fn what_was_undeclared_in_a_lax_root_is_read_once_it_is_declared() {
    let fixture = Fixture::new();
    let lax = FIRST.replace("root shipment", "root shipment lax");
    fixture.db.apply_schema(&lax).unwrap();
    add(&fixture.db, "departed", &[("port", "a".into()), ("gate", "7".into())]);
    let asked = "?{gate} :- shipment.departed{gate}";
    assert_eq!(rows(&fixture.db, asked), [json!({"gate": "7"})]);
    let declared = lax.replace("carrier: text?", "carrier: text?, 3 gate: int?");
    fixture.db.apply_schema(&declared).unwrap();
    assert_eq!(rows(&fixture.db, asked), [json!({"gate": null})], "a text is no int");
    let text = lax.replace("carrier: text?", "carrier: text?, 4 gate: text?, removed 3");
    fixture.db.apply_schema(&text).unwrap();
    assert_eq!(rows(&fixture.db, asked), [json!({"gate": "7"})]);
}

#[test]
fn a_view_that_does_not_hold_is_refused() {
    let fixture = Fixture::new();
    let with = |body: &str| format!("{FIRST}view 1 gone{{s}} :- {body}\n");
    let good = with("shipment.departed{key: s, port: \"NLRTM\"}");
    fixture.db.apply_schema(&good).unwrap();
    fixture.append(
        &NewEvent::new("shipment", "1", "departed").json(&json!({"port": "NLRTM"})).unwrap(),
    );
    assert_eq!(rows(&fixture.db, "?{s} :- gone{s}"), [json!({"s": "1"})]);
    let error = fixture.db.apply_schema(&with("shipment.departured{key: s}")).unwrap_err();
    let told = error.render("schema");
    assert!(told.contains("no event `departured`"), "{told}");
    assert!(told.contains("schema:5:8"), "{told}");
}
