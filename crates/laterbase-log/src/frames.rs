//! Walking the frames of a segment's stream whose end is known.
//!
//! Every frame is checked: its checksum, and that it continues the one before it. The walk steps over
//! padding and over gaps that were accepted; anything else that is no frame is damage.

use crate::error::ReadError;
use crate::footer::{Gap, SegmentEnd};
use crate::frame::{FRAME_HEADER_BYTES, Frame, FrameFault, FrameHeader};
use crate::segment_header::BLOCK_BYTES;
use crate::stream::Stream;
use laterbase_event::Hlc;

/// A walk over frames from one place to another.
#[derive(Debug)]
pub(crate) struct FrameWalk {
    stream: Stream,
    gaps: Vec<Gap>,
    at: SegmentEnd,
    end: u64,
}

impl FrameWalk {
    /// Walks from `from` to the stream offset `end`, which must be where frames begin and end.
    pub(crate) const fn new(stream: Stream, gaps: Vec<Gap>, from: SegmentEnd, end: u64) -> Self {
        Self { stream, gaps, at: from, end }
    }

    /// Where the walk is.
    pub(crate) const fn at(&self) -> &SegmentEnd {
        &self.at
    }

    pub(crate) const fn stream(&self) -> &Stream {
        &self.stream
    }

    pub(crate) fn into_stream(self) -> Stream {
        self.stream
    }

    /// The next frame and its offset; `None` at the end.
    ///
    /// # Errors
    /// [`ReadError::Damaged`] at an accepted gap, once, after which the walk goes on behind it.
    pub(crate) fn next(&mut self) -> Result<Option<(u64, Frame<'_>)>, ReadError> {
        loop {
            let offset = self.at.offset;
            if offset >= self.end {
                return Ok(None);
            }
            if let Some(gap) = self.gap_at(offset) {
                return Err(self.pass(&gap));
            }
            match self.header_at(offset)? {
                Some(header) => {
                    self.at = SegmentEnd {
                        offset: offset + header.padded_len() as u64,
                        next_commit: header.next_commit(),
                        next_position: header.next_position(),
                        last_arrival: header.arrival,
                    };
                    return self.frame_at(offset, header).map(Some);
                }
                None if offset.is_multiple_of(BLOCK_BYTES) || self.stream.segment().is_sealed() => {
                    return Err(self.stream.segment().corrupt(offset));
                }
                None => self.at.offset = offset.next_multiple_of(BLOCK_BYTES),
            }
        }
    }

    /// The header of an intact frame at the offset that continues the walk.
    fn header_at(&mut self, offset: u64) -> Result<Option<FrameHeader>, ReadError> {
        let epoch = self.stream.segment().epoch;
        let mut needed = FRAME_HEADER_BYTES;
        for _ in 0..2 {
            let bytes = self.stream.bytes(offset, needed)?;
            match Frame::decode(bytes, epoch) {
                Ok(frame) => {
                    let header = frame.header;
                    let continues = header.commit == self.at.next_commit
                        && header.first_position == self.at.next_position
                        && (header.arrival >= self.at.last_arrival
                            || self.at.last_arrival == Hlc::MAX);
                    return Ok(continues.then_some(header));
                }
                Err(FrameFault::Short { needed: more }) => needed = more,
                Err(FrameFault::NoHeader | FrameFault::Checksum | FrameFault::Malformed) => break,
            }
        }
        Ok(None)
    }

    fn frame_at(&self, offset: u64, header: FrameHeader) -> Result<(u64, Frame<'_>), ReadError> {
        let bytes = self.stream.buffered(offset).get(..header.padded_len()).unwrap_or_default();
        let frame = Frame::assume_checked(header, bytes);
        frame.map(|frame| (offset, frame)).ok_or_else(|| self.stream.segment().corrupt(offset))
    }

    fn gap_at(&self, offset: u64) -> Option<Gap> {
        self.gaps.iter().find(|gap| gap.offset <= offset && offset < gap.end).copied()
    }

    fn pass(&mut self, gap: &Gap) -> ReadError {
        self.at.offset = gap.end;
        self.at.next_commit = gap.next_commit;
        self.at.next_position = gap.next_position;
        let segment = self.stream.segment();
        ReadError::Damaged(Box::new(gap.damage(segment.number(), &segment.path)))
    }
}
