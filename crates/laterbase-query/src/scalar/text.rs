//! Functions of texts.

use laterbase_lang::{Function, Value};

use super::{Computed, LENGTH_MAX};
use crate::error::MistakeKind;

pub(super) fn compute(function: Function, arguments: &[Value]) -> Computed {
    use Function as F;
    match (function, arguments) {
        (F::Lower, [Value::Text(a)]) => bounded(a.len()).map(|()| Value::text(&a.to_lowercase())),
        (F::Upper, [Value::Text(a)]) => bounded(a.len()).map(|()| Value::text(&a.to_uppercase())),
        (F::Trim, [Value::Text(a)]) => Ok(Value::text(a.trim())),
        (F::StartsWith, [Value::Text(a), Value::Text(b)]) => {
            Ok(Value::Bool(a.starts_with(b.as_ref())))
        }
        (F::EndsWith, [Value::Text(a), Value::Text(b)]) => Ok(Value::Bool(a.ends_with(b.as_ref()))),
        (F::Replace, [Value::Text(a), Value::Text(from), Value::Text(to)]) => replace(a, from, to),
        (F::Split, [Value::Text(a), Value::Text(separator)]) => Ok(split(a, separator)),
        (F::Join, [Value::List(values) | Value::Set(values), Value::Text(separator)]) => {
            join(values, separator)
        }
        (F::Lower | F::Upper | F::Trim, [_])
        | (F::StartsWith | F::EndsWith | F::Split | F::Join, [_, _])
        | (F::Replace, [_, _, _]) => Ok(Value::Null),
        _ => Err(MistakeKind::Arguments),
    }
}

pub(super) fn bounded(length: usize) -> Result<(), MistakeKind> {
    if length > LENGTH_MAX { Err(MistakeKind::TooLong) } else { Ok(()) }
}

/// An empty `from` occurs nowhere.
fn replace(a: &str, from: &str, to: &str) -> Computed {
    if from.is_empty() {
        return Ok(Value::text(a));
    }
    let count = a.matches(from).count();
    bounded(a.len().saturating_add(count.saturating_mul(to.len())))?;
    Ok(Value::text(&a.replace(from, to)))
}

/// An empty separator stands between all characters.
fn split(a: &str, separator: &str) -> Value {
    if separator.is_empty() {
        let mut buffer = [0; 4];
        return Value::List(
            a.chars().map(|letter| Value::text(letter.encode_utf8(&mut buffer))).collect(),
        );
    }
    Value::List(a.split(separator).map(Value::text).collect())
}

/// Absent elements are left out, others stand as `text(x)` writes them.
fn join(values: &[Value], separator: &str) -> Computed {
    let mut text = String::new();
    let mut is_first = true;
    for value in values.iter().filter(|value| !value.is_null()) {
        if !is_first {
            text.push_str(separator);
        }
        is_first = false;
        match value.as_text() {
            Some(part) => text.push_str(part),
            None => text.push_str(&value.to_string()),
        }
        bounded(text.len())?;
    }
    Ok(Value::text(&text))
}
