//! What the first version wrote, byte by byte: every later one must read it.

use laterbase::ask::Value;
use laterbase::{EventDraft, NewEvent, Query, SchemaHash};
use serde_json::json;

use crate::support::{Fixture, bring_events};

const APPLIED: &str = include_str!("../fixtures/schema-v1/applied.json");
const EVENT: &str = include_str!("../fixtures/schema-v1/event.hex");
const BY_HASH: &str = "application/vnd.laterbase.event+cbor; schema=";

fn schema() -> String {
    let applied: serde_json::Value = serde_json::from_str(APPLIED).unwrap();
    applied["text"].as_str().unwrap().to_owned()
}

fn bytes() -> Vec<u8> {
    let digits: String = EVENT.split_whitespace().collect();
    let pair = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
    (0..digits.len()).step_by(2).map(pair).collect()
}

/// The fields of the event, as a question answers them.
fn fields() -> Vec<(&'static str, Value)> {
    vec![
        ("port", "NLRTM".into()),
        ("weight_kg", Value::decimal("-12.5".parse().unwrap())),
        ("sealed", true.into()),
        ("arrives", Value::Time(1_772_366_400_000_000)),
        ("stays", Value::Duration(5_400_000_000)),
        ("day", Value::Date(20_513)),
        ("follows", Value::Id("01JCZ6V9QYKX3M8T2B4N5P7R6S".parse().unwrap())),
        ("stops", Value::List([Value::Int(2), Value::Int(-1)].into())),
        ("marks", Value::set(vec!["b".into(), "a".into()])),
        ("open", Value::Period(None, Some(0))),
        ("seal", Value::Bytes([0, 255].into())),
        ("share", Value::Float(0.1)),
        ("more", Value::record(vec![("k".into(), Value::decimal("1.5".parse().unwrap()))])),
    ]
}

#[test]
fn what_the_first_version_wrote_is_read() {
    let fixture = Fixture::new();
    let payload = APPLIED.trim().as_bytes();
    let applied = EventDraft {
        content_type: "application/json",
        payload,
        ..EventDraft::new("schema", "schema")
    };
    bring_events(&fixture, "_sys", &[applied]);
    assert_eq!(*fixture.db.schema().unwrap().text, *schema());
    let hash = SchemaHash::of(&schema());
    assert_eq!(hash.to_string(), "57e0693af805a03f");
    let event =
        NewEvent::new("shipment", "1", "departed").bytes(format!("{BY_HASH}{hash}"), bytes());
    fixture.append(&event);
    let names: Vec<&str> = fields().iter().map(|(name, _)| *name).collect();
    let names = names.join(", ");
    let answer = fixture.db.query(format!("?{{{names}}} :- shipment.departed{{{names}}}")).run();
    let answer = answer.unwrap();
    let row = answer.rows.iter().next().unwrap().values().to_vec();
    let expected: Vec<Value> = fields().into_iter().map(|(_, value)| value).collect();
    assert_eq!(row, expected);
}

#[test]
fn this_version_writes_the_same_bytes() {
    let fixture = Fixture::new();
    fixture.db.apply_schema(&schema()).unwrap();
    let event = fixture.db.declared_event("shipment", "1", "departed", &fields()).unwrap();
    fixture.append(&event);
    let hex: String = event.payload.iter().map(|byte| format!("{byte:02x}")).collect();
    let expected: String = EVENT.split_whitespace().collect();
    assert_eq!(hex, expected);
    let all = fixture.db.read(&Query::root("_sys".try_into().unwrap())).unwrap();
    let recorded: Vec<serde_json::Value> = all.map(|it| it.unwrap().json().unwrap()).collect();
    assert_eq!(recorded, [serde_json::from_str::<serde_json::Value>(APPLIED).unwrap()]);
    assert_eq!(recorded[0]["base"], json!(""));
}
