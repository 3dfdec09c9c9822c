//! Where stored rows come from: the port that a host implements.
//!
//! ```text
//!   engine ── Scan: relation, wanted columns, times, constraints, order, limit ──▶ Data
//!          ◀─ rows of borrowed cells, one call each, until it says stop ──────────
//! ```
//! A source may ignore constraints: the engine checks all of them again. It may not leave out a row
//! that satisfies them, nor answer an event or a row of a table twice.

use std::error::Error;
use std::fmt;
use std::ops::{Bound, ControlFlow};

use laterbase_event::EventId;
use laterbase_lang::plan::{Cut, Stored};
use laterbase_lang::{Decimal, Value};

/// What the engine wants of a stored relation.
#[derive(Debug, Clone, Copy)]
pub struct Scan<'a> {
    /// Which relation.
    pub relation: &'a Stored,
    /// Which of its columns a row's cells are, in this order.
    pub columns: &'a [usize],
    /// Which events are taken into account.
    pub cut: &'a Cut,
    /// Which valid times.
    pub valid: ValidTime,
    /// What must hold of each row.
    pub constraints: &'a [Constraint],
    /// In which order rows are answered; only if [`Data::can_order`] said that they can be.
    pub order: Option<ScanOrder>,
    /// About how many rows will be taken before `take` breaks; a hint.
    pub limit: Option<u64>,
}

/// Which valid times, as microseconds since 1970: [`laterbase_lang::plan::Valid`] with its operands
/// resolved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum ValidTime {
    /// Any.
    #[default]
    Any,
    /// What had happened by a time, or was so at it.
    At(i64),
    /// From the first up to, and without, the second.
    In(Option<i64>, Option<i64>),
}

/// What must hold of a column of each row.
#[derive(Debug, Clone, PartialEq)]
pub struct Constraint {
    /// Which column of the relation.
    pub column: usize,
    /// What it must be.
    pub is: Restriction,
}

/// What a cell must be.
#[derive(Debug, Clone, PartialEq)]
pub enum Restriction {
    /// One of these values.
    OneOf(Vec<Value>),
    /// Between two values, as questions compare: an absent cell is in no range.
    Range(Bound<Value>, Bound<Value>),
    /// A set or a list that holds this value.
    Holds(Value),
}

/// The order of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScanOrder {
    /// Which column of the relation.
    pub column: usize,
    /// The greatest first.
    pub is_descending: bool,
}

/// How a scan went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Scanned {
    /// Rows that were looked at, for people; those that were answered, if nothing else is known.
    pub rows_read: u64,
}

/// Where stored rows come from.
pub trait Data {
    /// Calls `take` with the cells of each row, in the order of [`Scan::columns`], until it breaks.
    ///
    /// # Errors
    ///
    /// Rows cannot be read, or the relation is not known.
    fn scan(
        &self,
        request: &Scan<'_>,
        take: &mut dyn FnMut(&[ValueRef<'_>]) -> ControlFlow<()>,
    ) -> Result<Scanned, DataError>;

    /// About how many rows a scan answers; `None` if nothing is known.
    fn estimate(&self, request: &Scan<'_>) -> Option<u64> {
        let _ = request;
        None
    }

    /// Whether a scan with an equality on `column` added to its constraints reads little more than
    /// the rows that it answers, also where it may be one of up to a thousand values. The engine
    /// then asks for the values that it needs, as many at once as it knows.
    fn can_seek(&self, request: &Scan<'_>, column: usize) -> bool {
        let _ = (request, column);
        false
    }

    /// Whether rows can be answered in [`Scan::order`], which is that of [`Value`], reading little
    /// more than what is taken.
    fn can_order(&self, request: &Scan<'_>) -> bool {
        let _ = request;
        false
    }
}

/// A value whose texts and bytes are the source's.
#[derive(Debug, Clone, Copy)]
pub enum ValueRef<'a> {
    /// Nothing.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// An exact number.
    Decimal(Decimal),
    /// A number with a binary point; a not-a-number counts as nothing.
    Float(f64),
    /// Text.
    Text(&'a str),
    /// Bytes.
    Bytes(&'a [u8]),
    /// Microseconds since 1970.
    Time(i64),
    /// Days since 1970-01-01.
    Date(i32),
    /// Microseconds.
    Duration(i64),
    /// The id of an event.
    Id(EventId),
    /// Valid times.
    Period(Option<i64>, Option<i64>),
    /// Any value.
    Value(&'a Value),
}

impl ValueRef<'_> {
    /// The value, with texts and bytes of its own.
    #[must_use]
    pub fn to_value(self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(value),
            Self::Int(value) => Value::Int(value),
            Self::Decimal(value) => Value::decimal(value),
            Self::Float(value) => Value::float(value).unwrap_or_default(),
            Self::Text(value) => Value::text(value),
            Self::Bytes(value) => Value::Bytes(value.into()),
            Self::Time(value) => Value::Time(value),
            Self::Date(value) => Value::Date(value),
            Self::Duration(value) => Value::Duration(value),
            Self::Id(value) => Value::Id(value),
            Self::Period(from, until) => Value::Period(from, until),
            Self::Value(value) => value.clone(),
        }
    }
}

impl<'a> From<&'a Value> for ValueRef<'a> {
    /// Scalars as they are, so that texts and numbers need no look into the value behind.
    fn from(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Int(value) => Self::Int(*value),
            Value::Decimal(value) => Self::Decimal(*value),
            Value::Float(value) => Self::Float(*value),
            Value::Text(value) => Self::Text(value),
            Value::Bytes(value) => Self::Bytes(value),
            Value::Time(value) => Self::Time(*value),
            Value::Date(value) => Self::Date(*value),
            Value::Duration(value) => Self::Duration(*value),
            Value::Id(value) => Self::Id(*value),
            Value::Period(from, until) => Self::Period(*from, *until),
            Value::List(_) | Value::Set(_) | Value::Record(_) => Self::Value(value),
        }
    }
}

/// Why rows could not be read: an error of the host.
#[derive(Debug)]
pub struct DataError(pub Box<dyn Error + Send + Sync>);

impl fmt::Display for DataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stored rows cannot be read: {}", self.0)
    }
}

impl Error for DataError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(self.0.as_ref())
    }
}

impl Restriction {
    /// Whether a cell is so.
    #[must_use]
    pub fn allows(&self, cell: &Value) -> bool {
        match self {
            Self::OneOf(values) => values.contains(cell),
            Self::Range(from, until) => in_range(cell, from, until),
            Self::Holds(value) => {
                let (Value::List(values) | Value::Set(values)) = cell else { return false };
                values.contains(value)
            }
        }
    }
}

impl fmt::Display for Restriction {
    /// As in an explanation: behind the name of a column.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OneOf(values) => match values.as_slice() {
                [value] => write!(f, "= {value}"),
                values => write!(f, "is one of {} values", values.len()),
            },
            Self::Range(from, until) => {
                match from {
                    Bound::Included(from) => write!(f, "from {from}")?,
                    Bound::Excluded(from) => write!(f, "above {from}")?,
                    Bound::Unbounded => {}
                }
                let space = if matches!(from, Bound::Unbounded) { "" } else { " " };
                match until {
                    Bound::Included(until) => write!(f, "{space}up to {until}"),
                    Bound::Excluded(until) => write!(f, "{space}below {until}"),
                    Bound::Unbounded => Ok(()),
                }
            }
            Self::Holds(value) => write!(f, "holds {value}"),
        }
    }
}

fn in_range(cell: &Value, from: &Bound<Value>, until: &Bound<Value>) -> bool {
    use std::cmp::Ordering::{Equal, Greater, Less};
    let compare = |bound: &Value| crate::scalar::compare(cell, bound);
    let above = match from {
        Bound::Included(bound) => matches!(compare(bound), Some(Greater | Equal)),
        Bound::Excluded(bound) => compare(bound) == Some(Greater),
        Bound::Unbounded => true,
    };
    let below = match until {
        Bound::Included(bound) => matches!(compare(bound), Some(Less | Equal)),
        Bound::Excluded(bound) => compare(bound) == Some(Less),
        Bound::Unbounded => true,
    };
    above && below && !cell.is_null()
}
