//! Values: what variables are bound to, and what answers hold.
//!
//! There is one value for one meaning: decimals carry no trailing zeros, sets are sorted and free
//! of repetitions, a number in JSON without a fraction is an integer, and no float is a
//! not-a-number or a negative zero. So equality of values is equality of their parts, and they can
//! be hashed.
//!
//! [`Ord`] is a total order over all kinds, for sorting; what `<` means in a question, where an
//! absent value compares with nothing, is a function of the engine.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use laterbase_event::EventId;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive as _;

/// A value.
#[derive(Debug, Clone, Default)]
pub enum Value {
    /// Nothing: a field that is absent.
    #[default]
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number of 64 bits.
    Int(i64),
    /// An exact number of up to 28 digits, without trailing zeros behind the point.
    Decimal(Decimal),
    /// A number of 64 bits; finite or infinite, never a not-a-number, never a negative zero.
    Float(f64),
    /// Text.
    Text(Arc<str>),
    /// Bytes.
    Bytes(Arc<[u8]>),
    /// A time: microseconds since 1970.
    Time(i64),
    /// A day: days since 1970-01-01.
    Date(i32),
    /// A span of time: microseconds.
    Duration(i64),
    /// The id of an event.
    Id(EventId),
    /// Valid times from the first up to, and without, the second; open ends are absent.
    Period(Option<i64>, Option<i64>),
    /// Values in an order.
    List(Arc<[Value]>),
    /// Different values: ascending, without repetitions.
    Set(Arc<[Value]>),
    /// Values by name: a row of a tree, or an object of JSON. Ascending by name.
    Record(Arc<[(Arc<str>, Value)]>),
}

impl Value {
    /// A text.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self::Text(Arc::from(text))
    }

    /// A decimal in its one form.
    #[must_use]
    pub fn decimal(decimal: Decimal) -> Self {
        Self::Decimal(decimal.normalize())
    }

    /// A float in its one form; `None` for a not-a-number.
    #[must_use]
    pub fn float(float: f64) -> Option<Self> {
        // Adding zero makes a negative zero a positive one.
        (!float.is_nan()).then_some(Self::Float(float + 0.0))
    }

    /// A set of values, in their order and each once.
    #[must_use]
    pub fn set(mut values: Vec<Self>) -> Self {
        values.sort_unstable();
        values.dedup();
        Self::Set(values.into())
    }

    /// A record of fields, in the order of their names; of two with one name the last one stays.
    #[must_use]
    pub fn record(mut fields: Vec<(Arc<str>, Self)>) -> Self {
        fields.sort_by(|a, b| a.0.cmp(&b.0));
        fields.reverse();
        fields.dedup_by(|a, b| a.0 == b.0);
        fields.reverse();
        Self::Record(fields.into())
    }

    /// Whether it is absent.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The text that it is.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// The exact number that it is.
    fn as_decimal(&self) -> Option<Decimal> {
        if let Self::Int(int) = self {
            return Some(Decimal::from(*int));
        }
        if let Self::Decimal(decimal) = self { Some(*decimal) } else { None }
    }

    /// A field of a record; absent if it is no record or has no such field.
    #[must_use]
    pub fn field(&self, name: &str) -> &Self {
        let Self::Record(fields) = self else { return &Self::Null };
        let found = fields.binary_search_by(|(other, _)| other.as_ref().cmp(name));
        found.ok().and_then(|at| fields.get(at)).map_or(&Self::Null, |(_, value)| value)
    }

    /// What kind it is, in words for people.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Decimal(_) => "decimal",
            Self::Float(_) => "float",
            Self::Text(_) => "text",
            Self::Bytes(_) => "bytes",
            Self::Time(_) => "time",
            Self::Date(_) => "date",
            Self::Duration(_) => "duration",
            Self::Id(_) => "id",
            Self::Period(..) => "period",
            Self::List(_) => "list",
            Self::Set(_) => "set",
            Self::Record(_) => "record",
        }
    }

    /// How two numbers compare, whatever their kinds; `None` if one is no number.
    #[must_use]
    pub fn compare_numbers(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => Some(a.cmp(b)),
            (Self::Int(a), Self::Decimal(b)) => Some(Decimal::from(*a).cmp(b)),
            (Self::Decimal(a), Self::Int(b)) => Some(a.cmp(&Decimal::from(*b))),
            (Self::Decimal(a), Self::Decimal(b)) => Some(a.cmp(b)),
            (Self::Float(a), Self::Float(b)) => Some(a.total_cmp(b)),
            (Self::Float(a), Self::Int(_) | Self::Decimal(_)) => compare_float(*a, other),
            (Self::Int(_) | Self::Decimal(_), Self::Float(b)) => {
                compare_float(*b, self).map(Ordering::reverse)
            }
            _ => None,
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Bool(_) => 1,
            Self::Int(_) | Self::Decimal(_) | Self::Float(_) => 2,
            Self::Text(_) => 3,
            Self::Bytes(_) => 4,
            Self::Time(_) => 5,
            Self::Date(_) => 6,
            Self::Duration(_) => 7,
            Self::Id(_) => 8,
            Self::Period(..) => 9,
            Self::List(_) => 10,
            Self::Set(_) => 11,
            Self::Record(_) => 12,
        }
    }

    /// Tells kinds of one rank apart.
    fn kind_rank(&self) -> u8 {
        u8::from(matches!(self, Self::Decimal(_))) + 2 * u8::from(matches!(self, Self::Float(_)))
    }
}

/// Compares a float with an exact number: exactly, as far as the float is within its range.
fn compare_float(float: f64, exact: &Value) -> Option<Ordering> {
    let exact = exact.as_decimal()?;
    match Decimal::from_f64_retain(float) {
        // What a decimal cannot hold of a tiny float is told by its sign.
        Some(near) if near == exact && near.is_zero() => {
            Some(float.partial_cmp(&0.0).unwrap_or(Ordering::Equal))
        }
        Some(near) => Some(near.cmp(&exact)),
        None => float.partial_cmp(&exact.to_f64()?),
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Value {}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Value {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (Self::Bytes(a), Self::Bytes(b)) => a.cmp(b),
            (Self::Time(a), Self::Time(b)) | (Self::Duration(a), Self::Duration(b)) => a.cmp(b),
            (Self::Date(a), Self::Date(b)) => a.cmp(b),
            (Self::Id(a), Self::Id(b)) => a.cmp(b),
            (Self::Period(a, b), Self::Period(c, d)) => {
                a.cmp(c).then_with(|| b.is_none().cmp(&d.is_none())).then_with(|| b.cmp(d))
            }
            (Self::List(a), Self::List(b)) | (Self::Set(a), Self::Set(b)) => a.cmp(b),
            (Self::Record(a), Self::Record(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()).then_with(|| {
                let numbers = self.compare_numbers(other).unwrap_or(Ordering::Equal);
                numbers.then_with(|| self.kind_rank().cmp(&other.kind_rank()))
            }),
        }
    }
}

impl Hash for Value {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.rank(), self.kind_rank()).hash(state);
        match self {
            Self::Null => {}
            Self::Bool(value) => value.hash(state),
            Self::Int(value) | Self::Time(value) | Self::Duration(value) => value.hash(state),
            Self::Decimal(value) => value.hash(state),
            Self::Float(value) => value.to_bits().hash(state),
            Self::Text(value) => value.hash(state),
            Self::Bytes(value) => value.hash(state),
            Self::Date(value) => value.hash(state),
            Self::Id(value) => value.hash(state),
            Self::Period(from, until) => (from, until).hash(state),
            Self::List(values) | Self::Set(values) => values.hash(state),
            Self::Record(fields) => fields.hash(state),
        }
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::text(value)
    }
}

impl From<EventId> for Value {
    fn from(value: EventId) -> Self {
        Self::Id(value)
    }
}

impl fmt::Display for Value {
    /// As it is written in a question, so that it can be read back.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        crate::literal::write_value(f, self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_ordered_by_what_they_say_and_then_by_kind() {
        let decimal = |text: &str| Value::decimal(text.parse().unwrap());
        let mut numbers = [
            Value::Float(1.5),
            decimal("1.50"),
            Value::Int(2),
            Value::Float(f64::INFINITY),
            Value::Int(1),
            Value::Float(1e-40),
            Value::Int(0),
        ];
        numbers.sort();
        let sorted: Vec<String> = numbers.iter().map(|number| format!("{number:?}")).collect();
        assert_eq!(
            sorted,
            [
                "Int(0)",
                "Float(1e-40)",
                "Int(1)",
                "Decimal(1.5)",
                "Float(1.5)",
                "Int(2)",
                "Float(inf)"
            ]
        );
    }

    #[test]
    fn there_is_one_value_for_one_meaning() {
        assert_eq!(
            Value::decimal("1.500".parse().unwrap()),
            Value::decimal("1.5".parse().unwrap())
        );
        assert_eq!(Value::float(-0.0), Some(Value::Float(0.0)));
        assert_eq!(Value::float(f64::NAN), None);
        let set = Value::set(vec![Value::Int(2), Value::Int(1), Value::Int(2)]);
        assert_eq!(set, Value::Set([Value::Int(1), Value::Int(2)].into()));
    }

    #[test]
    fn of_two_fields_with_one_name_the_last_one_stays() {
        let record = Value::record(vec![
            (Arc::from("b"), Value::Int(1)),
            (Arc::from("a"), Value::Int(2)),
            (Arc::from("b"), Value::Int(3)),
        ]);
        assert_eq!((record.field("a"), record.field("b")), (&Value::Int(2), &Value::Int(3)));
        assert_eq!(record.field("c"), &Value::Null);
    }
}
