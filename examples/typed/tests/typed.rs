//! What types of a schema write, they read again, and questions answer it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::collections::BTreeSet;

use laterbase::ask::Value;
use laterbase::typed::{Bytes, Date, Decimal, Float, Period, Span, TypedError};
use laterbase::{Database, NewEvent, Options, Query, Recorded, Timestamp};
use laterbase_example_typed::schema::sensor::Measured;
use laterbase_example_typed::schema::shipment::{Booked, Closed, Departed};
use laterbase_example_typed::schema::{self, Customer, CustomerPut};

fn database() -> (tempfile::TempDir, Database) {
    let dir = tempfile::tempdir().unwrap();
    let db = Database::create(dir.path(), Options::default()).unwrap();
    db.apply_schema(schema::SCHEMA).unwrap();
    (dir, db)
}

fn append(db: &Database, events: &[NewEvent]) -> Vec<Recorded> {
    let mut commit = db.commit();
    for event in events {
        commit.push(event).unwrap();
    }
    db.append(&mut commit).unwrap().wait().unwrap();
    db.read(&Query::all()).unwrap().map(Result::unwrap).collect()
}

fn measured() -> Measured {
    let time = Timestamp::from_micros;
    Measured {
        taken: time(1_772_366_400_000_001),
        day: Some(Date(20_000)),
        took: Span(-90_000_001),
        follows: "01JCZ6V9QYKX3M8T2B4N5P7R6S".parse().ok(),
        raw: Bytes(vec![0, 255]),
        is_ok: true,
        celsius: vec![0.1, f64::INFINITY, -3.0],
        seals: BTreeSet::from(["b\"".to_owned(), "a".to_owned()]),
        planned: Some(Period { from: Some(time(1)), until: None }),
        details: Some(Value::record(vec![("n".into(), Value::Int(i64::MAX))])),
        limits: BTreeSet::from([Float(2.5), Float(f64::NEG_INFINITY)]),
        r#type: "probe".to_owned(),
    }
}

#[test]
fn values_of_every_type_come_back_as_they_were() {
    let (_dir, db) = database();
    let all = measured();
    let none = Measured { day: None, follows: None, planned: None, details: None, ..measured() };
    let recorded = append(&db, &[all.to_event("s1"), none.to_event("s2")]);
    let read: Vec<Measured> =
        recorded.iter().map(|event| Measured::from_event(event).unwrap()).collect();
    assert_eq!(read, [all.clone(), none.clone()]);
    let rows = Measured::read(&db).unwrap();
    assert_eq!(rows.iter().map(|row| row.key.as_str()).collect::<Vec<_>>(), ["s1", "s2"]);
    let ids: Vec<_> = recorded.iter().map(Recorded::id).collect();
    assert_eq!(rows.iter().map(|row| row.id).collect::<Vec<_>>(), ids);
    assert_eq!(rows.into_iter().map(|row| row.fields).collect::<Vec<_>>(), [all, none]);
}

#[test]
fn a_decimal_keeps_all_of_its_digits() {
    let (_dir, db) = database();
    let weight_kg: Decimal = "12345678901234567890.12345678".parse().unwrap();
    let booked = Booked { customer: "c1".to_owned(), weight_kg, pieces: i64::MIN };
    append(&db, &[booked.to_event("4711")]);
    let rows = Booked::read(&db).unwrap();
    assert_eq!(rows[0].fields, booked);
    // A question of one's own is read by the same types.
    let text = "?{customer, weight_kg, pieces} :- shipment.booked{customer, weight_kg, pieces}";
    let own: Vec<Booked> = db.query(text).run().unwrap().rows_as().unwrap();
    assert_eq!(own, [booked]);
}

#[test]
fn an_event_that_another_program_wrote_by_name_reads_with_its_defaults() {
    let (_dir, db) = database();
    let json = br#"{"customer": "c1", "weight_kg": 2.50}"#.as_slice();
    let event = NewEvent::new("shipment", "1", "booked").bytes("application/json", json);
    let recorded = append(&db, &[event]);
    let expected =
        Booked { customer: "c1".to_owned(), weight_kg: "2.5".parse().unwrap(), pieces: 1 };
    assert_eq!(Booked::from_event(&recorded[0]).unwrap(), expected);
    assert_eq!(Booked::read(&db).unwrap()[0].fields, expected);
}

#[test]
fn an_event_of_another_type_or_schema_is_not_misread() {
    let (_dir, db) = database();
    let recorded = append(&db, &[Closed {}.to_event("1")]);
    assert_eq!(Closed::from_event(&recorded[0]), Ok(Closed {}));
    let error = Departed::from_event(&recorded[0]).unwrap_err();
    assert!(error.to_string().contains("this is a `shipment.closed`"), "{error}");
    // The next version of the program has another schema.
    db.apply_schema(&schema::SCHEMA.replace("2 carrier: text?", "2 truck: text?")).unwrap();
    let hash = db.schema().unwrap().hash.to_string();
    let fields = [(1, Value::text("NLRTM")), (2, Value::text("7"))];
    let event = laterbase::typed::event(&hash, "shipment", Departed::TYPE, "2", &fields);
    let recorded = append(&db, &[event]);
    let error = Departed::from_event(&recorded[1]).unwrap_err();
    assert!(matches!(error, TypedError::OtherSchema { .. }), "{error}");
}

#[test]
fn a_put_names_its_columns_and_reads_as_laterlog() {
    let put = CustomerPut::new("c1").name("Acme").points(5).tags_insert("cold").note_absent();
    let statement = put.statement();
    assert_eq!(
        statement.text,
        "put customer{key: $key, name: $p1, note: $p2, points: +$p3, tags: +$p4}"
    );
}

#[test]
fn what_is_put_into_a_row_is_read_from_it() {
    let (_dir, db) = database();
    assert_eq!(Customer::read(&db).unwrap(), []);
    let credit: Decimal = "-0.125".parse().unwrap();
    let put = CustomerPut::new("c1").name("Acme \"$key\"").points(5).credit(credit).note("late");
    put.tags_insert("cold").tags_insert("dry").run(&db).unwrap();
    CustomerPut::new("c1").points(-2).tags_remove("dry").note_absent().run(&db).unwrap();
    CustomerPut::new("c1").tags_insert("fast").tags_remove("cold").run(&db).unwrap();
    CustomerPut::new("c2").name("New").tags(BTreeSet::from(["new".to_owned()])).run(&db).unwrap();
    let first = Customer {
        key: "c1".to_owned(),
        name: Some("Acme \"$key\"".to_owned()),
        region: "EU".to_owned(),
        points: 3,
        tags: BTreeSet::from(["fast".to_owned()]),
        note: None,
        credit: Some(credit),
    };
    // A row is not put without a column that must be there.
    assert!(CustomerPut::new("c4").points(1).run(&db).is_err());
    let second = Customer {
        key: "c2".to_owned(),
        name: Some("New".to_owned()),
        points: 0,
        tags: BTreeSet::from(["new".to_owned()]),
        credit: None,
        ..first.clone()
    };
    assert_eq!(Customer::read(&db).unwrap(), [first, second]);
    // Only from a moment on: before it there is no row.
    let then = Timestamp::from_micros(1_772_366_400_000_000);
    CustomerPut::new("c3").name("Old").valid_from(then).run(&db).unwrap();
    let names: Vec<(Option<String>,)> = db
        .query("?{name} :- customer{key: \"c3\", name} valid 2026-03-01")
        .run()
        .unwrap()
        .rows_as()
        .unwrap();
    assert_eq!(names, []);
    assert_eq!(Customer::read(&db).unwrap().len(), 3);
}
