//! Nodes on one machine: sync between them, and peers that misbehave.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod bad_peers;
mod loopback;
mod support;
