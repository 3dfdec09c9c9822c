//! Reads a run from front to back, past the cache: what a merge and a verification do.
//!
//! Blocks are read several at a time, within a bound in bytes; one of them is decoded at a time.

use crate::bits::PAD_BYTES;
use crate::block::{BLOCK_ENTRIES_MAX, BlockBuffer};
use crate::entry::{Entry, Family};
use crate::error::{DamageKind, ReadError};
use crate::run::Run;
use crate::section::{BlockMeta, GroupMeta, GroupPage};
use std::sync::Arc;

/// A place in one family of a run.
#[derive(Debug)]
pub(crate) struct RunScan {
    run: Arc<Run>,
    family: Family,
    /// How many groups have been begun.
    groups_begun: usize,
    page: GroupPage,
    /// How many blocks of the page have been decoded.
    blocks_done: usize,
    /// Bytes of blocks from `bytes_offset` of the file on, and padding.
    bytes: Vec<u8>,
    bytes_offset: u64,
    bytes_max: usize,
    /// The block that was decoded last, and how many entries it has.
    entries: Box<BlockBuffer>,
    count: usize,
    index: usize,
    /// The last entry that was given: the next one must be larger.
    last: Option<Entry>,
}

impl RunScan {
    /// Before the first entry of a family; reads about `bytes_max` at a time.
    pub(crate) fn new(run: Arc<Run>, family: Family, bytes_max: usize) -> Self {
        Self {
            run,
            family,
            groups_begun: 0,
            page: GroupPage { blocks: Vec::new(), filter: crate::filter::Filter::new() },
            blocks_done: 0,
            bytes: Vec::new(),
            bytes_offset: 0,
            bytes_max,
            entries: Box::new([Entry::MIN; BLOCK_ENTRIES_MAX]),
            count: 0,
            index: 0,
            last: None,
        }
    }

    /// Goes to the first entry of another family, keeping its buffers.
    pub(crate) fn begin_family(&mut self, family: Family) {
        self.family = family;
        self.groups_begun = 0;
        self.page.blocks.clear();
        self.blocks_done = 0;
        self.count = 0;
        self.index = 0;
        self.last = None;
    }

    /// The next entry of the family.
    #[inline]
    pub(crate) fn next(&mut self) -> Result<Option<Entry>, ReadError> {
        if self.index == self.count && !self.next_block()? {
            return Ok(None);
        }
        let entry = self.entries.get(self.index).copied();
        self.index += 1;
        Ok(entry)
    }

    /// The run.
    pub(crate) const fn run(&self) -> &Arc<Run> {
        &self.run
    }

    /// Decodes the next block; `false` behind the last one.
    pub(crate) fn next_block(&mut self) -> Result<bool, ReadError> {
        let run = Arc::clone(&self.run);
        if self.blocks_done == self.page.blocks.len() {
            let Some(group) = run.groups(self.family).get(self.groups_begun) else {
                return Ok(false);
            };
            self.groups_begun += 1;
            self.blocks_done = 0;
            self.bytes.clear();
            self.bytes.resize(group.page_bytes as usize, 0);
            run.read_exactly(group.page_offset(), &mut self.bytes)?;
            self.page = run.decode_page(group, &self.bytes)?;
            self.bytes.clear();
        }
        let group = self.groups_begun.checked_sub(1);
        let group = group.and_then(|group| run.groups(self.family).get(group));
        let (Some(group), Some(block)) = (group, self.page.blocks.get(self.blocks_done).copied())
        else {
            return Ok(false);
        };
        let offset = group.offset + u64::from(block.offset);
        let end = self.bytes_offset + self.bytes.len() as u64;
        if self.bytes.is_empty() || offset + u64::from(block.bytes) + PAD_BYTES as u64 > end {
            self.fill(&run, group, &block)?;
        }
        let begin = (offset - self.bytes_offset) as usize;
        let padded = self.bytes.get(begin..begin + block.bytes as usize + PAD_BYTES);
        let padded = padded.unwrap_or_default();
        let entries = run.decode_block(&block, offset, padded, &mut self.entries)?;
        if self.last.is_some() && entries.first().copied() <= self.last {
            return Err(run.damage(offset, DamageKind::Content));
        }
        self.last = entries.last().copied();
        self.count = entries.len();
        self.blocks_done += 1;
        self.index = 0;
        Ok(true)
    }

    /// Reads this block and as many of its group that follow it as fit.
    fn fill(&mut self, run: &Run, group: &GroupMeta, block: &BlockMeta) -> Result<(), ReadError> {
        let left = (group.blocks_bytes - block.offset) as usize;
        let length = left.min(self.bytes_max.max(block.bytes as usize));
        self.bytes_offset = group.offset + u64::from(block.offset);
        self.bytes.clear();
        self.bytes.resize(length, 0);
        run.read_exactly(self.bytes_offset, &mut self.bytes)?;
        self.bytes.resize(length + PAD_BYTES, 0);
        Ok(())
    }
}
