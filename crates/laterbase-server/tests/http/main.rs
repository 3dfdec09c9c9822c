//! The server over HTTP: events in and out, feeds, aggregates and views, sync, live sync, and
//! peers that misbehave.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod append;
mod bad_peers;
mod batches;
mod bounds;
mod builder;
mod cloud_events;
mod consumers;
#[cfg(feature = "tls")]
mod encryption;
mod feed;
mod fold_versions;
mod folds;
mod live;
mod operations;
#[cfg(feature = "tokens")]
mod penetration;
#[cfg(feature = "query")]
mod query;
mod read;
#[cfg(feature = "query")]
mod schema;
mod support;
mod sync;
#[cfg(feature = "tokens")]
mod sync_own;
