//! Who did what to a row, and when.

use laterbase::ask::AskFault;
use laterbase::ask::Value;

use crate::support::at;
use crate::{ask, declared};

#[test]
fn operations_are_rows_with_what_they_did() {
    let fixture = declared();
    let customers = fixture.db.table("customer").unwrap();
    let put = customers.put("c1").set("name", "Acme").add("points", 5).insert("tags", "cold");
    put.valid(at(100), None).run().unwrap();
    fixture.clock.advance_ms(1);
    let put = customers.put("c1").remove("tags", "cold").set("note", Value::Null);
    let put = put.valid(at(100), Some(at(200))).run().unwrap();
    fixture.clock.advance_ms(1);
    customers.delete("c1").valid(at(300), None).run().unwrap();
    assert_eq!(
        ask(
            &fixture.db,
            "?{id, life, name, points, tags, changed} :- customer.put{id, key: \"c1\", life, name, \
             points, tags, changed}"
        )
        .iter()
        .map(|row| row.split_once("\"life\"").unwrap().1.to_owned())
        .collect::<Vec<_>>(),
        [
            r#":1,"name":"Acme","points":5,"tags":{"added":["cold"],"removed":[]}}"#,
            r#":1,"name":null,"points":null,"tags":{"added":[],"removed":["cold"]}}"#,
        ]
    );
    assert_eq!(
        ask(&fixture.db, "?{at, until, changed} :- customer.put{at, until, changed}, until > at"),
        [
            r#"{"at":"1970-01-01T00:01:40Z","changed":["note","tags"],"until":"1970-01-01T00:03:20Z"}"#
        ]
    );
    let origin = fixture.db.replica().to_string();
    assert_eq!(
        ask(&fixture.db, "?{key, at, origin, life} :- customer.delete{key, at, origin, life}"),
        [format!(r#"{{"at":"1970-01-01T00:05:00Z","key":"c1","life":2,"origin":"{origin}"}}"#)]
    );
    // A key of the table joins, and the change behind what a row is now is found by time.
    assert_eq!(
        ask(
            &fixture.db,
            "?{key, puts: count()} :- (customer{key} valid 1970-01-01T00:02Z), customer.put{key}"
        ),
        [r#"{"key":"c1","puts":2}"#]
    );
    let history = customers.history("c1").unwrap();
    assert_eq!(history.len(), 3);
    assert_eq!((history[1].id, history[1].until), (put.id(0).unwrap(), Some(at(200))));
    assert!(history[2].is_delete && history[2].columns.is_empty());
}

#[test]
fn what_is_no_operation_is_named() {
    let fixture = declared();
    let told = |text: &str| fixture.db.query(text).run().unwrap_err().render("query");
    let wrong = told("?{key} :- customer.puts{key}");
    assert!(wrong.contains("`customer` is a table and has no `puts`"), "{wrong}");
    assert!(wrong.contains("customer.put{…}"), "{wrong}");
    let wrong = told("?{name} :- customer.delete{name}");
    assert!(wrong.contains("`customer.delete` has no field `name`"), "{wrong}");
}

#[test]
fn rows_and_their_history_need_the_root_of_the_table() {
    let fixture = declared();
    fixture.db.table("customer").unwrap().put("c1").set("name", "Acme").run().unwrap();
    let texts = [
        "?{key} :- customer{key}",
        "?{key} :- customer.put{key}",
        "?{key} :- customer.delete{key}",
        "?{key} :- `_table.1`.put{key}",
    ];
    for text in texts {
        let allows = |root: Option<&str>| root == Some("_table.1");
        assert!(fixture.db.query(text).allow(&allows).run().is_ok(), "{text}");
        for other in ["_table.2", "customer", "_sys"] {
            let allows = |root: Option<&str>| root == Some(other);
            let refused = fixture.db.query(text).allow(&allows).run().unwrap_err();
            let is_refused = matches!(refused.fault, AskFault::Forbidden | AskFault::Mistakes(_));
            assert!(is_refused, "{text}: {refused}");
        }
    }
}
