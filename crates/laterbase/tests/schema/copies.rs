//! Copies that change the schema while apart.

use laterbase::sync::{Session, SessionConfig, Status};
use laterbase::{Database, Options};

use crate::{FIRST, next_millisecond};

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

/// Two copies that share a first schema.
pub(crate) fn pair() -> (tempfile::TempDir, Database, Database) {
    let dir = tempfile::tempdir().unwrap();
    let here = Database::create(dir.path().join("here"), Options::default()).unwrap();
    let there =
        Database::create_joined(dir.path().join("there"), Options::default(), here.id()).unwrap();
    here.apply_schema(FIRST).unwrap();
    sync(&here, &there);
    assert_eq!(here.schema().unwrap(), there.schema().unwrap());
    (dir, here, there)
}

#[test]
fn changes_of_two_copies_come_together() {
    let (_dir, here, there) = pair();
    here.apply_schema(&FIRST.replace("carrier: text?", "haulier: text?")).unwrap();
    there.apply_schema(&format!("{FIRST}root truck {{ event 1 parked }}")).unwrap();
    sync(&here, &there);
    let schema = here.schema().unwrap();
    assert_eq!(schema, there.schema().unwrap());
    assert!(schema.text.contains("haulier") && schema.text.contains("parked"), "{}", schema.text);
    assert_eq!(schema.conflicts, []);
}

#[test]
fn a_conflict_is_reported_until_a_schema_is_applied() {
    let (_dir, here, there) = pair();
    let with = |event: &str| FIRST.replace("text? }\n", &format!("text? }}\n    {event}\n"));
    here.apply_schema(&with("event 3 arrived { 1 port: text }")).unwrap();
    next_millisecond();
    there.apply_schema(&with("event 3 lost { 1 reason: text? }")).unwrap();
    sync(&here, &there);
    let schema = here.schema().unwrap();
    assert_eq!(schema, there.schema().unwrap());
    assert_eq!(schema.conflicts.len(), 1, "{:?}", schema.conflicts);
    assert!(schema.text.contains("event 3 arrived"), "{}", schema.text);
    let settled = with("event 3 arrived { 1 port: text }\n    event 4 lost { 1 reason: text? }");
    assert_eq!(there.apply_schema(&settled).unwrap().settled, 1);
    sync(&here, &there);
    let schema = here.schema().unwrap();
    assert_eq!(schema.conflicts, []);
    assert!(schema.text.contains("event 4 lost"), "{}", schema.text);
}
