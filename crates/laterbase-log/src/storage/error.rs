//! What a storage operation that failed says: which operation, on what, and why.
//!
//! The error is cheap to clone, because a log that was poisoned by a failed write or sync repeats
//! the cause to every later caller.

use std::fmt;
use std::io;
use std::sync::Arc;

/// The operation that failed, as its message names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StorageOp {
    /// Open or create a file.
    Open,
    /// Read from a file.
    Read,
    /// Write to a file.
    Write,
    /// Ask for a file's length.
    Len,
    /// Cut or extend a file.
    SetLen,
    /// Make a file's data and length durable.
    Sync,
    /// Rename a file or directory.
    Rename,
    /// Remove a file or an empty directory.
    Remove,
    /// List a directory.
    List,
    /// Create a directory.
    CreateDir,
    /// Make a directory's entries durable.
    SyncDir,
    /// Look whether something exists, or which file it is.
    Inspect,
    /// Take a lock on a file.
    Lock,
}

impl fmt::Display for StorageOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Read => "read",
            Self::Write => "write",
            Self::Len => "measure",
            Self::SetLen => "resize",
            Self::Sync => "sync",
            Self::Rename => "rename",
            Self::Remove => "remove",
            Self::List => "list",
            Self::CreateDir => "create the directory",
            Self::SyncDir => "sync the directory",
            Self::Inspect => "look at",
            Self::Lock => "lock",
        })
    }
}

/// A storage operation failed.
///
/// The message names the operation, the path and the system's reason, and says what to do next
/// where that is known.
#[derive(Clone, Debug, thiserror::Error)]
#[error("cannot {op} {path:?}: {source}{}", advice(.source))]
pub struct StorageError {
    /// What was tried.
    pub op: StorageOp,
    /// On which path, as the caller or the operating system names it.
    pub path: String,
    /// The system's reason.
    pub source: Arc<io::Error>,
}

impl StorageError {
    /// An error of operation `op` on `path`.
    pub fn new(op: StorageOp, path: impl Into<String>, source: io::Error) -> Self {
        Self { op, path: path.into(), source: Arc::new(source) }
    }

    /// The system's kind of error.
    #[must_use]
    pub fn kind(&self) -> io::ErrorKind {
        self.source.kind()
    }

    /// Is the disk full, or the quota used up?
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }

    /// Is the file or directory missing?
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.kind() == io::ErrorKind::NotFound
    }

    /// Does the file to be created exist already?
    #[must_use]
    pub fn is_already_exists(&self) -> bool {
        self.kind() == io::ErrorKind::AlreadyExists
    }

    /// Is it not allowed: missing permission, or a file system mounted read-only?
    #[must_use]
    pub fn is_not_permitted(&self) -> bool {
        matches!(self.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
    }
}

fn advice(source: &io::Error) -> &'static str {
    use io::ErrorKind as Kind;
    let kind = source.kind();
    if kind == Kind::StorageFull || kind == Kind::QuotaExceeded {
        "; free some space, then open the database again"
    } else if kind == Kind::PermissionDenied {
        "; check who owns the directory and its permissions"
    } else if kind == Kind::ReadOnlyFilesystem {
        "; open the database read-only, or mount the file system for writing"
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_names_operation_path_reason_and_next_step() {
        let source = io::Error::from(io::ErrorKind::StorageFull);
        let error = StorageError::new(StorageOp::Write, "log/00000001.log", source);
        assert_eq!(
            error.to_string(),
            "cannot write \"log/00000001.log\": no storage space; free some space, then open the \
             database again"
        );
        assert!(error.is_full());
        assert!(!error.is_not_found());
    }
}
