//! Each fault that can be built into the log on purpose breaks a promise that a check here sees.
//!
//! Every test runs its scenario twice: as the log is, where the promise must hold, and with the
//! fault on, where the same check must fail. Run with `--features mutants`.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a test that cannot go on says where"
)]
#![cfg(feature = "mutants")]

mod world;

use laterbase_log::mutant::{self, Mutant};
use laterbase_log::storage::{
    Access, Fault, FaultPlan, FaultyStorage, OpClass, OpenMode, Storage, StorageOp, Survival,
};
use laterbase_log::{LogConfig, OpenError, Sync};
use world::{World, small_config};

/// The promise holds without the fault and is seen broken with it.
fn check(fault: Mutant, promise_holds: fn() -> bool) {
    assert!(promise_holds(), "{fault:?} is off, and the promise is broken");
    assert!(!mutant::with(fault, promise_holds), "{fault:?} is on, and nobody noticed");
}

fn world(seed: u64) -> World {
    let config = LogConfig { direct: false, ..small_config() };
    let mut world = World::on(FaultyStorage::new(seed), config, seed);
    world.create().expect("nothing fails yet");
    world
}

/// Commits so many groups of one commit each; stops at the first failure.
fn flush(world: &mut World, groups: usize) {
    for _ in 0..groups {
        if !world.stage().is_ok_and(|staged| staged) || world.commit(Sync::Flush).is_err() {
            return;
        }
    }
}

/// Cuts the power and says whether the log still has everything that was acknowledged.
fn survives_a_power_cut(world: &mut World) -> bool {
    world.log = None;
    world.storage = world.storage.crash(Survival::Lost);
    recovered(world).is_some_and(|commits| commits >= world.flushed)
}

/// Opens the log and counts its commits; `None` if it does not open.
fn recovered(world: &mut World) -> Option<usize> {
    let database = laterbase_event::DatabaseId::from_bytes(world::DATABASE);
    let config = world.config.clone();
    match laterbase_log::Log::open(world.port(), "log", database, config, 99) {
        Ok(log) => {
            let commits = log.recovery.next_commit.as_u64() - 1;
            world.log = Some(log);
            usize::try_from(commits).ok()
        }
        Err(
            OpenError::Missing { .. } | OpenError::Damaged { .. } | OpenError::HeaderDamaged { .. },
        ) => None,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn group_that_was_not_synced_is_missed_after_a_power_cut() {
    check(Mutant::SkipSync, || {
        let mut world = world(1);
        flush(&mut world, 3);
        survives_a_power_cut(&mut world)
    });
}

#[test]
fn group_that_was_acknowledged_before_its_sync_is_missed_after_a_power_cut() {
    check(Mutant::EarlyAck, || {
        let mut world = world(2);
        flush(&mut world, 3);
        survives_a_power_cut(&mut world)
    });
}

#[test]
fn stale_frames_of_a_recycled_file_never_look_valid() {
    check(Mutant::NoEpoch, || {
        let mut first = world(3);
        flush(&mut first, 6);
        let old = first.storage.open("log/00000001.log", OpenMode::READ).expect("it is there");
        let mut bytes = vec![0; usize::try_from(old.len().expect("len")).expect("small")];
        old.read_at(0, &mut bytes).expect("reads");
        // Another log on the same events, in a file that held the first one.
        let mut second = World::on(FaultyStorage::new(4), first.config.clone(), 3);
        second.salt = 1;
        second.storage.create_dir("log").expect("creates");
        let create = OpenMode { access: Access::Create, direct: false };
        let spare = second.storage.open("log/spare-00000001.log", create).expect("creates");
        spare.write_at(0, &bytes).expect("writes");
        second.create().expect("creates");
        flush(&mut second, 1);
        second.log = None;
        recovered(&mut second) == Some(1)
    });
}

#[test]
fn group_whose_sync_failed_once_is_never_acknowledged() {
    check(Mutant::RetrySync, || {
        let mut world = world(5);
        flush(&mut world, 1);
        let plan = FaultPlan::default().with_nth(OpClass::Only(StorageOp::Sync), 1, Fault::Fail);
        world.storage.set_plan(plan);
        // Many sectors: what the failed sync makes durable by chance is not all of them.
        for _ in 0..12 {
            world.stage().expect("stages");
        }
        flush(&mut world, 1);
        survives_a_power_cut(&mut world)
    });
}

#[test]
fn segment_whose_name_is_not_durable_is_missed_after_a_power_cut() {
    check(Mutant::SkipDirSync, || {
        let mut world = world(6);
        flush(&mut world, 2);
        survives_a_power_cut(&mut world)
    });
}

#[test]
fn what_opening_shows_survives_a_power_cut_though_its_sync_had_failed() {
    check(Mutant::NoResync, || {
        let mut world = world(7);
        flush(&mut world, 1);
        let plan = FaultPlan::default().with_nth(OpClass::Only(StorageOp::Sync), 1, Fault::Fail);
        world.storage.set_plan(plan);
        flush(&mut world, 1);
        // The process ends; the system still shows what it could not write.
        world.log = None;
        world.flushed = recovered(&mut world).expect("opens");
        assert_eq!(world.flushed, 2, "the failed group is shown");
        survives_a_power_cut(&mut world)
    });
}

#[test]
fn damage_before_an_intact_later_group_is_never_taken_for_a_torn_tail() {
    check(Mutant::LaterGroupIsTorn, || {
        let mut world = world(8);
        flush(&mut world, 3);
        world.log = None;
        // The second group stands in the block behind the first.
        world.storage.flip_bit("log/00000001.log", 2 * 4096 + 100, 3).expect("flips");
        match recovered(&mut world) {
            None => true,
            Some(commits) => commits >= world.flushed,
        }
    });
}
