//! One decoded event without its payload, which may have to be read separately; with it, it
//! becomes an [`EventView`]. Borrowed from the bytes and from the decoder's memory.

use core::ops::Range;

use super::{
    decode_error::Field,
    dictionary::Dictionary,
    event_view::EventView,
    group_decoder::{Envelope, GroupDecoder, RawCause, TagEntry},
    header::BatchHeader,
};
use crate::{EventId, Hlc, Timestamp, reader::Reader};

/// An event without its payload.
#[derive(Clone, Debug)]
pub struct EnvelopeView<'a> {
    pub(super) header: &'a BatchHeader,
    pub(super) dictionary: &'a Dictionary,
    pub(super) decoder: &'a GroupDecoder,
    pub(super) group: &'a [u8],
    pub(super) envelope: Envelope,
    pub(super) index: u32,
    /// Where in the payloads its payload begins.
    pub(super) payload_start: usize,
}

impl<'a> EnvelopeView<'a> {
    /// The event's id.
    #[must_use]
    pub fn id(&self) -> EventId {
        self.header.event_id(self.index)
    }

    /// The header of its batch.
    #[must_use]
    pub fn header(&self) -> &'a BatchHeader {
        self.header
    }

    /// Its index in the batch, from 0.
    #[must_use]
    pub fn index(&self) -> u32 {
        self.index
    }

    /// The root under which it was recorded.
    #[must_use]
    pub fn root(&self) -> &'a str {
        self.header.root.as_str()
    }

    /// Its number in its log, from 1.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.header.first_seq.saturating_add(u64::from(self.index))
    }

    /// Which thing under the root.
    #[must_use]
    pub fn key(&self) -> &'a str {
        self.decoder.key()
    }

    /// Whether the key is the event's own id, because its writer gave none.
    #[must_use]
    pub fn key_is_own_id(&self) -> bool {
        self.envelope.key_is_own_id
    }

    /// The kind of event.
    #[must_use]
    pub fn type_name(&self) -> &'a str {
        self.dictionary.type_name(self.envelope.shape)
    }

    /// The version of the kind's schema.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.dictionary.version(self.envelope.shape)
    }

    /// When it happened: what the writer gave, or else the transaction time.
    #[must_use]
    pub fn valid_at(&self) -> Timestamp {
        match self.envelope.valid_at {
            Some(micros) => Timestamp::from_micros(micros),
            None => Timestamp::from_hlc(self.id().hlc()),
        }
    }

    /// Whether the writer gave no valid time.
    #[must_use]
    pub fn valid_is_default(&self) -> bool {
        self.envelope.valid_at.is_none()
    }

    /// The other things that it concerns, ascending, without its own root and key.
    #[must_use]
    pub fn tags(&self) -> TagIter<'a> {
        let tags = if self.envelope.has_tags { self.decoder.tags() } else { &[] };
        TagIter { dictionary: self.dictionary, text: self.decoder.text(), tags: tags.iter() }
    }

    /// The event that it followed from.
    #[must_use]
    pub fn cause(&self) -> Option<EventId> {
        match self.envelope.cause {
            RawCause::None => None,
            RawCause::Back(distance) => {
                let hlc = self.id().hlc().checked_sub(distance).unwrap_or(Hlc::ZERO);
                Some(EventId::new(hlc, self.header.replica))
            }
            RawCause::Id(id) => Some(id),
        }
    }

    /// The writer's key for recording it once.
    #[must_use]
    pub fn idempotency(&self) -> Option<&'a [u8]> {
        self.envelope.has_idempotency.then(|| self.decoder.idempotency())
    }

    /// Names and values, by name.
    #[must_use]
    pub fn meta(&self) -> MetaIter<'a> {
        let bytes = self.group.get(self.envelope.meta.clone()).unwrap_or_default();
        MetaIter::new(bytes)
    }

    /// What the payload is.
    #[must_use]
    pub fn content_type(&self) -> &'a str {
        self.dictionary.content_type(self.envelope.shape)
    }

    /// How long the payload is, in bytes.
    #[must_use]
    pub fn payload_len(&self) -> u32 {
        self.envelope.payload_len
    }

    /// Where the payload is among the batch's payloads.
    #[must_use]
    pub fn payload_range(&self) -> Range<usize> {
        self.payload_start..self.payload_start + self.envelope.payload_len as usize
    }

    /// The event with its payload; `None` if the length is another.
    #[must_use]
    pub fn with_payload(self, payload: &'a [u8]) -> Option<EventView<'a>> {
        let fits = payload.len() == self.envelope.payload_len as usize;
        fits.then(|| EventView::new(self, payload))
    }

    /// The event without its payload, for who does not look at it: that is empty, whatever
    /// [`payload_len`](Self::payload_len) says.
    #[must_use]
    pub fn without_payload(self) -> EventView<'a> {
        EventView::new(self, &[])
    }

    pub(super) fn raw_cause(&self) -> RawCause {
        self.envelope.cause
    }

    pub(super) fn explicit_valid_at(&self) -> Option<i64> {
        self.envelope.valid_at
    }
}

/// An event's tags as (root, key).
#[derive(Clone, Debug)]
pub struct TagIter<'a> {
    dictionary: &'a Dictionary,
    text: &'a str,
    tags: core::slice::Iter<'a, TagEntry>,
}

impl<'a> Iterator for TagIter<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let tag = self.tags.next()?;
        Some((self.dictionary.root(tag.root), tag.key.of(self.text)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.tags.size_hint()
    }
}

impl ExactSizeIterator for TagIter<'_> {}

/// An event's meta as (name, value).
#[derive(Clone, Debug)]
pub struct MetaIter<'a> {
    rest: Reader<'a>,
    left: u32,
}

impl<'a> MetaIter<'a> {
    /// `bytes` have been checked by the decoder.
    fn new(bytes: &'a [u8]) -> Self {
        let mut rest = Reader::new(bytes);
        let left = rest.varint_max(u32::MAX, Field::Meta).unwrap_or_default();
        Self { rest, left }
    }

    fn text(&mut self) -> Option<&'a str> {
        let len = self.rest.varint_max(u32::MAX, Field::Meta).ok()?;
        self.rest.text(len as usize, Field::Meta).ok()
    }
}

impl<'a> Iterator for MetaIter<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        Some((self.text()?, self.text()?))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left as usize, Some(self.left as usize))
    }
}
