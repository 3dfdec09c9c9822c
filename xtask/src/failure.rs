//! Why a command of this tool ends without success.

use std::fmt;
use std::path::PathBuf;

/// What went wrong, in words that say what to do next.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line was wrong.
    Usage(String),
    /// A file of the repository could not be read or written.
    File { path: PathBuf, source: std::io::Error },
    /// A program could not be started at all.
    Start { program: String, source: std::io::Error },
    /// A program ran and failed; its own output says why.
    Command { line: String, status: String },
    /// A check found something.
    Check(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(message) | Self::Check(message) => f.write_str(message),
            Self::File { path, source } => write!(f, "{}: {source}", path.display()),
            Self::Start { program, source } => {
                write!(f, "`{program}` could not be started ({source}); run scripts/setup")
            }
            Self::Command { line, status } => write!(f, "{status}: {line}"),
        }
    }
}

impl std::error::Error for Failure {}
