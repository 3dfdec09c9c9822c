//! What can go wrong, one enum per operation.

use crate::number::{CommitNumber, SegmentNumber};
use crate::storage::StorageError;
use laterbase_event::{DatabaseId, Hlc, Position, ReplicaId};
use std::fmt;

/// A stretch of a segment that does not hold what was written there, and what is lost with it.
///
/// The stretch runs from the end of the last intact frame before it to the start of the first one
/// behind it. All numbers are exact: what lies between the two frames is what is lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The segment.
    pub segment: SegmentNumber,
    /// Its file, in the storage's root.
    pub path: String,
    /// Where the damage begins, in bytes of the frames' stream: in a hot segment that is the file's
    /// offset, in a sealed one the offset in the decompressed frames.
    pub offset: u64,
    /// Where the first intact frame behind it begins, or the stream ends.
    pub end: u64,
    /// The first lost commit.
    pub first_commit: CommitNumber,
    /// The first commit behind the lost ones.
    pub next_commit: CommitNumber,
    /// The position of the first lost event.
    pub first_position: Position,
    /// The first position behind the lost ones; equal to `first_position` if no position is lost.
    pub next_position: Position,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} is damaged from byte {} to {}: commits {} to {} and positions {} to {} are lost",
            self.path,
            self.offset,
            self.end,
            self.first_commit,
            self.next_commit.as_u64().saturating_sub(1),
            self.first_position,
            self.next_position.as_u64().saturating_sub(1),
        )
    }
}

/// Why a log could not be created or opened.
#[derive(Clone, Debug, thiserror::Error)]
pub enum OpenError {
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// There is a log already.
    #[error("there is a log in {dir:?} already: open it, or choose an empty directory")]
    Exists {
        /// The log's directory.
        dir: String,
    },
    /// There is no log.
    #[error("there is no log in {dir:?}: create one, or restore it from a backup")]
    Missing {
        /// The log's directory.
        dir: String,
    },
    /// The segments belong to another database.
    #[error("{path:?} belongs to database {found}, not to {expected}: it was put here by mistake")]
    OtherDatabase {
        /// The segment's file.
        path: String,
        /// The database that was to be opened.
        expected: DatabaseId,
        /// The database that the segment names.
        found: DatabaseId,
    },
    /// A segment was written by a later version of this program.
    #[error(
        "{path:?} has format version {version}, this program reads up to {known}: use a newer one"
    )]
    NewerFormat {
        /// The segment's file.
        path: String,
        /// The version that it names.
        version: u32,
        /// The latest version that this program reads.
        known: u32,
    },
    /// A segment that must be there is not.
    #[error("segment {segment} is missing in {dir:?}: put its file back, or restore a backup")]
    SegmentMissing {
        /// The log's directory.
        dir: String,
        /// The missing segment.
        segment: SegmentNumber,
    },
    /// A segment's header block is damaged.
    #[error("the header of {path:?} is damaged: restore this file from a backup or another copy")]
    HeaderDamaged {
        /// The segment's file.
        path: String,
    },
    /// A sealed segment's table of contents is damaged.
    #[error("the footer of {path:?} is damaged: restore this file from a backup or another copy")]
    FooterDamaged {
        /// The segment's file.
        path: String,
    },
    /// Frames are damaged that were durable: something was lost.
    #[error(
        "{count} damaged stretches in the log, the first: {first}; repair it, or open it with \
         `accept_damage` to go on without what is lost",
        count = damages.len(),
        first = damages.first().map(ToString::to_string).unwrap_or_default()
    )]
    Damaged {
        /// Every damaged stretch that opening came across, in order.
        damages: Vec<Damage>,
    },
    /// The files hold less than the writing process said is durable.
    #[error("the log ends at position {found} and should reach {flushed}: run verify")]
    Behind {
        /// The position that should be there.
        flushed: Position,
        /// The last one that is.
        found: Position,
    },
    /// The configuration is not usable.
    #[error("a configuration value is out of range: {what}")]
    BadConfig {
        /// The field of [`LogConfig`](crate::LogConfig) and its rule.
        what: &'static str,
    },
}

/// Why the log takes no more writes until it is opened again.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the log stopped after a failed write or sync and must be opened again: {cause}")]
pub struct Poisoned {
    /// The first failure.
    pub cause: StorageError,
}

/// Why a commit was not staged. Nothing of it was.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StageError {
    /// All buffers wait for the disk: try again when a group has been committed.
    #[error("all append buffers are full: wait for the group that is being written")]
    Full,
    /// An earlier write or sync failed.
    #[error(transparent)]
    Poisoned(#[from] Poisoned),
    /// The commit is larger than the configured limit.
    #[error("the commit takes {bytes} bytes, the limit is {bytes_max}: split it")]
    TooLarge {
        /// What it takes in the log.
        bytes: usize,
        /// `LogConfig::commit_bytes_max`.
        bytes_max: usize,
    },
    /// The commit has no batch, or more than 65,535.
    #[error("a commit has 1 to 65,535 batches, not {count}")]
    BatchCount {
        /// How many it has.
        count: usize,
    },
    /// A batch does not continue its log.
    #[error(
        "a batch of {replica} under {root:?} starts at {found} and must start at {expected} with \
         the hash of the batch before it"
    )]
    OutOfSequence {
        /// The log's replica.
        replica: ReplicaId,
        /// The log's root.
        root: String,
        /// The sequence number that comes next.
        expected: u64,
        /// The batch's first sequence number.
        found: u64,
    },
    /// The arrival time is before the last commit's.
    #[error("the arrival {found:?} is before that of the commit before it, {last:?}")]
    ArrivalFell {
        /// The last commit's arrival.
        last: Hlc,
        /// The arrival that was given.
        found: Hlc,
    },
}

/// Why a group may or may not have been committed: its outcome is unknown until the log is opened
/// again.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CommitError {
    /// The storage failed now, or had failed before.
    #[error(transparent)]
    Poisoned(#[from] Poisoned),
    /// The groups were not committed in the order in which they were taken.
    #[error("group {found} was committed before group {expected}: commit groups in order")]
    OutOfOrder {
        /// The group that comes next.
        expected: u64,
        /// The group that was given.
        found: u64,
    },
}

/// Why something could not be read.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ReadError {
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// There is no such position.
    #[error("there is no event at position {position}: the last one is {last}")]
    NotFound {
        /// The position that was asked for.
        position: Position,
        /// The last one that is there.
        last: Position,
    },
    /// The position is in a stretch that is damaged.
    #[error("{0}; run verify, then repair")]
    Damaged(Box<Damage>),
    /// What was read is no intact frame, block or batch.
    #[error("{path:?} is damaged near byte {offset}: run verify, then repair")]
    Corrupt {
        /// The segment's file.
        path: String,
        /// Where, in bytes of the frames' stream.
        offset: u64,
    },
    /// A segment's table of contents is damaged.
    #[error("the footer of {path:?} is damaged: run verify, then repair")]
    Footer {
        /// The segment's file.
        path: String,
    },
    /// A sealed segment's dictionary is damaged: its blocks cannot be decompressed.
    #[error("the dictionary of {path:?} is damaged: run verify, then repair")]
    Dictionary {
        /// The segment's file.
        path: String,
    },
    /// The file was retired while it was being read and is now used for something else.
    #[error("{path:?} was replaced while it was being read: refresh and read again")]
    Retired {
        /// The segment's file.
        path: String,
    },
}

/// Why upkeep failed. The log itself goes on.
#[derive(Clone, Debug, thiserror::Error)]
pub enum MaintenanceError {
    /// The storage failed; try again later, or make room.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A segment that was to be sealed could not be read.
    #[error("a segment cannot be sealed: {0}")]
    Read(#[from] ReadError),
    /// The compressor failed.
    #[error("segment {segment} cannot be compressed")]
    Compress {
        /// The segment.
        segment: SegmentNumber,
    },
}
