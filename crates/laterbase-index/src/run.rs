//! An open run: an immutable file of sorted entries. Its tables are in memory, and its pages too if
//! there was room for them.
//!
//! Whatever is read is checked before it is used: the checksum, that it decodes, and that it is
//! what the level above says of it. What fails is [`Damage`] of that file at that offset.

use crate::bits::PAD_BYTES;
use crate::block::{self, BLOCK_BYTES_MAX, BLOCK_ENTRIES_MAX, BlockBuffer};
use crate::cache::{Part, PartCache, PartKey, Reservation};
use crate::entry::{Entry, FAMILY_COUNT, Family, PerFamily};
use crate::error::{Damage, DamageKind, OpenError, ReadError};
use crate::filter::Filter;
use crate::run_file::{
    BadFoot, FOOT_BYTES, FORMAT_VERSION, Foot, HEAD_BYTES, RunSpan, encode_head, run_name,
};
use crate::section::{
    BlockMeta, CHECKSUM_BYTES, GroupMeta, GroupPage, PAGE_BYTES_MAX, Summary, read_table, unseal,
};
use laterbase_log::storage::{OpenMode, Storage, StorageFile};
use std::sync::{Arc, OnceLock};

/// The most bytes that a block or a page takes in a file.
const PART_BYTES_MAX: usize = if BLOCK_BYTES_MAX + CHECKSUM_BYTES > PAGE_BYTES_MAX {
    BLOCK_BYTES_MAX + CHECKSUM_BYTES
} else {
    PAGE_BYTES_MAX
};

/// Memory that a page's slot takes before it is read, in bytes.
const SLOT_BYTES: usize = size_of::<OnceLock<StayingPage>>();

/// A run's file, open for reading.
#[derive(Debug)]
pub(crate) struct Run {
    file: Arc<dyn StorageFile>,
    path: String,
    /// Its number in the cache.
    key: u64,
    foot: Foot,
    foot_crc: u32,
    tables: PerFamily<Table>,
    /// Room for all pages of the families with filters, if there was any.
    reservation: Option<Reservation>,
}

/// The groups of a family.
#[derive(Debug, Default)]
struct Table {
    groups: Vec<GroupMeta>,
    /// The `a` that each group begins with: what is searched first, being small.
    firsts: Vec<u64>,
    /// The groups' pages, once they were read; none of them if there is no room.
    pages: Vec<OnceLock<StayingPage>>,
}

/// A page that stays in memory.
#[derive(Debug)]
struct StayingPage {
    /// The page's filter, moved out of it: one step closer for those who ask nothing else.
    filter: Filter,
    page: Arc<GroupPage>,
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
    pub(crate) fn from_parts(parts: RunParts, cache: &Arc<PartCache>) -> Self {
        let RunParts { file, path, foot, foot_crc, tables } = parts;
        let pages = tables.iter().filter(|(family, _)| family.has_filter());
        let pages = pages.flat_map(|(_, groups)| groups).map(GroupMeta::page_memory_bytes).sum();
        let reservation = Reservation::new(cache, pages);
        let stay = reservation.is_some();
        let tables = tables.map(|family, groups| Table {
            firsts: groups.iter().map(|group| group.summary.first.a).collect(),
            pages: match stay && family.has_filter() {
                true => groups.iter().map(|_| OnceLock::new()).collect(),
                false => Vec::new(),
            },
            groups,
        });
        Self { file, path, key: cache.register(), foot, foot_crc, tables, reservation }
    }

    /// Lets runs that take the place of this one have its room in memory.
    pub(crate) fn retire(&self) {
        if let Some(reservation) = &self.reservation {
            reservation.give_back();
        }
    }

    /// Opens run `number` in `dir`, whose foot must have this checksum if one is given.
    pub(crate) fn open(
        storage: &dyn Storage,
        dir: &str,
        number: u64,
        foot_crc: Option<u32>,
        cache: &Arc<PartCache>,
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
        let tables = read_tables(&*file, &path, &foot)?;
        Ok(Self::from_parts(RunParts { file, path, foot, foot_crc: crc, tables }, cache))
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
        &self.tables.get(family).groups
    }

    /// How many groups of a family begin with `entry` or a smaller one.
    #[inline]
    pub(crate) fn groups_upto(&self, family: Family, entry: &Entry) -> usize {
        let Table { groups, firsts, .. } = self.tables.get(family);
        let begin = firsts.partition_point(|&a| a < entry.a);
        let same = firsts.get(begin..).unwrap_or_default();
        if same.first() != Some(&entry.a) {
            return begin;
        }
        let same = same.partition_point(|&a| a == entry.a);
        let same = groups.get(begin..begin + same).unwrap_or_default();
        begin + same.partition_point(|group| group.summary.first <= *entry)
    }

    /// The largest entry of a family that has any.
    pub(crate) const fn last(&self, family: Family) -> Entry {
        self.foot.sections.get(family).last
    }

    /// Memory that the tables take, in bytes.
    pub(crate) fn memory_bytes(&self) -> usize {
        let table_bytes = |table: &Table| {
            let groups = table.groups.capacity() * size_of::<GroupMeta>();
            groups + table.firsts.capacity() * 8 + table.pages.capacity() * SLOT_BYTES
        };
        self.tables.iter().map(|(_, table)| table_bytes(table)).sum()
    }

    /// Memory that the pages that stay take, in bytes.
    pub(crate) fn page_bytes(&self) -> usize {
        let pages = self.tables.iter().flat_map(|(_, table)| &table.pages);
        let bytes = |stays: &StayingPage| stays.page.memory_bytes() + stays.filter.bytes();
        pages.filter_map(OnceLock::get).map(bytes).sum()
    }

    /// Is it plain from what is in memory, without a lock, that no entry has this `a`?
    #[inline]
    pub(crate) fn excludes_term(&self, family: Family, term: u64) -> bool {
        let Table { firsts, pages, .. } = self.tables.get(family);
        let next = firsts.partition_point(|&a| a < term);
        let Some(group) = next.checked_sub(1) else { return firsts.first() != Some(&term) };
        match pages.get(group).and_then(OnceLock::get) {
            Some(page) => firsts.get(next) != Some(&term) && !page.filter.may_contain(term),
            None => false,
        }
    }

    /// The page of a group, from memory or the file; `None` if its filter does not know `term`.
    #[inline]
    pub(crate) fn page(
        &self,
        cache: &PartCache,
        family: Family,
        group: usize,
        term: Option<u64>,
    ) -> Result<Option<Arc<GroupPage>>, ReadError> {
        let knows = |filter: &Filter| term.is_none_or(|term| filter.may_contain(term));
        let table = self.tables.get(family);
        if let Some(slot) = table.pages.get(group) {
            let page = match slot.get() {
                Some(page) => page,
                None => {
                    let mut page = self.read_page(table.groups.get(group))?;
                    let filter = std::mem::take(&mut page.filter);
                    slot.get_or_init(|| StayingPage { filter, page: Arc::new(page) })
                }
            };
            return Ok(knows(&page.filter).then(|| Arc::clone(&page.page)));
        }
        let meta = table.groups.get(group);
        let offset = meta.map_or(0, GroupMeta::page_offset);
        let key = PartKey { file: self.key, offset };
        let page = match cache.get(key) {
            Some(Part::Page(page)) => page,
            Some(Part::Block(_)) | None => {
                let page = Arc::new(self.read_page(meta)?);
                cache.put(key, Part::Page(Arc::clone(&page)));
                page
            }
        };
        Ok(knows(&page.filter).then_some(page))
    }

    fn read_page(&self, group: Option<&GroupMeta>) -> Result<GroupPage, ReadError> {
        let group = group.ok_or_else(|| self.damage(0, DamageKind::Content))?;
        let mut buffer = [0; PART_BYTES_MAX];
        let bytes = buffer.get_mut(..group.page_bytes as usize).unwrap_or_default();
        self.read_exactly(group.page_offset(), bytes)?;
        self.decode_page(group, bytes)
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
        let mut entries = [Entry::MIN; BLOCK_ENTRIES_MAX];
        let entries: Arc<[Entry]> = self.decode_block(block, offset, padded, &mut entries)?.into();
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

    /// The entries of the block whose bytes these are, checksum and padding included.
    pub(crate) fn decode_block<'e>(
        &self,
        block: &BlockMeta,
        offset: u64,
        padded: &[u8],
        entries: &'e mut BlockBuffer,
    ) -> Result<&'e [Entry], ReadError> {
        let length = padded.len().saturating_sub(PAD_BYTES);
        let bytes = padded.get(..length).unwrap_or_default();
        if unseal(self.span().number, offset, bytes).is_none() {
            return Err(self.damage(offset, DamageKind::Checksum));
        }
        let decoded = block::decode(padded.get(CHECKSUM_BYTES..).unwrap_or_default(), entries);
        decoded
            .ok()
            .and_then(|count| entries.get(..count))
            .filter(|entries| Summary::of(entries) == Some(block.summary))
            .ok_or_else(|| self.damage(offset, DamageKind::Content))
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

/// The tables of a run's families.
fn read_tables(
    file: &dyn StorageFile,
    path: &str,
    foot: &Foot,
) -> Result<PerFamily<Vec<GroupMeta>>, ReadError> {
    let mut tables = PerFamily::new([const { Vec::new() }; FAMILY_COUNT]);
    // From the last family to the first: one's groups end where the next one's begin.
    let mut groups_end = foot.tables_begin();
    for family in Family::ALL.into_iter().rev() {
        let section = *foot.sections.get(family);
        if section.table_bytes > 0 {
            let offset = section.table;
            let damage = |kind| Damage { file: path.to_owned(), offset, kind };
            let mut bytes = vec![0; section.table_bytes as usize];
            if file.read_at(offset, &mut bytes)? < bytes.len() {
                return Err(damage(DamageKind::Length).into());
            }
            let body = unseal(foot.span.number, offset, &bytes)
                .ok_or_else(|| damage(DamageKind::Checksum))?;
            let table = read_table(body, section.begin, groups_end)
                .ok_or_else(|| damage(DamageKind::Content))?;
            let entries: u64 = table.iter().map(|group| u64::from(group.summary.count)).sum();
            if entries != section.entries {
                return Err(damage(DamageKind::Content).into());
            }
            *tables.get_mut(family) = table;
        }
        groups_end = section.begin;
    }
    Ok(tables)
}
