//! An open run: an immutable file of sorted entries, of which only the tables are held in memory.
//!
//! Whatever is read is checked before it is used: the checksum, that it decodes, and that it is what
//! the level above says of it. What fails is [`Damage`] of that file at that offset.

use crate::bits::PAD_BYTES;
use crate::block::{self, BLOCK_BYTES_MAX};
use crate::cache::{Part, PartCache, PartKey};
use crate::entry::{Entry, FAMILY_COUNT, Family, PerFamily};
use crate::error::{Damage, DamageKind, OpenError, ReadError};
use crate::run_file::{
    BadFoot, FOOT_BYTES, FORMAT_VERSION, Foot, HEAD_BYTES, RunSpan, encode_head, run_name,
};
use crate::section::{
    BlockMeta, CHECKSUM_BYTES, GroupMeta, GroupPage, PAGE_BYTES_MAX, Summary, read_table, unseal,
};
use laterbase_log::storage::{OpenMode, Storage, StorageFile};
use std::sync::Arc;

/// The most bytes that a block or a page takes in a file.
const PART_BYTES_MAX: usize = if BLOCK_BYTES_MAX + CHECKSUM_BYTES > PAGE_BYTES_MAX {
    BLOCK_BYTES_MAX + CHECKSUM_BYTES
} else {
    PAGE_BYTES_MAX
};

/// A run's file, open for reading.
#[derive(Debug)]
pub(crate) struct Run {
    file: Arc<dyn StorageFile>,
    path: String,
    /// Its number in the cache.
    key: u64,
    foot: Foot,
    foot_crc: u32,
    tables: PerFamily<Vec<GroupMeta>>,
}

/// What a run that was just written is made of.
#[derive(Debug)]
pub(crate) struct RunParts {
    pub(crate) file: Arc<dyn StorageFile>,
    pub(crate) path: String,
    pub(crate) foot: Foot,
    pub(crate) foot_crc: u32,
    pub(crate) tables: PerFamily<Vec<GroupMeta>>,
}

impl Run {
    /// The run that was just written, without reading it.
    pub(crate) fn from_parts(parts: RunParts, cache: &PartCache) -> Self {
        let RunParts { file, path, foot, foot_crc, tables } = parts;
        Self { file, path, key: cache.register(), foot, foot_crc, tables }
    }

    /// Opens run `number` in `dir`, whose foot must have this checksum if one is given.
    pub(crate) fn open(
        storage: &dyn Storage,
        dir: &str,
        number: u64,
        foot_crc: Option<u32>,
        cache: &PartCache,
    ) -> Result<Self, OpenError> {
        let path = format!("{dir}/{}", run_name(number));
        let damage = |offset, kind| Damage { file: path.clone(), offset, kind };
        let file = match storage.open(&path, OpenMode::READ) {
            Ok(file) => file,
            Err(error) if error.is_not_found() => {
                return Err(damage(0, DamageKind::Missing).into());
            }
            Err(error) => return Err(error.into()),
        };
        let length = file.len()?;
        let foot_offset = length.checked_sub(FOOT_BYTES as u64);
        let foot_offset = foot_offset.ok_or_else(|| damage(0, DamageKind::Length))?;
        let mut bytes = [0; FOOT_BYTES];
        let read = file.read_at(foot_offset, &mut bytes)?;
        if read < FOOT_BYTES {
            return Err(damage(foot_offset, DamageKind::Length).into());
        }
        let (foot, crc) = match Foot::decode(&bytes, length) {
            Ok(foot) => foot,
            Err(BadFoot::Damaged(kind)) => return Err(damage(foot_offset, kind).into()),
            Err(BadFoot::Newer(found)) => {
                return Err(OpenError::NewerFormat {
                    file: path,
                    found,
                    supported: FORMAT_VERSION,
                });
            }
        };
        if foot.span.number != number || foot_crc.is_some_and(|expected| expected != crc) {
            return Err(damage(foot_offset, DamageKind::Content).into());
        }
        let tables = PerFamily::new([const { Vec::new() }; FAMILY_COUNT]);
        let key = cache.register();
        let mut run = Self { file, path, key, foot, foot_crc: crc, tables };
        run.read_tables()?;
        Ok(run)
    }

    fn read_tables(&mut self) -> Result<(), ReadError> {
        // From the last family to the first: one's groups end where the next one's begin.
        let mut groups_end = self.foot.tables_begin();
        for family in Family::ALL.into_iter().rev() {
            let section = *self.foot.sections.get(family);
            if section.table_bytes > 0 {
                let damage = |kind| self.damage(section.table, kind);
                let mut bytes = vec![0; section.table_bytes as usize];
                if self.file.read_at(section.table, &mut bytes)? < bytes.len() {
                    return Err(damage(DamageKind::Length));
                }
                let body = unseal(self.span().number, section.table, &bytes)
                    .ok_or_else(|| damage(DamageKind::Checksum))?;
                let table = read_table(body, section.begin, groups_end)
                    .ok_or_else(|| damage(DamageKind::Content))?;
                let entries: u64 = table.iter().map(|group| u64::from(group.summary.count)).sum();
                if entries != section.entries {
                    return Err(damage(DamageKind::Content));
                }
                *self.tables.get_mut(family) = table;
            }
            groups_end = section.begin;
        }
        Ok(())
    }

    pub(crate) const fn span(&self) -> RunSpan {
        self.foot.span
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    pub(crate) const fn foot_crc(&self) -> u32 {
        self.foot_crc
    }

    pub(crate) const fn file_bytes(&self) -> u64 {
        self.foot.file_bytes
    }

    pub(crate) fn entries(&self) -> u64 {
        self.foot.entries()
    }

    /// The groups of a family, in order.
    pub(crate) fn groups(&self, family: Family) -> &[GroupMeta] {
        self.tables.get(family)
    }

    /// The largest entry of a family that has any.
    pub(crate) const fn last(&self, family: Family) -> Entry {
        self.foot.sections.get(family).last
    }

    /// Memory that the tables take, in bytes.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.tables.iter().map(|(_, table)| table.capacity() * size_of::<GroupMeta>()).sum()
    }

    /// A group's page, from the cache or the file.
    pub(crate) fn page(
        &self,
        cache: &PartCache,
        group: &GroupMeta,
    ) -> Result<Arc<GroupPage>, ReadError> {
        let key = PartKey { file: self.key, offset: group.page_offset() };
        if let Some(Part::Page(page)) = cache.get(key) {
            return Ok(page);
        }
        let mut buffer = [0; PART_BYTES_MAX];
        let bytes = buffer.get_mut(..group.page_bytes as usize).unwrap_or_default();
        self.read_exactly(group.page_offset(), bytes)?;
        let page = Arc::new(self.decode_page(group, bytes)?);
        cache.put(key, Part::Page(Arc::clone(&page)));
        Ok(page)
    }

    /// The entries of a block, from the cache or the file.
    pub(crate) fn block(
        &self,
        cache: &PartCache,
        group: &GroupMeta,
        block: &BlockMeta,
    ) -> Result<Arc<[Entry]>, ReadError> {
        let offset = group.offset + u64::from(block.offset);
        let key = PartKey { file: self.key, offset };
        if let Some(Part::Block(entries)) = cache.get(key) {
            return Ok(entries);
        }
        let mut buffer = [0; PART_BYTES_MAX + PAD_BYTES];
        let bytes = buffer.get_mut(..block.bytes as usize).unwrap_or_default();
        self.read_exactly(offset, bytes)?;
        let padded = buffer.get(..block.bytes as usize + PAD_BYTES).unwrap_or_default();
        let mut entries = Vec::new();
        self.decode_block(block, offset, padded, &mut entries)?;
        let entries: Arc<[Entry]> = entries.into();
        cache.put(key, Part::Block(Arc::clone(&entries)));
        Ok(entries)
    }

    /// The page whose bytes these are, checksum included.
    pub(crate) fn decode_page(
        &self,
        group: &GroupMeta,
        bytes: &[u8],
    ) -> Result<GroupPage, ReadError> {
        let offset = group.page_offset();
        let body = unseal(self.span().number, offset, bytes)
            .ok_or_else(|| self.damage(offset, DamageKind::Checksum))?;
        GroupPage::read(body)
            .filter(|page| {
                let summaries = page.blocks.iter().map(|block| block.summary);
                let all = summaries.reduce(|one, next| one.and(&next));
                let end = page.blocks.last().map(|block| block.offset + block.bytes);
                all == Some(group.summary) && end == Some(group.blocks_bytes)
            })
            .filter(|page| {
                let most = BLOCK_BYTES_MAX + CHECKSUM_BYTES;
                page.blocks.iter().all(|block| block.bytes as usize <= most)
            })
            .ok_or_else(|| self.damage(offset, DamageKind::Content))
    }

    /// Appends the entries of the block whose bytes these are, checksum and padding included.
    pub(crate) fn decode_block(
        &self,
        block: &BlockMeta,
        offset: u64,
        padded: &[u8],
        entries: &mut Vec<Entry>,
    ) -> Result<(), ReadError> {
        let length = padded.len().saturating_sub(PAD_BYTES);
        let bytes = padded.get(..length).unwrap_or_default();
        if unseal(self.span().number, offset, bytes).is_none() {
            return Err(self.damage(offset, DamageKind::Checksum));
        }
        let before = entries.len();
        let decoded = block::decode(padded.get(CHECKSUM_BYTES..).unwrap_or_default(), entries);
        let added = entries.get(before..).unwrap_or_default();
        if decoded.is_err() || Summary::of(added) != Some(block.summary) {
            return Err(self.damage(offset, DamageKind::Content));
        }
        Ok(())
    }

    /// Fills `bytes` from the file.
    pub(crate) fn read_exactly(&self, offset: u64, bytes: &mut [u8]) -> Result<(), ReadError> {
        if self.file.read_at(offset, bytes)? < bytes.len() || bytes.is_empty() {
            return Err(self.damage(offset, DamageKind::Length));
        }
        Ok(())
    }

    /// Checks the head, which nothing but this reads.
    pub(crate) fn verify_head(&self) -> Result<(), ReadError> {
        let mut bytes = [0; HEAD_BYTES];
        self.read_exactly(0, &mut bytes)?;
        if bytes.as_slice() == encode_head(&self.span()) {
            Ok(())
        } else {
            Err(self.damage(0, DamageKind::Content))
        }
    }

    pub(crate) fn damage(&self, offset: u64, kind: DamageKind) -> ReadError {
        Damage { file: self.path.clone(), offset, kind }.into()
    }
}
