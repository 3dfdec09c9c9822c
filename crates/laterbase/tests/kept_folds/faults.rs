//! Rows that are kept, on a disk that fails and a machine that loses power: what is wrong with them
//! hurts nobody, and no start finds rows that its log does not have.
//!
//! Caught here: a file that takes the place of the one before and is not whole, one that knows
//! events which a power cut took, one that goes before its successor is there.

use std::sync::Arc;

use crate::rows::{
    Gate, START_MS, assert_from_scratch, bytes_of, files, fill, kept, put_with, tank,
};
use crate::support::{TestEnvironment, quiet};
use laterbase::storage::{Fault, FaultPlan, FaultyStorage, OpClass, StorageOp, Survival};
use laterbase::{Database, Durability, KeepError, KeptFileError};

/// A database on a disk, with five tanks, whose rows are kept up to a third of the log.
struct World {
    disk: FaultyStorage,
    clock: Arc<TestEnvironment>,
    gate: Arc<Gate>,
}

impl World {
    fn new() -> Self {
        let disk = FaultyStorage::new(1);
        let clock = TestEnvironment::at_ms(START_MS);
        let db = Database::create_on(Arc::new(disk.clone()), clock.clone(), quiet()).unwrap();
        let world = Self { disk, clock, gate: Arc::default() };
        let board = kept::<1>(&db, &world.gate);
        fill(&db, 1, 10);
        board.catch_up().unwrap();
        drop(board);
        fill(&db, 11, 20);
        db.close().unwrap();
        world
    }

    fn open(&self) -> Database {
        Database::open_on(Arc::new(self.disk.clone()), self.clock.clone(), quiet()).unwrap()
    }

    /// The same after a power cut.
    fn after(self, survival: Survival) -> Self {
        Self { disk: self.disk.crash(survival), ..self }
    }
}

fn nth(nth: u64, fault: Fault) -> FaultPlan {
    FaultPlan::default().with_nth(OpClass::Mutation, nth, fault)
}

#[test]
fn a_file_that_cannot_be_written_leaves_the_one_before() {
    for fault in [Fault::Full, Fault::Fail] {
        let world = World::new();
        let db = world.open();
        let board = kept::<1>(&db, &world.gate);
        board.catch_up().unwrap();
        let before = bytes_of(&world.disk, "board.v1");
        let mut failed = 0;
        loop {
            world.disk.set_plan(nth(failed + 1, fault));
            let Err(error) = board.keep_now() else { break };
            world.disk.set_plan(FaultPlan::default());
            let is_storage = matches!(*error, KeepError::File(KeptFileError::Storage(_)));
            assert!(is_storage, "{error:?}");
            assert!(board.kept_status().unwrap().failure.is_some());
            failed += 1;
            // Reads and appends go on.
            assert_from_scratch(&board);
            let renamed = bytes_of(&world.disk, "board.v1") != before;
            assert!(!renamed || failed >= 7, "after {failed} operations of the eight");
        }
        world.disk.set_plan(FaultPlan::default());
        // The directory twice, the file, three pieces, itself, its name, and the directory again.
        assert!(failed >= 7, "{failed}");
        assert!(board.kept_status().unwrap().failure.is_none());
        assert_ne!(bytes_of(&world.disk, "board.v1"), before);
        fill(&db, 50, 3);
        assert_from_scratch(&board);
    }
}

#[test]
fn a_power_cut_while_rows_are_written_leaves_those_before_or_those_after() {
    let mut found = std::collections::BTreeSet::new();
    for survival in Survival::ALL {
        for cut_at in 1.. {
            let world = World::new();
            let db = world.open();
            let board = kept::<1>(&db, &world.gate);
            board.catch_up().unwrap();
            world.disk.set_plan(nth(cut_at, Fault::PowerCut));
            let is_kept = board.keep_now().is_ok();
            let world = world.after(survival);
            drop((board, db));
            let db = world.open();
            let counted = world.gate.counts().0;
            let board = kept::<1>(&db, &world.gate);
            let status = board.kept_status().unwrap();
            assert!(status.unusable.is_empty(), "{survival:?} {cut_at}: {status:?}");
            board.catch_up().unwrap();
            found.insert(world.gate.counts().0 - counted);
            assert_from_scratch(&board);
            board.keep_now().unwrap();
            assert_eq!(files(&world.disk).len(), 1, "what was begun is gone");
            if is_kept {
                break;
            }
        }
    }
    assert_eq!(Vec::from_iter(found), [0, 20], "all of it, or what was kept before");
}

#[test]
fn a_power_cut_while_a_version_takes_over_loses_neither() {
    for survival in Survival::ALL {
        for cut_at in 1.. {
            let world = World::new();
            let db = world.open();
            let board = kept::<2>(&db, &world.gate);
            board.catch_up().unwrap();
            assert!(board.is_ready());
            world.disk.set_plan(nth(cut_at, Fault::PowerCut));
            let is_kept = board.keep_now().is_ok();
            let world = world.after(survival);
            drop((board, db));
            let (db, counted) = (world.open(), world.gate.counts().0);
            let board = kept::<2>(&db, &world.gate);
            let status = board.kept_status().unwrap();
            assert!(status.unusable.is_empty(), "{survival:?} {cut_at}: {status:?}");
            let has_old = board.previous().is_some();
            board.catch_up().unwrap();
            let is_anew = world.gate.counts().0 > counted;
            assert_eq!(has_old, is_anew, "the old rows answer exactly while there are no new ones");
            assert!(!is_kept || !is_anew);
            assert_from_scratch(&board);
            board.keep_now().unwrap();
            assert_eq!(files(&world.disk), ["board.v2"]);
            if is_kept {
                break;
            }
        }
    }
}

#[test]
fn rows_never_know_more_than_a_log_that_lost_its_end() {
    let world = World::new();
    let db = world.open();
    let board = kept::<1>(&db, &world.gate);
    board.catch_up().unwrap();
    put_with(&db, &tank("t1", "added", 500, 1), Durability::Relaxed);
    board.catch_up().unwrap();
    // The device takes no more of the log: what was read of it is not kept.
    let syncs = OpClass::Only(StorageOp::Sync);
    world.disk.set_plan(FaultPlan::default().with_nth(syncs, 1, Fault::Fail));
    let before = bytes_of(&world.disk, "board.v1");
    let error = board.keep_now().unwrap_err();
    assert!(matches!(*error, KeepError::Flush(_)), "{error:?}");
    assert_eq!(bytes_of(&world.disk, "board.v1"), before);
    let world = world.after(Survival::Lost);
    drop((board, db));
    let db = world.open();
    let board = kept::<1>(&db, &world.gate);
    assert!(board.kept_status().unwrap().unusable.is_empty());
    assert_from_scratch(&board);

    // Where it takes it, the log has what the rows have, also after a power cut.
    put_with(&db, &tank("t1", "added", 600, 1), Durability::Relaxed);
    board.catch_up().unwrap();
    board.keep_now().unwrap();
    put_with(&db, &tank("t1", "added", 700, 1), Durability::Relaxed);
    let events = db.event_count().unwrap();
    let world = world.after(Survival::Lost);
    drop((board, db));
    let db = world.open();
    assert_eq!(db.event_count().unwrap() + 1, events);
    let board = kept::<1>(&db, &world.gate);
    assert!(board.kept_status().unwrap().unusable.is_empty());
    assert_from_scratch(&board);
}

#[test]
fn a_new_version_that_could_not_be_made_is_made_when_events_can_be_read() {
    let world = World::new();
    let db = world.open();
    let board = kept::<2>(&db, &world.gate);
    let reads = OpClass::Only(StorageOp::Read);
    world.disk.set_plan(FaultPlan::default().with_rate(reads, Fault::Fail, 1_000_000));
    db.step().unwrap();
    db.step().unwrap();
    world.disk.set_plan(FaultPlan::default());
    assert!(!board.is_ready());
    let failure = board.kept_status().unwrap().failure.unwrap();
    assert!(matches!(*failure, KeepError::Read(_)), "{failure:?}");
    let row = board.previous().unwrap().get("t1").unwrap().unwrap();
    assert_eq!(row.version, 2, "the old rows answer");
    while db.step().unwrap() {}
    assert!(board.is_ready() && board.kept_status().unwrap().failure.is_none());
    assert_from_scratch(&board);
}

#[test]
fn rows_that_cannot_be_read_are_made_anew() {
    for failing in 1.. {
        let world = World::new();
        let db = world.open();
        let reads = OpClass::Only(StorageOp::Read);
        world.disk.set_plan(FaultPlan::default().with_nth(reads, failing, Fault::Fail));
        let board = kept::<1>(&db, &world.gate);
        let caught_up = board.catch_up();
        world.disk.set_plan(FaultPlan::default());
        assert_from_scratch(&board);
        let unusable = board.kept_status().unwrap().unusable;
        // What failed was the file, the log, or nothing more.
        if unusable.is_empty() && caught_up.is_ok() {
            assert!(failing > 5, "{failing}");
            break;
        }
    }
}
