//! From the library's errors to exit codes: one function for each thing that can fail.
//!
//! The library's messages say what happened and what to do next, and are shown as they are; what
//! is added here is what only the command line knows.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the library may come to know more ways to fail; those have no exit code of their own"
)]

use std::io;
use std::path::Path;

use laterbase::{
    AppendError, BackupError, CloseError, FollowError, IdentityError, OpenError, PushError,
    ReadError,
};

use crate::failure::{Exit, Failure};

/// Nobody but the database records there.
pub(crate) const RESERVED: &str = "roots that begin with `_` are the database's own; rows of \
                                   tables are written by `put` and `delete`";

/// A database was not opened or created.
pub(crate) fn opening(error: &OpenError, directory: &Path) -> Failure {
    let shown = directory.display();
    match error {
        OpenError::Storage(storage) if storage.is_not_found() => {
            Failure::new(Exit::NotADatabase, format_args!("there is no database in {shown}"))
                .hint("check the name, or make one with `laterbase init`")
        }
        OpenError::Storage(storage) if storage.kind() == io::ErrorKind::NotADirectory => {
            Failure::new(Exit::NotADatabase, format_args!("{shown} is not a directory"))
                .hint("a database is a directory; name another one")
        }
        OpenError::Identity(IdentityError::Missing) => {
            Failure::new(Exit::NotADatabase, format_args!("{shown} is not a database")).hint(
                "it has no file `identity`; check the name, or make one with `laterbase init`",
            )
        }
        OpenError::Exists => Failure::new(
            Exit::AlreadyExists,
            format_args!("there is a database in {shown} already"),
        )
        .hint("use it as it is, or name another directory"),
        OpenError::Locked { holder, .. } => {
            let holder = if holder.is_empty() { "another process" } else { holder };
            Failure::new(
                Exit::Locked,
                format_args!("{shown} is open for writing elsewhere: {holder}"),
            )
            .hint("reading works beside it; to write, wait for it or end it")
        }
        other => Failure::new(opening_exit(other), format_args!("cannot open {shown}: {other}")),
    }
}

fn opening_exit(error: &OpenError) -> Exit {
    use laterbase_index::OpenError as IndexError;
    match error {
        OpenError::Exists => Exit::AlreadyExists,
        OpenError::Locked { .. } | OpenError::Follow(FollowError::Starting { .. }) => Exit::Locked,
        OpenError::Identity(IdentityError::Missing) => Exit::NotADatabase,
        OpenError::Identity(IdentityError::Newer { .. })
        | OpenError::Index(IndexError::NewerFormat { .. }) => Exit::NewerFormat,
        OpenError::Identity(IdentityError::Damaged)
        | OpenError::Index(
            IndexError::Missing { .. }
            | IndexError::Exists { .. }
            | IndexError::Foreign { .. }
            | IndexError::Damaged(_),
        )
        | OpenError::LogCutShort { .. } => Exit::Corrupt,
        OpenError::Identity(IdentityError::Storage(_))
        | OpenError::Index(IndexError::Storage(_))
        | OpenError::Follow(FollowError::Storage(_) | FollowError::Close(_))
        | OpenError::Storage(_) => Exit::Storage,
        OpenError::Log(error) | OpenError::Follow(FollowError::Log(error)) => log_exit(error),
        OpenError::Maintain(error) => maintaining_exit(error),
        OpenError::Read(error) => reading_exit(error),
        _ => Exit::Internal,
    }
}

/// The log was not opened, for writing or for reading alone.
fn log_exit(error: &laterbase_log::OpenError) -> Exit {
    use laterbase_log::OpenError as Error;
    match error {
        Error::Exists { .. } => Exit::AlreadyExists,
        Error::NewerFormat { .. } => Exit::NewerFormat,
        Error::Missing { .. }
        | Error::OtherDatabase { .. }
        | Error::SegmentMissing { .. }
        | Error::HeaderDamaged { .. }
        | Error::FooterDamaged { .. }
        | Error::Damaged { .. } => Exit::Corrupt,
        Error::Storage(_) => Exit::Storage,
        _ => Exit::Internal,
    }
}

fn maintaining_exit(error: &laterbase_index::MaintainError) -> Exit {
    use laterbase_index::MaintainError as Error;
    match error {
        Error::Damaged(_) => Exit::Corrupt,
        Error::Storage(_) | Error::Stopped { .. } => Exit::Storage,
    }
}

/// A read gave no answer.
pub(crate) fn reading(error: &ReadError) -> Failure {
    Failure::new(reading_exit(error), error)
}

fn reading_exit(error: &ReadError) -> Exit {
    use laterbase_index::ReadError as IndexError;
    use laterbase_log::ReadError as LogError;
    match error {
        ReadError::Cursor(_) => Exit::Usage,
        ReadError::Log(LogError::Storage(_)) | ReadError::Index(IndexError::Storage(_)) => {
            Exit::Storage
        }
        ReadError::Log(
            LogError::NotFound { .. }
            | LogError::Damaged(_)
            | LogError::Corrupt { .. }
            | LogError::Footer { .. }
            | LogError::Retired { .. },
        )
        | ReadError::Index(IndexError::Damaged(_))
        | ReadError::Follow(_)
        | ReadError::Decode { .. } => Exit::Corrupt,
        ReadError::Refresh(_) => Exit::Storage,
        _ => Exit::Internal,
    }
}

/// An event was not taken into a commit.
pub(crate) fn pushing(error: &PushError) -> Failure {
    Failure::new(Exit::Refused, error)
}

/// An append did not happen, or it is not known whether it did.
pub(crate) fn appending(error: &AppendError) -> Failure {
    let exit = match error {
        AppendError::VersionMismatch { .. }
        | AppendError::ConditionFailed { .. }
        | AppendError::IdempotencyConflict { .. }
        | AppendError::PartlyApplied { .. }
        | AppendError::RepeatedKey { .. }
        | AppendError::SchemaChanged => Exit::Conflict,
        AppendError::TooLarge(_) | AppendError::Stamp(_) => Exit::Refused,
        AppendError::Failed { .. } | AppendError::IndexesFull { .. } => Exit::Storage,
        AppendError::Read(error) => reading_exit(error),
        AppendError::Cursor(_) => Exit::Usage,
        _ => Exit::Internal,
    };
    Failure::new(exit, error)
}

/// A database was not closed as it should be.
pub(crate) fn closing(error: &CloseError) -> Failure {
    match error {
        CloseError::Append(error) => appending(error),
        CloseError::Log(_) => Failure::new(Exit::Storage, error),
        _ => Failure::new(Exit::Internal, error),
    }
}

/// A backup was not made or restored. `folder` is the backup's.
pub(crate) fn backing_up(error: &BackupError, folder: &Path) -> Failure {
    let exit = match error {
        BackupError::OtherContent { .. } | BackupError::NotEmpty => Exit::AlreadyExists,
        BackupError::Missing => Exit::NotFound,
        BackupError::Newer { .. } => Exit::NewerFormat,
        BackupError::Manifest { .. } | BackupError::Damaged { .. } => Exit::Corrupt,
        BackupError::Storage(error) if error.is_not_found() => Exit::NotFound,
        BackupError::Storage(_) | BackupError::Identity(_) => Exit::Storage,
        BackupError::Read(error) => reading_exit(error),
        _ => Exit::Internal,
    };
    Failure::new(exit, format_args!("{}: {error}", folder.display()))
}
