//! What is applied, and what is refused.

use laterbase::SchemaHash;

use crate::FIRST;
use crate::support::Fixture;

#[test]
fn a_schema_that_was_applied_is_read_back() {
    let mut fixture = Fixture::new();
    assert!(fixture.db.schema().unwrap().text.is_empty());
    let change = fixture.db.apply_schema(FIRST).unwrap();
    assert_eq!(change.changes.len(), 3, "{:?}", change.changes);
    for _ in 0..2 {
        let schema = fixture.db.schema().unwrap();
        assert_eq!((&*schema.text, schema.hash), (FIRST, SchemaHash::of(FIRST)));
        assert_eq!(schema.history.len(), 1);
        assert_eq!(Some(schema.history[0].event), change.event);
        fixture.reopen();
    }
}

#[test]
fn the_same_schema_again_records_nothing() {
    let fixture = Fixture::new();
    fixture.db.apply_schema(FIRST).unwrap();
    let again = format!("// another layout\n{}", FIRST.replace("    ", " "));
    let change = fixture.db.apply_schema(&again).unwrap();
    assert_eq!((change.event, change.changes.len()), (None, 0));
    assert_eq!(fixture.db.schema().unwrap().history.len(), 1);
}

#[test]
fn what_may_not_change_is_refused_where_it_stands() {
    let fixture = Fixture::new();
    fixture.db.apply_schema(FIRST).unwrap();
    let error = fixture.db.apply_schema(&FIRST.replace("port: text", "port: int")).unwrap_err();
    let told = error.render("fleet.laterlog");
    assert!(told.contains("fleet.laterlog:3:24"), "{told}");
    assert!(told.contains("`shipment.departed.port` has the number 1"), "{told}");
    assert_eq!(fixture.db.schema().unwrap().history.len(), 1);
}
