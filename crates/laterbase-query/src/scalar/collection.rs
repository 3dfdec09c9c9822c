//! Functions of lists, sets, records and texts as sequences.

use std::sync::Arc;

use laterbase_lang::{Function, Value};

use super::text::bounded;
use super::{Computed, equal};
use crate::error::MistakeKind;

pub(super) fn compute(function: Function, arguments: &[Value]) -> Computed {
    use Function as F;
    match (function, arguments) {
        (F::Concatenate, [a, b]) => concatenate(a, b),
        // A comparison: what is absent is in nothing, and nothing is in what is absent.
        (F::In, [Value::Null, _] | [_, Value::Null]) => Ok(Value::Bool(false)),
        (F::In, [a, b]) => Ok(holds(b, a)),
        (F::Contains, [Value::Text(a), Value::Text(b)]) => Ok(Value::Bool(a.contains(b.as_ref()))),
        (F::Contains, [a, b]) => Ok(holds(a, b)),
        (F::Field, [a, Value::Text(name)]) => Ok(a.field(name).clone()),
        (F::Element, [Value::List(values) | Value::Set(values), Value::Int(index)]) => {
            Ok(element(values, *index))
        }
        (F::Element, [a, Value::Text(name)]) => Ok(a.field(name).clone()),
        (F::Field | F::Element, [_, _]) => Ok(Value::Null),
        (F::Length, [a]) => Ok(length(a)),
        (F::Slice, [a, Value::Int(from)]) => Ok(slice(a, *from, i64::MAX)),
        (F::Slice, [a, Value::Int(from), Value::Int(until)]) => Ok(slice(a, *from, *until)),
        (F::Slice, [_, _] | [_, _, _]) => Ok(Value::Null),
        (F::List, values) => Ok(Value::List(values.into())),
        (F::Record, values) => record(values),
        _ => Err(MistakeKind::Arguments),
    }
}

fn concatenate(a: &Value, b: &Value) -> Computed {
    Ok(match (a, b) {
        (Value::Text(a), Value::Text(b)) => {
            bounded(a.len().saturating_add(b.len()))?;
            Value::Text([a.as_ref(), b.as_ref()].concat().into())
        }
        (Value::Bytes(a), Value::Bytes(b)) => {
            bounded(a.len().saturating_add(b.len()))?;
            Value::Bytes([a.as_ref(), b.as_ref()].concat().into())
        }
        (Value::List(a), Value::List(b)) => {
            bounded(a.len().saturating_add(b.len()))?;
            Value::List([a.as_ref(), b.as_ref()].concat().into())
        }
        _ => Value::Null,
    })
}

fn holds(all: &Value, one: &Value) -> Value {
    match (all, one) {
        (Value::List(values) | Value::Set(values), _) => {
            Value::Bool(values.iter().any(|value| equal(value, one)))
        }
        (Value::Period(from, until), Value::Time(time)) => Value::Bool(
            from.is_none_or(|from| from <= *time) && until.is_none_or(|until| *time < until),
        ),
        _ => Value::Null,
    }
}

fn element(values: &[Value], index: i64) -> Value {
    let from_end = usize::try_from(index.unsigned_abs()).unwrap_or(usize::MAX);
    let at = if index < 0 { values.len().checked_sub(from_end) } else { Some(from_end) };
    at.and_then(|at| values.get(at)).cloned().unwrap_or_default()
}

fn length(a: &Value) -> Value {
    let length = match a {
        Value::Text(text) => text.chars().count(),
        Value::Bytes(bytes) => bytes.len(),
        Value::List(values) | Value::Set(values) => values.len(),
        Value::Record(fields) => fields.len(),
        Value::Null
        | Value::Bool(_)
        | Value::Int(_)
        | Value::Decimal(_)
        | Value::Float(_)
        | Value::Time(_)
        | Value::Date(_)
        | Value::Duration(_)
        | Value::Id(_)
        | Value::Period(..) => return Value::Null,
    };
    i64::try_from(length).map(Value::Int).unwrap_or_default()
}

/// From one place up to, and without, another; nothing where they are the wrong way round.
fn slice(a: &Value, from: i64, until: i64) -> Value {
    let places = |length: usize| {
        let place = |at: i64| {
            let magnitude = usize::try_from(at.unsigned_abs()).unwrap_or(usize::MAX);
            if at < 0 { length.saturating_sub(magnitude) } else { magnitude.min(length) }
        };
        (place(from), place(until).max(place(from)))
    };
    match a {
        Value::Text(text) => {
            let (from, until) = places(text.chars().count());
            let part: String = text.chars().skip(from).take(until - from).collect();
            Value::text(&part)
        }
        Value::List(values) => {
            let (from, until) = places(values.len());
            Value::List(values.get(from..until).unwrap_or_default().into())
        }
        Value::Null
        | Value::Bool(_)
        | Value::Int(_)
        | Value::Decimal(_)
        | Value::Float(_)
        | Value::Bytes(_)
        | Value::Time(_)
        | Value::Date(_)
        | Value::Duration(_)
        | Value::Id(_)
        | Value::Period(..)
        | Value::Set(_)
        | Value::Record(_) => Value::Null,
    }
}

/// Names and values by turns.
fn record(values: &[Value]) -> Computed {
    let (pairs, rest) = values.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(MistakeKind::Arguments);
    }
    let fields: Option<Vec<(Arc<str>, Value)>> = pairs
        .iter()
        .map(|[name, value]| match name {
            Value::Text(name) => Some((name.clone(), value.clone())),
            _ => None,
        })
        .collect();
    fields.map(Value::record).ok_or(MistakeKind::Arguments)
}
