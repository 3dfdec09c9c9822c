//! What may be appended once a schema says what there is.

use laterbase::{AppendError, NewEvent, PushError};
use serde_json::{Value, json};

use crate::FIRST;
use crate::support::Fixture;

fn departed(payload: &Value) -> NewEvent {
    NewEvent::new("shipment", "1", "departed").json(payload).unwrap()
}

/// What the schema says against an event; nothing if it is taken.
fn refusal(fixture: &Fixture, event: &NewEvent) -> String {
    match fixture.db.commit().push(event) {
        Ok(_) => String::new(),
        Err(PushError::Schema { message }) => message,
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn without_a_schema_anything_goes() {
    let fixture = Fixture::new();
    assert_eq!(refusal(&fixture, &departed(&json!([1]))), "");
}

#[test]
fn an_event_that_the_schema_does_not_allow_is_refused_with_the_way_out() {
    let fixture = Fixture::new();
    fixture.db.apply_schema(FIRST).unwrap();
    let of = |payload: Value| refusal(&fixture, &departed(&payload));
    assert_eq!(of(json!({"port": "NLRTM"})), "");
    assert_eq!(of(json!({"port": "NLRTM", "carrier": null})), "");
    let cases = [
        (json!({"carrier": "x"}), "`shipment.departed.port` is missing"),
        (json!({"port": null}), "`shipment.departed.port` is missing"),
        (json!({"port": 7}), "`shipment.departed.port` is text, and 7 is none"),
        (json!({"port": "a", "prt": "b"}), "`shipment.departed` has no field `prt`"),
        (json!([1]), "is no object of JSON"),
    ];
    for (payload, expected) in cases {
        let told = of(payload.clone());
        assert!(told.contains(expected), "{payload}: {told}");
    }
    let bytes = |content_type: &str, payload: &[u8]| {
        refusal(&fixture, &departed(&json!({})).bytes(content_type, payload))
    };
    assert!(bytes("application/json", br#"{"port":"a","port":"b"}"#).contains("twice"));
    assert!(bytes("application/json", br#"{"port":"a"} x"#).contains("no object of JSON"));
    assert!(bytes("text/plain", b"a").contains("nothing can be checked"));
    assert!(bytes("application/cbor", &[0x81, 1]).contains("no map of CBOR"));
    assert!(bytes("application/cbor", b"\xa1\x64port\x61a").is_empty());
    let told = refusal(&fixture, &NewEvent::new("shipment", "1", "lost"));
    assert!(told.contains("no event `lost`") && told.contains("`booked`, `departed`"), "{told}");
    assert_eq!(refusal(&fixture, &NewEvent::new("truck", "1", "lost")), "", "no declared root");
}

#[test]
fn lax_roots_take_what_is_undeclared_and_check_what_is_declared() {
    let fixture = Fixture::new();
    fixture.db.apply_schema(&FIRST.replace("root shipment", "root shipment lax")).unwrap();
    assert_eq!(refusal(&fixture, &departed(&json!({"port": "a", "x": [1]}))), "");
    assert_eq!(refusal(&fixture, &NewEvent::new("shipment", "1", "lost")), "");
    assert!(refusal(&fixture, &departed(&json!({"port": 1}))).contains("is text"));
}

#[test]
fn a_commit_that_was_made_before_a_schema_does_not_slip_through() {
    let fixture = Fixture::new();
    let mut commit = fixture.db.commit();
    commit.push(&departed(&json!({"prt": 1}))).unwrap();
    let mut good = fixture.db.commit();
    good.push(&departed(&json!({"port": "a"}))).unwrap();
    fixture.db.apply_schema(FIRST).unwrap();
    for commit in [&mut commit, &mut good] {
        let error = fixture.db.append(commit).unwrap_err();
        assert!(matches!(error, AppendError::SchemaChanged), "{error}");
        assert!(fixture.db.append_now(commit).unwrap().is_none());
        commit.clear();
    }
    assert!(commit.push(&departed(&json!({"prt": 1}))).is_err());
    good.push(&departed(&json!({"port": "a"}))).unwrap();
    fixture.db.append(&mut good).unwrap().wait().unwrap();
}

#[test]
fn a_schema_of_before_the_last_opening_is_kept_to() {
    let mut fixture = Fixture::new();
    fixture.db.apply_schema(FIRST).unwrap();
    fixture.reopen_without_indexes();
    assert!(refusal(&fixture, &departed(&json!({}))).contains("is missing"));
}

#[test]
fn a_renamed_type_is_appended_by_its_stored_name() {
    let fixture = Fixture::new();
    fixture.db.apply_schema(FIRST).unwrap();
    fixture.db.apply_schema(&FIRST.replace("2 departed", "2 left")).unwrap();
    assert_eq!(refusal(&fixture, &departed(&json!({"port": "a"}))), "");
    let told = refusal(&fixture, &NewEvent::new("shipment", "1", "left"));
    assert!(told.contains("stored as `departed`"), "{told}");
}

#[test]
fn removed_types_and_fields_take_nothing_more_and_stay_readable() {
    let fixture = Fixture::new();
    fixture.db.apply_schema(FIRST).unwrap();
    fixture.append(&departed(&json!({"port": "a", "carrier": "b"})));
    let without = FIRST.replace("2 carrier: text?", "removed 2");
    fixture.db.apply_schema(&without).unwrap();
    let told = refusal(&fixture, &departed(&json!({"port": "a", "carrier": "b"})));
    assert!(told.contains("no field `carrier`"), "{told}");
    let removed = "root shipment { removed 1, 2 }";
    fixture.db.apply_schema(removed).unwrap();
    let told = refusal(&fixture, &departed(&json!({"port": "a"})));
    assert!(told.contains("was removed"), "{told}");
    let answer = fixture.db.query("?{key, carrier} :- shipment.departed{key, carrier}").run();
    let rows: Vec<(String, String)> = answer.unwrap().rows_as().unwrap();
    assert_eq!(rows, [("1".to_owned(), "b".to_owned())]);
    let error = fixture.db.query("?{key} :- shipment.departured{key}").run().unwrap_err();
    assert!(error.to_string().contains("no event `departured`"), "{error}");
}
