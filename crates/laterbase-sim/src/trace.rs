//! What happened in a run, line by line. Equal seeds give equal bytes.

use std::fmt;

/// The lines of one run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    lines: Vec<String>,
}

impl Trace {
    /// Adds a line.
    pub fn note(&mut self, now_ms: u64, line: impl fmt::Display) {
        self.lines.push(format!("{now_ms:>8} {line}"));
    }

    /// All lines.
    #[must_use]
    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    /// The last lines.
    #[must_use]
    pub fn tail(&self, count: usize) -> &[String] {
        let from = self.lines.len().saturating_sub(count);
        self.lines.get(from..).unwrap_or_default()
    }
}
