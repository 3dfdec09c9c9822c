//! What a run has used, and the end of it.

use laterbase_lang::Span;

use crate::error::{Budget, Culprit, Exhausted, QueryError, Usage};
use crate::limits::{Cancel, Limits};

/// Steps between two looks at limits and at the host.
const STEPS_BETWEEN: u32 = 4_096;

/// Rows of a relation are numbered in 32 bits.
const ROWS_MAX: u64 = u32::MAX as u64 - 1;

pub(crate) struct Meter<'a> {
    limits: Limits,
    cancel: &'a dyn Cancel,
    usage: Usage,
    until_look: u32,
    /// What is at work, and the rows that it has made.
    culprit: Culprit,
}

impl<'a> Meter<'a> {
    pub(crate) fn new(mut limits: Limits, cancel: &'a dyn Cancel) -> Self {
        limits.rows_max = limits.rows_max.min(ROWS_MAX);
        let culprit = Culprit { name: String::new(), span: Span::default(), rows: 0 };
        Self { limits, cancel, usage: Usage::default(), until_look: 1, culprit }
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(crate) fn culprit(&self) -> &Culprit {
        &self.culprit
    }

    pub(crate) fn usage(&self) -> Usage {
        self.usage
    }

    /// Says what is at work from now on.
    pub(crate) fn blame(&mut self, name: &str, span: Span) {
        if self.culprit.name != name || self.culprit.span != span {
            self.culprit = Culprit { name: name.to_owned(), span, rows: 0 };
        }
    }

    /// Says that it is again what it was.
    pub(crate) fn blame_again(&mut self, culprit: Culprit) {
        self.culprit = culprit;
    }

    /// One step.
    #[inline]
    pub(crate) fn step(&mut self) -> Result<(), QueryError> {
        self.until_look -= 1;
        if self.until_look == 0 { self.look() } else { Ok(()) }
    }

    #[cold]
    fn look(&mut self) -> Result<(), QueryError> {
        self.until_look = STEPS_BETWEEN;
        self.steps(u64::from(STEPS_BETWEEN))
    }

    /// Many steps at once.
    pub(crate) fn steps(&mut self, count: u64) -> Result<(), QueryError> {
        self.usage.steps = self.usage.steps.saturating_add(count);
        self.cancel.has_used(&self.usage);
        if self.cancel.is_cancelled() {
            return Err(QueryError::Cancelled);
        }
        let limit = self.limits.steps_max;
        if self.usage.steps > limit { Err(self.exhausted(Budget::Steps, limit)) } else { Ok(()) }
    }

    /// Rows that were made.
    pub(crate) fn rows(&mut self, count: u64) -> Result<(), QueryError> {
        self.culprit.rows = self.culprit.rows.saturating_add(count);
        self.usage.rows = self.usage.rows.saturating_add(count);
        let limit = self.limits.rows_max;
        if self.usage.rows > limit { Err(self.exhausted(Budget::Rows, limit)) } else { Ok(()) }
    }

    /// Rows that the source answered.
    pub(crate) fn read(&mut self, count: u64) {
        self.usage.rows_read = self.usage.rows_read.saturating_add(count);
    }

    /// Bytes that are held now.
    pub(crate) fn bytes(&mut self, held: u64) -> Result<(), QueryError> {
        self.usage.bytes = self.usage.bytes.max(held);
        let limit = self.limits.bytes_max;
        if held > limit { Err(self.exhausted(Budget::Bytes, limit)) } else { Ok(()) }
    }

    fn exhausted(&self, budget: Budget, limit: u64) -> QueryError {
        let culprit = self.culprit.clone();
        QueryError::Exhausted(Box::new(Exhausted { budget, limit, culprit, used: self.usage }))
    }
}
