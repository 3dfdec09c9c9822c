//! How much a question may use, and how it is stopped.
//!
//! Time is the host's: it stops a question through [`Cancel`], which is asked every few thousand
//! steps.

use crate::error::Usage;

/// How much a question may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Rows that it makes: of stored rows it keeps, of derived relations and of the answer. At most
    /// four thousand million.
    pub rows_max: u64,
    /// Bytes that it holds for rows, indexes, texts and states.
    pub bytes_max: u64,
    /// Steps: matches that it looks at.
    pub steps_max: u64,
    /// Of these bytes, how many may be a matrix of bits over the values of a recursive relation.
    pub matrix_bytes_max: u64,
}

impl Default for Limits {
    /// 100 M rows, 2 GiB, 20 G steps, 256 MiB of matrix.
    fn default() -> Self {
        Self {
            rows_max: 100_000_000,
            bytes_max: 2 << 30,
            steps_max: 20_000_000_000,
            matrix_bytes_max: 256 << 20,
        }
    }
}

impl Limits {
    /// Without limits but for the matrix; for tests and trusted callers.
    pub const NONE: Self = Self {
        rows_max: u64::MAX,
        bytes_max: u64::MAX,
        steps_max: u64::MAX,
        matrix_bytes_max: 256 << 20,
    };
}

/// Says when to stop.
pub trait Cancel {
    /// Whether to stop now. Asked every few thousand steps.
    fn is_cancelled(&self) -> bool;

    /// What was used so far, told before each time that [`Cancel::is_cancelled`] is asked.
    fn has_used(&self, usage: &Usage) {
        let _ = usage;
    }
}

impl<F: Fn() -> bool> Cancel for F {
    fn is_cancelled(&self) -> bool {
        self()
    }
}

/// Never stops.
#[derive(Debug, Clone, Copy, Default)]
pub struct Never;

impl Cancel for Never {
    fn is_cancelled(&self) -> bool {
        false
    }
}
