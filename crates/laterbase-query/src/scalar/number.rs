//! Arithmetic. Numbers of two types, as JSON may hold them, are made the wider one first: an int a
//! decimal, either of them a float.

use laterbase_lang::{Decimal, Function, Value};
use rust_decimal::RoundingStrategy;
use rust_decimal::prelude::ToPrimitive as _;

use super::Computed;
use crate::error::MistakeKind;

const DAY_MICROS: i64 = 86_400_000_000;

pub(super) fn arithmetic(function: Function, arguments: &[Value]) -> Computed {
    if function == Function::Negate {
        let [a] = arguments else { return Err(MistakeKind::Arguments) };
        return negate(a);
    }
    let [a, b] = arguments else { return Err(MistakeKind::Arguments) };
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => ints(function, *a, *b).map(Value::Int),
        (Value::Decimal(a), Value::Decimal(b)) => decimals(function, *a, *b),
        (Value::Int(a), Value::Decimal(b)) => decimals(function, Decimal::from(*a), *b),
        (Value::Decimal(a), Value::Int(b)) => decimals(function, *a, Decimal::from(*b)),
        (Value::Float(a), b) => with_float(function, Some(*a), float_of(b)),
        (a, Value::Float(b)) => with_float(function, float_of(a), Some(*b)),
        _ => moments(function, a, b),
    }
}

/// A number as a float; nothing for what is no number.
pub(super) fn float_of(value: &Value) -> Option<f64> {
    match value {
        Value::Int(value) => value.to_f64(),
        Value::Decimal(value) => value.to_f64(),
        Value::Float(value) => Some(*value),
        Value::Null
        | Value::Bool(_)
        | Value::Text(_)
        | Value::Bytes(_)
        | Value::Time(_)
        | Value::Date(_)
        | Value::Duration(_)
        | Value::Id(_)
        | Value::Period(..)
        | Value::List(_)
        | Value::Set(_)
        | Value::Record(_) => None,
    }
}

fn in_range<T>(result: Option<T>) -> Result<T, MistakeKind> {
    result.ok_or(MistakeKind::OutOfRange)
}

fn negate(a: &Value) -> Computed {
    Ok(match a {
        Value::Int(a) => Value::Int(in_range(a.checked_neg())?),
        Value::Decimal(a) => Value::decimal(-*a),
        Value::Float(a) => Value::float(-a).unwrap_or_default(),
        Value::Duration(a) => Value::Duration(in_range(a.checked_neg())?),
        Value::Null
        | Value::Bool(_)
        | Value::Text(_)
        | Value::Bytes(_)
        | Value::Time(_)
        | Value::Date(_)
        | Value::Id(_)
        | Value::Period(..)
        | Value::List(_)
        | Value::Set(_)
        | Value::Record(_) => Value::Null,
    })
}

fn ints(function: Function, a: i64, b: i64) -> Result<i64, MistakeKind> {
    let divides = matches!(function, Function::Divide | Function::Remainder);
    if divides && b == 0 {
        return Err(MistakeKind::DivisionByZero);
    }
    match function {
        Function::Add => in_range(a.checked_add(b)),
        Function::Subtract => in_range(a.checked_sub(b)),
        Function::Multiply => in_range(a.checked_mul(b)),
        Function::Divide => in_range(a.checked_div(b)),
        Function::Remainder => Ok(a.wrapping_rem(b)),
        _ => Err(MistakeKind::Arguments),
    }
}

fn decimals(function: Function, a: Decimal, b: Decimal) -> Computed {
    let divides = matches!(function, Function::Divide | Function::Remainder);
    if divides && b.is_zero() {
        return Err(MistakeKind::DivisionByZero);
    }
    let result = match function {
        Function::Add => a.checked_add(b),
        Function::Subtract => a.checked_sub(b),
        Function::Multiply => a.checked_mul(b),
        Function::Divide => a.checked_div(b),
        Function::Remainder => a.checked_rem(b),
        _ => return Err(MistakeKind::Arguments),
    };
    in_range(result).map(Value::decimal)
}

fn with_float(function: Function, a: Option<f64>, b: Option<f64>) -> Computed {
    let (Some(a), Some(b)) = (a, b) else { return Ok(Value::Null) };
    let divides = matches!(function, Function::Divide | Function::Remainder);
    if divides && b == 0.0 {
        return Err(MistakeKind::DivisionByZero);
    }
    let result = match function {
        Function::Add => a + b,
        Function::Subtract => a - b,
        Function::Multiply => a * b,
        Function::Divide => a / b,
        Function::Remainder => a % b,
        _ => return Err(MistakeKind::Arguments),
    };
    in_range(Value::float(result))
}

/// Times, dates and durations.
fn moments(function: Function, a: &Value, b: &Value) -> Computed {
    use Function::{Add, Divide, Multiply, Remainder, Subtract};
    use Value::{Date, Duration, Int, Null, Time};
    Ok(match (function, a, b) {
        (Add, Time(a), Duration(b)) | (Add, Duration(b), Time(a)) => {
            Time(in_range(a.checked_add(*b))?)
        }
        (Subtract, Time(a), Duration(b)) => Time(in_range(a.checked_sub(*b))?),
        (Subtract, Time(a), Time(b)) => Duration(in_range(a.checked_sub(*b))?),
        (Add, Date(a), Duration(b)) | (Add, Duration(b), Date(a)) => {
            Date(in_range(a.checked_add(days(*b)?))?)
        }
        (Subtract, Date(a), Duration(b)) => Date(in_range(a.checked_sub(days(*b)?))?),
        (Subtract, Date(a), Date(b)) => {
            let days = i64::from(*a) - i64::from(*b);
            Duration(in_range(days.checked_mul(DAY_MICROS))?)
        }
        (Add | Subtract | Remainder, Duration(a), Duration(b)) => Duration(ints(function, *a, *b)?),
        (Multiply, Duration(a), Int(b)) | (Multiply, Int(b), Duration(a)) => {
            Duration(ints(Multiply, *a, *b)?)
        }
        (Divide, Duration(a), Int(b)) => Duration(ints(Divide, *a, *b)?),
        (Divide, Duration(a), Duration(b)) => {
            decimals(Divide, Decimal::from(*a), Decimal::from(*b))?
        }
        _ => Null,
    })
}

fn days(micros: i64) -> Result<i32, MistakeKind> {
    if micros % DAY_MICROS != 0 {
        return Err(MistakeKind::PartOfDay);
    }
    in_range(i32::try_from(micros / DAY_MICROS).ok())
}

pub(super) fn shape(function: Function, arguments: &[Value]) -> Computed {
    match (function, arguments) {
        (Function::Abs, [a]) => absolute(a),
        (Function::Floor, [Value::Decimal(a)]) => Ok(Value::decimal(a.floor())),
        (Function::Floor, [Value::Float(a)]) => in_range(Value::float(a.floor())),
        (Function::Ceil, [Value::Decimal(a)]) => Ok(Value::decimal(a.ceil())),
        (Function::Ceil, [Value::Float(a)]) => in_range(Value::float(a.ceil())),
        (Function::Floor | Function::Ceil, [a]) => {
            Ok(if matches!(a, Value::Int(_)) { a.clone() } else { Value::Null })
        }
        (Function::Round, [a]) => round(a, 0),
        (Function::Round, [a, Value::Int(digits)]) => round(a, *digits),
        (Function::Round, [_, _]) => Ok(Value::Null),
        _ => Err(MistakeKind::Arguments),
    }
}

fn absolute(a: &Value) -> Computed {
    let is_negative = match a {
        Value::Int(a) | Value::Duration(a) => *a < 0,
        Value::Decimal(a) => a.is_sign_negative(),
        Value::Float(a) => *a < 0.0,
        Value::Null
        | Value::Bool(_)
        | Value::Text(_)
        | Value::Bytes(_)
        | Value::Time(_)
        | Value::Date(_)
        | Value::Id(_)
        | Value::Period(..)
        | Value::List(_)
        | Value::Set(_)
        | Value::Record(_) => return Ok(Value::Null),
    };
    if is_negative { negate(a) } else { Ok(a.clone()) }
}

fn round(a: &Value, digits: i64) -> Computed {
    match a {
        Value::Int(_) if digits >= 0 => Ok(a.clone()),
        Value::Int(a) => {
            let rounded = round_decimal(Decimal::from(*a), digits)?;
            in_range(rounded.to_i64()).map(Value::Int)
        }
        Value::Decimal(a) => round_decimal(*a, digits).map(Value::decimal),
        Value::Float(a) => Ok(Value::float(round_float(*a, digits)).unwrap_or_default()),
        Value::Null
        | Value::Bool(_)
        | Value::Text(_)
        | Value::Bytes(_)
        | Value::Time(_)
        | Value::Date(_)
        | Value::Duration(_)
        | Value::Id(_)
        | Value::Period(..)
        | Value::List(_)
        | Value::Set(_)
        | Value::Record(_) => Ok(Value::Null),
    }
}

fn round_decimal(a: Decimal, digits: i64) -> Result<Decimal, MistakeKind> {
    let away = RoundingStrategy::MidpointAwayFromZero;
    if digits >= 0 {
        let digits = u32::try_from(digits.min(28)).unwrap_or(28);
        return Ok(a.round_dp_with_strategy(digits, away));
    }
    // Nothing that a decimal holds is half of ten to the thirtieth.
    if digits < -28 {
        return Ok(Decimal::ZERO);
    }
    let exponent = u32::try_from(-digits).unwrap_or(28);
    let Some(scale) = 10_i128.checked_pow(exponent) else { return Ok(Decimal::ZERO) };
    let scale = in_range(Decimal::try_from_i128_with_scale(scale, 0).ok())?;
    let quotient = in_range(a.checked_div(scale))?.round_dp_with_strategy(0, away);
    in_range(quotient.checked_mul(scale))
}

fn round_float(a: f64, digits: i64) -> f64 {
    let Ok(digits) = i32::try_from(digits.clamp(-400, 400)) else { return a };
    let scale = 10_f64.powi(digits);
    let scaled = a * scale;
    // Beyond its own digits a float is as round as it can be.
    if scaled.is_finite() && scale > 0.0 && scale.is_finite() {
        scaled.round() / scale
    } else if digits > 0 {
        a
    } else {
        0.0
    }
}
