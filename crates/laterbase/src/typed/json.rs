//! A value of a declared type from the JSON in which questions answer it; the other way is
//! [`AsJson`](crate::ask::AsJson).

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use laterbase_lang::{DataType, Value, literal};
use serde::Deserialize;
use serde_json::value::RawValue;

/// Reads a value of a type; `None` if it is none. Nothing is a value of each.
pub(super) fn read(text: &str, data_type: &DataType) -> Option<Value> {
    let text = text.trim();
    if text == "null" {
        return Some(Value::Null);
    }
    let string = || serde_json::from_str::<String>(text).ok();
    match data_type {
        DataType::Bool => serde_json::from_str(text).ok().map(Value::Bool),
        DataType::Int => serde_json::from_str(text).ok().map(Value::Int),
        // As the digits stand there, or as a text.
        DataType::Decimal => decimal(&string().unwrap_or_else(|| text.to_owned())),
        DataType::Float => match string() {
            Some(infinite) => infinite.parse().ok().and_then(Value::float),
            None => serde_json::from_str(text).ok().and_then(Value::float),
        },
        DataType::Text | DataType::Ref(_) => string().map(|text| Value::text(&text)),
        DataType::Bytes => STANDARD.decode(string()?).ok().map(|bytes| Value::Bytes(bytes.into())),
        DataType::Time => literal::time_of(&string()?).map(Value::Time),
        DataType::Date => literal::date_of(&string()?).map(Value::Date),
        DataType::Duration => literal::duration_of(&string()?).map(Value::Duration),
        DataType::Id => string()?.parse().ok().map(Value::Id),
        DataType::Period => period(text),
        DataType::List(of) => elements(text, of).map(|values| Value::List(values.into())),
        DataType::Set(of) => elements(text, of).map(Value::set),
        DataType::Json | DataType::Record(_) => any(text),
    }
}

fn decimal(text: &str) -> Option<Value> {
    let plain = literal::decimal_of(text).map(Value::decimal);
    // An exponent is as good as digits where it loses none.
    plain.or_else(|| laterbase_lang::Decimal::from_scientific(text).ok().map(Value::decimal))
}

fn elements(text: &str, of: &DataType) -> Option<Vec<Value>> {
    let elements: Vec<&RawValue> = serde_json::from_str(text).ok()?;
    let read = |element: &&RawValue| read(element.get(), of).filter(|value| !value.is_null());
    elements.iter().map(read).collect()
}

#[derive(Deserialize)]
struct Ends {
    from: Option<String>,
    until: Option<String>,
}

fn period(text: &str) -> Option<Value> {
    let ends: Ends = serde_json::from_str(text).ok()?;
    let time = |end: Option<String>| match end {
        None => Some(None),
        Some(text) => literal::time_of(&text).map(Some),
    };
    Some(Value::Period(time(ends.from)?, time(ends.until)?))
}

/// Whatever it is: numbers exactly, as far as 28 digits go.
fn any(text: &str) -> Option<Value> {
    match text.as_bytes().first()? {
        b'"' => serde_json::from_str::<String>(text).ok().map(|text| Value::text(&text)),
        b'[' => elements_of_any(text),
        b'{' => {
            let fields: BTreeMap<String, &RawValue> = serde_json::from_str(text).ok()?;
            let field = |(name, value): (&String, &&RawValue)| {
                Some((Arc::from(name.as_str()), read(value.get(), &DataType::Json)?))
            };
            fields.iter().map(field).collect::<Option<_>>().map(Value::record)
        }
        b't' | b'f' => serde_json::from_str(text).ok().map(Value::Bool),
        _ => match serde_json::from_str(text) {
            Ok(int) => Some(Value::Int(int)),
            Err(_) => {
                decimal(text).or_else(|| serde_json::from_str(text).ok().and_then(Value::float))
            }
        },
    }
}

fn elements_of_any(text: &str) -> Option<Value> {
    let elements: Vec<&RawValue> = serde_json::from_str(text).ok()?;
    let read = |element: &&RawValue| read(element.get(), &DataType::Json);
    elements.iter().map(read).collect::<Option<Vec<_>>>().map(|values| Value::List(values.into()))
}
