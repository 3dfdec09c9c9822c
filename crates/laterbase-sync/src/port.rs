//! What the state machine needs of the copy that it syncs: the host's port.
//!
//! The port holds batches and says where they stand; deciding what is a fork, what a branch is
//! called, and whether a batch may be offered at all, is done before it is asked. A host may check
//! again, and should.
//!
//! Invariants that a host keeps:
//! - What it has stored is durable when [`Replica::flush`] returns; a session lets no frame out
//!   before that. So only flushed events are offered, and only they are acknowledged.
//! - Each call that stores does so whole or not at all.
//! - [`Replica::change_count`] rises whenever [`Replica::heads`] changes.

use alloc::vec::Vec;

use laterbase_event::{BatchHeader, DatabaseId, Hash, Hlc, ReplicaId, RootName};

use crate::{
    frame::Codec,
    log_id::{Heads, LogId},
    outcome::Outcome,
    peer_memory::PeerMemory,
};

/// One copy of a database.
pub trait Replica {
    /// Which database.
    fn database(&self) -> DatabaseId;

    /// Under which id this copy writes now.
    fn replica(&self) -> ReplicaId;

    /// The highest clock value given out or taken.
    fn clock(&self) -> Hlc;

    /// The wall clock, milliseconds since 1970: told to the peer, decided by nothing.
    fn wall_ms(&self) -> u64 {
        self.clock().millis()
    }

    /// A number that rises whenever the heads change, by whomever.
    fn change_count(&self) -> u64;

    /// The heads of all logs that hold something.
    fn heads(&self) -> Heads;

    /// The last batch that ends at or before `seq` on the way to the end of `log`: in the log, or
    /// in those that it branched from. `None` if there is none, or no such log.
    fn end_before(&self, log: &LogId, seq: u64) -> Option<BatchEnd>;

    /// The held batch of this writer and root that ends with event `last_seq` and has this hash.
    fn find(&self, writer: ReplicaId, root: &RootName, last_seq: u64, hash: &Hash)
    -> Option<Found>;

    /// Appends to `out` the batches that begin behind event `after` on the way to the end of
    /// `log`, in order: at least one if there is one, then as many as `bytes_max` holds.
    ///
    /// # Errors
    /// [`StoreError`] if the storage fails; `out` may hold some of them.
    fn read(
        &self,
        log: &LogId,
        after: u64,
        bytes_max: u64,
        out: &mut Vec<Vec<u8>>,
    ) -> Result<(), StoreError>;

    /// Stores a batch that extends one of its writer's logs, and nothing else.
    fn offer(&mut self, batch: &Checked<'_>) -> Offer;

    /// Ends `split.log` behind `split.after`: what it holds from there on continues as the log
    /// `split.ours`, and `batch` begins the log `split.theirs`. Branches behind the fork now come
    /// from `split.ours`. What is so already stays so.
    ///
    /// # Errors
    /// [`StoreError`] if the storage fails; nothing is changed then.
    fn split(&mut self, split: &Split, batch: &Checked<'_>) -> Result<(), StoreError>;

    /// Makes everything that was stored so far durable. Called before frames go out, so that many
    /// batches share a flush.
    ///
    /// # Errors
    /// [`StoreError`] if the storage fails: the session ends, and nothing is acknowledged.
    fn flush(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    /// The first batch of this branch, and that of another branch of the same fork.
    fn proof(&self, branch: &LogId) -> Option<(Vec<u8>, Vec<u8>)>;

    /// What is remembered of this peer.
    fn recall(&self, peer: ReplicaId) -> Option<PeerMemory> {
        let _ = peer;
        None
    }

    /// Keeps what a session learned of its peer. Losing it costs bytes, never correctness.
    fn remember(&mut self, memory: &PeerMemory) {
        let _ = memory;
    }

    /// Records what a session reports and what must outlast it, such as a fork.
    fn record(&mut self, outcome: &Outcome) {
        let _ = outcome;
    }

    /// A fingerprint of the validators that are registered here.
    fn validators(&self) -> Option<[u8; 8]> {
        None
    }

    /// zstd, if the host has it.
    fn codec(&self) -> Option<&dyn Codec> {
        None
    }
}

/// The end of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchEnd {
    /// The number of its last event.
    pub seq: u64,
    /// Its hash.
    pub hash: Hash,
}

/// Where a held batch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// In which log.
    pub log: LogId,
    /// The clock value of its last event.
    pub last_hlc: Hlc,
}

/// A batch that has been checked: canonical, of this database, with ids that rise above those of
/// the batch before it.
#[derive(Clone, Copy, Debug)]
pub struct Checked<'a> {
    /// Its header.
    pub header: &'a BatchHeader,
    /// Its hash.
    pub hash: Hash,
    /// Its bytes.
    pub bytes: &'a [u8],
}

/// What became of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Offer {
    /// It is stored at the end of this log, and durable after the next [`Replica::flush`].
    Stored {
        /// The log.
        log: LogId,
    },
    /// It was here before.
    AlreadyHeld,
    /// The batch before it is not here; nothing was stored.
    Gap,
    /// Another batch follows the one before it; nothing was stored.
    Fork {
        /// The log that holds the batch before it, or the plain log if there is none.
        log: LogId,
        /// The bytes of a batch that is held in its place.
        ours: Vec<u8>,
    },
    /// The host does not want it; nothing was stored.
    Refused,
    /// The storage failed; nothing was stored.
    Failed(StoreError),
}

/// A fork that is to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Split {
    /// The log that ends before the fork.
    pub log: LogId,
    /// Its last event; 0 if nothing is left of it.
    pub after: u64,
    /// What continues the batches that are held.
    pub ours: LogId,
    /// What begins with the new batch.
    pub theirs: LogId,
}

/// The storage failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// No space, or not enough.
    #[error("the storage is full; make room and sync again")]
    Full,
    /// Reading or writing failed.
    #[error("the storage failed; see the host's log")]
    Failed,
}
