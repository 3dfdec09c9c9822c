//! What waits to be sent: sets keyed by root or log, so that doing it twice is doing it once.

use alloc::collections::{BTreeMap, BTreeSet};

use laterbase_event::RootName;

use crate::{
    frame::{Acked, Bye, Form, Purpose},
    log_id::LogId,
};

/// What waits to be sent, in the order in which it goes out.
#[derive(Debug, Default)]
pub(super) struct Intents {
    pub(super) hello: Option<Purpose>,
    pub(super) heads: BTreeMap<RootName, Form>,
    pub(super) acks: BTreeMap<LogId, Acked>,
    /// By priority.
    pub(super) wants: BTreeMap<(u8, LogId), Extent>,
    /// Branches whose fork the peer may not know.
    pub(super) forks: BTreeSet<LogId>,
    /// Branches whose fork it was shown.
    pub(super) shown: BTreeSet<LogId>,
    /// By priority.
    pub(super) sends: BTreeMap<(u8, LogId), Send>,
    pub(super) bye: Option<Bye>,
}

/// How much of the way to a log's end a want tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// The last place: the logs are believed to be the same.
    Last,
    /// Places ever further apart: they may be different.
    Way,
}

/// Batches of a log that go out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Send {
    /// Behind which event.
    pub(super) after: u64,
    /// How many bytes the peer asked for.
    pub(super) bytes_left: u64,
    /// Whether it asked.
    pub(super) answers: bool,
}

impl Intents {
    pub(super) fn send(&mut self, priority: u8, log: LogId, send: Send) {
        self.sends.retain(|(_, other), _| *other != log);
        self.sends.insert((priority, log), send);
    }

    pub(super) fn is_sending(&self, log: &LogId) -> bool {
        self.sends.keys().any(|(_, other)| other == log)
    }

    pub(super) fn want(&mut self, priority: u8, log: LogId, extent: Extent) {
        let entry = self.wants.entry((priority, log)).or_insert(extent);
        if extent == Extent::Way {
            *entry = extent;
        }
    }

    /// The most names of logs that wait in one place: between two looks for frames to send, a peer
    /// may make up as many as it sends batches.
    pub(super) fn names(&self) -> usize {
        self.acks.len().max(self.wants.len())
    }
}
