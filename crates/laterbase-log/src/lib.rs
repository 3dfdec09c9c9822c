//! The append-only log of Laterbase over a storage port: the only truth of a database.
//!
//! ```text
//!             host's front lock            one thread at a time          any thread
//!            ┌─────────────────┐          ┌───────────────────┐      ┌───────────────┐
//!   batches ─▶ LogFront::stage ├─ Group ─▶│ LogWriter::commit │      │ LogReader     │
//!            └───────┬─────────┘          └─────────┬─────────┘      └───┬───────▲───┘
//!                    │ chunks                       │ write, sync        │       │
//!                    ▼                              ▼                    │       │
//!              ring (memory) ◀───────────── segments (files) ◀───────────┘       │
//!                    └───────────────────────────┬───────────────────────────────┘
//!                                                ▼ Maintenance::step
//!                                 spare files, sealed segments, reuse
//! ```
//! A host (`laterbase`) puts the parts of a [`Log`] behind locks and threads of its own; nothing in
//! here starts a thread, reads a clock or draws a random number, so that a simulator can step it.
//!
//! What it promises:
//! - A commit is there whole or not at all.
//! - What [`LogWriter::commit`] returned as flushed survives a power cut, on a device that does
//!   what it is told.
//! - What is lost all the same is reported exactly, and never skipped in silence: see [`Damage`].
//! - After a failed write or sync nothing more is written: [`Poisoned`].
//! - Memory stays within [`LogConfig`], and staging allocates nothing once warm.
//!
//! The bytes are on the page `docs/reference/log-format.md`. Left out: what batches mean, who may
//! append, indexes, and deciding when to flush.
//!
//! # Example
//! ```
//! use laterbase_event::{
//!     BatchBuilder, DatabaseId, EventDraft, Hash, Hlc, Position, ReplicaId, RootName, Stamp,
//! };
//! use laterbase_log::storage::MemoryStorage;
//! use laterbase_log::{BatchRole, BatchStatus, EventBuffer, Log, LogConfig, StagedBatch, Sync};
//! use std::sync::Arc;
//!
//! let database = DatabaseId::from_bytes([7; 16]);
//! let replica = ReplicaId::from_u64(1);
//! let storage = Arc::new(MemoryStorage::new());
//! let mut log = Log::create(storage, "log", database, LogConfig::small_device(), 42)?;
//!
//! let mut builder = BatchBuilder::new(RootName::try_from("shipment")?);
//! builder.push(&EventDraft { payload: b"{}", ..EventDraft::new("4711", "departed") })?;
//! let body = builder.finish();
//! let now = Hlc::new(1_700_000_000_000, 0);
//! let header = body.stamp(&Stamp {
//!     database,
//!     replica,
//!     first_seq: 1,
//!     first_hlc: now,
//!     commit_hlc: now,
//!     part: 0,
//!     parts: 1,
//!     previous: Hash::ZERO,
//! })?;
//! let mut front_bytes = Vec::new();
//! let hash = body.write_front(&header, &mut front_bytes);
//! log.front.stage(
//!     now,
//!     &[StagedBatch {
//!         replica,
//!         root: "shipment",
//!         first_seq: 1,
//!         event_count: 1,
//!         last_hlc: now,
//!         previous: Hash::ZERO,
//!         hash,
//!         status: BatchStatus::Admitted,
//!         role: BatchRole::Continues,
//!         pieces: [&front_bytes, body.envelopes, body.payloads, &[]],
//!     }],
//! )?;
//! let group = log.front.take_group(Sync::Flush).ok_or("nothing staged")?;
//! assert!(log.writer.commit(group)?.flushed);
//!
//! let mut buffer = EventBuffer::new();
//! let (event, arrival) = log.reader.get(Position::new(1), &mut buffer)?;
//! assert_eq!((event.key(), event.payload()), ("4711", &b"{}"[..]));
//! assert_eq!(arrival, now);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod activate;
mod backup;
mod blocks;
mod cache;
mod checked;
mod chunk;
mod clock_cache;
mod config;
mod dictionary;
mod error;
mod footer;
mod forks;
mod frame;
mod frames;
mod front;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod heads;
mod log;
mod maintenance;
pub mod mutant;
mod names;
mod number;
mod quarantine;
mod reader;
mod recovery;
mod ring;
mod seal;
mod sealed;
mod segment;
mod segment_header;
mod shared;
mod spare;
mod sparse;
pub mod storage;
mod stream;
mod verify;
mod wire;
mod writer;

pub use backup::{Snapshot, SnapshotFile};
pub use config::{LogConfig, Sealing};
pub use error::{
    CommitError, Damage, MaintenanceError, OpenError, Poisoned, ReadError, StageError,
};
pub use frame::{BatchRole, BatchStatus};
pub use front::{Group, IdleMark, LogFront, Staged, StagedBatch, Sync};
pub use heads::{Head, Heads};
pub use log::Log;
pub use maintenance::{Maintenance, Retired};
pub use number::{CommitNumber, SegmentNumber};
pub use quarantine::Quarantined;
pub use reader::{EventBuffer, LogReader, Scan, ScanBack, SegmentInfo, StoredBatch, Want};
pub use recovery::{Recovery, TornTail};
pub use verify::{Problem, VerifyProgress, VerifyReport};
pub use writer::{LogWriter, Written};
