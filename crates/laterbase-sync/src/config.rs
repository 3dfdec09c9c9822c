//! What a session may do and take: scope, grants, budgets, bounds.

use alloc::collections::{BTreeMap, BTreeSet};

use laterbase_event::{Limits, ReplicaId, RootName};

use crate::frame::FrameLimits;

/// The root that every copy takes part in.
pub(crate) const SYSTEM_ROOT: &str = "_sys";

/// A set of roots; `_sys` is always in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Roots {
    /// All, those that will come into being too.
    #[default]
    All,
    /// These.
    Only(BTreeSet<RootName>),
}

/// How a session behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionConfig {
    /// The roots that this copy takes part in.
    pub scope: Roots,
    /// The roots that the peer may pull and push.
    pub granted: Roots,
    /// Of which of these roots the peer is told what others wrote, `_sys` as any other. Of the rest
    /// it is told how far its own logs are held here, and nothing else.
    pub told: Roots,
    /// Whether the peer may bring what others wrote. One that may not says so in its Hello, and is
    /// asked for what else it may bring.
    pub may_relay: bool,
    /// Which replicas the peer may be; any, if it is not said. What these wrote is the peer's own:
    /// without them, what it writes under the id that it names.
    pub peers: Option<BTreeSet<ReplicaId>>,
    /// Whether the session stays when both hold the same, and sends on what comes later.
    pub live: bool,
    /// Which roots go first: lower is earlier, 100 is usual. `_sys` goes before all.
    pub priorities: BTreeMap<RootName, u8>,
    /// What frames are taken.
    pub frames: FrameLimits,
    /// Limits of the events in batches.
    pub events: Limits,
    /// Logs that a peer may speak of. A session takes some 300 bytes for each.
    pub heads_max: u32,
    /// Bytes of batches that may be under way without an ack, either way.
    pub window_bytes: u64,
    /// Bytes of batches that are sent before the peer's first frame; 0 for none at all.
    pub optimistic_bytes: u64,
    /// Bytes of batches that one want asks for.
    pub want_bytes_max: u64,
    /// Bytes at which a frame is full; one batch may exceed it.
    pub frame_bytes_target: u32,
    /// Milliseconds without progress after which a session asks again.
    pub retry_ms: u64,
    /// How often it asks again before it gives the peer up.
    pub retries_max: u32,
    /// Frames without progress after which the peer is given up.
    pub idle_frames_max: u32,
}

impl Roots {
    /// Whether `root` is in it.
    #[must_use]
    pub fn includes(&self, root: &RootName) -> bool {
        match self {
            Self::All => true,
            Self::Only(roots) => root.as_str() == SYSTEM_ROOT || roots.contains(root),
        }
    }

    /// Whether `root` is in it by its name, `_sys` too.
    #[must_use]
    pub fn names(&self, root: &RootName) -> bool {
        match self {
            Self::All => true,
            Self::Only(roots) => roots.contains(root),
        }
    }
}

impl SessionConfig {
    /// Whether a peer may be this replica.
    #[must_use]
    pub fn may_be(&self, peer: ReplicaId) -> bool {
        self.peers.as_ref().is_none_or(|peers| peers.contains(&peer))
    }

    /// Whether what `writer` wrote is the peer's own.
    pub(crate) fn is_own(&self, writer: ReplicaId, peer: Option<ReplicaId>) -> bool {
        match &self.peers {
            Some(peers) => peers.contains(&writer),
            None => peer == Some(writer),
        }
    }

    /// Whether the peer may bring what `writer` wrote.
    pub(crate) fn may_bring(&self, writer: ReplicaId, peer: Option<ReplicaId>) -> bool {
        self.may_relay || self.is_own(writer, peer)
    }
    /// The priority of a root.
    #[must_use]
    pub fn priority(&self, root: &RootName) -> u8 {
        match root.as_str() {
            SYSTEM_ROOT => 0,
            _ => self.priorities.get(root).copied().unwrap_or(100),
        }
    }
}

impl Default for SessionConfig {
    /// Everything is in scope, granted and told, to whomever; 8 MiB under way, 4 MiB per want, 1
    /// MiB per frame; a peer without progress is asked again after 10 s, five times.
    fn default() -> Self {
        Self {
            scope: Roots::All,
            granted: Roots::All,
            told: Roots::All,
            may_relay: true,
            peers: None,
            live: false,
            priorities: BTreeMap::new(),
            frames: FrameLimits::default(),
            events: Limits::default(),
            heads_max: 65_536,
            window_bytes: 8 << 20,
            optimistic_bytes: 1 << 20,
            want_bytes_max: 4 << 20,
            frame_bytes_target: 1 << 20,
            retry_ms: 10_000,
            retries_max: 5,
            idle_frames_max: 4096,
        }
    }
}
