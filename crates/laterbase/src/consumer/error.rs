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
    /// A member of the configuration is beyond its bound.
    #[error("`{member}` of a consumer is at most {max}, not {count}")]
    Config {
        /// Which member.
        member: &'static str,
        /// What it is, or how many it names.
        count: usize,
        /// What it may be.
        max: usize,
    },
    /// There are as many consumers as there may be.
    #[error("there are {max} consumers, and no more are taken: remove one that is not used")]
    TooMany {
        /// How many there may be.
        max: usize,
    },
    /// There is no such consumer, or it was removed since.
    #[error("there is no consumer `{name}`: create it first")]
    Unknown {
        /// Its name.
        name: String,
    },
    /// The database was closed.
    #[error("the database is closed: open it, and take its consumers from there")]
    Closed,
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
    /// One more event is to be put on the list of the dead, and that is full.
    #[error(
        "{max} events of consumer `{name}` are dead, and the list holds no more: retry or discard \
         some of them, then it is given events again"
    )]
    TooManyDead {
        /// Its name.
        name: String,
        /// How many events may be dead.
        max: usize,
    },
    /// Its file cannot be used.
    #[error(transparent)]
    File(#[from] ConsumerFileError),
    /// Events cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// An event that is to be given again cannot be read. It stays open, and no attempt is counted.
    #[error(
        "the event at position {position} cannot be read ({source}): acknowledge the position to \
         go on without the event"
    )]
    Unreadable {
        /// Where it stands.
        position: Position,
        /// Why it cannot be read.
        source: ReadError,
    },
}
