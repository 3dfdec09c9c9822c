//! How a command fails: what is said, what to do next, and the exit code.
//!
//! Every error of the library and of the system becomes a [`Failure`] at the one place where a
//! command meets it; what is printed and what the process answers is decided here.

use std::fmt;
use std::io;

use serde_json::json;

/// How the process ends. The numbers are a promise, described in
/// `docs/reference/exit-codes.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Success = 0,
    /// A defect in Laterbase, or an error that has no code of its own.
    Internal = 1,
    /// The command line itself is wrong.
    Usage = 2,
    /// What was asked for is not there.
    NotFound = 3,
    /// An expectation, a condition or an idempotency key stood against it.
    Conflict = 4,
    /// Input was refused: a record, a payload, a file.
    Refused = 5,
    /// Another process has the database open for writing.
    Locked = 6,
    /// The database is damaged.
    Corrupt = 7,
    /// The storage failed: full, read-only, forbidden, or an error of the device.
    Storage = 8,
    /// The database was written by a newer version.
    NewerFormat = 9,
    /// The directory is not a database.
    NotADatabase = 10,
    /// There is one already.
    AlreadyExists = 11,
    /// A peer was not reached, or the sync with it did not come to its end.
    Peer = 12,
}

/// Why a command did not do what it was asked to.
#[derive(Debug)]
pub struct Failure {
    exit: Exit,
    message: String,
    hint: Option<String>,
    quiet: bool,
}

impl Exit {
    /// The number that the process answers with.
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The name that `--json` shows.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Internal => "internal",
            Self::Usage => "usage",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::Refused => "refused",
            Self::Locked => "locked",
            Self::Corrupt => "corrupt",
            Self::Storage => "storage",
            Self::NewerFormat => "newer_format",
            Self::NotADatabase => "not_a_database",
            Self::AlreadyExists => "already_exists",
            Self::Peer => "peer",
        }
    }
}

impl Failure {
    /// A failure with its message: one sentence, without a full stop.
    #[must_use]
    pub fn new(exit: Exit, message: impl fmt::Display) -> Self {
        Self { exit, message: message.to_string(), hint: None, quiet: false }
    }

    /// The same failure with what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl fmt::Display) -> Self {
        self.hint = Some(hint.to_string());
        self
    }

    /// The same failure with another exit code.
    #[must_use]
    pub fn with_exit(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    /// A failure of which everything has been said already; only the exit code is left.
    #[must_use]
    pub fn said(exit: Exit) -> Self {
        Self { exit, message: String::new(), hint: None, quiet: true }
    }

    /// What became of writing to standard output. A reader that has gone (`| head`) is no
    /// mistake: the command ends quietly and successfully.
    #[must_use]
    pub fn output(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::said(Exit::Success);
        }
        Self::new(Exit::Storage, format_args!("cannot write to standard output: {error}"))
    }

    /// How the process ends.
    #[must_use]
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// The text for standard error; empty where everything has been said.
    #[must_use]
    pub fn to_text(&self, colour: bool) -> String {
        if self.quiet {
            return String::new();
        }
        let (red, dim, plain) =
            if colour { ("\x1b[1;31m", "\x1b[2m", "\x1b[0m") } else { ("", "", "") };
        let mut text = format!("{red}error:{plain} {}\n", self.message);
        if let Some(hint) = &self.hint {
            for line in hint.lines() {
                text.push_str(&format!("  {dim}→{plain} {line}\n"));
            }
        }
        text
    }

    /// The same as one line of JSON, for `--json`; empty where everything has been said.
    #[must_use]
    pub fn to_json(&self) -> String {
        if self.quiet {
            return String::new();
        }
        let error = json!({
            "error": self.exit.name(),
            "exit_code": self.exit.code(),
            "message": self.message,
            "hint": self.hint,
        });
        format!("{error}\n")
    }
}
