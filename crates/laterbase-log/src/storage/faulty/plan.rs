//! Which operations fail, and how: at random with a given rate, or the n-th of their class.
//!
//! The plan only decides; whoever runs the operation acts.

use super::super::error::StorageOp;
use super::Random;
use std::time::Duration;

/// What goes wrong with one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// An input/output error. A write may have been done in part; a sync makes some sectors durable
    /// and drops the rest for good; anything else is not done.
    Fail,
    /// The disk is full: a write may have been done in part; anything else is not done.
    Full,
    /// A sync returns `Ok` and makes nothing durable; nothing happens to other operations.
    Lie,
    /// The power is cut in the middle of the operation, which may have been done or not; it and all
    /// later ones fail.
    PowerCut,
    /// The operation takes this much longer.
    Delay(Duration),
    /// The operation hangs until the disk is told to end that, and then fails without having been
    /// done: for killing a process in the middle of a call.
    Hang,
}

/// A set of operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OpClass {
    /// All operations.
    Any,
    /// Those that change something or make it durable.
    Mutation,
    /// Those of one kind.
    Only(StorageOp),
}

/// An operation as a plan sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PlannedOp {
    /// Its kind.
    pub op: StorageOp,
    /// Does it change something, or make it durable?
    pub mutates: bool,
}

/// Which operations fail, and how.
///
/// ```
/// use laterbase_log::storage::{Fault, FaultPlan, OpClass, StorageOp};
///
/// let plan = FaultPlan::default()
///     .with_rate(OpClass::Only(StorageOp::Read), Fault::Fail, 1_000)
///     .with_nth(OpClass::Only(StorageOp::Sync), 3, Fault::Lie);
/// ```
#[derive(Clone, Debug, Default)]
pub struct FaultPlan {
    rates: Vec<Rate>,
    scheduled: Vec<Scheduled>,
}

#[derive(Clone, Debug)]
struct Rate {
    class: OpClass,
    fault: Fault,
    per_million: u64,
}

#[derive(Clone, Debug)]
struct Scheduled {
    class: OpClass,
    fault: Fault,
    /// How many operations of the class go well before it; `None` once it has happened.
    before: Option<u64>,
}

impl FaultPlan {
    /// The same plan, and `fault` happens to `per_million` of a million operations of `class`.
    #[must_use]
    pub fn with_rate(mut self, class: OpClass, fault: Fault, per_million: u64) -> Self {
        self.rates.push(Rate { class, fault, per_million });
        self
    }

    /// The same plan, and `fault` happens once, to the `nth` operation of `class` from now on,
    /// counted from 1; never for 0.
    #[must_use]
    pub fn with_nth(mut self, class: OpClass, nth: u64, fault: Fault) -> Self {
        self.scheduled.push(Scheduled { class, fault, before: nth.checked_sub(1) });
        self
    }

    /// Counts one operation and says what happens to it; what is scheduled goes before what is
    /// drawn, and what was planned first before the rest.
    pub fn decide(&mut self, op: PlannedOp, random: &mut Random) -> Option<Fault> {
        let mut decided = None;
        for scheduled in self.scheduled.iter_mut().filter(|one| one.class.holds(op)) {
            if scheduled.before == Some(0) {
                decided = decided.or(Some(scheduled.fault));
            }
            scheduled.before = scheduled.before.and_then(|before| before.checked_sub(1));
        }
        for rate in self.rates.iter().filter(|rate| rate.class.holds(op)) {
            if random.chance(rate.per_million, 1_000_000) {
                decided = decided.or(Some(rate.fault));
            }
        }
        decided
    }
}

impl OpClass {
    fn holds(self, op: PlannedOp) -> bool {
        match self {
            Self::Any => true,
            Self::Mutation => op.mutates,
            Self::Only(kind) => kind == op.op,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const READ: PlannedOp = PlannedOp { op: StorageOp::Read, mutates: false };
    const WRITE: PlannedOp = PlannedOp { op: StorageOp::Write, mutates: true };

    #[test]
    fn scheduled_fault_happens_once_to_the_nth_of_its_class() {
        let mut plan = FaultPlan::default().with_nth(OpClass::Mutation, 2, Fault::PowerCut);
        let mut random = Random::new(1);
        let decided: Vec<_> = [WRITE, READ, READ, WRITE, WRITE]
            .iter()
            .map(|op| plan.decide(*op, &mut random))
            .collect();
        assert_eq!(decided, [None, None, None, Some(Fault::PowerCut), None]);
    }

    #[test]
    fn rate_is_met_in_its_class_only() {
        let class = OpClass::Only(StorageOp::Read);
        let mut plan = FaultPlan::default().with_rate(class, Fault::Fail, 100_000);
        let mut random = Random::new(1);
        let failed = (0..10_000).filter(|_| plan.decide(READ, &mut random).is_some()).count();
        assert!((900..1_100).contains(&failed), "{failed}");
        assert!((0..10_000).all(|_| plan.decide(WRITE, &mut random).is_none()));
    }
}
