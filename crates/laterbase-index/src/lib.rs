//! The indexes of Laterbase: sorted entries that are derived from the log, and may be deleted.
//!
//! There are no deletes, no updates and no versions, so this is the simplest log-structured merge
//! tree there is:
//!
//! ```text
//!            absorb              write out                merge
//! entries ───────────▶ memtable ───────────▶ run, run ───────────▶ run    (index/NNNNNNNN.run)
//!                      chunks in              immutable files;
//!                      memory                 a manifest names them and says up to
//!                         └──────┬──────────────────┘      which position they are complete
//!                                ▼
//!                          IndexSnapshot: first, last, count, cursor
//! ```
//!
//! - [`entry`](Entry): three words, in five [families](Family).
//! - `memtable`, `chunk`: what is in memory.
//! - `block`, `filter`, `section`, `run_file`: the bytes of a run, from the inside out;
//!   `run_writer` writes them, `run` and `run_cursor` read them, `run_scan` reads them all.
//! - `build`, `tiers`, `manifest`: how runs come to be, are merged, and replace each other;
//!   [`IndexWork`] is a piece of that which can be done beside the index.
//! - [`IndexSnapshot`], [`Cursor`]: what readers hold.
//! - [`IndexWriter`] in the process that writes, [`IndexFollower`] in others.
//!
//! Everything is single-threaded and stepped, and touches the world only through the
//! [storage port](laterbase_log::storage): the same calls give the same bytes.
//!
//! Left out: what entries mean, when to maintain, leases of other processes, and reading the log
//! again for what is above the watermark; these are the host's.
//!
//! # Example
//! ```
//! use laterbase_event::Position;
//! use laterbase_index::{Entry, Family, IndexConfig, IndexWriter, PendingEntries, Range};
//! use laterbase_log::storage::MemoryStorage;
//! use std::sync::Arc;
//!
//! let storage = Arc::new(MemoryStorage::new());
//! let mut index = IndexWriter::create(storage, "index", IndexConfig::default())?;
//! let mut pending = PendingEntries::new();
//! for position in 1..=100 {
//!     pending.push(Family::Posting, Entry::new(0xfeed, position * 10, 7, position));
//! }
//! pending.set_upto(Position::new(100));
//! index.absorb(&mut pending)?;
//!
//! let term = Range::term(Family::Posting, 0xfeed).with_extra(7);
//! let snapshot = index.snapshot();
//! assert_eq!(snapshot.count(&term.upto(Position::new(40)))?, 40);
//! assert_eq!(snapshot.last(&term)?.map(|entry| entry.position()), Some(100));
//!
//! index.write_out(Position::new(100))?;
//! assert_eq!(index.watermark(), Position::new(100));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod bits;
mod block;
mod build;
mod cache;
mod chunk;
mod config;
mod count;
mod cursor;
mod entry;
mod error;
mod fields;
mod filter;
mod follower;
mod heads;
mod manifest;
mod memtable;
mod pending;
#[doc(hidden)]
pub mod probe;
mod range;
mod run;
mod run_cursor;
mod run_file;
mod run_scan;
mod run_writer;
mod section;
mod snapshot;
mod sort;
mod statistics;
mod tiers;
mod work;
mod writer;

pub use config::IndexConfig;
pub use cursor::Cursor;
pub use entry::{Entry, Family, POSITION_MAX};
pub use error::{AbsorbError, Damage, DamageKind, MaintainError, OpenError, ReadError};
pub use follower::IndexFollower;
pub use pending::PendingEntries;
pub use range::{Direction, Range};
pub use snapshot::{IndexReader, IndexSnapshot};
pub use statistics::{IndexStatistics, RunProgress};
pub use work::IndexWork;
pub use writer::{IndexWriter, Progress, RetiredRun};
