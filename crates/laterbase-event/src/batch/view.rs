//! A whole batch in memory, taken apart but not yet decoded.
//!
//! Parsing trusts nothing and proves little: lengths fit, the header is consistent. That suffices
//! for bytes whose checksum the log has proved, because they were verified before they were
//! stored; bytes from elsewhere go through [`crate::Verifier`].

use super::{
    body::batch_hash,
    cursor::{DecodeScratch, EventCursor},
    decode_error::{DecodeError, Field},
    event_view::EventView,
    header::BatchHeader,
    verify::{Verifier, VerifyError},
};
use crate::{Hash, Limits, reader::Reader};

/// Form bit: a signature follows the payloads.
pub(super) const FORM_SIGNED: u8 = 1;

/// A batch's signature. Stored and forwarded; nothing makes or checks one yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Which key.
    pub key_id: [u8; 8],
    /// Ed25519 over the batch's hash.
    pub signature: [u8; 64],
}

/// A batch, borrowed.
#[derive(Clone, Debug)]
pub struct BatchView<'a> {
    header: BatchHeader,
    header_bytes: &'a [u8],
    envelopes: &'a [u8],
    payloads: &'a [u8],
    signature: Option<Signature>,
}

impl<'a> BatchView<'a> {
    /// Takes `bytes`, which must be one batch and nothing more, apart.
    ///
    /// # Errors
    /// [`DecodeError`] if the outer parts do not fit together.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let form = read_form(&mut reader)?;
        let from_header = reader.rest();
        let header = BatchHeader::read(&mut reader)?;
        let header_len = from_header.len() - reader.rest().len();
        let envelopes = reader.bytes(header.envelopes_len as usize, Field::EnvelopesLen)?;
        let payloads = reader.bytes(header.payloads_len as usize, Field::PayloadsLen)?;
        let signature = if form & FORM_SIGNED != 0 {
            let key_id = reader.array(Field::Signature)?;
            Some(Signature { key_id, signature: reader.array(Field::Signature)? })
        } else {
            None
        };
        if !reader.is_empty() {
            return Err(DecodeError::Trailing { field: Field::PayloadsLen });
        }
        let header_bytes = from_header.get(..header_len).unwrap_or_default();
        Ok(Self { header, header_bytes, envelopes, payloads, signature })
    }

    /// The header.
    #[must_use]
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// The header's bytes, as they are hashed.
    #[must_use]
    pub fn header_bytes(&self) -> &'a [u8] {
        self.header_bytes
    }

    /// The envelopes' bytes.
    #[must_use]
    pub fn envelopes(&self) -> &'a [u8] {
        self.envelopes
    }

    /// The payloads' bytes.
    #[must_use]
    pub fn payloads(&self) -> &'a [u8] {
        self.payloads
    }

    /// The signature, if it has one.
    #[must_use]
    pub fn signature(&self) -> Option<&Signature> {
        self.signature.as_ref()
    }

    /// Hashes the batch.
    #[must_use]
    pub fn hash(&self) -> Hash {
        batch_hash(self.header_bytes, &Hash::of(self.envelopes), &Hash::of(self.payloads))
    }

    /// Its events, in order.
    ///
    /// # Errors
    /// [`DecodeError`] if the dictionaries make no sense.
    pub fn events<'s>(
        &'s self,
        scratch: &'s mut DecodeScratch,
    ) -> Result<EventCursor<'s>, DecodeError> {
        EventCursor::new(self, scratch)
    }

    /// Its events from `index` on, in order; none if that is the number of events. Reads at most
    /// 15 envelopes before it.
    ///
    /// # Errors
    /// [`DecodeError`] if the index is higher or the bytes make no sense.
    pub fn events_from<'s>(
        &'s self,
        scratch: &'s mut DecodeScratch,
        index: u32,
    ) -> Result<EventCursor<'s>, DecodeError> {
        let mut cursor = EventCursor::new(self, scratch)?;
        cursor.seek(index)?;
        Ok(cursor)
    }

    /// Its events from `index` on whose types `wants` says yes to, in order.
    ///
    /// What is left out is checked only as far as it takes to find the others; a batch that holds
    /// none of these types is not read beyond its dictionaries.
    ///
    /// # Errors
    /// [`DecodeError`] if the index is higher than the number of events or the bytes make no sense.
    pub fn events_of_types<'s>(
        &'s self,
        scratch: &'s mut DecodeScratch,
        index: u32,
        wants: impl Fn(&str) -> bool,
    ) -> Result<EventCursor<'s>, DecodeError> {
        EventCursor::of_types(self, scratch, index, wants)
    }

    /// One event, by its index from 0. Reads the dictionaries and at most 16 envelopes; for many
    /// single events of one batch, keep a [`crate::BatchDirectory`] instead.
    ///
    /// # Errors
    /// [`DecodeError`] if the index is too high or the bytes make no sense.
    pub fn event<'s>(
        &'s self,
        index: u32,
        scratch: &'s mut DecodeScratch,
    ) -> Result<EventView<'s>, DecodeError> {
        EventCursor::new(self, scratch)?.into_event(index)
    }

    /// Checks everything, as for bytes that nobody has vouched for, and returns the hash. For
    /// many batches, keep a [`Verifier`].
    ///
    /// # Errors
    /// [`VerifyError`] if any builder within `limits` would have written other bytes.
    pub fn verify(&self, limits: Limits) -> Result<Hash, VerifyError> {
        Verifier::new(limits).verify(self)
    }
}

/// Reads the byte that says which outer parts follow.
pub(super) fn read_form(reader: &mut Reader<'_>) -> Result<u8, DecodeError> {
    let found = reader.u8(Field::Form)?;
    if found & !FORM_SIGNED != 0 {
        return Err(DecodeError::UnknownForm { found });
    }
    Ok(found)
}
