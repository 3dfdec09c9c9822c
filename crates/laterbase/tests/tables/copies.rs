//! Copies that write one row while apart.

use laterbase::ask::Value;
use laterbase::sync::{Session, SessionConfig, Status};
use laterbase::{Database, Options, Table, TimeRange};

use crate::SCHEMA;
use crate::support::{TestEnvironment, at, storage};

/// Syncs two copies once.
pub(crate) fn sync(here: &Database, there: &Database) {
    let (mut client, mut server) = (here.sync_port().unwrap(), there.sync_port().unwrap());
    let mut asks = Session::initiator(SessionConfig::default(), None);
    let mut answers = Session::responder(SessionConfig::default());
    while asks.status() == Status::Running {
        while let Some(frame) = asks.poll_frame(0, &mut client) {
            answers.handle_frame(&frame, 0, &mut server);
        }
        while let Some(frame) = answers.poll_frame(0, &mut server) {
            asks.handle_frame(&frame, 0, &mut client);
        }
    }
}

/// Two copies that share a schema, and their folders. The clock of the second one is behind.
pub(crate) fn pair() -> ([tempfile::TempDir; 2], Database, Database) {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let clock = TestEnvironment::at_ms(1_800_000_000_000);
    let here = Database::create_on(storage(&dirs[0]), clock, Options::small_device()).unwrap();
    let clock = TestEnvironment::seeded(1_799_999_999_000, 9);
    let there =
        Database::create_joined_on(storage(&dirs[1]), clock, Options::small_device(), here.id());
    let there = there.unwrap();
    here.apply_schema(SCHEMA).unwrap();
    sync(&here, &there);
    (dirs, here, there)
}

fn rows(table: &Table<'_>) -> Vec<laterbase::TableRow> {
    table.read().valid_in(TimeRange::default()).rows().unwrap()
}

#[test]
fn concurrent_writes_are_merged_column_by_column() {
    let (_dirs, here, there) = pair();
    let (ours, theirs) = (here.table("customer").unwrap(), there.table("customer").unwrap());
    let always = |put: laterbase::PutRow<'_, '_>| put.valid(at(0), None).run().unwrap();
    always(ours.put("c1").set("name", "Acme").add("points", 10).insert("tags", "cold"));
    sync(&here, &there);
    always(ours.put("c1").set("note", "ours").add("points", 5).remove("tags", "cold"));
    always(theirs.put("c1").set("name", "Acme Ltd").add("points", -3).insert("tags", "cold"));
    sync(&here, &there);
    assert_eq!(rows(&ours), rows(&theirs));
    let row = ours.row("c1").unwrap().unwrap();
    let text = |name: &str| row.get(name).and_then(Value::as_text).map(str::to_owned);
    assert_eq!(text("name").as_deref(), Some("Acme Ltd"));
    assert_eq!(text("note").as_deref(), Some("ours"));
    assert_eq!(row.get("points"), Some(&Value::Int(12)));
    let cold = Value::set(vec![Value::text("cold")]);
    assert_eq!(row.get("tags"), Some(&cold), "added again where the removal was not known");
}

#[test]
fn a_delete_wins_over_what_it_has_not_seen_and_a_new_life_over_both() {
    let (_dirs, here, there) = pair();
    let (ours, theirs) = (here.table("customer").unwrap(), there.table("customer").unwrap());
    let put = |table: &Table<'_>, name: &str| {
        table.put("c1").set("name", name).add("points", 1).valid(at(0), None).run().unwrap();
    };
    put(&ours, "Acme");
    sync(&here, &there);
    ours.delete("c1").valid(at(0), None).run().unwrap();
    put(&theirs, "late");
    sync(&here, &there);
    assert_eq!((rows(&ours), rows(&theirs)), (Vec::new(), Vec::new()));
    put(&theirs, "new");
    sync(&here, &there);
    let row = ours.row("c1").unwrap().unwrap();
    assert_eq!(row.get("points"), Some(&Value::Int(1)));
    assert_eq!(row.get("name"), Some(&Value::text("new")));
    assert_eq!(rows(&ours), rows(&theirs));
}

#[test]
fn a_renamed_column_and_a_renamed_table_keep_what_was_put() {
    let (_dirs, here, there) = pair();
    let theirs = there.table("customer").unwrap();
    theirs.put("c1").set("name", "Acme").add("points", 2).run().unwrap();
    let renamed = SCHEMA.replace("1 name", "1 title").replace("table 1 customer", "table 1 client");
    here.apply_schema(&renamed).unwrap();
    // By the schema that this copy still has.
    theirs.put("c1").set("name", "Acme Ltd").add("points", 2).run().unwrap();
    sync(&here, &there);
    for db in [&here, &there] {
        let row = db.table("client").unwrap().row("c1").unwrap().unwrap();
        assert_eq!(row.get("title"), Some(&Value::text("Acme Ltd")));
        assert_eq!(row.get("points"), Some(&Value::Int(4)));
    }
}

#[test]
fn a_number_that_two_copies_gave_two_tables_is_one_table_and_leaves_the_other_out() {
    let (_dirs, here, there) = pair();
    let with = |table: &str| format!("{SCHEMA}{table}\n");
    here.apply_schema(&with("table 7 truck { 1 plate: text }")).unwrap();
    there.apply_schema(&with("table 7 depot { 1 city: text }")).unwrap();
    here.table("truck").unwrap().put("t1").set("plate", "A-1").run().unwrap();
    there.table("depot").unwrap().put("d1").set("city", "Lyon").run().unwrap();
    sync(&here, &there);
    let kept = here.schema().unwrap().schema.tables[&7].name.clone();
    let key = if kept.as_ref() == "truck" { "t1" } else { "d1" };
    for db in [&here, &there] {
        let rows = db.table(&kept).unwrap().read().rows().unwrap();
        let keys: Vec<&str> = rows.iter().map(|row| row.key.as_str()).collect();
        assert_eq!(keys, [key]);
    }
}

#[test]
fn a_table_that_was_asked_for_before_a_schema_changed_reads_what_was_put_since() {
    let (_dirs, here, _there) = pair();
    let before = here.table("customer").unwrap();
    before.put("c1").set("name", "A").valid(at(0), None).run().unwrap();
    let changed = SCHEMA.replace("1 name: text", "1 title: text\n    6 vat: text?");
    here.apply_schema(&changed).unwrap();
    let after = here.table("customer").unwrap();
    after.put("c1").set("title", "B").set("vat", "1").valid(at(0), None).run().unwrap();
    assert_eq!(before.row("c1").unwrap().unwrap().get("name"), Some(&Value::text("B")));
    before.put("c1").set("name", "C").valid(at(0), None).run().unwrap();
    let row = after.row("c1").unwrap().unwrap();
    assert_eq!(row.get("title"), Some(&Value::text("C")));
    assert_eq!(row.get("vat"), Some(&Value::text("1")));
    assert_eq!(before.history("c1").unwrap().len(), 3);
}
