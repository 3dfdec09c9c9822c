//! The file of a fold, written and read: `folds/NAME.vVERSION`.
//!
//! ```text
//!   "LBFOLDS\0"  format u32  length u32  head  CRC-32C u32
//!   rows … CRC-32C u32                                        one block
//!   …
//!   foot: of each block its length, how many rows, its first key; CRC-32C u32
//!   length of the foot u32   "LBFOLDE\0"
//! ```
//! All fixed numbers are little endian; each checksum covers what is before it, up to the one
//! before. Replaced as a whole: written beside, synced, renamed. So a file is whole or not there,
//! and whatever is wrong with one is damage.
//!
//! What is allocated while reading is bounded by the length of the file.

use std::sync::Arc;

use laterbase_log::storage::{OpenMode, Storage, StorageError, StorageFile};

use super::bytes::{Bytes, Malformed, put, put_bytes};
use super::error::{KeptFileError, KeptPart};
use super::head::{Code, Head, mark_of, marked};
use super::row::{Block, BlockRows};
use crate::inner::Inner;

/// The directory of the files.
pub(super) const FOLDS_DIR: &str = "folds";

const MAGIC: &[u8; 8] = b"LBFOLDS\0";
const END_MAGIC: &[u8; 8] = b"LBFOLDE\0";
const FORMAT: u32 = 1;

/// Magic, format and length.
const PRELUDE_BYTES: u64 = 16;
const SUM_BYTES: u64 = 4;
/// Length and magic.
const END_BYTES: u64 = 12;

/// The longest head: a name, marks, and a hundred positions are a fifth of it.
const HEAD_BYTES_MAX: u64 = 16 * 1024;

/// Where a block is, and what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BlockEntry {
    offset: u64,
    /// Without its checksum.
    bytes: u64,
    pub(super) rows: u64,
    pub(super) first_key: String,
}

/// A file that was found to be one, with its blocks unread.
#[derive(Debug)]
pub(super) struct KeptFile {
    file: Arc<dyn StorageFile>,
    pub(super) path: String,
    pub(super) head: Head,
    /// Ascending by their first keys.
    pub(super) blocks: Vec<BlockEntry>,
}

impl KeptFile {
    pub(super) fn open(storage: &dyn Storage, path: &str) -> Result<Self, KeptFileError> {
        let file = storage.open(path, OpenMode::READ)?;
        let length = file.len()?;
        let damaged = |part| KeptFileError::Damaged { path: path.to_owned(), part };
        let prelude = read(file.as_ref(), 0, PRELUDE_BYTES.min(length))?;
        let (format, head_bytes) = prelude_of(&prelude).map_err(|_| damaged(KeptPart::Head))?;
        if format != FORMAT {
            return Err(KeptFileError::Format { path: path.to_owned(), format });
        }
        let rows_at = PRELUDE_BYTES + u64::from(head_bytes) + SUM_BYTES;
        if u64::from(head_bytes) > HEAD_BYTES_MAX || rows_at > length {
            return Err(damaged(KeptPart::Head));
        }
        let head = read(file.as_ref(), 0, rows_at)?;
        let head = summed(&head)
            .and_then(|head| head.get(PRELUDE_BYTES as usize..).ok_or(Malformed))
            .and_then(Head::decode)
            .map_err(|_| damaged(KeptPart::Head))?;
        let end_at = length.checked_sub(END_BYTES).filter(|end_at| *end_at >= rows_at);
        let end_at = end_at.ok_or_else(|| damaged(KeptPart::Foot))?;
        let end = read(file.as_ref(), end_at, END_BYTES)?;
        let foot_bytes = end_of(&end).map_err(|_| damaged(KeptPart::Foot))?;
        let foot_at = end_at.checked_sub(u64::from(foot_bytes)).filter(|at| *at >= rows_at);
        let foot_at = foot_at.ok_or_else(|| damaged(KeptPart::Foot))?;
        let foot = read(file.as_ref(), foot_at, u64::from(foot_bytes))?;
        let blocks = summed(&foot)
            .and_then(|foot| blocks_of(foot, rows_at, foot_at))
            .map_err(|_| damaged(KeptPart::Foot))?;
        Ok(Self { file, path: path.to_owned(), head, blocks })
    }

    /// Whether the log that it was made of is the one that is here.
    pub(super) fn check_log(&self, inner: &Arc<Inner>) -> Result<(), KeptFileError> {
        let Head { copy, done, marks, .. } = &self.head;
        if *copy != inner.copy {
            return Err(KeptFileError::OtherCopy { path: self.path.clone() });
        }
        let other =
            || KeptFileError::OtherLog { path: self.path.clone(), position: self.head.done };
        if *done > inner.progress.flushed() {
            return Err(other());
        }
        for (position, mark) in marked(*done).zip(marks) {
            let found = inner.with_event(position, mark_of).map_err(|_| other())?;
            if found != *mark {
                return Err(other());
            }
        }
        Ok(())
    }

    /// The bytes of a block, as they were written.
    pub(super) fn block(&self, entry: &BlockEntry) -> Result<Vec<u8>, KeptFileError> {
        let mut bytes = read(self.file.as_ref(), entry.offset, entry.bytes + SUM_BYTES)?;
        let length = summed(&bytes).map_err(|_| self.damaged())?.len();
        bytes.truncate(length);
        Ok(bytes)
    }

    /// What a block holds.
    pub(super) fn rows<'a>(&self, block: &'a [u8]) -> BlockRows<'a> {
        BlockRows::new(block, self.head.code.order, self.head.done)
    }

    pub(super) fn damaged(&self) -> KeptFileError {
        KeptFileError::Damaged { path: self.path.clone(), part: KeptPart::Block }
    }

    /// The block that would hold a key.
    pub(super) fn block_of(&self, key: &str) -> usize {
        self.blocks.partition_point(|block| block.first_key.as_str() <= key).saturating_sub(1)
    }
}

/// A file that is being written, under another name.
#[derive(Debug)]
pub(super) struct FileWriter {
    file: Arc<dyn StorageFile>,
    path: String,
    offset: u64,
    blocks: Vec<BlockEntry>,
}

impl FileWriter {
    pub(super) fn create(
        storage: &dyn Storage,
        path: &str,
        head: &Head,
    ) -> Result<Self, StorageError> {
        if !storage.exists(FOLDS_DIR)? {
            storage.create_dir(FOLDS_DIR)?;
        }
        // Also if it was there: whoever made it may have failed here.
        storage.sync_dir("")?;
        let new = new_path(path);
        if storage.exists(&new)? {
            storage.remove(&new)?;
        }
        let file = storage.open(&new, OpenMode::CREATE)?;
        let head = head.encode();
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&FORMAT.to_le_bytes());
        bytes.extend_from_slice(&(head.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&head);
        add_sum(&mut bytes);
        file.write_at(0, &bytes)?;
        let offset = bytes.len() as u64;
        Ok(Self { file, path: path.to_owned(), offset, blocks: Vec::new() })
    }

    pub(super) fn write(&mut self, mut block: Block) -> Result<(), StorageError> {
        let bytes = block.bytes.len() as u64;
        add_sum(&mut block.bytes);
        self.file.write_at(self.offset, &block.bytes)?;
        let (rows, first_key) = (block.rows, block.first_key);
        self.blocks.push(BlockEntry { offset: self.offset, bytes, rows, first_key });
        self.offset += bytes + SUM_BYTES;
        Ok(())
    }

    /// Puts it in the place of the one before; it is on the device when this returns.
    pub(super) fn finish(self, storage: &dyn Storage) -> Result<(), StorageError> {
        let mut foot = Vec::new();
        put(self.blocks.len() as u64, &mut foot);
        for block in &self.blocks {
            put(block.bytes, &mut foot);
            put(block.rows, &mut foot);
            put_bytes(block.first_key.as_bytes(), &mut foot);
        }
        add_sum(&mut foot);
        let length = foot.len() as u32;
        foot.extend_from_slice(&length.to_le_bytes());
        foot.extend_from_slice(END_MAGIC);
        self.file.write_at(self.offset, &foot)?;
        self.file.sync()?;
        storage.rename(&new_path(&self.path), &self.path)?;
        storage.sync_dir(FOLDS_DIR)
    }

    /// Leaves the one before as it is.
    pub(super) fn give_up(self, storage: &dyn Storage) {
        // What is left of it is removed when the next one is written.
        let _ = storage.remove(&new_path(&self.path));
    }
}

/// The file of a fold's rows.
pub(super) fn path_of(name: &str, code: Code) -> String {
    format!("{FOLDS_DIR}/{name}.v{}", code.version)
}

fn new_path(path: &str) -> String {
    format!("{path}.new")
}

/// The files of all versions of a fold's rows, and those that were not written to their end.
pub(super) fn paths(
    storage: &dyn Storage,
    name: &str,
) -> Result<(Vec<String>, Vec<String>), StorageError> {
    let (mut whole, mut begun) = (Vec::new(), Vec::new());
    if !storage.exists(FOLDS_DIR)? {
        return Ok((whole, begun));
    }
    for file in storage.list(FOLDS_DIR)? {
        let (stem, is_begun) = match file.strip_suffix(".new") {
            Some(stem) => (stem, true),
            None => (file.as_str(), false),
        };
        let is_of_name = stem
            .rsplit_once(".v")
            .is_some_and(|(of, version)| of == name && version.parse::<u32>().is_ok());
        if is_of_name {
            let path = format!("{FOLDS_DIR}/{file}");
            if is_begun { begun.push(path) } else { whole.push(path) }
        }
    }
    Ok((whole, begun))
}

fn read(file: &dyn StorageFile, offset: u64, bytes: u64) -> Result<Vec<u8>, StorageError> {
    // What memory cannot address is not read, and so found to be damaged.
    let mut buffer = vec![0; usize::try_from(bytes).unwrap_or(0)];
    let length = file.read_at(offset, &mut buffer)?;
    buffer.truncate(length);
    Ok(buffer)
}

fn add_sum(bytes: &mut Vec<u8>) {
    let sum = crc32c::crc32c(bytes);
    bytes.extend_from_slice(&sum.to_le_bytes());
}

/// What a checksum at the end covers.
fn summed(bytes: &[u8]) -> Result<&[u8], Malformed> {
    let (body, sum) = bytes.split_last_chunk::<4>().ok_or(Malformed)?;
    if crc32c::crc32c(body) == u32::from_le_bytes(*sum) { Ok(body) } else { Err(Malformed) }
}

fn prelude_of(bytes: &[u8]) -> Result<(u32, u32), Malformed> {
    let mut bytes = Bytes(bytes);
    if bytes.array()? != *MAGIC {
        return Err(Malformed);
    }
    Ok((bytes.fixed_u32()?, bytes.fixed_u32()?))
}

fn end_of(bytes: &[u8]) -> Result<u32, Malformed> {
    let mut bytes = Bytes(bytes);
    let length = bytes.fixed_u32()?;
    if bytes.array()? == *END_MAGIC { Ok(length) } else { Err(Malformed) }
}

/// The blocks, which fill the file between head and foot.
fn blocks_of(foot: &[u8], rows_at: u64, foot_at: u64) -> Result<Vec<BlockEntry>, Malformed> {
    let mut foot = Bytes(foot);
    let mut blocks: Vec<BlockEntry> = Vec::new();
    let mut offset = rows_at;
    for _ in 0..foot.count(3)? {
        let (bytes, rows) = (foot.number()?, foot.number()?);
        let first_key = foot.text()?.to_owned();
        let end = bytes.checked_add(SUM_BYTES).and_then(|bytes| offset.checked_add(bytes));
        let end = end.filter(|end| *end <= foot_at).ok_or(Malformed)?;
        if blocks.last().is_some_and(|before| before.first_key >= first_key) {
            return Err(Malformed);
        }
        blocks.push(BlockEntry { offset, bytes, rows, first_key });
        offset = end;
    }
    if offset == foot_at && foot.is_empty() { Ok(blocks) } else { Err(Malformed) }
}
