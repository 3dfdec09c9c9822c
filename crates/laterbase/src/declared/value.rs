//! Values of declared fields as CBOR, and back.
//!
//! | type | CBOR |
//! |---|---|
//! | bool, int, text, bytes | as they are |
//! | decimal | tag 4: `[exponent, mantissa]`, without trailing zeros |
//! | float | a float, the shortest that is exactly it |
//! | time, duration | an int: microseconds since 1970, microseconds |
//! | date | an int: days since 1970-01-01 |
//! | id | 16 bytes |
//! | ref | a text |
//! | list | an array |
//! | set | an array, ascending and without repetitions |
//! | period | `[from, until]`, open ends being null |
//! | json | whatever CBOR says; times, durations and ids in it are texts |
//!
//! Maps have their keys in the order of RFC 8949, 4.2.1, so there is one encoding of each value. A
//! decoder takes what others may have written: what does not fit its type is nothing.

use std::sync::Arc;

use ciborium::Value as Cbor;
use laterbase_event::EventId;
use laterbase_lang::{DataType, Decimal, Value, literal};

/// The tag of decimal fractions, RFC 8949, 3.4.4.
const TAG_DECIMAL: u64 = 4;
/// The tag of ints that do not fit 64 bits, RFC 8949, 3.4.3; negative ones have the next.
const TAG_BIG: u64 = 2;
const TAG_BIG_NEGATIVE: u64 = 3;

/// A map of fields by number and members by name.
pub(crate) fn encode_map(fields: &[(u32, Value)], members: &[(Arc<str>, Value)]) -> Vec<u8> {
    let mut fields: Vec<&(u32, Value)> = fields.iter().filter(|(_, it)| !it.is_null()).collect();
    fields.sort_by_key(|(number, _)| *number);
    let mut members: Vec<&(Arc<str>, Value)> = members.iter().collect();
    members.sort_by(|(a, _), (b, _)| key_order(a, b));
    let fields = fields.into_iter().map(|(number, it)| (Cbor::from(*number), encode_value(it)));
    let members = members.into_iter().map(|(name, it)| (Cbor::from(&**name), encode_json(it)));
    let mut payload = Vec::new();
    // Only what cannot be written fails, and a list of bytes takes everything.
    let _ = ciborium::into_writer(&Cbor::Map(fields.chain(members).collect()), &mut payload);
    payload
}

/// Texts as keys: by their encoded bytes, so the shorter one comes first.
fn key_order(a: &str, b: &str) -> std::cmp::Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// A value of a declared field.
pub(crate) fn encode_value(value: &Value) -> Cbor {
    match value {
        Value::Null => Cbor::Null,
        Value::Bool(value) => Cbor::Bool(*value),
        Value::Int(value) | Value::Time(value) | Value::Duration(value) => Cbor::from(*value),
        Value::Decimal(value) => encode_decimal(value),
        Value::Float(value) => Cbor::Float(*value),
        Value::Text(value) => Cbor::from(&**value),
        Value::Bytes(value) => Cbor::from(&**value),
        Value::Date(days) => Cbor::from(*days),
        Value::Id(id) => Cbor::Bytes(id.as_u128().to_be_bytes().to_vec()),
        Value::Period(from, until) => {
            let end = |end: &Option<i64>| end.map_or(Cbor::Null, Cbor::from);
            Cbor::Array(vec![end(from), end(until)])
        }
        Value::List(values) | Value::Set(values) => {
            Cbor::Array(values.iter().map(encode_value).collect())
        }
        Value::Record(_) => encode_json(value),
    }
}

/// A value whose kind shows when it is read.
fn encode_json(value: &Value) -> Cbor {
    match value {
        Value::Time(micros) => Cbor::Text(literal::time_text(*micros)),
        Value::Duration(micros) => Cbor::Text(literal::duration_text(*micros)),
        Value::Date(days) => Cbor::Text(literal::date_text(*days)),
        Value::Id(id) => Cbor::Text(id.to_string()),
        Value::Period(from, until) => {
            let end = |end: &Option<i64>| {
                end.map_or(Cbor::Null, |micros| Cbor::Text(literal::time_text(micros)))
            };
            let ends = [("from", end(from)), ("until", end(until))];
            Cbor::Map(ends.into_iter().map(|(name, end)| (Cbor::from(name), end)).collect())
        }
        Value::List(values) | Value::Set(values) => {
            Cbor::Array(values.iter().map(encode_json).collect())
        }
        Value::Record(fields) => {
            let mut fields: Vec<&(Arc<str>, Value)> = fields.iter().collect();
            fields.sort_by(|(a, _), (b, _)| key_order(a, b));
            let field = |(name, it): &(Arc<str>, Value)| (Cbor::from(&**name), encode_json(it));
            Cbor::Map(fields.into_iter().map(field).collect())
        }
        Value::Null
        | Value::Bool(_)
        | Value::Int(_)
        | Value::Decimal(_)
        | Value::Float(_)
        | Value::Text(_)
        | Value::Bytes(_) => encode_value(value),
    }
}

fn encode_decimal(decimal: &Decimal) -> Cbor {
    let decimal = decimal.normalize();
    let mantissa = decimal.mantissa();
    let mantissa = match (i64::try_from(mantissa), mantissa < 0) {
        (Ok(mantissa), _) => Cbor::from(mantissa),
        // What fits an int of CBOR is one; what is greater is written as its bytes.
        (Err(_), false) => match u64::try_from(mantissa) {
            Ok(mantissa) => Cbor::from(mantissa),
            Err(_) => big(TAG_BIG, mantissa.unsigned_abs()),
        },
        // CBOR's negative ints start at −1.
        (Err(_), true) => match ciborium::value::Integer::try_from(mantissa) {
            Ok(mantissa) => Cbor::Integer(mantissa),
            Err(_) => big(TAG_BIG_NEGATIVE, mantissa.unsigned_abs() - 1),
        },
    };
    let exponent = -i64::from(decimal.scale());
    Cbor::Tag(TAG_DECIMAL, Box::new(Cbor::Array(vec![Cbor::from(exponent), mantissa])))
}

fn big(tag: u64, number: u128) -> Cbor {
    let bytes = number.to_be_bytes();
    let short = bytes.iter().skip_while(|byte| **byte == 0).copied().collect();
    Cbor::Tag(tag, Box::new(Cbor::Bytes(short)))
}

/// A value of a declared type; nothing where it is none.
pub(crate) fn decode_value(value: &Cbor, as_type: &DataType) -> Value {
    decode(value, as_type).unwrap_or_default()
}

fn decode(value: &Cbor, as_type: &DataType) -> Option<Value> {
    match as_type {
        DataType::Bool => value.as_bool().map(Value::Bool),
        DataType::Int => int(value).map(Value::Int),
        DataType::Decimal => decimal(value).map(Value::decimal),
        DataType::Float => value.as_float().and_then(Value::float),
        DataType::Text | DataType::Ref(_) => value.as_text().map(Value::text),
        DataType::Bytes => value.as_bytes().map(|bytes| Value::Bytes(bytes.as_slice().into())),
        DataType::Time => int(value).map(Value::Time),
        DataType::Duration => int(value).map(Value::Duration),
        DataType::Date => i32::try_from(int(value)?).ok().map(Value::Date),
        DataType::Id => {
            let bytes: [u8; 16] = value.as_bytes()?.as_slice().try_into().ok()?;
            Some(Value::Id(EventId::from_u128(u128::from_be_bytes(bytes))))
        }
        DataType::Period => {
            let [from, until] = value.as_array()?.as_slice() else { return None };
            let end = |end: &Cbor| if end.is_null() { Some(None) } else { int(end).map(Some) };
            let (from, until) = (end(from)?, end(until)?);
            let is_some_time = from.zip(until).is_none_or(|(from, until)| from < until);
            is_some_time.then_some(Value::Period(from, until))
        }
        DataType::List(of) => elements(value, of).map(|values| Value::List(values.into())),
        DataType::Set(of) => elements(value, of).map(Value::set),
        DataType::Json | DataType::Record(_) => Some(json_of_cbor(value)),
    }
}

fn elements(value: &Cbor, of: &DataType) -> Option<Vec<Value>> {
    value.as_array()?.iter().map(|value| decode(value, of)).collect()
}

fn int(value: &Cbor) -> Option<i64> {
    value.as_integer().and_then(|number| i64::try_from(i128::from(number)).ok())
}

/// An exact number: a fraction, or an int.
fn decimal(value: &Cbor) -> Option<Decimal> {
    let Cbor::Tag(TAG_DECIMAL, inner) = value else { return int(value).map(Decimal::from) };
    let [exponent, mantissa] = inner.as_array()?.as_slice() else { return None };
    let mantissa = match mantissa.as_tag() {
        Some((TAG_BIG, bytes)) => big_of(bytes)?,
        Some((TAG_BIG_NEGATIVE, bytes)) => -1 - big_of(bytes)?,
        Some(_) => return None,
        None => i128::from(mantissa.as_integer()?),
    };
    let scale = u32::try_from(int(exponent)?.checked_neg()?).ok()?;
    Decimal::try_from_i128_with_scale(mantissa, scale).ok()
}

fn big_of(bytes: &Cbor) -> Option<i128> {
    let bytes = bytes.as_bytes()?;
    if bytes.len() > 15 {
        return None;
    }
    Some(bytes.iter().fold(0, |number, byte| number << 8 | i128::from(*byte)))
}

/// Any value of CBOR: the types that JSON has, exact numbers, and bytes besides.
#[expect(clippy::wildcard_enum_match_arm, reason = "what is not known is nothing")]
pub(crate) fn json_of_cbor(value: &Cbor) -> Value {
    match value {
        Cbor::Integer(number) => match i64::try_from(i128::from(*number)) {
            Ok(int) => Value::Int(int),
            Err(_) => Value::decimal(Decimal::from_i128_with_scale(i128::from(*number), 0)),
        },
        Cbor::Bytes(bytes) => Value::Bytes(bytes.as_slice().into()),
        Cbor::Float(float) => json_of_float(*float),
        Cbor::Text(text) => Value::text(text),
        Cbor::Bool(value) => Value::Bool(*value),
        Cbor::Array(values) => Value::List(values.iter().map(json_of_cbor).collect()),
        Cbor::Map(members) => {
            let member = |(name, value): &(Cbor, Cbor)| {
                // Numbers are names where the schema is not known.
                let name = match name {
                    Cbor::Text(text) => Arc::from(text.as_str()),
                    other => Arc::from(i128::from(other.as_integer()?).to_string()),
                };
                Some((name, json_of_cbor(value)))
            };
            Value::record(members.iter().filter_map(member).collect())
        }
        Cbor::Tag(TAG_DECIMAL, _) => decimal(value).map(Value::decimal).unwrap_or_default(),
        Cbor::Tag(_, value) => json_of_cbor(value),
        _ => Value::Null,
    }
}

/// A number with a fraction or an exponent: exact where 28 digits can say it.
pub(crate) fn json_of_float(float: f64) -> Value {
    // The shortest text that reads back as this number is what was written, up to 17 digits.
    let text = float.to_string();
    match literal::decimal_of(&text) {
        Some(decimal) if decimal.scale() == 0 => {
            i64::try_from(decimal.mantissa()).map_or(Value::decimal(decimal), Value::Int)
        }
        Some(decimal) => Value::decimal(decimal),
        None => Value::float(float).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Value {
        Value::decimal(text.parse().unwrap())
    }

    #[test]
    fn values_come_back_as_they_were() {
        let (int, text) = (DataType::Int, DataType::Text);
        let id: EventId = "01JCZ6V9QYKX3M8T2B4N5P7R6S".parse().unwrap();
        let cases = [
            (Value::Bool(true), DataType::Bool),
            (Value::Int(i64::MIN), int.clone()),
            (number("-12.50"), DataType::Decimal),
            (number("7922816251426433759354395033.5"), DataType::Decimal),
            (number("-79228162514264337593543950335"), DataType::Decimal),
            (number("-18446744073709551615.5"), DataType::Decimal),
            (number("18446744073709551615"), DataType::Decimal),
            (Value::Float(0.1), DataType::Float),
            (Value::Float(f64::NEG_INFINITY), DataType::Float),
            (Value::text("é\0"), text.clone()),
            (Value::Bytes([0, 255].into()), DataType::Bytes),
            (Value::Time(i64::MAX), DataType::Time),
            (Value::Date(-800_000), DataType::Date),
            (Value::Duration(-1), DataType::Duration),
            (Value::Id(id), DataType::Id),
            (Value::text("c1"), DataType::Ref(Arc::from("customer"))),
            (Value::Period(Some(1), None), DataType::Period),
            (Value::List([Value::Int(2), Value::Int(1)].into()), DataType::List(int.into())),
            (Value::set(vec![Value::text("b"), Value::text("a")]), DataType::Set(text.into())),
            (Value::record(vec![(Arc::from("a"), number("1.5"))]), DataType::Json),
        ];
        for (value, data_type) in cases {
            let mut bytes = Vec::new();
            ciborium::into_writer(&encode_value(&value), &mut bytes).unwrap();
            let read: Cbor = ciborium::from_reader(bytes.as_slice()).unwrap();
            assert_eq!(decode_value(&read, &data_type), value, "{value} as {data_type}");
        }
    }

    #[test]
    fn what_does_not_fit_is_nothing() {
        let list = DataType::List(Arc::new(DataType::Int));
        let cases = [
            (Cbor::from(1), DataType::Text),
            (Cbor::from(u64::MAX), DataType::Int),
            (Cbor::from(i64::MAX), DataType::Date),
            (Cbor::Bytes(vec![0; 15]), DataType::Id),
            (Cbor::Array(vec![Cbor::from(2), Cbor::from(1)]), DataType::Period),
            (Cbor::Array(vec![Cbor::from(2), Cbor::from("x")]), list),
            (Cbor::Tag(4, Box::new(Cbor::from(1))), DataType::Decimal),
            (Cbor::Float(f64::NAN), DataType::Float),
        ];
        for (value, data_type) in cases {
            assert_eq!(decode_value(&value, &data_type), Value::Null, "{value:?} as {data_type}");
        }
        let far = Cbor::Array(vec![Cbor::from(i64::MIN), Cbor::from(1)]);
        assert_eq!(decode_value(&Cbor::Tag(4, Box::new(far)), &DataType::Decimal), Value::Null);
    }

    #[test]
    fn there_is_one_payload_for_an_event() {
        let fields = [(10, Value::Int(1)), (2, Value::text("x")), (3, Value::Null)];
        let members = [(Arc::from("aa"), Value::Time(0)), (Arc::from("b"), Value::Bool(true))];
        let payload = encode_map(&fields, &members);
        // {2: "x", 10: 1, "b": true, "aa": "1970-01-01T00:00:00Z"}
        let mut expected = vec![0xa4, 0x02, 0x61, b'x', 0x0a, 0x01, 0x61, b'b', 0xf5, 0x62];
        expected.extend(b"aa\x741970-01-01T00:00:00Z");
        assert_eq!(payload, expected);
    }
}
