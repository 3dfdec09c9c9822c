//! The network: packets with a time at which they arrive, and who cannot reach whom.

use std::collections::{BTreeMap, BTreeSet};

use laterbase_sync::Session;

use crate::node::Node;

/// One session between two copies, as each of them sees it.
pub(crate) struct Link<N: Node> {
    pub(crate) number: u64,
    pub(crate) ends: [usize; 2],
    /// `None`: this side has forgotten it.
    pub(crate) sides: [Option<Side<N>>; 2],
    pub(crate) opened_ms: u64,
}

/// One side's session, and the port it works on.
pub(crate) struct Side<N: Node> {
    pub(crate) session: Session,
    pub(crate) port: N::Port,
}

/// What a packet carries.
#[derive(Clone, Debug)]
pub(crate) enum Parcel {
    /// A frame of a session, to one of its sides.
    Frame { link: u64, side: usize, bytes: Vec<u8> },
    /// An announcement.
    Gossip { to: usize, bytes: Vec<u8> },
}

/// Packets under way, by the time of their arrival.
#[derive(Debug, Default)]
pub(crate) struct Network {
    under_way: BTreeMap<(u64, u64), Parcel>,
    sent: u64,
    /// From whom nothing reaches whom.
    blocked: BTreeSet<(usize, usize)>,
    /// Per link and side, when the latest packet so far arrives.
    latest: BTreeMap<(u64, usize), u64>,
}

impl Network {
    pub(crate) fn is_blocked(&self, from: usize, to: usize) -> bool {
        self.blocked.contains(&(from, to))
    }

    pub(crate) fn block(&mut self, from: usize, to: usize) {
        self.blocked.insert((from, to));
    }

    pub(crate) fn mend(&mut self) -> bool {
        !std::mem::take(&mut self.blocked).is_empty()
    }

    /// Puts a packet on its way. Whether it will overtake another one of its link.
    pub(crate) fn send(&mut self, due_ms: u64, parcel: Parcel) -> bool {
        self.sent += 1;
        let overtakes = match &parcel {
            Parcel::Frame { link, side, .. } => {
                let latest = self.latest.entry((*link, *side)).or_default();
                let overtakes = due_ms < *latest;
                *latest = due_ms.max(*latest);
                overtakes
            }
            Parcel::Gossip { .. } => false,
        };
        self.under_way.insert((due_ms, self.sent), parcel);
        overtakes
    }

    /// The next packet that has arrived.
    pub(crate) fn receive(&mut self, now_ms: u64) -> Option<Parcel> {
        let first = self.under_way.first_entry()?;
        (first.key().0 <= now_ms).then(|| first.remove())
    }

    /// Everything that is under way is lost.
    pub(crate) fn clear(&mut self) {
        self.under_way.clear();
        self.latest.clear();
        self.blocked.clear();
    }

    /// Forgets a link.
    pub(crate) fn forget(&mut self, link: u64) {
        self.latest.retain(|(number, _), _| *number != link);
    }
}
