//! Types: what a variable, a field or an expression may be bound to.

use std::fmt;
use std::sync::Arc;

/// A type. Whether a value may be absent is said beside it, by [`Column::is_optional`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum DataType {
    /// True or false.
    Bool,
    /// A whole number of 64 bits.
    Int,
    /// An exact number of up to 28 digits.
    Decimal,
    /// A number of 64 bits with a binary point.
    Float,
    /// Text.
    Text,
    /// Bytes.
    Bytes,
    /// A moment, to the microsecond.
    Time,
    /// A day.
    Date,
    /// A span of time, to the microsecond.
    Duration,
    /// The id of an event.
    Id,
    /// The key of a stream of a root, or of a row of a table; as text.
    Ref(Arc<str>),
    /// Values in an order.
    List(Arc<DataType>),
    /// Different values.
    Set(Arc<DataType>),
    /// Anything that JSON can say; of which kind shows when it is read.
    Json,
    /// Valid times from one moment up to another.
    Period,
    /// Values by name, in this order.
    Record(Arc<[Column]>),
}

/// A named place for values.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Column {
    /// Its name.
    pub name: Arc<str>,
    /// What stands in it.
    pub data_type: DataType,
    /// Whether nothing may stand in it.
    pub is_optional: bool,
}

impl DataType {
    /// The type with what `target` says in the place of each table that it refers to; a text where
    /// that is nothing.
    pub(crate) fn with_targets(&self, target: &dyn Fn(&Arc<str>) -> Option<Arc<str>>) -> Self {
        match self {
            Self::Ref(to) => target(to).map_or(Self::Text, Self::Ref),
            Self::List(of) => Self::List(Arc::new(of.with_targets(target))),
            Self::Set(of) => Self::Set(Arc::new(of.with_targets(target))),
            Self::Bool
            | Self::Int
            | Self::Decimal
            | Self::Float
            | Self::Text
            | Self::Bytes
            | Self::Time
            | Self::Date
            | Self::Duration
            | Self::Id
            | Self::Json
            | Self::Period
            | Self::Record(_) => self.clone(),
        }
    }

    /// Whether it counts or measures.
    #[must_use]
    pub fn is_number(&self) -> bool {
        matches!(self, Self::Int | Self::Decimal | Self::Float)
    }

    /// What the elements of a list, a set or a value of JSON are.
    #[must_use]
    pub(crate) fn element(&self) -> Option<Arc<Self>> {
        match self {
            Self::List(of) | Self::Set(of) => Some(Arc::clone(of)),
            Self::Json => Some(Arc::new(Self::Json)),
            Self::Bool
            | Self::Int
            | Self::Decimal
            | Self::Float
            | Self::Text
            | Self::Bytes
            | Self::Time
            | Self::Date
            | Self::Duration
            | Self::Id
            | Self::Ref(_)
            | Self::Period
            | Self::Record(_) => None,
        }
    }

    /// The type as values of it are compared: a reference is the text of a key.
    #[must_use]
    pub fn base(&self) -> &Self {
        if let Self::Ref(_) = self { &Self::Text } else { self }
    }
}

impl fmt::Display for DataType {
    /// As it is written in a schema.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool => f.write_str("bool"),
            Self::Int => f.write_str("int"),
            Self::Decimal => f.write_str("decimal"),
            Self::Float => f.write_str("float"),
            Self::Text => f.write_str("text"),
            Self::Bytes => f.write_str("bytes"),
            Self::Time => f.write_str("time"),
            Self::Date => f.write_str("date"),
            Self::Duration => f.write_str("duration"),
            Self::Id => f.write_str("id"),
            Self::Ref(target) => write!(f, "ref {target}"),
            Self::List(of) => write!(f, "list {of}"),
            Self::Set(of) => write!(f, "set {of}"),
            Self::Json => f.write_str("json"),
            Self::Period => f.write_str("period"),
            Self::Record(columns) => {
                f.write_str("{")?;
                for (at, column) in columns.iter().enumerate() {
                    let comma = if at == 0 { "" } else { ", " };
                    write!(f, "{comma}{}: {}", column.name, column.data_type)?;
                }
                f.write_str("}")
            }
        }
    }
}
