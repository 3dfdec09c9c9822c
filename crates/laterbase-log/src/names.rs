//! The names of the files in a log's directory.
//!
//! | name | is |
//! |---|---|
//! | `00000001.log` | a hot segment |
//! | `00000001.seg` | the same segment, sealed; it takes precedence |
//! | `spare-0000000a.log` | a file to become a hot segment: zero-filled, or one's earlier life |
//! | `*.tmp` | a file that is being made; removed when the log is opened |
//! | `torn/00000001-4096.frames` | a torn tail that recovery cut off: segment and offset |

use crate::number::SegmentNumber;

/// The folder of torn tails.
pub(crate) const TORN_DIR: &str = "torn";
/// What a file is called while it is being made.
pub(crate) const TEMPORARY_SUFFIX: &str = ".tmp";

/// What a name in the log's directory stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileName {
    Hot(SegmentNumber),
    Sealed(SegmentNumber),
    Spare(u64),
    Temporary,
    /// Something else, which is left alone.
    Other,
}

impl FileName {
    pub(crate) fn parse(name: &str) -> Self {
        if name.ends_with(TEMPORARY_SUFFIX) {
            return Self::Temporary;
        }
        if let Some(number) = name.strip_suffix(".log") {
            if let Some(id) = number.strip_prefix("spare-") {
                let id = u64::from_str_radix(id, 16).ok().filter(|id| spare(*id) == name);
                return id.map_or(Self::Other, Self::Spare);
            }
            return segment_number(number).map_or(Self::Other, Self::Hot);
        }
        let number = name.strip_suffix(".seg").and_then(segment_number);
        number.map_or(Self::Other, Self::Sealed)
    }
}

/// `dir/name`, or `name` if the log stands in the storage's root.
pub(crate) fn join(dir: &str, name: &str) -> String {
    if dir.is_empty() { name.to_owned() } else { format!("{dir}/{name}") }
}

pub(crate) fn hot(number: SegmentNumber) -> String {
    format!("{:08}.log", number.as_u64())
}

pub(crate) fn sealed(number: SegmentNumber) -> String {
    format!("{:08}.seg", number.as_u64())
}

pub(crate) fn spare(id: u64) -> String {
    format!("spare-{id:08x}.log")
}

pub(crate) fn torn(number: SegmentNumber, offset: u64) -> String {
    format!("{:08}-{offset}.frames", number.as_u64())
}

fn segment_number(text: &str) -> Option<SegmentNumber> {
    let digits = text.len() >= 8 && text.bytes().all(|byte| byte.is_ascii_digit());
    let value = digits.then(|| text.parse().ok()).flatten().filter(|value| *value > 0)?;
    (format!("{value:08}") == text).then(|| SegmentNumber::new(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_other_names_are_left_alone() {
        for value in [1, 99_999_999, 100_000_000, u64::MAX] {
            let number = SegmentNumber::new(value);
            assert_eq!(FileName::parse(&hot(number)), FileName::Hot(number));
            assert_eq!(FileName::parse(&sealed(number)), FileName::Sealed(number));
            assert_eq!(FileName::parse(&spare(value)), FileName::Spare(value));
        }
        assert_eq!(FileName::parse("00000001.log.tmp"), FileName::Temporary);
        for name in ["1.log", "00000000.log", "000000001.seg", "+0000001.log", "spare-x.log", "x"] {
            assert_eq!(FileName::parse(name), FileName::Other, "{name}");
        }
    }
}
