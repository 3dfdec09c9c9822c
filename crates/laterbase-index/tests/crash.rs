//! Crashes and failures at every operation on the storage, and what is found afterwards.
//!
//! With a storage that keeps its word, what a crash leaves is an index: its watermark is not above
//! the flushed position, and it has exactly the entries of the positions up to it. That the tests
//! can tell is shown by breaking the promise: without the sync of the directory, or of the files,
//! some crash leaves a manifest whose runs are gone, and the same check finds it. It was also tried
//! to leave out each sync alone: of the run, of the manifest, of the directory before the manifest
//! is renamed and after it; each is caught by the crash at any change.

#![allow(clippy::indexing_slicing, clippy::expect_used, clippy::panic, reason = "a test may panic")]

mod world;

use laterbase_event::Position;
use laterbase_index::{
    DamageKind, IndexConfig, IndexWriter, MaintainError, OpenError, PendingEntries, ReadError,
};
use laterbase_log::storage::{
    Fault, FaultPlan, FaultyStorage, Fingerprint, LockMode, OpClass, OpenMode, Random, Storage,
    StorageError, StorageFile, StorageLock, StorageOp, Survival,
};
use std::error::Error;
use std::io::IoSlice;
use std::sync::{Arc, LazyLock};
use world::{Log, Model, check_snapshot, tiny_config};

const DIR: &str = "index";
const LOG: Log = Log { seed: 23 };
const STEPS: u64 = 60;
/// Where the log ends.
const END: Position = Position::new(STEPS * 40);

static MODEL: LazyLock<Model> = LazyLock::new(|| Model::upto(LOG, END));

fn config() -> IndexConfig {
    IndexConfig { memtable_bytes: 24 * 400, fan_out: 2, ..tiny_config() }
}

/// Everything an index does, on a storage that may fail at any moment.
fn work(storage: &Arc<dyn Storage>) -> Result<(), Box<dyn Error>> {
    let mut index = IndexWriter::open_or_create(Arc::clone(storage), DIR, config())?;
    let mut pending = PendingEntries::new();
    for step in 1..=STEPS {
        let end = Position::new(step * 40);
        LOG.fill(&mut pending, index.complete_to(), end);
        index.absorb(&mut pending).expect("positions are right");
        index.maintain(500, Position::new(step * 40 - 15))?;
        index.reclaim(|_| step % 3 == 0)?;
        if step == STEPS / 2 {
            index.write_out(end)?;
            index = IndexWriter::open(Arc::clone(storage), DIR, config())?;
        }
    }
    index.write_out(index.complete_to())?;
    Ok(())
}

/// Opens what a crash has left, checks it, and lets it do all its work once more.
fn reopen(storage: &FaultyStorage, seed: u64) -> Result<(), OpenError> {
    let storage: Arc<dyn Storage> = Arc::new(storage.clone());
    let mut index = IndexWriter::open_or_create(Arc::clone(&storage), DIR, config())?;
    let watermark = index.watermark();
    assert!(watermark <= END);
    let mut random = Random::new(seed);
    check(check_snapshot(&index.snapshot(), &MODEL, &mut random, 5))?;
    let mut pending = PendingEntries::new();
    LOG.fill(&mut pending, watermark, END);
    index.absorb(&mut pending).expect("positions are right");
    index.reclaim(|_| true).expect("the storage is in order again");
    index.write_out(END).expect("the storage is in order again");
    check(check_snapshot(&index.snapshot(), &MODEL, &mut random, 5))?;
    let index = IndexWriter::open(storage, DIR, config())?;
    assert_eq!(index.watermark(), END);
    check(check_snapshot(&index.snapshot(), &MODEL, &mut random, 0))
}

fn check(checked: Result<(), ReadError>) -> Result<(), OpenError> {
    checked.map_err(|error| match error {
        ReadError::Damaged(damage) => OpenError::Damaged(damage),
        ReadError::Storage(error) => OpenError::Storage(error),
    })
}

/// How many operations that change something the work takes.
fn mutations() -> u64 {
    let disk = FaultyStorage::new(0);
    work(&(Arc::new(disk.clone()) as Arc<dyn Storage>)).expect("nothing fails");
    disk.counts().mutations
}

/// Cuts the power at the `nth` change of a storage that is wrapped by `wrap`, and looks.
fn crash_at(
    nth: u64,
    survival: Survival,
    wrap: impl Fn(FaultyStorage) -> Arc<dyn Storage>,
) -> Result<(), OpenError> {
    let disk = FaultyStorage::new(nth);
    disk.set_plan(FaultPlan::default().with_nth(OpClass::Mutation, nth, Fault::PowerCut));
    let _ = work(&wrap(disk.clone()));
    reopen(&disk.crash(survival), nth)
}

#[test]
fn a_crash_at_any_change_leaves_an_index_that_is_complete_to_its_watermark() {
    let mut crashes = 0;
    for nth in 1..=mutations() {
        for survival in Survival::ALL {
            let found = crash_at(nth, survival, |disk| Arc::new(disk));
            assert!(found.is_ok(), "power cut at change {nth}, {survival:?}: {found:?}");
            crashes += 1;
        }
    }
    assert!(crashes > 800, "{crashes} crashes");
}

#[test]
fn without_the_sync_of_the_directory_a_crash_loses_runs() {
    assert!(some_crash_is_damage(|disk| Arc::new(Forgetful { disk, op: StorageOp::SyncDir })));
}

#[test]
fn without_the_sync_of_files_a_crash_damages_runs() {
    assert!(some_crash_is_damage(|disk| Arc::new(Forgetful { disk, op: StorageOp::Sync })));
}

fn some_crash_is_damage(wrap: impl Fn(FaultyStorage) -> Arc<dyn Storage> + Copy) -> bool {
    (1..=mutations()).any(|nth| {
        let found = crash_at(nth, Survival::Scattered, wrap);
        matches!(found, Err(OpenError::Damaged(_)))
    })
}

#[test]
fn a_failure_at_any_change_is_reported_and_changes_no_answer() {
    for nth in 1..=mutations() {
        for fault in [Fault::Fail, Fault::Full] {
            let disk = FaultyStorage::new(nth);
            disk.set_plan(FaultPlan::default().with_nth(OpClass::Mutation, nth, fault));
            let storage: Arc<dyn Storage> = Arc::new(disk.clone());
            let failed = work(&storage);
            assert!(failed.is_err(), "{fault:?} at change {nth} goes unnoticed");
            // The process ends, the machine goes on: what was written is seen by the next one.
            let found = reopen(&disk, nth);
            assert!(found.is_ok(), "{fault:?} at change {nth}: {found:?}");
        }
    }
}

#[test]
fn a_failure_does_not_keep_the_index_from_going_on() {
    let (mut went_on, mut stopped) = (0, 0);
    for nth in 5..=80 {
        let disk = FaultyStorage::new(nth);
        let storage: Arc<dyn Storage> = Arc::new(disk.clone());
        let mut index = IndexWriter::create(storage, DIR, config()).expect("nothing fails yet");
        disk.set_plan(FaultPlan::default().with_nth(OpClass::Mutation, nth, Fault::Full));
        let mut random = Random::new(nth);
        let (mut pending, mut failures) = (PendingEntries::new(), 0);
        for step in 1..=STEPS {
            let end = Position::new(step * 40);
            LOG.fill(&mut pending, index.complete_to(), end);
            index.absorb(&mut pending).expect("positions are right");
            failures += u64::from(index.maintain(300, end).is_err());
            let checked = check_snapshot(&index.snapshot(), &MODEL, &mut random, 3);
            checked.expect("reading goes on");
        }
        match index.write_out(END) {
            Ok(()) => {
                assert_eq!(failures, 1, "Full at change {nth}");
                assert_eq!(index.watermark(), END);
                went_on += 1;
            }
            Err(MaintainError::Stopped { cause }) => {
                assert!(matches!(cause.op, StorageOp::Rename | StorageOp::SyncDir), "{cause}");
                stopped += 1;
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(went_on > 0 && stopped > 0, "{went_on} went on, {stopped} stopped");
}

#[test]
fn after_lying_syncs_and_flipped_bits_answers_are_right_or_damage_is_reported() {
    let mut damaged = 0;
    for seed in 0..150 {
        let disk = FaultyStorage::new(seed);
        let lies = FaultPlan::default()
            .with_rate(OpClass::Only(StorageOp::Sync), Fault::Lie, 200_000)
            .with_rate(OpClass::Only(StorageOp::SyncDir), Fault::Lie, 200_000)
            .with_nth(OpClass::Mutation, 20 + seed, Fault::PowerCut);
        disk.set_plan(lies);
        let _ = work(&(Arc::new(disk.clone()) as Arc<dyn Storage>));
        let left = disk.crash(Survival::Scattered);
        if seed % 2 == 0
            && let Ok(names) = left.list(DIR)
        {
            for name in names {
                left.flip_random_bit(&format!("{DIR}/{name}")).expect("the file is there");
            }
        }
        match reopen(&left, seed) {
            Ok(()) => {}
            Err(OpenError::Damaged(damage)) => {
                assert!(damage.file.starts_with("index/"), "{damage}");
                damaged += 1;
                // What the host does then.
                IndexWriter::destroy(&left, DIR).expect("the storage is in order again");
                reopen(&left, seed).expect("a rebuilt index is in order");
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(damaged > 20, "{damaged} of 150");
}

#[test]
fn a_missing_run_is_named() {
    let disk = FaultyStorage::new(1);
    work(&(Arc::new(disk.clone()) as Arc<dyn Storage>)).expect("nothing fails");
    let names = disk.list(DIR).expect("the directory");
    let run = names.iter().rfind(|name| name.ends_with(".run")).expect("there are runs");
    disk.remove(&format!("{DIR}/{run}")).expect("it is there");
    match IndexWriter::open(Arc::new(disk), DIR, config()) {
        Err(OpenError::Damaged(damage)) => {
            assert_eq!((damage.kind, damage.offset), (DamageKind::Missing, 0));
            assert_eq!(damage.file, format!("{DIR}/{run}"));
        }
        other => panic!("{other:?}"),
    }
}

/// A storage that forgets to do one kind of sync: the mutants of these tests.
#[derive(Debug)]
struct Forgetful {
    disk: FaultyStorage,
    op: StorageOp,
}

#[derive(Debug)]
struct ForgetfulFile(Arc<dyn StorageFile>);

impl Storage for Forgetful {
    fn open(&self, path: &str, mode: OpenMode) -> Result<Arc<dyn StorageFile>, StorageError> {
        let file = self.disk.open(path, mode)?;
        Ok(if self.op == StorageOp::Sync { Arc::new(ForgetfulFile(file)) } else { file })
    }
    fn rename(&self, from: &str, to: &str) -> Result<(), StorageError> {
        self.disk.rename(from, to)
    }
    fn remove(&self, path: &str) -> Result<(), StorageError> {
        self.disk.remove(path)
    }
    fn list(&self, dir: &str) -> Result<Vec<String>, StorageError> {
        self.disk.list(dir)
    }
    fn create_dir(&self, path: &str) -> Result<(), StorageError> {
        self.disk.create_dir(path)
    }
    fn remove_dir(&self, path: &str) -> Result<(), StorageError> {
        self.disk.remove_dir(path)
    }
    fn sync_dir(&self, path: &str) -> Result<(), StorageError> {
        if self.op == StorageOp::SyncDir && path == DIR {
            return Ok(());
        }
        self.disk.sync_dir(path)
    }
    fn exists(&self, path: &str) -> Result<bool, StorageError> {
        self.disk.exists(path)
    }
    fn try_lock(
        &self,
        path: &str,
        mode: LockMode,
    ) -> Result<Option<Box<dyn StorageLock>>, StorageError> {
        self.disk.try_lock(path, mode)
    }
    fn fingerprint(&self, path: &str) -> Result<Fingerprint, StorageError> {
        self.disk.fingerprint(path)
    }
}

impl StorageFile for ForgetfulFile {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, StorageError> {
        self.0.read_at(offset, buf)
    }
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        self.0.write_at(offset, bytes)
    }
    fn write_vectored_at(&self, offset: u64, slices: &[IoSlice<'_>]) -> Result<(), StorageError> {
        self.0.write_vectored_at(offset, slices)
    }
    fn len(&self) -> Result<u64, StorageError> {
        self.0.len()
    }
    fn set_len(&self, len: u64) -> Result<(), StorageError> {
        self.0.set_len(len)
    }
    fn sync(&self) -> Result<(), StorageError> {
        Ok(())
    }
    fn block_bytes(&self) -> usize {
        self.0.block_bytes()
    }
}
