//! A deterministic simulator: many copies of a database, everything that can go wrong, one seed.
//!
//! ```text
//!   seed ─▶ world ─▶ deeds, network, liar ─▶ node ─▶ MemoryNode · DatabaseNode
//!             │                                          │ sessions of laterbase-sync
//!             └──▶ heal ─▶ check ─▶ report (coverage, trace, replay command)
//! ```
//! What is simulated is the product's own code: the state machine of `laterbase-sync`, and in a
//! [`DatabaseNode`] the whole database with its log and indexes, without threads, on a disk that
//! fails on purpose. What is made up are the disk, the clocks, the random numbers and the network.
//!
//! Invariants: equal seeds give equal traces; nothing here reads a clock, a random device, a file
//! or a socket; a finding is a [`Violation`] and never a panic of the simulator.
//!
//! Left out: transports, threads, and what happens inside an operating system.
#![forbid(unsafe_code)]
#![expect(
    clippy::indexing_slicing,
    reason = "seats and links are indexed by numbers that the world gave out itself"
)]

mod carry;
mod check;
mod command;
mod coverage;
mod database_node;
mod deeds;
mod exhaustive;
mod folds;
mod gossip;
mod heal;
mod held;
mod liar;
mod memory_node;
pub mod mutant;
mod network;
mod node;
mod record;
mod run;
mod tables;
mod trace;
mod weather;
mod world;

pub use command::{Command, Nodes, USAGE};
pub use coverage::{Coverage, Happening, Passage};
pub use database_node::DatabaseNode;
pub use exhaustive::{Act, Bounds, Searched, search};
pub use gossip::{GossipOrder, GossipReport, Spread, TABLE_HEAD, gossip};
pub use heal::ROUNDS_MAX;
pub use held::{Batch, Batches, batches_of, hashes_of, heads_of};
pub use memory_node::{MemoryNode, MemoryPort, events_of, see};
pub use node::{
    Appended, Birth, Care, Ending, ForkSeen, Node, Opened, Place, REFUSED_TYPE, Seen, Trouble,
    Violation, Wish, is_refused,
};
pub use record::{Stretch, next_seed};
pub use run::{EVENTS_MIN, KINDS_MIN, REPLICAS_MIN, Report, run};
pub use trace::Trace;
pub use world::{Order, World};
