//! Who wrote, and into which database: two ids that are never interchangeable.
//!
//! Both are random bits that the caller brings; nothing here draws them.

use core::{fmt, str::FromStr};

use crate::hex::{self, ParseHexError};

/// One copy of a database that can write: 64 random bits, minted at creation and again at every
/// restore or clone. Text form: 16 hexadecimal digits.
///
/// ```
/// use laterbase_event::ReplicaId;
/// let replica: ReplicaId = "00c0ffee00c0ffee".parse()?;
/// assert_eq!(replica, ReplicaId::from_u64(0x00c0_ffee_00c0_ffee));
/// assert_eq!(replica.to_string(), "00c0ffee00c0ffee");
/// # Ok::<(), laterbase_event::ParseHexError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplicaId(u64);

impl ReplicaId {
    /// The replica with these 64 bits.
    #[must_use]
    pub const fn from_u64(value: u64) -> Self {
        Self(value)
    }

    /// The 64 bits.
    #[must_use]
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

impl fmt::Display for ReplicaId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex::write(&self.0.to_be_bytes(), out)
    }
}

impl FromStr for ReplicaId {
    type Err = ParseHexError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        hex::parse(text).map(|bytes| Self(u64::from_be_bytes(bytes)))
    }
}

/// A set of roots that replicas share: 128 random bits, minted once. Text form: 32 hexadecimal
/// digits.
///
/// ```
/// use laterbase_event::DatabaseId;
/// let database = DatabaseId::from_bytes([0xAB; 16]);
/// assert_eq!(database.to_string().parse(), Ok(database));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DatabaseId([u8; 16]);

impl DatabaseId {
    /// The database with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for DatabaseId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex::write(&self.0, out)
    }
}

impl FromStr for DatabaseId {
    type Err = ParseHexError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        hex::parse(text).map(Self)
    }
}
