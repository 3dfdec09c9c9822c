//! Names that users choose, and the rules for them.
//!
//! A root is 1 to 64 bytes of `a-z 0-9 _ . -`. Keys, type names and content types are UTF-8 with a
//! length limit and without ASCII control characters, which would break every line-oriented output;
//! only a content type may be empty. Names are compared byte by byte: no case folding, no Unicode
//! normalisation.

use alloc::string::String;
use core::{borrow::Borrow, cmp::Ordering, fmt, hash::Hasher, str::FromStr};

use crate::Limits;

/// Why a text is not a name of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The name is empty.
    #[error("the name is empty; give at least one character")]
    Empty,
    /// The name is longer than its limit.
    #[error("the name has {bytes} bytes, at most {bytes_max} are allowed; shorten it")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// A byte is not allowed in a name of this kind.
    #[error(
        "byte {index} (0x{byte:02x}) is not allowed here: \
         roots take a-z 0-9 _ . - and other names no control characters"
    )]
    Byte {
        /// Where it stands, from 0.
        index: usize,
        /// The byte.
        byte: u8,
    },
}

/// Checks a root's name.
///
/// # Errors
/// In this order: [`NameError::Empty`], [`NameError::TooLong`], [`NameError::Byte`].
pub fn check_root(text: &str) -> Result<(), NameError> {
    check_length(text, Limits::ROOT_BYTES_MAX)?;
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    refuse_bytes(text, |byte| {
        !(byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'.' | b'-'))
    })
}

/// Checks a key.
///
/// # Errors
/// In this order: [`NameError::Empty`], [`NameError::TooLong`], [`NameError::Byte`].
pub fn check_key(text: &str) -> Result<(), NameError> {
    check_text(text, Limits::KEY_BYTES_MAX)
}

/// Checks a type's name.
///
/// # Errors
/// In this order: [`NameError::Empty`], [`NameError::TooLong`], [`NameError::Byte`].
pub fn check_type_name(text: &str) -> Result<(), NameError> {
    check_text(text, Limits::TYPE_BYTES_MAX)
}

/// Checks a content type, which may be empty.
///
/// # Errors
/// In this order: [`NameError::TooLong`], [`NameError::Byte`].
pub fn check_content_type(text: &str) -> Result<(), NameError> {
    check_length(text, Limits::CONTENT_TYPE_BYTES_MAX)?;
    check_no_controls(text)
}

fn check_text(text: &str, bytes_max: usize) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    check_length(text, bytes_max)?;
    check_no_controls(text)
}

/// Checks that there are no ASCII control characters: 00 to 1F and 7F.
pub(crate) fn check_no_controls(text: &str) -> Result<(), NameError> {
    let bytes = text.as_bytes();
    let (words, mut rest) = bytes.as_chunks::<8>();
    if let Some(last) = bytes.last_chunk::<8>() {
        // Looks at some bytes twice instead of at up to seven one by one.
        rest = &[];
        if has_control(*last) {
            return refuse_bytes(text, |byte| byte.is_ascii_control());
        }
    }
    if words.iter().any(|word| has_control(*word)) || rest.iter().any(u8::is_ascii_control) {
        return refuse_bytes(text, |byte| byte.is_ascii_control());
    }
    Ok(())
}

/// Whether one of eight bytes is below 20 or 7F.
fn has_control(word: [u8; 8]) -> bool {
    const ONES: u64 = u64::MAX / 255;
    const TOPS: u64 = ONES * 0x80;
    let word = u64::from_le_bytes(word);
    // Subtracting borrows into a byte's top bit if it is below; the first such byte is exact.
    let below_20 = word.wrapping_sub(ONES * 0x20) & !word;
    let delete = word ^ (ONES * 0x7F);
    let is_7f = delete.wrapping_sub(ONES) & !delete;
    (below_20 | is_7f) & TOPS != 0
}

fn check_length(text: &str, bytes_max: usize) -> Result<(), NameError> {
    if text.len() > bytes_max {
        return Err(NameError::TooLong { bytes: text.len(), bytes_max });
    }
    Ok(())
}

fn refuse_bytes(text: &str, refused: impl Fn(u8) -> bool) -> Result<(), NameError> {
    // One pass without an early exit is what the compiler turns into vector code.
    if !text.bytes().fold(false, |any, byte| any | refused(byte)) {
        return Ok(());
    }
    let found = text.bytes().enumerate().find(|(_, byte)| refused(*byte));
    found.map_or(Ok(()), |(index, byte)| Err(NameError::Byte { index, byte }))
}

/// The name of a kind of thing that events happen to: 1 to 64 bytes of `a-z 0-9 _ . -`.
///
/// Held in place, so that a batch header can be decoded without allocating.
///
/// ```
/// use laterbase_event::RootName;
/// let root = RootName::try_from("shipment")?;
/// assert_eq!(root.as_str(), "shipment");
/// assert!(RootName::try_from("_sys")?.is_reserved());
/// assert!(RootName::try_from("Shipment").is_err());
/// # Ok::<(), laterbase_event::NameError>(())
/// ```
#[derive(Clone, Copy)]
pub struct RootName {
    len: u8,
    bytes: [u8; Limits::ROOT_BYTES_MAX],
}

impl RootName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// Whether the name begins with `_` and so belongs to the system.
    #[must_use]
    pub fn is_reserved(&self) -> bool {
        self.as_bytes().first() == Some(&b'_')
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

impl TryFrom<&str> for RootName {
    type Error = NameError;

    fn try_from(text: &str) -> Result<Self, NameError> {
        check_root(text)?;
        let mut bytes = [0; Limits::ROOT_BYTES_MAX];
        for (place, byte) in bytes.iter_mut().zip(text.bytes()) {
            *place = byte;
        }
        // `check_root` bounds the length by 64.
        Ok(Self { len: text.len() as u8, bytes })
    }
}

impl FromStr for RootName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::try_from(text)
    }
}

impl PartialEq for RootName {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for RootName {}

impl PartialOrd for RootName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for RootName {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl core::hash::Hash for RootName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl Borrow<str> for RootName {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for RootName {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for RootName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.as_str())
    }
}

impl fmt::Debug for RootName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "RootName({:?})", self.as_str())
    }
}

macro_rules! owned_name {
    ($(#[$doc:meta])* $name:ident, $check:path) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<&str> for $name {
            type Error = NameError;

            fn try_from(text: &str) -> Result<Self, NameError> {
                $check(text)?;
                Ok(Self(String::from(text)))
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                $check(&text)?;
                Ok(Self(text))
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::try_from(text)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.pad(&self.0)
            }
        }
    };
}

owned_name! {
    /// Names one thing under a root: 1 to 255 bytes of UTF-8 without control characters.
    ///
    /// ```
    /// use laterbase_event::Key;
    /// assert_eq!(Key::try_from("4711")?.as_str(), "4711");
    /// # Ok::<(), laterbase_event::NameError>(())
    /// ```
    Key, check_key
}

owned_name! {
    /// The kind of an event: 1 to 128 bytes of UTF-8 without control characters.
    ///
    /// ```
    /// use laterbase_event::TypeName;
    /// assert_eq!(TypeName::try_from("booked")?.as_str(), "booked");
    /// # Ok::<(), laterbase_event::NameError>(())
    /// ```
    TypeName, check_type_name
}
