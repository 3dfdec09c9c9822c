//! A short scenario with the power cut at every single change, and every kind of survival after it.

use laterbase::storage::{Fault, FaultPlan, OpClass, Random, Survival};

use super::storm::calm;
use super::{Stop, Tally, Violation, World, random_for};

/// How many operations the scenario has.
const OPERATIONS: usize = 40;

/// Cuts the power at each change of a scenario; answers how many there are.
pub fn cut_everywhere(seed: u64, tally: &mut Tally) -> Result<u64, Violation> {
    let mut nth = 1;
    loop {
        let mut world = World::new(seed);
        let outcome = super::guarded(|| cut_at(&mut world, seed, nth));
        tally.merge(&world.tally);
        outcome?;
        if !world.disk.is_off() {
            return Ok(nth - 1);
        }
        nth += 1;
    }
}

fn cut_at(world: &mut World, seed: u64, nth: u64) -> Result<(), Violation> {
    let plan = FaultPlan::default().with_nth(OpClass::Mutation, nth, Fault::PowerCut);
    world.disk.set_plan(plan);
    world.stormy = true;
    let scenario = world.open(0).and_then(|()| world.operate(OPERATIONS));
    match scenario {
        Ok(()) | Err(Stop::Struck) => {}
        Err(Stop::Violation(violation)) => return Err(violation),
    }
    if !world.disk.is_off() {
        return Ok(());
    }
    world.tally.one("power cuts");
    let mut random = random_for(seed, nth);
    for survival in Survival::ALL {
        let disk = world.disk.survivor(survival, &mut random);
        let mut found = world.fork(disk, Random::new(random.next_u64()));
        let outcome = calm(found.open(world.model.flushed).and_then(|()| found.operate(2)));
        world.tally.merge(&found.tally);
        world.tally.one("crash points");
        outcome.map_err(|Violation(text)| {
            Violation(format!("cut at change {nth}, {survival:?}: {text}"))
        })?;
        // Ends without a trace.
        found.kill();
    }
    world.db = None;
    Ok(())
}
