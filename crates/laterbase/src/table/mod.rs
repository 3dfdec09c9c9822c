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
mod merge;
mod operation;
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

pub(crate) use crate::declared::SchemaHash;
pub(crate) use draft::{RowDraft, delete, put};
use laterbase_event::RootName;
use laterbase_lang::Value;
pub(crate) use merge::{MergeColumn, MergedRow, merge, superseded};
pub(crate) use operation::{CONTENT_TYPE, Cell, Operation, Reading, RowWrite, hash_of};

/// The type of the events that put.
pub(crate) const PUT: &str = "put";

/// The type of the events that delete.
pub(crate) const DELETE: &str = "delete";

/// What the roots of tables begin with.
const ROOT_PREFIX: &str = "_table.";

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
    let name = format!("{ROOT_PREFIX}{table}");
    #[expect(clippy::expect_used, reason = "a prefix of 7 letters and up to 10 digits is a name")]
    RootName::try_from(name.as_str()).expect("a root's name")
}

/// The number of the table whose operations are under a root.
pub(crate) fn table_of(root: &str) -> Option<u32> {
    let number: u32 = root.strip_prefix(ROOT_PREFIX)?.parse().ok()?;
    // `_table.01` and `_table.+1` are the roots of no table.
    (root_of(number).as_str() == root).then_some(number)
}
