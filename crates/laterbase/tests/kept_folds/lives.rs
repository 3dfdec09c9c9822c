//! Rows that are kept on disk: a start goes on from them, whatever comes late then, and those of
//! another version answer while this one is made.
//!
//! Caught here: a start that folds again what it has, a state that is older than its file says, a
//! version that answers with rows of which it has folded a part, rows that are lost between two
//! versions.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::{Arc, mpsc};

use crate::rows::{
    Board, Gate, Opened, Row, START_MS, assert_from_scratch, at_ms, bytes_of, files, fill, kept,
    put, put_with, rows_at, tank, write_file,
};
use crate::support::{TestEnvironment, options, quiet};
use laterbase::storage::{MemoryStorage, OpenMode, Storage};
use laterbase::{
    Aggregate, ApplyError, Database, Durability, Failure, FoldError, FoldEvent, KeepError,
    KeptFileError, KeptNews, Moment, Options, PageRequest, Previous, PreviousError, Query,
    Upcasters, View, ViewRows,
};
use serde::{Deserialize, Serialize};

/// A database in memory that is opened again and again.
struct World {
    storage: Arc<MemoryStorage>,
    clock: Arc<TestEnvironment>,
    gate: Arc<Gate>,
}

impl World {
    fn new() -> (Self, Database) {
        Self::seeded(1)
    }

    fn seeded(seed: u64) -> (Self, Database) {
        let storage = Arc::new(MemoryStorage::new());
        let clock = TestEnvironment::seeded(START_MS, seed);
        let db = Database::create_on(storage.clone(), clock.clone(), quiet()).unwrap();
        (Self { storage, clock, gate: Arc::default() }, db)
    }

    fn open(&self) -> Database {
        self.open_with(quiet())
    }

    fn open_with(&self, options: Options) -> Database {
        Database::open_on(self.storage.clone(), self.clock.clone(), options).unwrap()
    }

    /// Events of five tanks in the file of version 1.
    fn filled() -> Self {
        let (world, db) = Self::new();
        let board = kept::<1>(&db, &world.gate);
        fill(&db, 1, 60);
        board.catch_up().unwrap();
        drop(board);
        db.close().unwrap();
        world
    }

    fn files(&self) -> Vec<String> {
        files(self.storage.as_ref())
    }
}

/// All rows of another version, in pages of a size.
fn left(previous: &Previous, limit: usize) -> BTreeMap<String, Option<Row>> {
    let mut request = PageRequest { limit, ..PageRequest::default() };
    let mut all = BTreeMap::new();
    loop {
        let page = previous.page(&request).unwrap();
        assert!(page.rows.len() <= limit);
        for row in page.rows {
            assert_eq!(previous.get(&row.key).unwrap().unwrap(), row);
            let state = row.state.map(|state| serde_json::from_str(&state).unwrap());
            assert!(all.insert(row.key.to_string(), state).is_none());
        }
        let Some(next) = page.next else { return all };
        request.after = Some(next.to_string().parse().unwrap());
    }
}

fn of_now(rows: &ViewRows<Board<1>>) -> BTreeMap<String, Option<Row>> {
    let rows = rows_at(rows, &Moment::default()).into_iter();
    rows.map(|(key, row)| (key, row.ok().map(|(row, _)| row))).collect()
}

#[test]
fn a_start_of_the_same_version_folds_nothing_again() {
    let world = World::filled();
    let counts = world.gate.counts();
    assert_eq!(counts.0, 60);
    let db = world.open();
    let board = kept::<1>(&db, &world.gate);
    let rows = rows_at(&board, &Moment::default());
    assert_eq!((rows.len(), world.gate.counts()), (6, counts), "no event was placed or applied");
    assert!(board.is_ready() && board.previous().is_none());
    assert_eq!((board.lag(), board.kept_status().unwrap().unusable.len()), (0, 0));
    assert_from_scratch(&board);

    // What comes then costs its own events, in as many rows.
    let counts = world.gate.counts();
    put(&db, "t1", 61, 98);
    assert_eq!(rows_at(&board, &Moment::default()).len(), 6);
    assert_eq!(world.gate.counts(), (counts.0 + 1, counts.1 + 2));
}

#[test]
fn what_comes_late_after_a_start_is_folded_in_from_the_kept_states() {
    let world = World::filled();
    let db = world.open();
    let board = kept::<1>(&db, &world.gate);
    let before = world.gate.counts().1;
    // One event before the last of 60: at most the states behind it are made again.
    put(&db, "new", 1000, 96);
    rows_at(&board, &Moment::default());
    assert!(world.gate.counts().1 - before < 20, "from a state near the end, not from the first");
    assert_from_scratch(&board);
    for number in 0..40 {
        put(&db, &format!("t{}", number % 7), 2000 + number, number * 31 % 90);
        if number % 10 == 0 {
            board.catch_up().unwrap();
            board.keep_now().unwrap();
        }
    }
    assert_from_scratch(&board);
    drop(board);
    db.close().unwrap();
    let db = world.open();
    let board = kept::<1>(&db, &world.gate);
    put(&db, "t1", 3000, 3);
    assert_from_scratch(&board);
}

/// Numbers, summed; how many were applied in this thread is counted.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Sum<const VERSION: u32>(i64);

thread_local! {
    static SUMMED: Cell<u64> = const { Cell::new(0) };
}

impl<const VERSION: u32> Aggregate for Sum<VERSION> {
    const VERSION: u32 = VERSION;

    fn apply(&mut self, event: &FoldEvent<'_>) -> Result<(), ApplyError> {
        SUMMED.set(SUMMED.get() + 1);
        self.0 += event.json::<i64>()? * i64::from(VERSION);
        Ok(())
    }
}

fn sums<const VERSION: u32>(db: &Database) -> laterbase::Aggregates<Sum<VERSION>> {
    db.aggregates("tank".try_into().unwrap()).kept("tank").unwrap()
}

#[test]
fn aggregates_go_on_from_the_streams_that_were_in_use() {
    let (world, db) = World::new();
    let tanks = sums::<1>(&db);
    fill(&db, 1, 50);
    let expected = tanks.get("t1").unwrap().unwrap();
    drop(tanks);
    db.close().unwrap();
    let db = world.open();
    let (tanks, before) = (sums::<1>(&db), SUMMED.get());
    assert_eq!(tanks.get("t1").unwrap().unwrap(), expected);
    assert_eq!((tanks.len(), SUMMED.get()), (5, before), "all streams are known, one is folded");
    put(&db, "t1", 7, 1);
    assert_eq!(tanks.get("t1").unwrap().unwrap().state, Sum(expected.state.0 + 7));
    assert_eq!(tanks.get("t2").unwrap().unwrap().version, 10);
}

#[test]
fn the_streams_of_another_version_are_known_at_once_and_folded_anew() {
    let (world, db) = World::new();
    let tanks = sums::<1>(&db);
    fill(&db, 1, 50);
    let old = tanks.get("t1").unwrap().unwrap().state.0;
    drop(tanks);
    db.close().unwrap();
    let db = world.open();
    let tanks = sums::<2>(&db);
    assert!(tanks.previous().is_none(), "a stream is folded by itself");
    while db.step().unwrap() {}
    let before = SUMMED.get();
    assert_eq!((tanks.is_ready(), tanks.len(), tanks.lag()), (true, 5, 0));
    assert_eq!(tanks.get("t1").unwrap().unwrap().state, Sum(2 * old));
    assert_eq!(SUMMED.get(), before, "the one that was in use is in use again");
    assert_eq!(world.files(), ["tank.v2"]);
}

#[test]
fn another_versions_rows_answer_until_this_one_has_them_all() {
    for (from, to) in [(1, 2), (2, 1)] {
        let world = World::filled();
        if from == 2 {
            // As if a newer program had written them: the way back.
            let db = world.open();
            let board = kept::<2>(&db, &Arc::default());
            board.catch_up().unwrap();
            board.keep_now().unwrap();
            drop(board);
            db.close().unwrap();
        }
        assert_eq!(world.files(), [format!("board.v{from}")]);
        let db = world.open_with(options());
        let expected = of_now(&db.view(Board::<1>::default()));
        let factor = i64::from(from);
        world.gate.shut();
        if to == 2 {
            gradually::<2>(&world, &db, from, &expected, factor);
        } else {
            gradually::<1>(&world, &db, from, &expected, factor);
        }
        db.close().unwrap();
        assert_eq!(world.files(), [format!("board.v{to}")]);
    }
}

/// Begins with another version, looks while it is held up, and lets it go on.
fn gradually<const VERSION: u32>(
    world: &World,
    db: &Database,
    from: u32,
    of_one: &BTreeMap<String, Option<Row>>,
    factor: i64,
) {
    let (told, ready) = mpsc::channel();
    let board = kept::<VERSION>(db, &world.gate);
    let _opened = Opened(Arc::clone(&world.gate));
    board.tell_kept(move |news| {
        if matches!(news, KeptNews::Ready) {
            told.send(()).unwrap();
        }
    });
    put(db, "t1", 1000, 99);
    let previous = board.previous().unwrap();
    assert_eq!((previous.version(), board.is_ready()), (from, false));
    assert!(board.lag_until_ready() > 0);
    let scaled = |row: &Option<Row>| {
        row.as_ref().map(|row| row.numbers.iter().map(|number| number * factor).collect::<Vec<_>>())
    };
    for limit in [1, 4, 100] {
        let rows = left(&previous, limit);
        let numbers = |row: &Option<Row>| row.as_ref().map(|row| row.numbers.clone());
        assert_eq!(rows.len(), of_one.len());
        for (key, row) in &rows {
            assert_eq!(numbers(row), scaled(&of_one[key]), "{key}");
        }
    }
    assert_eq!(previous.get("t1x").unwrap(), None);
    assert_eq!(previous.get("a").unwrap(), None);
    // A past is another moment than the one that they are of.
    let past = Moment::default().valid_at(at_ms(1));
    let request = PageRequest { moment: past, ..PageRequest::default() };
    assert!(matches!(previous.page(&request), Err(PreviousError::OtherMoment)));
    assert!(ready.try_recv().is_err(), "it is held up");

    let first = previous.page(&PageRequest { limit: 2, ..PageRequest::default() }).unwrap();
    world.gate.open();
    ready.recv().unwrap();
    assert!(board.is_ready() && board.previous().is_none());
    assert_from_scratch(&board);
    // Whoever has them goes on in them, or in the new ones as of the same moment.
    let rest = PageRequest { after: first.next, ..PageRequest::default() };
    let old: Vec<_> = previous.page(&rest).unwrap().rows.into_iter().map(|row| row.key).collect();
    let new: Vec<_> = board.page(&rest).unwrap().rows.into_iter().map(|row| row.key).collect();
    assert_eq!((old.len(), old), (4, new));
}

#[test]
fn without_threads_whoever_steps_or_reads_makes_the_new_version() {
    for reads in [false, true] {
        let world = World::filled();
        let db = world.open();
        let board = kept::<2>(&db, &world.gate);
        assert!(!board.is_ready() && board.previous().is_some());
        if reads {
            board.get("t1").unwrap().unwrap();
            assert!(board.is_ready());
        }
        while db.step().unwrap() {}
        assert!(board.is_ready() && board.previous().is_none());
        assert_eq!(world.files(), ["board.v2"], "the old one goes once the new one is written");
        assert_from_scratch(&board);
    }
}

#[test]
fn what_a_new_version_has_folded_is_kept_when_it_is_closed_midway() {
    let world = World::filled();
    let db = world.open();
    let board = kept::<2>(&db, &world.gate);
    let moment = Moment::default();
    // A past page takes note of a part of the log alone.
    let third = db.read(&Query::all().order(laterbase::Order::Arrival)).unwrap().nth(20).unwrap();
    let cursor = db.cursor_behind(&third.unwrap(), laterbase::Order::Arrival);
    rows_at(&board, &moment.clone().upto(cursor));
    assert!(!board.is_ready());
    drop(board);
    db.close().unwrap();
    assert_eq!(world.files(), ["board.v1", "board.v2"]);
    let (db, before) = (world.open(), world.gate.counts().0);
    let board = kept::<2>(&db, &world.gate);
    assert_eq!(board.previous().unwrap().version(), 1, "which has not answered yet");
    rows_at(&board, &moment);
    assert_eq!(world.gate.counts().0 - before, 60 - 21);
    assert_from_scratch(&board);
    board.keep_now().unwrap();
    assert_eq!(world.files(), ["board.v2"]);
}

#[test]
fn a_file_of_another_copy_or_another_log_is_left_aside() {
    let world = World::filled();
    let file = bytes_of(world.storage.as_ref(), "board.v1");
    let of = |unusable: &[Arc<KeptFileError>]| format!("{:?}", unusable[0].as_ref());

    // Another copy, in which the same events may have arrived in any order.
    let (other, db) = World::seeded(2);
    fill(&db, 1, 70);
    write_file(other.storage.as_ref(), "board.v1", &file);
    let board = kept::<1>(&db, &other.gate);
    let status = board.kept_status().unwrap();
    assert!(of(&status.unusable).starts_with("OtherCopy"), "{status:?}");
    assert!(status.kept_to.is_none() && board.previous().is_none());
    assert_from_scratch(&board);

    // The log was put back, and has come further since with other events, or not as far.
    let (again, db) = World::new();
    let board = kept::<1>(&db, &again.gate);
    fill(&db, 1, 10);
    board.catch_up().unwrap();
    drop(board);
    db.close().unwrap();
    let before = all_files(again.storage.as_ref());
    let db = again.open();
    fill(&db, 11, 30);
    let board = kept::<1>(&db, &again.gate);
    board.catch_up().unwrap();
    drop(board);
    db.close().unwrap();
    let newer = bytes_of(again.storage.as_ref(), "board.v1");
    for more in [0, 29, 30, 31] {
        put_back(again.storage.as_ref(), &before);
        let db = again.open();
        assert_eq!(db.opened().reincarnation, None, "it is the same copy for all that it knows");
        // Others than before: fewer, as many, more.
        for number in 0..more {
            put(&db, "other", 500 + number, 50);
        }
        write_file(again.storage.as_ref(), "board.v1", &newer);
        let board = kept::<1>(&db, &again.gate);
        let status = board.kept_status().unwrap();
        assert!(of(&status.unusable).starts_with("OtherLog"), "{more} more: {status:?}");
        assert_from_scratch(&board);
        board.keep_now().unwrap();
        drop(board);
        assert!(kept::<1>(&db, &again.gate).kept_status().unwrap().unusable.is_empty());
        db.close().unwrap();
    }
}

/// The log and the indexes: path and content of each file.
fn all_files(storage: &MemoryStorage) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    for dir in ["log", "index"] {
        for name in storage.list(dir).unwrap() {
            let path = format!("{dir}/{name}");
            // Directories hold nothing here that counts.
            let Ok(file) = storage.open(&path, OpenMode::READ) else { continue };
            let mut bytes = vec![0; file.len().unwrap() as usize];
            file.read_at(0, &mut bytes).unwrap();
            all.insert(path, bytes);
        }
    }
    all
}

/// As it was once, in place: the identity stays.
fn put_back(storage: &MemoryStorage, before: &BTreeMap<String, Vec<u8>>) {
    for path in all_files(storage).keys() {
        storage.remove(path).unwrap();
    }
    for (path, bytes) in before {
        storage.open(path, OpenMode::CREATE).unwrap().write_at(0, bytes).unwrap();
    }
}

#[test]
fn a_damaged_file_is_left_aside_and_made_anew() {
    let world = World::filled();
    let file = bytes_of(world.storage.as_ref(), "board.v1");
    let mut damaged: Vec<Vec<u8>> =
        (0..file.len()).step_by(7).map(|at| file[..at].to_vec()).collect();
    damaged.extend((0..file.len()).step_by(5).map(|at| {
        let mut bytes = file.clone();
        bytes[at] ^= 1 << (at % 8);
        bytes
    }));
    damaged.push([&file[..], b"more"].concat());
    let db = world.open();
    let scratch = rows_at(&db.view(Board::<1>::default()), &Moment::default());
    for bytes in damaged {
        write_file(world.storage.as_ref(), "board.v1", &bytes);
        let board = kept::<1>(&db, &world.gate);
        assert_eq!(rows_at(&board, &Moment::default()), scratch);
        let unusable = board.kept_status().unwrap().unusable;
        assert!(!unusable.is_empty(), "what is damaged is noticed");
        drop(board);
        assert_eq!(bytes_of(world.storage.as_ref(), "board.v1"), file, "and written anew");
    }
}

#[test]
fn nothing_is_kept_that_is_not_on_the_device() {
    let (world, db) = World::new();
    let board = kept::<1>(&db, &world.gate);
    fill(&db, 1, 5);
    put_with(&db, &tank("t1", "added", 6, 6), Durability::Relaxed);
    assert_eq!(board.get("t1").unwrap().unwrap().version, 2, "reads see it");
    let flushed = db.cursor();
    board.keep_now().unwrap();
    assert_ne!(db.cursor(), flushed, "it was flushed to be kept");
    assert_eq!(board.kept_status().unwrap().kept_to, Some(db.cursor()));
}

#[test]
fn a_row_that_could_not_be_folded_says_so_again_until_it_fits() {
    let (world, db) = World::new();
    let board = kept::<1>(&db, &world.gate);
    fill(&db, 1, 20);
    put_with(&db, &tank("t3", "burst", 1, 200), Durability::Flushed);
    put_with(&db, &tank("t9", "nowhere", 1, 1), Durability::Flushed);
    put(&db, "t2", 0, 300);
    assert_eq!(rows_at(&board, &Moment::default())["t3"], Err("a pipe burst".to_owned()));
    let rows = of_now(&board);
    drop(board);
    db.close().unwrap();
    let db = world.open();
    let board = kept::<1>(&db, &world.gate);
    let Err(FoldError::Apply(Failure { message, .. })) = board.get("t3") else {
        panic!("it fails")
    };
    assert_eq!(message, "a pipe burst");
    assert_from_scratch(&board);
    drop(board);

    let board = kept::<2>(&db, &world.gate);
    let previous = left(&board.previous().unwrap(), 2);
    assert_eq!(previous["t3"], None, "there is no state of it that holds all of its events");
    assert!(!previous.contains_key("t2"), "it was hidden");
    assert_eq!(previous, rows);
}

#[test]
fn changes_are_told_once_over_a_start() {
    let world = World::filled();
    let db = world.open();
    let board = kept::<1>(&db, &world.gate);
    let keys = |changes: &laterbase::Changes<Row>| -> Vec<String> {
        changes.rows.iter().map(|row| row.key.to_string()).collect()
    };
    let before = board.page(&PageRequest::default()).unwrap().cursor;
    assert!(board.changes(&before, 100).unwrap().rows.is_empty(), "nothing came since");
    put(&db, "t1", 61, 60);
    put(&db, "t4", 62, 61);
    board.catch_up().unwrap();
    drop(board);
    db.close().unwrap();
    let db = world.open();
    let board = kept::<1>(&db, &world.gate);
    put(&db, "t2", 63, 62);
    let mut told = Vec::new();
    let mut cursor = before;
    loop {
        let changes = board.changes(&cursor, 1).unwrap();
        if changes.rows.is_empty() {
            break;
        }
        told.extend(keys(&changes));
        cursor = changes.cursor;
    }
    assert_eq!(told, ["t1", "t4", "all", "t2"]);
    assert!(board.changes(&db.cursor(), 100).unwrap().rows.is_empty());
}

#[test]
fn other_upcasters_make_the_rows_anew() {
    let world = World::filled();
    let doubled = |old: serde_json::Value| Ok(serde_json::json!(2 * old.as_i64().ok_or("none")?));
    let upcasters = Upcasters::default()
        .with_json("tank", "added", 1, doubled)
        .with_json("truck", "added", 1, Ok);
    let db = world.open_with(quiet().upcasters(upcasters));
    let board = kept::<1>(&db, &world.gate);
    assert_eq!(board.previous().unwrap().version(), 1, "the same version, and other rows");
    let third = db.read(&Query::all().order(laterbase::Order::Arrival)).unwrap().nth(20).unwrap();
    let cursor = db.cursor_behind(&third.unwrap(), laterbase::Order::Arrival);
    rows_at(&board, &Moment::default().upto(cursor));
    drop(board);
    let board = kept::<1>(&db, &world.gate);
    assert!(board.previous().is_some() && board.kept_status().unwrap().kept_to.is_none());
    drop(board);
    assert!(world.files() == ["board.v1"], "a part of the new ones does not replace the old ones");
    let board = kept::<1>(&db, &world.gate);
    assert_from_scratch(&board);
    assert_eq!(board.get("t1").unwrap().unwrap().state.numbers.iter().sum::<i64>() % 2, 0);
    drop(board);
    db.close().unwrap();
    // Those of other roots make no difference.
    let upcasters = Upcasters::default().with_json("tank", "added", 1, doubled);
    let (db, counts) = (world.open_with(quiet().upcasters(upcasters)), world.gate.counts());
    kept::<1>(&db, &world.gate).get("t1").unwrap().unwrap();
    assert_eq!(world.gate.counts(), counts);
}

#[test]
fn a_state_that_does_not_fit_is_left_aside_and_shown_until_it_is_made_anew() {
    /// The same version, and another state: somebody forgot to count up.
    struct Text;
    impl View for Text {
        type Row = String;
        fn events(&self) -> Query {
            Query::root("tank".try_into().unwrap())
        }
        const ORDER: laterbase::FoldOrder = laterbase::FoldOrder::Valid;
        fn rows(&self, event: &FoldEvent<'_>, touch: &mut dyn FnMut(&str)) {
            touch(event.key());
        }
        fn apply(&self, row: &mut String, _: &str, _: &FoldEvent<'_>) -> Result<(), ApplyError> {
            row.push('x');
            Ok(())
        }
    }
    let world = World::filled();
    let db = world.open();
    let board = db.view(Text).kept("board").unwrap();
    assert_eq!(board.get("t1").unwrap().unwrap().state.len(), 12);
    let unusable = board.kept_status().unwrap().unusable;
    assert!(matches!(unusable[0].as_ref(), KeptFileError::State { key, .. } if key == "all"));
}

#[test]
fn a_name_belongs_to_one_projection_at_a_time() {
    let (world, db) = World::new();
    for name in ["", "A", "a/b", "a b", "..é", &"x".repeat(81)] {
        let refused = db.view(Board::<1>::default()).kept(name).unwrap_err();
        assert!(matches!(refused, KeepError::Name { .. }), "{name}");
    }
    let board = kept::<1>(&db, &world.gate);
    let second = db.view(Board::<2>::default()).kept("board").unwrap_err();
    assert!(matches!(second, KeepError::Taken { .. }));
    assert!(matches!(board.kept("another").unwrap_err(), KeepError::Taken { .. }));
    let board = kept::<2>(&db, &world.gate);
    let unkept = db.view(Board::<1>::default());
    assert!(matches!(unkept.keep_now().unwrap_err().as_ref(), KeepError::NotKept));
    assert!(unkept.is_ready() && unkept.kept_status().is_none());
    db.close().unwrap();
    assert!(matches!(board.keep_now().unwrap_err().as_ref(), KeepError::Closed));
}

#[test]
fn rows_are_written_again_when_enough_came() {
    let (world, db) = World::new();
    drop(db);
    let mut options = quiet();
    options.folds.keep_every = 10;
    let db = world.open_with(options);
    let board = kept::<1>(&db, &world.gate);
    let kept_to = || board.kept_status().unwrap().kept_to;
    while db.step().unwrap() {}
    fill(&db, 1, 9);
    board.catch_up().unwrap();
    while db.step().unwrap() {}
    assert_eq!(kept_to(), None);
    fill(&db, 10, 1);
    while db.step().unwrap() {}
    assert_eq!(kept_to(), None, "nobody has asked");
    board.catch_up().unwrap();
    while db.step().unwrap() {}
    assert_eq!(kept_to(), Some(db.cursor()));
    // From eighty on, an eighth more.
    fill(&db, 11, 150);
    board.catch_up().unwrap();
    while db.step().unwrap() {}
    let at = db.cursor();
    fill(&db, 161, 19);
    board.catch_up().unwrap();
    while db.step().unwrap() {}
    assert_eq!(kept_to(), Some(at));
    fill(&db, 180, 1);
    board.catch_up().unwrap();
    while db.step().unwrap() {}
    assert_eq!(kept_to(), Some(db.cursor()));
}

#[test]
fn a_process_that_only_reads_takes_them_up_and_writes_nothing() {
    let world = World::filled();
    let file = bytes_of(world.storage.as_ref(), "board.v1");
    let writer = world.open();
    let db = Database::open_read_only_on(world.storage.clone(), world.clock.clone(), quiet());
    let (db, counts) = (db.unwrap(), world.gate.counts());
    let board = kept::<1>(&db, &world.gate);
    assert_eq!(board.get("t1").unwrap().unwrap().version, 12);
    assert_eq!(world.gate.counts(), counts);
    assert!(matches!(board.keep_now().unwrap_err().as_ref(), KeepError::ReadOnly));
    put(&writer, "t1", 61, 61);
    db.refresh().unwrap();
    assert_eq!(board.get("t1").unwrap().unwrap().version, 13);
    drop(board);
    let board = kept::<2>(&db, &world.gate);
    assert_eq!(board.previous().unwrap().version(), 1);
    board.catch_up().unwrap();
    assert!(board.is_ready());
    drop((board, db));
    assert_eq!(bytes_of(world.storage.as_ref(), "board.v1"), file);
    assert_eq!(world.files(), ["board.v1"]);
}

#[test]
fn rows_that_are_written_while_others_write_and_read_are_of_one_moment() {
    /// Rows that are long, so that they are written in many pieces.
    struct Long;
    impl View for Long {
        type Row = Vec<String>;
        fn rows(&self, event: &FoldEvent<'_>, touch: &mut dyn FnMut(&str)) {
            touch(event.key());
        }
        fn apply(
            &self,
            row: &mut Vec<String>,
            _: &str,
            event: &FoldEvent<'_>,
        ) -> Result<(), ApplyError> {
            row.push(format!("{:>200}", event.json::<i64>()?));
            Ok(())
        }
    }
    let (world, db) = World::new();
    let long = db.view(Long).kept("long").unwrap();
    let put_many = |from: i64| {
        let mut commit = db.commit();
        for number in from..from + 300 {
            let ms = if number % 3 == 0 { number % 50 } else { 100 };
            commit.push(&tank(&format!("k{:03}", number % 211), "added", number, ms)).unwrap();
        }
        commit.durability(Durability::Relaxed);
        db.append(&mut commit).unwrap().wait().unwrap();
        long.catch_up().unwrap();
    };
    put_many(0);
    let mut taken = 0;
    std::thread::scope(|scope| {
        let writes = scope.spawn(|| (1..40).for_each(|round| put_many(round * 300)));
        while !writes.is_finished() {
            long.keep_now().unwrap();
            let file = bytes_of(world.storage.as_ref(), "long.v1");
            // What a crash would find now.
            let back = world.storage.copied_to("another");
            write_file(&back, "long.v1", &file);
            let back = Arc::new(back);
            let found = Database::open_read_only_on(back, world.clock.clone(), quiet()).unwrap();
            let kept = found.view(Long).kept("long").unwrap();
            let unusable = kept.kept_status().unwrap().unusable;
            assert!(unusable.is_empty(), "{unusable:?}");
            let now = Moment::default();
            assert_eq!(rows_at(&kept, &now), rows_at(&found.view(Long), &now));
            taken += 1;
        }
    });
    assert!(taken > 0);
}
