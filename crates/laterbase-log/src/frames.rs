//! Walking the frames of a segment's stream whose end is known.
//!
//! Every frame is checked: its checksum, and that it continues the one before it. The walk steps
//! over padding and over gaps that were accepted; anything else that is no frame is damage.

use crate::error::ReadError;
use crate::footer::{Gap, SegmentEnd};
use crate::frame::{FRAME_HEADER_BYTES, Frame, FrameFault, FrameHeader};
use crate::number::CommitNumber;
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
    /// The commit that must come next at the end, if that is known.
    next_commit: Option<CommitNumber>,
}

impl FrameWalk {
    /// Walks from `from` to `end`; both must be where frames begin and end.
    pub(crate) const fn new(
        stream: Stream,
        gaps: Vec<Gap>,
        from: SegmentEnd,
        end: &SegmentEnd,
    ) -> Self {
        Self { stream, gaps, at: from, end: end.offset, next_commit: Some(end.next_commit) }
    }

    /// Walks from `from` for as long as there are frames before the stream offset `end`.
    pub(crate) const fn open_ended(stream: Stream, from: SegmentEnd, end: u64) -> Self {
        Self { stream, gaps: Vec::new(), at: from, end, next_commit: None }
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
            if let Some(gap) = self.gap_here() {
                return Err(self.pass(&gap));
            }
            let offset = self.at.offset;
            if offset >= self.end {
                // Damage inside the last block would otherwise pass for padding.
                let is_whole = self.next_commit.is_none_or(|next| next == self.at.next_commit);
                let corrupt = || self.stream.segment().corrupt(offset);
                return if is_whole { Ok(None) } else { Err(corrupt()) };
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

    /// The gap that the commit which comes next was lost in. It may have no width: at the end of a
    /// segment, and in a sealed one.
    fn gap_here(&self) -> Option<Gap> {
        self.gaps.iter().find(|gap| gap.first_commit == self.at.next_commit).copied()
    }

    fn pass(&mut self, gap: &Gap) -> ReadError {
        self.at.offset = gap.end;
        self.at.next_commit = gap.next_commit;
        self.at.next_position = gap.next_position;
        let segment = self.stream.segment();
        ReadError::Damaged(Box::new(gap.damage(segment.number(), &segment.path)))
    }
}
