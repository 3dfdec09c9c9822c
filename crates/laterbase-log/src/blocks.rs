//! Where the compressed blocks of a sealed segment stand.
//!
//! The frames' stream is cut into blocks of [`RAW_BYTES`]; the last one may be shorter. A stored
//! block is `CRC-32C u32 | codec u8 | content`; the checksum begins with the segment's epoch and
//! covers codec and content. Which block holds an offset is a division; where it stands is the
//! table here.

use crate::segment_header::BLOCK_BYTES;
use crate::wire::{Fields, put_varint};

/// How much of the frames' stream one block holds.
pub(crate) const RAW_BYTES: usize = 16 << 10;
/// The bytes of a stored block before its content.
pub(crate) const BLOCK_PREFIX_BYTES: usize = 5;

/// How a block's content is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Codec {
    /// As it is.
    Raw,
    /// One zstd frame.
    Zstd,
}

impl Codec {
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Raw => 0,
            Self::Zstd => 1,
        }
    }

    pub(crate) const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Raw),
            1 => Some(Self::Zstd),
            2.. => None,
        }
    }
}

/// The places of all blocks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct BlockTable {
    /// The length of the frames' stream.
    pub(crate) raw_len: u64,
    /// Where each block ends, counted from the end of the header's block.
    ends: Vec<u32>,
}

impl BlockTable {
    /// Adds the next block; `false` if the segment grows too large for the table.
    pub(crate) fn push(&mut self, stored_len: usize) -> bool {
        let end = u32::try_from(stored_len)
            .ok()
            .and_then(|len| self.ends.last().copied().unwrap_or(0).checked_add(len));
        self.ends.extend(end);
        end.is_some()
    }

    /// Where the block of this index stands in the file, and its stored length.
    pub(crate) fn place(&self, block: u64) -> Option<(u64, usize)> {
        let index = usize::try_from(block).ok()?;
        let end = *self.ends.get(index)?;
        let start = match index.checked_sub(1) {
            Some(before) => *self.ends.get(before)?,
            None => 0,
        };
        Some((BLOCK_BYTES + u64::from(start), (end - start) as usize))
    }

    /// How long the block's content is when decompressed.
    pub(crate) fn raw_block_len(&self, block: u64) -> usize {
        let start = block.saturating_mul(RAW_BYTES as u64);
        usize::try_from(self.raw_len.saturating_sub(start)).unwrap_or(usize::MAX).min(RAW_BYTES)
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.ends.capacity() * size_of::<u32>()
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.raw_len);
        put_varint(out, self.ends.len() as u64);
        let mut last = 0;
        for end in &self.ends {
            put_varint(out, u64::from(end - last));
            last = *end;
        }
    }

    pub(crate) fn decode(fields: &mut Fields<'_>) -> Option<Self> {
        let raw_len = fields.varint()?;
        let count = fields.varint()?;
        if count != raw_len.div_ceil(RAW_BYTES as u64) || count > fields.rest().len() as u64 {
            return None;
        }
        let mut table = Self { raw_len, ends: Vec::new() };
        table.ends.reserve_exact(usize::try_from(count).ok()?);
        for _ in 0..count {
            let len = usize::try_from(fields.varint()?).ok()?;
            if len < BLOCK_PREFIX_BYTES || !table.push(len) {
                return None;
            }
        }
        Some(table)
    }
}
