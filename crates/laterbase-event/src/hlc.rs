//! Hybrid logical clock values: 48 bits of milliseconds since 1970, then a 16-bit counter.
//!
//! ```text
//!  63                        16 15        0
//!  +---------------------------+-----------+
//!  | unix milliseconds (48)    | counter   |
//!  +---------------------------+-----------+
//! ```
//! One 64-bit integer, so that order is integer order and adding one to a full counter moves to
//! the next millisecond. This file has no clock: see [`crate::Clock`].

/// One reading of a hybrid logical clock.
///
/// Any 64-bit value; [`Hlc::ZERO`] is before every event.
///
/// ```
/// use laterbase_event::Hlc;
/// let last = Hlc::new(1_700_000_000_000, u16::MAX);
/// assert_eq!(last.checked_add(1), Some(Hlc::new(1_700_000_000_001, 0)));
/// ```
///
/// Source: Kulkarni, Demirbas et al., "Logical Physical Clocks", 2014.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hlc(u64);

impl Hlc {
    /// Before every event.
    pub const ZERO: Self = Self(0);
    /// The greatest value: the year 10889.
    pub const MAX: Self = Self(u64::MAX);
    /// The greatest number of milliseconds that fits.
    pub const MILLIS_MAX: u64 = (1 << 48) - 1;

    /// `millis` milliseconds since 1970, and a counter within that millisecond.
    ///
    /// Milliseconds above [`Hlc::MILLIS_MAX`] are taken as that.
    #[must_use]
    pub const fn new(millis: u64, counter: u16) -> Self {
        let millis = if millis > Self::MILLIS_MAX { Self::MILLIS_MAX } else { millis };
        Self((millis << 16) | counter as u64)
    }

    /// The value whose integer form is `value`.
    #[must_use]
    pub const fn from_u64(value: u64) -> Self {
        Self(value)
    }

    /// The integer form: milliseconds in the upper 48 bits, counter in the lower 16.
    #[must_use]
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub const fn millis(self) -> u64 {
        self.0 >> 16
    }

    /// The counter within the millisecond.
    #[must_use]
    pub const fn counter(self) -> u16 {
        (self.0 & 0xFFFF) as u16
    }

    /// This value moved on by `count` steps; a full counter carries into the milliseconds.
    ///
    /// `None` past [`Hlc::MAX`].
    #[must_use]
    pub const fn checked_add(self, count: u64) -> Option<Self> {
        match self.0.checked_add(count) {
            Some(value) => Some(Self(value)),
            None => None,
        }
    }

    /// This value moved back by `count` steps; `None` before [`Hlc::ZERO`].
    #[must_use]
    pub const fn checked_sub(self, count: u64) -> Option<Self> {
        match self.0.checked_sub(count) {
            Some(value) => Some(Self(value)),
            None => None,
        }
    }
}
