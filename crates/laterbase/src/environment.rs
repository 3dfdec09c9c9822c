//! What the database takes from the world besides storage: the wall clock and randomness.
//!
//! Everything below the host threads asks this port, never the operating system, so that a
//! simulator can run the same code with clocks that jump and random numbers that repeat.
//! Leaves out monotonic time: only the host threads wait, and they use the system's.

use std::fmt::Debug;
use std::time::{SystemTime, UNIX_EPOCH};

/// The wall clock and the source of randomness of one database.
pub trait Environment: Send + Sync + Debug {
    /// Wall clock time in microseconds since 1970-01-01T00:00:00Z. May jump in both directions.
    fn now_us(&self) -> i64;

    /// Fills `bytes` with random bytes that no other replica draws.
    ///
    /// # Errors
    /// [`EntropyError`] when the operating system has none to give.
    fn fill_random(&self, bytes: &mut [u8]) -> Result<(), EntropyError>;

    /// 64 random bits.
    ///
    /// # Errors
    /// As [`Environment::fill_random`].
    fn random_u64(&self) -> Result<u64, EntropyError> {
        let mut bytes = [0; 8];
        self.fill_random(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }
}

/// The operating system gave no random bytes.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the operating system gave no random bytes ({reason}): check that its random device works")]
pub struct EntropyError {
    reason: String,
}

/// The clock and the random device of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEnvironment;

impl Environment for SystemEnvironment {
    fn now_us(&self) -> i64 {
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_micros())
                .map_or(i64::MIN, |before_us| -before_us),
        }
    }

    fn fill_random(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        getrandom::fill(bytes).map_err(|error| EntropyError { reason: error.to_string() })
    }
}
