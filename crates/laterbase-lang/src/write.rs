//! What a statement writes, checked: rows to be asked for, and what becomes of each.
//!
//! ```text
//!   put customer{key: c, points: +1} valid at :- sales.placed{customer: c, at}
//!       Write ─ target: the table        rows: ?{c, 1, at} :- sales.placed{customer: c, at}
//!             └ cells: key, points, from    one for each column of the rows, in this order
//! ```
//! What is written is asked for like anything else, so a mutation from a query is carried out once
//! for each different row.

use std::fmt;
use std::sync::Arc;

use crate::data_type::DataType;
use crate::plan::Plan;
use crate::span::Span;
use crate::syntax::MutationKind;
use crate::value::Value;

/// A mutation, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Write {
    /// What it does.
    pub kind: MutationKind,
    /// To what.
    pub target: WriteTarget,
    /// What the columns of the rows are for.
    pub cells: Vec<Cell>,
    /// Asks for the rows: one column for each cell.
    pub rows: Plan,
    /// Where it stands.
    pub span: Span,
}

/// What is written to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriteTarget {
    /// A type of event.
    Event {
        /// Its root.
        root: Arc<str>,
        /// The name under which its events are stored.
        type_name: Arc<str>,
        /// Its number, if it is declared.
        number: Option<u32>,
    },
    /// A table.
    Table {
        /// Its number.
        number: u32,
        /// Its name.
        name: Arc<str>,
    },
}

/// What a column of the rows is for.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    /// Its name, for people.
    pub name: Arc<str>,
    /// Where its value goes.
    pub place: CellPlace,
    /// What is done with it.
    pub change: CellChange,
    /// The type of the field, of the elements where some are added or removed.
    pub data_type: DataType,
    /// Whether it may be absent.
    pub is_optional: bool,
    /// Where it stands.
    pub span: Span,
}

/// Where a value goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CellPlace {
    /// The key of the event's stream, or of the row.
    Key,
    /// The event that it followed from.
    Cause,
    /// What else the event concerns.
    Tags,
    /// A field or a column that is declared, by its number.
    Field(u32),
    /// One that is not, by its name.
    Member,
    /// From when it is so; of an event, when it happened.
    From,
    /// Until when it is so.
    Until,
}

/// What is done with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CellChange {
    /// It stands there from now on.
    Set,
    /// A set whose elements are merged has these and no others from now on.
    Replace,
    /// It is added to a counter.
    Count,
    /// It is put into a set.
    Insert {
        /// Whether it is a list or a set of elements, and not one of them.
        are_many: bool,
    },
    /// It is taken out of a set.
    Remove {
        /// Whether it is a list or a set of elements, and not one of them.
        are_many: bool,
    },
}

/// What a transaction demands, checked.
#[derive(Debug, Clone, PartialEq)]
pub enum Demand {
    /// A version of a stream.
    Version {
        /// Its root.
        root: Arc<str>,
        /// Its key.
        key: Arc<str>,
        /// Which version.
        version: DemandedVersion,
        /// Where it stands.
        span: Span,
    },
    /// Rows, or none.
    Rows {
        /// Whether there must be some.
        is_some: bool,
        /// Asks for them.
        rows: Box<Plan>,
        /// Where it stands.
        span: Span,
    },
}

/// The version that a stream must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DemandedVersion {
    /// No events.
    None,
    /// Any events.
    Exists,
    /// So many events.
    At(u64),
}

impl Cell {
    /// A value as it is written: of the cell's type; `None` if it is of another one, or absent
    /// where something must stand.
    #[must_use]
    pub fn taken(&self, value: &Value) -> Option<Value> {
        if value.is_null() {
            return self.is_optional.then_some(Value::Null);
        }
        crate::check::fitting(value, &self.wanted())
    }

    /// The type of the column.
    #[must_use]
    pub fn wanted(&self) -> DataType {
        match self.change {
            CellChange::Insert { are_many: true } | CellChange::Remove { are_many: true } => {
                DataType::Set(Arc::new(self.data_type.clone()))
            }
            CellChange::Set
            | CellChange::Replace
            | CellChange::Count
            | CellChange::Insert { are_many: false }
            | CellChange::Remove { are_many: false } => self.data_type.clone(),
        }
    }
}

impl fmt::Display for Write {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            MutationKind::Add => f.write_str("add ")?,
            MutationKind::Put => f.write_str("put ")?,
            MutationKind::Delete => f.write_str("delete ")?,
        }
        match &self.target {
            WriteTarget::Event { root, type_name, number: Some(number) } => {
                write!(f, "event {number} of {root}, stored as {type_name}")?;
            }
            WriteTarget::Event { root, type_name, number: None } => {
                write!(f, "{root}.{type_name}, which is not declared")?;
            }
            WriteTarget::Table { number, name } => write!(f, "table {number} {name}")?,
        }
        for (at, cell) in self.cells.iter().enumerate() {
            f.write_str(if at == 0 { ": " } else { ", " })?;
            cell.fmt(f)?;
        }
        write!(f, "\n{}", self.rows)
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            CellPlace::Field(number) => write!(f, "{number} {}", self.name)?,
            CellPlace::From => f.write_str("from")?,
            CellPlace::Until => f.write_str("until")?,
            CellPlace::Key | CellPlace::Cause | CellPlace::Tags | CellPlace::Member => {
                f.write_str(&self.name)?;
            }
        }
        f.write_str(match self.change {
            CellChange::Set => "",
            CellChange::Replace => " has these alone",
            CellChange::Count => " counts",
            CellChange::Insert { are_many: false } => " takes in one",
            CellChange::Insert { are_many: true } => " takes in each of",
            CellChange::Remove { are_many: false } => " loses one",
            CellChange::Remove { are_many: true } => " loses each of",
        })
    }
}

impl fmt::Display for Demand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version { root, key, version, .. } => {
                write!(f, "expect {root} {key:?} ")?;
                match version {
                    DemandedVersion::None => f.write_str("none"),
                    DemandedVersion::Exists => f.write_str("exists"),
                    DemandedVersion::At(count) => write!(f, "at {count}"),
                }
            }
            Self::Rows { is_some, rows, .. } => {
                let word = if *is_some { "some" } else { "none" };
                write!(f, "expect {word}\n{rows}")
            }
        }
    }
}
