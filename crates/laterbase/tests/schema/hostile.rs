//! What nobody in their right mind sends: schemas and payloads that try to break something.

use laterbase::{EventDraft, NewEvent, PushError, Query};

use crate::FIRST;
use crate::support::{Fixture, bring_events};

const BY_HASH: &str = "application/vnd.laterbase.event+cbor; schema=";

/// What is said against a payload that claims to be written by the schema.
fn told(fixture: &Fixture, payload: &[u8]) -> String {
    let hash = fixture.db.schema().unwrap().hash;
    let event =
        NewEvent::new("shipment", "1", "departed").bytes(format!("{BY_HASH}{hash}"), payload);
    match fixture.db.commit().push(&event) {
        Ok(_) => String::new(),
        Err(PushError::Schema { message }) => message,
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn texts_that_are_no_schema_are_refused_and_nothing_is_recorded() {
    let fixture = Fixture::new();
    let deep = format!("root r {{ event 1 e {{ 1 x: {} int }} }}", "list ".repeat(100_000));
    let long = "root r { event 1 e }\n".repeat(500_000);
    let many = "root `".repeat(10_000);
    for text in [&deep, &long, &many, "?{a} :- b{a}", "root _sys {}", "\0", "root r {"] {
        assert!(fixture.db.apply_schema(text).is_err());
    }
    assert!(fixture.db.schema().unwrap().history.is_empty());
}

#[test]
fn payloads_that_claim_to_be_declared_are_looked_at() {
    let fixture = Fixture::new();
    fixture.db.apply_schema(FIRST).unwrap();
    assert_eq!(told(&fixture, b"\xa1\x01\x61a"), "");
    assert_eq!(told(&fixture, b"\xa2\x01\x61a\x02\x61b"), "");
    let mut bomb = vec![0x81; 100_000];
    bomb.push(0);
    let mut nested = b"\xa1\x01".to_vec();
    nested.extend(std::iter::repeat_n(0x81, 200));
    nested.push(0);
    let broken: [(&str, &[u8]); 12] = [
        ("no map", b"\x01"),
        ("bytes behind the map", b"\xa1\x01\x61a\x00"),
        ("no UTF-8", b"\xa1\x01\x61\xff"),
        ("cut off", b"\xa1\x01\x65a"),
        ("the same key twice", b"\xa2\x01\x61a\x01\x61b"),
        ("keys out of order", b"\xa2\x02\x61b\x01\x61a"),
        ("a number written longer than it is", b"\xa1\x18\x01\x61a"),
        ("a text of no known length", b"\xa1\x01\x7f\x61a\xff"),
        ("a length that is not there", b"\xbb\xff\xff\xff\xff\xff\xff\xff\xff"),
        ("a key that is no name", b"\xa2\x01\x61a\xf6\x61b"),
        ("arrays in arrays", &bomb),
        ("arrays in a field", &nested),
    ];
    for (what, payload) in broken {
        assert!(told(&fixture, payload).contains("no CBOR in its one form"), "{what}");
    }
    assert!(told(&fixture, b"\xa1\x01\x07").contains("is text, and 7 is none"));
    assert!(told(&fixture, b"\xa2\x01\x61a\x09\x61b").contains("no field 9"));
    assert!(told(&fixture, b"\xa2\x01\x61a\x61x\x61b").contains("no field `x`"));
    assert!(told(&fixture, b"\xa1\x02\x61b").contains("`shipment.departed.port` is missing"));
}

#[test]
fn a_schema_that_nobody_knows_is_refused_at_append_and_harmless_when_read() {
    let fixture = Fixture::new();
    let unknown = format!("{BY_HASH}0123456789abcdef");
    let event = NewEvent::new("shipment", "1", "departed").bytes(unknown, &b"\xa1\x01\x61a"[..]);
    // As it comes by sync, which holds nothing against it: here there is no schema yet.
    fixture.append(&event);
    fixture.append(&event.clone().bytes(format!("{BY_HASH}0123456789abcdef"), &b"\xff"[..]));
    fixture.db.apply_schema(FIRST).unwrap();
    assert!(matches!(fixture.db.commit().push(&event), Err(PushError::Schema { .. })));
    let text = "?{port, payload} :- shipment.departed{port, payload}";
    let answer = fixture.db.query(text).run().unwrap();
    let rows: Vec<serde_json::Value> = answer.rows_as().unwrap();
    assert_eq!(rows[1], serde_json::json!({"port": null, "payload": {"1": "a"}}));
    let all: Vec<_> =
        fixture.db.read(&Query::root("shipment".try_into().unwrap())).unwrap().collect();
    assert_eq!(all.len(), 2);
}

#[test]
fn events_of_schemas_that_cannot_be_read_are_named_and_left_out() {
    let fixture = Fixture::new();
    fixture.db.apply_schema(FIRST).unwrap();
    let payloads = [
        "",
        "{}",
        "[]",
        r#"{"version":2,"text":"","base":""}"#,
        r#"{"version":1,"text":"root r {","base":""}"#,
        r#"{"version":1,"text":7,"base":""}"#,
        r#"{"version":1,"text":"","base":"","settles":["x"]}"#,
    ];
    let event = |payload: &'static str| EventDraft {
        content_type: "application/json",
        payload: payload.as_bytes(),
        ..EventDraft::new("schema", "schema")
    };
    bring_events(&fixture, "_sys", &payloads.map(event));
    let schema = fixture.db.schema().unwrap();
    assert_eq!((schema.unreadable.len(), schema.history.len()), (payloads.len(), 1));
    assert_eq!(&*schema.text, FIRST);
}
