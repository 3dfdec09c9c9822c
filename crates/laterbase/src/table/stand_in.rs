//! Values as CBOR, and the hash of a schema.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use ciborium::Value as Cbor;
use laterbase_event::EventId;
use laterbase_lang::{DataType, Decimal, Value};

/// Names a schema.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SchemaHash(pub(crate) [u8; 8]);

impl fmt::Display for SchemaHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

impl FromStr for SchemaHash {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let is_hex = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let bits = u64::from_str_radix(text, 16).map_err(|_| ())?;
        is_hex.then(|| Self(bits.to_be_bytes())).ok_or(())
    }
}

pub(crate) fn encode_value(value: &Value) -> Cbor {
    match value {
        Value::Null => Cbor::Null,
        Value::Bool(value) => Cbor::from(*value),
        Value::Int(value) | Value::Time(value) | Value::Duration(value) => Cbor::from(*value),
        Value::Decimal(value) => {
            let mantissa = ciborium::value::Integer::try_from(value.mantissa());
            let exponent = Cbor::from(-i64::from(value.scale()));
            let parts = vec![exponent, mantissa.map_or(Cbor::Null, Cbor::Integer)];
            Cbor::Tag(4, Box::new(Cbor::Array(parts)))
        }
        Value::Float(value) => Cbor::from(*value),
        Value::Text(text) => Cbor::from(text.as_ref()),
        Value::Bytes(bytes) => Cbor::Bytes(bytes.to_vec()),
        Value::Date(days) => Cbor::from(*days),
        Value::Id(id) => Cbor::Bytes(id.as_u128().to_be_bytes().to_vec()),
        Value::Period(from, until) => {
            let end = |end: &Option<i64>| end.map_or(Cbor::Null, Cbor::from);
            Cbor::Array(vec![end(from), end(until)])
        }
        Value::List(values) | Value::Set(values) => {
            Cbor::Array(values.iter().map(encode_value).collect())
        }
        Value::Record(fields) => Cbor::Map(
            fields
                .iter()
                .map(|(name, value)| (Cbor::from(name.as_ref()), encode_value(value)))
                .collect(),
        ),
    }
}

pub(crate) fn decode_value(value: &Cbor, as_type: &DataType) -> Value {
    decoded(value, as_type).unwrap_or_default()
}

fn decoded(value: &Cbor, as_type: &DataType) -> Option<Value> {
    let int = || value.as_integer().and_then(|it| i64::try_from(i128::from(it)).ok());
    Some(match as_type {
        DataType::Bool => Value::Bool(value.as_bool()?),
        DataType::Int => Value::Int(int()?),
        DataType::Decimal => decimal(value)?,
        DataType::Float => Value::float(value.as_float()?)?,
        DataType::Text | DataType::Ref(_) => Value::text(value.as_text()?),
        DataType::Bytes => Value::Bytes(value.as_bytes()?.as_slice().into()),
        DataType::Time => Value::Time(int()?),
        DataType::Date => Value::Date(i32::try_from(int()?).ok()?),
        DataType::Duration => Value::Duration(int()?),
        DataType::Id => {
            let bytes: [u8; 16] = value.as_bytes()?.as_slice().try_into().ok()?;
            Value::Id(EventId::from_u128(u128::from_be_bytes(bytes)))
        }
        DataType::List(of) => {
            let values: Option<Vec<Value>> =
                value.as_array()?.iter().map(|value| decoded(value, of)).collect();
            Value::List(values?.into())
        }
        DataType::Set(of) => {
            let values: Option<Vec<Value>> =
                value.as_array()?.iter().map(|value| decoded(value, of)).collect();
            Value::set(values?)
        }
        DataType::Period => {
            let [from, until] = value.as_array()?.as_slice() else { return None };
            let end = |end: &Cbor| match end.as_integer() {
                Some(end) => i64::try_from(i128::from(end)).ok().map(Some),
                None => end.is_null().then_some(None),
            };
            Value::Period(end(from)?, end(until)?)
        }
        DataType::Json | DataType::Record(_) => json(value),
    })
}

fn decimal(value: &Cbor) -> Option<Value> {
    let (4, parts) = value.as_tag()? else { return None };
    let [exponent, mantissa] = parts.as_array()?.as_slice() else { return None };
    let scale = u32::try_from(-i128::from(exponent.as_integer()?)).ok()?;
    let mantissa = i128::from(mantissa.as_integer()?);
    Decimal::try_from_i128_with_scale(mantissa, scale).ok().map(Value::decimal)
}

#[expect(clippy::wildcard_enum_match_arm, reason = "what is not known is nothing")]
fn json(value: &Cbor) -> Value {
    match value {
        Cbor::Integer(number) => i64::try_from(i128::from(*number)).map_or(Value::Null, Value::Int),
        Cbor::Bytes(bytes) => Value::Bytes(bytes.as_slice().into()),
        Cbor::Float(float) => Value::float(*float).unwrap_or_default(),
        Cbor::Text(text) => Value::text(text),
        Cbor::Bool(value) => Value::Bool(*value),
        Cbor::Array(values) => Value::List(values.iter().map(json).collect()),
        Cbor::Map(members) => {
            let member =
                |(name, value): &(Cbor, Cbor)| Some((Arc::from(name.as_text()?), json(value)));
            Value::record(members.iter().filter_map(member).collect())
        }
        Cbor::Tag(4, _) => decimal(value).unwrap_or_default(),
        Cbor::Tag(_, value) => json(value),
        _ => Value::Null,
    }
}
