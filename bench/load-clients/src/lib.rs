//! What the client programs of `cargo xtask bench load` share, so that they differ in the protocol
//! alone.
//!
//! ```text
//!   plan ─▶ clients connect ─▶ warm-up ─▶ window ─▶ one line: events, time, latencies
//!                │ each: event::Source ─▶ append ─▶ answer ─▶ tally ─┐
//!                └──────────────────────◀───────────────────────────┘
//! ```
//!
//! Each client has a connection of its own and one batch under way: it makes the events, sends
//! them, waits for the answer, and begins again. What a client costs is part of the measurement,
//! as it is in life; the events are made by the same code for all.
//!
//! Left out: starting and stopping servers, which is for whoever runs these programs.

pub mod event;
pub mod plan;
pub mod tally;
#[cfg(feature = "tasks")]
pub mod tasks;
pub mod threads;

/// Whatever went wrong; these programs can but tell it.
pub type Error = Box<dyn std::error::Error + Send + Sync>;
