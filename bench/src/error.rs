//! Why a benchmark ends without a number.

use std::path::PathBuf;

use thiserror::Error;

use crate::engine::Engine;

/// What went wrong.
#[derive(Debug, Error)]
pub(crate) enum BenchError {
    #[error("{0}")]
    Usage(String),
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error(
        "{} lies on {filesystem}, which keeps nothing: give --dir a folder on a device",
        path.display()
    )]
    NotADevice { path: PathBuf, filesystem: String },
    #[error("{engine}: {source}")]
    Store { engine: Engine, source: StoreError },
    #[error("{engine} answered {path} with {found} events instead of {expected}")]
    WrongAnswer { engine: Engine, path: &'static str, expected: u64, found: u64 },
    #[error("folding: {0}")]
    Fold(String),
    #[error("a child process said nothing of use: {0}")]
    Child(String),
    #[error("over the bound: {0}")]
    Bound(String),
}

/// An error of whichever store was measured.
pub(crate) type StoreError = Box<dyn std::error::Error + Send + Sync>;
