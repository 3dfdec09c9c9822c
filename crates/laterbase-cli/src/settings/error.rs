//! Why settings are refused, with the place that they came from.

use std::io;
use std::path::PathBuf;

use super::source::Called;
use crate::failure::{Exit, Failure};

/// Why settings are refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingError {
    /// The file cannot be read.
    #[error("{by}: {}: {source}", path.display())]
    Unreadable {
        /// Who named it.
        by: Called,
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is no TOML.
    #[error("{}:{line}: {message}", path.display())]
    Syntax {
        /// Which file.
        path: PathBuf,
        /// Where in it.
        line: usize,
        /// In the words of the TOML reader.
        message: String,
    },
    /// The file has a name in it that no setting has.
    #[error("{}:{line}: there is no setting `{name}`{}", path.display(), meant(*near))]
    Unknown {
        /// Which file.
        path: PathBuf,
        /// Where in it.
        line: usize,
        /// The name.
        name: String,
        /// The setting that was meant, perhaps.
        near: Option<&'static str>,
    },
    /// A value is none of its setting's.
    #[error("{setting}: {wrong}")]
    Value {
        /// Which setting.
        setting: Called,
        /// What is wrong with it.
        wrong: ValueError,
    },
    /// A setting makes no sense without another one.
    #[error("{setting}: this needs `{needed}`, too")]
    Alone {
        /// Which setting.
        setting: Called,
        /// What it needs.
        needed: &'static str,
    },
    /// Two settings contradict each other.
    #[error("{setting}: {relation} `{other}`, which is {value} ({from})")]
    Clash {
        /// Which setting.
        setting: Called,
        /// How the two stand to each other.
        relation: &'static str,
        /// The other one.
        other: &'static str,
        /// What that one is.
        value: String,
        /// And where it came from.
        from: String,
    },
}

/// What is wrong with a value.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ValueError {
    /// There is nothing.
    #[error("a value is missing")]
    Empty,
    /// It is of another type.
    #[error("this is {found}: write {expected}")]
    Type {
        /// What it is.
        found: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// It is not text.
    #[error("this is not UTF-8")]
    NotText,
    /// It is not of the setting's form.
    #[error("`{text}` is no {noun}: write {expected}")]
    Form {
        /// What was given.
        text: String,
        /// What it should be.
        noun: &'static str,
        /// How that looks.
        expected: String,
    },
    /// It is too small or too large.
    #[error("{text} is out of range: from {least} to {most}")]
    Range {
        /// What was given.
        text: String,
        /// The smallest value.
        least: String,
        /// The largest one.
        most: String,
    },
}

fn meant(near: Option<&str>) -> String {
    near.map_or_else(String::new, |name| format!("; did you mean `{name}`?"))
}

impl From<SettingError> for Failure {
    fn from(error: SettingError) -> Self {
        let hint = "`laterbase serve --print-config` shows all settings";
        match &error {
            SettingError::Unreadable { .. } => Self::new(Exit::NotFound, error),
            SettingError::Syntax { .. } => Self::new(Exit::Refused, error),
            SettingError::Unknown { .. } => Self::new(Exit::Refused, error).hint(hint),
            SettingError::Value { setting, .. }
            | SettingError::Alone { setting, .. }
            | SettingError::Clash { setting, .. } => {
                Self::new(if setting.is_of_a_file() { Exit::Refused } else { Exit::Usage }, &error)
            }
        }
    }
}

impl Called {
    fn is_of_a_file(&self) -> bool {
        matches!(self.source, super::Source::File { .. })
    }
}
