//! The frame: one commit as it stands in a segment.
//!
//! ```text
//!   0        4        8                16               24               32
//!   +--------+--------+----------------+----------------+----------------+
//!   | length | CRC-32C| commit number  | group's commit | first position |
//!   +--------+--------+---+--+--+------+----------------+----------------+
//!   | arrival HLC     | n |k |0 | b    |   n events admitted (u32), kind, b batches (u16)
//!   +-----------------+---+--+--+------+
//!   32                40  44 45 46     48
//!   then b times: | len u32 | events u16 | status u8 | role u8 | canonical bytes of the batch |
//!   then zeroes up to a multiple of 8
//! ```
//! All numbers are little-endian. `length` counts header and body without the padding. A *group* is
//! what one sync made durable; its name is the number of its first commit. The checksum
//! runs over the segment's epoch (8 bytes, which are not stored in the frame), `length`, and
//! everything behind the checksum including the padding. So a frame that an earlier life of a
//! recycled file left behind never passes: its epoch was another.
//!
//! Invariants: the padding is zero; `n` is the sum of the events of admitted batches; a decoder
//! refuses everything else. Where a frame may stand, and what follows from a damaged one, is in
//! `recovery`. What a batch means is `laterbase-event`'s.

use crate::number::CommitNumber;
use laterbase_event::{Hlc, Position};

/// The bytes of a frame before its batches.
pub(crate) const FRAME_HEADER_BYTES: usize = 48;
/// The bytes before each batch.
pub(crate) const BATCH_ENTRY_BYTES: usize = 8;
/// What frames are aligned to.
pub(crate) const FRAME_ALIGN: usize = 8;

const LENGTH_BYTES: usize = 4;
const CHECKED_FROM: usize = 8;

/// What a frame records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FrameKind {
    /// A commit.
    Commit,
    /// The log was closed in good order: everything before it is durable.
    Close,
}

/// A segment's epoch, as the start of every checksum in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Epoch {
    value: u64,
    seed: u32,
}

impl Epoch {
    pub(crate) fn new(value: u64) -> Self {
        let seed = if crate::mutant::is_active(crate::mutant::Mutant::NoEpoch) {
            0
        } else {
            crc32c::crc32c(&value.to_le_bytes())
        };
        Self { value, seed }
    }

    pub(crate) const fn value(self) -> u64 {
        self.value
    }

    /// The checksum of `bytes` in a segment of this epoch.
    pub(crate) fn checksum(self, bytes: &[u8]) -> u32 {
        crc32c::crc32c_append(self.seed, bytes)
    }
}

/// Everything about a frame but its batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    /// Header and body, without the padding.
    pub(crate) frame_len: u32,
    pub(crate) commit: CommitNumber,
    /// The first commit of the group that it was written in; a close marker is one of its own.
    pub(crate) group: CommitNumber,
    /// The position of the first admitted event; that of the next one, if the frame has none.
    pub(crate) first_position: Position,
    pub(crate) arrival: Hlc,
    pub(crate) event_count: u32,
    pub(crate) kind: FrameKind,
    pub(crate) batch_count: u16,
}

impl FrameHeader {
    /// The bytes from this frame's start to the next one's.
    pub(crate) fn padded_len(&self) -> usize {
        padded(self.frame_len as usize)
    }

    /// The position after the last event of the frame.
    pub(crate) fn next_position(&self) -> Position {
        Position::new(self.first_position.as_u64().saturating_add(u64::from(self.event_count)))
    }

    /// The number of the commit after this frame: a close marker takes none.
    pub(crate) fn next_commit(&self) -> CommitNumber {
        match self.kind {
            FrameKind::Commit => self.commit.next(),
            FrameKind::Close => self.commit,
        }
    }

    /// The header's bytes, with a checksum of zero.
    pub(crate) fn encode(&self) -> [u8; FRAME_HEADER_BYTES] {
        let kind = match self.kind {
            FrameKind::Commit => 0_u8,
            FrameKind::Close => 1,
        };
        let [b0, b1] = self.batch_count.to_le_bytes();
        let mut out = [0; FRAME_HEADER_BYTES];
        let fields: [(usize, [u8; 8]); 6] = [
            (0, u64::from(self.frame_len).to_le_bytes()),
            (8, self.commit.as_u64().to_le_bytes()),
            (16, self.group.as_u64().to_le_bytes()),
            (24, self.first_position.as_u64().to_le_bytes()),
            (32, self.arrival.as_u64().to_le_bytes()),
            (40, tail_word(self.event_count, kind, [b0, b1])),
        ];
        for (at, bytes) in fields {
            if let Some(place) = out.get_mut(at..).and_then(<[u8]>::first_chunk_mut) {
                *place = bytes;
            }
        }
        out
    }

    /// Decodes a header's bytes without looking at the checksum.
    ///
    /// `None` if they cannot be a frame's, among them the zeroes that say "go on at the next
    /// block".
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let header: &[u8; FRAME_HEADER_BYTES] = bytes.first_chunk()?;
        let word = |index: usize| {
            let (words, _) = header.as_chunks::<8>();
            words.get(index).copied().map(u64::from_le_bytes)
        };
        let frame_len = u32::try_from(word(0)? & 0xffff_ffff).ok()?;
        let [e0, e1, e2, e3, kind, zero, b0, b1] = word(5)?.to_le_bytes();
        let kind = match kind {
            0 => FrameKind::Commit,
            1 => FrameKind::Close,
            2.. => return None,
        };
        let batch_count = u16::from_le_bytes([b0, b1]);
        let event_count = u32::from_le_bytes([e0, e1, e2, e3]);
        let least = FRAME_HEADER_BYTES + usize::from(batch_count) * BATCH_ENTRY_BYTES;
        let fits = match kind {
            FrameKind::Commit => batch_count > 0 && frame_len as usize >= least,
            FrameKind::Close => {
                batch_count == 0 && event_count == 0 && frame_len as usize == FRAME_HEADER_BYTES
            }
        };
        let (commit, group) = (CommitNumber::new(word(1)?), CommitNumber::new(word(2)?));
        if !fits || zero != 0 || group > commit {
            return None;
        }
        Some(Self {
            frame_len,
            commit,
            group,
            first_position: Position::new(word(3)?),
            arrival: Hlc::from_u64(word(4)?),
            event_count,
            kind,
            batch_count,
        })
    }
}

fn tail_word(event_count: u32, kind: u8, [b0, b1]: [u8; 2]) -> [u8; 8] {
    let [e0, e1, e2, e3] = event_count.to_le_bytes();
    [e0, e1, e2, e3, kind, 0, b0, b1]
}

/// A length rounded up to where the next frame may start.
pub(crate) const fn padded(len: usize) -> usize {
    len.next_multiple_of(FRAME_ALIGN)
}

/// Sets the checksum of the complete, padded frame that `frame` is.
pub(crate) fn set_checksum(frame: &mut [u8], epoch: Epoch) {
    let checksum = frame_checksum(frame, epoch);
    if let Some(place) = frame.get_mut(LENGTH_BYTES..).and_then(<[u8]>::first_chunk_mut) {
        *place = checksum.to_le_bytes();
    }
}

fn frame_checksum(frame: &[u8], epoch: Epoch) -> u32 {
    let length = epoch.checksum(frame.get(..LENGTH_BYTES).unwrap_or_default());
    crc32c::crc32c_append(length, frame.get(CHECKED_FROM..).unwrap_or_default())
}

/// The checksum of a frame that is read piece by piece.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FrameSum {
    stored: u32,
    sum: u32,
}

impl FrameSum {
    /// Begins with the first bytes of a frame; `None` if not even its checksum is among them.
    pub(crate) fn start(first: &[u8], epoch: Epoch) -> Option<Self> {
        let stored = first.get(LENGTH_BYTES..)?.first_chunk().copied()?;
        Some(Self { stored: u32::from_le_bytes(stored), sum: frame_checksum(first, epoch) })
    }

    /// Goes on with the bytes behind.
    pub(crate) fn add(&mut self, more: &[u8]) {
        self.sum = crc32c::crc32c_append(self.sum, more);
    }

    /// After the padding: is the frame intact?
    pub(crate) const fn is_right(self) -> bool {
        self.stored == self.sum
    }
}

/// A frame whose checksum and inner lengths are right.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame<'a> {
    pub(crate) header: FrameHeader,
    body: &'a [u8],
}

/// Why bytes are no intact frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FrameFault {
    /// No header of a frame.
    NoHeader,
    /// The bytes end before the frame does; so many bytes would be needed.
    Short {
        /// The padded length of the frame.
        needed: usize,
    },
    /// The checksum does not match.
    Checksum,
    /// The checksum matches, but the inner lengths or counts contradict each other.
    Malformed,
}

impl<'a> Frame<'a> {
    /// Checks and decodes the frame at the start of `bytes`.
    pub(crate) fn decode(bytes: &'a [u8], epoch: Epoch) -> Result<Self, FrameFault> {
        let header = FrameHeader::decode(bytes).ok_or(FrameFault::NoHeader)?;
        let needed = header.padded_len();
        let frame = bytes.get(..needed).ok_or(FrameFault::Short { needed })?;
        let stored = frame.get(LENGTH_BYTES..).and_then(<[u8]>::first_chunk);
        let stored = stored.copied().map(u32::from_le_bytes).ok_or(FrameFault::NoHeader)?;
        if stored != frame_checksum(frame, epoch) {
            return Err(FrameFault::Checksum);
        }
        Self::assume_checked(header, frame).ok_or(FrameFault::Malformed)
    }

    /// The frame of these bytes, whose checksum somebody has checked.
    pub(crate) fn assume_checked(header: FrameHeader, frame: &'a [u8]) -> Option<Self> {
        let (content, padding) = frame.split_at_checked(header.frame_len as usize)?;
        let body = content.get(FRAME_HEADER_BYTES..)?;
        let decoded = Self { header, body };
        let mut batches = decoded.batches();
        let mut events = 0_u32;
        for batch in &mut batches {
            events = events.checked_add(u32::from(batch.admitted_count()))?;
        }
        let whole = batches.rest.is_empty() && batches.left == 0;
        let zero = padding.iter().all(|byte| *byte == 0);
        (whole && zero && events == header.event_count).then_some(decoded)
    }

    /// The frame of these bytes, which somebody has checked as a whole.
    pub(crate) fn trusted(header: FrameHeader, frame: &'a [u8]) -> Option<Self> {
        let body = frame.get(FRAME_HEADER_BYTES..header.frame_len as usize)?;
        Some(Self { header, body })
    }

    /// The batches of the commit, in order.
    pub(crate) fn batches(&self) -> Batches<'a> {
        Batches {
            rest: self.body,
            left: self.header.batch_count,
            index: 0,
            offset: FRAME_HEADER_BYTES,
            position: self.header.first_position,
        }
    }
}

/// What became of a batch on this replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchStatus {
    /// Its events are visible and have positions.
    Admitted,
    /// A validator refused it: it is kept and forwarded, and its events have no positions.
    Quarantined,
}

impl BatchStatus {
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Admitted => 0,
            Self::Quarantined => 1,
        }
    }

    pub(crate) const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Admitted),
            1 => Some(Self::Quarantined),
            2.. => None,
        }
    }
}

/// How a batch stands to the log of its writer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BatchRole {
    /// It continues the log: its end is the log's end from now on.
    #[default]
    Continues,
    /// It is on another branch of a forked log than the one that came first. The end of the log
    /// stays, and nothing is said about which batch it follows.
    Branch,
    /// It came before and was in quarantine, and is there once more, with positions. The end of the
    /// log stays.
    Release,
}

impl BatchRole {
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Continues => 0,
            Self::Branch => 1,
            Self::Release => 2,
        }
    }

    pub(crate) const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Continues),
            1 => Some(Self::Branch),
            2 => Some(Self::Release),
            3.. => None,
        }
    }
}

/// One batch in a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameBatch<'a> {
    /// Its place in the commit, from 0.
    pub(crate) index: u16,
    pub(crate) status: BatchStatus,
    pub(crate) role: BatchRole,
    pub(crate) event_count: u16,
    /// The position of its first event, or of the next one if it is quarantined.
    pub(crate) first_position: Position,
    /// Where its bytes start, counted from the frame's start.
    pub(crate) offset: usize,
    pub(crate) bytes: &'a [u8],
}

impl FrameBatch<'_> {
    pub(crate) const fn admitted_count(&self) -> u16 {
        match self.status {
            BatchStatus::Admitted => self.event_count,
            BatchStatus::Quarantined => 0,
        }
    }
}

/// The 8 bytes before a batch.
pub(crate) fn encode_batch_entry(
    batch_len: u32,
    event_count: u16,
    status: BatchStatus,
    role: BatchRole,
) -> [u8; BATCH_ENTRY_BYTES] {
    let [l0, l1, l2, l3] = batch_len.to_le_bytes();
    let [c0, c1] = event_count.to_le_bytes();
    [l0, l1, l2, l3, c0, c1, status.code(), role.code()]
}

/// What the 8 bytes before a batch say of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BatchEntry {
    pub(crate) len: u32,
    pub(crate) event_count: u16,
    pub(crate) status: BatchStatus,
    pub(crate) role: BatchRole,
}

/// Decodes the 8 bytes before a batch.
pub(crate) fn decode_batch_entry(bytes: &[u8]) -> Option<BatchEntry> {
    let [l0, l1, l2, l3, c0, c1, status, role] = *bytes.first_chunk::<BATCH_ENTRY_BYTES>()?;
    Some(BatchEntry {
        len: u32::from_le_bytes([l0, l1, l2, l3]),
        event_count: u16::from_le_bytes([c0, c1]),
        status: BatchStatus::from_code(status)?,
        role: BatchRole::from_code(role)?,
    })
}

/// Walks the batches of a frame; ends early where the bytes contradict themselves.
#[derive(Clone, Debug)]
pub(crate) struct Batches<'a> {
    rest: &'a [u8],
    left: u16,
    index: u16,
    offset: usize,
    position: Position,
}

impl<'a> Iterator for Batches<'a> {
    type Item = FrameBatch<'a>;

    fn next(&mut self) -> Option<FrameBatch<'a>> {
        if self.left == 0 {
            return None;
        }
        let entry = decode_batch_entry(self.rest)?;
        let (_, behind) = self.rest.split_at_checked(BATCH_ENTRY_BYTES)?;
        let (bytes, rest) = behind.split_at_checked(entry.len as usize)?;
        let batch = FrameBatch {
            index: self.index,
            status: entry.status,
            role: entry.role,
            event_count: entry.event_count,
            first_position: self.position,
            offset: self.offset + BATCH_ENTRY_BYTES,
            bytes,
        };
        self.rest = rest;
        self.left -= 1;
        self.index += 1;
        self.offset = batch.offset + bytes.len();
        let admitted = u64::from(batch.admitted_count());
        self.position = Position::new(self.position.as_u64().saturating_add(admitted));
        Some(batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EPOCH: u64 = 99;

    /// A frame of two batches, 8 and 3 bytes long, the second in quarantine.
    fn sample() -> Vec<u8> {
        let header = FrameHeader {
            frame_len: 48 + 8 + 8 + 8 + 3,
            commit: CommitNumber::new(7),
            group: CommitNumber::new(5),
            first_position: Position::new(40),
            arrival: Hlc::new(1000, 1),
            event_count: 2,
            kind: FrameKind::Commit,
            batch_count: 2,
        };
        let mut frame = header.encode().to_vec();
        frame.extend(encode_batch_entry(8, 2, BatchStatus::Admitted, BatchRole::Continues));
        frame.extend(b"batch  1");
        frame.extend(encode_batch_entry(3, 9, BatchStatus::Quarantined, BatchRole::Branch));
        frame.extend(b"two");
        frame.resize(padded(frame.len()), 0);
        set_checksum(&mut frame, Epoch::new(EPOCH));
        frame
    }

    #[test]
    fn frame_gives_back_its_batches_with_their_positions() {
        let bytes = sample();
        let frame = Frame::decode(&bytes, Epoch::new(EPOCH)).expect("intact");
        let batches: [_; 2] = frame.batches().collect::<Vec<_>>().try_into().expect("two");
        assert_eq!(batches[0].bytes, b"batch  1");
        assert_eq!((batches[0].first_position.as_u64(), batches[0].event_count), (40, 2));
        assert_eq!(batches[1].bytes, b"two");
        assert_eq!((batches[1].first_position.as_u64(), batches[1].event_count), (42, 9));
        assert_eq!(batches[1].status, BatchStatus::Quarantined);
        assert_eq!(batches.map(|batch| batch.role), [BatchRole::Continues, BatchRole::Branch]);
        assert_eq!(frame.header.next_position(), Position::new(42));
    }

    #[test]
    fn every_flipped_bit_and_every_other_epoch_is_refused() {
        let bytes = sample();
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(Frame::decode(&bad, Epoch::new(EPOCH)).is_err(), "bit {bit}");
        }
        assert_eq!(Frame::decode(&bytes, Epoch::new(1)).err(), Some(FrameFault::Checksum));
    }

    #[test]
    fn checksum_in_pieces_is_that_of_the_whole() {
        let mut bytes = sample();
        for flip in [false, true] {
            if flip {
                bytes[60] ^= 1;
            }
            for cut in 8..bytes.len() {
                let (first, second) = bytes.split_at(cut);
                let mut sum = FrameSum::start(first, Epoch::new(EPOCH)).expect("long enough");
                sum.add(second);
                assert_eq!(sum.is_right(), !flip, "cut at {cut}");
            }
        }
    }

    #[test]
    fn cut_frame_says_how_much_is_needed() {
        let bytes = sample();
        let cut = bytes.get(..60).expect("longer");
        let needed = bytes.len();
        let outcome = Frame::decode(cut, Epoch::new(EPOCH));
        assert_eq!(outcome.err(), Some(FrameFault::Short { needed }));
        let outcome = Frame::decode(&[0; 64], Epoch::new(EPOCH));
        assert_eq!(outcome.err(), Some(FrameFault::NoHeader), "zeroes are padding");
    }

    #[test]
    fn counts_that_contradict_each_other_are_refused_though_the_checksum_is_right() {
        for (at, value) in [(40, 3), (46, 1), (46, 3), (48, 9), (54, 7), (55, 3), (45, 1), (44, 2)]
        {
            let mut bad = sample();
            bad[at] = value;
            set_checksum(&mut bad, Epoch::new(EPOCH));
            assert!(Frame::decode(&bad, Epoch::new(EPOCH)).is_err(), "byte {at} = {value}");
        }
    }
}
