//! The ends of all logs, for those who do not write: from a footer and the frames behind it.
//!
//! ```text
//!   segment 1 │ footer    segment 2 │ footer: state    segment 3 (grows)
//!                                            └────────────▶ frames ─▶ heads
//! ```
//! A footer holds the state of the whole log up to its segment's end, so one footer is read however
//! long the log is, and then the frames of the segments that have none yet. The next call goes on
//! where the last one stopped.
//!
//! Invariant: what is kept for the next call was read whole; a call that fails leaves nothing.

use super::LogReader;
use crate::error::ReadError;
use crate::footer::{LogState, SegmentEnd, SegmentIndex};
use crate::heads::Heads;
use crate::quarantine::Quarantined;
use crate::recovery::{replay, state_after};
use crate::segment::Segment;
use crate::segment_header::SegmentHeader;
use laterbase_event::ReplicaId;
use std::sync::Arc;

/// The state of the log at a place in a segment that grows.
#[derive(Debug)]
pub(crate) struct StateAt {
    segment: SegmentHeader,
    end: SegmentEnd,
    state: LogState,
}

impl LogReader {
    /// The ends of all logs, batches in quarantine included, by what is written; for readers that
    /// were made by [`open`](Self::open), by what they have taken up.
    ///
    /// Reads one footer and what was written behind it; again called, only what came since.
    ///
    /// # Errors
    /// Damage, or the storage's reason.
    pub fn heads(&self) -> Result<Heads, ReadError> {
        self.with_state(|state| state.heads.clone())
    }

    /// The logs that are forked, by root and replica, by what is written.
    ///
    /// # Errors
    /// As [`heads`](Self::heads).
    pub fn forked(&self) -> Result<Vec<(Box<str>, ReplicaId)>, ReadError> {
        self.with_state(|state| state.forks.iter().map(|(root, of)| (root.into(), of)).collect())
    }

    /// Every batch in quarantine, by what is written.
    ///
    /// # Errors
    /// As [`heads`](Self::heads).
    pub fn quarantined(&self) -> Result<Vec<Quarantined>, ReadError> {
        self.with_state(|state| state.quarantine.batches.clone())
    }

    fn with_state<T>(&self, take: impl FnOnce(&LogState) -> T) -> Result<T, ReadError> {
        let table = self.shared.segments();
        let known = self.shared.take_state();
        let (state, last) = read_state(&table.segments, known)?;
        let taken = take(&state);
        if let Some((segment, end)) = last {
            self.shared.keep_state(StateAt { segment, end, state });
        }
        Ok(taken)
    }
}

/// The state at the end of these segments, and the last one of them that grows, if any does.
fn read_state(
    segments: &[Arc<Segment>],
    known: Option<StateAt>,
) -> Result<(LogState, Option<(SegmentHeader, SegmentEnd)>), ReadError> {
    let complete = segments.iter().rposition(|segment| segment.is_complete());
    let growing = segments.get(complete.map_or(0, |index| index + 1)..).unwrap_or_default();
    let at = |known: &StateAt| growing.iter().position(|segment| segment.header == known.segment);
    let known = known.and_then(|known| at(&known).map(|index| (index, known)));
    let (first, mut from, mut state) = match (known, complete) {
        (Some((index, known)), _) => (index, Some(known.end), known.state),
        (None, Some(index)) => (0, None, state_after(segments, index)?),
        (None, None) => (0, None, LogState::default()),
    };
    let mut last = None;
    for segment in growing.iter().skip(first) {
        let start = || SegmentIndex::empty(&segment.header, 0).end;
        let (from, end) = (from.take().unwrap_or_else(start), segment.end());
        if from.next_commit < end.next_commit {
            replay(&mut state, segment, &[], from, &end)?;
        }
        last = Some((segment.header, end));
    }
    Ok((state, last))
}
