//! Scanning a hot segment for frames, and for what follows where they end.
//!
//! A frame is taken if its checksum is right and it continues the one before it: the commit after
//! it, the next position, an arrival that does not fall. At an offset inside a block where there is
//! none, the next block is tried, because groups begin at blocks. Where that fails too, every
//! multiple of 8 up to the end of the file is tried: that is what makes the report of damage exact,
//! and it costs a comparison per 8 bytes, because hardly any bytes look like the number of a commit
//! to come.

use crate::error::ReadError;
use crate::footer::{Gap, SegmentEnd, SegmentIndex};
use crate::frame::{FRAME_ALIGN, FRAME_HEADER_BYTES, Frame, FrameFault, FrameHeader, FrameKind};
use crate::mutant::{self, Mutant};
use crate::number::CommitNumber;
use crate::segment::Segment;
use crate::segment_header::BLOCK_BYTES;
use crate::sparse::{Mark, SparseTable};
use crate::stream::Stream;
use std::ops::Range;
use std::sync::Arc;

/// How much is read at once.
const READ_AHEAD_BYTES: usize = 1 << 20;
/// Commits to come are looked for in this distance: more never stand in one segment.
const COMMITS_AHEAD_MAX: u64 = 1 << 32;

/// What a scan found.
#[derive(Clone, Debug)]
pub(crate) struct HotScan {
    /// Where the frames end.
    pub(crate) end: SegmentEnd,
    pub(crate) sparse: SparseTable,
    /// Where the last group begins; `None` if there is no frame.
    pub(crate) last_group: Option<SegmentEnd>,
    /// The last group is proven durable by what follows it.
    pub(crate) closed: bool,
    /// Damage.
    pub(crate) gaps: Vec<Gap>,
    /// What was torn.
    pub(crate) tail: Option<Range<u64>>,
}

/// Scans the whole file of a hot segment.
///
/// `until` is where the next segment goes on: frames of that commit and later ones were written
/// again there and do not count here, and everything before it was durable once.
pub(crate) fn scan_hot(
    segment: &Arc<Segment>,
    until: Option<SegmentEnd>,
) -> Result<HotScan, ReadError> {
    let file_len = segment.file.len()?;
    let stream = Stream::new(segment, file_len, READ_AHEAD_BYTES, Vec::new())?;
    let empty = SegmentIndex::empty(&segment.header, 0);
    let scan = HotScan {
        end: empty.end,
        sparse: SparseTable::default(),
        last_group: None,
        closed: false,
        gaps: Vec::new(),
        tail: None,
    };
    Scanner { stream, scan, until, group: None, file_len }.run()
}

struct Scanner {
    stream: Stream,
    scan: HotScan,
    until: Option<SegmentEnd>,
    /// The group of the last frame.
    group: Option<CommitNumber>,
    file_len: u64,
}

/// What stands at an offset.
enum Found {
    /// The frame that continues the log.
    Next(FrameHeader),
    /// An intact frame that does not.
    Stray(FrameHeader),
    Nothing,
}

impl Scanner {
    fn run(mut self) -> Result<HotScan, ReadError> {
        loop {
            if self.until.is_some_and(|until| self.scan.end.next_commit >= until.next_commit) {
                return Ok(self.scan);
            }
            let offset = self.scan.end.offset;
            let block = offset.next_multiple_of(BLOCK_BYTES);
            let next = match self.look(offset)? {
                Found::Next(header) => Some((offset, header)),
                Found::Stray(_) | Found::Nothing => match self.look(block)? {
                    Found::Next(header) => Some((block, header)),
                    Found::Stray(_) | Found::Nothing => None,
                },
            };
            match next {
                Some((at, header)) => match header.kind {
                    FrameKind::Commit => self.take(at, &header),
                    FrameKind::Close => {
                        self.scan.closed = true;
                        if !self.go_on_behind(at + BLOCK_BYTES, header.commit)? {
                            return Ok(self.scan);
                        }
                    }
                },
                None => {
                    self.scan.closed = false;
                    if !self.go_on_behind(offset, self.scan.end.next_commit)? {
                        return Ok(self.scan);
                    }
                }
            }
        }
    }

    fn look(&mut self, offset: u64) -> Result<Found, ReadError> {
        let epoch = self.stream.segment().epoch;
        let end = self.scan.end;
        let mut needed = FRAME_HEADER_BYTES;
        loop {
            let have = {
                let bytes = self.stream.bytes(offset, needed)?;
                match Frame::decode(bytes, epoch) {
                    Ok(frame) => {
                        let header = frame.header;
                        let continues = header.commit == end.next_commit
                            && header.first_position == end.next_position
                            && header.arrival >= end.last_arrival;
                        let found =
                            if continues { Found::Next(header) } else { Found::Stray(header) };
                        return Ok(found);
                    }
                    Err(FrameFault::Short { needed: more }) => {
                        let have = bytes.len();
                        needed = more;
                        have
                    }
                    Err(FrameFault::NoHeader | FrameFault::Checksum | FrameFault::Malformed) => {
                        return Ok(Found::Nothing);
                    }
                }
            };
            let left = self.file_len.saturating_sub(offset);
            if needed as u64 > left || have >= needed {
                return Ok(Found::Nothing);
            }
        }
    }

    /// Takes a frame that continues the log.
    fn take(&mut self, offset: u64, header: &FrameHeader) {
        if self.group != Some(header.group) {
            self.group = Some(header.group);
            self.scan.last_group = Some(SegmentEnd { offset, ..self.scan.end });
        }
        self.scan.closed = false;
        self.scan.sparse.note(Mark {
            offset,
            commit: header.commit,
            first_position: header.first_position,
            arrival: header.arrival,
        });
        self.scan.end = SegmentEnd {
            offset: offset + header.padded_len() as u64,
            next_commit: header.next_commit(),
            next_position: header.next_position(),
            last_arrival: header.arrival,
        };
    }

    /// The log does not continue at `from`, where `commit` should follow: looks for what is behind,
    /// and says whether frames follow there after damage.
    fn go_on_behind(&mut self, from: u64, commit: CommitNumber) -> Result<bool, ReadError> {
        let mut first: Option<(u64, FrameHeader)> = None;
        let mut is_later = false;
        let mut torn_end = 0;
        let mut offset = from.next_multiple_of(FRAME_ALIGN as u64);
        while let Some(at) = self.next_candidate(offset, commit)? {
            let header = match self.look(at)? {
                Found::Next(header) | Found::Stray(header) => header,
                Found::Nothing => {
                    offset = at + FRAME_ALIGN as u64;
                    continue;
                }
            };
            offset = at + header.padded_len() as u64;
            if self.is_past_the_end(&header) || !self.may_follow(&header) {
                continue;
            }
            is_later |= header.group > commit;
            // Even torn, a frame of another group says that the group before it was durable.
            self.scan.closed |= self.group.is_some_and(|last| header.group > last);
            torn_end = offset;
            if first.is_none() {
                first = Some((at, header));
            }
            if is_later || self.until.is_some() {
                break;
            }
        }
        let is_later = is_later && !mutant::is_active(Mutant::LaterGroupIsTorn);
        match (first, self.until) {
            (Some((at, header)), _) if is_later || self.until.is_some() => {
                self.resume(at, &header);
                Ok(true)
            }
            (_, Some(until)) => {
                let end = SegmentEnd { offset: self.scan.end.offset, ..until };
                self.add_gap(end.offset, &end);
                self.scan.end = end;
                Ok(false)
            }
            (_, None) => {
                self.scan.tail = self.find_tail(from, torn_end)?;
                Ok(false)
            }
        }
    }

    /// Is the frame one that was written again in the next segment?
    fn is_past_the_end(&self, header: &FrameHeader) -> bool {
        self.until.is_some_and(|until| header.commit >= until.next_commit)
    }

    /// Can a frame of this log say so, behind the frames that were taken?
    fn may_follow(&self, header: &FrameHeader) -> bool {
        let end = &self.scan.end;
        header.commit >= end.next_commit
            && header.first_position >= end.next_position
            && header.arrival >= end.last_arrival
    }

    /// Goes on with the first intact frame behind damage.
    fn resume(&mut self, offset: u64, header: &FrameHeader) {
        let end = SegmentEnd {
            offset,
            next_commit: header.commit,
            next_position: header.first_position,
            last_arrival: self.scan.end.last_arrival,
        };
        self.add_gap(offset, &end);
        self.scan.end = end;
        self.scan.closed = false;
    }

    fn add_gap(&mut self, offset: u64, behind: &SegmentEnd) {
        let before = &self.scan.end;
        // A marker that was overwritten by later frames, or padding that was: nothing is lost.
        if before.next_commit == behind.next_commit {
            return;
        }
        self.scan.gaps.push(Gap {
            offset: before.offset,
            end: offset,
            first_commit: before.next_commit,
            next_commit: behind.next_commit,
            first_position: before.next_position,
            next_position: behind.next_position,
        });
    }

    /// The next offset where the header of a frame of `commit` or a later one may stand.
    fn next_candidate(
        &mut self,
        from: u64,
        commit: CommitNumber,
    ) -> Result<Option<u64>, ReadError> {
        let range = commit.as_u64()..commit.as_u64().saturating_add(COMMITS_AHEAD_MAX);
        let mut offset = from;
        while offset + FRAME_HEADER_BYTES as u64 <= self.file_len {
            let bytes = self.stream.bytes(offset, FRAME_HEADER_BYTES)?;
            // The commit number is the second word of a header.
            let (words, _) = bytes.as_chunks::<8>();
            let found =
                words.iter().skip(1).position(|word| range.contains(&u64::from_le_bytes(*word)));
            if let Some(index) = found {
                return Ok(Some(offset + 8 * index as u64));
            }
            if words.len() < 2 {
                return Ok(None);
            }
            offset += 8 * (words.len() as u64 - 1);
        }
        Ok(None)
    }

    /// What to keep of a torn tail: at least up to `torn_end`, the end of its intact frames.
    fn find_tail(&mut self, from: u64, torn_end: u64) -> Result<Option<Range<u64>>, ReadError> {
        let mut end = torn_end;
        for at in [from, from.next_multiple_of(BLOCK_BYTES)] {
            let header = FrameHeader::decode(self.stream.bytes(at, FRAME_HEADER_BYTES)?);
            if let Some(header) = header
                && header.commit == self.scan.end.next_commit
                && header.first_position == self.scan.end.next_position
            {
                end = end.max(at + header.padded_len() as u64);
            }
        }
        if !self.stream.segment().header.recycled {
            end = end.max(self.last_content(from)?);
        }
        let end = end.min(self.file_len);
        Ok((end > from).then_some(from..end))
    }

    /// Where the last byte behind `from` that is not zero ends.
    fn last_content(&mut self, from: u64) -> Result<u64, ReadError> {
        let mut end = 0;
        let mut offset = from;
        while offset < self.file_len {
            let bytes = self.stream.bytes(offset, 1)?;
            if bytes.is_empty() {
                break;
            }
            if let Some(last) = bytes.iter().rposition(|byte| *byte != 0) {
                end = offset + last as u64 + 1;
            }
            offset += bytes.len() as u64;
        }
        Ok(end)
    }
}
