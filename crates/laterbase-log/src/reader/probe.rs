//! Small reads at random places of a segment's stream.

use crate::cache::ReadCache;
use crate::checked::SMALL_FRAME_BYTES;
use crate::error::ReadError;
use crate::frame::{FRAME_HEADER_BYTES, FrameHeader, FrameSum};
use crate::number::CommitNumber;
use crate::sealed::{self, Decoder};
use crate::segment::Segment;
use crate::segment_header::{BLOCK_BYTES, SegmentForm};
use crate::sparse::Mark;
use std::sync::Arc;

/// How much is read when the length of what is there is not known yet.
const PROBE_BYTES: usize = 8 << 10;
/// How much of a large frame is read at a time to check it.
const CHECK_BYTES: usize = 64 << 10;

/// A buffer for small reads, and what decompressing needs.
#[derive(Debug, Default)]
pub(crate) struct Probe {
    decoder: Option<Decoder>,
    bytes: Vec<u8>,
    start: u64,
}

/// A frame in a segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FramePlace {
    pub(crate) offset: u64,
    pub(crate) header: FrameHeader,
}

/// What a walk over frames does with the one it is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// This is the one.
    Here,
    /// It comes later.
    Further,
    /// It would have come before.
    Missing,
}

impl Probe {
    /// Fills `out` from `offset`.
    pub(crate) fn read_exact(
        &mut self,
        segment: &Arc<Segment>,
        cache: &ReadCache,
        offset: u64,
        out: &mut [u8],
    ) -> Result<(), ReadError> {
        let read = self.read(segment, cache, offset, out)?;
        if read == out.len() { Ok(()) } else { Err(segment.corrupt(offset)) }
    }

    /// At least `needed` bytes from `offset`, unless the segment's frames end before.
    pub(crate) fn bytes(
        &mut self,
        segment: &Arc<Segment>,
        cache: &ReadCache,
        offset: u64,
        needed: usize,
    ) -> Result<&[u8], ReadError> {
        if self.buffered(offset).len() < needed {
            let left = usize::try_from(segment.end().offset.saturating_sub(offset));
            let len = needed.max(PROBE_BYTES).min(left.unwrap_or(usize::MAX));
            let mut bytes = std::mem::take(&mut self.bytes);
            bytes.resize(len, 0);
            let read = self.read(segment, cache, offset, &mut bytes)?;
            bytes.truncate(read);
            self.bytes = bytes;
            self.start = offset;
        }
        Ok(self.buffered(offset))
    }

    /// What the last read left from `offset` on.
    pub(crate) fn buffered(&self, offset: u64) -> &[u8] {
        let skip = offset.checked_sub(self.start).and_then(|skip| usize::try_from(skip).ok());
        skip.and_then(|skip| self.bytes.get(skip..)).unwrap_or_default()
    }

    /// Forgets what was read: another segment comes, or the file changed.
    pub(crate) fn forget(&mut self) {
        self.bytes.clear();
    }

    /// Finds a frame: from the last mark where `is_before` holds on, until `step` says so.
    ///
    /// Headers are believed if they carry the commit number that must come there; the checksum is
    /// left to who reads the frame, or believes what its header says.
    pub(crate) fn find_frame(
        &mut self,
        segment: &Arc<Segment>,
        cache: &ReadCache,
        is_before: impl Fn(&Mark) -> bool,
        mut step: impl FnMut(&FramePlace) -> Step,
    ) -> Result<Option<FramePlace>, ReadError> {
        self.forget();
        let (mark, end, gaps) = segment.with_index(cache, |index| {
            (index.sparse.last_where(is_before), index.end, index.gaps.clone())
        })?;
        let Some(mark) = mark else { return Ok(None) };
        let (mut offset, mut commit) = (mark.offset, mark.commit);
        loop {
            if let Some(gap) = gaps.iter().find(|gap| gap.first_commit == commit) {
                (offset, commit) = (gap.end, gap.next_commit);
                continue;
            }
            if offset >= end.offset {
                // Damage inside the last block would otherwise pass for padding.
                let is_whole = commit == end.next_commit;
                return if is_whole { Ok(None) } else { Err(segment.corrupt(offset)) };
            }
            let Some(header) = self.header_at(segment, cache, offset, commit)? else {
                let block = offset.next_multiple_of(BLOCK_BYTES);
                if block == offset || segment.is_sealed() {
                    return Err(segment.corrupt(offset));
                }
                offset = block;
                continue;
            };
            let place = FramePlace { offset, header };
            match step(&place) {
                Step::Here => return Ok(Some(place)),
                Step::Missing => return Ok(None),
                Step::Further => {
                    offset += header.padded_len() as u64;
                    commit = header.next_commit();
                }
            }
        }
    }

    /// Compares a frame with its checksum: one that is large only once per opening of the segment,
    /// one that is sealed never, because its blocks were checked when they were decompressed.
    pub(crate) fn check_frame(
        &mut self,
        segment: &Arc<Segment>,
        cache: &ReadCache,
        frame: u64,
    ) -> Result<(), ReadError> {
        if segment.is_sealed() || segment.checked.contains(frame) {
            return Ok(());
        }
        let corrupt = || segment.corrupt(frame);
        // What is buffered may be of another segment.
        self.forget();
        let first = self.bytes(segment, cache, frame, FRAME_HEADER_BYTES)?;
        let len = FrameHeader::decode(first).ok_or_else(corrupt)?.padded_len();
        let first = first.get(..first.len().min(len)).unwrap_or_default();
        let mut sum = FrameSum::start(first, segment.epoch).ok_or_else(corrupt)?;
        let mut done = first.len();
        while done < len {
            let wanted = (len - done).min(CHECK_BYTES);
            let piece = self.bytes(segment, cache, frame + done as u64, wanted)?;
            sum.add(piece.get(..wanted).ok_or_else(corrupt)?);
            done += wanted;
        }
        if !sum.is_right() {
            return Err(corrupt());
        }
        if len > SMALL_FRAME_BYTES {
            segment.checked.insert(frame);
        }
        Ok(())
    }

    fn header_at(
        &mut self,
        segment: &Arc<Segment>,
        cache: &ReadCache,
        offset: u64,
        commit: CommitNumber,
    ) -> Result<Option<FrameHeader>, ReadError> {
        let bytes = self.bytes(segment, cache, offset, FRAME_HEADER_BYTES)?;
        Ok(FrameHeader::decode(bytes).filter(|header| header.commit == commit))
    }

    fn read(
        &mut self,
        segment: &Arc<Segment>,
        cache: &ReadCache,
        offset: u64,
        out: &mut [u8],
    ) -> Result<usize, ReadError> {
        match segment.header.form {
            SegmentForm::Hot => Ok(segment.file.read_at(offset, out)?),
            SegmentForm::Sealed => {
                sealed::read_cached(segment, cache, &mut self.decoder, offset, out)
            }
        }
    }
}
