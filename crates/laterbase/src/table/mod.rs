//! Tables: rows by key that are made of operations, each an event.
//!
//! ```text
//!   put, delete ─▶ draft: pieces of valid time, one life each ─▶ operation: bytes ─▶ events
//!   events ─▶ operation ─▶ merge: periods, and what each column is in them ─▶ rows
//! ```
//! The operations of table N are events of the root `_table.N`; their key is the row's. What is
//! merged how is told in the [reference](../../../docs/reference/tables.md). Nothing here decides by
//! the order of arrival: equal operations make equal rows.

mod draft;
mod error;
mod handle;
mod merge;
mod operation;
mod read;
#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
mod tests;

use std::sync::Arc;

pub(crate) use draft::RowDraft;
pub use error::TableError;
pub use handle::{DeleteRow, PutRow, Table};
use laterbase_event::RootName;
use laterbase_lang::{Value, operations_root};
pub(crate) use merge::{MergeColumn, MergedRow, merge, superseded};
pub(crate) use operation::{Operation, Reading, hash_of};
pub use read::{RowChange, TableRead, TableRow};

pub(crate) use crate::declared::SchemaHash;

/// The type of the events that put.
pub(crate) const PUT: &str = "put";

/// The type of the events that delete.
pub(crate) const DELETE: &str = "delete";

/// What is done to one column.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Change {
    /// It has this value, or none; the last one wins.
    Set(Value),
    /// This is added to a counter.
    Add(i64),
    /// These become elements of a set.
    Insert(Vec<Value>),
    /// These are elements of a set no more.
    Remove(Vec<Value>),
    /// These are the elements of a set, and no others.
    Replace(Vec<Value>),
}

/// A column, declared or not.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum ColumnName {
    /// A declared one, by its number.
    Number(u32),
    /// One of a lax table that is not declared.
    Member(Arc<str>),
}

/// The root of a table's operations.
pub(crate) fn root_of(table: u32) -> RootName {
    let name = operations_root(table);
    #[expect(clippy::expect_used, reason = "a prefix of 7 letters and up to 10 digits is a name")]
    RootName::try_from(name.as_str()).expect("a root's name")
}

/// The number of the table whose operations are under a root.
pub(crate) fn table_of(root: &str) -> Option<u32> {
    let number: u32 = root.rsplit_once('.')?.1.parse().ok()?;
    // `_table.01`, `_table.+1` and `ship.1` are the roots of no table.
    (operations_root(number) == root).then_some(number)
}
