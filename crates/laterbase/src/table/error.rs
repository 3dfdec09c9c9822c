//! Why a table cannot be read or written.

use std::sync::Arc;

use laterbase_event::NameError;
use laterbase_lang::DataType;

use crate::append::AppendError;
use crate::commit::PushError;
use crate::read::ReadError;

/// A table cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// The schema declares no such table.
    #[error("there is no table `{name}`: {}", declare_it(known))]
    NoTable {
        /// What was asked for.
        name: String,
        /// The tables that there are.
        known: Vec<Arc<str>>,
    },
    /// The table has no such column. Nothing was written.
    #[error("`{table}` has no column `{column}`: its columns are {}", listed(known))]
    NoColumn {
        /// The table.
        table: Arc<str>,
        /// What was named.
        column: String,
        /// The columns that it has.
        known: Vec<Arc<str>>,
    },
    /// The value is none of the column's type. Nothing was written.
    #[error("`{column}` is a {expected}, and this is a {found}: give it one of its type")]
    WrongType {
        /// The column.
        column: String,
        /// What it holds.
        expected: DataType,
        /// What was given.
        found: &'static str,
    },
    /// The column may not be absent, and would be. Nothing was written.
    #[error("the row would have no `{column}`: give it a value, or declare its type with a `?`")]
    NotOptional {
        /// The column.
        column: String,
    },
    /// The column is not merged in that way. Nothing was written.
    #[error("`{column}` is a {is}: use `{instead}`")]
    OtherMerge {
        /// The column.
        column: String,
        /// What it is.
        is: &'static str,
        /// How it is written.
        instead: &'static str,
    },
    /// The key is malformed. Nothing was written.
    #[error("the key is refused: {0}")]
    Key(NameError),
    /// The valid times are none. Nothing was written.
    #[error("the valid times end before they begin: give an end behind the beginning")]
    NoTime,
    /// Others wrote the row again and again. Nothing was written.
    #[error("the row was changed {attempts} times while it was written: try again")]
    Busy {
        /// How often it was tried.
        attempts: usize,
    },
    /// A row does not fit the type that it was read as.
    #[error("the row `{key}` does not fit: {reason}")]
    Row {
        /// Its key.
        key: String,
        /// What does not fit.
        reason: String,
    },
    /// It cannot be recorded.
    #[error(transparent)]
    Push(#[from] PushError),
    /// It cannot be recorded.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// What is stored cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

fn declare_it(known: &[Arc<str>]) -> String {
    if known.is_empty() {
        return "apply a schema that declares it".to_owned();
    }
    format!("there are {}; apply a schema that declares another one", listed(known))
}

fn listed(names: &[Arc<str>]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}
