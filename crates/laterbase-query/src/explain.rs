//! What the engine does to answer a plan, as text and as data.
//!
//! ```text
//!   tc                             rows expected    rows found   in 3 rounds
//!     scan tc (delta)                         12           240
//!     probe edge                             120          2400
//! ```

use std::fmt;

use laterbase_lang::Span;

/// What the engine does to answer a plan.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Explanation {
    /// Its parts, in the order in which they were first done.
    pub parts: Vec<ExplainedPart>,
}

/// A rule, or what is read for one.
#[derive(Debug, Clone, PartialEq)]
pub struct ExplainedPart {
    /// The relation that is made.
    pub name: String,
    /// Where the rule stands.
    pub span: Span,
    /// How often it was done: once, or once for each round of a recursion.
    pub rounds: u64,
    /// What is done, each step for each row of those before.
    pub steps: Vec<ExplainedStep>,
}

/// A step.
#[derive(Debug, Clone, PartialEq)]
pub struct ExplainedStep {
    /// What is done.
    pub text: String,
    /// Rows that were expected behind it, when it was first planned.
    pub expected: f64,
    /// Rows that there were in all rounds; `None` if it was not done.
    pub found: Option<u64>,
}

impl Explanation {
    /// Adds what was done; to what was done like it before, if that was.
    pub(crate) fn add(&mut self, part: ExplainedPart) {
        let texts = |part: &ExplainedPart| {
            part.steps.iter().map(|step| step.text.clone()).collect::<Vec<String>>()
        };
        let same = |held: &&mut ExplainedPart| {
            held.name == part.name && held.span == part.span && texts(held) == texts(&part)
        };
        let Some(held) = self.parts.iter_mut().find(same) else {
            self.parts.push(part);
            return;
        };
        held.rounds += part.rounds;
        for (step, other) in held.steps.iter_mut().zip(part.steps) {
            step.found = match (step.found, other.found) {
                (Some(a), Some(b)) => Some(a.saturating_add(b)),
                (a, b) => a.or(b),
            };
        }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.parts {
            write!(f, "{}", part.name)?;
            if part.rounds > 1 {
                write!(f, " ({} rounds)", part.rounds)?;
            }
            writeln!(f)?;
            for step in &part.steps {
                write!(f, "  {:<40} expected {:>10.0}", step.text, step.expected)?;
                match step.found {
                    Some(found) => writeln!(f, "  found {found:>10}")?,
                    None => writeln!(f)?,
                }
            }
        }
        Ok(())
    }
}
