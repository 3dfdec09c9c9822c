//! What was asked of a simulated disk: counts, and on request every operation.

use super::super::error::StorageOp;
use super::plan::Fault;
use std::fmt;

/// How often a storage was asked for what, failed operations included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpCounts {
    /// All operations.
    pub operations: u64,
    /// Those that change something or make it durable: each is a point at which power may be cut.
    pub mutations: u64,
    /// Reads.
    pub reads: u64,
    /// Bytes asked for by reads.
    pub read_bytes: u64,
    /// Writes; a vectored one counts once.
    pub writes: u64,
    /// Bytes given to writes.
    pub write_bytes: u64,
    /// Syncs of files.
    pub syncs: u64,
    /// Syncs of directories.
    pub dir_syncs: u64,
}

/// One operation on a simulated disk.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TraceEntry {
    /// The operation's number on this storage, from 1.
    pub number: u64,
    /// What was asked.
    pub op: StorageOp,
    /// On which path; for a rename, the old one.
    pub path: String,
    /// A read's or write's offset, and for a cut the new length.
    pub offset: u64,
    /// A read's or write's length in bytes.
    pub bytes: u64,
    /// What went wrong by plan.
    pub fault: Option<Fault>,
}

impl fmt::Display for TraceEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, op, path, offset, bytes, fault } = self;
        write!(f, "{number} {op} {path:?}")?;
        match op {
            StorageOp::Read | StorageOp::Write => write!(f, " {bytes} bytes at {offset}")?,
            StorageOp::SetLen => write!(f, " to {offset} bytes")?,
            StorageOp::Open
            | StorageOp::Len
            | StorageOp::Sync
            | StorageOp::Rename
            | StorageOp::Remove
            | StorageOp::List
            | StorageOp::CreateDir
            | StorageOp::SyncDir
            | StorageOp::Inspect
            | StorageOp::Lock => {}
        }
        fault.map_or(Ok(()), |fault| write!(f, " {fault:?}"))
    }
}

impl OpCounts {
    pub(super) fn count(&mut self, op: StorageOp, bytes: u64, mutates: bool) {
        self.operations += 1;
        self.mutations += u64::from(mutates);
        match op {
            StorageOp::Read => {
                self.reads += 1;
                self.read_bytes += bytes;
            }
            StorageOp::Write => {
                self.writes += 1;
                self.write_bytes += bytes;
            }
            StorageOp::Sync => self.syncs += 1,
            StorageOp::SyncDir => self.dir_syncs += 1,
            StorageOp::Open
            | StorageOp::Len
            | StorageOp::SetLen
            | StorageOp::Rename
            | StorageOp::Remove
            | StorageOp::List
            | StorageOp::CreateDir
            | StorageOp::Inspect
            | StorageOp::Lock => {}
        }
    }
}
