//! Numbers that count different things and must not be mixed up.

use std::fmt;

/// The number of a segment: 1, 2, 3 … in the order of arrival.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentNumber(u64);

/// The number of a commit on this replica: 1, 2, 3 … without gaps, in the order of arrival.
///
/// It is local: commits have other numbers on other replicas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommitNumber(u64);

macro_rules! number {
    ($name:ident) => {
        impl $name {
            /// The first number.
            pub const FIRST: Self = Self(1);

            /// The number with this value.
            #[must_use]
            pub const fn new(value: u64) -> Self {
                Self(value)
            }

            /// Its value.
            #[must_use]
            pub const fn as_u64(self) -> u64 {
                self.0
            }

            /// The number after this one.
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0.saturating_add(1))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    };
}

number!(SegmentNumber);
number!(CommitNumber);
