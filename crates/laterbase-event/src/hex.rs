//! Fixed-length hexadecimal text, for ids and hashes: written in lower case, read in either.

use core::fmt;

/// Why a text is not the hexadecimal form of an id or a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseHexError {
    /// The text has another length.
    #[error("expected {expected} hexadecimal digits, found {found} bytes")]
    Length {
        /// How many digits this kind of id has.
        expected: usize,
        /// How many bytes the text has.
        found: usize,
    },
    /// A byte is not a hexadecimal digit.
    #[error("byte {index} is not a hexadecimal digit; write 0-9 and a-f")]
    Digit {
        /// Where it stands, from 0.
        index: usize,
    },
}

pub(crate) fn write(bytes: &[u8], out: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
}

pub(crate) fn parse<const BYTES: usize>(text: &str) -> Result<[u8; BYTES], ParseHexError> {
    if text.len() != 2 * BYTES {
        return Err(ParseHexError::Length { expected: 2 * BYTES, found: text.len() });
    }
    let mut bytes = [0u8; BYTES];
    for (index, digit) in text.bytes().enumerate() {
        let value =
            char::from(digit).to_digit(16).ok_or(ParseHexError::Digit { index })?.to_le_bytes()[0];
        if let Some(byte) = bytes.get_mut(index / 2) {
            *byte = (*byte << 4) | value;
        }
    }
    Ok(bytes)
}
