//! What a session may do and take: scope, grants, budgets, bounds.

use alloc::collections::{BTreeMap, BTreeSet};

use laterbase_event::{Limits, RootName};

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
    /// Whether the peer may bring what others wrote.
    pub may_relay: bool,
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
}

impl SessionConfig {
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
    /// Everything is in scope and granted; 8 MiB under way, 4 MiB per want, 1 MiB per frame; a
    /// peer without progress is asked again after 10 s, five times.
    fn default() -> Self {
        Self {
            scope: Roots::All,
            granted: Roots::All,
            may_relay: true,
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
