//! Tags: other things that an event also concerns, as `root:key`.

use alloc::string::String;
use core::{fmt, str::FromStr};

use crate::{Key, NameError, RootName};

/// One other thing that an event concerns. Text form: `root:key`; a root holds no colon, so the
/// first one divides them.
///
/// ```
/// use laterbase_event::Tag;
/// let tag: Tag = "epc:urn:epc:id:sgtin:0614141.107346.2017".parse()?;
/// assert_eq!(tag.root.as_str(), "epc");
/// assert_eq!(tag.key.as_str(), "urn:epc:id:sgtin:0614141.107346.2017");
/// # Ok::<(), laterbase_event::ParseTagError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag {
    /// The kind of thing.
    pub root: RootName,
    /// Which one.
    pub key: Key,
}

/// Why a text is not a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseTagError {
    /// There is no colon.
    #[error("a tag is written root:key, this text has no colon")]
    NoColon,
    /// What stands before the colon is no root.
    #[error("the tag's root: {0}")]
    Root(NameError),
    /// What stands after the colon is no key.
    #[error("the tag's key: {0}")]
    Key(NameError),
}

impl Tag {
    /// The tag of these two names.
    ///
    /// # Errors
    /// [`ParseTagError::Root`], then [`ParseTagError::Key`].
    pub fn new(root: &str, key: &str) -> Result<Self, ParseTagError> {
        Ok(Self {
            root: RootName::try_from(root).map_err(ParseTagError::Root)?,
            key: Key::try_from(String::from(key)).map_err(ParseTagError::Key)?,
        })
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", self.root, self.key)
    }
}

impl FromStr for Tag {
    type Err = ParseTagError;

    fn from_str(text: &str) -> Result<Self, ParseTagError> {
        let (root, key) = text.split_once(':').ok_or(ParseTagError::NoColon)?;
        Self::new(root, key)
    }
}
