//! Folds: the state of an aggregate, the rows of a view, now and at any past.
//!
//! ```text
//!   aggregate   what programs write: Aggregate, View      event, upcast   what they are given
//!   projection ─▶ engine   rows of one fold over one database  ─▶  rows ─▶ timeline ─▶ apply
//!   moment, page   what is asked          source   where events come from
//!   keep           rows on disk, and those of another version that answer meanwhile
//! ```
//! States are functions of the set of visible events: whatever the order in which these arrived,
//! every replica that holds them has the same rows.

mod aggregate;
mod apply;
mod config;
mod engine;
mod event;
mod keep;
mod moment;
mod page;
mod place;
mod projection;
mod rows;
mod source;
mod timeline;
mod upcast;

pub use aggregate::{Aggregate, ApplyError, Fold, FoldOrder, Streams, View, Viewed};
pub use apply::Failure;
pub use config::FoldConfig;
pub use event::FoldEvent;
pub(crate) use keep::KeptFolds;
pub use keep::{
    KeepError, KeptFileError, KeptNews, KeptPart, KeptStatus, Previous, PreviousError,
    PreviousPage, PreviousRow,
};
pub use moment::Moment;
pub use page::{Changed, Changes, Folded, Keyed, Page, PageCursor, PageRequest};
pub(crate) use place::compare_twins;
pub use projection::{Aggregates, FoldError, Projection, ViewRows};
pub use upcast::Upcasters;
