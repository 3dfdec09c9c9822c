//! Copies, backups and readers beside a writer: no event lost, none renumbered, no id used twice.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod support;

use std::path::Path;
use std::sync::Arc;

use laterbase::storage::{FileStorage, Storage};
use laterbase::{
    BackupError, Database, Durability, NewEvent, OpenError, Options, Order, Query, Reincarnation,
};
use support::{Fixture, TestEnvironment, event, options, tag};

fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn open(dir: &Path) -> Database {
    Database::open(dir, options()).unwrap()
}

fn ids(db: &Database) -> Vec<laterbase::EventId> {
    let query = Query::all().order(Order::Arrival);
    db.read(&query).unwrap().map(|event| event.unwrap().event.id).collect()
}

fn append(db: &Database, type_name: &str) -> laterbase::EventId {
    let mut commit = db.commit();
    commit.push(&event(type_name).tag(tag("truck:7"))).unwrap();
    db.append(&mut commit).unwrap().wait().unwrap().id(0).unwrap()
}

#[test]
fn a_copied_directory_becomes_another_replica() {
    let dir = tempfile::tempdir().unwrap();
    let (original, copied) = (dir.path().join("a"), dir.path().join("b"));
    let db = Database::create(&original, options()).unwrap();
    let before = [append(&db, "one"), append(&db, "two")];
    db.close().unwrap();
    copy_dir(&original, &copied);
    let (db, copy) = (open(&original), open(&copied));
    assert_eq!(db.opened().reincarnation, None);
    let (reason, former) = copy.opened().reincarnation.unwrap();
    assert_eq!((reason, former), (Reincarnation::Copied, db.replica()));
    assert_ne!(db.replica(), copy.replica());
    assert_eq!(db.id(), copy.id());
    let here = append(&db, "here");
    let there = append(&copy, "there");
    assert_eq!(ids(&db), [before.as_slice(), &[here]].concat());
    assert_eq!(ids(&copy), [before.as_slice(), &[there]].concat());
    let seq = |db: &Database, id| db.get(id).unwrap().unwrap().event.seq;
    assert_eq!((seq(&db, here), seq(&copy, there)), (3, 1), "a log of its own");
    copy.close().unwrap();
    let copy = open(&copied);
    assert_eq!(copy.opened().reincarnation, None, "once is enough");
    assert!(copy.verify(&mut |_| {}).unwrap().is_sound());
}

#[test]
fn a_database_that_ran_in_the_future_takes_a_new_id() {
    let dir = tempfile::tempdir().unwrap();
    let storage = || -> Arc<dyn Storage> { Arc::new(FileStorage::open(dir.path()).unwrap()) };
    let in_2090 = TestEnvironment::at_ms(3_786_912_000_000);
    let db = Database::create_on(storage(), in_2090, options()).unwrap();
    let late = append(&db, "late");
    let former = db.replica();
    db.close().unwrap();
    let now = TestEnvironment::at_ms(1_800_000_000_000);
    // Other random numbers than those that made the first id.
    now.advance_ms(0);
    let db = Database::open_on(storage(), now, options()).unwrap();
    assert_eq!(db.opened().reincarnation, Some((Reincarnation::ClockAhead, former)));
    let early = append(&db, "early");
    assert!(early < late, "it did not stay in 2090");
    assert_eq!(ids(&db), [late, early], "in the order of arrival");
}

#[test]
fn a_second_writer_is_refused_and_told_who_has_it() {
    let fixture = Fixture::new();
    let error = Database::open(fixture.dir.path(), options()).unwrap_err();
    let OpenError::Locked { holder, url } = &error else { panic!("{error}") };
    assert!(holder.contains(&std::process::id().to_string()), "{holder}");
    assert_eq!(*url, None);
    for published in ["http://127.0.0.1:7410/db/yard", "http://127.0.0.1:1", &"x".repeat(401)] {
        fixture.db.publish_address(published).unwrap();
        let error = Database::open(fixture.dir.path(), options()).unwrap_err();
        let OpenError::Locked { holder, url } = &error else { panic!("{error}") };
        assert_eq!(*holder, format!("pid {}", std::process::id()));
        let kept = if published.len() > 400 { "http://127.0.0.1:1" } else { published };
        assert_eq!(url.as_deref(), Some(kept));
    }
}

#[test]
fn a_reader_beside_the_writer_sees_what_is_flushed() {
    let fixture = Fixture::new();
    let first = fixture.append(&event("one")).id(0).unwrap();
    let reader = Database::open_read_only(fixture.dir.path(), options()).unwrap();
    assert!(reader.is_read_only());
    assert_eq!(ids(&reader), [first]);
    fixture.append_with(&event("relaxed"), Durability::Relaxed);
    reader.refresh().unwrap();
    assert_eq!(ids(&reader), [first], "not flushed yet");
    for index in 0..2_000 {
        let event = event("more").tag(tag(&format!("truck:{}", index % 5)));
        fixture.append_with(&event, Durability::Relaxed);
    }
    fixture.db.flush().unwrap();
    reader.refresh().unwrap();
    assert_eq!(ids(&reader), ids(&fixture.db));
    let tagged = Query::tag(tag("truck:3"));
    let of = |db: &Database| db.read(&tagged).unwrap().count();
    assert_eq!(of(&reader), of(&fixture.db));
    assert_eq!(reader.version_vector().unwrap(), fixture.db.version_vector().unwrap());
    let mut commit = reader.commit();
    commit.push(&event("no")).unwrap();
    assert!(reader.append(&mut commit).is_err());
}

#[test]
fn version_vector_of_a_reader_is_the_writers() {
    let fixture = Fixture::new();
    fixture.append(&event("one"));
    let reader = Database::open_read_only(fixture.dir.path(), options()).unwrap();
    // Some segments, which are sealed meanwhile.
    for round in 0..4_usize {
        for index in 0..300 {
            let root = ["shipment", "truck", "site"][(round + index) % 3];
            let event = NewEvent::new(root, "1", "moved")
                .bytes("application/octet-stream", vec![index as u8; 8_000]);
            fixture.append_with(&event, Durability::Relaxed);
        }
        fixture.db.flush().unwrap();
        reader.refresh().unwrap();
        assert_eq!(reader.version_vector().unwrap(), fixture.db.version_vector().unwrap());
        let opened = open_read_only(&fixture);
        assert_eq!(opened.version_vector().unwrap(), fixture.db.version_vector().unwrap());
        let vector = reader.version_vector().unwrap();
        fixture.append(&event("later"));
        reader.refresh().unwrap();
        let unknown = reader.read(&Query::all().unknown_to(vector)).unwrap();
        let types: Vec<_> = unknown.map(|event| event.unwrap().event.type_name).collect();
        assert_eq!(types.len(), 1, "{types:?}");
    }
    fixture.db.clone().close().unwrap();
    let held = fixture.db.version_vector().unwrap();
    assert_eq!(open_read_only(&fixture).version_vector().unwrap(), held, "after closing, too");
    assert_eq!(held.iter().map(|(_, _, seq)| seq).sum::<u64>(), 1_205);
}

fn open_read_only(fixture: &Fixture) -> Database {
    Database::open_read_only(fixture.dir.path(), options()).unwrap()
}

#[test]
fn a_reader_without_a_writer_sees_everything() {
    let fixture = Fixture::new();
    let id = fixture.append(&event("one")).id(0).unwrap();
    fixture.db.clone().close().unwrap();
    let reader = Database::open_read_only(fixture.dir.path(), options()).unwrap();
    assert_eq!(ids(&reader), [id]);
    drop(reader);
    std::fs::remove_dir_all(fixture.dir.path().join("index")).unwrap();
    let reader = Database::open_read_only(fixture.dir.path(), options()).unwrap();
    assert_eq!(ids(&reader), [id], "without indexes too");
}

/// Each writer opens, appends and ends; whether it closes or is dropped, and whether the reader
/// looks while it has the database or only between two.
#[test]
fn a_reader_follows_writers_that_come_one_after_the_other() {
    for (closes, looks) in [(true, false), (false, false), (true, true), (false, true)] {
        let dir = tempfile::tempdir().unwrap();
        let db = Database::create(dir.path(), options()).unwrap();
        let mut expected = vec![append(&db, "first")];
        db.close().unwrap();
        let reader = Database::open_read_only(dir.path(), options()).unwrap();
        assert_eq!(ids(&reader), expected);
        for round in 0..12 {
            let db = open(dir.path());
            for index in 0..=round % 4 {
                expected.push(append(&db, &format!("round-{round}.{index}")));
                if looks {
                    reader.refresh().unwrap();
                    assert_eq!(ids(&reader), expected, "{closes} {looks}, in round {round}");
                }
            }
            if closes {
                db.close().unwrap();
            } else {
                drop(db);
            }
            reader.refresh().unwrap();
            assert_eq!(ids(&reader), expected, "{closes} {looks}, after round {round}");
            let of_truck = Query::tag(tag("truck:7"));
            assert_eq!(reader.read(&of_truck).unwrap().count(), expected.len());
        }
    }
}

#[test]
fn a_backup_is_incremental_and_restores_as_a_new_replica() {
    let fixture = Fixture::new();
    let dir = tempfile::tempdir().unwrap();
    let (backup, restored) = (dir.path().join("backup"), dir.path().join("restored"));
    for _ in 0..50 {
        fixture.append(&event("one"));
    }
    let first = fixture.db.backup(&backup).unwrap();
    assert_eq!(first.position.as_u64(), 50);
    let kept = ids(&fixture.db);
    fixture.append(&event("two"));
    let second = fixture.db.backup(&backup).unwrap();
    assert_eq!(second.position.as_u64(), 51);
    let report = Database::restore(&backup, &restored).unwrap();
    assert_eq!(report.database, fixture.db.id());
    assert_ne!(report.replica, fixture.db.replica());
    let db = open(&restored);
    assert_eq!(db.opened().reincarnation, None);
    assert_eq!(ids(&db), ids(&fixture.db));
    assert_eq!(&ids(&db)[..50], kept);
    let new = append(&db, "new");
    assert_eq!(db.get(new).unwrap().unwrap().event.seq, 1, "a log of its own");
    assert!(db.verify(&mut |_| {}).unwrap().is_sound());
    let again = Database::restore(&backup, &restored).unwrap_err();
    assert!(matches!(again, BackupError::NotEmpty), "{again}");
}

#[test]
fn a_damaged_backup_is_refused() {
    let fixture = Fixture::new();
    for _ in 0..10 {
        fixture.append(&event("one"));
    }
    let dir = tempfile::tempdir().unwrap();
    let backup = dir.path().join("backup");
    fixture.db.backup(&backup).unwrap();
    let segment = std::fs::read_dir(backup.join("log")).unwrap().next().unwrap().unwrap().path();
    let mut bytes = std::fs::read(&segment).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    let error = Database::restore(&backup, dir.path().join("restored")).unwrap_err();
    assert!(matches!(error, BackupError::Damaged { .. }), "{error}");
    assert!(Database::open(dir.path().join("restored"), Options::default()).is_err());
}

#[test]
fn a_backup_of_another_database_is_left_alone() {
    let fixture = Fixture::new();
    fixture.append(&event("one"));
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("holiday.jpg"), b"not a backup").unwrap();
    let error = fixture.db.backup(dir.path()).unwrap_err();
    assert!(matches!(error, BackupError::OtherContent { .. }), "{error}");
}
