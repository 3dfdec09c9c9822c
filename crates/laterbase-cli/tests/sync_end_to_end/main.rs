//! Sync as people run it: the commands around it, copies that should not be, and servers behind a
//! network that fails.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test that cannot go on says so"
)]

mod commands;
mod copies;
mod encryption;
mod forwarding;
mod network;
mod node;
mod proxy;
mod served;
#[path = "../support/mod.rs"]
mod support;
