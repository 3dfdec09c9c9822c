//! Why a question has no answer.

use std::fmt;

use laterbase_lang::{Diagnostic, render_all};
use laterbase_query::QueryError;

use crate::read::ReadError;

/// A question has no answer.
#[derive(Debug)]
pub struct AskError {
    /// Why.
    pub fault: AskFault,
    text: String,
}

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AskFault {
    /// The text is wrong: each mistake, where it stands.
    #[error("the question is wrong")]
    Mistakes(Vec<Diagnostic>),
    /// There is no query in the text.
    #[error("there is no query: ask with `?{{…}} :- …`")]
    NoQuery,
    /// There is no statement in the text.
    #[error("there is no statement: ask with `?{{…}} :- …`, write with `add`, `put` or `delete`")]
    NoStatement,
    /// It reads or writes what is not allowed.
    #[error("it reads or writes what is not allowed")]
    Forbidden,
    /// It could not be answered.
    #[error(transparent)]
    Query(QueryError),
    /// What is stored cannot be read.
    #[error(transparent)]
    Read(ReadError),
    /// A row does not fit the type that it was asked as.
    #[error("row {row} does not fit: {reason}")]
    Row {
        /// Which one, from 0.
        row: usize,
        /// What does not fit.
        reason: String,
    },
}

impl From<AskFault> for AskError {
    fn from(fault: AskFault) -> Self {
        Self { fault, text: String::new() }
    }
}

impl AskError {
    pub(super) fn no_query() -> Self {
        AskFault::NoQuery.into()
    }

    pub(crate) fn mistakes(diagnostics: Vec<Diagnostic>, text: &str) -> Self {
        Self { fault: AskFault::Mistakes(diagnostics), text: text.to_owned() }
    }

    /// What the engine says; of what a person wrote, where it stands.
    pub(super) fn of_query(error: QueryError, text: &str) -> Self {
        if let QueryError::Mistake(mistake) = &error {
            let told = Diagnostic::error(mistake.span, mistake.to_string())
                .help("a row has values for which this cannot be computed: leave them out before");
            return Self::mistakes(vec![told], text);
        }
        AskFault::Query(error).into()
    }

    /// What is wrong with the text, if that is the reason.
    #[must_use]
    pub fn diagnostics(&self) -> &[Diagnostic] {
        if let AskFault::Mistakes(diagnostics) = &self.fault { diagnostics } else { &[] }
    }

    /// The text of the question.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The mistakes with their lines; `name` is what the text is called: a file, or `query`.
    #[must_use]
    pub fn render(&self, name: &str) -> String {
        match &self.fault {
            AskFault::Mistakes(diagnostics) => render_all(diagnostics, name, &self.text),
            other @ (AskFault::NoQuery
            | AskFault::NoStatement
            | AskFault::Forbidden
            | AskFault::Query(_)
            | AskFault::Read(_)
            | AskFault::Row { .. }) => format!("error: {other}"),
        }
    }
}

impl fmt::Display for AskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render("query"))
    }
}

impl std::error::Error for AskError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.fault {
            AskFault::Query(error) => Some(error),
            AskFault::Read(error) => Some(error),
            AskFault::Mistakes(_)
            | AskFault::NoQuery
            | AskFault::NoStatement
            | AskFault::Forbidden
            | AskFault::Row { .. } => None,
        }
    }
}
