//! Where the compressed blocks of a sealed segment stand.
//!
//! The frames' stream is cut into blocks of [`RAW_BYTES`]; the last one may be shorter. A stored
//! block is `CRC-32C u32 | codec u8 | content`; the checksum begins with the segment's epoch and
//! covers codec and content. Which block holds an offset is a division; where it stands is the
//! table here. A dictionary, if the segment has one, is the stored block before all others.

use crate::dictionary::{DICTIONARY_BYTES_MAX, Dictionary};
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
    /// One zstd frame, made with the segment's dictionary.
    ZstdDictionary,
}

impl Codec {
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Raw => 0,
            Self::Zstd => 1,
            Self::ZstdDictionary => 2,
        }
    }

    pub(crate) const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Raw),
            1 => Some(Self::Zstd),
            2 => Some(Self::ZstdDictionary),
            3.. => None,
        }
    }
}

/// The places of all blocks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct BlockTable {
    /// The length of the frames' stream.
    pub(crate) raw_len: u64,
    dictionary: Option<DictionaryPlace>,
    /// Where each block ends, counted from the end of the dictionary's.
    ends: Vec<u32>,
}

/// The stored block of the dictionary, which begins where the header's block ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct DictionaryPlace {
    stored_len: u32,
    len: u32,
}

impl BlockTable {
    /// Says that there is a dictionary of this length, and how long its stored block is; `false`
    /// if that is too long, or the table has blocks already.
    pub(crate) fn set_dictionary(&mut self, stored_len: usize, len: usize) -> bool {
        let place = u32::try_from(stored_len).ok().zip(u32::try_from(len).ok());
        let place = place.filter(|_| stored_len >= BLOCK_PREFIX_BYTES && self.ends.is_empty());
        self.dictionary = place
            .filter(|_| (1..=DICTIONARY_BYTES_MAX).contains(&len))
            .filter(|_| stored_len <= BLOCK_PREFIX_BYTES + len)
            .map(|(stored_len, len)| DictionaryPlace { stored_len, len });
        self.dictionary.is_some()
    }

    /// Where the dictionary's stored block stands in the file, its stored length, and the
    /// dictionary's own.
    pub(crate) fn dictionary_place(&self) -> Option<(u64, usize, usize)> {
        let place = self.dictionary?;
        Some((BLOCK_BYTES, place.stored_len as usize, place.len as usize))
    }

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
        let first = BLOCK_BYTES + self.dictionary.map_or(0, |place| u64::from(place.stored_len));
        Some((first + u64::from(start), (end - start) as usize))
    }

    /// How long the block's content is when decompressed.
    pub(crate) fn raw_block_len(&self, block: u64) -> usize {
        let start = block.saturating_mul(RAW_BYTES as u64);
        usize::try_from(self.raw_len.saturating_sub(start)).unwrap_or(usize::MAX).min(RAW_BYTES)
    }

    /// With the prepared dictionary, which is kept as long as the table is.
    pub(crate) fn memory_bytes(&self) -> usize {
        let dictionary =
            self.dictionary.map_or(0, |place| Dictionary::memory_bytes(place.len as usize));
        self.ends.capacity() * size_of::<u32>() + dictionary
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.raw_len);
        let dictionary = self.dictionary.map_or((0, 0), |place| (place.stored_len, place.len));
        put_varint(out, u64::from(dictionary.0));
        if dictionary.0 > 0 {
            put_varint(out, u64::from(dictionary.1));
        }
        put_varint(out, self.ends.len() as u64);
        let mut last = 0;
        for end in &self.ends {
            put_varint(out, u64::from(end - last));
            last = *end;
        }
    }

    pub(crate) fn decode(fields: &mut Fields<'_>) -> Option<Self> {
        let mut table = Self { raw_len: fields.varint()?, ..Self::default() };
        let stored_len = usize::try_from(fields.varint()?).ok()?;
        if stored_len > 0 {
            let len = usize::try_from(fields.varint()?).ok()?;
            if !table.set_dictionary(stored_len, len) {
                return None;
            }
        }
        let raw_len = table.raw_len;
        let count = fields.varint()?;
        if count != raw_len.div_ceil(RAW_BYTES as u64) || count > fields.rest().len() as u64 {
            return None;
        }
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
