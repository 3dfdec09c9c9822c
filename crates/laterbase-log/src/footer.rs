//! The footer of a segment that gets no more frames: its table of contents.
//!
//! ```text
//!   … frames │ index: gaps, marks, blocks │ state: heads, quarantine, forks │ … │ trailer (128)
//!            ▲ offset                      ▲ offset + index_len                   ▲ file end − 128
//! ```
//! The trailer is the file's last 128 bytes and says where the footer stands; its checksum, and
//! those of the two parts, begin with the segment's epoch. The index is what reading needs, the
//! state what opening needs: the heads of *all* logs and all batches in quarantine up to the end of
//! this segment, so that opening reads one state and no more.
//!
//! Invariant: a valid footer proves that every frame of its segment was durable before it was
//! written. A footer is derived: it can be made again from the frames.

use crate::blocks::BlockTable;
use crate::error::Damage;
use crate::forks::Forks;
use crate::frame::{BatchRole, BatchStatus, Epoch, FrameBatch};
use crate::heads::{Head, Heads};
use crate::number::{CommitNumber, SegmentNumber};
use crate::quarantine::{Quarantine, Quarantined};
use crate::segment_header::{BLOCK_BYTES, SegmentForm, SegmentHeader};
use crate::sparse::SparseTable;
use crate::wire::{Fields, put_varint};
use laterbase_event::{BatchHeader, Hash, Hlc, Position, ReplicaId};

/// The bytes at the end of the file that lead to the footer.
pub(crate) const TRAILER_BYTES: usize = 128;

const MAGIC: [u8; 8] = *b"LBFOOTER";

/// Where the frames of a segment end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentEnd {
    /// The end of the frames' stream; footers and padding come behind it.
    pub(crate) offset: u64,
    pub(crate) next_commit: CommitNumber,
    pub(crate) next_position: Position,
    /// The arrival of the last frame in the segment or before it.
    pub(crate) last_arrival: Hlc,
}

/// What reading a segment needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SegmentIndex {
    pub(crate) end: SegmentEnd,
    /// Damage that was accepted.
    pub(crate) gaps: Vec<Gap>,
    pub(crate) sparse: SparseTable,
    /// In sealed segments only.
    pub(crate) blocks: Option<BlockTable>,
}

/// What opening the log needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LogState {
    pub(crate) heads: Heads,
    pub(crate) quarantine: Quarantine,
    pub(crate) forks: Forks,
}

/// What the state must know of a batch that was staged or read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Noted<'a> {
    pub(crate) commit: CommitNumber,
    pub(crate) index_in_commit: u16,
    pub(crate) replica: ReplicaId,
    pub(crate) root: &'a str,
    pub(crate) first_seq: u64,
    pub(crate) event_count: u16,
    pub(crate) end: Head,
    pub(crate) status: BatchStatus,
    pub(crate) role: BatchRole,
}

impl<'a> Noted<'a> {
    /// A batch of a frame, with its header and hash.
    pub(crate) fn of(
        commit: CommitNumber,
        batch: &FrameBatch<'_>,
        header: &'a BatchHeader,
        hash: Hash,
    ) -> Self {
        Self {
            commit,
            index_in_commit: batch.index,
            replica: header.replica,
            root: header.root.as_str(),
            first_seq: header.first_seq,
            event_count: batch.event_count,
            end: Head { seq: header.last_seq(), hash, hlc: header.last_hlc() },
            status: batch.status,
            role: batch.role,
        }
    }
}

/// A stretch without frames where frames were lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gap {
    pub(crate) offset: u64,
    pub(crate) end: u64,
    pub(crate) first_commit: CommitNumber,
    pub(crate) next_commit: CommitNumber,
    pub(crate) first_position: Position,
    pub(crate) next_position: Position,
}

impl Gap {
    pub(crate) fn damage(&self, segment: SegmentNumber, path: &str) -> Damage {
        Damage {
            segment,
            path: path.to_owned(),
            offset: self.offset,
            end: self.end,
            first_commit: self.first_commit,
            next_commit: self.next_commit,
            first_position: self.first_position,
            next_position: self.next_position,
        }
    }

    fn words(&self) -> [u64; 6] {
        [
            self.offset,
            self.end,
            self.first_commit.as_u64(),
            self.next_commit.as_u64(),
            self.first_position.as_u64(),
            self.next_position.as_u64(),
        ]
    }
}

impl SegmentIndex {
    /// The index of a segment without frames, with room for those of so many bytes.
    pub(crate) fn empty(header: &SegmentHeader, segment_bytes: u64) -> Self {
        Self {
            end: SegmentEnd {
                offset: match header.form {
                    SegmentForm::Hot => BLOCK_BYTES,
                    SegmentForm::Sealed => 0,
                },
                next_commit: header.first_commit,
                next_position: header.first_position,
                last_arrival: header.arrival_before,
            },
            gaps: Vec::new(),
            sparse: SparseTable::with_room(segment_bytes),
            blocks: None,
        }
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        let blocks = self.blocks.as_ref().map_or(0, BlockTable::memory_bytes);
        size_of::<Self>() + self.sparse.memory_bytes() + blocks
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.gaps.len() as u64);
        for gap in &self.gaps {
            for word in gap.words() {
                put_varint(out, word);
            }
        }
        self.sparse.encode(out);
        out.push(u8::from(self.blocks.is_some()));
        if let Some(blocks) = &self.blocks {
            blocks.encode(out);
        }
    }

    fn decode(end: SegmentEnd, bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields::new(bytes);
        let mut gaps = Vec::new();
        for _ in 0..fields.varint()? {
            gaps.push(Gap {
                offset: fields.varint()?,
                end: fields.varint()?,
                first_commit: CommitNumber::new(fields.varint()?),
                next_commit: CommitNumber::new(fields.varint()?),
                first_position: Position::new(fields.varint()?),
                next_position: Position::new(fields.varint()?),
            });
        }
        let sparse = SparseTable::decode(&mut fields)?;
        let blocks = match fields.u8()? {
            0 => None,
            1 => Some(BlockTable::decode(&mut fields)?),
            2.. => return None,
        };
        fields.finish()?;
        Some(Self { end, gaps, sparse, blocks })
    }
}

impl LogState {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        self.heads.encode(out);
        self.quarantine.encode(out);
        self.forks.encode(out);
    }

    /// Takes the next batch of the log into account.
    pub(crate) fn note(&mut self, batch: &Noted<'_>) {
        match batch.role {
            BatchRole::Continues => self.heads.set(batch.replica, batch.root, batch.end),
            BatchRole::Branch => self.forks.add(batch.root, batch.replica),
            BatchRole::Release => self.quarantine.release(batch),
        }
        match batch.status {
            BatchStatus::Admitted => {}
            BatchStatus::Quarantined => self.quarantine.batches.push(Quarantined {
                commit: batch.commit,
                index_in_commit: batch.index_in_commit,
                replica: batch.replica,
                root: batch.root.into(),
                first_seq: batch.first_seq,
                event_count: batch.event_count,
            }),
        }
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields::new(bytes);
        let heads = Heads::decode(&mut fields)?;
        let quarantine = Quarantine::decode(&mut fields)?;
        let forks = Forks::decode(&mut fields)?;
        fields.finish()?;
        Some(Self { heads, quarantine, forks })
    }
}

/// Decodes any bytes as both parts of a footer: what decodes encodes to the same bytes.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn check_parts(bytes: &[u8]) {
    let end = SegmentEnd {
        offset: 0,
        next_commit: CommitNumber::FIRST,
        next_position: Position::NONE,
        last_arrival: Hlc::ZERO,
    };
    let mut again = Vec::new();
    if let Some(index) = SegmentIndex::decode(end, bytes) {
        index.encode(&mut again);
        assert_eq!(again, bytes, "one encoding per index");
    }
    again.clear();
    if let Some(state) = LogState::decode(bytes) {
        state.encode(&mut again);
        assert_eq!(again, bytes, "one encoding per state");
    }
}

/// The last bytes of a file with a footer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Trailer {
    segment: SegmentNumber,
    end: SegmentEnd,
    offset: u64,
    index_len: u32,
    index_checksum: u32,
    state_len: u32,
    state_checksum: u32,
}

impl Trailer {
    /// The trailer of a footer at `offset`; `None` if a part is too large to have one.
    pub(crate) fn new(
        segment: SegmentNumber,
        end: SegmentEnd,
        offset: u64,
        epoch: Epoch,
        index: &[u8],
        state: &[u8],
    ) -> Option<Self> {
        Some(Self {
            segment,
            end,
            offset,
            index_len: u32::try_from(index.len()).ok()?,
            index_checksum: epoch.checksum(index),
            state_len: u32::try_from(state.len()).ok()?,
            state_checksum: epoch.checksum(state),
        })
    }

    /// Where the segment's frames end.
    pub(crate) const fn end(&self) -> SegmentEnd {
        self.end
    }

    /// Where the index stands in the file.
    pub(crate) const fn index_at(&self) -> (u64, usize) {
        (self.offset, self.index_len as usize)
    }

    /// Where the state stands in the file.
    pub(crate) const fn state_at(&self) -> (u64, usize) {
        (self.offset + self.index_len as u64, self.state_len as usize)
    }

    pub(crate) fn encode(&self, epoch: Epoch) -> [u8; TRAILER_BYTES] {
        let mut bytes = Vec::with_capacity(TRAILER_BYTES);
        bytes.extend_from_slice(&MAGIC);
        for word in [
            self.segment.as_u64(),
            self.end.offset,
            self.end.next_commit.as_u64(),
            self.end.next_position.as_u64(),
            self.end.last_arrival.as_u64(),
            self.offset,
        ] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        for word in [self.index_len, self.index_checksum, self.state_len, self.state_checksum] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        bytes.resize(TRAILER_BYTES - 4, 0);
        bytes.extend_from_slice(&epoch.checksum(&bytes).to_le_bytes());
        let mut out = [0; TRAILER_BYTES];
        out.copy_from_slice(&bytes);
        out
    }

    /// The trailer in these bytes, if it is one of this segment in this epoch.
    pub(crate) fn decode(
        bytes: &[u8; TRAILER_BYTES],
        segment: SegmentNumber,
        epoch: Epoch,
    ) -> Option<Self> {
        let (checked, checksum) = bytes.split_at_checked(TRAILER_BYTES - 4)?;
        if Fields::new(checksum).u32()? != epoch.checksum(checked) {
            return None;
        }
        let mut fields = Fields::new(checked);
        if fields.array()? != MAGIC || fields.u64()? != segment.as_u64() {
            return None;
        }
        let end = SegmentEnd {
            offset: fields.u64()?,
            next_commit: CommitNumber::new(fields.u64()?),
            next_position: Position::new(fields.u64()?),
            last_arrival: Hlc::from_u64(fields.u64()?),
        };
        let trailer = Self {
            segment,
            end,
            offset: fields.u64()?,
            index_len: fields.u32()?,
            index_checksum: fields.u32()?,
            state_len: fields.u32()?,
            state_checksum: fields.u32()?,
        };
        fields.rest().iter().all(|byte| *byte == 0).then_some(trailer)
    }

    /// Checks and decodes the index's bytes.
    pub(crate) fn open_index(&self, bytes: &[u8], epoch: Epoch) -> Option<SegmentIndex> {
        (epoch.checksum(bytes) == self.index_checksum)
            .then(|| SegmentIndex::decode(self.end, bytes))?
    }

    /// Checks and decodes the state's bytes.
    pub(crate) fn open_state(&self, bytes: &[u8], epoch: Epoch) -> Option<LogState> {
        (epoch.checksum(bytes) == self.state_checksum).then(|| LogState::decode(bytes))?
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sparse::Mark;
    use proptest::prelude::*;

    fn sample() -> (SegmentIndex, LogState) {
        let end = SegmentEnd {
            offset: 50_000,
            next_commit: CommitNumber::new(9),
            next_position: Position::new(20),
            last_arrival: Hlc::new(5, 5),
        };
        let mut sparse = SparseTable::default();
        for offset in [4096, 30_000] {
            sparse.note(Mark {
                offset,
                commit: CommitNumber::new(offset / 4096),
                first_position: Position::new(offset / 1000),
                arrival: Hlc::new(offset, 0),
            });
        }
        let mut blocks = BlockTable::default();
        blocks.raw_len = 40_000;
        for len in [9000, 16_389, 1234] {
            assert!(blocks.push(len));
        }
        let gap = Gap {
            offset: 5000,
            end: 6000,
            first_commit: CommitNumber::new(2),
            next_commit: CommitNumber::new(3),
            first_position: Position::new(4),
            next_position: Position::new(4),
        };
        let index = SegmentIndex { end, gaps: vec![gap], sparse, blocks: Some(blocks) };
        let mut state = LogState::default();
        for replica in [1, 2] {
            let head = Head { seq: 3, hash: Hash::of(b"x"), hlc: Hlc::new(9, 9) };
            state.heads.set(ReplicaId::from_u64(replica), "truck", head);
        }
        state.quarantine.batches.push(Quarantined {
            commit: CommitNumber::new(4),
            index_in_commit: 1,
            replica: ReplicaId::from_u64(2),
            root: "truck".into(),
            first_seq: 3,
            event_count: 1,
        });
        for replica in [1, 2] {
            state.forks.add("truck", ReplicaId::from_u64(replica));
        }
        (index, state)
    }

    #[test]
    fn footer_round_trips_and_every_flipped_bit_is_refused() {
        let (index, state) = sample();
        let (mut index_bytes, mut state_bytes) = (Vec::new(), Vec::new());
        index.encode(&mut index_bytes);
        state.encode(&mut state_bytes);
        let epoch = Epoch::new(3);
        let number = SegmentNumber::FIRST;
        let trailer = Trailer::new(number, index.end, 8192, epoch, &index_bytes, &state_bytes);
        let trailer = trailer.expect("small");
        let bytes = trailer.encode(epoch);
        assert_eq!(Trailer::decode(&bytes, number, epoch), Some(trailer));
        assert_eq!(trailer.open_index(&index_bytes, epoch), Some(index));
        assert_eq!(trailer.open_state(&state_bytes, epoch), Some(state));
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Trailer::decode(&bad, number, epoch), None, "bit {bit}");
        }
        assert_eq!(Trailer::decode(&bytes, number.next(), epoch), None, "another segment");
        assert_eq!(Trailer::decode(&bytes, number, Epoch::new(4)), None, "another epoch");
        index_bytes[3] ^= 1;
        assert_eq!(trailer.open_index(&index_bytes, epoch), None);
    }

    #[test]
    fn cut_parts_are_refused() {
        let (index, state) = sample();
        let mut bytes = Vec::new();
        state.encode(&mut bytes);
        let mut forks = Vec::new();
        state.forks.encode(&mut forks);
        for len in 0..bytes.len() {
            // Where nothing is forked, nothing is written of forks.
            let is_whole = len + forks.len() == bytes.len();
            assert_eq!(LogState::decode(&bytes[..len]).is_some(), is_whole, "{len} bytes");
        }
        bytes.clear();
        index.encode(&mut bytes);
        for len in 0..bytes.len() {
            assert_eq!(SegmentIndex::decode(index.end, &bytes[..len]), None, "{len} bytes");
        }
    }

    proptest! {
        #[test]
        fn what_decodes_encodes_to_the_same_bytes(bytes: Vec<u8>) {
            check_parts(&bytes);
        }
    }
}
