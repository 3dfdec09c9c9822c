//! The parts of a run, and how each is written down and read back.
//!
//! A *part* is a stretch of a run's file under one checksum: a block, a group's page, a family's
//! table. Its CRC-32C comes first and covers the run's number and the part's offset besides its
//! bytes, so that a part that lies in the wrong place is as damaged as one whose bits changed.
//!
//! ```text
//! page of a group:   crc u32 | blocks u16 | lines u16 | blocks × BlockMeta | filter lines × 64
//! table of a family: crc u32 | groups × GroupMeta
//! ```

use crate::block::BLOCK_ENTRIES_MAX;
use crate::entry::Entry;
use crate::fields::{ENTRY_BYTES, Fields, put_entry, put_u16, put_u32, put_u64};
use crate::filter::{Filter, LINE_BYTES, lines_for};

/// The most blocks in a group.
pub(crate) const GROUP_BLOCKS_MAX: usize = 16;

/// Bytes of a part's checksum.
pub(crate) const CHECKSUM_BYTES: usize = 4;

/// The most bytes that a group's page takes.
pub(crate) const PAGE_BYTES_MAX: usize = CHECKSUM_BYTES
    + 4
    + GROUP_BLOCKS_MAX * BlockMeta::BYTES
    + lines_for(GROUP_BLOCKS_MAX * BLOCK_ENTRIES_MAX) * LINE_BYTES;

/// The checksum of the part of run `number` that begins at `offset`; `bytes` are without it.
pub(crate) fn checksum(number: u64, offset: u64, bytes: &[u8]) -> u32 {
    let mut place = [0; 16];
    let (low, high) = place.split_at_mut(8);
    low.copy_from_slice(&number.to_le_bytes());
    high.copy_from_slice(&offset.to_le_bytes());
    crc32c::crc32c_append(crc32c::crc32c(&place), bytes)
}

/// Writes the checksum of `part` into its first four bytes.
pub(crate) fn seal(number: u64, offset: u64, part: &mut [u8]) {
    if let Some((head, bytes)) = part.split_first_chunk_mut::<CHECKSUM_BYTES>() {
        *head = checksum(number, offset, bytes).to_le_bytes();
    }
}

/// The bytes behind a part's checksum, if it fits.
pub(crate) fn unseal(number: u64, offset: u64, part: &[u8]) -> Option<&[u8]> {
    let (head, bytes) = part.split_first_chunk::<CHECKSUM_BYTES>()?;
    (u32::from_le_bytes(*head) == checksum(number, offset, bytes)).then_some(bytes)
}

/// What is known of a stretch of entries without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Summary {
    /// The smallest entry.
    pub(crate) first: Entry,
    /// How many entries.
    pub(crate) count: u32,
    /// Have all of them the same `a` and the same extra bits?
    pub(crate) uniform: bool,
    /// The lowest position of an entry.
    pub(crate) lowest: u64,
    /// The highest position of an entry.
    pub(crate) highest: u64,
}

impl Summary {
    /// The summary of some entries; `None` without any.
    pub(crate) fn of(entries: &[Entry]) -> Option<Self> {
        let first = *entries.first()?;
        let mut lowest = u64::MAX;
        let mut highest = 0;
        let mut extras = 0;
        for entry in entries {
            lowest = lowest.min(entry.position());
            highest = highest.max(entry.position());
            extras |= entry.extra() ^ first.extra();
        }
        let last = entries.last()?;
        #[expect(clippy::cast_possible_truncation, reason = "a block's entries")]
        let count = entries.len() as u32;
        Some(Self { first, count, uniform: extras == 0 && last.a == first.a, lowest, highest })
    }

    /// The summary of this stretch and the one that follows it.
    pub(crate) fn and(&self, next: &Self) -> Self {
        Self {
            first: self.first,
            count: self.count.saturating_add(next.count),
            uniform: self.uniform
                && next.uniform
                && self.first.a == next.first.a
                && self.first.extra() == next.first.extra(),
            lowest: self.lowest.min(next.lowest),
            highest: self.highest.max(next.highest),
        }
    }

    const BYTES: usize = ENTRY_BYTES + 4 + 16;

    fn write(&self, out: &mut Vec<u8>) {
        put_entry(out, &self.first);
        put_u32(out, self.count | u32::from(self.uniform) << 31);
        put_u64(out, self.lowest);
        put_u64(out, self.highest);
    }

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let first = fields.entry()?;
        let count = fields.u32()?;
        let summary = Self {
            first,
            count: count & (u32::MAX >> 1),
            uniform: count >> 31 == 1,
            lowest: fields.u64()?,
            highest: fields.u64()?,
        };
        (summary.count > 0 && summary.lowest <= summary.highest).then_some(summary)
    }
}

/// A block, as its group's page describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BlockMeta {
    pub(crate) summary: Summary,
    /// Where it begins in its group.
    pub(crate) offset: u32,
    /// Its length with the checksum.
    pub(crate) bytes: u32,
}

impl BlockMeta {
    /// Bytes that it takes in a page.
    pub(crate) const BYTES: usize = Summary::BYTES + 8;

    /// Offset and length in the bytes of a block's description, unchecked.
    pub(crate) fn place(bytes: &[u8]) -> Option<(u64, u64)> {
        let mut fields = Fields::new(bytes.get(Summary::BYTES..)?);
        Some((u64::from(fields.u32()?), u64::from(fields.u32()?)))
    }
}

/// A group's page: its blocks, and a filter over the `a` of its entries.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct GroupPage {
    pub(crate) blocks: Vec<BlockMeta>,
    pub(crate) filter: Filter,
}

impl GroupPage {
    /// Memory that it takes, in bytes.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.blocks.len() * size_of::<BlockMeta>() + self.filter.bytes()
    }

    /// Appends the page without its checksum.
    #[expect(clippy::cast_possible_truncation, reason = "16 blocks, and lines for 2,048 keys")]
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        put_u16(out, self.blocks.len() as u16);
        put_u16(out, self.filter.line_count() as u16);
        for block in &self.blocks {
            block.summary.write(out);
            put_u32(out, block.offset);
            put_u32(out, block.bytes);
        }
        self.filter.write(out);
    }

    /// The page that these bytes hold, if it can be one.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields::new(bytes);
        let count = usize::from(fields.u16()?);
        let lines = usize::from(fields.u16()?);
        if count == 0 || count > GROUP_BLOCKS_MAX {
            return None;
        }
        let mut blocks = Vec::with_capacity(count);
        let mut end = 0;
        for _ in 0..count {
            let summary = Summary::read(&mut fields)?;
            let block = BlockMeta { summary, offset: fields.u32()?, bytes: fields.u32()? };
            if block.offset != end || summary.count as usize > BLOCK_ENTRIES_MAX {
                return None;
            }
            end = block.offset.checked_add(block.bytes)?;
            blocks.push(block);
        }
        let filter = Filter::read(fields.rest())?;
        let rises = blocks.is_sorted_by(|one, next| one.summary.first < next.summary.first);
        (rises && filter.line_count() == lines).then_some(Self { blocks, filter })
    }
}

/// A group, as its family's table describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct GroupMeta {
    pub(crate) summary: Summary,
    /// Where its blocks begin in the file; its page follows them.
    pub(crate) offset: u64,
    /// The length of its blocks.
    pub(crate) blocks_bytes: u32,
    /// The length of its page with the checksum.
    pub(crate) page_bytes: u32,
}

impl GroupMeta {
    /// Bytes that it takes in a table.
    pub(crate) const BYTES: usize = Summary::BYTES + 16;

    /// Offset, length of the blocks and length of the page in the bytes of a group's description,
    /// unchecked.
    pub(crate) fn place(bytes: &[u8]) -> Option<(u64, u64, u64)> {
        let mut fields = Fields::new(bytes.get(Summary::BYTES..)?);
        Some((fields.u64()?, u64::from(fields.u32()?), u64::from(fields.u32()?)))
    }

    pub(crate) const fn page_offset(&self) -> u64 {
        self.offset + self.blocks_bytes as u64
    }

    /// Memory that its page takes at the most, in bytes.
    pub(crate) const fn page_memory_bytes(&self) -> usize {
        self.page_bytes as usize + size_of::<GroupPage>() + GROUP_BLOCKS_MAX * 32
    }
}

/// Appends a table of groups without its checksum.
pub(crate) fn write_table(groups: &[GroupMeta], out: &mut Vec<u8>) {
    for group in groups {
        group.summary.write(out);
        put_u64(out, group.offset);
        put_u32(out, group.blocks_bytes);
        put_u32(out, group.page_bytes);
    }
}

/// The groups of a table, if these bytes can be one whose groups lie from `begin` to `end`.
pub(crate) fn read_table(bytes: &[u8], begin: u64, end: u64) -> Option<Vec<GroupMeta>> {
    let mut fields = Fields::new(bytes);
    let mut groups = Vec::with_capacity(bytes.len() / GroupMeta::BYTES);
    let mut at = begin;
    while !fields.is_empty() {
        let summary = Summary::read(&mut fields)?;
        let group = GroupMeta {
            summary,
            offset: fields.u64()?,
            blocks_bytes: fields.u32()?,
            page_bytes: fields.u32()?,
        };
        if group.offset != at || group.page_bytes as usize > PAGE_BYTES_MAX {
            return None;
        }
        at = at
            .checked_add(u64::from(group.blocks_bytes))?
            .checked_add(u64::from(group.page_bytes))?;
        groups.push(group);
    }
    let rises = groups.is_sorted_by(|one, next| one.summary.first < next.summary.first);
    (at == end && rises).then_some(groups)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_in_another_place_is_damaged() {
        let mut part = b"....what it says".to_vec();
        seal(7, 4096, &mut part);
        assert_eq!(unseal(7, 4096, &part), Some(&b"what it says"[..]));
        assert_eq!(unseal(7, 8192, &part), None, "elsewhere in the run");
        assert_eq!(unseal(8, 4096, &part), None, "in another run");
        assert_eq!(unseal(7, 4096, &part[..3]), None, "cut");
    }

    #[test]
    fn summaries_of_neighbours_add_up() {
        let entries: Vec<Entry> = (1..=9).map(|i| Entry::new(5, i, 2, 10 + i % 4)).collect();
        let of = |entries: &[Entry]| Summary::of(entries).expect("there are some");
        let (one, next) = entries.split_at(4);
        assert_eq!(of(one).and(&of(next)), of(&entries));
        assert!(of(&entries).uniform);
        let other = [Entry::new(5, 20, 3, 1)];
        assert!(of(&other).uniform && !of(&entries).and(&of(&other)).uniform);
        assert_eq!(Summary::of(&[]), None);
    }
}
