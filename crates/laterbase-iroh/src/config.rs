//! How a node behaves: where it listens, whom it lets in, what a session may take.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use iroh::{EndpointId, SecretKey};
use laterbase::sync::SessionConfig;

/// Who may dial a node. Whoever the node dials itself need not be among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admitted {
    /// Whoever proves one of these keys.
    Only(BTreeSet<EndpointId>),
    /// Whoever reaches the socket. Everything granted to a session is granted to strangers.
    Anyone,
}

impl Admitted {
    /// These and nobody else.
    pub fn only(peers: impl IntoIterator<Item = EndpointId>) -> Self {
        Self::Only(peers.into_iter().collect())
    }

    /// Whether `peer` is let in.
    #[must_use]
    pub fn includes(&self, peer: &EndpointId) -> bool {
        match self {
            Self::Only(peers) => peers.contains(peer),
            Self::Anyone => true,
        }
    }
}

impl Default for Admitted {
    /// Nobody.
    fn default() -> Self {
        Self::Only(BTreeSet::new())
    }
}

/// How a node behaves.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// Where to listen, over UDP, and where to dial from; port 0 takes a free one. The unspecified
    /// address means all of the machine's interfaces.
    pub address: SocketAddr,
    /// What proves who this node is. Without one it has another name each time that it is bound.
    pub secret_key: Option<SecretKey>,
    /// Who may dial.
    pub admitted: Admitted,
    /// What each session may do and take; a frame's length among it. Sessions end when both hold
    /// the same, whatever `live` says.
    pub session: SessionConfig,
    /// Connections that are served at the same time; more are told to come back later.
    pub connections_max: usize,
    /// Of those, how many of one peer.
    pub connections_per_peer_max: usize,
    /// How long to wait for the peer: to come, to send, or to take what is sent.
    pub idle: Duration,
    /// How long a session may last; what is left then is for the next one.
    pub session_max: Duration,
}

impl Default for NodeConfig {
    /// This machine only, a new key, nobody admitted; 64 connections, four of one peer; half a
    /// minute of silence, an hour for a session.
    fn default() -> Self {
        Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            secret_key: None,
            admitted: Admitted::default(),
            session: SessionConfig::default(),
            connections_max: 64,
            connections_per_peer_max: 4,
            idle: Duration::from_secs(30),
            session_max: Duration::from_secs(3600),
        }
    }
}
