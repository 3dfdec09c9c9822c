//! Reading: single events, whole batches, and scans in arrival order.
//!
//! The newest part of the log is read from the ring, the rest from segment files. A reader never
//! waits for the writer and never looks at how far a caller may see: the caller knows its bound,
//! and every position up to what was frozen or taken can be read.
//!
//! What is checked: scans, whole batches and small frames by their checksum whenever they are read;
//! a large frame that single events are read from by its checksum when the first of them is.
//! `verify` checks everything again.

mod get;
mod heads;
mod probe;
mod read_only;
mod scan;
mod scan_back;
mod stored;

pub use get::{EventBuffer, Want};
pub use scan::Scan;
pub use scan_back::ScanBack;
pub use stored::StoredBatch;

pub(crate) use heads::StateAt;
pub(crate) use probe::{FramePlace, Probe, Step};

use crate::error::ReadError;
use crate::footer::Gap;
use crate::frame::Frame;
use crate::number::{CommitNumber, SegmentNumber};
use crate::segment::Segment;
use crate::shared::Shared;
use laterbase_event::{EnvelopeView, EventView, Hlc, Position};
use std::sync::Arc;

/// Reads an open log; cheap to clone, and shared between threads.
#[derive(Clone, Debug)]
pub struct LogReader {
    pub(crate) shared: Arc<Shared>,
}

/// What is known of one segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentInfo {
    /// Its number.
    pub number: SegmentNumber,
    /// Its file, in the storage's root.
    pub path: String,
    /// It is compressed.
    pub sealed: bool,
    /// It gets no more commits.
    pub complete: bool,
    /// The file's length, in bytes.
    pub file_bytes: u64,
    /// How long its frames' stream is, in bytes.
    pub stream_bytes: u64,
    /// Its first commit.
    pub first_commit: CommitNumber,
    /// The commit after its last one.
    pub next_commit: CommitNumber,
    /// Its first position.
    pub first_position: Position,
    /// The position after its last one.
    pub next_position: Position,
}

impl LogReader {
    pub(crate) const fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// The event at a position, and when it arrived here.
    ///
    /// It borrows the buffer, which is best kept and used again.
    ///
    /// # Errors
    /// [`ReadError::NotFound`] if no event has that position yet; damage, or the storage's reason.
    pub fn get<'b>(
        &self,
        position: Position,
        buffer: &'b mut EventBuffer,
    ) -> Result<(EventView<'b>, Hlc), ReadError> {
        let found = get::get(&self.shared, position, buffer, |_| Want::Event)?;
        found.ok_or_else(|| self.not_found(position))
    }

    /// The same, as far as it is wanted of what its envelope says; nothing where nothing is.
    ///
    /// The payload of an event in a hot segment is a read of its own, which this saves.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn get_wanted<'b>(
        &self,
        position: Position,
        buffer: &'b mut EventBuffer,
        want: impl FnOnce(&EnvelopeView<'_>) -> Want,
    ) -> Result<Option<(EventView<'b>, Hlc)>, ReadError> {
        get::get(&self.shared, position, buffer, want)
    }

    /// The whole batch that holds a position, in its canonical bytes; its checksum was checked.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn batch<'b>(
        &self,
        position: Position,
        buffer: &'b mut Vec<u8>,
    ) -> Result<StoredBatch<'b>, ReadError> {
        let copied = self.shared.with_ring(|ring| {
            ring.with_frame_of(position, |frame| stored::copy_frame(frame, buffer))
        });
        if copied.is_none() {
            let mut probe = Probe::default();
            let (segment, place) = self.find_position(position, &mut probe)?;
            self.read_frame(&segment, &place, buffer)?;
        }
        stored::batch_of_position(buffer, position).ok_or_else(|| self.not_found(position))
    }

    /// A batch by its commit and its place in it: the way to a batch in quarantine.
    ///
    /// # Errors
    /// As [`get`](Self::get); [`ReadError::NotFound`] names no position then.
    pub fn batch_of_commit<'b>(
        &self,
        commit: CommitNumber,
        index_in_commit: u16,
        buffer: &'b mut Vec<u8>,
    ) -> Result<StoredBatch<'b>, ReadError> {
        buffer.clear();
        let copied = self.shared.with_ring(|ring| ring.copy_frames(commit, 0, buffer));
        if copied == 0 {
            let mut probe = Probe::default();
            let table = self.shared.segments();
            let missing = || self.not_found(Position::NONE);
            let segment = table.of_commit(commit).ok_or_else(missing)?;
            let mut seen = 0;
            let place = probe.find_frame(
                segment,
                &self.shared.cache,
                |mark| mark.commit <= commit,
                |FramePlace { offset, header }| {
                    seen = *offset;
                    if header.commit < commit {
                        Step::Further
                    } else if header.commit == commit {
                        Step::Here
                    } else {
                        Step::Missing
                    }
                },
            )?;
            let Some(place) = place else {
                let lost = |gap: &Gap| gap.first_commit <= commit && commit < gap.next_commit;
                let is_there = commit < segment.end().next_commit;
                let otherwise = || if is_there { segment.corrupt(seen) } else { missing() };
                return Err(find_gap(&self.shared, segment, lost)?.unwrap_or_else(otherwise));
            };
            self.read_frame(segment, &place, buffer)?;
        }
        stored::batch_of_index(buffer, index_in_commit)
            .ok_or_else(|| self.not_found(Position::NONE))
    }

    /// The last position whose event had arrived by then; [`Position::NONE`] if none had.
    ///
    /// # Errors
    /// Damage, or the storage's reason.
    pub fn position_known_at(&self, arrival: Hlc) -> Result<Position, ReadError> {
        if let Some(position) = self.shared.with_ring(|ring| ring.known_at(arrival)) {
            return Ok(position);
        }
        let table = self.shared.segments();
        let Some(segment) = table.of_arrival(arrival) else { return Ok(Position::NONE) };
        let (cache, mut probe) = (&self.shared.cache, Probe::default());
        // Arrivals never fall, so that two intact neighbours, one on either side, decide.
        let mut last = None;
        let is_before = |mark: &crate::sparse::Mark| mark.arrival <= arrival;
        let next = probe.find_frame(segment, cache, is_before, |place| {
            if place.header.arrival > arrival {
                return Step::Here;
            }
            last = Some(*place);
            Step::Further
        })?;
        for place in last.iter().chain(&next) {
            probe.check_frame(segment, cache, place.offset)?;
        }
        let next = last.map_or(segment.header.first_position, |last| last.header.next_position());
        Ok(Position::new(next.as_u64().saturating_sub(1)))
    }

    /// Every batch with a position behind `after`, up to the one that holds `to`, in arrival order.
    ///
    /// The first and the last batch are whole, even if they begin or end outside these bounds.
    #[must_use]
    pub fn scan(&self, after: Position, to: Position) -> Scan {
        Scan::of_positions(Arc::clone(&self.shared), after, to)
    }

    /// Every batch of these commits, those in quarantine among them, in arrival order.
    #[must_use]
    pub fn scan_commits(&self, first: CommitNumber, last: CommitNumber) -> Scan {
        Scan::of_commits(Arc::clone(&self.shared), first, last)
    }

    /// As [`scan`](Self::scan), from the last batch to the first.
    #[must_use]
    pub fn scan_back(&self, after: Position, to: Position) -> ScanBack {
        ScanBack::new(Arc::clone(&self.shared), after, to)
    }

    /// The last commit and position that were written.
    #[must_use]
    pub fn written(&self) -> (CommitNumber, Position) {
        self.shared.progress.written()
    }

    /// The last commit and position that are on the device.
    #[must_use]
    pub fn flushed(&self) -> (CommitNumber, Position) {
        self.shared.progress.flushed()
    }

    /// All segments, oldest first.
    ///
    /// # Errors
    /// The storage's reason.
    pub fn segments(&self) -> Result<Vec<SegmentInfo>, ReadError> {
        self.shared.segments().segments.iter().map(describe).collect()
    }

    /// Where the frame of `commit`, or of the last commit before it, ends in a segment.
    pub(crate) fn end_of_commit(
        &self,
        segment: &Arc<Segment>,
        commit: CommitNumber,
    ) -> Result<u64, ReadError> {
        let mut end = crate::footer::SegmentIndex::empty(&segment.header, 0).end.offset;
        let is_before = |mark: &crate::sparse::Mark| mark.commit <= commit;
        let cache = &self.shared.cache;
        let place = Probe::default().find_frame(segment, cache, is_before, |place| {
            if place.header.commit < commit { Step::Further } else { Step::Here }
        })?;
        if let Some(place) = place {
            end = place.offset + place.header.padded_len() as u64;
        }
        Ok(end)
    }

    /// Finds the frame of a position in the segment files.
    pub(crate) fn find_position(
        &self,
        position: Position,
        probe: &mut Probe,
    ) -> Result<(Arc<Segment>, FramePlace), ReadError> {
        find_position(&self.shared, position, probe)
    }

    /// Reads a whole frame and checks it.
    fn read_frame(
        &self,
        segment: &Arc<Segment>,
        place: &FramePlace,
        buffer: &mut Vec<u8>,
    ) -> Result<(), ReadError> {
        buffer.resize(place.header.padded_len(), 0);
        let cache = &self.shared.cache;
        Probe::default().read_exact(segment, cache, place.offset, buffer)?;
        match Frame::decode(buffer, segment.epoch) {
            Ok(_) => Ok(()),
            Err(_) => Err(segment.corrupt(place.offset)),
        }
    }

    fn not_found(&self, position: Position) -> ReadError {
        ReadError::NotFound { position, last: self.written().1 }
    }
}

/// Finds the frame of a position in the segment files.
pub(crate) fn find_position(
    shared: &Shared,
    position: Position,
    probe: &mut Probe,
) -> Result<(Arc<Segment>, FramePlace), ReadError> {
    let not_found = || ReadError::NotFound { position, last: shared.progress.written().1 };
    let table = shared.segments();
    let segment = table.of_position(position).ok_or_else(not_found)?;
    let mut seen = 0;
    let place = probe.find_frame(
        segment,
        &shared.cache,
        |mark| mark.first_position <= position,
        |FramePlace { offset, header }| {
            seen = *offset;
            if header.next_position() <= position {
                Step::Further
            } else if header.first_position <= position {
                Step::Here
            } else {
                Step::Missing
            }
        },
    )?;
    match place {
        Some(place) => Ok((Arc::clone(segment), place)),
        None => {
            let lost = |gap: &Gap| gap.first_position <= position && position < gap.next_position;
            // A header that lies sends the walk past what must be there.
            let is_there = position < segment.end().next_position;
            let otherwise = || if is_there { segment.corrupt(seen) } else { not_found() };
            Err(find_gap(shared, segment, lost)?.unwrap_or_else(otherwise))
        }
    }
}

/// The accepted damage that took what is asked for.
fn find_gap(
    shared: &Shared,
    segment: &Arc<Segment>,
    is_it: impl Fn(&Gap) -> bool,
) -> Result<Option<ReadError>, ReadError> {
    let gap = segment
        .with_index(&shared.cache, |index| index.gaps.iter().find(|gap| is_it(gap)).copied())?;
    Ok(gap.map(|gap| ReadError::Damaged(Box::new(gap.damage(segment.number(), &segment.path)))))
}

fn describe(segment: &Arc<Segment>) -> Result<SegmentInfo, ReadError> {
    let end = segment.end();
    Ok(SegmentInfo {
        number: segment.number(),
        path: segment.path.clone(),
        sealed: segment.is_sealed(),
        complete: segment.is_complete(),
        file_bytes: segment.file.len()?,
        stream_bytes: end.offset,
        first_commit: segment.header.first_commit,
        next_commit: end.next_commit,
        first_position: segment.header.first_position,
        next_position: end.next_position,
    })
}
