//! Writes a run from front to back, in memory that does not grow with it but for the tables.
//!
//! Entries come family by family, rising strictly. Nothing can be read before
//! [`RunWriter::finish`], which syncs the file; its directory is the caller's to sync.

use crate::block::{self, BLOCK_ENTRIES_MAX};
use crate::entry::{Entry, FAMILY_COUNT, Family, PerFamily};
use crate::run::RunParts;
use crate::run_file::{FOOT_BYTES, FamilySection, Foot, RunSpan, encode_head, run_name};
use crate::section::{
    BlockMeta, CHECKSUM_BYTES, GROUP_BLOCKS_MAX, GroupMeta, GroupPage, Summary, seal, write_table,
};
use laterbase_log::storage::{OpenMode, Storage, StorageError, StorageFile};
use std::sync::Arc;

/// A run that is being written.
#[derive(Debug)]
pub(crate) struct RunWriter {
    file: Arc<dyn StorageFile>,
    path: String,
    span: RunSpan,
    /// What follows the `written` bytes that are in the file.
    buffer: Vec<u8>,
    buffer_bytes_max: usize,
    written: u64,
    family: Family,
    /// The entries of the block that is being filled.
    entries: Vec<Entry>,
    /// The group that is being filled, and where it begins.
    page: GroupPage,
    group_begin: u64,
    /// The distinct `a` of its entries.
    keys: Vec<u64>,
    tables: PerFamily<Vec<GroupMeta>>,
    sections: PerFamily<FamilySection>,
}

impl RunWriter {
    /// Creates the file of a run in `dir`.
    pub(crate) fn create(
        storage: &dyn Storage,
        dir: &str,
        span: RunSpan,
        buffer_bytes_max: usize,
    ) -> Result<Self, StorageError> {
        let path = format!("{dir}/{}", run_name(span.number));
        let file = storage.open(&path, OpenMode::CREATE)?;
        let buffer = encode_head(&span);
        let begin = buffer.len() as u64;
        Ok(Self {
            file,
            path,
            span,
            buffer,
            buffer_bytes_max,
            written: 0,
            family: Family::Posting,
            entries: Vec::with_capacity(BLOCK_ENTRIES_MAX),
            page: GroupPage::default(),
            group_begin: begin,
            keys: Vec::new(),
            tables: PerFamily::new([const { Vec::new() }; FAMILY_COUNT]),
            sections: PerFamily::new(
                [FamilySection { begin, ..FamilySection::default() }; FAMILY_COUNT],
            ),
        })
    }

    /// The largest entry that the current family has so far.
    pub(crate) fn last(&self) -> Option<Entry> {
        let section = self.sections.get(self.family);
        self.entries.last().copied().or((section.entries > 0).then_some(section.last))
    }

    /// Turns to the next family; the one before it is complete.
    pub(crate) fn begin_family(&mut self, family: Family) -> Result<(), StorageError> {
        self.finish_family()?;
        self.family = family;
        self.sections.get_mut(family).begin = self.offset();
        Ok(())
    }

    /// Adds the next entry of the family.
    #[inline]
    pub(crate) fn push(&mut self, entry: Entry) -> Result<(), StorageError> {
        debug_assert!(self.last().is_none_or(|last| last < entry), "entries rise strictly");
        self.entries.push(entry);
        if self.entries.len() == BLOCK_ENTRIES_MAX { self.finish_block() } else { Ok(()) }
    }

    /// Writes what is left, syncs the file, and says what there is to read.
    pub(crate) fn finish(mut self) -> Result<RunParts, StorageError> {
        self.finish_family()?;
        let tables_begin = self.offset();
        for family in Family::ALL.into_iter().rev() {
            // Families without an entry begin where the next one does.
            if self.sections.get(family).entries == 0 {
                let next = Family::ALL.get(family as usize + 1);
                let begin = next.map_or(tables_begin, |&next| self.sections.get(next).begin);
                self.sections.get_mut(family).begin = begin;
            }
        }
        for family in Family::ALL {
            let offset = self.offset();
            let begin = self.buffer.len();
            let table = self.tables.get(family);
            if !table.is_empty() {
                self.buffer.extend_from_slice(&[0; CHECKSUM_BYTES]);
                write_table(table, &mut self.buffer);
                let part = self.buffer.get_mut(begin..).unwrap_or_default();
                seal(self.span.number, offset, part);
            }
            let section = self.sections.get_mut(family);
            section.table = offset;
            #[expect(clippy::cast_possible_truncation, reason = "68 bytes for 2,048 entries")]
            let bytes = (self.buffer.len() - begin) as u32;
            section.table_bytes = bytes;
        }
        let file_bytes = self.offset() + FOOT_BYTES as u64;
        let foot = Foot { span: self.span, file_bytes, sections: self.sections };
        let (bytes, foot_crc) = foot.encode();
        self.buffer.extend_from_slice(&bytes);
        self.flush()?;
        self.file.sync()?;
        let Self { file, path, tables, .. } = self;
        Ok(RunParts { file, path, foot, foot_crc, tables })
    }

    /// Where in the file the next byte goes.
    const fn offset(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    fn finish_block(&mut self) -> Result<(), StorageError> {
        let Some(summary) = Summary::of(&self.entries) else { return Ok(()) };
        let offset = self.offset();
        let begin = self.buffer.len();
        self.buffer.extend_from_slice(&[0; CHECKSUM_BYTES]);
        block::encode(&self.entries, &mut self.buffer);
        let part = self.buffer.get_mut(begin..).unwrap_or_default();
        seal(self.span.number, offset, part);
        #[expect(clippy::cast_possible_truncation, reason = "16 blocks of a few kilobytes")]
        let block = BlockMeta {
            summary,
            offset: (offset - self.group_begin) as u32,
            bytes: part.len() as u32,
        };
        self.page.blocks.push(block);
        if self.family.has_filter() {
            let mut last = self.keys.last().copied();
            for entry in &self.entries {
                if last != Some(entry.a) {
                    self.keys.push(entry.a);
                    last = Some(entry.a);
                }
            }
        }
        let section = self.sections.get_mut(self.family);
        section.entries += self.entries.len() as u64;
        section.last = self.entries.last().copied().unwrap_or(section.last);
        self.entries.clear();
        if self.page.blocks.len() == GROUP_BLOCKS_MAX {
            self.finish_group()?;
        }
        if self.buffer.len() >= self.buffer_bytes_max { self.flush() } else { Ok(()) }
    }

    fn finish_group(&mut self) -> Result<(), StorageError> {
        let summaries = self.page.blocks.iter().map(|block| block.summary);
        let Some(summary) = summaries.reduce(|one, next| one.and(&next)) else { return Ok(()) };
        self.page.filter.rebuild(&self.keys);
        let offset = self.offset();
        let begin = self.buffer.len();
        self.buffer.extend_from_slice(&[0; CHECKSUM_BYTES]);
        self.page.write(&mut self.buffer);
        let part = self.buffer.get_mut(begin..).unwrap_or_default();
        seal(self.span.number, offset, part);
        #[expect(clippy::cast_possible_truncation, reason = "16 blocks of a few kilobytes")]
        let group = GroupMeta {
            summary,
            offset: self.group_begin,
            blocks_bytes: (offset - self.group_begin) as u32,
            page_bytes: part.len() as u32,
        };
        self.tables.get_mut(self.family).push(group);
        self.page.blocks.clear();
        self.keys.clear();
        self.group_begin = self.offset();
        Ok(())
    }

    fn finish_family(&mut self) -> Result<(), StorageError> {
        self.finish_block()?;
        self.finish_group()
    }

    fn flush(&mut self) -> Result<(), StorageError> {
        self.file.write_at(self.written, &self.buffer)?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}
