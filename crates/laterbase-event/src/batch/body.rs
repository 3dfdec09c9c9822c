//! What a builder hands over: encoded and hashed envelopes and payloads, and how they become a
//! batch once the clock and the log's head are known.
//!
//! Only [`BatchBody::stamp`] and [`BatchBody::write_front`] need the caller to hold the append
//! lock: they touch some 150 bytes, whatever the batch's size.

use alloc::vec::Vec;

use super::{decode_error::Field, header::BatchHeader};
use crate::{DatabaseId, EventId, Hash, Hlc, ReplicaId, RootName};

/// The form byte of a batch without a signature.
const FORM_PLAIN: u8 = 0;

/// The encoded events of one batch, before it has a place in a log. Borrows from its builder.
///
/// The batch's bytes are what [`BatchBody::write_front`] writes, then
/// [`envelopes`](BatchBody::envelopes), then [`payloads`](BatchBody::payloads).
#[derive(Clone, Copy, Debug)]
pub struct BatchBody<'a> {
    /// The root of all its events.
    pub root: RootName,
    /// How many events.
    pub count: u32,
    /// Whether some event's valid time is its transaction time.
    pub has_default_valid: bool,
    /// Everything about the events but their payloads.
    pub envelopes: &'a [u8],
    /// The payloads, one after the other.
    pub payloads: &'a [u8],
    /// BLAKE3 of the envelopes.
    pub envelopes_hash: Hash,
    /// BLAKE3 of the payloads.
    pub payloads_hash: Hash,
    /// How many events before this batch's first one its causes by distance reach.
    pub(super) cause_reach: u32,
    /// Causes by id: for each run of one replica the highest.
    pub(super) causes: &'a [EventId],
}

/// Where a batch goes: decided one batch at a time, under the append lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The database.
    pub database: DatabaseId,
    /// Who records it.
    pub replica: ReplicaId,
    /// The first event's number in its log, from 1.
    pub first_seq: u64,
    /// The first event's clock value, from [`crate::Clock::tick`].
    pub first_hlc: Hlc,
    /// The clock value of the commit's first event; equal to `first_hlc` for part 0.
    pub commit_hlc: Hlc,
    /// Which part of the commit, from 0.
    pub part: u32,
    /// How many parts the commit has.
    pub parts: u32,
    /// The hash of the log's batch before; [`Hash::ZERO`] for the first.
    pub previous: Hash,
}

/// Why a stamp does not fit a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StampError {
    /// The batch has no events.
    #[error("the batch is empty; push at least one event")]
    Empty,
    /// The stamp contradicts itself.
    #[error("{field} contradicts the rest of the stamp")]
    Inconsistent {
        /// The first field that does.
        field: Field,
    },
    /// An event's cause lies before the commit's first event.
    #[error("a cause reaches {reach} events before the batch, but the commit has only {distance}")]
    CauseBeforeCommit {
        /// How far back it reaches.
        reach: u32,
        /// How many events of the commit precede the batch.
        distance: u64,
    },
    /// An event's cause is an id of this replica that is not given out before this commit.
    #[error("the cause {cause} is not an earlier event; name events of this commit by distance")]
    CauseNotEarlier {
        /// The cause.
        cause: EventId,
    },
}

impl BatchBody<'_> {
    /// The header of this body at that place.
    ///
    /// # Errors
    /// In the order of [`StampError`]'s variants; each is a mistake of the program, but
    /// [`StampError::CauseNotEarlier`], which is one of whoever gave the cause.
    pub fn stamp(&self, stamp: &Stamp) -> Result<BatchHeader, StampError> {
        if self.count == 0 {
            return Err(StampError::Empty);
        }
        let header = BatchHeader {
            database: stamp.database,
            replica: stamp.replica,
            root: self.root,
            first_seq: stamp.first_seq,
            count: self.count,
            first_hlc: stamp.first_hlc,
            commit_hlc: stamp.commit_hlc,
            part: stamp.part,
            parts: stamp.parts,
            previous: stamp.previous,
            has_default_valid: self.has_default_valid,
            // The builder keeps both within `Limits::BODY_BYTES_MAX`.
            envelopes_len: self.envelopes.len() as u32,
            payloads_len: self.payloads.len() as u32,
        };
        if let Some(field) = header.inconsistent() {
            return Err(StampError::Inconsistent { field });
        }
        let distance = header.commit_distance();
        if u64::from(self.cause_reach) > distance {
            return Err(StampError::CauseBeforeCommit { reach: self.cause_reach, distance });
        }
        let later = |cause: &&EventId| {
            cause.replica() == header.replica && cause.hlc() >= header.commit_hlc
        };
        match self.causes.iter().find(later) {
            Some(cause) => Err(StampError::CauseNotEarlier { cause: *cause }),
            None => Ok(header),
        }
    }

    /// Appends what precedes the envelopes in the batch's bytes, and returns the batch's hash.
    ///
    /// `header` must come from [`BatchBody::stamp`] of this body.
    pub fn write_front(&self, header: &BatchHeader, out: &mut Vec<u8>) -> Hash {
        out.push(FORM_PLAIN);
        let start = out.len();
        header.encode_into(out);
        let header_bytes = out.get(start..).unwrap_or_default();
        batch_hash(header_bytes, &self.envelopes_hash, &self.payloads_hash)
    }

    /// Appends the batch's bytes and returns its hash.
    ///
    /// `header` must come from [`BatchBody::stamp`] of this body.
    pub fn write_batch(&self, header: &BatchHeader, out: &mut Vec<u8>) -> Hash {
        let hash = self.write_front(header, out);
        out.extend_from_slice(self.envelopes);
        out.extend_from_slice(self.payloads);
        hash
    }
}

/// The hash of a batch: BLAKE3 over the header's bytes (without the form byte before them), the
/// hash of the envelopes and the hash of the payloads.
///
/// Two levels, so that payloads can be dropped while the chain still proves itself.
#[must_use]
pub fn batch_hash(header: &[u8], envelopes: &Hash, payloads: &Hash) -> Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(header);
    hasher.update(envelopes.as_bytes());
    hasher.update(payloads.as_bytes());
    Hash::from_bytes(*hasher.finalize().as_bytes())
}
