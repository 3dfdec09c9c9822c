//! One run of a seed, and what it came to.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::coverage::Coverage;
use crate::node::{Node, Violation, violation};
use crate::world::{Order, World};

/// The least that a run must have to count.
pub const REPLICAS_MIN: usize = 5;
/// The least number of events of a run that counts.
pub const EVENTS_MIN: u64 = 500;
/// The least number of kinds of fault that have fired in a run that counts.
pub const KINDS_MIN: usize = 3;

/// What a run came to.
#[derive(Clone, Debug)]
pub struct Report {
    /// What was asked for.
    pub order: Order,
    /// Events that were acknowledged.
    pub events: u64,
    /// What was covered.
    pub coverage: Coverage,
    /// What happened.
    pub trace: Vec<String>,
    /// The violation, if there was one.
    pub outcome: Result<(), Violation>,
}

impl Report {
    /// Whether the run is one that counts: enough copies, events and kinds of fault.
    #[must_use]
    pub fn counts(&self) -> bool {
        self.order.replicas >= REPLICAS_MIN
            && self.events >= EVENTS_MIN
            && self.coverage.kinds() >= KINDS_MIN
    }

    /// The end of the trace.
    #[must_use]
    pub fn tail(&self, count: usize) -> &[String] {
        let from = self.trace.len().saturating_sub(count);
        self.trace.get(from..).unwrap_or_default()
    }

    /// The command that runs it again.
    #[must_use]
    pub fn replay(&self, nodes: &str) -> String {
        let Order { seed, replicas, events } = self.order;
        format!(
            "cargo xtask sim --seed {seed} --replicas {replicas} --events {events} --runs 1 \
             --nodes {nodes}"
        )
    }
}

/// Runs a seed; a panic is a violation.
#[must_use]
pub fn run<N: Node>(order: Order) -> Report {
    let mut world = match World::<N>::new(order) {
        Ok(world) => world,
        Err(violation) => {
            let (coverage, trace) = (Coverage::default(), Vec::new());
            return Report { order, events: 0, coverage, trace, outcome: Err(violation) };
        }
    };
    let outcome = catch_unwind(AssertUnwindSafe(|| world.live())).unwrap_or_else(|cause| {
        let text = cause.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| cause.downcast_ref::<&str>().copied());
        Err(violation!("panicked: {}", text.unwrap_or("without a message")))
    });
    Report {
        order,
        events: world.events(),
        coverage: world.coverage().clone(),
        trace: world.trace().lines().to_vec(),
        outcome,
    }
}
