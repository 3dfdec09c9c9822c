//! Questions, answered once.
//!
//! ```text
//!   Plan ─▶ run ─▶ Rows          scalar, aggregate: what functions compute, for every engine
//!            │ ▲                 oracle: a second answer to every plan, for tests
//!       Scan ▼ │ ValueRef
//!            Data
//! ```
//! Left out: parsing and checking (`laterbase-lang`), where stored rows come from (`laterbase`),
//! and time: the host stops a question through [`Cancel`].
#![forbid(unsafe_code)]

pub mod aggregate;
mod check;
mod code;
mod data;
mod demand;
mod engine;
mod error;
mod explain;
mod limits;
mod memory;
pub mod oracle;
mod rows;
pub mod scalar;
mod times;
mod variables;
mod why;

pub use data::{
    Constraint, Data, DataError, Restriction, Scan, ScanOrder, Scanned, ValidTime, ValueRef,
};
pub use engine::{explain, run, run_explained, why};
pub use error::{Budget, Culprit, Exhausted, Mistake, MistakeKind, PlanError, QueryError, Usage};
pub use explain::{ExplainedPart, ExplainedStep, Explanation};
pub use limits::{Cancel, Limits, Never};
pub use memory::MemoryData;
pub use rows::{Row, Rows, RowsIter, RowsPlace};
