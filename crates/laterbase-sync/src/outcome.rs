//! What a session tells its host.

use laterbase_event::{Hash, ReplicaId, RootName};

use crate::{
    frame::{Bye, FrameError},
    log_id::LogId,
};

/// Something that the host must know, in the order in which it happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A batch was stored; it is durable as soon as a frame has gone out.
    Stored {
        /// The log that holds it.
        log: LogId,
        /// Its first event.
        first_seq: u64,
        /// Its last event.
        last_seq: u64,
    },
    /// This copy's own log exists further, or other, than it holds it: the copy was restored or
    /// cloned. Stop writing under this id before anything else is appended, mint a new one and
    /// record the reincarnation.
    Reincarnate {
        /// The root.
        root: RootName,
        /// The first event that was not known here.
        seq: u64,
        /// The hash of its batch.
        hash: Hash,
        /// Whether another batch is held in its place.
        forked: bool,
    },
    /// Two different batches have one address. Both are kept; record the proof.
    Forked {
        /// The log that ends before the fork.
        log: LogId,
        /// Whose id both carry.
        writer: ReplicaId,
        /// Their first event.
        seq: u64,
        /// The branch that was held.
        ours: LogId,
        /// The new branch.
        theirs: LogId,
        /// The peer that brought it. If it carries no signature, the peer may have made it up.
        via: Option<ReplicaId>,
        /// Whether the new branch carries a signature, which nothing here checks.
        signed: bool,
    },
    /// The peer sent what is no frame; it is being told.
    Malformed(FrameError),
    /// The session is over by our word. A peer at fault is named.
    Refused {
        /// Who, if it said so.
        peer: Option<ReplicaId>,
        /// What it is told.
        bye: Bye,
    },
    /// The session is over by the peer's word.
    Left {
        /// Who, if it said so.
        peer: Option<ReplicaId>,
        /// What it said.
        bye: Bye,
    },
}
