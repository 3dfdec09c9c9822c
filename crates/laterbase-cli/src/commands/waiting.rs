//! What a person sees while a question takes its time, and how it is stopped.
//!
//! A line on standard error, where that is a terminal: how long it took so far, and how many rows
//! it has made. It is written over as time goes on, and taken away before the answer.

use std::cell::Cell;
use std::io::IsTerminal as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use laterbase::ask::{Cancel, Usage};

use crate::output::complain;

/// A question that takes longer says so.
const SAY_AFTER: Duration = Duration::from_millis(500);
/// Between two lines.
const SAY_EVERY: Duration = Duration::from_millis(200);

/// A question under way.
pub(super) struct Waiting<'a> {
    began: Instant,
    is_terminal: bool,
    /// How long it had taken when that was last said.
    said: Cell<Option<Duration>>,
    interrupted: Option<&'a AtomicBool>,
}

impl<'a> Waiting<'a> {
    /// Begins now. What is interrupted ends when the flag is set.
    pub(super) fn new(interrupted: Option<&'a AtomicBool>) -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        Self { began: Instant::now(), is_terminal, said: Cell::new(None), interrupted }
    }

    /// How long it took.
    pub(super) fn took(&self) -> Duration {
        self.began.elapsed()
    }

    /// Takes the line away.
    pub(super) fn done(&self) {
        if self.said.take().is_some() {
            complain("\r\x1b[K");
        }
    }
}

impl Cancel for Waiting<'_> {
    fn is_cancelled(&self) -> bool {
        self.interrupted.is_some_and(|flag| flag.load(Ordering::Relaxed))
    }

    fn has_used(&self, usage: &Usage) {
        if !self.is_terminal {
            return;
        }
        let took = self.took();
        let next = self.said.get().map_or(SAY_AFTER, |said| said.saturating_add(SAY_EVERY));
        if took >= next {
            self.said.set(Some(took));
            complain(&line(took, usage.rows));
        }
    }
}

fn line(took: Duration, rows: u64) -> String {
    format!("\r\x1b[K{:.1} s, {} rows so far; Ctrl-C stops it", took.as_secs_f64(), grouped(rows))
}

/// A number that is easy to read: `1,234,567`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && digits.len().saturating_sub(at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_how_long_it_took_and_how_many_rows_there_are() {
        let said = line(Duration::from_millis(1_260), 1_234_567);
        assert_eq!(said, "\r\x1b[K1.3 s, 1,234,567 rows so far; Ctrl-C stops it");
        assert_eq!([999, 1_000, 0].map(grouped), ["999", "1,000", "0"]);
    }
}
