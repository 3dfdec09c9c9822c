//! `laterbase serve` as it is run: its settings and its log.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on says so"
)]

mod log;
mod served;
mod settings;
mod statements;
#[path = "../support/mod.rs"]
mod support;
