//! A disk that fails on purpose, deterministically from a seed.
//!
//! ```text
//!   ProcessStorage (process.rs)
//!        │       until it is killed
//!   FaultyStorage (storage.rs)      the power cut file system of the tests
//!        │       paths                    │       requests of the kernel
//!        └───────────────┬────────────────┘
//!            FaultyDisk (faulty_disk.rs)    fails by plan (plan.rs), counts and traces (trace.rs)
//!                        │
//!                  Disk (disk.rs)           inodes and entries: what is seen, what is durable
//!                        │
//!               Content (content.rs)        the same for the bytes of one file
//!                        │
//!             SparseBytes (sparse.rs)
//! ```
//!
//! The model is as harsh as POSIX allows, and harsher than most file systems:
//! - What was written since a file's last sync survives a power cut sector by sector (512 bytes),
//!   in any combination; a sector written twice shows an old or a newer version, never a mix.
//! - The file's length is as unsure as its data.
//! - Directory entries are unsure until their directory is synced, however often the file itself
//!   was synced: a new file may vanish, a renamed one be back under its old name. One rename is
//!   atomic as long as neither directory was synced.
//! - A sync that fails leaves some sectors durable, drops the rest, and calls them clean: the next
//!   sync succeeds and proves nothing, while reads go on showing them.
//! - A sync may lie: it returns `Ok` and makes nothing durable.
//!
//! Left out: writes that end up in the wrong place, and sectors that tear inside; bits that flip
//! are there.

mod content;
mod disk;
mod faulty_disk;
mod plan;
mod process;
mod random;
mod sparse;
mod storage;
#[cfg(test)]
mod tests;
mod trace;

pub use content::SECTOR_BYTES;
pub use disk::{Attributes, Disk, InodeNumber, Survival};
pub use faulty_disk::{DiskError, FaultyDisk, InjectedError, Request};
pub use plan::{Fault, FaultPlan, OpClass, PlannedOp};
pub use process::ProcessStorage;
pub use random::Random;
pub use storage::FaultyStorage;
pub use trace::{OpCounts, TraceEntry};
