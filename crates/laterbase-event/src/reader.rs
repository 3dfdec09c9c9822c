//! Reads fields from the front of a byte slice; every failure names the field.

use crate::batch::{DecodeError, Field};
use crate::varint;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    #[inline]
    pub(crate) fn bytes(&mut self, count: usize, field: Field) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) =
            self.rest.split_at_checked(count).ok_or(DecodeError::Truncated { field })?;
        self.rest = rest;
        Ok(taken)
    }

    #[inline]
    pub(crate) fn array<const N: usize>(&mut self, field: Field) -> Result<[u8; N], DecodeError> {
        let (taken, rest) =
            self.rest.split_first_chunk::<N>().ok_or(DecodeError::Truncated { field })?;
        self.rest = rest;
        Ok(*taken)
    }

    #[inline]
    pub(crate) fn u8(&mut self, field: Field) -> Result<u8, DecodeError> {
        let (first, rest) = self.rest.split_first().ok_or(DecodeError::Truncated { field })?;
        self.rest = rest;
        Ok(*first)
    }

    pub(crate) fn u64_le(&mut self, field: Field) -> Result<u64, DecodeError> {
        self.array(field).map(u64::from_le_bytes)
    }

    #[inline(always)]
    pub(crate) fn varint(&mut self, field: Field) -> Result<u64, DecodeError> {
        let first = self.u8(field)?;
        if first < 0x80 {
            return Ok(u64::from(first));
        }
        self.varint_rest(first, field)
    }

    #[inline(never)]
    fn varint_rest(&mut self, first: u8, field: Field) -> Result<u64, DecodeError> {
        let mut value = u64::from(first & 0x7F);
        for index in 1..varint::BYTES_MAX {
            let byte = self.u8(field)?;
            let bits = u64::from(byte & 0x7F);
            if index == varint::BYTES_MAX - 1 && bits > 1 {
                return Err(DecodeError::OutOfRange { field });
            }
            value |= bits << (7 * index);
            if byte < 0x80 {
                if byte == 0 {
                    return Err(DecodeError::NotMinimal { field });
                }
                return Ok(value);
            }
        }
        Err(DecodeError::OutOfRange { field })
    }

    /// A number that must not exceed `max`.
    #[inline(always)]
    pub(crate) fn varint_max(&mut self, max: u32, field: Field) -> Result<u32, DecodeError> {
        let value = self.varint(field)?;
        match u32::try_from(value) {
            Ok(value) if value <= max => Ok(value),
            Ok(_) | Err(_) => Err(DecodeError::OutOfRange { field }),
        }
    }

    /// Text of `count` bytes.
    #[inline]
    pub(crate) fn text(&mut self, count: usize, field: Field) -> Result<&'a str, DecodeError> {
        core::str::from_utf8(self.bytes(count, field)?).map_err(|_| DecodeError::NotText { field })
    }
}
