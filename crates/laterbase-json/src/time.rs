//! Times as text: RFC 3339 in, UTC or local out.
//!
//! Inside, a time is a count of microseconds since 1970, signed 64 bit. That reaches further
//! than any calendar; what lies outside the years −9999 to 9999 is written `@<microseconds>us`
//! and read back the same way, so that nothing is lost on the way through text.

use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;
use jiff::tz::TimeZone;

/// The time zone that times are shown in.
#[derive(Clone, Debug)]
pub struct Clockface {
    zone: Option<TimeZone>,
}

/// Why a text is not a time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// Neither RFC 3339 nor a date.
    #[error(
        "`{text}` is not a time; write RFC 3339 with an offset, as in 2026-03-01T12:00:00Z or \
         2026-03-01T13:00:00+01:00, or a date, as in 2026-03-01 (midnight UTC)"
    )]
    NotATime {
        /// What was given, shortened.
        text: String,
    },
    /// A number where the unit was not said.
    #[error("`{text}` is a number; say what it counts since 1970 with --time-unit s, ms or us")]
    NoUnit {
        /// What was given, shortened.
        text: String,
    },
    /// A number that 64 bits of microseconds cannot hold.
    #[error("`{text}` lies outside the range of times, ±292,000 years around 1970")]
    OutOfRange {
        /// What was given, shortened.
        text: String,
    },
}

/// What a number counts where a time is given as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeUnit {
    /// Seconds since 1970; a fraction is allowed.
    Seconds,
    /// Milliseconds since 1970.
    Milliseconds,
    /// Microseconds since 1970.
    Microseconds,
}

impl Clockface {
    /// Shows times in UTC.
    #[must_use]
    pub fn utc() -> Self {
        Self { zone: None }
    }

    /// Shows times in the time zone of this machine, with its offset.
    #[must_use]
    pub fn local() -> Self {
        Self { zone: Some(TimeZone::system()) }
    }

    /// The time as RFC 3339 text, with three digits of a fraction, six, or none, as it needs.
    #[must_use]
    pub fn format(&self, micros: i64) -> String {
        let Ok(time) = Timestamp::from_microsecond(micros) else {
            return format!("@{micros}us");
        };
        let precision = if micros.rem_euclid(1_000_000) == 0 {
            0
        } else if micros.rem_euclid(1_000) == 0 {
            3
        } else {
            6
        };
        let printer = DateTimePrinter::new().precision(Some(precision));
        match &self.zone {
            None => printer.timestamp_to_string(&time),
            Some(zone) => printer.timestamp_with_offset_to_string(&time, zone.to_offset(time)),
        }
    }

    /// The time to the second, for tables: `2026-03-01 12:00:00Z`, or with its offset where it is
    /// not UTC.
    #[must_use]
    pub fn format_short(&self, micros: i64) -> String {
        let Ok(time) = Timestamp::from_microsecond(micros) else {
            return format!("@{micros}us");
        };
        let zone = self.zone.clone().unwrap_or(TimeZone::UTC);
        let zoned = time.to_zoned(zone);
        let offset = if self.zone.is_some() { "%:z" } else { "Z" };
        zoned.strftime(&format!("%Y-%m-%d %H:%M:%S{offset}")).to_string()
    }
}

/// Reads RFC 3339, a date (midnight UTC) or `@<microseconds>us`; to the microsecond, what is
/// finer is cut off towards the past.
///
/// # Errors
/// [`TimeError::NotATime`] and [`TimeError::OutOfRange`].
pub fn parse(text: &str) -> Result<i64, TimeError> {
    let not_a_time = || TimeError::NotATime { text: shorten(text) };
    if let Some(micros) = text.strip_prefix('@').and_then(|rest| rest.strip_suffix("us")) {
        return micros.parse().map_err(|_| not_a_time());
    }
    let trimmed = text.trim_ascii();
    let looks_like_a_date =
        trimmed.len() == 10 && trimmed.bytes().filter(|b| *b == b'-').count() == 2;
    let time: Timestamp = if looks_like_a_date {
        let date: jiff::civil::Date = trimmed.parse().map_err(|_| not_a_time())?;
        date.to_zoned(TimeZone::UTC).map_err(|_| not_a_time())?.timestamp()
    } else {
        trimmed.parse().map_err(|_| not_a_time())?
    };
    let nanos = time.as_nanosecond();
    i64::try_from(nanos.div_euclid(1_000))
        .map_err(|_| TimeError::OutOfRange { text: shorten(text) })
}

/// Reads a number of `unit`s since 1970, with a fraction that is cut off at the microsecond.
///
/// # Errors
/// [`TimeError::NotATime`] for what is no plain decimal number, [`TimeError::OutOfRange`].
pub fn parse_number(text: &str, unit: TimeUnit) -> Result<i64, TimeError> {
    let not_a_time = || TimeError::NotATime { text: shorten(text) };
    let digits = match unit {
        TimeUnit::Seconds => 6,
        TimeUnit::Milliseconds => 3,
        TimeUnit::Microseconds => 0,
    };
    let (negative, plain) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = plain.split_once('.').unwrap_or((plain, ""));
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || whole.len() > 30 || !all_digits(whole) || !all_digits(fraction) {
        return Err(not_a_time());
    }
    let kept: String = fraction.chars().chain(std::iter::repeat('0')).take(digits).collect();
    let mut micros: i128 = format!("{whole}{kept}").parse().map_err(|_| not_a_time())?;
    let cut_off = fraction.chars().skip(digits).any(|digit| digit != '0');
    if negative {
        micros = -micros - i128::from(cut_off);
    }
    i64::try_from(micros).map_err(|_| TimeError::OutOfRange { text: shorten(text) })
}

/// The first letters of what was given: an error message stays on a line or two.
#[must_use]
pub fn shorten(text: &str) -> String {
    const LETTERS_MAX: usize = 48;
    let mut letters = text.chars();
    let mut short: String = letters.by_ref().take(LETTERS_MAX).collect();
    if letters.next().is_some() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_3339_is_read_to_the_microsecond() {
        for (text, micros) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1970-01-01T00:00:00.000001Z", 1),
            ("1969-12-31T23:59:59.9999999Z", -1),
            ("2013-06-08T14:58:56.591Z", 1_370_703_536_591_000),
            ("2005-04-03T20:33:31.116000-06:00", 1_112_582_011_116_000),
            ("2019-10-07t15:30:00+01:00", 1_570_458_600_000_000),
            ("2026-03-01", 1_772_323_200_000_000),
            ("@-9223372036854775808us", i64::MIN),
        ] {
            assert_eq!(parse(text), Ok(micros), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused_with_what_to_write() {
        for text in ["", "yesterday", "2026-13-01T00:00:00Z", "2026-03-01T12:00:00", "12:00", "1e3"]
        {
            let error = parse(text).unwrap_err();
            assert!(error.to_string().contains("RFC 3339"), "{error}");
        }
    }

    #[test]
    fn numbers_need_a_unit_and_keep_their_fraction() {
        assert_eq!(parse_number("1.5", TimeUnit::Seconds), Ok(1_500_000));
        assert_eq!(parse_number("-0.0000001", TimeUnit::Seconds), Ok(-1));
        assert_eq!(
            parse_number("1772323200000", TimeUnit::Milliseconds),
            Ok(1_772_323_200_000_000)
        );
        assert_eq!(parse_number("7", TimeUnit::Microseconds), Ok(7));
        assert!(matches!(
            parse_number("99999999999999999999", TimeUnit::Seconds),
            Err(TimeError::OutOfRange { .. })
        ));
        assert!(matches!(parse_number("1e3", TimeUnit::Seconds), Err(TimeError::NotATime { .. })));
    }

    #[test]
    fn times_come_out_as_they_went_in() {
        let utc = Clockface::utc();
        for micros in [0, 1, -1, 1_370_703_536_591_000, i64::MAX, i64::MIN] {
            assert_eq!(parse(&utc.format(micros)), Ok(micros));
        }
        assert_eq!(utc.format(1_370_703_536_591_000), "2013-06-08T14:58:56.591Z");
        assert_eq!(utc.format(1_370_703_536_500_000), "2013-06-08T14:58:56.500Z");
        assert_eq!(utc.format_short(1_370_703_536_591_000), "2013-06-08 14:58:56Z");
        assert_eq!(utc.format_short(0), "1970-01-01 00:00:00Z");
    }
}
