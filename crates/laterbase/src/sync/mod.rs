//! Sync: this database as one of many replicas.
//!
//! ```text
//!   transport ─▶ Session::handle_frame ─▶ SyncPort ─▶ admit ─▶ log, indexes    admit, quarantine
//!                                            │  └───▶ chains of forked logs    catalog, chains
//!   transport ◀─ Session::poll_frame  ◀──────┴─────── batches by number        shelf
//! ```
//! The sessions themselves are [`laterbase_sync`]'s, which this module hands on. A transport makes
//! a [`SyncPort`] with [`Database::sync_port`](crate::Database::sync_port) and drives a [`Session`]
//! with it.

mod admit;
mod catalog;
mod chains;
mod codec;
mod forks;
mod memories;
mod port;
mod quarantine;
mod rebirth;
mod shelf;

pub(crate) use catalog::Catalog;
pub(crate) use chains::Chains;
pub use forks::Fork;
pub use laterbase_sync::*;
pub use port::SyncPort;
pub use quarantine::{QuarantinedBatch, Retried};
