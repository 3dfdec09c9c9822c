//! The contract between Laterbase and a disk.
//!
//! What callers may rely on, and what every implementation's conformance test checks:
//! - A write is seen by every later read, through any handle.
//! - A write survives a power cut once [`StorageFile::sync`] has returned `Ok` on that file; until
//!   then any part of it may be there or not, sector by sector, in any order.
//! - A created, renamed or removed entry survives once [`Storage::sync_dir`] has returned `Ok` on
//!   its directory (both directories, for a rename between two). Syncing a file does not make its
//!   entry durable.
//! - After a failed sync nothing is known about what was written since the last good one, and
//!   another sync proves nothing: the caller gives up and reopens.
//!
//! Left out: appending, seeking, memory mapping, permissions, links. Callers keep offsets.

use super::error::StorageError;
use std::fmt;
use std::io::IoSlice;
use std::sync::Arc;

/// What a file is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// Read an existing file; writing fails.
    Read,
    /// Read and write an existing file.
    ReadWrite,
    /// Create a file to read and write; fails if it exists.
    Create,
}

/// How a file is opened: its [`Access`], and whether past the operating system's page cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OpenMode {
    /// What the file is opened for.
    pub access: Access,
    /// Ask for direct I/O. It is a wish: where the file system has none, the file is opened without
    /// and its [`StorageFile::block_bytes`] is 1.
    pub direct: bool,
}

impl OpenMode {
    /// Read an existing file.
    pub const READ: Self = Self { access: Access::Read, direct: false };
    /// Read and write an existing file.
    pub const READ_WRITE: Self = Self { access: Access::ReadWrite, direct: false };
    /// Create a file to read and write; fails if it exists.
    pub const CREATE: Self = Self { access: Access::Create, direct: false };

    /// The same, with direct I/O where the file system has it.
    #[must_use]
    pub const fn with_direct(self) -> Self {
        Self { direct: true, ..self }
    }
}

/// How a lock is shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LockMode {
    /// Any number of holders, none of them exclusive.
    Shared,
    /// One holder.
    Exclusive,
}

/// Which file something is, on which machine: equal for the same file, different for a copy.
///
/// Made of the machine's id, the file's inode number and its time of birth, as far as the platform
/// knows them. Renaming the file or its directory, writing to it and restarting the machine leave
/// it as it is; copying it, also with its directory or to another machine, does not. What it cannot
/// see: a disk or virtual machine copied block by block that keeps its machine id.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint(String);

impl Fingerprint {
    /// The fingerprint with this text, such as one that was stored.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Its text: printable ASCII in one line, without a length limit worth relying on.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A tree of files: a directory on disk, memory, or a simulated disk.
///
/// Handles are shared between threads. See the [module](super) for what a path is.
pub trait Storage: Send + Sync + fmt::Debug {
    /// Opens or creates a file.
    ///
    /// # Errors
    /// A missing file ([`Access::Read`], [`Access::ReadWrite`]), an existing one
    /// ([`Access::Create`]), a missing directory, or the system's reason.
    fn open(&self, path: &str, mode: OpenMode) -> Result<Arc<dyn StorageFile>, StorageError>;

    /// Renames a file, atomically replacing what `to` named before; open handles stay valid.
    ///
    /// # Errors
    /// A missing `from`, a missing directory, or the system's reason.
    fn rename(&self, from: &str, to: &str) -> Result<(), StorageError>;

    /// Removes a file; handles that are open stay readable.
    ///
    /// # Errors
    /// A missing file, a directory, or the system's reason.
    fn remove(&self, path: &str) -> Result<(), StorageError>;

    /// The names in a directory, sorted; files and directories alike.
    ///
    /// # Errors
    /// A missing directory, or the system's reason.
    fn list(&self, dir: &str) -> Result<Vec<String>, StorageError>;

    /// Creates a directory; one that exists already is fine. Its parent must exist.
    ///
    /// # Errors
    /// A missing parent, a file of that name, or the system's reason.
    fn create_dir(&self, path: &str) -> Result<(), StorageError>;

    /// Removes an empty directory.
    ///
    /// # Errors
    /// A missing directory, one that is not empty, or the system's reason.
    fn remove_dir(&self, path: &str) -> Result<(), StorageError>;

    /// Makes a directory's entries durable: what was created, renamed and removed in it.
    ///
    /// # Errors
    /// As for [`StorageFile::sync`]: afterwards nothing is known about the entries.
    fn sync_dir(&self, path: &str) -> Result<(), StorageError>;

    /// Is there a file or directory of this path?
    ///
    /// # Errors
    /// The system's reason why it cannot tell.
    fn exists(&self, path: &str) -> Result<bool, StorageError>;

    /// Takes a lock on a file, which is created if missing; `None` if it is held by another.
    ///
    /// The lock excludes other holders in this and other processes, and ends when it is dropped or
    /// its process ends, however it ends. It keeps nobody from reading or writing the file.
    ///
    /// # Errors
    /// A missing directory, a file system without locks, or the system's reason.
    fn try_lock(
        &self,
        path: &str,
        mode: LockMode,
    ) -> Result<Option<Box<dyn StorageLock>>, StorageError>;

    /// Which file this is: tells a database from its copy.
    ///
    /// # Errors
    /// A missing file, or the system's reason.
    fn fingerprint(&self, path: &str) -> Result<Fingerprint, StorageError>;
}

/// An open file: positioned reads and writes, and a sync.
///
/// Where [`block_bytes`](Self::block_bytes) is more than 1, every offset, length and buffer address
/// of a read or write must be a multiple of it (see [`AlignedBuffer`](super::AlignedBuffer));
/// others fail with [`InvalidInput`](std::io::ErrorKind::InvalidInput).
pub trait StorageFile: Send + Sync + fmt::Debug {
    /// Reads into `buf` from `offset`; fewer bytes than asked for only at the end of the file.
    ///
    /// # Errors
    /// A misaligned request, or the system's reason; `buf` then holds anything.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, StorageError>;

    /// Writes all of `bytes` at `offset`, extending the file with zeroes as needed.
    ///
    /// # Errors
    /// A misaligned request, a full disk, or the system's reason; any part may have been written.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), StorageError>;

    /// Writes all of the slices, one behind the other, at `offset`.
    ///
    /// # Errors
    /// As [`write_at`](Self::write_at).
    fn write_vectored_at(&self, offset: u64, slices: &[IoSlice<'_>]) -> Result<(), StorageError>;

    /// The file's length in bytes.
    ///
    /// # Errors
    /// The system's reason.
    fn len(&self) -> Result<u64, StorageError>;

    /// Is the file empty?
    ///
    /// # Errors
    /// As [`len`](Self::len).
    fn is_empty(&self) -> Result<bool, StorageError> {
        Ok(self.len()? == 0)
    }

    /// Cuts the file, or extends it with zeroes (which need not take space on the disk yet).
    ///
    /// # Errors
    /// The system's reason.
    fn set_len(&self, len: u64) -> Result<(), StorageError>;

    /// Makes the file's data and length durable, down to the medium.
    ///
    /// # Errors
    /// The system's reason. What was written since the last good sync may or may not be durable,
    /// and no later sync tells: do not retry.
    fn sync(&self) -> Result<(), StorageError>;

    /// What reads and writes must be aligned to, in bytes; 1 where they need not be.
    fn block_bytes(&self) -> usize;
}

/// A lock that is held until it is dropped.
pub trait StorageLock: Send + Sync + fmt::Debug {}
