//! What keeps the rows of a fold from being kept, or from being taken up again.

use std::sync::Arc;

use laterbase_event::Position;
use laterbase_log::storage::StorageError;

use crate::append::AppendError;
use crate::cursor::Cursor;
use crate::read::ReadError;

/// The file of a fold is left aside. It is derived: the rows are made anew from the log.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum KeptFileError {
    /// It cannot be read or written.
    #[error("{0}")]
    Storage(#[from] StorageError),
    /// It does not say what such a file says, or not what was written.
    #[error("{path} is damaged in its {part}: its rows are made anew from the log")]
    Damaged {
        /// Which file.
        path: String,
        /// Where.
        part: KeptPart,
    },
    /// It is of another format.
    #[error("{path} has format {format}, and this build reads 1: its rows are made anew")]
    Format {
        /// Which file.
        path: String,
        /// Its format version.
        format: u32,
    },
    /// It was written by another copy of the database, where events arrived in another order.
    #[error("{path} counts arrivals on another copy: its rows are made anew from the log")]
    OtherCopy {
        /// Which file.
        path: String,
    },
    /// The log does not hold what the file was made of: it was put back.
    #[error(
        "{path} counts up to position {position}, and the log holds other events there, or none: \
         its rows are made anew"
    )]
    OtherLog {
        /// Which file.
        path: String,
        /// Up to where it counts.
        position: Position,
    },
    /// It was written for other aggregates or views, or code that names other rows.
    #[error("{path} was written by code that names other rows: its rows are made anew")]
    OtherCode {
        /// Which file.
        path: String,
    },
    /// A state in it is none of this program's.
    #[error(
        "{path} has a state of `{key}` that does not fit: {message}; its rows are made anew. Count \
         VERSION up when the state changes"
    )]
    State {
        /// Which file.
        path: String,
        /// Of which row.
        key: String,
        /// What the program's code says.
        message: String,
    },
}

/// A part of a fold's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeptPart {
    /// What it is, and of which fold.
    Head,
    /// Rows.
    Block,
    /// Where the rows are.
    Foot,
}

impl std::fmt::Display for KeptPart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Head => "head",
            Self::Block => "rows",
            Self::Foot => "foot",
        })
    }
}

/// The rows of a fold are not kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeepError {
    /// Not a name for a file.
    #[error("`{name}` cannot name what is kept: use 1 to 80 bytes of a-z 0-9 _ . -")]
    Name {
        /// The name.
        name: String,
    },
    /// Another projection has the name, or this one has another.
    #[error("`{name}` is kept by another projection of this database: use another name")]
    Taken {
        /// The name.
        name: String,
    },
    /// It was not asked to be kept.
    #[error("this projection is not kept: make it so with `kept`")]
    NotKept,
    /// This process only reads.
    #[error("this process only reads: what is kept is written by the one that writes")]
    ReadOnly,
    /// The database is closed, or this was told to stop.
    #[error("the database is closed")]
    Closed,
    /// What it is made of cannot be flushed.
    #[error("{0}")]
    Flush(#[from] AppendError),
    /// Events cannot be read.
    #[error("{0}")]
    Read(#[from] ReadError),
    /// The file cannot be written. The one before is as it was.
    #[error("{0}: what was kept before is as it was")]
    File(#[from] KeptFileError),
    /// A state has no JSON. Everything else is kept.
    #[error("a state of `{key}` cannot be kept: {message}; it is made anew after the next start")]
    State {
        /// Of which row.
        key: String,
        /// What the program's code says.
        message: String,
    },
}

impl From<StorageError> for KeepError {
    fn from(error: StorageError) -> Self {
        Self::File(KeptFileError::Storage(error))
    }
}

/// What becomes of rows that are kept.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum KeptNews {
    /// This version answers.
    Ready,
    /// A file is left aside.
    Unusable(Arc<KeptFileError>),
    /// They could not be written. It is tried again when more events came, and at the end.
    Failed(Arc<KeepError>),
}

/// What is kept of a projection, and what went wrong with it.
#[derive(Debug, Clone)]
pub struct KeptStatus {
    /// Under which name.
    pub name: String,
    /// Up to where the file counts, as a cursor in arrival order; `None`: there is none.
    pub kept_to: Option<Cursor>,
    /// Files that were left aside, since it was made.
    pub unusable: Vec<Arc<KeptFileError>>,
    /// Why the rows could not be written when that was last tried.
    pub failure: Option<Arc<KeepError>>,
}

/// The rows of another version do not answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PreviousError {
    /// Their file cannot be read.
    #[error(transparent)]
    File(#[from] KeptFileError),
    /// They show one moment, and another one is asked for.
    #[error("another version left the rows of one moment alone: ask again once this one is ready")]
    OtherMoment,
}
