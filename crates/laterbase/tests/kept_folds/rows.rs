//! What the tests of kept folds share: a view that counts what it applies and can be held up, in
//! any version, and the rows that it must have.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use laterbase::storage::{OpenMode, Storage};
use laterbase::{
    ApplyError, Database, Durability, Fold, FoldEvent, FoldOrder, Moment, NewEvent, PageRequest,
    Projection, Query, Timestamp, View, ViewRows,
};
use serde::{Deserialize, Serialize};

/// Counts what goes through it, and lets nothing through while it is shut.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    pub(crate) applied: AtomicU64,
    pub(crate) placed: AtomicU64,
    is_shut: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    pub(crate) fn shut(&self) {
        *self.is_shut.lock().unwrap() = true;
    }

    pub(crate) fn open(&self) {
        *self.is_shut.lock().unwrap() = false;
        self.opened.notify_all();
    }

    fn pass(&self) {
        let mut is_shut = self.is_shut.lock().unwrap();
        while *is_shut {
            is_shut = self.opened.wait(is_shut).unwrap();
        }
    }

    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.placed.load(Ordering::SeqCst), self.applied.load(Ordering::SeqCst))
    }
}

/// Opens a gate at the latest when a test ends, or a failed one would never.
pub(crate) struct Opened(pub(crate) Arc<Gate>);

impl Drop for Opened {
    fn drop(&mut self) {
        self.0.open();
    }
}

/// Everything that was applied to a row, in order, and a float that is not round.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) numbers: Vec<i64>,
    pub(crate) mean: f64,
}

/// Rows by what an event is about; version 2 tells them apart from those of version 1.
#[derive(Debug, Clone, Default)]
pub(crate) struct Board<const VERSION: u32>(pub(crate) Arc<Gate>);

impl<const VERSION: u32> View for Board<VERSION> {
    type Row = Row;

    const ORDER: FoldOrder = FoldOrder::Valid;
    const VERSION: u32 = VERSION;

    fn events(&self) -> Query {
        Query::root("tank".try_into().unwrap())
    }

    fn rows(&self, event: &FoldEvent<'_>, touch: &mut dyn FnMut(&str)) {
        self.0.placed.fetch_add(1, Ordering::SeqCst);
        assert_ne!(event.type_name(), "nowhere", "no row for it");
        touch(event.key());
        touch("all");
    }

    fn apply(&self, row: &mut Row, key: &str, event: &FoldEvent<'_>) -> Result<(), ApplyError> {
        self.0.pass();
        self.0.applied.fetch_add(1, Ordering::SeqCst);
        if event.type_name() == "burst" && key != "all" {
            return Err("a pipe burst".into());
        }
        row.numbers.push(event.json::<i64>()? * i64::from(VERSION));
        row.mean = row.numbers.iter().sum::<i64>() as f64 / row.numbers.len() as f64;
        Ok(())
    }

    fn is_hidden(&self, row: &Row) -> bool {
        row.numbers.last() == Some(&0)
    }
}

pub(crate) const START_MS: i64 = 1_800_000_000_000;

pub(crate) fn at_ms(ms: i64) -> Timestamp {
    Timestamp::from_micros((START_MS + ms) * 1000)
}

/// An event of a tank, which happened so many milliseconds after the beginning.
pub(crate) fn tank(key: &str, type_name: &str, number: i64, ms: i64) -> NewEvent {
    NewEvent::new("tank", key, type_name).json(&number).unwrap().valid_at(at_ms(ms))
}

pub(crate) fn put_with(db: &Database, event: &NewEvent, durability: Durability) {
    let mut commit = db.commit();
    commit.push(event).unwrap();
    commit.durability(durability);
    db.append(&mut commit).unwrap().wait().unwrap();
}

pub(crate) fn put(db: &Database, key: &str, number: i64, ms: i64) {
    put_with(db, &tank(key, "added", number, ms), Durability::Flushed);
}

/// So many events of five tanks, numbered, in an order that is not theirs.
pub(crate) fn fill(db: &Database, from: i64, count: i64) {
    for number in from..from + count {
        put(db, &format!("t{}", number % 5), number, number * 7 % 97);
    }
}

pub(crate) fn kept<const VERSION: u32>(
    db: &Database,
    gate: &Arc<Gate>,
) -> ViewRows<Board<VERSION>> {
    db.view(Board::<VERSION>(Arc::clone(gate))).kept("board").unwrap()
}

/// All rows as of a moment, with their versions; a message for those that cannot be folded.
pub(crate) fn rows_at<F: Fold>(
    rows: &Projection<F>,
    moment: &Moment,
) -> BTreeMap<String, Result<(F::State, u64), String>> {
    let mut request = PageRequest { moment: moment.clone(), limit: 3, ..PageRequest::default() };
    let mut all = BTreeMap::new();
    loop {
        let page = rows.page(&request).unwrap();
        for row in page.rows {
            let folded = row.row.map(|folded| (folded.state, folded.version));
            let before = all.insert(row.key.to_string(), folded.map_err(|error| error.message));
            assert!(before.is_none(), "{} comes twice", row.key);
        }
        let Some(next) = page.next else { return all };
        request.after = Some(next);
    }
}

/// Compares all rows with the same view from scratch, now and as of many pasts.
pub(crate) fn assert_from_scratch<const VERSION: u32>(rows: &ViewRows<Board<VERSION>>) {
    let scratch = rows.database().view(Board::<VERSION>::default());
    let mut moments = vec![Moment::default()];
    moments.extend((0..100).step_by(9).map(|ms| Moment::default().valid_at(at_ms(ms))));
    let arrivals = rows.database().read(&Query::all().order(laterbase::Order::Arrival)).unwrap();
    for recorded in arrivals.map(Result::unwrap).step_by(11) {
        let cursor = rows.database().cursor_behind(&recorded, laterbase::Order::Arrival);
        moments.push(Moment::default().upto(cursor));
        moments.push(Moment::default().upto(cursor).valid_at(at_ms(50)));
    }
    for moment in moments {
        assert_eq!(rows_at(rows, &moment), rows_at(&scratch, &moment), "at {moment:?}");
    }
    let failed = |rows: &ViewRows<Board<VERSION>>| -> Vec<_> {
        rows.unplaced().iter().map(|failure| failure.event).collect()
    };
    assert_eq!(failed(rows), failed(&scratch));
}

/// The names of the files of folds.
pub(crate) fn files(storage: &dyn Storage) -> Vec<String> {
    if storage.exists("folds").unwrap() { storage.list("folds").unwrap() } else { Vec::new() }
}

pub(crate) fn bytes_of(storage: &dyn Storage, name: &str) -> Vec<u8> {
    let file = storage.open(&format!("folds/{name}"), OpenMode::READ).unwrap();
    let mut bytes = vec![0; file.len().unwrap() as usize];
    file.read_at(0, &mut bytes).unwrap();
    bytes
}

pub(crate) fn write_file(storage: &dyn Storage, name: &str, bytes: &[u8]) {
    let path = format!("folds/{name}");
    if storage.exists(&path).unwrap() {
        storage.remove(&path).unwrap();
    }
    storage.create_dir("folds").unwrap();
    storage.open(&path, OpenMode::CREATE).unwrap().write_at(0, bytes).unwrap();
}
