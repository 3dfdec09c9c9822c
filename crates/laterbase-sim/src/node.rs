//! What the world asks of a copy: the port of the sync sessions, and what is done to the copy
//! behind its back.
//!
//! The world knows copies by this trait alone, so that the same faults, schedules and checks run
//! over copies in memory ([`MemoryNode`](crate::MemoryNode)) and over real databases
//! ([`DatabaseNode`](crate::DatabaseNode)).

use std::collections::BTreeMap;

use laterbase_event::{DatabaseId, EventId, Hash, ReplicaId};
use laterbase_log::storage::Random;
use laterbase_sync::{Outcome, PeerMemory, Replica};

/// An event that a copy is asked to record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// Under which root.
    pub root: &'static str,
    /// About which thing.
    pub key: String,
    /// What kind of event.
    pub type_name: &'static str,
    /// When it happened, in microseconds since 1970, if that is not now.
    pub valid_us: Option<i64>,
    /// What happened.
    pub payload: Vec<u8>,
}

/// What the writer asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Care {
    /// It is durable when it is acknowledged.
    Flushed,
    /// It may be lost.
    Relaxed,
}

/// What came of an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// Recorded and as durable as was asked for; up to this clock value.
    Done {
        /// The milliseconds of the last event's id.
        millis: u64,
    },
    /// Not recorded, as its rules say.
    Refused,
    /// The storage failed: nobody knows.
    Failed,
}

/// How a copy stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// In good order.
    Closed,
    /// The process is killed; what was written stays.
    Killed,
    /// The power is cut; what was not synced survives or not.
    PowerCut,
}

/// What is wrong with a copy's disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The power is cut at the n-th change from now on, in the middle of it.
    PowerCutAt(u64),
    /// The n-th sync fails.
    SyncFailsAt(u64),
    /// The n-th write fails.
    WriteFailsAt(u64),
    /// Only so many bytes more fit.
    Full(u64),
}

/// Where a backup goes, or a clone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Over what is there, so that nothing on the machine tells.
    InPlace,
    /// Elsewhere, so that the file system tells.
    Elsewhere,
}

/// What an opening told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Opened {
    /// A torn tail was cut off.
    pub torn_tail: bool,
    /// It took a new id because it is a copy.
    pub was_copied: bool,
    /// It took a new id because its clock had run ahead.
    pub clock_was_ahead: bool,
}

/// How a copy is made.
#[derive(Clone, Copy, Debug)]
pub struct Birth {
    /// Of which database.
    pub database: DatabaseId,
    /// Its place in the world.
    pub number: usize,
    /// What it draws its random numbers from.
    pub seed: u64,
    /// What its clock shows.
    pub wall_us: i64,
    /// Whether it refuses what [`is_refused`] says.
    pub is_strict: bool,
}

/// The kind of event that strict copies refuse.
pub const REFUSED_TYPE: &str = "doubtful";

/// Whether a strict copy refuses an event.
#[must_use]
pub fn is_refused(type_name: &str) -> bool {
    type_name == REFUSED_TYPE
}

/// An event as a reader sees it: its id, and a hash of everything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seen {
    /// Its id.
    pub id: EventId,
    /// A hash of its content.
    pub content: Hash,
    /// Whether a database recorded it about itself.
    pub is_reserved: bool,
}

/// Something that must not be, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation(pub String);

/// Answers with a [`Violation`], as `format!` would put it.
macro_rules! violation {
    ($($text:tt)*) => { $crate::node::Violation(format!($($text)*)) };
}
pub(crate) use violation;

/// One copy of the database, with its disk, clock and random numbers.
pub trait Node: Sized {
    /// What sessions work on; there may be several at once.
    type Port: Replica;
    /// The storage of a copy, as it was once.
    type Backup: Clone;

    /// Whether it keeps clocks of the far future from spreading.
    const KEEPS_CLOCK: bool;

    /// Makes an empty copy, open.
    ///
    /// # Errors
    /// [`Violation`] if it cannot be made.
    fn create(birth: &Birth) -> Result<Self, Violation>;

    /// Whether it is open.
    fn is_up(&self) -> bool;

    /// The port, if it is open. What was recorded so far may become durable by asking for it.
    fn port(&self) -> Option<Self::Port>;

    /// Under which id it writes, or wrote when it was open last.
    fn replica(&self) -> ReplicaId;

    /// Sets its clock.
    fn set_wall_us(&mut self, now_us: i64);

    /// Records events as one commit.
    fn append(&mut self, wishes: &[Wish], care: Care) -> Appended;

    /// Does a piece of what happens in the background.
    fn step(&mut self);

    /// Records what sessions reported.
    fn record(&mut self, outcomes: &[Outcome]);

    /// Whether its storage has failed, so that it must be opened anew; and whether for want of
    /// power.
    fn is_struck(&mut self) -> Option<Ending>;

    /// Stops it.
    fn stop(&mut self, ending: Ending, random: &mut Random);

    /// Opens it again.
    ///
    /// # Errors
    /// `Ok(None)` if its disk is in trouble; [`Violation`] if it does not open for no reason.
    fn reopen(&mut self, is_strict: bool) -> Result<Option<Opened>, Violation>;

    /// Gives its disk trouble, or none from now on.
    fn trouble(&mut self, trouble: Option<Trouble>);

    /// Copies its storage, open or not.
    fn backup(&mut self) -> Self::Backup;

    /// Puts a backup in the place of its storage. It is closed before and after.
    fn restore(&mut self, backup: &Self::Backup, place: Place);

    /// The same copy once more, disk and random numbers included, if that is cheap to have.
    fn fork(&self) -> Option<Self> {
        None
    }

    /// Another copy, from a copy of this one's storage; closed.
    fn twin(&mut self, birth: &Birth, place: Place) -> Self;

    /// Keeps what a session learned of its peer.
    fn remember(&mut self, memory: &PeerMemory);

    /// All events that readers see, in the order of their ids.
    ///
    /// # Errors
    /// [`Violation`] if they cannot be read.
    fn visible(&self) -> Result<Vec<Seen>, Violation>;

    /// How many batches are quarantined.
    ///
    /// # Errors
    /// [`Violation`] if they cannot be listed.
    fn quarantined(&self) -> Result<usize, Violation>;

    /// Looks again at what is quarantined.
    ///
    /// # Errors
    /// [`Violation`] if that fails.
    fn retry_quarantine(&mut self) -> Result<(), Violation>;

    /// The forks that it reports: where, and the names of two or more branches. `None`: it has no
    /// such list.
    ///
    /// # Errors
    /// [`Violation`] if they cannot be read.
    fn forks(&self) -> Result<Option<Vec<ForkSeen>>, Violation>;

    /// The rows of its folds and views, by name, which must be the same on every copy. None by
    /// default: not every copy folds.
    ///
    /// # Errors
    /// [`Violation`] if they are not what they are from scratch.
    fn folded(&self) -> Result<BTreeMap<String, String>, Violation> {
        Ok(BTreeMap::new())
    }

    /// Its own verification of all that it holds.
    ///
    /// # Errors
    /// [`Violation`] with what it found.
    fn verify(&self) -> Result<(), Violation>;
}

/// A fork that a copy reports.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ForkSeen {
    /// Under which root.
    pub root: String,
    /// The id that both branches carry.
    pub writer: ReplicaId,
    /// The number of the first event that differs.
    pub first_seq: u64,
}
