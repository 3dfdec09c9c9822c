//! Applying frames to the state of the log: heads, quarantine and forks.

use crate::error::ReadError;
use crate::footer::{Gap, LogState, Noted, SegmentEnd};
use crate::frame::Frame;
use crate::frames::FrameWalk;
use crate::segment::Segment;
use crate::stream::Stream;
use laterbase_event::{BatchView, DecodeError};
use std::sync::Arc;

const READ_AHEAD_BYTES: usize = 1 << 20;

/// Applies the frames of `segment` between `from` and `end`.
pub(crate) fn replay(
    state: &mut LogState,
    segment: &Arc<Segment>,
    gaps: &[Gap],
    from: SegmentEnd,
    end: &SegmentEnd,
) -> Result<(), ReadError> {
    let stream = Stream::new(segment, end.offset, READ_AHEAD_BYTES, Vec::new())?;
    let mut walk = FrameWalk::new(stream, gaps.to_vec(), from, end);
    loop {
        match walk.next() {
            Ok(Some((offset, frame))) => {
                apply_frame(state, &frame).map_err(|_| segment.corrupt(offset))?;
            }
            Ok(None) => return Ok(()),
            // An accepted gap: what is behind it still counts.
            Err(ReadError::Damaged(_)) => {}
            Err(error) => return Err(error),
        }
    }
}

fn apply_frame(state: &mut LogState, frame: &Frame<'_>) -> Result<(), DecodeError> {
    for batch in frame.batches() {
        let view = BatchView::parse(batch.bytes)?;
        state.note(&Noted::of(frame.header.commit, &batch, view.header(), view.hash()));
    }
    Ok(())
}
