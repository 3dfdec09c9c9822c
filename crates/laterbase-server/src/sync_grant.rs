//! What a peer may do in a sync session.
//!
//! ```text
//!   relay of all roots         all logs, both ways
//!   sync-own, for replicas     brings what these wrote, and is told what it may read
//! ```
//! It is asked for with every request of a session, and with every request it must be the same: a
//! session that was begun with one grant is not continued with another. The session itself keeps to
//! it, before anything is stored or told.

use std::collections::BTreeSet;

use laterbase::ReplicaId;
use laterbase::sync::{Roots, SessionConfig};

/// What a peer may do in a sync session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncGrant {
    /// The roots that it takes part in. `_sys` always is one of them.
    pub roots: Roots,
    /// Of which of them it is told what others wrote, `_sys` as any other.
    pub told: Roots,
    /// Whether it may bring what others wrote.
    pub may_relay: bool,
    /// Which replicas it may be; any, if it is not said. What they wrote is its own.
    pub replicas: Option<BTreeSet<ReplicaId>>,
}

impl SyncGrant {
    /// Everything, to whomever.
    #[must_use]
    pub fn all() -> Self {
        Self { roots: Roots::All, told: Roots::All, may_relay: true, replicas: None }
    }

    /// The session of a peer to whom this is granted.
    #[must_use]
    pub fn session(&self, config: &SessionConfig) -> SessionConfig {
        let peers = match (&self.replicas, &config.peers) {
            (Some(one), Some(other)) => Some(one & other),
            (Some(some), None) | (None, Some(some)) => Some(some.clone()),
            (None, None) => None,
        };
        SessionConfig {
            granted: both(&self.roots, &config.granted),
            told: both(&self.told, &config.told),
            may_relay: self.may_relay && config.may_relay,
            peers,
            ..config.clone()
        }
    }
}

/// The roots that are in both.
fn both(one: &Roots, other: &Roots) -> Roots {
    match (one, other) {
        (Roots::All, all) | (all, Roots::All) => all.clone(),
        (Roots::Only(one), Roots::Only(other)) => Roots::Only(one & other),
    }
}
