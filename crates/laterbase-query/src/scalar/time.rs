//! Functions of times, dates, durations and periods. The calendar is UTC.

use jiff::civil;
use laterbase_lang::{Decimal, Function, Value, literal};

use super::Computed;
use crate::error::MistakeKind;

const SECOND_MICROS: i64 = 1_000_000;
const MINUTE_MICROS: i64 = 60 * SECOND_MICROS;
const HOUR_MICROS: i64 = 60 * MINUTE_MICROS;
const DAY_MICROS: i64 = 24 * HOUR_MICROS;

pub(super) fn compute(function: Function, arguments: &[Value]) -> Computed {
    use Function as F;
    match (function, arguments) {
        (F::PeriodFrom, [Value::Period(from, _)]) => Ok(time_or_absent(*from)),
        (F::PeriodUntil, [Value::Period(_, until)]) => Ok(time_or_absent(*until)),
        (F::Period, [from, until]) => period(from, until),
        (F::Overlaps, [Value::Period(a, b), Value::Period(c, d)]) => {
            Ok(Value::Bool(shared((*a, *b), (*c, *d)).is_some()))
        }
        (F::Intersect, [Value::Period(a, b), Value::Period(c, d)]) => {
            let shared = shared((*a, *b), (*c, *d));
            Ok(shared.map(|(from, until)| Value::Period(from, until)).unwrap_or_default())
        }
        (F::Truncate, [a, Value::Text(unit)]) => truncate(a, unit),
        (F::Part, [a, Value::Text(unit)]) => part(a, unit),
        (F::Seconds, [Value::Duration(micros)]) => Ok(Value::decimal(Decimal::new(*micros, 6))),
        (F::PeriodFrom | F::PeriodUntil | F::Seconds, [_])
        | (F::Overlaps | F::Intersect | F::Truncate | F::Part, [_, _]) => Ok(Value::Null),
        _ => Err(MistakeKind::Arguments),
    }
}

fn time_or_absent(time: Option<i64>) -> Value {
    time.map(Value::Time).unwrap_or_default()
}

fn period(from: &Value, until: &Value) -> Computed {
    let end = |value: &Value| match value {
        Value::Time(time) => Some(Some(*time)),
        value => value.is_null().then_some(None),
    };
    let (Some(from), Some(until)) = (end(from), end(until)) else { return Ok(Value::Null) };
    match (from, until) {
        (Some(from), Some(until)) if from >= until => Err(MistakeKind::EmptyPeriod),
        _ => Ok(Value::Period(from, until)),
    }
}

type Ends = (Option<i64>, Option<i64>);

fn shared(a: Ends, b: Ends) -> Option<Ends> {
    let from = a.0.max(b.0);
    let until = match (a.1, b.1) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    };
    let is_empty = from.zip(until).is_some_and(|(from, until)| from >= until);
    (!is_empty).then_some((from, until))
}

/// Which day of the calendar, and how far into it.
fn calendar(micros: i64) -> Result<(civil::Date, i64), MistakeKind> {
    let days = i32::try_from(micros.div_euclid(DAY_MICROS)).ok();
    let day = days.and_then(literal::calendar_day).ok_or(MistakeKind::OutOfRange)?;
    Ok((day, micros.rem_euclid(DAY_MICROS)))
}

fn truncate(a: &Value, unit: &str) -> Computed {
    match a {
        Value::Time(micros) => truncate_time(*micros, unit).map(Value::Time),
        Value::Date(days) => {
            let day = literal::calendar_day(*days).ok_or(MistakeKind::OutOfRange)?;
            match unit {
                "hour" | "minute" | "second" => Ok(a.clone()),
                _ => start_of(day, unit).map(Value::Date),
            }
        }
        Value::Null
        | Value::Bool(_)
        | Value::Int(_)
        | Value::Decimal(_)
        | Value::Float(_)
        | Value::Text(_)
        | Value::Bytes(_)
        | Value::Duration(_)
        | Value::Id(_)
        | Value::Period(..)
        | Value::List(_)
        | Value::Set(_)
        | Value::Record(_) => Ok(Value::Null),
    }
}

fn truncate_time(micros: i64, unit: &str) -> Result<i64, MistakeKind> {
    let step = match unit {
        "second" => SECOND_MICROS,
        "minute" => MINUTE_MICROS,
        "hour" => HOUR_MICROS,
        _ => {
            let days = start_of(calendar(micros)?.0, unit)?;
            return i64::from(days).checked_mul(DAY_MICROS).ok_or(MistakeKind::OutOfRange);
        }
    };
    micros.checked_sub(micros.rem_euclid(step)).ok_or(MistakeKind::OutOfRange)
}

/// The first day of what a day stands in, in days since 1970.
fn start_of(day: civil::Date, unit: &str) -> Result<i32, MistakeKind> {
    let out_of_range = MistakeKind::OutOfRange;
    let number = |day| literal::days_since_1970(day).ok_or(out_of_range);
    match unit {
        "day" => number(day),
        "week" => {
            let behind = i32::from(day.weekday().to_monday_zero_offset());
            number(day)?.checked_sub(behind).ok_or(out_of_range)
        }
        "month" => number(day.first_of_month()),
        "year" => number(day.first_of_year()),
        _ => Err(MistakeKind::UnknownUnit),
    }
}

fn part(a: &Value, unit: &str) -> Computed {
    let (day, within) = match a {
        Value::Time(micros) => calendar(*micros)?,
        Value::Date(days) => (literal::calendar_day(*days).ok_or(MistakeKind::OutOfRange)?, 0),
        Value::Null
        | Value::Bool(_)
        | Value::Int(_)
        | Value::Decimal(_)
        | Value::Float(_)
        | Value::Text(_)
        | Value::Bytes(_)
        | Value::Duration(_)
        | Value::Id(_)
        | Value::Period(..)
        | Value::List(_)
        | Value::Set(_)
        | Value::Record(_) => return Ok(Value::Null),
    };
    let part = match unit {
        "year" => i64::from(day.year()),
        "month" => i64::from(day.month()),
        "day" => i64::from(day.day()),
        "weekday" => i64::from(day.weekday().to_monday_one_offset()),
        "hour" => within / HOUR_MICROS,
        "minute" => within % HOUR_MICROS / MINUTE_MICROS,
        "second" => within % MINUTE_MICROS / SECOND_MICROS,
        _ => return Err(MistakeKind::UnknownUnit),
    };
    Ok(Value::Int(part))
}
