//! A batch as a reader hands it out: its bytes, and what the log knows of it.

use crate::frame::{BatchRole, BatchStatus, Frame, FrameBatch, FrameHeader};
use crate::number::CommitNumber;
use laterbase_event::{BatchView, DecodeError, Hlc, Position};

/// A batch in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredBatch<'a> {
    /// Its canonical bytes.
    pub bytes: &'a [u8],
    /// The position of its first event; that of the next admitted event if it is in quarantine.
    pub first_position: Position,
    /// How many events it has.
    pub event_count: u16,
    /// When it arrived here.
    pub arrival: Hlc,
    /// The commit that it came in.
    pub commit: CommitNumber,
    /// Its place among the batches of that commit, from 0.
    pub index_in_commit: u16,
    /// Whether its events are visible.
    pub status: BatchStatus,
    /// How it stands to its writer's log.
    pub role: BatchRole,
}

impl<'a> StoredBatch<'a> {
    /// The batch, parsed.
    ///
    /// # Errors
    /// The bytes are no batch: whoever staged them was wrong, because the checksum holds.
    pub fn view(&self) -> Result<BatchView<'a>, DecodeError> {
        BatchView::parse(self.bytes)
    }

    /// The position after its last event.
    #[must_use]
    pub fn next_position(&self) -> Position {
        let count = match self.status {
            BatchStatus::Admitted => u64::from(self.event_count),
            BatchStatus::Quarantined => 0,
        };
        Position::new(self.first_position.as_u64().saturating_add(count))
    }

    pub(crate) const fn new(header: &FrameHeader, batch: &FrameBatch<'a>) -> Self {
        Self {
            bytes: batch.bytes,
            first_position: batch.first_position,
            event_count: batch.event_count,
            arrival: header.arrival,
            commit: header.commit,
            index_in_commit: batch.index,
            status: batch.status,
            role: batch.role,
        }
    }
}

/// Copies a frame's bytes.
pub(super) fn copy_frame(frame: &[u8], out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(frame);
}

/// The batch that holds a position, in the bytes of its frame, which were checked.
pub(super) fn batch_of_position(frame: &[u8], position: Position) -> Option<StoredBatch<'_>> {
    find(frame, |batch| {
        let next = batch.first_position.as_u64() + u64::from(batch.admitted_count());
        batch.first_position <= position && position.as_u64() < next
    })
}

/// The batch at this place of a frame, whose bytes were checked.
pub(super) fn batch_of_index(frame: &[u8], index: u16) -> Option<StoredBatch<'_>> {
    find(frame, |batch| batch.index == index)
}

fn find(frame: &[u8], is_it: impl Fn(&FrameBatch<'_>) -> bool) -> Option<StoredBatch<'_>> {
    let header = FrameHeader::decode(frame)?;
    let frame = Frame::assume_checked(header, frame.get(..header.padded_len())?)?;
    let batch = frame.batches().find(is_it)?;
    Some(StoredBatch::new(&header, &batch))
}
