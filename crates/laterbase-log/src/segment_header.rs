//! The first block of every segment file: who it belongs to and where it begins.
//!
//! ```text
//!   0        8        12   16       24       32       40        48        56
//!   +--------+--------+----+--------+--------+--------+---------+---------+
//!   | magic  | version|form| epoch  | number | commit | position| arrival |
//!   +--------+--------+----+--------+--------+--------+---------+---------+
//!   | database (16)   | flags, zeroes (24) | CRC-32C | zeroes up to 4096
//!   +-----------------+--------------------+---------+
//!   56                72                   96        100
//! ```
//! `commit` and `position` are the first ones that may stand in it; `arrival` is that of the last
//! frame before it. The checksum runs over bytes 0 to 96. The block is written once, before the
//! file gets its name, and never again until the file is recycled.
//!
//! Invariant: frames of the segment before this one whose commit number is `commit` or more do not
//! count: they were written again here (see `recovery`).

use crate::number::{CommitNumber, SegmentNumber};
use crate::wire::Fields;
use laterbase_event::{DatabaseId, Hlc, Position};

/// The header's block, and what groups of commits are aligned to.
pub(crate) const BLOCK_BYTES: u64 = 4096;
/// The latest format version, the only one so far.
pub(crate) const FORMAT_VERSION: u32 = 1;

const MAGIC: [u8; 8] = *b"LBSEGMNT";
const CHECKED_BYTES: usize = 96;
const FLAG_RECYCLED: u32 = 1;

/// How the frames of a segment are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SegmentForm {
    /// As they were written, in groups of whole blocks.
    Hot,
    /// Compressed in blocks, without padding.
    Sealed,
}

/// A segment's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) form: SegmentForm,
    pub(crate) epoch: u64,
    pub(crate) number: SegmentNumber,
    pub(crate) first_commit: CommitNumber,
    pub(crate) first_position: Position,
    /// The arrival of the last frame before this segment.
    pub(crate) arrival_before: Hlc,
    pub(crate) database: DatabaseId,
    /// The file may hold frames of an earlier life.
    pub(crate) recycled: bool,
}

/// Why a block is no segment header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeaderFault {
    /// The bytes are none, or damaged.
    Damaged,
    /// A later format version.
    Newer {
        /// That version.
        version: u32,
    },
}

impl SegmentHeader {
    /// The header's block.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let form = match self.form {
            SegmentForm::Hot => 0_u32,
            SegmentForm::Sealed => 1,
        };
        let flags = if self.recycled { FLAG_RECYCLED } else { 0 };
        let mut out = Vec::with_capacity(4096);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
        out.extend_from_slice(&form.to_le_bytes());
        for word in [
            self.epoch,
            self.number.as_u64(),
            self.first_commit.as_u64(),
            self.first_position.as_u64(),
            self.arrival_before.as_u64(),
        ] {
            out.extend_from_slice(&word.to_le_bytes());
        }
        out.extend_from_slice(self.database.as_bytes());
        out.extend_from_slice(&flags.to_le_bytes());
        out.resize(CHECKED_BYTES, 0);
        out.extend_from_slice(&crc32c::crc32c(&out).to_le_bytes());
        out.resize(BLOCK_BYTES as usize, 0);
        out
    }

    /// Decodes the header's block.
    pub(crate) fn decode(block: &[u8]) -> Result<Self, HeaderFault> {
        let checked = block.get(..CHECKED_BYTES).ok_or(HeaderFault::Damaged)?;
        let mut fields = Fields::new(checked);
        if fields.array() != Some(MAGIC) {
            return Err(HeaderFault::Damaged);
        }
        // The version comes before the checksum, which another version may keep elsewhere.
        let version = fields.u32().ok_or(HeaderFault::Damaged)?;
        if version > FORMAT_VERSION {
            return Err(HeaderFault::Newer { version });
        }
        let stored = block.get(CHECKED_BYTES..).and_then(|rest| Fields::new(rest).u32());
        if stored != Some(crc32c::crc32c(checked)) || version != FORMAT_VERSION {
            return Err(HeaderFault::Damaged);
        }
        Self::decode_fields(&mut fields).ok_or(HeaderFault::Damaged)
    }

    fn decode_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let form = match fields.u32()? {
            0 => SegmentForm::Hot,
            1 => SegmentForm::Sealed,
            2.. => return None,
        };
        Some(Self {
            form,
            epoch: fields.u64()?,
            number: SegmentNumber::new(fields.u64()?),
            first_commit: CommitNumber::new(fields.u64()?),
            first_position: Position::new(fields.u64()?),
            arrival_before: Hlc::from_u64(fields.u64()?),
            database: DatabaseId::from_bytes(fields.array()?),
            recycled: match fields.u32()? {
                0 => false,
                FLAG_RECYCLED => true,
                2.. => return None,
            },
        })
    }
}

/// Draws segments' epochs from one random number: another one for every segment and every opening.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Epochs {
    seed: u64,
}

impl Epochs {
    /// `entropy` must be random, and new each time the log is opened.
    pub(crate) const fn new(entropy: u64) -> Self {
        Self { seed: entropy }
    }

    /// The epoch of the segment with this number, if this opening is what creates it.
    ///
    /// No two segments of one opening share an epoch: the mixing function, the finaliser of
    /// `SplitMix64`, is a bijection.
    pub(crate) const fn for_segment(self, number: SegmentNumber) -> u64 {
        self.mix(number.as_u64().wrapping_mul(2))
    }

    /// The epoch of the sealed form of the segment with this number.
    pub(crate) const fn for_sealed(self, number: SegmentNumber) -> u64 {
        self.mix(number.as_u64().wrapping_mul(2).wrapping_add(1))
    }

    const fn mix(self, index: u64) -> u64 {
        let mut z = self.seed.wrapping_add(index.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
