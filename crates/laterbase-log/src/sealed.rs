//! Reading the compressed blocks of a sealed segment.
//!
//! Each block is checked before it is decompressed, and its length after. Nothing here knows
//! frames.

use crate::blocks::{BLOCK_PREFIX_BYTES, BlockTable, Codec, RAW_BYTES};
use crate::cache::{Block, ReadCache};
use crate::error::ReadError;
use crate::segment::Segment;
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
        block: u64,
        out: &mut Vec<u8>,
    ) -> Result<(), ReadError> {
        let at = block.saturating_mul(RAW_BYTES as u64);
        let corrupt = || segment.corrupt(at);
        let (offset, len) = table.place(block).ok_or_else(corrupt)?;
        self.stored.resize(len, 0);
        if segment.file.read_at(offset, &mut self.stored)? != len {
            return Err(corrupt());
        }
        let raw_len = table.raw_block_len(block);
        out.clear();
        out.reserve(raw_len);
        self.decode(segment, out).ok_or_else(corrupt)?;
        if out.len() == raw_len { Ok(()) } else { Err(corrupt()) }
    }

    fn decode(&mut self, segment: &Segment, out: &mut Vec<u8>) -> Option<()> {
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
        }
        Some(())
    }
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
    decoder: Decoder,
    block: Option<u64>,
    content: Vec<u8>,
}

impl BlockReader {
    pub(crate) fn open(segment: &Arc<Segment>) -> Result<Self, ReadError> {
        let index = segment.load_index()?;
        let table = index.blocks.ok_or_else(|| ReadError::Footer { path: segment.path.clone() })?;
        Ok(Self {
            segment: Arc::clone(segment),
            table,
            decoder: Decoder::new(),
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
                let content = &mut self.content;
                self.decoder.read(&self.segment, &self.table, block, content)?;
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
    segment.with_index(cache, |index| {
        let table = index.blocks.as_ref();
        let table = table.ok_or_else(|| ReadError::Footer { path: segment.path.clone() })?;
        if table.place(block).is_none() {
            return Ok(None);
        }
        let mut content = Vec::new();
        decoder.read(segment, table, block, &mut content)?;
        let content = Arc::new(content);
        cache.add_block(segment.number(), block, &content);
        Ok(Some(content))
    })?
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
