//! Sealing: writing a complete hot segment again, compressed and without padding.
//!
//! ```text
//!   header block │ dictionary │ block │ block │ … │ footer (index, state) │ trailer
//! ```
//! The frames' stream is cut into blocks of 16 KiB, each compressed for itself and checked by a
//! checksum, so that one event costs one small decompression. What they have in common stands once,
//! in a dictionary (`dictionary.rs`), if that pays. Frames get the checksum of the new file's
//! epoch; the batches in them stay as they are, byte for byte.
//!
//! The file is made under a temporary name, synced, renamed, and its directory synced; only then
//! does it take the place of the hot one. It can be made again at any time before.

use crate::activate;
use crate::blocks::{BlockTable, Codec, RAW_BYTES};
use crate::dictionary::{Content, Sample};
use crate::error::{MaintenanceError, ReadError};
use crate::footer::{Gap, SegmentEnd, SegmentIndex, TRAILER_BYTES, Trailer};
use crate::frame::{Epoch, set_checksum};
use crate::frames::FrameWalk;
use crate::names;
use crate::sealed::stored_block;
use crate::segment::Segment;
use crate::segment_header::{BLOCK_BYTES, SegmentForm, SegmentHeader};
use crate::shared::Shared;
use crate::sparse::{Mark, SparseTable};
use crate::storage::{OpenMode, StorageError, StorageFile, StorageOp};
use crate::stream::Stream;
use std::sync::Arc;
use zstd::zstd_safe::{CCtx, CParameter};

const READ_AHEAD_BYTES: usize = 256 << 10;
/// How many compressed bytes are written at once.
const WRITE_BYTES: usize = 256 << 10;
/// A dictionary is at most this part of the read caches, which keep it for as long as the segment
/// is read.
const DICTIONARY_CACHE_PART: usize = 32;

/// A segment being sealed, a piece at a time.
pub(crate) struct SealJob {
    segment: Arc<Segment>,
    header: SegmentHeader,
    epoch: Epoch,
    walk: FrameWalk,
    path: String,
    file: Arc<dyn StorageFile>,
    context: CCtx<'static>,
    /// Frames that do not fill a block yet.
    raw: Vec<u8>,
    /// Blocks that were not written yet, and where they go.
    out: Vec<u8>,
    out_at: u64,
    scratch: Vec<u8>,
    table: BlockTable,
    sparse: SparseTable,
    gaps: Vec<Gap>,
    end: SegmentEnd,
}

impl SealJob {
    /// Begins to seal a complete hot segment with this compression level.
    pub(crate) fn begin(
        shared: &Shared,
        segment: &Arc<Segment>,
        epoch: u64,
        level: i32,
    ) -> Result<Self, MaintenanceError> {
        let index = segment.load_index()?;
        let stream = Stream::new(segment, index.end.offset, READ_AHEAD_BYTES, Vec::new())?;
        let start = SegmentIndex::empty(&segment.header, 0).end;
        let walk = FrameWalk::new(stream, index.gaps.clone(), start, &index.end);
        let header =
            SegmentHeader { form: SegmentForm::Sealed, epoch, recycled: false, ..segment.header };
        let path = shared.path(&(names::sealed(segment.number()) + names::TEMPORARY_SUFFIX));
        if shared.storage.exists(&path)? {
            shared.storage.remove(&path)?;
        }
        let file = shared.storage.open(&path, OpenMode::CREATE)?;
        let mut context = CCtx::create();
        let compress = |_| MaintenanceError::Compress { segment: segment.number() };
        context.set_parameter(CParameter::CompressionLevel(level)).map_err(compress)?;
        context.set_parameter(CParameter::ContentSizeFlag(false)).map_err(compress)?;
        let dictionary_max = shared.config.cache_bytes / DICTIONARY_CACHE_PART;
        let sample = Sample::read(segment, index.end.offset, dictionary_max)?;
        let dictionary = sample.load(&mut context).map_err(compress)?;
        let mut job = Self {
            segment: Arc::clone(segment),
            header,
            epoch: activate::epoch_of(&header),
            walk,
            path,
            file,
            context,
            raw: Vec::new(),
            out: Vec::new(),
            out_at: BLOCK_BYTES,
            scratch: Vec::new(),
            table: BlockTable::default(),
            sparse: SparseTable::default(),
            gaps: Vec::new(),
            end: SegmentIndex::empty(&header, 0).end,
        };
        if let Some(dictionary) = dictionary {
            job.put_dictionary(&dictionary)?;
        }
        Ok(job)
    }

    pub(crate) const fn segment(&self) -> &Arc<Segment> {
        &self.segment
    }

    /// Compresses about so many bytes more; `true` when all frames are done.
    pub(crate) fn advance(&mut self, budget_bytes: usize) -> Result<bool, MaintenanceError> {
        let from = self.end.offset;
        while self.end.offset - from < budget_bytes as u64 {
            match self.walk.next() {
                Ok(Some((_, frame))) => {
                    let header = frame.header;
                    let at = self.walk.at().offset - header.padded_len() as u64;
                    let bytes = self.walk.stream().buffered(at).get(..header.padded_len());
                    let start = self.raw.len();
                    self.raw.extend_from_slice(bytes.unwrap_or_default());
                    set_checksum(self.raw.get_mut(start..).unwrap_or_default(), self.epoch);
                    self.sparse.note(Mark {
                        offset: self.end.offset,
                        commit: header.commit,
                        first_position: header.first_position,
                        arrival: header.arrival,
                    });
                    let offset = self.end.offset + header.padded_len() as u64;
                    self.end = SegmentEnd { offset, ..*self.walk.at() };
                }
                Ok(None) => {
                    self.compress_blocks(true)?;
                    return Ok(true);
                }
                Err(ReadError::Damaged(damage)) => self.gaps.push(Gap {
                    offset: self.end.offset,
                    end: self.end.offset,
                    first_commit: damage.first_commit,
                    next_commit: damage.next_commit,
                    first_position: damage.first_position,
                    next_position: damage.next_position,
                }),
                Err(error) => return Err(error.into()),
            }
            self.compress_blocks(false)?;
        }
        Ok(false)
    }

    /// Writes the rest and puts the sealed file in the place of the hot one.
    pub(crate) fn finish(mut self, shared: &Shared) -> Result<Arc<Segment>, MaintenanceError> {
        let too_large = || {
            let error = std::io::Error::from(std::io::ErrorKind::FileTooLarge);
            StorageError::new(StorageOp::Write, self.path.as_str(), error)
        };
        let mut state = Vec::new();
        self.segment.load_state()?.encode(&mut state);
        let mut end = self.end;
        let hot_end = self.segment.end();
        (end.next_commit, end.next_position) = (hot_end.next_commit, hot_end.next_position);
        let index = SegmentIndex {
            end,
            gaps: std::mem::take(&mut self.gaps),
            sparse: std::mem::take(&mut self.sparse),
            blocks: Some(std::mem::take(&mut self.table)),
        };
        let mut footer = Vec::new();
        index.encode(&mut footer);
        let offset = self.out_at + self.out.len() as u64;
        let number = self.segment.number();
        let trailer = Trailer::new(number, end, offset, self.epoch, &footer, &state);
        let trailer = trailer.ok_or_else(too_large)?;
        self.out.extend_from_slice(&footer);
        self.out.extend_from_slice(&state);
        let bytes: [u8; TRAILER_BYTES] = trailer.encode(self.epoch);
        self.out.extend_from_slice(&bytes);
        self.file.write_at(self.out_at, &self.out)?;
        self.file.write_at(0, &self.header.encode())?;
        activate::sync_file(&*self.file)?;
        let path = shared.path(&names::sealed(number));
        shared.storage.rename(&self.path, &path)?;
        activate::sync_dir(shared)?;
        Ok(Arc::new(Segment::complete(self.header, path, self.file, trailer)))
    }

    /// Writes the dictionary in front of all blocks.
    fn put_dictionary(&mut self, dictionary: &Content) -> Result<(), MaintenanceError> {
        let Content { bytes, compressed } = dictionary;
        let stored = if compressed.len() < bytes.len() {
            stored_block(self.epoch, Codec::Zstd, compressed, &mut self.out)
        } else {
            stored_block(self.epoch, Codec::Raw, bytes, &mut self.out)
        };
        if self.table.set_dictionary(stored, bytes.len()) {
            Ok(())
        } else {
            Err(MaintenanceError::Compress { segment: self.segment.number() })
        }
    }

    /// Compresses the full blocks in `raw`, or everything.
    fn compress_blocks(&mut self, all: bool) -> Result<(), MaintenanceError> {
        let mut done = 0;
        let zstd = match self.table.dictionary_place() {
            Some(_) => Codec::ZstdDictionary,
            None => Codec::Zstd,
        };
        while self.raw.len() - done >= RAW_BYTES || (all && done < self.raw.len()) {
            let rest = self.raw.get(done..).unwrap_or_default();
            let block = rest.get(..RAW_BYTES).unwrap_or(rest);
            done += block.len();
            self.table.raw_len += block.len() as u64;
            self.scratch.clear();
            self.scratch.reserve(zstd::zstd_safe::compress_bound(block.len()));
            let number = self.segment.number();
            let failed = |_| MaintenanceError::Compress { segment: number };
            self.context.compress2(&mut self.scratch, block).map_err(failed)?;
            let (codec, content) = if self.scratch.len() < block.len() {
                (zstd, self.scratch.as_slice())
            } else {
                (Codec::Raw, block)
            };
            let stored = stored_block(self.epoch, codec, content, &mut self.out);
            if !self.table.push(stored) {
                return Err(MaintenanceError::Compress { segment: number });
            }
        }
        self.raw.drain(..done);
        if self.out.len() >= WRITE_BYTES {
            self.file.write_at(self.out_at, &self.out)?;
            self.out_at += self.out.len() as u64;
            self.out.clear();
        }
        Ok(())
    }
}

impl std::fmt::Debug for SealJob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SealJob").field("segment", &self.segment.number()).finish_non_exhaustive()
    }
}
