//! An append buffer: consecutive frames in memory, and where they go in a segment.
//!
//! A chunk is filled under the front's lock, written by the writer, and read by tailing readers
//! until its memory is needed again. It is shared as an `Arc`; whoever changes it holds the only
//! one, so that no lock and no `unsafe` is needed, and a mistake shows as a refused change, not as
//! a race.

use crate::frame::FrameHeader;
use crate::number::{CommitNumber, SegmentNumber};
use crate::storage::AlignedBuffer;
use laterbase_event::{Hlc, Position};

/// One frame in a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChunkFrame {
    /// Where it starts in the chunk.
    pub(crate) offset: usize,
    /// The segment that it goes to, its epoch, and where it starts there.
    pub(crate) segment: SegmentNumber,
    pub(crate) epoch: u64,
    pub(crate) stream_offset: u64,
    pub(crate) commit: CommitNumber,
    pub(crate) first_position: Position,
    pub(crate) next_position: Position,
    pub(crate) arrival: Hlc,
}

/// Where a chunk's bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Placement {
    pub(crate) segment: SegmentNumber,
    pub(crate) offset: u64,
}

/// What the writer must do before it writes a chunk: end the segment before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Roll {
    /// The encoded state of the log up to the end of the segment that ends.
    pub(crate) state: Vec<u8>,
    /// The arrival of the last frame in it.
    pub(crate) last_arrival: Hlc,
}

/// An append buffer.
#[derive(Debug)]
pub(crate) struct Chunk {
    pub(crate) buffer: AlignedBuffer,
    pub(crate) placement: Placement,
    pub(crate) frames: Vec<ChunkFrame>,
    pub(crate) roll: Option<Box<Roll>>,
    /// Where the last frame ends; the rest is padding for the disk.
    pub(crate) frames_end: usize,
}

impl Chunk {
    /// An empty chunk with room for so many bytes.
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self {
            buffer: AlignedBuffer::with_capacity(bytes),
            placement: Placement { segment: SegmentNumber::FIRST, offset: 0 },
            frames: Vec::with_capacity(bytes / 1024 + 1),
            roll: None,
            frames_end: 0,
        }
    }

    /// Empties the chunk for another use; its memory stays.
    pub(crate) fn reset(&mut self, placement: Placement) {
        self.buffer.clear();
        self.frames.clear();
        self.placement = placement;
        self.roll = None;
        self.frames_end = 0;
    }

    /// How many more bytes fit.
    pub(crate) fn room(&self) -> usize {
        self.buffer.capacity() - self.buffer.len()
    }

    /// Notes the frame of `header` that was appended at `offset`.
    pub(crate) fn note(&mut self, offset: usize, header: &FrameHeader, epoch: u64) {
        self.frames.push(ChunkFrame {
            offset,
            segment: self.placement.segment,
            epoch,
            stream_offset: self.placement.offset + offset as u64,
            commit: header.commit,
            first_position: header.first_position,
            next_position: header.next_position(),
            arrival: header.arrival,
        });
        self.frames_end = self.buffer.len();
    }

    /// The bytes of the frame with this index.
    pub(crate) fn frame_bytes(&self, index: usize) -> Option<&[u8]> {
        let frame = self.frames.get(index)?;
        let end = self.frames.get(index + 1).map_or(self.frames_end, |next| next.offset);
        self.buffer.get(frame.offset..end)
    }

    /// Appends the frames of `other`, without its padding; `false` if they do not fit.
    pub(crate) fn absorb(&mut self, other: &Self) -> bool {
        let Some(bytes) = other.buffer.get(..other.frames_end) else { return false };
        self.buffer.truncate(self.frames_end);
        if self.room() < bytes.len() {
            return false;
        }
        let base = self.buffer.len();
        self.buffer.extend_from_slice(bytes);
        let moved = other.frames.iter().map(|f| ChunkFrame { offset: f.offset + base, ..*f });
        self.frames.extend(moved);
        self.frames_end = self.buffer.len();
        true
    }

    pub(crate) fn first_commit(&self) -> Option<CommitNumber> {
        self.frames.first().map(|frame| frame.commit)
    }
}
