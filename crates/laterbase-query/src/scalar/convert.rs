//! Values of one type from values of another one. What says nothing in the other type is absent;
//! a number that the other type cannot hold is a mistake.

use laterbase_lang::{Decimal, Function, Value, literal};
use rust_decimal::prelude::{FromPrimitive as _, ToPrimitive as _};

use super::{Computed, number};
use crate::error::MistakeKind;

const DAY_MICROS: i64 = 86_400_000_000;

pub(super) fn compute(function: Function, arguments: &[Value]) -> Computed {
    let [a] = arguments else { return Err(MistakeKind::Arguments) };
    match function {
        Function::ToInt => to_int(a),
        Function::ToDecimal => to_decimal(a),
        Function::ToFloat => to_float(a),
        Function::ToText => Ok(match a.as_text() {
            Some(_) => a.clone(),
            None => Value::text(&a.to_string()),
        }),
        Function::ToBool => Ok(to_bool(a)),
        Function::ToTime => to_time(a),
        Function::ToDate => to_date(a),
        Function::ToDuration => Ok(to_duration(a)),
        Function::ToId => Ok(to_id(a)),
        Function::ToJson => Ok(a.clone()),
        _ => Err(MistakeKind::Arguments),
    }
}

fn in_range(value: Option<Value>) -> Computed {
    value.ok_or(MistakeKind::OutOfRange)
}

fn to_int(a: &Value) -> Computed {
    match a {
        Value::Decimal(a) => in_range(a.trunc().to_i64().map(Value::Int)),
        Value::Float(a) => in_range(a.trunc().to_i64().map(Value::Int)),
        Value::Text(text) => Ok(text.trim().parse().map(Value::Int).unwrap_or_default()),
        a => Ok(if matches!(a, Value::Int(_)) { a.clone() } else { Value::Null }),
    }
}

fn to_decimal(a: &Value) -> Computed {
    match a {
        Value::Int(a) => Ok(Value::Decimal(Decimal::from(*a))),
        Value::Float(a) => in_range(Decimal::from_f64(*a).map(Value::decimal)),
        Value::Text(text) => {
            Ok(literal::decimal_of(text.trim()).map(Value::decimal).unwrap_or_default())
        }
        a => Ok(if matches!(a, Value::Decimal(_)) { a.clone() } else { Value::Null }),
    }
}

fn to_float(a: &Value) -> Computed {
    if let Value::Text(text) = a {
        let float = text.trim().parse().ok().and_then(Value::float);
        return Ok(float.unwrap_or_default());
    }
    Ok(number::float_of(a).and_then(Value::float).unwrap_or_default())
}

fn to_bool(a: &Value) -> Value {
    match a {
        Value::Text(text) => text.trim().parse().map(Value::Bool).unwrap_or_default(),
        a => {
            if matches!(a, Value::Bool(_)) {
                a.clone()
            } else {
                Value::Null
            }
        }
    }
}

fn to_time(a: &Value) -> Computed {
    match a {
        Value::Text(text) => Ok(literal::time_of(text).map(Value::Time).unwrap_or_default()),
        Value::Date(days) => in_range(i64::from(*days).checked_mul(DAY_MICROS).map(Value::Time)),
        Value::Id(id) => {
            let millis = i64::try_from(id.hlc().millis()).ok();
            in_range(millis.and_then(|millis| millis.checked_mul(1_000)).map(Value::Time))
        }
        a => Ok(if matches!(a, Value::Time(_)) { a.clone() } else { Value::Null }),
    }
}

fn to_date(a: &Value) -> Computed {
    match a {
        Value::Text(text) => Ok(literal::date_of(text).map(Value::Date).unwrap_or_default()),
        Value::Time(micros) => {
            in_range(i32::try_from(micros.div_euclid(DAY_MICROS)).ok().map(Value::Date))
        }
        a => Ok(if matches!(a, Value::Date(_)) { a.clone() } else { Value::Null }),
    }
}

fn to_duration(a: &Value) -> Value {
    match a {
        Value::Text(text) => literal::duration_of(text).map(Value::Duration).unwrap_or_default(),
        a => {
            if matches!(a, Value::Duration(_)) {
                a.clone()
            } else {
                Value::Null
            }
        }
    }
}

fn to_id(a: &Value) -> Value {
    match a {
        Value::Text(text) => text.parse().map(Value::Id).unwrap_or_default(),
        a => {
            if matches!(a, Value::Id(_)) {
                a.clone()
            } else {
                Value::Null
            }
        }
    }
}
