//! Schemas in a database: applied, synced, held against what is appended, read by.
//!
//! Breaks that these tests catch: a change that is lost or judged by what it was not made of,
//! copies with the same events and other schemas, an undeclared event that slips in, an event that
//! is read by another schema than it was written by.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod applying;
mod copies;
mod fixture;
mod hostile;
mod reading;
mod strict;
#[path = "../support/mod.rs"]
mod support;

/// A first schema.
pub(crate) const FIRST: &str = "root shipment {
    event 1 booked { 1 customer: text, 2 weight_kg: decimal }
    event 2 departed { 1 port: text, 2 carrier: text? }
}
";

/// Waits until the clock shows another millisecond, so that ids from now on are higher than all
/// that there are.
pub(crate) fn next_millisecond() {
    let now = || std::time::UNIX_EPOCH.elapsed().unwrap().as_millis();
    let before = now();
    while now() == before {
        std::thread::yield_now();
    }
}
