//! What keeps a consumer from doing what was asked.

use laterbase_event::Position;

use super::file::ConsumerFileError;
use crate::read::ReadError;

/// A consumer could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConsumerError {
    /// The name is not one.
    #[error("`{name}` cannot name a consumer: use 1 to 64 of a-z 0-9 _ -")]
    Name {
        /// The name.
        name: String,
    },
    /// A root, type or tag is not one.
    #[error("a consumer cannot be given events of `{text}`: {reason}")]
    Filter {
        /// What was named.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no such consumer.
    #[error("there is no consumer `{name}`: create it first")]
    Unknown {
        /// Its name.
        name: String,
    },
    /// This process only reads.
    #[error(
        "this process only reads, and a consumer has to be written: open the database to write"
    )]
    ReadOnly,
    /// The consumer counts on another copy, or on more than there is.
    #[error(
        "consumer `{name}` counts arrivals on another copy of the database, or on one that was \
         restored from before position {position}: remove it and create it again"
    )]
    OtherCopy {
        /// Its name.
        name: String,
        /// How far it had come.
        position: Position,
    },
    /// Its file cannot be used.
    #[error(transparent)]
    File(#[from] ConsumerFileError),
    /// Events cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}
