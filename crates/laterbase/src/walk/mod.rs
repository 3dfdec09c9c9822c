//! Walks: from a query to the positions of its events, in the order of the answer.
//!
//! ```text
//!   Query ─plan─▶ Source ─candidates, by key─▶ ties ─positions─▶ Events: read, filter, answer
//! ```
//! A walk over the log, or over ascending positions, is in arrival order and needs neither.
//!
//! A [`Source`] offers candidates in the order of the answer: never too few, perhaps too many. Keys
//! are (HLC, 0) in transaction order, (valid time, HLC) in valid order and (position, 0) in arrival
//! order. Events of different replicas may have equal keys; [`ties`] puts those in the order of
//! their ids, so that every replica answers in the same order.

mod address;
mod batches;
mod events;
mod listed;
mod plan;
mod postings;
mod ties;
mod valid;

pub(crate) use address::{Beyond, LogBatches};
pub(crate) use batches::Run;
pub use events::Events;
pub(crate) use events::Walk;
#[cfg(feature = "query")]
pub(crate) use plan::plan_any_of;
pub(crate) use plan::{View, plan, plan_everywhere, plan_scan};
pub(crate) use valid::last_hlc as last_hlc_at;

use laterbase_event::Position;

use crate::read::ReadError;

/// An event that may belong to the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// Where it stands in the order of the answer, up to ties.
    pub(crate) key: (u64, u64),
    /// Which event it is.
    pub(crate) position: Position,
    /// Only if its valid time is its transaction time: the other half of a merge offers the rest.
    pub(crate) default_valid_only: bool,
}

/// Offers candidates in the order of the answer.
pub(crate) trait Source: Send {
    /// The next candidate.
    fn next(&mut self) -> Result<Option<Candidate>, ReadError>;
}

impl Candidate {
    pub(crate) fn new(key: (u64, u64), position: Position) -> Self {
        Self { key, position, default_valid_only: false }
    }
}
