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
//!
//! ```
//! use laterbase::sync::{Session, SessionConfig, Status};
//! use laterbase::{Database, NewEvent, Options, Query};
//!
//! # let dir = tempfile::tempdir()?;
//! let depot = Database::create(dir.path().join("depot"), Options::default())?;
//! let truck =
//!     Database::create_joined(dir.path().join("truck"), Options::default(), depot.id())?;
//! let mut commit = depot.commit();
//! commit.push(&NewEvent::new("shipment", "4711", "booked"))?;
//! depot.append(&mut commit)?.wait()?;
//!
//! let (mut here, mut there) = (truck.sync_port()?, depot.sync_port()?);
//! let mut asks = Session::initiator(SessionConfig::default(), None);
//! let mut answers = Session::responder(SessionConfig::default());
//! while asks.status() == Status::Running {
//!     while let Some(frame) = asks.poll_frame(0, &mut here) {
//!         answers.handle_frame(&frame, 0, &mut there);
//!     }
//!     while let Some(frame) = answers.poll_frame(0, &mut there) {
//!         asks.handle_frame(&frame, 0, &mut here);
//!     }
//! }
//! assert_eq!(truck.read(&Query::all())?.count(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod admit;
mod catalog;
mod chains;
mod codec;
mod forks;
mod memories;
mod placing;
mod port;
mod quarantine;
mod rebirth;
mod shelf;

pub(crate) use catalog::Catalog;
pub(crate) use chains::Chains;
pub use forks::Fork;
pub(crate) use forks::own_events;
pub use laterbase_sync::{
    Agreement, BatchEnd, Branch, Checked, Digest, Found, HashTag, Head, Heads, Heard, LogId, Offer,
    Outcome, PeerMemory, Progress, Replica, Roots, Session, SessionConfig, Split, Status,
    StoreError, alias, announce, frame, hear, of_root,
};
pub(crate) use memories::Remembered;
pub use port::SyncPort;
pub use quarantine::{QuarantinedBatch, Retried};
#[cfg(feature = "query")]
pub(crate) use rebirth::SYSTEM_ROOT;
