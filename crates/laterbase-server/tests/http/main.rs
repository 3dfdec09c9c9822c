//! The server over HTTP: appends, sync, live sync, and peers that misbehave.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod append;
mod bad_peers;
mod live;
mod support;
mod sync;
