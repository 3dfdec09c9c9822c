//! Types of Rust that are declared types: those that there are, and those that there were not.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use laterbase_event::{EventId, Timestamp};
use laterbase_lang::{DataType, Decimal, Value, literal};

use super::Typed;

/// Bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(pub Vec<u8>);

/// A day, as days since 1970-01-01.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(pub i32);

/// A span of time in microseconds, which may be negative.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(pub i64);

/// Valid times from the first up to, and without, the second; open ends are `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period {
    /// The first moment.
    pub from: Option<Timestamp>,
    /// The first moment behind it.
    pub until: Option<Timestamp>,
}

/// A float with a total order, so that it can stand in a set.
#[derive(Debug, Clone, Copy, Default)]
pub struct Float(pub f64);

impl PartialEq for Float {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Float {}

impl PartialOrd for Float {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Float {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&literal::date_text(self.0))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&literal::duration_text(self.0))
    }
}

/// A type whose value is one kind of [`Value`].
macro_rules! typed {
    ($rust:ty, $data_type:expr, $self:ident => $to:expr, $value:pat => $from:expr) => {
        impl Typed for $rust {
            fn data_type() -> DataType {
                $data_type
            }

            fn to_value(&$self) -> Value {
                $to
            }

            fn from_value(value: &Value) -> Option<Self> {
                if let $value = value { Some($from) } else { None }
            }
        }
    };
}

typed!(bool, DataType::Bool, self => Value::Bool(*self), Value::Bool(it) => *it);
typed!(i64, DataType::Int, self => Value::Int(*self), Value::Int(it) => *it);
typed!(Decimal, DataType::Decimal, self => Value::decimal(*self), Value::Decimal(it) => *it);
typed!(f64, DataType::Float, self => float(*self), Value::Float(it) => *it);
typed!(Float, DataType::Float, self => float(self.0), Value::Float(it) => Self(*it));
typed!(String, DataType::Text, self => Value::text(self), Value::Text(it) => it.to_string());
typed!(
    Bytes,
    DataType::Bytes,
    self => Value::Bytes(self.0.as_slice().into()),
    Value::Bytes(it) => Self(it.to_vec())
);
typed!(
    Timestamp,
    DataType::Time,
    self => Value::Time(self.as_micros()),
    Value::Time(it) => Self::from_micros(*it)
);
typed!(Date, DataType::Date, self => Value::Date(self.0), Value::Date(it) => Self(*it));
typed!(Span, DataType::Duration, self => Value::Duration(self.0), Value::Duration(it) => Self(*it));
typed!(EventId, DataType::Id, self => Value::Id(*self), Value::Id(it) => *it);
typed!(
    Period,
    DataType::Period,
    self => {
        let micros = |end: Option<Timestamp>| end.map(Timestamp::as_micros);
        Value::Period(micros(self.from), micros(self.until))
    },
    Value::Period(from, until) => Self {
        from: from.map(Timestamp::from_micros),
        until: until.map(Timestamp::from_micros),
    }
);

/// What is no number is nothing.
fn float(float: f64) -> Value {
    Value::float(float).unwrap_or_default()
}

impl Typed for Value {
    fn data_type() -> DataType {
        DataType::Json
    }

    fn to_value(&self) -> Value {
        self.clone()
    }

    fn from_value(value: &Value) -> Option<Self> {
        Some(value.clone())
    }
}

impl<T: Typed> Typed for Option<T> {
    fn data_type() -> DataType {
        T::data_type()
    }

    fn to_value(&self) -> Value {
        self.as_ref().map_or(Value::Null, T::to_value)
    }

    fn from_value(value: &Value) -> Option<Self> {
        if value.is_null() { Some(None) } else { T::from_value(value).map(Some) }
    }
}

impl<T: Typed> Typed for Vec<T> {
    fn data_type() -> DataType {
        DataType::List(Arc::new(T::data_type()))
    }

    fn to_value(&self) -> Value {
        Value::List(self.iter().map(T::to_value).collect())
    }

    fn from_value(value: &Value) -> Option<Self> {
        let Value::List(values) = value else { return None };
        values.iter().map(T::from_value).collect()
    }
}

impl<T: Typed + Ord> Typed for BTreeSet<T> {
    fn data_type() -> DataType {
        DataType::Set(Arc::new(T::data_type()))
    }

    fn to_value(&self) -> Value {
        Value::set(self.iter().map(T::to_value).collect())
    }

    fn from_value(value: &Value) -> Option<Self> {
        let Value::Set(values) = value else { return None };
        values.iter().map(T::from_value).collect()
    }
}
