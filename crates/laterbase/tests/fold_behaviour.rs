//! What folds promise to the programs that use them: failures that name the event and hurt no other
//! row, old events in today's form, pages of one moment, changes that are told once.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod support;

use std::collections::BTreeMap;

use laterbase::{
    Aggregate, ApplyError, CursorError, Database, Durability, EventId, FoldError, FoldEvent,
    FoldOrder, Moment, NewEvent, Options, PageRequest, Query, ReadError, Timestamp, Upcasters,
    View,
};
use support::{Fixture, TestEnvironment, options, storage};

/// Numbers, summed; a "burst" panics and a "refused" fails.
#[derive(Debug, Clone, Default, PartialEq)]
struct Sum(i64);

impl Aggregate for Sum {
    fn apply(&mut self, event: &FoldEvent<'_>) -> Result<(), ApplyError> {
        match event.type_name() {
            "added" => self.0 += event.json::<i64>()?,
            "burst" => panic!("a pipe burst"),
            "refused" => return Err("it does not fit".into()),
            _ => {}
        }
        Ok(())
    }
}

fn sums(db: &Database) -> laterbase::Aggregates<Sum> {
    db.aggregates("tank".try_into().unwrap())
}

fn put(fixture: &Fixture, key: &str, type_name: &str, number: i64) -> EventId {
    let event = NewEvent::new("tank", key, type_name).json(&number).unwrap();
    let appended = fixture.append(&event);
    fixture.clock.advance_ms(1);
    appended.id(0).unwrap()
}

fn at_ms(ms: i64) -> Timestamp {
    Timestamp::from_micros(ms * 1000)
}

#[test]
fn a_failure_names_the_event_and_leaves_other_aggregates_alone() {
    let fixture = Fixture::new();
    let tanks = sums(&fixture.db);
    for key in ["a", "b", "c"] {
        put(&fixture, key, "added", 1);
    }
    assert_eq!(tanks.get("a").unwrap().unwrap().state, Sum(1));
    let burst = put(&fixture, "a", "burst", 0);
    let refused = put(&fixture, "b", "refused", 0);
    for key in ["a", "b", "c"] {
        put(&fixture, key, "added", 10);
    }
    let Err(FoldError::Apply(failure)) = tanks.get("a") else { panic!("a must fail") };
    assert_eq!((failure.event, failure.row.as_str()), (burst, "a"));
    assert_eq!(failure.message, "panicked: a pipe burst");
    let Err(FoldError::Apply(failure)) = tanks.get("b") else { panic!("b must fail") };
    assert_eq!((failure.event, failure.message.as_str()), (refused, "it does not fit"));
    assert_eq!(tanks.get("c").unwrap().unwrap().state, Sum(11));
    // The page has all three; what a was before the burst can still be asked for.
    let page = tanks.page(&PageRequest::default()).unwrap();
    let fine: Vec<bool> = page.rows.iter().map(|row| row.row.is_ok()).collect();
    assert_eq!(fine, [false, false, true]);
    let before = Moment::default().valid_at(at_ms(1_800_000_000_002));
    assert_eq!(tanks.get_at("a", &before).unwrap().unwrap().state, Sum(1));
}

#[test]
fn a_row_counts_as_rebased_once_for_all_late_events_between_two_reads() {
    /// The newest number that was so.
    #[derive(Clone, Default)]
    struct Level(i64);
    impl Aggregate for Level {
        const ORDER: FoldOrder = FoldOrder::Valid;
        fn apply(&mut self, event: &FoldEvent<'_>) -> Result<(), ApplyError> {
            self.0 = event.json::<i64>()?;
            Ok(())
        }
    }
    let fixture = Fixture::new();
    let levels = fixture.db.aggregates::<Level>("tank".try_into().unwrap());
    let put_at = |ms: i64| {
        let event = NewEvent::new("tank", "1", "read").json(&ms).unwrap();
        fixture.append(&event.valid_at(at_ms(ms)));
    };
    let read = || levels.get("1").unwrap().unwrap().state.0;
    put_at(10);
    put_at(5);
    // The first fold of a row is none again, in whatever order its events came.
    assert_eq!((read(), levels.rebased()), (10, 0));
    put_at(20);
    assert_eq!((read(), levels.rebased()), (20, 0));
    put_at(15);
    put_at(14);
    put_at(30);
    assert_eq!((read(), levels.rebased()), (30, 1));
    assert_eq!((read(), levels.rebased()), (30, 1));
    put_at(1);
    assert_eq!((read(), levels.rebased()), (30, 2));
}

#[test]
fn a_failure_goes_when_an_earlier_event_makes_the_later_one_fit() {
    /// Refuses to close what was never opened.
    #[derive(Clone, Default)]
    struct Door(bool);
    impl Aggregate for Door {
        const ORDER: FoldOrder = FoldOrder::Valid;
        fn apply(&mut self, event: &FoldEvent<'_>) -> Result<(), ApplyError> {
            match (event.type_name(), self.0) {
                ("opened", _) => self.0 = true,
                ("closed", true) => self.0 = false,
                _ => return Err("it is not open".into()),
            }
            Ok(())
        }
    }
    let fixture = Fixture::new();
    let doors = fixture.db.aggregates::<Door>("door".try_into().unwrap());
    fixture.append(&NewEvent::new("door", "1", "closed").json(&0).unwrap());
    assert!(matches!(doors.get("1"), Err(FoldError::Apply(_))));
    let early = NewEvent::new("door", "1", "opened").json(&0).unwrap();
    fixture.append(&early.valid_at(at_ms(1_799_999_999_000)));
    assert!(!doors.get("1").unwrap().unwrap().state.0);
}

#[test]
fn a_view_that_cannot_name_the_rows_of_an_event_says_so_and_goes_on() {
    struct Picky;
    impl View for Picky {
        type Row = u32;
        fn rows(&self, event: &FoldEvent<'_>, touch: &mut dyn FnMut(&str)) {
            assert_ne!(event.type_name(), "burst", "no row for it");
            touch(event.key());
        }
        fn apply(&self, row: &mut u32, _: &str, _: &FoldEvent<'_>) -> Result<(), ApplyError> {
            *row += 1;
            Ok(())
        }
    }
    let fixture = Fixture::new();
    let view = fixture.db.view(Picky);
    put(&fixture, "a", "added", 1);
    let burst = put(&fixture, "a", "burst", 1);
    put(&fixture, "a", "added", 1);
    assert_eq!(view.get("a").unwrap().unwrap().state, 2);
    let unplaced: Vec<EventId> = view.unplaced().iter().map(|failure| failure.event).collect();
    assert_eq!(unplaced, [burst]);
}

#[test]
fn old_events_meet_todays_code_by_a_chain_of_upcasters() {
    #[derive(Debug, Clone, Default, PartialEq)]
    struct Weight(Vec<(u32, i64)>);
    impl Aggregate for Weight {
        fn apply(&mut self, event: &FoldEvent<'_>) -> Result<(), ApplyError> {
            let value = event.json::<serde_json::Value>()?;
            let kg = value["kg"].as_i64().ok_or("no kg")?;
            self.0.push((event.version(), kg));
            Ok(())
        }
    }
    let upcasters = Upcasters::default()
        .with_json("box", "weighed", 1, |old| Ok(serde_json::json!({ "g": old })))
        .with_json("box", "weighed", 2, |old| {
            let g = old["g"].as_i64().ok_or("no grams")?;
            Ok(serde_json::json!({ "kg": g / 1000 }))
        });
    let fixture = Fixture::with_options(1_800_000_000_000, options().upcasters(upcasters));
    let boxes = fixture.db.aggregates::<Weight>("box".try_into().unwrap());
    let weighed = |key: &str, version: u32, value: serde_json::Value| {
        let event = NewEvent::new("box", key, "weighed").json(&value).unwrap();
        fixture.append(&event.version(version)).id(0).unwrap()
    };
    weighed("1", 1, serde_json::json!(5000));
    weighed("1", 2, serde_json::json!({ "g": 7000 }));
    weighed("1", 3, serde_json::json!({ "kg": 9 }));
    assert_eq!(boxes.get("1").unwrap().unwrap().state, Weight(vec![(3, 5), (3, 7), (3, 9)]));
    // What is read is what was recorded.
    let read: Vec<u32> =
        fixture.db.read(&Query::all()).unwrap().map(|event| event.unwrap().event.version).collect();
    assert_eq!(read, [1, 2, 3]);
    let bad = weighed("2", 2, serde_json::json!({ "lb": 1 }));
    let Err(FoldError::Apply(failure)) = boxes.get("2") else { panic!("it must fail") };
    assert_eq!((failure.event, failure.message.as_str()), (bad, "no grams"));
}

#[test]
fn all_pages_show_the_moment_of_the_first() {
    let fixture = Fixture::new();
    let tanks = sums(&fixture.db);
    for number in 0..30 {
        put(&fixture, &format!("k{number:02}"), "added", 1);
    }
    let mut request = PageRequest { limit: 7, ..PageRequest::default() };
    let mut seen = BTreeMap::new();
    loop {
        let page = tanks.page(&request).unwrap();
        for row in page.rows {
            assert!(seen.insert(row.key.to_string(), row.row.unwrap().state).is_none());
        }
        // Every row changes, one is new, between any two pages.
        for number in 0..30 {
            put(&fixture, &format!("k{number:02}"), "added", 100);
        }
        put(&fixture, "k15-new", "added", 1);
        let Some(next) = page.next else { break };
        request.after = Some(next.to_string().parse().unwrap());
    }
    assert_eq!(seen.len(), 30);
    assert!(seen.values().all(|sum| *sum == Sum(1)), "{seen:?}");
    let bounded = PageRequest {
        from: Some("k10".to_owned()),
        until: Some("k12".to_owned()),
        ..PageRequest::default()
    };
    let keys: Vec<String> =
        tanks.page(&bounded).unwrap().rows.iter().map(|row| row.key.to_string()).collect();
    assert_eq!(keys, ["k10", "k11"]);
}

#[test]
fn a_page_cursor_of_another_copy_is_refused() {
    let fixture = Fixture::new();
    put(&fixture, "a", "added", 1);
    put(&fixture, "b", "added", 1);
    let mut request = PageRequest { limit: 1, ..PageRequest::default() };
    request.after = sums(&fixture.db).page(&request).unwrap().next;
    assert!(request.after.is_some());
    let dir = tempfile::tempdir().unwrap();
    let other_clock = TestEnvironment::seeded(1_800_000_000_000, 2);
    let other = Database::create_on(storage(&dir), other_clock, options()).unwrap();
    let refused = sums(&other).page(&request);
    assert!(
        matches!(refused, Err(FoldError::Read(ReadError::Cursor(CursorError::OtherCopy)))),
        "{refused:?}"
    );
    assert!("nonsense".parse::<laterbase::PageCursor>().is_err());
}

#[test]
fn changes_are_told_once_and_only_when_they_are_on_the_device() {
    let fixture = Fixture::new();
    let tanks = sums(&fixture.db);
    put(&fixture, "a", "added", 1);
    put(&fixture, "b", "added", 1);
    let page = tanks.page(&PageRequest::default()).unwrap();
    let nothing = tanks.changes(&page.cursor, 100).unwrap();
    assert!(nothing.rows.is_empty());

    put(&fixture, "b", "added", 10);
    put(&fixture, "a", "added", 10);
    put(&fixture, "a", "added", 100);
    let changes = tanks.changes(&page.cursor, 100).unwrap();
    let told = |changes: &laterbase::Changes<Sum>| -> Vec<(String, i64)> {
        let rows = changes.rows.iter();
        rows.map(|row| (row.key.to_string(), row.row.clone().unwrap().unwrap().state.0)).collect()
    };
    assert_eq!(told(&changes), [("b".to_owned(), 11), ("a".to_owned(), 111)]);
    assert!(tanks.changes(&changes.cursor, 100).unwrap().rows.is_empty());
    // In pieces: each piece goes on where the last one ended.
    let first = tanks.changes(&page.cursor, 1).unwrap();
    assert_eq!(told(&first), [("b".to_owned(), 11)]);
    let second = tanks.changes(&first.cursor, 1).unwrap();
    assert_eq!(told(&second), [("a".to_owned(), 111)]);

    let relaxed = NewEvent::new("tank", "c", "added").json(&5).unwrap();
    fixture.append_with(&relaxed, Durability::Relaxed);
    assert_eq!(tanks.get("c").unwrap().unwrap().state, Sum(5), "reads see it");
    assert!(tanks.changes(&changes.cursor, 100).unwrap().rows.is_empty(), "nobody is told yet");
    fixture.db.flush().unwrap();
    assert_eq!(told(&tanks.changes(&changes.cursor, 100).unwrap()), [("c".to_owned(), 5)]);
}

#[test]
fn what_lies_in_the_future_is_left_out_of_now() {
    let fixture = Fixture::new();
    let tanks = sums(&fixture.db);
    put(&fixture, "a", "added", 1);
    let future = NewEvent::new("tank", "a", "added").json(&10).unwrap();
    fixture.append(&future.valid_at(at_ms(1_900_000_000_000)));
    let now = Moment::default().valid_at(at_ms(1_800_000_001_000));
    assert_eq!(tanks.get_at("a", &now).unwrap().unwrap().state, Sum(1));
    let then = Moment::default().valid_at(at_ms(1_900_000_000_000));
    assert_eq!(tanks.get_at("a", &then).unwrap().unwrap().state, Sum(11));
    assert_eq!(tanks.get("a").unwrap().unwrap().state, Sum(11), "no valid time, no filter");
}

#[test]
fn hidden_rows_are_left_out() {
    struct Open;
    impl View for Open {
        type Row = bool;
        fn rows(&self, event: &FoldEvent<'_>, touch: &mut dyn FnMut(&str)) {
            touch(event.key());
        }
        fn apply(&self, row: &mut bool, _: &str, event: &FoldEvent<'_>) -> Result<(), ApplyError> {
            *row = event.type_name() == "opened";
            Ok(())
        }
        fn is_hidden(&self, row: &bool) -> bool {
            !row
        }
    }
    let fixture = Fixture::new();
    let open = fixture.db.view(Open);
    put(&fixture, "a", "opened", 0);
    put(&fixture, "b", "opened", 0);
    let page = open.page(&PageRequest::default()).unwrap();
    put(&fixture, "a", "closed", 0);
    assert_eq!(open.get("a").unwrap(), None);
    let keys: Vec<String> = open
        .page(&PageRequest::default())
        .unwrap()
        .rows
        .iter()
        .map(|row| row.key.to_string())
        .collect();
    assert_eq!(keys, ["b"]);
    // Who follows learns that it is gone.
    let changes = open.changes(&page.cursor, 10).unwrap();
    assert_eq!(changes.rows[0].row, Ok(None));
}

#[test]
fn states_are_the_same_after_the_database_is_opened_again() {
    let fixture = Fixture::new();
    for number in 0..100 {
        put(&fixture, &format!("k{}", number % 7), "added", number);
    }
    let before = sums(&fixture.db).page(&PageRequest::default()).unwrap().rows;
    fixture.db.clone().close().unwrap();
    let db = Database::open_on(storage(&fixture.dir), fixture.clock.clone(), options()).unwrap();
    assert_eq!(sums(&db).page(&PageRequest::default()).unwrap().rows, before);
    let read_only = Database::open_read_only(fixture.dir.path(), Options::default());
    let read_only = read_only.unwrap();
    assert_eq!(sums(&read_only).page(&PageRequest::default()).unwrap().rows, before);
}
