//! Finding where a segment can be read again behind damage.

use crate::error::ReadError;
use crate::footer::SegmentEnd;
use crate::frame::{FRAME_ALIGN, FRAME_HEADER_BYTES, Frame, FrameHeader};
use crate::segment::Segment;
use crate::stream::Stream;
use std::sync::Arc;

const READ_AHEAD_BYTES: usize = 256 << 10;

/// The place of the first intact frame behind `at` that may follow it and lies before `end`.
///
/// In a sealed segment a damaged block is stepped over as a whole, because nothing in it can be
/// read.
pub(crate) fn find_intact(
    segment: &Arc<Segment>,
    at: &SegmentEnd,
    end: &SegmentEnd,
) -> Result<Option<SegmentEnd>, ReadError> {
    let step = FRAME_ALIGN as u64;
    let mut offset = at.offset;
    let mut stream = Stream::new(segment, end.offset, READ_AHEAD_BYTES, Vec::new())?;
    while offset + FRAME_HEADER_BYTES as u64 <= end.offset {
        match look(&mut stream, offset, at, end) {
            Ok(Some(header)) => {
                return Ok(Some(SegmentEnd {
                    offset,
                    next_commit: header.commit,
                    next_position: header.first_position,
                    last_arrival: at.last_arrival,
                }));
            }
            Ok(None) => offset += step,
            Err(ReadError::Corrupt { .. }) if segment.is_sealed() => {
                let block = crate::blocks::RAW_BYTES as u64;
                offset = (offset + 1).next_multiple_of(block);
                stream = Stream::new(segment, end.offset, crate::blocks::RAW_BYTES, Vec::new())?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

fn may_follow(header: &FrameHeader, at: &SegmentEnd, end: &SegmentEnd) -> bool {
    header.commit >= at.next_commit
        && header.commit < end.next_commit
        && header.first_position >= at.next_position
        && header.arrival >= at.last_arrival
}

/// The header of an intact frame at this offset that may follow.
fn look(
    stream: &mut Stream,
    offset: u64,
    at: &SegmentEnd,
    end: &SegmentEnd,
) -> Result<Option<FrameHeader>, ReadError> {
    let epoch = stream.segment().epoch;
    let header = FrameHeader::decode(stream.bytes(offset, FRAME_HEADER_BYTES)?);
    let header = header.filter(|header| {
        may_follow(header, at, end) && offset + header.padded_len() as u64 <= end.offset
    });
    let Some(header) = header else { return Ok(None) };
    let bytes = stream.bytes(offset, header.padded_len())?;
    Ok(Frame::decode(bytes, epoch).ok().map(|frame| frame.header))
}
