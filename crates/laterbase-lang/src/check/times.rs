//! As of when: an atom's own times, else its rule's, else those that its rule is asked at.

use std::sync::Arc;

use super::expression::fitting;
use super::instance::Checker;
use crate::data_type::DataType;
use crate::diagnostic::Diagnostic;
use crate::plan::Cut;
use crate::syntax::{CutSyntax, ExpressionSyntax, TimesSyntax, ValidSyntax};
use crate::value::Value;

/// The times that a rule is asked at: constants.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TimeContext {
    /// What was known, if anything was said.
    pub(super) cut: Option<CutKey>,
    /// What was so, if anything was said.
    pub(super) valid: Option<ValidKey>,
}

/// [`Cut`], in an order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum CutKey {
    Latest,
    KnownAt(i64),
    RecordedBy(i64),
    Vector(Arc<[u8]>),
}

/// Valid times, in an order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ValidKey {
    Any,
    At(i64),
    In(Option<i64>, Option<i64>),
}

impl TimeContext {
    /// Whether rows hold for periods.
    pub(super) fn is_range(&self) -> bool {
        matches!(self.valid, Some(ValidKey::In(..)))
    }

    /// What is said nearer wins.
    pub(super) fn or(self, outer: &Self) -> Self {
        Self {
            cut: self.cut.or_else(|| outer.cut.clone()),
            valid: self.valid.or_else(|| outer.valid.clone()),
        }
    }

    pub(super) fn cut(&self) -> Cut {
        match &self.cut {
            None | Some(CutKey::Latest) => Cut::Latest,
            Some(CutKey::KnownAt(at)) => Cut::KnownAt(*at),
            Some(CutKey::RecordedBy(at)) => Cut::RecordedBy(*at),
            Some(CutKey::Vector(vector)) => Cut::Vector(Arc::clone(vector)),
        }
    }
}

impl Checker<'_> {
    /// The times of a clause as constants. A `valid` with a variable is left out: it belongs to the
    /// atom that it stands at.
    pub(super) fn constant_times(&mut self, syntax: &TimesSyntax) -> TimeContext {
        let cut = syntax.cut.as_ref().and_then(|cut| self.cut(cut));
        let valid = syntax.valid.as_ref().and_then(|valid| match valid {
            ValidSyntax::Any(_) => Some(ValidKey::Any),
            ValidSyntax::At(at) => self.constant_time(at).map(ValidKey::At),
            ValidSyntax::In { from, until, span, .. } => {
                let end = |checker: &mut Self, end: &Option<ExpressionSyntax>| {
                    let end = end.as_ref().filter(|end| end.as_value() != Some(&Value::Null))?;
                    checker.constant_time(end)
                };
                let (from, until) = (end(self, from), end(self, until));
                if from.is_some() && until.is_some() && from >= until {
                    self.tell(Diagnostic::error(*span, "the range ends before it starts").help(
                        "a range holds the times from the first up to, and without, the second",
                    ));
                }
                Some(ValidKey::In(from, until))
            }
        });
        TimeContext { cut, valid }
    }

    fn cut(&mut self, syntax: &CutSyntax) -> Option<CutKey> {
        let Some(at) = &syntax.at else { return Some(CutKey::Latest) };
        let (value, span) = (self.constant(at)?, at.span);
        if let Some(Value::Time(micros)) = fitting(&value, &DataType::Time) {
            let known = if syntax.is_recorded { CutKey::RecordedBy } else { CutKey::KnownAt };
            return Some(known(micros));
        }
        if let (Value::Bytes(vector), false) = (&value, syntax.is_recorded) {
            return Some(CutKey::Vector(Arc::clone(vector)));
        }
        let message = format!("`as of` wants a time, found {} `{value}`", value.kind());
        self.tell(Diagnostic::error(span, message).help(
            "as of 2026-03-06T17:00Z: what was known here by then; as of recorded \
             2026-03-06T17:00Z: what had been recorded anywhere; as of $vector: what a version \
             vector, as bytes, covers",
        ));
        None
    }

    /// A time that is the same for all rows.
    fn constant_time(&mut self, syntax: &ExpressionSyntax) -> Option<i64> {
        let value = self.constant(syntax)?;
        match fitting(&value, &DataType::Time) {
            Some(Value::Time(micros)) => Some(micros),
            _ => {
                let message = format!("`valid` wants a time, found {} `{value}`", value.kind());
                self.tell(
                    Diagnostic::error(syntax.span, message)
                        .help("as in 2026-03-01T12:00Z, 2026-03-01 (midnight, UTC), or now() - 2h"),
                );
                None
            }
        }
    }
}
