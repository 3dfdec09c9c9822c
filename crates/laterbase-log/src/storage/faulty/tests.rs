//! What the faulty storage does to those who trust it too much. Each test fails if the fault it is
//! about is not injected, so that a suite built on this storage cannot pass for want of faults.

use super::super::{MemoryStorage, OpenMode, Storage, StorageError, StorageFile, StorageOp};
use super::{Fault, FaultPlan, FaultyStorage, InjectedError, OpClass, Random, Survival};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

const SYNC: OpClass = OpClass::Only(StorageOp::Sync);
const WRITE: OpClass = OpClass::Only(StorageOp::Write);

/// A durable, empty file.
fn durable_file(storage: &FaultyStorage, path: &str) -> Arc<dyn StorageFile> {
    let file = storage.open(path, OpenMode::CREATE).unwrap();
    storage.sync_dir("").unwrap();
    file
}

fn content(storage: &FaultyStorage, path: &str) -> Vec<u8> {
    let file = storage.open(path, OpenMode::READ).unwrap();
    let mut buf = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
    assert_eq!(file.read_at(0, &mut buf).unwrap(), buf.len());
    buf
}

fn injected(outcome: Result<(), StorageError>) -> Option<InjectedError> {
    InjectedError::behind(&outcome.unwrap_err())
}

#[test]
fn what_was_synced_survives_and_what_was_not_may_be_lost() {
    let storage = FaultyStorage::new(1);
    let file = durable_file(&storage, "a");
    file.write_at(0, b"synced").unwrap();
    file.sync().unwrap();
    file.write_at(0, b"UNSYNCED").unwrap();
    let found = storage.crash(Survival::Lost);
    assert_eq!(content(&found, "a"), b"synced");
}

#[test]
fn after_a_power_cut_everything_fails_recognisably() {
    let storage = FaultyStorage::new(1);
    let file = durable_file(&storage, "a");
    storage.power_off();
    assert!(storage.is_off());
    let mut buf = [0];
    let cut = Some(InjectedError::PowerCut);
    assert_eq!(injected(file.read_at(0, &mut buf).map(|_| ())), cut);
    assert_eq!(injected(file.write_at(0, b"x")), cut);
    assert_eq!(injected(file.sync()), cut);
    assert_eq!(injected(storage.open("a", OpenMode::READ).map(|_| ())), cut);
    assert_eq!(injected(storage.sync_dir("")), cut);
    assert!(storage.crash(Survival::Lost).open("a", OpenMode::READ).is_ok());
}

#[test]
fn file_may_vanish_until_its_directory_is_synced() {
    let storage = FaultyStorage::new(1);
    let file = storage.open("a", OpenMode::CREATE).unwrap();
    file.write_at(0, b"x").unwrap();
    file.sync().unwrap();
    let mut random = Random::new(1);
    let found = storage.survivor(Survival::Lost, &mut random);
    assert!(!found.exists("a").unwrap(), "syncing the file does not keep its name");
    storage.sync_dir("").unwrap();
    assert_eq!(content(&storage.crash(Survival::Lost), "a"), b"x");
}

#[test]
fn rename_is_undone_until_its_directory_is_synced_and_never_half_done() {
    let storage = FaultyStorage::new(1);
    for (path, text) in [("new", b"new"), ("old", b"old")] {
        let file = durable_file(&storage, path);
        file.write_at(0, text).unwrap();
        file.sync().unwrap();
    }
    storage.rename("new", "old").unwrap();
    assert_eq!(content(&storage, "old"), b"new");
    let mut random = Random::new(2);
    let mut outcomes = BTreeSet::new();
    for _ in 0..50 {
        let found = storage.survivor(Survival::Scattered, &mut random);
        outcomes.insert((found.exists("new").unwrap(), content(&found, "old")));
    }
    let expected = [(false, b"new".to_vec()), (true, b"old".to_vec())];
    assert_eq!(outcomes, BTreeSet::from(expected));
    storage.sync_dir("").unwrap();
    assert_eq!(content(&storage.crash(Survival::Lost), "old"), b"new");
}

#[test]
fn removed_file_may_be_back_until_its_directory_is_synced() {
    let storage = FaultyStorage::new(1);
    let file = durable_file(&storage, "a");
    file.write_at(0, b"x").unwrap();
    file.sync().unwrap();
    storage.remove("a").unwrap();
    let mut random = Random::new(1);
    assert_eq!(content(&storage.survivor(Survival::Lost, &mut random), "a"), b"x");
    storage.sync_dir("").unwrap();
    assert!(!storage.crash(Survival::Lost).exists("a").unwrap());
}

#[test]
fn directory_that_was_never_synced_vanishes_with_its_files() {
    let storage = FaultyStorage::new(1);
    storage.create_dir("dir").unwrap();
    let file = storage.open("dir/a", OpenMode::CREATE).unwrap();
    file.sync().unwrap();
    storage.sync_dir("dir").unwrap();
    let found = storage.crash(Survival::Lost);
    assert!(!found.exists("dir").unwrap());
}

#[test]
fn move_between_directories_needs_both_synced() {
    let storage = FaultyStorage::new(1);
    storage.create_dir("from").unwrap();
    storage.create_dir("to").unwrap();
    storage.sync_dir("").unwrap();
    storage.open("from/a", OpenMode::CREATE).unwrap();
    storage.sync_dir("from").unwrap();
    storage.rename("from/a", "to/a").unwrap();
    let mut random = Random::new(1);
    storage.sync_dir("to").unwrap();
    let found = storage.survivor(Survival::Lost, &mut random);
    assert!(found.exists("from/a").unwrap() && found.exists("to/a").unwrap());
    storage.sync_dir("from").unwrap();
    let found = storage.crash(Survival::Lost);
    assert!(!found.exists("from/a").unwrap() && found.exists("to/a").unwrap());
}

#[test]
fn failed_write_leaves_any_part_behind() {
    let mut lengths = BTreeSet::new();
    for seed in 0..200 {
        let storage = FaultyStorage::new(seed);
        let file = durable_file(&storage, "a");
        storage.set_plan(FaultPlan::default().with_nth(WRITE, 1, Fault::Fail));
        assert_eq!(injected(file.write_at(0, b"abcd")), Some(InjectedError::Fault));
        lengths.insert(file.len().unwrap());
        assert!(b"abcd".starts_with(&content(&storage, "a")));
    }
    assert_eq!(lengths, BTreeSet::from([0, 1, 2, 3, 4]));
}

#[test]
fn failed_read_is_an_error() {
    let storage = FaultyStorage::new(1);
    let file = durable_file(&storage, "a");
    let class = OpClass::Only(StorageOp::Read);
    storage.set_plan(FaultPlan::default().with_nth(class, 2, Fault::Fail));
    assert!(file.read_at(0, &mut [0; 4]).is_ok());
    assert!(file.read_at(0, &mut [0; 4]).is_err());
    assert!(file.read_at(0, &mut [0; 4]).is_ok());
}

#[test]
fn failed_sync_drops_data_that_is_still_seen_and_the_next_sync_proves_nothing() {
    let storage = FaultyStorage::new(1);
    let file = durable_file(&storage, "a");
    file.write_at(0, &[b'x'; 64 * 512]).unwrap();
    storage.set_plan(FaultPlan::default().with_nth(SYNC, 1, Fault::Fail));
    assert_eq!(injected(file.sync()), Some(InjectedError::Fault));
    file.sync().unwrap();
    assert_eq!(content(&storage, "a"), [b'x'; 64 * 512]);
    assert_ne!(content(&storage.crash(Survival::Lost), "a"), [b'x'; 64 * 512]);
}

#[test]
fn failed_directory_sync_is_an_error_and_the_next_one_proves_nothing() {
    let mut outcomes = BTreeSet::new();
    for seed in 0..50 {
        let storage = FaultyStorage::new(seed);
        storage.open("a", OpenMode::CREATE).unwrap();
        let class = OpClass::Only(StorageOp::SyncDir);
        storage.set_plan(FaultPlan::default().with_nth(class, 1, Fault::Fail));
        assert_eq!(injected(storage.sync_dir("")), Some(InjectedError::Fault));
        storage.sync_dir("").unwrap();
        assert!(storage.exists("a").unwrap());
        outcomes.insert(storage.crash(Survival::Kept).exists("a").unwrap());
    }
    assert_eq!(outcomes, BTreeSet::from([false, true]));
}

#[test]
fn lying_sync_makes_nothing_durable_until_an_honest_one() {
    let storage = FaultyStorage::new(1);
    let file = durable_file(&storage, "a");
    file.write_at(0, b"x").unwrap();
    storage.set_plan(FaultPlan::default().with_nth(SYNC, 1, Fault::Lie));
    file.sync().unwrap();
    let mut random = Random::new(1);
    assert_eq!(content(&storage.survivor(Survival::Lost, &mut random), "a"), b"");
    file.sync().unwrap();
    assert_eq!(content(&storage.crash(Survival::Lost), "a"), b"x");
}

#[test]
fn full_disk_takes_what_fits_and_writing_in_place_needs_no_room() {
    let storage = FaultyStorage::new(1);
    let file = durable_file(&storage, "a");
    storage.set_capacity(Some(10));
    file.write_at(0, b"12345678").unwrap();
    assert!(file.write_at(8, b"90ab").unwrap_err().is_full());
    assert_eq!(storage.used_bytes(), 10);
    assert!(file.set_len(11).unwrap_err().is_full());
    file.write_at(0, b"0987654321").unwrap();
    file.set_len(2).unwrap();
    file.write_at(2, b"12345678").unwrap();
    storage.remove("a").unwrap();
    assert_eq!(storage.used_bytes(), 0);
}

#[test]
fn planned_full_disk_is_reported_as_one() {
    let storage = FaultyStorage::new(1);
    let file = durable_file(&storage, "a");
    storage.set_plan(FaultPlan::default().with_nth(WRITE, 1, Fault::Full));
    assert!(file.write_at(0, b"x").unwrap_err().is_full());
}

#[test]
fn flipped_bit_is_seen_at_once_and_after_a_crash() {
    let storage = FaultyStorage::new(1);
    let file = durable_file(&storage, "a");
    file.write_at(0, &[0; 100]).unwrap();
    file.sync().unwrap();
    let offset = usize::try_from(storage.flip_random_bit("a").unwrap().unwrap()).unwrap();
    let seen = content(&storage, "a");
    assert_eq!(seen[offset].count_ones(), 1);
    assert_eq!(seen.iter().filter(|byte| **byte != 0).count(), 1);
    assert_eq!(content(&storage.crash(Survival::Lost), "a"), seen);
    assert!(storage.flip_bit("b", 0, 0).unwrap_err().is_not_found());
}

#[test]
fn power_may_be_cut_in_the_middle_of_any_mutation() {
    // Create, sync the directory, write, sync: four points to cut at, and then none.
    for point in 1..=5 {
        let storage = FaultyStorage::new(point);
        let plan = FaultPlan::default().with_nth(OpClass::Mutation, point, Fault::PowerCut);
        storage.set_plan(plan);
        let outcome = storage.open("a", OpenMode::CREATE).and_then(|file| {
            storage.sync_dir("")?;
            file.write_at(0, b"x")?;
            file.sync()
        });
        assert_eq!(outcome.is_err(), point <= 4);
        assert_eq!(storage.is_off(), point <= 4);
    }
}

#[test]
fn write_at_the_cut_is_torn_at_a_sector() {
    let mut found_sectors = BTreeSet::new();
    for seed in 0..64 {
        let storage = FaultyStorage::new(seed);
        let file = durable_file(&storage, "a");
        storage.set_plan(FaultPlan::default().with_nth(WRITE, 1, Fault::PowerCut));
        assert_eq!(injected(file.write_at(0, &[1; 2048])), Some(InjectedError::PowerCut));
        let bytes = content(&storage.crash(Survival::Ordered), "a");
        assert_eq!(bytes.len() % 512, 0);
        assert!(bytes.iter().all(|byte| *byte == 1));
        found_sectors.insert(bytes.len() / 512);
    }
    assert_eq!(found_sectors, BTreeSet::from([0, 1, 2, 3, 4]));
}

#[test]
fn delayed_operation_is_done_late() {
    let storage = FaultyStorage::new(1);
    let file = durable_file(&storage, "a");
    let delay = Fault::Delay(Duration::from_millis(20));
    storage.set_plan(FaultPlan::default().with_nth(SYNC, 1, delay));
    let begun = Instant::now();
    file.sync().unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(20));
}

#[test]
fn hanging_operation_waits_to_be_ended_and_is_not_done() {
    let storage = FaultyStorage::new(1);
    let file = durable_file(&storage, "a");
    assert!(!storage.disk().wait_for_hang(Duration::from_millis(1)));
    storage.set_plan(FaultPlan::default().with_nth(SYNC, 1, Fault::Hang));
    file.write_at(0, b"x").unwrap();
    std::thread::scope(|scope| {
        let hanging = scope.spawn(|| file.sync());
        assert!(storage.disk().wait_for_hang(Duration::from_secs(60)));
        assert_eq!(content(&storage, "a"), b"x", "others go on");
        storage.disk().end_hangs();
        assert_eq!(injected(hanging.join().unwrap()), Some(InjectedError::Fault));
    });
    assert_eq!(content(&storage.crash(Survival::Lost), "a"), b"");
}

#[test]
fn operations_are_counted_and_traced() {
    let storage = FaultyStorage::new(1);
    storage.start_trace();
    let file = durable_file(&storage, "a");
    file.write_at(3, b"hello").unwrap();
    file.sync().unwrap();
    file.read_at(0, &mut [0; 16]).unwrap();
    let counts = storage.counts();
    assert_eq!((counts.operations, counts.mutations), (5, 4));
    assert_eq!((counts.reads, counts.read_bytes), (1, 16));
    assert_eq!((counts.writes, counts.write_bytes), (1, 5));
    assert_eq!((counts.syncs, counts.dir_syncs), (1, 1));
    let trace: Vec<String> = storage.trace().iter().map(ToString::to_string).collect();
    let expected = [
        "1 open \"a\"",
        "2 sync the directory \"\"",
        "3 write \"a\" 5 bytes at 3",
        "4 sync \"a\"",
        "5 read \"a\" 16 bytes at 0",
    ];
    assert_eq!(trace, expected);
}

#[test]
fn equal_seeds_give_equal_traces_and_images() {
    let run = |seed: u64| {
        let storage = FaultyStorage::new(seed);
        storage.start_trace();
        let plan = FaultPlan::default().with_rate(OpClass::Any, Fault::Fail, 50_000);
        storage.set_plan(plan.with_rate(OpClass::Any, Fault::PowerCut, 2_000));
        for round in 0..500_u64 {
            let path = format!("{}", round % 7);
            let file = match storage.open(&path, OpenMode::READ_WRITE) {
                Err(_) => storage.open(&path, OpenMode::CREATE),
                found => found,
            };
            let _ = file.and_then(|file| {
                file.write_at(round * 100, &[7; 700])?;
                if round % 3 == 0 { file.sync() } else { storage.sync_dir("") }
            });
        }
        let found = storage.crash(Survival::Scattered);
        let files = found.list("").unwrap();
        let images: Vec<Vec<u8>> = files.iter().map(|path| content(&found, path)).collect();
        (storage.trace(), files, images)
    };
    assert_eq!(run(5), run(5));
    assert_ne!(run(5), run(6));
}

#[test]
fn copies_of_a_storage_hold_equal_bytes_under_other_fingerprints() {
    let faulty = FaultyStorage::new(1);
    let memory = MemoryStorage::new();
    let faulty_copy = || Box::new(faulty.copied_to("simulated")) as Box<dyn Storage>;
    let memory_copy = || Box::new(memory.copied_to("memory")) as Box<dyn Storage>;
    check_copies(&faulty, &faulty_copy);
    check_copies(&memory, &memory_copy);

    let before = faulty.fingerprint("identity").unwrap();
    faulty.sync_dir("").unwrap();
    let found = faulty.crash(Survival::Lost);
    assert_eq!(found.fingerprint("identity").unwrap(), before, "a crash is no copy");
}

fn check_copies(storage: &dyn Storage, copy: &dyn Fn() -> Box<dyn Storage>) {
    let file = storage.open("identity", OpenMode::CREATE).unwrap();
    file.write_at(0, b"who").unwrap();
    let mut fingerprints = vec![storage.fingerprint("identity").unwrap()];
    for _ in 0..2 {
        let copy = copy();
        let mut buf = [0; 3];
        copy.open("identity", OpenMode::READ).unwrap().read_at(0, &mut buf).unwrap();
        assert_eq!(&buf, b"who");
        let fingerprint = copy.fingerprint("identity").unwrap();
        assert!(!fingerprints.contains(&fingerprint), "{fingerprint} twice");
        fingerprints.push(fingerprint);
    }
}
