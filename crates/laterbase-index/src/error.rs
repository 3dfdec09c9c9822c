//! What can go wrong with an index, one enum for each phase of its life.
//!
//! An index is derived: whatever is wrong with its files, the answer is to delete them and to read
//! the log again. So damage is never repaired here, only told apart from a storage that fails.

use laterbase_event::Position;
use laterbase_log::storage::StorageError;
use std::fmt;

/// A file of the index is not what was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{file:?} is damaged at byte {offset}: {kind}; delete the index, it is rebuilt from the log"
)]
pub struct Damage {
    /// The file, as the storage names it.
    pub file: String,
    /// Where in the file what cannot be read begins, in bytes.
    pub offset: u64,
    /// What is wrong there.
    pub kind: DamageKind,
}

/// What is wrong with a damaged file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DamageKind {
    /// The file is missing.
    Missing,
    /// The file ends too early or too late.
    Length,
    /// It does not begin or end as such a file does.
    Magic,
    /// The checksum differs.
    Checksum,
    /// The checksum fits, but what it covers breaks a rule of the format.
    Content,
}

impl fmt::Display for DamageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "it is missing",
            Self::Length => "its length is wrong",
            Self::Magic => "it is no file of an index",
            Self::Checksum => "the checksum differs",
            Self::Content => "its content contradicts itself",
        })
    }
}

/// Why an index could not be opened, created or refreshed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum OpenError {
    /// There is no index here.
    #[error("there is no index in {dir:?}; create one and fill it from the log")]
    Missing {
        /// The directory.
        dir: String,
    },
    /// There is one already.
    #[error("{dir:?} holds an index already; open it, or destroy it first")]
    Exists {
        /// The directory.
        dir: String,
    },
    /// A later version of this program wrote it.
    #[error(
        "{file:?} has format {found}, this program knows up to {supported}; use a newer program, \
         or delete the index"
    )]
    NewerFormat {
        /// The file.
        file: String,
        /// Its format version.
        found: u32,
        /// The highest version that can be read.
        supported: u32,
    },
    /// It was made from another log: its positions mean something else.
    #[error(
        "the index in {dir:?} belongs to another database or replica; delete it, it is rebuilt \
         from the log"
    )]
    Foreign {
        /// The directory.
        dir: String,
    },
    /// A file is damaged.
    #[error(transparent)]
    Damaged(#[from] Damage),
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Why entries were not taken: the caller's mistake. Nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AbsorbError {
    /// An entry's position is above the position that the entries are said to be complete to.
    #[error(
        "an entry has position {position}, above {upto}, which the entries are complete to; \
         set it to the last position"
    )]
    BeyondEnd {
        /// The entry's position.
        position: Position,
        /// What the entries are complete to.
        upto: Position,
    },
    /// Positions end at 2^48 − 1.
    #[error("position {upto} is above the highest that an index can hold")]
    TooHigh {
        /// What the entries are complete to.
        upto: Position,
    },
}

/// Why a read gave no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ReadError {
    /// A run is damaged.
    #[error(transparent)]
    Damaged(#[from] Damage),
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Why maintenance did not go on. Reading and absorbing go on all the same.
#[derive(Debug, Clone, thiserror::Error)]
pub enum MaintainError {
    /// A run that was to be merged is damaged.
    #[error(transparent)]
    Damaged(#[from] Damage),
    /// The storage failed. What was begun is abandoned, nothing is changed; a later call begins
    /// anew with fresh files.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The storage failed while the manifest was being replaced, in this call or an earlier one:
    /// which manifest is on the device is unknown, so nothing is written until the index is opened
    /// again.
    #[error("the index writes nothing more until it is opened again: {cause}")]
    Stopped {
        /// What failed.
        cause: StorageError,
    },
}

impl From<ReadError> for MaintainError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Damaged(damage) => Self::Damaged(damage),
            ReadError::Storage(error) => Self::Storage(error),
        }
    }
}

impl From<ReadError> for OpenError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Damaged(damage) => Self::Damaged(damage),
            ReadError::Storage(error) => Self::Storage(error),
        }
    }
}
