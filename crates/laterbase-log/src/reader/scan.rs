//! Scans: every batch in arrival order, out of files and the ring.
//!
//! A scan reads files ahead through one buffer of its own and checks every frame once. Where the
//! ring holds what comes next, it copies from there, as much at a time as it would read ahead. It
//! keeps its place as a commit number, so that it may move between the two, and from one file to
//! the next, at any frame.

use super::stored::StoredBatch;
use super::{Probe, find_position};
use crate::error::ReadError;
use crate::footer::SegmentEnd;
use crate::frame::{BatchStatus, Batches, Frame, FrameHeader};
use crate::frames::FrameWalk;
use crate::number::CommitNumber;
use crate::reader::Step;
use crate::segment::Segment;
use crate::shared::Shared;
use crate::stream::Stream;
use laterbase_event::Position;
use std::sync::Arc;

/// A scan over batches. It lends: a batch lives until the next one is asked for.
///
/// ```
/// # fn sum(reader: &laterbase_log::LogReader) -> Result<u64, laterbase_log::ReadError> {
/// # use laterbase_event::Position;
/// let mut events = 0;
/// let mut scan = reader.scan(Position::NONE, Position::new(1_000));
/// while let Some(batch) = scan.next()? {
///     events += u64::from(batch.event_count);
/// }
/// # Ok(events) }
/// ```
#[derive(Debug)]
pub struct Scan {
    shared: Arc<Shared>,
    bounds: Bounds,
    /// The commit that comes next; `None` until the start was looked up.
    next_commit: Option<CommitNumber>,
    source: Source,
    frame: Option<Current>,
    /// A buffer for the next source.
    spare: Vec<u8>,
    done: bool,
}

#[derive(Clone, Copy, Debug)]
enum Bounds {
    /// Admitted batches with positions behind the first, up to the second.
    Positions(Position, Position),
    /// All batches of these commits.
    Commits(CommitNumber, CommitNumber),
}

#[derive(Debug)]
enum Source {
    None,
    File(Box<FrameWalk>),
    /// Frames copied out of the ring, and where the next one starts.
    Ring(Vec<u8>, usize),
}

/// The frame that the scan is in.
#[derive(Clone, Copy, Debug)]
struct Current {
    header: FrameHeader,
    /// Where it starts in its source.
    offset: u64,
    /// The next batch to look at.
    next_index: u16,
}

impl Scan {
    pub(super) const fn of_positions(shared: Arc<Shared>, after: Position, to: Position) -> Self {
        Self::new(shared, Bounds::Positions(after, to), None)
    }

    pub(super) const fn of_commits(
        shared: Arc<Shared>,
        first: CommitNumber,
        last: CommitNumber,
    ) -> Self {
        Self::new(shared, Bounds::Commits(first, last), Some(first))
    }

    const fn new(shared: Arc<Shared>, bounds: Bounds, next_commit: Option<CommitNumber>) -> Self {
        Self {
            shared,
            bounds,
            next_commit,
            source: Source::None,
            frame: None,
            spare: Vec::new(),
            done: false,
        }
    }

    /// The next batch; `None` at the end.
    ///
    /// # Errors
    /// [`ReadError::Damaged`] where something was lost and that was accepted; the scan then goes on
    /// behind it. After any other error the scan is over.
    #[expect(clippy::should_implement_trait, reason = "it lends, which an iterator cannot")]
    pub fn next(&mut self) -> Result<Option<StoredBatch<'_>>, ReadError> {
        match self.advance() {
            Ok(true) => {}
            Ok(false) => {
                self.done = true;
                return Ok(None);
            }
            Err(error) => {
                self.done = !matches!(error, ReadError::Damaged(_));
                return Err(error);
            }
        }
        Ok(self.current())
    }

    /// Moves to the next batch within the bounds; `false` at the end.
    fn advance(&mut self) -> Result<bool, ReadError> {
        while !self.done {
            if let Some(current) = self.frame {
                match self.next_wanted(&current) {
                    Some(index) => {
                        self.frame = Some(Current { next_index: index + 1, ..current });
                        return Ok(true);
                    }
                    None => self.frame = None,
                }
            }
            if !self.next_frame()? {
                return Ok(false);
            }
        }
        Ok(false)
    }

    /// The batch that `advance` stopped at.
    fn current(&self) -> Option<StoredBatch<'_>> {
        let current = self.frame.as_ref()?;
        let index = current.next_index.checked_sub(1)?;
        let batch = self.batches(current)?.find(|batch| batch.index == index)?;
        Some(StoredBatch::new(&current.header, &batch))
    }

    /// The index of the next batch of this frame within the bounds.
    fn next_wanted(&self, current: &Current) -> Option<u16> {
        let mut batches = self.batches(current)?;
        let wanted = batches.find(|batch| {
            let first = batch.first_position;
            let next = first.as_u64() + u64::from(batch.admitted_count());
            batch.index >= current.next_index
                && match self.bounds {
                    Bounds::Commits(_, _) => true,
                    Bounds::Positions(after, to) => {
                        batch.status == BatchStatus::Admitted
                            && next > after.as_u64() + 1
                            && first <= to
                    }
                }
        });
        wanted.map(|batch| batch.index)
    }

    fn batches(&self, current: &Current) -> Option<Batches<'_>> {
        let bytes = match &self.source {
            Source::None => return None,
            Source::File(walk) => walk.stream().buffered(current.offset),
            Source::Ring(bytes, _) => bytes.get(usize::try_from(current.offset).ok()?..)?,
        };
        let frame = bytes.get(..current.header.padded_len())?;
        Some(Frame::trusted(current.header, frame)?.batches())
    }

    /// Moves to the next frame; `false` where the bounds or the log end.
    fn next_frame(&mut self) -> Result<bool, ReadError> {
        let Some(next_commit) = self.find_start()? else { return Ok(false) };
        loop {
            let next = match &mut self.source {
                Source::None => None,
                Source::Ring(bytes, offset) => next_in_ring(bytes, offset),
                Source::File(walk) => {
                    let next = walk.next().map(|found| found.map(|(at, frame)| (at, frame.header)));
                    match next {
                        Ok(next) => next,
                        Err(error) => {
                            self.next_commit = Some(walk.at().next_commit);
                            return Err(error);
                        }
                    }
                }
            };
            if let Some((offset, header)) = next {
                self.next_commit = Some(header.next_commit());
                self.frame = Some(Current { header, offset, next_index: 0 });
                return Ok(self.is_within(&header));
            }
            if !self.next_source(self.next_commit.unwrap_or(next_commit))? {
                return Ok(false);
            }
        }
    }

    fn is_within(&self, header: &FrameHeader) -> bool {
        match self.bounds {
            Bounds::Positions(_, to) => header.first_position <= to,
            Bounds::Commits(_, last) => header.commit <= last,
        }
    }

    /// The commit to go on with; `None` if there is nothing within the bounds.
    fn find_start(&mut self) -> Result<Option<CommitNumber>, ReadError> {
        let (after, to) = match (self.next_commit, self.bounds) {
            (Some(commit), _) => return Ok(Some(commit)),
            (None, Bounds::Commits(first, _)) => return Ok(Some(first)),
            (None, Bounds::Positions(after, to)) => (after, to),
        };
        let first = Position::new(after.as_u64().saturating_add(1));
        if first > to {
            return Ok(None);
        }
        let commit = match self.shared.with_ring(|ring| ring.place_of(first)) {
            Some(frame) => frame.commit,
            None => match find_position(&self.shared, first, &mut Probe::default()) {
                Ok((_, place)) => place.header.commit,
                Err(ReadError::NotFound { .. }) => return Ok(None),
                Err(ReadError::Damaged(damage)) => {
                    self.next_commit = Some(damage.next_commit);
                    return Err(ReadError::Damaged(damage));
                }
                Err(error) => return Err(error),
            },
        };
        self.next_commit = Some(commit);
        Ok(Some(commit))
    }

    /// Opens what holds `commit`: the ring if it can, a file otherwise.
    fn next_source(&mut self, commit: CommitNumber) -> Result<bool, ReadError> {
        match std::mem::replace(&mut self.source, Source::None) {
            Source::None => {}
            Source::Ring(bytes, _) => self.spare = bytes,
            Source::File(walk) => self.spare = walk.into_stream().into_buffer(),
        }
        let mut bytes = std::mem::take(&mut self.spare);
        bytes.clear();
        let read_ahead = self.shared.config.read_ahead_bytes;
        let copied = self.shared.with_ring(|ring| ring.copy_frames(commit, read_ahead, &mut bytes));
        if copied > 0 {
            self.source = Source::Ring(bytes, 0);
            return Ok(true);
        }
        let table = self.shared.segments();
        let segment = table.of_commit(commit).filter(|segment| segment.end().next_commit > commit);
        let Some(segment) = segment else {
            self.spare = bytes;
            return Ok(false);
        };
        let walk = walk_from(&self.shared, segment, commit, bytes)?;
        self.source = Source::File(Box::new(walk));
        Ok(true)
    }
}

fn next_in_ring(bytes: &[u8], offset: &mut usize) -> Option<(u64, FrameHeader)> {
    let header = FrameHeader::decode(bytes.get(*offset..)?)?;
    let at = *offset as u64;
    *offset += header.padded_len();
    Some((at, header))
}

/// A walk over the frames of a segment from this commit, or the first one behind it, on.
pub(super) fn walk_from(
    shared: &Shared,
    segment: &Arc<Segment>,
    commit: CommitNumber,
    buffer: Vec<u8>,
) -> Result<FrameWalk, ReadError> {
    let (end, gaps) = segment.with_index(&shared.cache, |index| (index.end, index.gaps.clone()))?;
    let mut start = crate::footer::SegmentIndex::empty(&segment.header, 0).end;
    if commit > segment.header.first_commit {
        let is_before = |mark: &crate::sparse::Mark| mark.commit <= commit;
        let place = Probe::default().find_frame(segment, &shared.cache, is_before, |place| {
            if place.header.commit < commit { Step::Further } else { Step::Here }
        })?;
        if let Some(place) = place {
            start = SegmentEnd {
                offset: place.offset,
                next_commit: place.header.commit,
                next_position: place.header.first_position,
                last_arrival: place.header.arrival,
            };
        }
    }
    let stream = Stream::new(segment, end.offset, shared.config.read_ahead_bytes, buffer)?;
    Ok(FrameWalk::new(stream, gaps, start, &end))
}
