//! How a session went, and what it failed with.

use std::time::Duration;

use iroh::endpoint::{ConnectError, ConnectionError};
use laterbase::sync::{
    Outcome, Progress, Session,
    frame::{Bye, Reason},
};
use laterbase::{AppendError, ReplicaId};

use crate::close_code;

/// How a session went.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Which copy the peer is, if it said so.
    pub peer: Option<ReplicaId>,
    /// Events, and bytes of frames; QUIC's own bytes are not counted.
    pub progress: Progress,
    /// Events that the peer has and this copy still lacks.
    pub lacked_here: u64,
    /// Events that this copy has and the peer still lacks.
    pub lacked_there: u64,
    /// What the host must know. What was stored is counted, and not listed here.
    pub outcomes: Vec<Outcome>,
}

impl Report {
    pub(crate) fn of(session: &Session, outcomes: Vec<Outcome>) -> Self {
        let progress = session.progress();
        Self {
            peer: session.peer(),
            progress,
            lacked_here: progress.pull_events_total.saturating_sub(progress.pull_events),
            lacked_there: progress.push_events_total.saturating_sub(progress.push_events),
            outcomes,
        }
    }

    /// What the end of the session means, by the last word on it.
    pub(crate) fn verdict(&self, reason: Reason) -> Result<(), SyncError> {
        if reason == Reason::Done {
            return Ok(());
        }
        let last = self.outcomes.iter().rev().find_map(|outcome| match outcome {
            Outcome::Left { bye, .. } => Some(SyncError::Left { bye: *bye }),
            Outcome::Refused { bye, .. } => Some(SyncError::Refused { bye: *bye }),
            Outcome::Stored { .. }
            | Outcome::Reincarnate { .. }
            | Outcome::Forked { .. }
            | Outcome::Malformed(_) => None,
        });
        if reason == Reason::Storage && last.is_none() {
            return Err(SyncError::Storage);
        }
        Err(last.unwrap_or(SyncError::Refused { bye: Bye::new(reason) }))
    }
}

/// A session ended before both held the same. Everything that came until then is stored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SyncError {
    /// Nobody answers there, or somebody else.
    #[error("the peer cannot be reached; check its address and its key: {source}")]
    Unreachable {
        /// What iroh says.
        source: Box<ConnectError>,
    },
    /// The connection ended.
    #[error("the connection was lost; sync again to go on: {source}")]
    Lost {
        /// What iroh says.
        source: ConnectionError,
    },
    /// The peer ended the stream in the middle of the session.
    #[error("the peer broke off; sync again to go on")]
    BrokenOff,
    /// Nothing came, or nothing was taken.
    #[error("the peer was silent for {} s; sync again to go on", idle.as_secs())]
    Silent {
        /// For how long.
        idle: Duration,
    },
    /// It took as long as it may.
    #[error("the session took {} s, and no more is allowed; sync again to go on", max.as_secs())]
    TooSlow {
        /// What is allowed.
        max: Duration,
    },
    /// The peer does not know this node's key.
    #[error("the peer does not let this node in; add the node's key to those that it admits")]
    NotAdmitted,
    /// The peer has as many connections as it serves, of this node or in all.
    #[error("the peer serves as many connections as it can, or this node already; try again later")]
    Busy,
    /// The peer ended it.
    #[error("the peer ended the sync: {}", bye.reason)]
    Left {
        /// What it said.
        bye: Bye,
    },
    /// This copy ended it, because of what the peer did.
    #[error("the sync was ended because of what the peer sent: {}", bye.reason)]
    Refused {
        /// What the peer was told.
        bye: Bye,
    },
    /// This copy could not store or read what the session needed.
    #[error("this copy's storage failed; make room or run verify, then sync again")]
    Storage,
    /// This database cannot be synced.
    #[error(transparent)]
    Database(#[from] AppendError),
    /// The thread that works on the database is gone: the program is ending, or it panicked.
    #[error("the work on the database was broken off")]
    Worker,
}

impl SyncError {
    /// Whether the same may work a little later.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::Lost { .. }
            | Self::BrokenOff
            | Self::Silent { .. }
            | Self::TooSlow { .. }
            | Self::Busy => true,
            Self::Left { bye } => matches!(bye.reason, Reason::Busy | Reason::Stalled),
            Self::Refused { bye } => bye.reason == Reason::Stalled,
            Self::NotAdmitted | Self::Storage | Self::Database(_) | Self::Worker => false,
        }
    }

    pub(crate) fn lost(source: ConnectionError) -> Self {
        let code = match &source {
            ConnectionError::ApplicationClosed(close) => Some(close.error_code),
            ConnectionError::VersionMismatch
            | ConnectionError::TransportError(_)
            | ConnectionError::ConnectionClosed(_)
            | ConnectionError::Reset
            | ConnectionError::TimedOut
            | ConnectionError::LocallyClosed
            | ConnectionError::CidsExhausted => None,
        };
        match code {
            Some(close_code::NOT_ADMITTED) => Self::NotAdmitted,
            Some(close_code::BUSY) => Self::Busy,
            Some(_) | None => Self::Lost { source },
        }
    }
}
