//! BLAKE3 hashes: what chains the batches of a log.

use core::{fmt, str::FromStr};

use crate::hex::{self, ParseHexError};

/// A BLAKE3 hash, 32 bytes. Text form: 64 hexadecimal digits.
///
/// ```
/// use laterbase_event::Hash;
/// assert!(Hash::of(b"").to_string().starts_with("af1349b9f5f9a1a6"));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash([u8; 32]);

impl Hash {
    /// What stands for "the batch before the first one".
    pub const ZERO: Self = Self([0; 32]);

    /// The hash of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// The hash with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex::write(&self.0, out)
    }
}

impl FromStr for Hash {
    type Err = ParseHexError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        hex::parse(text).map(Self)
    }
}
