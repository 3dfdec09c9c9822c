//! Values as JSON, and rows as values of a program's types.
//!
//! | value | in JSON |
//! |---|---|
//! | int, float | a number |
//! | decimal | a number with all of its digits |
//! | time, date, duration, id | a text, as in a question: `"2026-03-01T12:00:00Z"`, `"1d12h"` |
//! | bytes | base64 |
//! | period | `{"from": …, "until": …}`, open ends being `null` |
//! | list, set | an array |
//! | record | an object |
//!
//! A float that is infinite is a text, since JSON has no number for it.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use laterbase_lang::{Column, Value, literal};
use laterbase_query::Rows;
use serde::de::DeserializeOwned;
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

use super::error::{AskError, AskFault};

/// A value that is written as JSON.
#[derive(Debug, Clone, Copy)]
pub struct AsJson<'a>(pub &'a Value);

impl Serialize for AsJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(value) => serializer.serialize_bool(*value),
            Value::Int(value) => serializer.serialize_i64(*value),
            Value::Decimal(value) => {
                let number = serde_json::value::RawValue::from_string(value.to_string());
                number.map_err(serde::ser::Error::custom)?.serialize(serializer)
            }
            Value::Float(value) if value.is_finite() => serializer.serialize_f64(*value),
            Value::Float(value) => serializer.collect_str(value),
            Value::Text(value) => serializer.serialize_str(value),
            Value::Bytes(value) => serializer.serialize_str(&STANDARD.encode(value)),
            Value::Time(micros) => serializer.serialize_str(&literal::time_text(*micros)),
            Value::Date(days) => serializer.serialize_str(&literal::date_text(*days)),
            Value::Duration(micros) => serializer.serialize_str(&literal::duration_text(*micros)),
            Value::Id(id) => serializer.collect_str(id),
            Value::Period(from, until) => {
                let mut map = serializer.serialize_map(Some(2))?;
                map.serialize_entry("from", &from.map(literal::time_text))?;
                map.serialize_entry("until", &until.map(literal::time_text))?;
                map.end()
            }
            Value::List(values) | Value::Set(values) => {
                let mut seq = serializer.serialize_seq(Some(values.len()))?;
                values.iter().try_for_each(|value| seq.serialize_element(&AsJson(value)))?;
                seq.end()
            }
            Value::Record(fields) => {
                let mut map = serializer.serialize_map(Some(fields.len()))?;
                fields.iter().try_for_each(|(name, value)| {
                    map.serialize_entry(name.as_ref(), &AsJson(value))
                })?;
                map.end()
            }
        }
    }
}

/// Writes a row as an object of JSON, its fields in the order of the columns.
pub fn write_json_row(columns: &[Column], row: &[Value], out: &mut String) {
    out.push('{');
    for (at, (column, value)) in columns.iter().zip(row).enumerate() {
        let comma = if at == 0 { "" } else { "," };
        let name = serde_json::Value::from(column.name.as_ref());
        // Only what cannot be written fails, and a string takes everything.
        let value = serde_json::to_string(&AsJson(value)).unwrap_or_default();
        out.push_str(&format!("{comma}{name}:{value}"));
    }
    out.push('}');
}

/// A value of JSON, as a parameter: numbers without a fraction are ints, texts stay texts, which
/// fit where a time or an id is wanted.
#[must_use]
pub fn value_of_json(json: &serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(value) => Value::Bool(*value),
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(int) => Value::Int(int),
            None => literal::decimal_of(&number.to_string())
                .map(Value::decimal)
                .or_else(|| number.as_f64().and_then(Value::float))
                .unwrap_or_default(),
        },
        serde_json::Value::String(text) => Value::text(text),
        serde_json::Value::Array(values) => Value::List(values.iter().map(value_of_json).collect()),
        serde_json::Value::Object(fields) => Value::record(
            fields
                .iter()
                .map(|(name, value)| (Arc::from(name.as_str()), value_of_json(value)))
                .collect(),
        ),
    }
}

/// Rows as values of a type: a struct with the columns' names, or a tuple in their order. They are
/// read from their JSON, in which no number has lost a digit.
pub(super) fn rows_as<T: DeserializeOwned>(rows: &Rows) -> Result<Vec<T>, AskError> {
    let mut found = Vec::new();
    let mut text = String::new();
    for (at, row) in rows.iter().enumerate() {
        let values = row.values();
        text.clear();
        write_json_row(rows.columns(), &values, &mut text);
        let read = match serde_json::from_str(&text) {
            Ok(read) => read,
            Err(error) => {
                let cells: Vec<AsJson<'_>> = values.iter().map(AsJson).collect();
                let as_tuple =
                    serde_json::to_string(&cells).and_then(|cells| serde_json::from_str(&cells));
                as_tuple.map_err(|_| AskFault::Row { row: at, reason: reason(&error) })?
            }
        };
        found.push(read);
    }
    Ok(found)
}

/// What is wrong, without where in a text that nobody sees.
fn reason(error: &serde_json::Error) -> String {
    let told = error.to_string();
    told.rsplit_once(" at line ").map_or(told.as_str(), |(told, _)| told).to_owned()
}
