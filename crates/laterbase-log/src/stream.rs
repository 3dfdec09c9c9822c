//! Reading the frames' stream of a segment from front to back, hot or sealed, through one buffer.
//!
//! Offsets are those of the stream: in a hot segment the file's, in a sealed one those of the
//! decompressed frames. A caller asks for so many bytes at an offset and gets as many, or fewer at
//! the end; what is behind them is read ahead.

use crate::error::ReadError;
use crate::sealed::BlockReader;
use crate::segment::Segment;
use crate::segment_header::SegmentForm;
use std::sync::Arc;

/// A buffered reader of one segment's stream.
#[derive(Debug)]
pub(crate) struct Stream {
    segment: Arc<Segment>,
    blocks: Option<BlockReader>,
    /// The end of what may be read.
    limit: u64,
    read_ahead: usize,
    buffer: Vec<u8>,
    start: u64,
}

impl Stream {
    /// A reader of the stream up to `limit`, which reads at least `read_ahead` bytes at a time.
    pub(crate) fn new(
        segment: &Arc<Segment>,
        limit: u64,
        read_ahead: usize,
        buffer: Vec<u8>,
    ) -> Result<Self, ReadError> {
        let blocks = match segment.header.form {
            SegmentForm::Hot => None,
            SegmentForm::Sealed => Some(BlockReader::open(segment)?),
        };
        let mut buffer = buffer;
        buffer.clear();
        let segment = Arc::clone(segment);
        Ok(Self { segment, blocks, limit, read_ahead, buffer, start: 0 })
    }

    pub(crate) const fn segment(&self) -> &Arc<Segment> {
        &self.segment
    }

    /// Gives the buffer back, to be used again.
    pub(crate) fn into_buffer(self) -> Vec<u8> {
        self.buffer
    }

    /// The bytes from `offset` on: at least `needed`, unless the stream ends before.
    pub(crate) fn bytes(&mut self, offset: u64, needed: usize) -> Result<&[u8], ReadError> {
        let have = self.buffered(offset).len();
        let left = self.limit.saturating_sub(offset);
        let wanted = needed.min(usize::try_from(left).unwrap_or(usize::MAX));
        if have < wanted {
            self.fill(offset, wanted.max(self.read_ahead))?;
        }
        Ok(self.buffered(offset))
    }

    /// What is in the buffer from `offset` on.
    pub(crate) fn buffered(&self, offset: u64) -> &[u8] {
        let skip = offset.checked_sub(self.start).and_then(|skip| usize::try_from(skip).ok());
        skip.and_then(|skip| self.buffer.get(skip..)).unwrap_or_default()
    }

    fn fill(&mut self, offset: u64, len: usize) -> Result<(), ReadError> {
        let left = self.limit.saturating_sub(offset);
        let len = len.min(usize::try_from(left).unwrap_or(usize::MAX));
        // What is there already is kept: a frame that the buffer cuts is not read twice.
        let kept = self.buffered(offset).len();
        let skip = self.buffer.len() - kept;
        self.buffer.copy_within(skip.., 0);
        self.buffer.resize(len.max(kept), 0);
        self.start = offset;
        let from = offset + kept as u64;
        let rest = self.buffer.get_mut(kept..).unwrap_or_default();
        let read = match &mut self.blocks {
            None => self.segment.file.read_at(from, rest)?,
            Some(blocks) => blocks.read(from, rest)?,
        };
        self.buffer.truncate(kept + read);
        Ok(())
    }
}
