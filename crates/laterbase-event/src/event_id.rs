//! Event ids: a ULID whose time is a hybrid logical clock and whose random part is the replica.
//!
//! ```text
//!  127            80 79       64 63                          0
//!  +----------------+-----------+-----------------------------+
//!  | unix ms (48)   | counter   | replica id (64)             |
//!  +----------------+-----------+-----------------------------+
//! ```
//! Text form: 26 characters of Crockford's base 32, upper case when written. When read, lower case
//! is taken too, and so are Crockford's aliases for what people misread: `I` and `L` are 1, `O` is
//! 0. `U`, hyphens and a first character above 7 (which would need more than 128 bits) are refused.

use core::{fmt, str::FromStr};

use crate::{Hlc, ReplicaId};

/// The id of one event. Order is clock order with the replica as tie-break: the same on every
/// replica, and the same as the byte order of the text forms.
///
/// ```
/// use laterbase_event::{EventId, Hlc, ReplicaId};
/// let id = EventId::new(Hlc::new(1_469_922_850_259, 7), ReplicaId::from_u64(42));
/// assert_eq!(id.to_string(), "01ARZ3NDEK003G00000000001A");
/// assert_eq!("01arz3ndek003g00000000001a".parse(), Ok(id));
/// assert_eq!(id.hlc().millis(), 1_469_922_850_259);
/// ```
///
/// Source: <https://github.com/ulid/spec>, <https://www.crockford.com/base32.html>.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(u128);

/// Why a text is not an event id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseEventIdError {
    /// An id has 26 characters.
    #[error("an event id has 26 characters, this text has {found} bytes")]
    Length {
        /// How many bytes the text has.
        found: usize,
    },
    /// A character is none of Crockford's base 32.
    #[error("byte {index} of the event id is not a digit of Crockford's base 32")]
    Digit {
        /// Where it stands, from 0.
        index: usize,
    },
    /// The first character is above 7.
    #[error("the event id is above 7ZZZZZZZZZZZZZZZZZZZZZZZZZ, the greatest of 128 bits")]
    Overflow,
}

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

impl EventId {
    /// How long the text form is.
    pub const TEXT_BYTES: usize = 26;

    /// The id of the event that `replica` recorded at `hlc`.
    #[must_use]
    pub const fn new(hlc: Hlc, replica: ReplicaId) -> Self {
        Self(((hlc.as_u64() as u128) << 64) | replica.as_u64() as u128)
    }

    /// The id whose integer form is `value`.
    #[must_use]
    pub const fn from_u128(value: u128) -> Self {
        Self(value)
    }

    /// The integer form: clock value in the upper half, replica in the lower.
    #[must_use]
    pub const fn as_u128(self) -> u128 {
        self.0
    }

    /// When the event was recorded.
    #[must_use]
    pub const fn hlc(self) -> Hlc {
        Hlc::from_u64((self.0 >> 64) as u64)
    }

    /// Which replica recorded it.
    #[must_use]
    pub const fn replica(self) -> ReplicaId {
        ReplicaId::from_u64(self.0 as u64)
    }

    /// Writes the text form into `buffer`: as `Display`, without a formatter.
    pub fn text(self, buffer: &mut [u8; Self::TEXT_BYTES]) -> &str {
        let mut rest = self.0;
        for place in buffer.iter_mut().rev() {
            let digit = (rest & 31) as usize;
            *place = ALPHABET.get(digit).copied().unwrap_or_default();
            rest >>= 5;
        }
        core::str::from_utf8(buffer).unwrap_or_default()
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.text(&mut [0; Self::TEXT_BYTES]))
    }
}

impl FromStr for EventId {
    type Err = ParseEventIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() != Self::TEXT_BYTES {
            return Err(ParseEventIdError::Length { found: text.len() });
        }
        let mut value = 0u128;
        for (index, byte) in text.bytes().enumerate() {
            let digit = digit(byte).ok_or(ParseEventIdError::Digit { index })?;
            if index == 0 && digit > 7 {
                return Err(ParseEventIdError::Overflow);
            }
            value = (value << 5) | u128::from(digit);
        }
        Ok(Self(value))
    }
}

fn digit(byte: u8) -> Option<u8> {
    let upper = match byte.to_ascii_uppercase() {
        b'I' | b'L' => b'1',
        b'O' => b'0',
        other => other,
    };
    let found = ALPHABET.iter().position(|digit| *digit == upper)?;
    u8::try_from(found).ok()
}
