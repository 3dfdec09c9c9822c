//! The header of a batch: the hashed bytes that say whose it is and where it belongs.
//!
//! ```text
//! u8       format = 1
//! u8       flags: bit 0, some event's valid time is its transaction time
//! [16]     database
//! u64le    replica
//! u64le    clock value of the first event; event i has this plus i
//! [32]     hash of the log's batch before; zeros if and only if first seq is 1
//! u8, ...  length and name of the root
//! varint   first seq                      1 ..
//! varint   count                          1 ..= 65,535
//! varint   first clock value minus the commit's
//! varint   part                           0 .. parts
//! varint   parts                          1 ..= 65,535
//! varint   length of the envelopes
//! varint   length of the payloads
//! ```
//! Lengths are written and read here; what they measure is not looked at.

use alloc::vec::Vec;

use super::decode_error::{DecodeError, Field};
use crate::{DatabaseId, EventId, Hash, Hlc, Limits, ReplicaId, RootName, reader::Reader, varint};

const FORMAT: u8 = 1;
const FLAG_DEFAULT_VALID: u8 = 1;

/// The header of a batch. Plain data: nothing ties the fields together until
/// [`BatchHeader::decode`] or [`crate::BatchBody::stamp`] has checked them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    /// The database.
    pub database: DatabaseId,
    /// Who recorded the batch.
    pub replica: ReplicaId,
    /// Under which root.
    pub root: RootName,
    /// The first event's number in its log, from 1.
    pub first_seq: u64,
    /// How many events: 1 to 65,535.
    pub count: u32,
    /// The first event's clock value; the others follow in steps of one.
    pub first_hlc: Hlc,
    /// The clock value of the commit's first event.
    pub commit_hlc: Hlc,
    /// Which part of the commit this batch is, from 0.
    pub part: u32,
    /// How many parts the commit has, from 1.
    pub parts: u32,
    /// The hash of the log's batch before this one; [`Hash::ZERO`] for the first.
    pub previous: Hash,
    /// Whether some event's valid time is its transaction time.
    pub has_default_valid: bool,
    /// Bytes of the envelopes.
    pub envelopes_len: u32,
    /// Bytes of the payloads.
    pub payloads_len: u32,
}

impl BatchHeader {
    /// No header is longer.
    pub const BYTES_MAX: usize = 1 + 1 + 16 + 8 + 8 + 32 + 1 + 64 + 10 + 3 + 5 + 3 + 3 + 4 + 4;

    /// Where the bytes of a batch name the hash of the one before it: behind form, format, flags,
    /// database, replica and first HLC.
    pub const PREVIOUS: core::ops::Range<usize> = 35..67;

    /// The id of event `index`, from 0.
    ///
    /// Below [`BatchHeader::count`] it is exact; beyond, it saturates at the end of time.
    #[must_use]
    pub fn event_id(&self, index: u32) -> EventId {
        let hlc = self.first_hlc.checked_add(u64::from(index)).unwrap_or(Hlc::MAX);
        EventId::new(hlc, self.replica)
    }

    /// The last event's clock value.
    #[must_use]
    pub fn last_hlc(&self) -> Hlc {
        self.event_id(self.count.saturating_sub(1)).hlc()
    }

    /// The last event's number in its log.
    #[must_use]
    pub fn last_seq(&self) -> u64 {
        self.first_seq.saturating_add(u64::from(self.count.saturating_sub(1)))
    }

    /// The id of the commit: that of its first event.
    #[must_use]
    pub fn commit(&self) -> EventId {
        EventId::new(self.commit_hlc, self.replica)
    }

    /// How many events of the commit come before this batch's first.
    #[must_use]
    pub fn commit_distance(&self) -> u64 {
        self.first_hlc.as_u64().saturating_sub(self.commit_hlc.as_u64())
    }

    /// Where in the batch `id` is, if it is one of its events.
    #[must_use]
    pub fn index_of(&self, id: EventId) -> Option<u32> {
        let distance = id.hlc().as_u64().checked_sub(self.first_hlc.as_u64())?;
        let index = u32::try_from(distance).ok()?;
        (id.replica() == self.replica && index < self.count).then_some(index)
    }

    /// Appends the header's bytes, at most [`BatchHeader::BYTES_MAX`] of them. They do not include
    /// the form byte before them.
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        out.push(FORMAT);
        out.push(if self.has_default_valid { FLAG_DEFAULT_VALID } else { 0 });
        out.extend_from_slice(self.database.as_bytes());
        out.extend_from_slice(&self.replica.as_u64().to_le_bytes());
        out.extend_from_slice(&self.first_hlc.as_u64().to_le_bytes());
        out.extend_from_slice(self.previous.as_bytes());
        out.push(self.root.as_bytes().len() as u8);
        out.extend_from_slice(self.root.as_bytes());
        varint::write(self.first_seq, out);
        varint::write(u64::from(self.count), out);
        varint::write(self.commit_distance(), out);
        varint::write(u64::from(self.part), out);
        varint::write(u64::from(self.parts), out);
        varint::write(u64::from(self.envelopes_len), out);
        varint::write(u64::from(self.payloads_len), out);
    }

    /// Reads a header from the front of `bytes` and says how many bytes it took.
    ///
    /// # Errors
    /// [`DecodeError`] for whatever [`BatchHeader::encode_into`] would not have written for a
    /// consistent header, so that decoding and encoding again gives the same bytes.
    pub fn decode(bytes: &[u8]) -> Result<(Self, usize), DecodeError> {
        let mut reader = Reader::new(bytes);
        let header = Self::read(&mut reader)?;
        Ok((header, bytes.len() - reader.rest().len()))
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let found = reader.u8(Field::Format)?;
        if found != FORMAT {
            return Err(DecodeError::UnknownFormat { found });
        }
        let flags = reader.u8(Field::HeaderFlags)?;
        if flags & !FLAG_DEFAULT_VALID != 0 {
            return Err(DecodeError::OutOfRange { field: Field::HeaderFlags });
        }
        let database = DatabaseId::from_bytes(reader.array(Field::Database)?);
        let replica = ReplicaId::from_u64(reader.u64_le(Field::Replica)?);
        let first_hlc = Hlc::from_u64(reader.u64_le(Field::FirstHlc)?);
        let previous = Hash::from_bytes(reader.array(Field::Previous)?);
        let root_len = reader.u8(Field::Root)?;
        let root = RootName::try_from(reader.text(usize::from(root_len), Field::Root)?)
            .map_err(|_| DecodeError::OutOfRange { field: Field::Root })?;
        let first_seq = reader.varint(Field::FirstSeq)?;
        let count = reader.varint_max(Limits::BATCH_EVENTS_MAX, Field::Count)?;
        let commit_distance = reader.varint(Field::CommitDistance)?;
        let part = reader.varint_max(Limits::COMMIT_PARTS_MAX, Field::Part)?;
        let parts = reader.varint_max(Limits::COMMIT_PARTS_MAX, Field::Parts)?;
        let body_bytes_max = Limits::BODY_BYTES_MAX as u32;
        let envelopes_len = reader.varint_max(body_bytes_max, Field::EnvelopesLen)?;
        let payloads_len = reader.varint_max(body_bytes_max, Field::PayloadsLen)?;
        let commit_hlc = first_hlc
            .checked_sub(commit_distance)
            .ok_or(DecodeError::OutOfRange { field: Field::CommitDistance })?;
        let header = Self {
            database,
            replica,
            root,
            first_seq,
            count,
            first_hlc,
            commit_hlc,
            part,
            parts,
            previous,
            has_default_valid: flags & FLAG_DEFAULT_VALID != 0,
            envelopes_len,
            payloads_len,
        };
        match header.inconsistent() {
            Some(field) => Err(DecodeError::OutOfRange { field }),
            None => Ok(header),
        }
    }

    /// The first field that contradicts the others or its own range; `None` if all is well.
    pub(super) fn inconsistent(&self) -> Option<Field> {
        let steps = u64::from(self.count.saturating_sub(1));
        let distance = self.commit_distance();
        let before_max = u64::from(self.part) * u64::from(Limits::BATCH_EVENTS_MAX);
        let body = u64::from(self.envelopes_len) + u64::from(self.payloads_len);
        let checks = [
            (self.count >= 1 && self.count <= Limits::BATCH_EVENTS_MAX, Field::Count),
            (self.first_hlc.checked_add(steps).is_some(), Field::FirstHlc),
            (self.commit_hlc > Hlc::ZERO, Field::CommitDistance),
            (self.commit_hlc <= self.first_hlc, Field::CommitDistance),
            (self.first_seq >= 1 && self.first_seq.checked_add(steps).is_some(), Field::FirstSeq),
            ((self.first_seq == 1) == (self.previous == Hash::ZERO), Field::Previous),
            (self.parts >= 1 && self.parts <= Limits::COMMIT_PARTS_MAX, Field::Parts),
            (self.part < self.parts, Field::Part),
            // Each earlier part has 1 to 65,535 events.
            (distance >= u64::from(self.part) && distance <= before_max, Field::CommitDistance),
            (body <= Limits::BODY_BYTES_MAX as u64, Field::PayloadsLen),
        ];
        checks.into_iter().find(|(holds, _)| !holds).map(|(_, field)| field)
    }
}
