//! The sync protocol of Laterbase as a state machine: frames in, frames out.
//!
//! ```text
//!   transport ──▶ frame ──▶ session ──▶ check ──▶ port ──▶ the host's log
//!   transport ◀── frame ◀── session ◀── digest ◀── port ◀── the host's log
//! ```
//! A log has one writer and no gaps, so what a copy holds is one head per log, and what another
//! lacks is the rest of some logs. A [`Session`] takes frames ([`Session::handle_frame`]) and gives
//! frames ([`Session::poll_frame`]); HTTP, a WebSocket, a file and a simulator drive the same code.
//! The host gives it a [`Replica`] and acts on its [`Outcome`]s.
//!
//! Invariants:
//! - A batch is stored only if it is proved and extends what is held; so every frame may arrive
//!   twice, late or never. Heads are hints, and prove nothing.
//! - The logs are a function of the set of batches: peers that hold the same batches have the same
//!   heads, forks included.
//! - No bytes panic, and none make a session hold more than its [`SessionConfig`] says.
//! - Nothing here reads a clock, a random source, a file or a socket.
//!
//! Left out: transports, compression ([`frame::Codec`]), who may connect, whom to gossip with.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod frame;

mod check;
mod config;
mod digest;
mod gossip;
mod intake;
mod log_id;
mod memory_replica;
pub mod mutant;
mod outcome;
mod peer_memory;
mod port;
mod session;
mod wire;

pub use config::{Roots, SessionConfig};
pub use digest::{Agreement, Digest};
pub use gossip::{Heard, announce, hear};
pub use log_id::{Branch, HashTag, Head, Heads, LogId, alias, of_root};
pub use memory_replica::MemoryReplica;
pub use outcome::Outcome;
pub use peer_memory::PeerMemory;
pub use port::{BatchEnd, Checked, Found, Offer, Replica, Split, StoreError};
pub use session::{Progress, Session, Status};
