//! Values as text, as they are written in a question, and back.
//!
//! | kind | as in |
//! |---|---|
//! | text | `"NLRTM"`, with `\"`, `\\`, `\n`, `\r`, `\t` and `\u{1F600}` |
//! | int, decimal, float | `12`, `1_000`; `12.50`; `1.5e3` |
//! | time, date | `2026-03-01T12:00Z`, `2026-03-01T13:00:00.5+01:00`; `2026-03-01` |
//! | duration | `90m`, `1d12h`, `1s500ms`: `w`, `d`, `h`, `m`, `s`, `ms`, `us` |
//! | id, bytes | `#01JCZ6V9QYKX3M8T2B4N5P7R6S`; `x"00ff"` |

use std::fmt::{self, Write};

use jiff::civil;
use jiff::fmt::temporal::DateTimePrinter;
use rust_decimal::Decimal;

use crate::value::Value;

/// Units of durations in microseconds, the longest first.
const UNITS: [(&str, i64); 7] = [
    ("w", 7 * 86_400_000_000),
    ("d", 86_400_000_000),
    ("h", 3_600_000_000),
    ("m", 60_000_000),
    ("s", 1_000_000),
    ("ms", 1_000),
    ("us", 1),
];

/// A time in microseconds since 1970 from RFC 3339; seconds may be left out. What is finer is cut
/// off towards the past.
#[must_use]
pub fn time_of(text: &str) -> Option<i64> {
    if let Some(micros) = text.strip_prefix('@').and_then(|rest| rest.strip_suffix("us")) {
        return micros.parse().ok();
    }
    let time: jiff::Timestamp = text.parse().ok()?;
    i64::try_from(time.as_nanosecond().div_euclid(1_000)).ok()
}

/// A time as RFC 3339 in UTC, with a fraction of three or six digits if it has one.
#[must_use]
pub fn time_text(micros: i64) -> String {
    let Ok(time) = jiff::Timestamp::from_microsecond(micros) else {
        return format!("@{micros}us");
    };
    let precision = match micros.rem_euclid(1_000_000) {
        0 => 0,
        rest if rest % 1_000 == 0 => 3,
        _ => 6,
    };
    DateTimePrinter::new().precision(Some(precision)).timestamp_to_string(&time)
}

/// The days since 1970-01-01 of a day as in `2026-03-01`.
#[must_use]
pub fn date_of(text: &str) -> Option<i32> {
    // A time has a date in front, too.
    let is_day = |byte: u8| byte.is_ascii_digit() || byte == b'-';
    if text.len() < 10 || !text.bytes().all(is_day) {
        return None;
    }
    let date: civil::Date = text.parse().ok()?;
    days_since_1970(date)
}

/// The days since 1970-01-01 of a day of the calendar.
#[must_use]
pub fn days_since_1970(date: civil::Date) -> Option<i32> {
    let days = (date - civil::date(1970, 1, 1)).get_days();
    Some(days)
}

/// The day of the calendar that many days since 1970-01-01; `None` outside the years −9999 to 9999.
#[must_use]
pub fn calendar_day(days: i32) -> Option<civil::Date> {
    let span = jiff::Span::new().try_days(days).ok()?;
    civil::date(1970, 1, 1).checked_add(span).ok()
}

/// A day as in `2026-03-01`.
#[must_use]
pub fn date_text(days: i32) -> String {
    calendar_day(days).map_or_else(|| format!("@{days}d"), |date| date.to_string())
}

/// The microseconds of a duration as in `1d12h`, `-90m`; each unit at most once.
#[must_use]
pub fn duration_of(text: &str) -> Option<i64> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    let mut total: i64 = 0;
    let mut units = UNITS.as_slice();
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, behind) = rest.split_at_checked(digits)?;
        let letters = behind.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, behind) = behind.split_at_checked(letters)?;
        let at = units.iter().position(|(name, _)| *name == unit)?;
        let (_, micros) = units.get(at)?;
        let number: i64 = number.parse().ok()?;
        total = total.checked_add(number.checked_mul(micros.checked_mul(sign)?)?)?;
        units = units.get(at + 1..)?;
        rest = behind;
    }
    Some(total)
}

/// A duration as in `1d12h`.
#[must_use]
pub fn duration_text(micros: i64) -> String {
    if micros == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    if micros < 0 {
        text.push('-');
    }
    let mut rest = micros.unsigned_abs();
    for (name, unit) in UNITS.into_iter().skip(1) {
        let count = rest / unit.unsigned_abs();
        rest %= unit.unsigned_abs();
        if count > 0 {
            text.push_str(&format!("{count}{name}"));
        }
    }
    text
}

/// An exact number as in `-12.50`.
#[must_use]
pub fn decimal_of(text: &str) -> Option<Decimal> {
    let plain = text.strip_prefix('-').unwrap_or(text);
    let is_number = plain.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
        && plain.bytes().any(|byte| byte.is_ascii_digit());
    if !is_number {
        return None;
    }
    // Zeros at the end say nothing, and must not make it too long.
    let short = if plain.contains('.') { text.trim_end_matches('0') } else { text };
    let short = short.strip_suffix('.').unwrap_or(short);
    let short = if short.is_empty() || short == "-" { "0" } else { short };
    Decimal::from_str_exact(short).ok().map(|decimal| decimal.normalize())
}

/// A text between quotes, with what needs it escaped.
pub fn write_text(f: &mut impl Write, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for letter in text.chars() {
        match letter {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            _ if letter.is_control() => write!(f, "\\u{{{:x}}}", u32::from(letter))?,
            _ => f.write_char(letter)?,
        }
    }
    f.write_char('"')
}

pub(crate) fn write_value(f: &mut fmt::Formatter<'_>, value: &Value) -> fmt::Result {
    match value {
        Value::Null => f.write_str("null"),
        Value::Bool(value) => write!(f, "{value}"),
        Value::Int(value) => write!(f, "{value}"),
        Value::Decimal(value) if value.scale() == 0 => write!(f, "{value}.0"),
        Value::Decimal(value) => write!(f, "{value}"),
        Value::Float(value) if value.is_finite() => write!(f, "{value:e}"),
        Value::Float(value) => write!(f, "float(\"{value}\")"),
        Value::Text(text) => write_text(f, text),
        Value::Bytes(bytes) => {
            f.write_str("x\"")?;
            bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
            f.write_str("\"")
        }
        Value::Time(micros) => f.write_str(&time_text(*micros)),
        Value::Date(days) => f.write_str(&date_text(*days)),
        Value::Duration(micros) => f.write_str(&duration_text(*micros)),
        Value::Id(id) => write!(f, "#{id}"),
        Value::Period(from, until) => {
            let end = |end: &Option<i64>| end.map_or("null".to_owned(), time_text);
            write!(f, "period({}, {})", end(from), end(until))
        }
        Value::List(values) => write_values(f, "[", values),
        Value::Set(values) => write_values(f, "set [", values),
        Value::Record(fields) => {
            f.write_str("{")?;
            for (at, (name, value)) in fields.iter().enumerate() {
                f.write_str(if at == 0 { "" } else { ", " })?;
                write_text(f, name)?;
                write!(f, ": {value}")?;
            }
            f.write_str("}")
        }
    }
}

fn write_values(f: &mut fmt::Formatter<'_>, open: &str, values: &[Value]) -> fmt::Result {
    f.write_str(open)?;
    for (at, value) in values.iter().enumerate() {
        write!(f, "{}{value}", if at == 0 { "" } else { ", " })?;
    }
    f.write_str("]")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_and_without_seconds() {
        let noon = Some(1_772_366_400_000_000);
        for text in ["2026-03-01T12:00Z", "2026-03-01T12:00:00Z", "2026-03-01T13:00+01:00"] {
            assert_eq!(time_of(text), noon, "{text}");
        }
        assert_eq!(time_of("2026-03-01T12:00"), None, "no offset");
        assert_eq!(time_text(1_772_366_400_000_000), "2026-03-01T12:00:00Z");
        assert_eq!(time_text(1_772_366_400_500_000), "2026-03-01T12:00:00.500Z");
        assert_eq!(time_of(&time_text(i64::MAX)), Some(i64::MAX));
    }

    #[test]
    fn dates_are_days_since_1970() {
        assert_eq!((date_of("1970-01-02"), date_text(1).as_str()), (Some(1), "1970-01-02"));
        for wrong in ["2026-02-30", "2026-3-1", "2026-03-01T12:00Z", "2026-03-01T12:00", ""] {
            assert_eq!(date_of(wrong), None, "{wrong}");
        }
        assert_eq!(date_of(&date_text(-800_000)), Some(-800_000));
    }

    #[test]
    fn durations_are_read_as_they_are_written() {
        assert_eq!(duration_of("1d12h"), Some(129_600_000_000));
        assert_eq!(duration_of("-90m"), Some(-5_400_000_000));
        assert_eq!(duration_text(5_400_000_000), "1h30m");
        for wrong in ["", "-", "h", "1", "1x", "1m1h", "1h1h", "9223372036854775807w", "1é"] {
            assert_eq!(duration_of(wrong), None, "{wrong}");
        }
        for micros in [0, 1, -1, i64::MIN, i64::MAX, 86_400_000_000] {
            assert_eq!(duration_of(&duration_text(micros)), Some(micros));
        }
    }

    #[test]
    fn decimals_are_exact_or_refused() {
        let written = |text: &str| decimal_of(text).map(|decimal| decimal.to_string());
        assert_eq!(written("12.50").as_deref(), Some("12.5"));
        assert_eq!(written("-0.000").as_deref(), Some("0"));
        assert_eq!(written("100").as_deref(), Some("100"));
        assert_eq!(written(".5").as_deref(), Some("0.5"));
        assert_eq!(written("1.00000000000000000000000000000000000001"), None);
        assert_eq!(written("100000000000000000000000000000000"), None);
        assert_eq!(written("1e5"), None);
    }

    #[test]
    fn values_are_written_as_in_a_question() {
        let cases = [
            (Value::text("a\"\\\n\u{1}é"), r#""a\"\\\n\u{1}é""#),
            (Value::decimal(Decimal::new(100, 1)), "10.0"),
            (Value::Float(1500.0), "1.5e3"),
            (Value::Bytes([0, 255].into()), "x\"00ff\""),
            (Value::List([Value::Int(1), Value::Null].into()), "[1, null]"),
            (Value::Period(Some(0), None), "period(1970-01-01T00:00:00Z, null)"),
        ];
        for (value, text) in cases {
            assert_eq!(value.to_string(), text);
        }
    }
}
