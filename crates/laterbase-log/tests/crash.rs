//! The log against a model on a faulty disk: random operations, with the power cut at every change.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a test that cannot go on says where"
)]

mod world;

use laterbase_log::OpenError;
use laterbase_log::storage::{Fault, FaultPlan, OpClass, Random, Survival};
use world::{Stop, World, seeds};

const STEPS: usize = 120;

/// Every other world has sealed segments with dictionaries.
fn new_world(seed: u64) -> World {
    let mut world = World::new(seed);
    if seed % 2 == 1 {
        world.repetitive = true;
        world.config.segment_bytes = 128 << 10;
        world.config.cache_bytes = 256 << 10;
    }
    world
}

/// Runs until the end or until the power is cut.
fn run(world: &mut World, steps: usize) -> Result<(), Stop> {
    match world.create() {
        Ok(()) => {}
        Err(OpenError::Storage(_)) => return Err(Stop::Failed),
        Err(error) => panic!("{error}"),
    }
    for _ in 0..steps {
        world.step()?;
    }
    Ok(())
}

#[test]
fn random_operations_match_the_model() {
    for seed in seeds(0, 60) {
        let mut world = new_world(seed);
        run(&mut world, 400).expect("nothing fails");
        world.check_state();
        world.check_all();
        world.verify();
    }
}

/// Power is cut in the middle of the `nth` change; what is left must hold what was acknowledged.
fn cut_at(seed: u64, nth: u64) -> bool {
    let mut world = new_world(seed);
    world.storage.set_plan(FaultPlan::default().with_nth(OpClass::Mutation, nth, Fault::PowerCut));
    let stopped = run(&mut world, STEPS).is_err();
    world.log = None;
    let mut random = Random::new(seed ^ nth << 20);
    for round in 0..3 {
        let flushed = world.flushed;
        world.storage = world.storage.crash(Survival::random(&mut random));
        if round < 2 && random.flip() {
            // The next opening is cut as well.
            let nth = 1 + random.below(6);
            let plan = FaultPlan::default().with_nth(OpClass::Mutation, nth, Fault::PowerCut);
            world.storage.set_plan(plan);
        }
        match world.open(flushed) {
            Ok(()) => {}
            Err(OpenError::Storage(_)) => continue,
            Err(OpenError::Missing { .. }) if flushed == 0 => return stopped,
            Err(error) => panic!("seed {seed}, cut {nth}, round {round}: {error}"),
        }
        for _ in 0..6 {
            if world.step().is_err() {
                break;
            }
        }
        world.log = None;
    }
    stopped
}

#[test]
fn what_was_flushed_survives_a_power_cut_at_every_change() {
    for seed in seeds(100, 20) {
        let mut nth = 1;
        while cut_at(seed, nth) {
            nth += 1;
        }
        assert!(nth > 20, "seed {seed}: only {nth} changes");
    }
}
