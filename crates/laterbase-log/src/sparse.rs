//! The sparse table of a segment: which position, commit and arrival stands at which offset.
//!
//! One mark for the first frame, and one for every frame that begins [`SPACING_BYTES`] or more
//! after the last marked one. So a position is found by a binary search and a walk over at most
//! `SPACING_BYTES` of frame headers. Marks rise in all their fields; positions and arrivals may
//! stay equal from one mark to the next.

use crate::number::CommitNumber;
use crate::wire::{Fields, put_varint};
use laterbase_event::{Hlc, Position};

/// How far apart marks are, in bytes of the segment, unless frames are larger.
pub(crate) const SPACING_BYTES: u64 = 16 << 10;

/// One marked frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) offset: u64,
    pub(crate) commit: CommitNumber,
    pub(crate) first_position: Position,
    pub(crate) arrival: Hlc,
}

/// The marks of one segment, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SparseTable {
    marks: Vec<Mark>,
}

impl SparseTable {
    /// An empty table with room for the marks of a segment of so many bytes.
    pub(crate) fn with_room(segment_bytes: u64) -> Self {
        let room = usize::try_from(segment_bytes / SPACING_BYTES + 1).unwrap_or(0);
        Self { marks: Vec::with_capacity(room) }
    }

    /// Marks the frame if it is far enough from the last marked one.
    pub(crate) fn note(&mut self, mark: Mark) {
        let due = self.marks.last().is_none_or(|last| mark.offset >= last.offset + SPACING_BYTES);
        if due {
            self.marks.push(mark);
        }
    }

    /// The marks before this offset.
    pub(crate) fn before(&self, offset: u64) -> Self {
        let count = self.marks.partition_point(|mark| mark.offset < offset);
        Self { marks: self.marks.iter().take(count).copied().collect() }
    }

    pub(crate) fn marks(&self) -> &[Mark] {
        &self.marks
    }

    /// The last mark at which `is_before` holds; marks are partitioned by it.
    pub(crate) fn last_where(&self, is_before: impl Fn(&Mark) -> bool) -> Option<Mark> {
        let after = self.marks.partition_point(is_before);
        self.marks.get(after.checked_sub(1)?).copied()
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.marks.capacity() * size_of::<Mark>()
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.marks.len() as u64);
        let mut last = [0_u64; 4];
        for mark in &self.marks {
            let next = [
                mark.offset,
                mark.commit.as_u64(),
                mark.first_position.as_u64(),
                mark.arrival.as_u64(),
            ];
            for (before, now) in last.iter().zip(next) {
                put_varint(out, now.wrapping_sub(*before));
            }
            last = next;
        }
    }

    /// `None` if the bytes are no table, or its fields do not rise.
    pub(crate) fn decode(fields: &mut Fields<'_>) -> Option<Self> {
        let count = usize::try_from(fields.varint()?).ok()?;
        // Each mark takes at least four bytes: a claimed count cannot make this allocate more.
        let mut marks = Vec::with_capacity(count.min(fields.rest().len() / 4));
        let mut last = [0_u64; 4];
        for _ in 0..count {
            for value in &mut last {
                *value = value.checked_add(fields.varint()?)?;
            }
            let [offset, commit, position, arrival] = last;
            marks.push(Mark {
                offset,
                commit: CommitNumber::new(commit),
                first_position: Position::new(position),
                arrival: Hlc::from_u64(arrival),
            });
        }
        Some(Self { marks })
    }
}
