//! Rows that are written while others come: what is written is of one moment.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;

use laterbase_log::storage::{MemoryStorage, OpenMode, Storage};

use super::bytes::Bytes;
use crate::environment::SystemEnvironment;
use crate::{
    ApplyError, Cursor, Database, FoldEvent, FoldOrder, Moment, NewEvent, Options, PageRequest,
    Query, Timestamp, View, ViewRows,
};

/// The numbers of each key, in the order in which they happened.
struct Numbers<const VERSION: u32>;

impl<const VERSION: u32> View for Numbers<VERSION> {
    type Row = Vec<i64>;

    const ORDER: FoldOrder = FoldOrder::Valid;
    const VERSION: u32 = VERSION;

    fn events(&self) -> Query {
        Query::root("tank".try_into().unwrap())
    }

    fn rows(&self, event: &FoldEvent<'_>, touch: &mut dyn FnMut(&str)) {
        touch(event.key());
    }

    fn apply(&self, row: &mut Vec<i64>, _: &str, event: &FoldEvent<'_>) -> Result<(), ApplyError> {
        row.push(event.json()?);
        Ok(())
    }
}

fn put(db: &Database, key: &str, number: i64) {
    let mut commit = db.commit();
    let event = NewEvent::new("tank", key, "added").json(&number).unwrap();
    commit.push(&event.valid_at(Timestamp::from_micros(number))).unwrap();
    db.append(&mut commit).unwrap().wait().unwrap();
}

fn rows<const VERSION: u32>(
    view: &ViewRows<Numbers<VERSION>>,
    upto: Option<Cursor>,
) -> BTreeMap<String, Vec<i64>> {
    let moment = upto.map_or_else(Moment::default, |upto| Moment::default().upto(upto));
    let request = PageRequest { moment, limit: 1000, ..PageRequest::default() };
    let rows = view.page(&request).unwrap().rows.into_iter();
    rows.map(|row| (row.key.to_string(), row.row.unwrap().state)).collect()
}

fn bytes_of(storage: &MemoryStorage) -> Vec<u8> {
    let file = storage.open("folds/numbers.v1", OpenMode::READ).unwrap();
    let mut bytes = vec![0; file.len().unwrap() as usize];
    file.read_at(0, &mut bytes).unwrap();
    bytes
}

#[test]
fn what_comes_while_rows_are_written_is_not_in_them() {
    let storage = Arc::new(MemoryStorage::new());
    let options = Options { threads: false, ..Options::default() };
    let db = Database::create_on(storage.clone(), Arc::new(SystemEnvironment), options).unwrap();
    let view = db.view(Numbers::<1>).kept("numbers").unwrap();
    for number in 0..300 {
        put(&db, &format!("k{}", number % 6), number * 10);
    }
    view.catch_up().unwrap();
    let at = db.cursor();
    let pieces = Cell::new(0);
    let interfere = || {
        pieces.set(pieces.get() + 1);
        // At the end of a row, before its end, before its beginning; a row that is new.
        for (key, number) in [("k0", 9_999), ("k1", 2_005), ("k2", -1), ("new", 5), ("k3", 1)] {
            put(&db, key, number);
        }
        put(&db, "k3", 9_998);
        view.catch_up().unwrap();
        false
    };
    view.engine.keep(&interfere).unwrap();
    assert!(pieces.get() > 0);
    let status = view.kept_status().unwrap();
    assert_eq!(status.kept_to, Some(at), "as of when it began");
    let written = bytes_of(&storage);
    assert!(Bytes(&written).array() == Ok(*b"LBFOLDS\0"));
    let then = rows(&view, Some(at));
    drop(view);

    let put_back = || {
        storage.remove("folds/numbers.v1").unwrap();
        let file = storage.open("folds/numbers.v1", OpenMode::CREATE).unwrap();
        file.write_at(0, &written).unwrap();
    };
    put_back();
    let view = db.view(Numbers::<1>).kept("numbers").unwrap();
    let status = view.kept_status().unwrap();
    assert!(status.unusable.is_empty() && status.kept_to == Some(at), "{status:?}");
    let scratch = db.view(Numbers::<1>);
    assert_eq!(rows(&view, None), rows(&scratch, None));
    assert_eq!(rows(&view, Some(at)), then);
    assert!(view.kept_status().unwrap().unusable.is_empty());
    drop(view);

    // Another version finds all rows as they were then, each with its state.
    put_back();
    let view = db.view(Numbers::<2>).kept("numbers").unwrap();
    let previous = view.previous().unwrap();
    assert_eq!(previous.cursor(), at);
    let left = previous.page(&PageRequest::default()).unwrap().rows.into_iter();
    let left: BTreeMap<String, Vec<i64>> = left
        .map(|row| (row.key.to_string(), serde_json::from_str(&row.state.unwrap()).unwrap()))
        .collect();
    assert_eq!(left, then);
}
