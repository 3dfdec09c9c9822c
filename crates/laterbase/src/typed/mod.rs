//! What modules that `laterbase generate rust` makes stand on: values of Rust as declared fields,
//! events by field number, rows by question, puts as statements.
//!
//! | declared | in Rust |
//! |---|---|
//! | `bool`, `int`, `float` | `bool`, `i64`, `f64` (in a set [`Float`], which has an order) |
//! | `decimal` | [`Decimal`], exact |
//! | `text`, `ref` | `String` |
//! | `bytes` | [`Bytes`] |
//! | `time`, `date` | [`Timestamp`](crate::Timestamp), [`Date`] |
//! | `duration`, `period` | [`Span`], [`Period`] |
//! | `id` | [`EventId`](crate::EventId) |
//! | `list T`, `set T` | `Vec<T>`, `BTreeSet<T>` |
//! | `json` | [`Json`] |
//! | `T?` | `Option<T>` |
//!
//! With serde a field of any of these types is read as questions answer it, without a loss:
//! `#[serde(with = "laterbase::typed")]`.

mod event;
mod json;
mod kinds;
mod put;

use laterbase_lang::{DataType, Value};
use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

pub use event::{EventFields, EventRow, TypedError, event};
pub use kinds::{Bytes, Date, Float, Period, Span};
pub use laterbase_lang::Decimal;
pub use put::{Put, Statement};

use crate::ask::AsJson;

/// A value whose kind shows when it is read: what a `json` field holds.
pub type Json = Value;

/// A type of Rust that is a declared type, too.
pub trait Typed: Sized {
    /// Which one.
    fn data_type() -> DataType;

    /// The value.
    fn to_value(&self) -> Value;

    /// What a value of that type is; `None` if it is of another.
    fn from_value(value: &Value) -> Option<Self>;
}

/// Writes a value as questions answer it.
///
/// # Errors
/// What the serializer fails with.
pub fn serialize<T: Typed, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    AsJson(&value.to_value()).serialize(serializer)
}

/// Reads a value as questions answer it; from JSON, since only that hands on all digits of a
/// number.
///
/// # Errors
/// What the deserializer fails with, and where the value is not of the type.
pub fn deserialize<'de, T: Typed, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    let text = Box::<serde_json::value::RawValue>::deserialize(deserializer)?;
    of_json(text.get())
        .ok_or_else(|| serde::de::Error::custom(format_args!("{text} is no {}", T::data_type())))
}

/// A value from its JSON.
fn of_json<T: Typed>(text: &str) -> Option<T> {
    T::from_value(&json::read(text, &T::data_type())?)
}
