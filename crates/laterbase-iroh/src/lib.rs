//! Peer-to-peer sync over iroh: QUIC between machines that know each other's keys.
//!
//! ```text
//!   Node::sync ──▶ stream ──▶ work ──▶ Session, SyncPort     this side dials
//!   accept     ──▶ stream ──▶ work ──▶ Session, SyncPort     the other side dialled
//!   (node)         (async)    (threads that may block)
//! ```
//! A [`Node`] is one database on one UDP socket. Peers are named by public keys, which QUIC proves,
//! and found by the addresses that the caller gives: nobody else is asked. There are no relays, no
//! DNS and no discovery, so that two machines must reach each other directly, as on one LAN.
//!
//! ```no_run
//! use laterbase::{Database, Options};
//! use laterbase_iroh::{Admitted, EndpointAddr, EndpointId, Node, NodeConfig};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let peer: EndpointId = "the public key of the other machine".parse()?;
//! let config = NodeConfig {
//!     address: "0.0.0.0:7411".parse()?,
//!     admitted: Admitted::only([peer]),
//!     ..NodeConfig::default()
//! };
//! let node = Node::bind(Database::open("copy", Options::default())?, config).await?;
//! let there = EndpointAddr::new(peer).with_ip_addr("192.168.1.17:7411".parse()?);
//! let report = node.sync(there).await?;
//! println!("{} events came", report.progress.pull_events);
//! node.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! On the wire: ALPN [`ALPN`], one bidirectional stream for each session, in it the frames of
//! [`laterbase::sync::frame`] one behind the other, either way.
//!
//! Left out: finding peers, relays, sessions that stay, gossip, keeping the key.
#![forbid(unsafe_code)]

mod close_code;
mod config;
mod node;
mod report;
mod serve;
mod stream;
mod work;

pub use config::{Admitted, NodeConfig};
pub use iroh::{EndpointAddr, EndpointId, SecretKey};
pub use node::{BindError, Node};
pub use report::{Report, SyncError};

/// The protocol that is agreed on when a connection is made.
pub const ALPN: &[u8] = b"laterbase/sync/1";
