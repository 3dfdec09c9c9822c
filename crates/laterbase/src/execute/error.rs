//! Why a statement was not carried out.

use std::fmt;

use laterbase_lang::{Diagnostic, Span, render_all};

use crate::append::AppendError;
use crate::ask::AskFault;
use crate::commit::PushError;

/// A statement was not carried out, and has written nothing.
#[derive(Debug)]
pub struct ExecuteError {
    /// Why.
    pub fault: ExecuteFault,
    /// How many statements of the text, in front of it, were carried out.
    pub done: usize,
    text: String,
}

/// Why a statement was not carried out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExecuteFault {
    /// The text is wrong, or a question of it has no answer.
    #[error(transparent)]
    Ask(AskFault),
    /// What a transaction expects is not so: read, and decide anew.
    #[error("{}", .0.message)]
    Expectation(Box<Diagnostic>),
    /// A row of a body cannot be written: change the statement, or what it reads.
    #[error("{}", .0.message)]
    Row(Box<Diagnostic>),
    /// An event breaks a limit or is refused: change what it says.
    #[error("{error}")]
    Push {
        /// Why.
        error: PushError,
        /// Which mutation made it.
        span: Span,
    },
    /// What was read changed each time before it could be decided on: try again.
    #[error("others keep changing what this reads: try again, or ask for less in one statement")]
    Busy,
    /// The commit could not be appended.
    #[error(transparent)]
    Append(AppendError),
}

impl ExecuteError {
    pub(super) fn new(fault: ExecuteFault, text: &str) -> Self {
        Self { fault, done: 0, text: text.to_owned() }
    }

    pub(super) fn mistakes(told: Vec<Diagnostic>, text: &str) -> Self {
        Self::new(ExecuteFault::Ask(AskFault::Mistakes(told)), text)
    }

    pub(super) fn expectation(told: Diagnostic, text: &str) -> Self {
        Self::new(ExecuteFault::Expectation(Box::new(told)), text)
    }

    pub(super) fn row(told: Diagnostic, text: &str) -> Self {
        Self::new(ExecuteFault::Row(Box::new(told)), text)
    }

    pub(super) fn after(self, done: usize) -> Self {
        Self { done, ..self }
    }

    /// What is wrong, where it stands in the text.
    #[must_use]
    pub fn diagnostics(&self) -> Vec<Diagnostic> {
        match &self.fault {
            ExecuteFault::Ask(AskFault::Mistakes(told)) => told.clone(),
            ExecuteFault::Expectation(told) | ExecuteFault::Row(told) => vec![*told.clone()],
            ExecuteFault::Push { error, span } => {
                vec![Diagnostic::error(*span, error.to_string())]
            }
            ExecuteFault::Ask(_) | ExecuteFault::Busy | ExecuteFault::Append(_) => Vec::new(),
        }
    }

    /// The text of the statements.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What is wrong, with its lines; `name` is what the text is called: a file, or `query`.
    #[must_use]
    pub fn render(&self, name: &str) -> String {
        let told = self.diagnostics();
        let mut shown = if told.is_empty() {
            format!("error: {}", self.fault)
        } else {
            render_all(&told, name, &self.text)
        };
        if self.done > 0 {
            let (count, verb) = if self.done == 1 {
                ("the statement".to_owned(), "was")
            } else {
                (format!("the {} statements", self.done), "were")
            };
            shown.push_str(&format!("\n{count} before it {verb} carried out"));
        }
        shown
    }
}

impl fmt::Display for ExecuteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render("query"))
    }
}

impl std::error::Error for ExecuteError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.fault)
    }
}
