//! Which schema, in eight bytes.

use std::fmt;
use std::str::FromStr;

use laterbase_event::Hash;

/// The first eight bytes of the BLAKE3 hash of a schema's canonical text, shown as 16 hexadecimal
/// digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SchemaHash([u8; 8]);

impl SchemaHash {
    /// The hash of a canonical text.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let hash = Hash::of(text.as_bytes());
        let mut first = [0; 8];
        first.iter_mut().zip(hash.as_bytes()).for_each(|(to, from)| *to = *from);
        Self(first)
    }

    /// The schema that a content type names, if its media type is this one.
    pub(crate) fn of_content_type(content_type: &str, media_type: &str) -> Option<Self> {
        let rest = content_type.strip_prefix(media_type)?;
        let parameter = rest.trim_start().strip_prefix(';')?.trim_start();
        parameter.strip_prefix("schema=")?.trim_end().parse().ok()
    }
}

/// What was read is no hash of a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a schema's hash has 16 hexadecimal digits")]
pub struct ParseSchemaHashError;

impl FromStr for SchemaHash {
    type Err = ParseSchemaHashError;

    fn from_str(text: &str) -> Result<Self, ParseSchemaHashError> {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() != 16 || !text.bytes().all(is_digit) {
            return Err(ParseSchemaHashError);
        }
        let number = u64::from_str_radix(text, 16).map_err(|_| ParseSchemaHashError)?;
        Ok(Self(number.to_be_bytes()))
    }
}

impl fmt::Display for SchemaHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}
