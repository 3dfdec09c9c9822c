//! Where the value of a setting came from, in the words in which it is looked for.

use std::fmt;
use std::path::{Path, PathBuf};

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Nobody said anything.
    Default,
    /// A file, and the line in it.
    File {
        /// As it was named.
        path: PathBuf,
        /// From 1.
        line: usize,
    },
    /// An environment variable of the setting's name.
    Environment,
    /// A flag of the setting's name.
    Flag,
}

/// A setting by the name that it has where its value came from: `--listen`, `LATERBASE_LISTEN`,
/// ``serve.toml:7: `listen` ``.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Called {
    pub(crate) name: &'static str,
    pub(crate) source: Source,
}

impl Source {
    /// The folder from which paths in the value are counted, if it is not the current one.
    pub(super) fn base(&self) -> Option<&Path> {
        match self {
            Self::File { path, .. } => path.parent(),
            Self::Default | Self::Environment | Self::Flag => None,
        }
    }

    /// Where the setting of this name has its value from, for people.
    pub(crate) fn shown(&self, name: &str) -> String {
        match self {
            Self::Default => "default".to_owned(),
            Self::File { path, line } => format!("{}:{line}", path.display()),
            Self::Environment => variable(name),
            Self::Flag => flag(name),
        }
    }
}

impl fmt::Display for Called {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, source } = self;
        match source {
            Source::Default => write!(out, "`{name}`"),
            Source::File { .. } => write!(out, "{}: `{name}`", source.shown(name)),
            Source::Environment | Source::Flag => out.write_str(&source.shown(name)),
        }
    }
}

/// The environment variable of a setting.
pub(super) fn variable(name: &str) -> String {
    format!("LATERBASE_{}", name.to_ascii_uppercase())
}

/// The flag of a setting.
pub(super) fn flag(name: &str) -> String {
    format!("--{}", name.replace('_', "-"))
}
