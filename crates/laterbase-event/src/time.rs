//! Two plain numbers with their meaning: valid time and arrival position.
//!
//! Text forms (RFC 3339) live in the program that talks to people, not here.

use crate::Hlc;

/// A moment of valid time: microseconds since 1970, negative before.
///
/// ```
/// use laterbase_event::Timestamp;
/// assert_eq!(Timestamp::from_micros(-1).as_micros(), -1);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// `micros` microseconds since 1970.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since 1970.
    #[must_use]
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// The transaction time of an event with this clock value: the valid time of an event whose
    /// writer gave none. The counter does not take part.
    #[must_use]
    pub const fn from_hlc(hlc: Hlc) -> Self {
        // 48 bits times 1000 is below 2^58.
        Self((hlc.millis() * 1000).cast_signed())
    }
}

/// Arrival order on one replica: 1, 2, 3 … for each event that became visible there.
///
/// ```
/// use laterbase_event::Position;
/// assert!(Position::NONE < Position::new(1));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(u64);

impl Position {
    /// Before the first event.
    pub const NONE: Self = Self(0);

    /// The position with this number.
    #[must_use]
    pub const fn new(value: u64) -> Self {
        Self(value)
    }

    /// The number.
    #[must_use]
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// `count` positions later; `None` past the last one.
    #[must_use]
    pub const fn checked_add(self, count: u64) -> Option<Self> {
        match self.0.checked_add(count) {
            Some(value) => Some(Self(value)),
            None => None,
        }
    }
}

impl core::fmt::Display for Position {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.fmt(out)
    }
}
