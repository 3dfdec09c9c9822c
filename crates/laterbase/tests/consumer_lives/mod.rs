//! Lives of a consumer on a disk that fails: reads and writes that err, power that is cut in the
//! middle of one; then the disk is found as the cut left it, and what is given is held against
//! what was promised.
//!
//! Promised: an event that matches is acknowledged, on the list of the dead, or given again; what
//! was acknowledged is never given again; and no attempt is counted that was none.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use laterbase::storage::{Fault, FaultPlan, FaultyStorage, OpClass, Random, StorageOp, Survival};
use laterbase::{Consumer, Database, NewEvent, Position, Rejection, Settlement, Start};

use crate::support::{TestEnvironment, of_ships, quiet};

/// Events of a life, one of three of which does not match.
const EVENTS: u64 = 24;
const STEPS: usize = 30;

/// What a consumer was told, and what it said.
#[derive(Default)]
struct Ledger {
    /// How often each event was given.
    given: BTreeMap<Position, u32>,
    /// What was not settled yet.
    in_hand: BTreeSet<Position>,
    /// What was acknowledged, and confirmed.
    done: BTreeSet<Position>,
    /// What was acknowledged with an error for an answer.
    unsure: BTreeSet<Position>,
}

impl Ledger {
    fn take(&mut self, consumer: &Consumer, max: usize) -> Result<bool, String> {
        let Ok(deliveries) = consumer.fetch(max) else { return Ok(false) };
        for delivery in &deliveries {
            let position = delivery.recorded.position;
            let given = self.given.entry(position).or_default();
            *given += 1;
            if delivery.attempt > *given {
                let attempt = delivery.attempt;
                return Err(format!("{position} is given {given} times, and says {attempt}"));
            }
            if self.done.contains(&position) {
                return Err(format!("{position} was acknowledged, and is given again"));
            }
            self.in_hand.insert(position);
        }
        Ok(!deliveries.is_empty())
    }

    /// Acknowledges and rejects some of what is in hand.
    fn settle(&mut self, consumer: &Consumer, random: &mut Random) -> Result<(), String> {
        let mut settlement = Settlement::default();
        for position in &self.in_hand {
            match random.below(4) {
                0 | 1 => settlement.acknowledge.push(*position),
                2 => settlement
                    .reject
                    .push(Rejection { position: *position, reason: "not now".to_owned() }),
                _ => {}
            }
        }
        let acknowledged = settlement.acknowledge.clone();
        match consumer.settle(&settlement) {
            Ok(settled) if settled.acknowledged < acknowledged.len() => {
                let count = settled.acknowledged;
                return Err(format!("{count} of {acknowledged:?} were open, which were given"));
            }
            Ok(_) => {
                self.in_hand.retain(|position| !acknowledged.contains(position));
                self.unsure.retain(|position| !acknowledged.contains(position));
                self.done.extend(acknowledged);
            }
            Err(_) => self.unsure.extend(acknowledged),
        }
        Ok(())
    }

    /// What is dead was given as often as it says, and is not in hand any more.
    fn count_dead(&mut self, consumer: &Consumer) -> Result<BTreeSet<Position>, String> {
        let letters = consumer.dead_letters().map_err(|error| error.to_string())?;
        for letter in &letters {
            let position = letter.position;
            let given = self.given.get(&position).copied().unwrap_or_default();
            if given < letter.attempts {
                let attempts = letter.attempts;
                return Err(format!("{position} is dead after {attempts}, given {given} times"));
            }
            self.in_hand.remove(&position);
        }
        Ok(letters.iter().map(|letter| letter.position).collect())
    }
}

fn open(disk: &FaultyStorage, clock: &Arc<TestEnvironment>) -> Database {
    Database::open_on(Arc::new(disk.clone()), clock.clone(), quiet()).unwrap()
}

/// A disk with events on it, that have to be read from there; and those that match.
fn recorded(seed: u64, clock: &Arc<TestEnvironment>) -> (FaultyStorage, BTreeSet<Position>) {
    let disk = FaultyStorage::new(seed);
    let db = Database::create_on(Arc::new(disk.clone()), clock.clone(), quiet()).unwrap();
    let mut matching = BTreeSet::new();
    for at in 1..=EVENTS {
        let root = if at % 3 == 0 { "truck" } else { "ship" };
        let mut commit = db.commit();
        commit.push(&NewEvent::new(root, "k", "seen").json(&at).unwrap()).unwrap();
        db.append(&mut commit).unwrap().wait().unwrap();
        if root == "ship" {
            matching.insert(Position::new(at));
        }
    }
    db.close().unwrap();
    (disk, matching)
}

/// Reads that fail now and then, a write that fails, and a power cut in the middle of anything.
fn faults(random: &mut Random) -> FaultPlan {
    let mut plan = FaultPlan::default();
    if random.flip() {
        plan = plan.with_rate(OpClass::Only(StorageOp::Read), Fault::Fail, 200_000);
    }
    for op in [StorageOp::Write, StorageOp::Sync, StorageOp::Rename] {
        plan = plan.with_nth(OpClass::Only(op), random.below(12), Fault::Fail);
    }
    plan.with_nth(OpClass::Mutation, random.below(60), Fault::PowerCut)
}

/// One life; what was broken, if anything was.
pub(crate) fn live(seed: u64) -> Result<(), String> {
    let mut random = Random::new(seed);
    let clock = TestEnvironment::seeded(1_800_000_000_000, seed + 1);
    let (disk, matching) = recorded(seed, &clock);
    let db = open(&disk, &clock);
    disk.set_plan(faults(&mut random));
    let mut ledger = Ledger::default();
    for _ in 0..STEPS {
        if disk.is_off() {
            break;
        }
        let made = db.create_consumer("billing", of_ships(), Start::Beginning);
        let Ok(billing) = made.and_then(|_| db.consumer("billing")) else { continue };
        ledger.take(&billing, 1 + random.index(6))?;
        ledger.count_dead(&billing)?;
        ledger.settle(&billing, &mut random)?;
        clock.advance_ms(400);
    }
    drop(db);
    let found = disk.crash(Survival::random(&mut random));
    let db = open(&found, &clock);
    db.create_consumer("billing", of_ships(), Start::Beginning)
        .map_err(|error| error.to_string())?;
    let billing = db.consumer("billing").map_err(|error| error.to_string())?;
    let mut again = Ledger { given: ledger.given, done: ledger.done, ..Ledger::default() };
    for _ in 0..20 {
        again.take(&billing, 100)?;
        let in_hand: Vec<Position> = std::mem::take(&mut again.in_hand).into_iter().collect();
        billing.acknowledge(&in_hand).map_err(|error| error.to_string())?;
        again.done.extend(in_hand);
        clock.advance_ms(1001);
    }
    let dead = again.count_dead(&billing)?;
    let accounted: BTreeSet<Position> =
        again.done.iter().chain(&dead).chain(&ledger.unsure).copied().collect();
    match matching.difference(&accounted).next() {
        Some(lost) => Err(format!("{lost} is neither done nor dead, and is not given again")),
        None => Ok(()),
    }
}
