//! Scans from the newest batch to the oldest.
//!
//! Frames lead forwards only, so a scan back reads stretches of commits forwards, newest stretch
//! first, and hands each one out in reverse. A stretch begins at a mark of the sparse table, or
//! holds what the ring gives at once.

use super::scan::walk_from;
use super::stored::StoredBatch;
use crate::error::ReadError;
use crate::frame::{BatchStatus, Frame, FrameHeader};
use crate::number::CommitNumber;
use crate::shared::Shared;
use laterbase_event::Position;
use std::sync::Arc;

/// A scan over batches in falling order. It lends, as [`Scan`](super::Scan) does.
#[derive(Debug)]
pub struct ScanBack {
    shared: Arc<Shared>,
    after: Position,
    to: Position,
    /// Commits before this one are still to come; `None` until the start was looked up.
    before: Option<CommitNumber>,
    /// The frames of the stretch, one behind the other.
    frames: Vec<u8>,
    /// Where each batch of the stretch stands: its frame, and its index in it.
    batches: Vec<(usize, u16)>,
    /// Damage that lies before the stretch.
    damage: Option<ReadError>,
    done: bool,
}

impl ScanBack {
    pub(super) const fn new(shared: Arc<Shared>, after: Position, to: Position) -> Self {
        Self {
            shared,
            after,
            to,
            before: None,
            frames: Vec::new(),
            batches: Vec::new(),
            damage: None,
            done: false,
        }
    }

    /// The batch before; `None` at the start.
    ///
    /// # Errors
    /// As [`Scan::next`](super::Scan::next).
    #[expect(clippy::should_implement_trait, reason = "it lends, which an iterator cannot")]
    pub fn next(&mut self) -> Result<Option<StoredBatch<'_>>, ReadError> {
        loop {
            if self.done {
                return Ok(None);
            }
            let Some((offset, index)) = self.batches.pop() else {
                if let Some(damage) = self.damage.take() {
                    return Err(damage);
                }
                match self.fill() {
                    Ok(more) => self.done = !more,
                    Err(error) => {
                        self.done = true;
                        return Err(error);
                    }
                }
                continue;
            };
            let wanted = self.batch_at(offset, index).is_some_and(|batch| {
                batch.next_position().as_u64() > self.after.as_u64() + 1
                    && batch.first_position <= self.to
                    && batch.status == BatchStatus::Admitted
            });
            if wanted {
                return Ok(self.batch_at(offset, index));
            }
        }
    }

    fn batch_at(&self, offset: usize, index: u16) -> Option<StoredBatch<'_>> {
        let bytes = self.frames.get(offset..)?;
        let header = FrameHeader::decode(bytes)?;
        let frame = Frame::trusted(header, bytes.get(..header.padded_len())?)?;
        let batch = frame.batches().find(|batch| batch.index == index)?;
        Some(StoredBatch::new(&header, &batch))
    }

    /// Reads the stretch before; `false` if there is none.
    fn fill(&mut self) -> Result<bool, ReadError> {
        self.frames.clear();
        let before = match self.before {
            Some(before) => before,
            None => match self.find_start()? {
                Some(before) => before,
                None => return Ok(false),
            },
        };
        if before <= CommitNumber::FIRST || self.after >= self.to {
            return Ok(false);
        }
        let last = CommitNumber::new(before.as_u64() - 1);
        let first = match self.fill_from_ring(last) {
            Some(first) => first,
            None => self.fill_from_file(last)?,
        };
        self.before = Some(first);
        // Stop early: everything before the stretch is too old.
        let oldest = FrameHeader::decode(&self.frames).map(|header| header.first_position);
        if oldest.is_some_and(|oldest| oldest.as_u64() <= self.after.as_u64().saturating_add(1)) {
            self.before = Some(CommitNumber::FIRST);
        }
        Ok(true)
    }

    /// The commit behind the one that holds `to`, or behind the last one.
    fn find_start(&self) -> Result<Option<CommitNumber>, ReadError> {
        let shared = &self.shared;
        if let Some(frame) = shared.with_ring(|ring| ring.place_of(self.to)) {
            return Ok(Some(frame.commit.next()));
        }
        match super::find_position(shared, self.to, &mut super::Probe::default()) {
            Ok((_, place)) => Ok(Some(place.header.next_commit())),
            Err(ReadError::Damaged(damage)) => Ok(Some(damage.next_commit)),
            Err(ReadError::NotFound { .. }) => {
                let in_ring = shared.with_ring(|ring| ring.last_commit());
                let written = shared.progress.written().0;
                Ok(Some(in_ring.map_or(written, |last| last.max(written)).next()))
            }
            Err(error) => Err(error),
        }
    }

    /// Copies frames up to `last` out of the ring; returns the first commit copied.
    fn fill_from_ring(&mut self, last: CommitNumber) -> Option<CommitNumber> {
        let bytes_max = self.shared.config.read_ahead_bytes;
        let frames = &mut self.frames;
        let first = self.shared.with_ring(|ring| ring.copy_frames_back(last, bytes_max, frames))?;
        self.note_batches();
        Some(first)
    }

    /// Reads the stretch of the file that ends with `last`; returns its first commit.
    fn fill_from_file(&mut self, last: CommitNumber) -> Result<CommitNumber, ReadError> {
        let table = self.shared.segments();
        let nothing = CommitNumber::FIRST;
        let Some(segment) = table.of_commit(last) else { return Ok(nothing) };
        let mark = segment.with_index(&self.shared.cache, |index| {
            index.sparse.last_where(|mark| mark.commit <= last)
        })?;
        let first = mark.map_or(segment.header.first_commit, |mark| mark.commit);
        let mut walk = walk_from(&self.shared, segment, first, Vec::new())?;
        let mut lowest = first;
        loop {
            match walk.next() {
                Ok(Some((offset, frame))) => {
                    if frame.header.commit > last {
                        break;
                    }
                    let len = frame.header.padded_len();
                    let bytes = walk.stream().buffered(offset).get(..len).unwrap_or_default();
                    self.frames.extend_from_slice(bytes);
                }
                Ok(None) => break,
                Err(ReadError::Damaged(damage)) if damage.first_commit > last => break,
                Err(ReadError::Damaged(damage)) => {
                    // What lies behind it is this stretch; the rest is the next one.
                    lowest = damage.first_commit;
                    if damage.next_commit <= last {
                        self.frames.clear();
                    }
                    self.damage = Some(ReadError::Damaged(damage));
                    if lowest == first {
                        continue;
                    }
                }
                Err(error) => return Err(error),
            }
        }
        self.note_batches();
        Ok(lowest)
    }

    fn note_batches(&mut self) {
        self.batches.clear();
        let mut offset = 0;
        while let Some(header) = self.frames.get(offset..).and_then(FrameHeader::decode) {
            self.batches.extend((0..header.batch_count).map(|index| (offset, index)));
            offset += header.padded_len();
        }
    }
}
