//! Events under a table's root that are no operations, as a foreign writer may have made them.

use laterbase::{EventDraft, NewEvent, PushError, Query, ReplicaId, RootName};
use laterbase_sync::MemoryReplica;

use crate::support::{at, bring};
use crate::{ask, declared};

#[test]
fn nobody_records_under_a_reserved_root() {
    let fixture = declared();
    for root in ["_table.1", "_table.99", "_sys", "_mine"] {
        let refused = fixture.db.commit().push(&NewEvent::new(root, "c1", "put"));
        let Err(error @ PushError::Reserved { .. }) = refused else { panic!("{refused:?}") };
        assert!(error.to_string().contains("`put` and `delete`"), "{error}");
        let draft = EventDraft::new("c1", "put");
        let refused = fixture.db.commit().push_draft(root, &draft);
        assert!(matches!(refused, Err(PushError::Reserved { .. })), "{refused:?}");
    }
}

fn cbor(value: &serde_json::Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).unwrap();
    bytes
}

/// A payload with keys that are numbers.
fn numbered(members: &[(i64, ciborium::Value)]) -> Vec<u8> {
    let members = members.iter().map(|(key, value)| ((*key).into(), value.clone())).collect();
    let mut bytes = Vec::new();
    ciborium::into_writer(&ciborium::Value::Map(members), &mut bytes).unwrap();
    bytes
}

#[test]
fn what_is_no_operation_does_nothing_and_harms_nothing() {
    let fixture = declared();
    let customers = fixture.db.table("customer").unwrap();
    let put = customers.put("c1").set("name", "Acme").add("points", 1).insert("tags", "cold");
    put.valid(at(0), None).run().unwrap();
    let before = customers.read().rows().unwrap();
    let operations = customers.history("c1").unwrap();
    let hash = fixture.db.schema().unwrap().hash;
    let row = format!("application/vnd.laterbase.row+cbor; schema={hash}");
    let unknown = "application/vnd.laterbase.row+cbor; schema=0123456789abcdef";
    let text = |text: &str| ciborium::Value::from(text);
    let life = |life: u64| ciborium::Value::from(life);
    let max = u64::MAX;
    let events: Vec<(&str, &str, Vec<u8>)> = vec![
        ("put", &row, Vec::new()),
        ("put", &row, b"no cbor".to_vec()),
        ("put", &row, vec![0xbf; 64]),
        ("put", &row, numbered(&[])),
        ("put", &row, numbered(&[(1, text("no life"))])),
        ("put", &row, numbered(&[(0, life(0)), (1, text("x"))])),
        ("put", &row, numbered(&[(0, life(2)), (1, text("even"))])),
        ("put", &row, numbered(&[(0, life(max)), (1, text("endless"))])),
        ("put", &row, numbered(&[(0, text("1"))])),
        ("put", &row, numbered(&[(0, life(1)), (-1, ciborium::Value::from(-9)), (1, text("x"))])),
        ("put", &row, numbered(&[(0, life(1)), (-1, text("soon")), (1, text("x"))])),
        ("delete", &row, numbered(&[(0, life(3))])),
        ("delete", &row, numbered(&[(0, life(max - 1))])),
        ("erase", &row, numbered(&[(0, life(2))])),
        ("put", "application/json", br#"{"0": 1, "1": "json"}"#.to_vec()),
        ("put", "application/cbor", cbor(&serde_json::json!({"0": 1, "name": "x"}))),
        ("delete", "application/vnd.laterbase.row+cbor", numbered(&[(0, life(2))])),
        ("delete", "application/vnd.laterbase.row+cbor; schema=xyz", numbered(&[(0, life(2))])),
    ];
    let mut other = MemoryReplica::new(fixture.db.id(), ReplicaId::from_u64(7));
    let root = RootName::try_from("_table.1").unwrap();
    let mut now_ms = 1_800_000_001_000;
    let mut record = |other: &mut MemoryReplica, type_name, content_type, payload: &[u8]| {
        now_ms += 1;
        let draft = EventDraft {
            content_type,
            payload,
            valid_at: Some(0),
            ..EventDraft::new("c1", type_name)
        };
        assert!(other.append(&root, now_ms, &[draft]));
    };
    for (type_name, content_type, payload) in &events {
        record(&mut other, type_name, content_type, payload);
    }
    bring(&other, &fixture.db);
    let stored = fixture.db.read(&Query::root(root)).unwrap().count();
    assert_eq!(stored, events.len() + 1, "all of it is kept");
    assert_eq!(customers.ignored().unwrap().len(), events.len(), "and told of");
    fixture.clock.advance_ms(60_000);
    let now = customers.read().rows().unwrap();
    assert_eq!(now[0].columns, before[0].columns);
    assert_eq!(customers.history("c1").unwrap(), operations);
    assert_eq!(ask(&fixture.db, "?{n: count()} :- customer.put{key: \"c1\"}"), [r#"{"n":1}"#]);

    // Of what is well-formed each cell counts that fits its column, and no other.
    let odd = numbered(&[
        (0, life(1)),
        (1, ciborium::Value::from(7)),
        (2, text("five")),
        (
            3,
            ciborium::Value::Map(vec![
                (1.into(), ciborium::Value::Array(vec![text("dry"), 9.into()])),
                (
                    2.into(),
                    ciborium::Value::Array(vec![ciborium::Value::Array(vec![
                        text("cold"),
                        ciborium::Value::Array(vec![
                            text("no id"),
                            0.into(),
                            ciborium::Value::from(max),
                        ]),
                    ])]),
                ),
            ]),
        ),
        (4, text("noted")),
        (99, text("no such column")),
    ]);
    record(&mut other, "put", &row, &odd);
    // Of a schema that is not here its life counts, and no column.
    record(&mut other, "put", unknown, &numbered(&[(0, life(1)), (1, text("unknown"))]));
    bring(&other, &fixture.db);
    fixture.clock.advance_ms(60_000);
    assert_eq!(
        ask(
            &fixture.db,
            "?{name, points, tags, note} :- customer{key: \"c1\", name, points, tags, note}"
        ),
        [r#"{"name":"Acme","note":"noted","points":1,"tags":["cold","dry"]}"#]
    );
    // It can be written on.
    customers.put("c1").set("name", "Acme Ltd").valid(at(0), None).run().unwrap();
    assert_eq!(ask(&fixture.db, "?{name} :- customer{name}"), [r#"{"name":"Acme Ltd"}"#]);
}
