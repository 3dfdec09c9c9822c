//! Durations and sizes as people write them: `60s`, `8MiB`.
//!
//! A number alone counts seconds or bytes. Whole numbers only: `1536KiB`, not `1.5MiB`.

use std::time::Duration;

/// Units of time in milliseconds, the longest first.
const TIMES: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
/// Units of size in bytes; those that are shown come first, the largest at the front.
const SIZES: [(&str, u64); 7] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
];
/// How many of [`SIZES`] are shown.
const SIZES_SHOWN: usize = 3;

/// The duration in a text; none if it is none.
pub(super) fn duration(text: &str) -> Option<Duration> {
    counted(text, &TIMES, 1_000).map(Duration::from_millis)
}

/// The bytes in a text; none if it is no size.
pub(super) fn bytes(text: &str) -> Option<u64> {
    counted(text, &SIZES, 1)
}

/// A duration in the largest unit that leaves a whole number.
pub(super) fn duration_text(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let whole = |(_, unit): &&(&str, u64)| millis != 0 && millis.is_multiple_of(*unit);
    match TIMES.iter().find(whole) {
        Some((name, unit)) => format!("{}{name}", millis / unit),
        None => "0s".to_owned(),
    }
}

/// A size in the largest unit that leaves a whole number.
pub(super) fn bytes_text(bytes: u64) -> String {
    let whole = |(_, unit): &&(&str, u64)| bytes != 0 && bytes.is_multiple_of(*unit);
    match SIZES.iter().take(SIZES_SHOWN).find(whole) {
        Some((name, unit)) => format!("{}{name}", bytes / unit),
        None => format!("{bytes}B"),
    }
}

fn counted(text: &str, units: &[(&str, u64)], alone: u64) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (count, name) = text.split_at_checked(digits)?;
    let name = name.trim_start();
    let unit = match name {
        "" => alone,
        _ => units.iter().find(|(unit, _)| *unit == name)?.1,
    };
    count.parse::<u64>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_they_are_shown() {
        for (text, millis, shown) in [
            ("60s", 60_000, "1m"),
            ("90s", 90_000, "90s"),
            ("250ms", 250, "250ms"),
            ("2 m", 120_000, "2m"),
            ("1d", 86_400_000, "1d"),
            ("30", 30_000, "30s"),
            ("0", 0, "0s"),
        ] {
            let read = duration(text);
            assert_eq!(read, Some(Duration::from_millis(millis)), "{text}");
            assert_eq!(duration_text(read.unwrap()), shown);
            assert_eq!(duration(shown), read);
        }
    }

    #[test]
    fn sizes_are_read_as_they_are_shown() {
        for (text, expected, shown) in [
            ("8MiB", 8 << 20, "8MiB"),
            ("1536 KiB", 1536 << 10, "1536KiB"),
            ("1GiB", 1 << 30, "1GiB"),
            ("1024MiB", 1 << 30, "1GiB"),
            ("2MB", 2_000_000, "2000000B"),
            ("100", 100, "100B"),
            ("0", 0, "0B"),
        ] {
            assert_eq!(bytes(text), Some(expected), "{text}");
            assert_eq!(bytes_text(expected), shown);
            assert_eq!(bytes(shown), Some(expected));
        }
    }

    #[test]
    fn what_is_no_number_with_a_unit_is_nothing() {
        for text in ["", "s", "1.5s", "-1s", "1 year", "60S", "1m30s", "99999999999999999999s"] {
            assert_eq!(duration(text), None, "{text}");
        }
        for text in ["", "MiB", "1.5MiB", "8M", "8mib", "-8", "99999999999GiB"] {
            assert_eq!(bytes(text), None, "{text}");
        }
    }
}
