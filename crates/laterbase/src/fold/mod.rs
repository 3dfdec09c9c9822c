//! Folds: the state of an aggregate, the rows of a view, now and at any past.
//!
//! ```text
//!   aggregate   what programs write: Aggregate, View      event, upcast   what they are given
//!   projection  rows of one fold over one database  ─▶  rows ─▶ timeline ─▶ apply
//!   moment, page   what is asked                        source            where events come from
//! ```
//! States are functions of the set of visible events: whatever the order in which these arrived,
//! every replica that holds them has the same rows.

mod aggregate;
mod apply;
mod config;
mod event;
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
pub use moment::Moment;
pub use page::{Changed, Changes, Folded, Keyed, Page, PageCursor, PageRequest};
pub(crate) use place::compare_twins;
pub use projection::{Aggregates, FoldError, Projection, ViewRows};
pub use upcast::Upcasters;
