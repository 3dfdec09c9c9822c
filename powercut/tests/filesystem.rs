//! The power cut file system does to a program what a power cut does: proven through the kernel,
//! with the program's own storage port on the mount.
//!
//! Each test fails if the fault it is about does not happen: so a campaign on this file system
//! cannot pass for want of cuts. Skipped, and visibly so, where nothing can be mounted.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "what helpers of tests cannot do is a failed test")]

use laterbase_log::storage::{
    AlignedBuffer, BLOCK_BYTES, Fault, FaultPlan, FileStorage, LockMode, OpClass, OpenMode,
    Storage, StorageFile, StorageOp, Survival,
};
use laterbase_powercut::{CutMount, skip};
use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A mounted, empty file system, and the storage port on it.
struct Fixture {
    storage: FileStorage,
    mount: CutMount,
    _dir: TempDir,
}

fn mounted(seed: u64) -> Option<Fixture> {
    let dir = tempfile::tempdir().unwrap();
    match CutMount::new(dir.path(), seed) {
        Ok(mount) => {
            let storage = FileStorage::open(dir.path()).unwrap();
            Some(Fixture { storage, mount, _dir: dir })
        }
        Err(error) => {
            skip(&error.to_string());
            None
        }
    }
}

impl Fixture {
    /// A durable, empty file.
    fn durable_file(&self, path: &str) -> Arc<dyn StorageFile> {
        let file = self.storage.open(path, OpenMode::CREATE).unwrap();
        self.storage.sync_dir("").unwrap();
        file
    }

    fn content(&self, path: &str) -> Vec<u8> {
        std::fs::read(self.mount.dir().join(path)).unwrap()
    }

    fn plan(&self, op: StorageOp, nth: u64, fault: Fault) {
        let plan = FaultPlan::default().with_nth(OpClass::Only(op), nth, fault);
        self.mount.disk().set_plan(plan);
    }
}

#[test]
fn unsynced_data_is_lost_and_synced_data_is_kept() {
    let Some(fixture) = mounted(1) else { return };
    let file = fixture.durable_file("a");
    file.write_at(0, b"synced").unwrap();
    file.sync().unwrap();
    file.write_at(0, b"UNSYNCED").unwrap();
    assert_eq!(fixture.content("a"), b"UNSYNCED");
    fixture.mount.disk().restart(Survival::Lost);
    assert_eq!(fixture.content("a"), b"synced");
    assert_eq!(file.len().unwrap(), 6, "open handles see the surviving file, too");
}

#[test]
fn direct_writes_are_lost_like_others_until_they_are_synced() {
    let Some(fixture) = mounted(1) else { return };
    let file = fixture.storage.open("a", OpenMode::CREATE.with_direct()).unwrap();
    assert_eq!(file.block_bytes(), BLOCK_BYTES, "direct I/O works on this file system");
    fixture.storage.sync_dir("").unwrap();
    let mut buffer = AlignedBuffer::new();
    buffer.resize(3 << 20);
    buffer.fill(1);
    file.write_at(0, &buffer).unwrap();
    file.sync().unwrap();
    buffer.fill(2);
    file.write_at(0, &buffer).unwrap();
    assert!(fixture.content("a").iter().all(|byte| *byte == 2));
    fixture.mount.disk().restart(Survival::Lost);
    let content = fixture.content("a");
    assert!(content.len() == 3 << 20 && content.iter().all(|byte| *byte == 1));
}

#[test]
fn unsynced_sectors_survive_in_any_combination() {
    let Some(fixture) = mounted(1) else { return };
    let mut outcomes = BTreeSet::new();
    for round in 0..20 {
        let path = round.to_string();
        let file = fixture.durable_file(&path);
        file.write_at(0, &[1; 4096]).unwrap();
        file.sync().unwrap();
        file.write_at(0, &[2; 4096]).unwrap();
        fixture.mount.disk().restart(Survival::Scattered);
        let content = fixture.content(&path);
        let sectors: Vec<u8> = content.chunks(512).map(|sector| sector[0]).collect();
        assert!(content.chunks(512).all(|sector| sector.iter().all(|byte| *byte == sector[0])));
        outcomes.insert(sectors);
    }
    assert!(outcomes.len() > 5, "{outcomes:?}");
    assert!(outcomes.iter().any(|sectors| !sectors.is_sorted() && sectors.contains(&1)));
}

#[test]
fn unsynced_directory_changes_are_undone() {
    let Some(fixture) = mounted(1) else { return };
    let storage = &fixture.storage;
    storage.create_dir("dir").unwrap();
    fixture.durable_file("old").write_at(0, b"old").unwrap();
    fixture.durable_file("gone").sync().unwrap();
    storage.open("old", OpenMode::READ_WRITE).unwrap().sync().unwrap();
    storage.rename("old", "new").unwrap();
    storage.remove("gone").unwrap();
    storage.create_dir("unsynced").unwrap();
    storage.open("dir/unsynced", OpenMode::CREATE).unwrap().sync().unwrap();
    assert_eq!(storage.list("").unwrap(), ["dir", "new", "unsynced"]);
    fixture.mount.disk().restart(Survival::Lost);
    assert_eq!(storage.list("").unwrap(), ["dir", "gone", "old"]);
    assert!(storage.list("dir").unwrap().is_empty());
    assert_eq!(fixture.content("old"), b"old");
    assert!(!storage.exists("new").unwrap(), "the kernel remembers no name");

    storage.rename("old", "new").unwrap();
    storage.remove_dir("dir").unwrap();
    storage.sync_dir("").unwrap();
    fixture.mount.disk().restart(Survival::Lost);
    assert_eq!(storage.list("").unwrap(), ["gone", "new"]);
}

#[test]
fn cut_files_stay_cut_once_synced() {
    let Some(fixture) = mounted(1) else { return };
    let file = fixture.durable_file("a");
    file.write_at(0, &[1; 1000]).unwrap();
    file.sync().unwrap();
    file.set_len(10).unwrap();
    fixture.mount.disk().restart(Survival::Lost);
    assert_eq!(fixture.content("a"), [1; 1000]);
    file.set_len(10).unwrap();
    file.sync().unwrap();
    fixture.mount.disk().restart(Survival::Lost);
    assert_eq!(fixture.content("a"), [1; 10]);
}

#[test]
fn power_goes_off_at_the_planned_operation_and_the_driver_hears_of_it() {
    let Some(fixture) = mounted(1) else { return };
    let file = fixture.durable_file("a");
    let disk = fixture.mount.disk();
    assert!(!disk.wait_for_power_cut(Duration::from_millis(1)));
    disk.set_plan(FaultPlan::default().with_nth(OpClass::Mutation, 3, Fault::PowerCut));
    file.write_at(0, b"1").unwrap();
    file.sync().unwrap();
    assert!(file.write_at(0, b"2").is_err());
    assert!(file.sync().is_err(), "nothing works any more");
    assert!(fixture.storage.open("a", OpenMode::READ).is_err());
    assert!(disk.wait_for_power_cut(Duration::from_secs(10)));
    disk.restart(Survival::Lost);
    assert_eq!(fixture.content("a"), b"1");
}

#[test]
fn chosen_calls_fail_lie_and_are_late() {
    let Some(fixture) = mounted(1) else { return };
    let file = fixture.durable_file("a");
    fixture.plan(StorageOp::Sync, 2, Fault::Fail);
    file.write_at(0, b"1").unwrap();
    file.sync().unwrap();
    file.write_at(0, &[2; 64 * 512]).unwrap();
    assert!(file.sync().is_err());
    file.sync().unwrap();
    assert_eq!(fixture.content("a"), [2; 64 * 512], "still seen");
    fixture.mount.disk().restart(Survival::Lost);
    assert_ne!(fixture.content("a"), [2; 64 * 512], "and lost: the second sync proved nothing");

    fixture.plan(StorageOp::Write, 1, Fault::Full);
    assert!(file.write_at(0, b"x").unwrap_err().is_full());
    fixture.plan(StorageOp::SyncDir, 1, Fault::Fail);
    assert!(fixture.storage.sync_dir("").is_err());
    fixture.plan(StorageOp::Rename, 1, Fault::Fail);
    assert!(fixture.storage.rename("a", "b").is_err());
    fixture.plan(StorageOp::Sync, 1, Fault::Delay(Duration::from_millis(50)));
    let begun = Instant::now();
    file.sync().unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(50));

    fixture.plan(StorageOp::Sync, 1, Fault::Lie);
    file.set_len(0).unwrap();
    file.write_at(0, b"lie").unwrap();
    file.sync().unwrap();
    fixture.mount.disk().restart(Survival::Lost);
    assert_ne!(fixture.content("a"), b"lie");
}

#[test]
fn full_disk_is_reported_as_one() {
    let Some(fixture) = mounted(1) else { return };
    let file = fixture.durable_file("a");
    fixture.mount.disk().inspect(|disk, _| disk.set_capacity(Some(1000)));
    file.write_at(0, &[1; 1000]).unwrap();
    assert!(file.write_at(1000, b"x").unwrap_err().is_full());
    file.write_at(0, &[2; 1000]).unwrap();
    assert_eq!(fixture.content("a"), [2; 1000]);
}

#[test]
fn locks_exclude_other_processes_and_end_with_them() {
    let Some(fixture) = mounted(1) else { return };
    let held = fixture.storage.try_lock("LOCK", LockMode::Exclusive).unwrap().unwrap();
    let other = || {
        let mut command = Command::new("flock");
        command.args(["--nonblock", "--no-fork", "--conflict-exit-code", "7"]);
        command.arg(fixture.mount.dir().join("LOCK"));
        command
    };
    let Ok(status) = other().arg("true").status() else {
        return skip("there is no program flock here");
    };
    assert_eq!(status.code(), Some(7));
    drop(held);
    let mut holder = other()
        .args(["sh", "-c", "echo held; exec sleep 60"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut output = std::io::BufReader::new(holder.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut output, &mut line).unwrap();
    assert!(fixture.storage.try_lock("LOCK", LockMode::Shared).unwrap().is_none());
    holder.kill().unwrap();
    holder.wait().unwrap();
    assert!(fixture.storage.try_lock("LOCK", LockMode::Exclusive).unwrap().is_some());
}

#[test]
fn fingerprint_survives_a_power_cut_and_tells_a_copy() {
    let Some(fixture) = mounted(1) else { return };
    let file = fixture.durable_file("identity");
    file.write_at(0, b"who").unwrap();
    file.sync().unwrap();
    std::fs::copy(fixture.mount.dir().join("identity"), fixture.mount.dir().join("copy")).unwrap();
    let before = fixture.storage.fingerprint("identity").unwrap();
    assert_ne!(before, fixture.storage.fingerprint("copy").unwrap());
    fixture.mount.disk().restart(Survival::Lost);
    assert_eq!(before, fixture.storage.fingerprint("identity").unwrap());
}
