//! What a server has to tell its operator: one line each, with the peer's name in it.

use std::fmt;
use std::sync::Arc;

use laterbase::sync::{Outcome, frame::Bye};
use laterbase_event::ReplicaId;

/// Something that an operator may want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// In which database.
    pub database: String,
    /// Who was at the other end.
    pub peer: Option<ReplicaId>,
    /// What happened.
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A peer was refused.
    Refused {
        /// What it was told.
        bye: Bye,
    },
    /// A frame made no sense.
    Malformed {
        /// Why.
        reason: String,
    },
    /// Two batches have one address.
    Forked {
        /// Under whose id.
        writer: ReplicaId,
        /// In which root.
        root: String,
        /// Their first event.
        seq: u64,
    },
    /// This copy turned out to be a copy of another one, and took a new id.
    Reincarnated {
        /// In which root it was noticed.
        root: String,
        /// The first event that was not known.
        seq: u64,
    },
    /// The database failed.
    Failed {
        /// Why.
        reason: String,
    },
    /// Rows of a fold are not kept on disk, or not as they were: they are made anew from the log.
    NotKept {
        /// Which fold.
        fold: String,
        /// Why.
        reason: String,
    },
    /// A request, or the rest of a stream, was denied.
    Denied {
        /// The request's id: what `X-Request-Id` says; `-` for a stream.
        request: String,
        /// What was asked for, and why it was denied.
        reason: String,
    },
    /// A request was answered.
    Answered {
        /// Its id: what `X-Request-Id` says.
        request: String,
        /// Its method.
        method: String,
        /// Its path, without parameters.
        path: String,
        /// The answer's status.
        status: u16,
        /// How long it took until the answer began, in microseconds.
        micros: u64,
    },
}

/// Takes notices: prints them, counts them, drops them.
pub type Notices = Arc<dyn Fn(&Notice) + Send + Sync>;

impl Notice {
    /// What an outcome is worth telling.
    #[must_use]
    pub fn of(database: &str, peer: Option<ReplicaId>, outcome: &Outcome) -> Option<Self> {
        let what = match outcome {
            Outcome::Stored { .. } | Outcome::Left { .. } => return None,
            Outcome::Refused { bye, .. } => What::Refused { bye: *bye },
            Outcome::Malformed(error) => What::Malformed { reason: error.to_string() },
            Outcome::Forked { writer, log, seq, .. } => {
                What::Forked { writer: *writer, root: log.root.to_string(), seq: *seq }
            }
            Outcome::Reincarnate { root, seq, .. } => {
                What::Reincarnated { root: root.to_string(), seq: *seq }
            }
        };
        Some(Self { database: database.to_owned(), peer, what })
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let What::Answered { request, method, path, status, micros } = &self.what {
            return write!(out, "{request} {method} {path} {status} {micros} us");
        }
        if let What::Denied { request, reason } = &self.what {
            return write!(out, "denied: request {request}: {reason}");
        }
        if let (What::Failed { reason }, true) = (&self.what, self.database.is_empty()) {
            return write!(out, "failed: {reason}");
        }
        write!(out, "{}: ", self.database)?;
        let peer = self.peer.map_or_else(|| "an unknown peer".to_owned(), |peer| peer.to_string());
        match &self.what {
            What::Refused { bye } => {
                write!(out, "refused {peer}: {:?}", bye.reason)?;
                match bye.fault {
                    Some((fault, log, seq)) => write!(
                        out,
                        " ({fault:?} in the batch at {} {} {seq})",
                        log.root, log.replica
                    ),
                    None => Ok(()),
                }
            }
            What::Malformed { reason } => write!(out, "{peer} sent what is no frame: {reason}"),
            What::Forked { writer, root, seq } => {
                write!(out, "{peer} brought a fork: {writer} wrote event {seq} of {root} twice")
            }
            What::Reincarnated { root, seq } => write!(
                out,
                "this copy was restored or copied: {peer} has its event {seq} of {root}; it goes \
                 on under a new id"
            ),
            What::Failed { reason } => write!(out, "{peer} could not be answered: {reason}"),
            What::NotKept { fold, reason } => write!(out, "fold `{fold}` is not kept: {reason}"),
            What::Answered { .. } | What::Denied { .. } => Ok(()),
        }
    }
}
