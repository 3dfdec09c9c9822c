//! The storage port: everything the log and the indexes ever ask of a disk, and who answers.
//!
//! ```text
//!                 Storage ──open──▶ StorageFile        (port.rs: the contract)
//!                    ▲                  ▲
//!        ┌───────────┼──────────────────┤
//!   FileStorage  MemoryStorage   FaultyStorage
//!   (file.rs,    (memory.rs)     (faulty/: a disk that fails on purpose)
//!    platform.rs)
//! ```
//!
//! All calls block. A path is components joined by `/`, relative to the storage's root, which the
//! empty path names; a component is never empty, `.` or `..`.
//! There is no memory mapping: an I/O error must be an error, not a signal.
//! Nothing here knows of segments, frames or runs.

mod buffer;
#[cfg(test)]
mod conformance;
mod error;
mod faulty;
mod file;
mod memory;
mod path;
mod platform;
mod port;

/// Lets other threads go first where there are not enough processors: for threads that work behind
/// what somebody waits for. Holds for the calling thread, from now on; where the system has nothing
/// of the kind, it does nothing.
pub fn lower_priority() {
    platform::lower_priority();
}

pub use buffer::{AlignedBuffer, BLOCK_BYTES};
pub use error::{StorageError, StorageOp};
pub use faulty::{
    Attributes, Disk, DiskError, Fault, FaultPlan, FaultyDisk, FaultyStorage, InjectedError,
    InodeNumber, OpClass, OpCounts, PlannedOp, ProcessStorage, Random, Request, SECTOR_BYTES,
    Survival, TraceEntry,
};
pub use file::FileStorage;
pub use memory::MemoryStorage;
pub use port::{Access, Fingerprint, LockMode, OpenMode, Storage, StorageFile, StorageLock};
