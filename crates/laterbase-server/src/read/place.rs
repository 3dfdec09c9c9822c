//! Where a reader stands: the cursors of answers and the ids of event streams.
//!
//! ```text
//!   CURSOR                        a place in one order of reading, as the library writes it
//!   CURSOR~CURSOR~HEX             catching up: arrival bound, last event in HLC order, vector
//!   CURSOR~~HEX                   the same, before the first event
//! ```
//! While a reader catches up, everything that had arrived by the bound comes in HLC order; what
//! arrives later comes behind it in arrival order, whatever its HLC. So a place in the catch-up is
//! the bound *and* the last event: going on from it loses nothing and repeats nothing. It also
//! holds a sum of the vector that the catch-up began with, since with another one it would leave a
//! gap. Opaque to clients.

use std::fmt;
use std::hash::{DefaultHasher, Hasher as _};

use laterbase::{Cursor, VersionVector};

use crate::problem::{Kind, Problem};

/// A place in what is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In one order.
    Plain(Cursor),
    /// In HLC order, among what had arrived by a bound.
    CatchUp {
        /// In arrival order.
        bound: Cursor,
        /// In HLC order; none before the first event.
        after: Option<Cursor>,
        /// What [`sum_of`] says of the vector that the reader began with.
        vector: u32,
    },
}

impl Place {
    /// Reads a place.
    pub(crate) fn read(text: &str) -> Result<Self, Problem> {
        let cursor = |text: &str| {
            let read = text.parse::<Cursor>();
            read.map_err(|error| Problem::new(Kind::Cursor).detail(error))
        };
        let parts: Vec<&str> = text.split('~').collect();
        let malformed = || {
            let detail = "this is no cursor: pass one exactly as an earlier answer gave it";
            Problem::new(Kind::Cursor).detail(detail)
        };
        match parts.as_slice() {
            [plain] => cursor(plain).map(Self::Plain),
            [bound, after, vector] => {
                let bound = cursor(bound)?;
                let after = if after.is_empty() { None } else { Some(cursor(after)?) };
                let vector = u32::from_str_radix(vector, 16).map_err(|_| malformed())?;
                if bound.position().is_none()
                    || after.is_some_and(|after| after.order() != laterbase::Order::Tx)
                {
                    return Err(malformed());
                }
                Ok(Self::CatchUp { bound, after, vector })
            }
            _ => Err(malformed()),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(cursor) => write!(out, "{cursor}"),
            Self::CatchUp { bound, after: Some(after), vector } => {
                write!(out, "{bound}~{after}~{vector:08x}")
            }
            Self::CatchUp { bound, after: None, vector } => write!(out, "{bound}~~{vector:08x}"),
        }
    }
}

/// Tells vectors apart, as far as 32 bits do: a slip of a client is noticed, and no more is meant.
pub(crate) fn sum_of(vector: Option<&VersionVector>) -> u32 {
    let mut hasher = DefaultHasher::new();
    if let Some(vector) = vector.filter(|vector| !vector.is_empty()) {
        hasher.write(&vector.encode());
    }
    hasher.finish() as u32
}
