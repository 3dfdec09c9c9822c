//! Reading the compressed blocks of a sealed segment.
//!
//! Each block is checked before it is decompressed, and its length after; so is the dictionary that
//! the segment's blocks share. Nothing here knows frames.

use crate::blocks::{BLOCK_PREFIX_BYTES, BlockTable, Codec, RAW_BYTES};
use crate::cache::{Block, ReadCache};
use crate::dictionary::Dictionary;
use crate::error::ReadError;
use crate::segment::{LoadedIndex, Segment};
use std::sync::Arc;
use zstd::zstd_safe::DCtx;

/// Decompresses blocks; it is expensive to make and may be used for any segment.
pub(crate) struct Decoder {
    context: DCtx<'static>,
    stored: Vec<u8>,
}

impl Decoder {
    pub(crate) fn new() -> Self {
        Self { context: DCtx::create(), stored: Vec::new() }
    }

    /// Reads and decompresses a block to `out`, which is overwritten.
    fn read(
        &mut self,
        segment: &Segment,
        table: &BlockTable,
        dictionary: Option<&Dictionary>,
        block: u64,
        out: &mut Vec<u8>,
    ) -> Result<(), ReadError> {
        let corrupt = || segment.corrupt(block.saturating_mul(RAW_BYTES as u64));
        let (offset, stored_len) = table.place(block).ok_or_else(corrupt)?;
        let stored = Stored { offset, stored_len, len: table.raw_block_len(block) };
        self.read_stored(segment, &stored, dictionary, out)?.ok_or_else(corrupt)
    }

    /// Reads and prepares the segment's dictionary, if it has one.
    fn read_dictionary(
        &mut self,
        segment: &Segment,
        table: &BlockTable,
    ) -> Result<Option<Dictionary>, ReadError> {
        let Some((offset, stored_len, len)) = table.dictionary_place() else { return Ok(None) };
        let mut content = Vec::new();
        let read =
            self.read_stored(segment, &Stored { offset, stored_len, len }, None, &mut content)?;
        let dictionary = read.and_then(|()| Dictionary::prepare(&content));
        let damaged = || ReadError::Dictionary { path: segment.path.clone() };
        dictionary.map(Some).ok_or_else(damaged)
    }

    /// `None` if what is stored there is damaged.
    fn read_stored(
        &mut self,
        segment: &Segment,
        at: &Stored,
        dictionary: Option<&Dictionary>,
        out: &mut Vec<u8>,
    ) -> Result<Option<()>, ReadError> {
        self.stored.resize(at.stored_len, 0);
        if segment.file.read_at(at.offset, &mut self.stored)? != at.stored_len {
            return Ok(None);
        }
        out.clear();
        out.reserve_exact(at.len);
        let decoded = self.decode(segment, dictionary, out);
        Ok(decoded.filter(|()| out.len() == at.len))
    }

    fn decode(
        &mut self,
        segment: &Segment,
        dictionary: Option<&Dictionary>,
        out: &mut Vec<u8>,
    ) -> Option<()> {
        let (checksum, checked) = self.stored.split_first_chunk::<4>()?;
        if u32::from_le_bytes(*checksum) != segment.epoch.checksum(checked) {
            return None;
        }
        let (codec, content) = checked.split_first()?;
        match Codec::from_code(*codec)? {
            Codec::Raw => out.extend_from_slice(content),
            // The capacity of `out` bounds what a block may claim to hold.
            Codec::Zstd => {
                self.context.decompress(out, content).ok()?;
            }
            Codec::ZstdDictionary => {
                self.context.decompress_using_ddict(out, content, dictionary?.get()).ok()?;
            }
        }
        Some(())
    }
}

/// A stored block: where it stands, how long it is there, and when it is decompressed.
struct Stored {
    offset: u64,
    stored_len: usize,
    len: usize,
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoder").finish_non_exhaustive()
    }
}

/// Encodes one stored block around its content.
pub(crate) fn stored_block(
    epoch: crate::frame::Epoch,
    codec: Codec,
    content: &[u8],
    out: &mut Vec<u8>,
) -> usize {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    out.push(codec.code());
    out.extend_from_slice(content);
    let checksum = epoch.checksum(out.get(start + 4..).unwrap_or_default());
    if let Some(place) = out.get_mut(start..).and_then(<[u8]>::first_chunk_mut) {
        *place = checksum.to_le_bytes();
    }
    debug_assert_eq!(out.len() - start, BLOCK_PREFIX_BYTES + content.len());
    out.len() - start
}

/// Reads a sealed segment front to back, past the caches.
#[derive(Debug)]
pub(crate) struct BlockReader {
    segment: Arc<Segment>,
    table: BlockTable,
    dictionary: Option<Dictionary>,
    decoder: Decoder,
    block: Option<u64>,
    content: Vec<u8>,
}

impl BlockReader {
    pub(crate) fn open(segment: &Arc<Segment>) -> Result<Self, ReadError> {
        let index = segment.load_index()?;
        let table = index.blocks.ok_or_else(|| ReadError::Footer { path: segment.path.clone() })?;
        let mut decoder = Decoder::new();
        Ok(Self {
            segment: Arc::clone(segment),
            dictionary: decoder.read_dictionary(segment, &table)?,
            table,
            decoder,
            block: None,
            content: Vec::new(),
        })
    }

    /// Fills `out` from this offset of the stream; fewer bytes at the stream's end.
    pub(crate) fn read(&mut self, offset: u64, out: &mut [u8]) -> Result<usize, ReadError> {
        let mut filled = 0;
        while filled < out.len() {
            let at = offset + filled as u64;
            if at >= self.table.raw_len {
                break;
            }
            let block = at / RAW_BYTES as u64;
            if self.block != Some(block) {
                self.block = None;
                let (dictionary, content) = (self.dictionary.as_ref(), &mut self.content);
                self.decoder.read(&self.segment, &self.table, dictionary, block, content)?;
                self.block = Some(block);
            }
            let copied = copy_from_block(&self.content, at, out.get_mut(filled..));
            if copied == 0 {
                return Err(self.segment.corrupt(at));
            }
            filled += copied;
        }
        Ok(filled)
    }
}

/// Fills `out` from this offset of a sealed segment's stream, through the caches.
pub(crate) fn read_cached(
    segment: &Arc<Segment>,
    cache: &ReadCache,
    decoder: &mut Option<Decoder>,
    offset: u64,
    out: &mut [u8],
) -> Result<usize, ReadError> {
    let mut filled = 0;
    while filled < out.len() {
        let at = offset + filled as u64;
        let number = at / RAW_BYTES as u64;
        let block = match cache.block(segment.number(), number) {
            Some(block) => block,
            None => match load_block(segment, cache, decoder, number)? {
                Some(block) => block,
                None => break,
            },
        };
        let copied = copy_from_block(&block, at, out.get_mut(filled..));
        if copied == 0 {
            break;
        }
        filled += copied;
    }
    Ok(filled)
}

/// Loads a block into the cache; `None` behind the last one.
fn load_block(
    segment: &Arc<Segment>,
    cache: &ReadCache,
    decoder: &mut Option<Decoder>,
    block: u64,
) -> Result<Option<Block>, ReadError> {
    let decoder = decoder.get_or_insert_with(Decoder::new);
    let loaded = segment.loaded_index(cache)?;
    let table = loaded.index.blocks.as_ref();
    let table = table.ok_or_else(|| ReadError::Footer { path: segment.path.clone() })?;
    if table.place(block).is_none() {
        return Ok(None);
    }
    let dictionary = kept_dictionary(segment, &loaded, table, decoder)?;
    let mut content = Vec::new();
    decoder.read(segment, table, dictionary, block, &mut content)?;
    let content = Arc::new(content);
    cache.add_block(segment.number(), block, &content);
    Ok(Some(content))
}

/// The segment's dictionary, read once and kept beside the index.
fn kept_dictionary<'a>(
    segment: &Segment,
    loaded: &'a LoadedIndex,
    table: &BlockTable,
    decoder: &mut Decoder,
) -> Result<Option<&'a Dictionary>, ReadError> {
    if let Some(known) = loaded.dictionary.get() {
        return Ok(Some(known));
    }
    let read = decoder.read_dictionary(segment, table)?;
    Ok(read.map(|dictionary| loaded.dictionary.get_or_init(|| dictionary)))
}

/// Copies what `block`, the content of the block that holds `at`, has from there on.
fn copy_from_block(block: &[u8], at: u64, out: Option<&mut [u8]>) -> usize {
    let skip = usize::try_from(at % RAW_BYTES as u64).unwrap_or(usize::MAX);
    let (Some(from), Some(out)) = (block.get(skip..), out) else { return 0 };
    let len = from.len().min(out.len());
    match (out.get_mut(..len), from.get(..len)) {
        (Some(out), Some(from)) => out.copy_from_slice(from),
        (None, _) | (_, None) => return 0,
    }
    len
}
