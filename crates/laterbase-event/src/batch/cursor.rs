//! Walks the events of a batch that is whole in memory, front to back.
//!
//! A lending cursor: each event borrows the cursor until the next one is read, so nothing is
//! copied out and nothing is allocated once the [`DecodeScratch`] is warm.

use core::ops::Range;

use super::{
    decode_error::{DecodeError, Field},
    dictionary::Dictionary,
    envelope_view::EnvelopeView,
    event_view::EventView,
    group_decoder::{Envelope, Front, GroupDecoder},
    group_table::GroupTable,
    header::BatchHeader,
    view::BatchView,
};
use crate::{Limits, reader::Reader};

/// Memory that decoding uses, to be kept from one batch to the next.
#[derive(Clone, Debug, Default)]
pub struct DecodeScratch {
    pub(super) dictionary: Dictionary,
    pub(super) decoder: GroupDecoder,
}

/// The events of one batch, in order. Made by [`BatchView::events`],
/// [`events_from`](BatchView::events_from) and [`events_of_types`](BatchView::events_of_types).
#[derive(Debug)]
pub struct EventCursor<'a> {
    header: &'a BatchHeader,
    dictionary: &'a Dictionary,
    decoder: &'a mut GroupDecoder,
    payloads: &'a [u8],
    table: GroupTable<'a>,
    groups: &'a [u8],
    group: GroupReader<'a>,
    index: u32,
}

/// What is left of a group, and of its payloads.
#[derive(Clone, Debug)]
pub(super) struct GroupReader<'a> {
    pub(super) bytes: &'a [u8],
    reader: Reader<'a>,
    payloads: Range<usize>,
}

impl<'a> GroupReader<'a> {
    /// The group with these bytes, whose payloads are there among the payloads.
    pub(super) fn new(bytes: &'a [u8], payloads: Range<usize>) -> Self {
        Self { bytes, reader: Reader::new(bytes), payloads }
    }

    /// Reads the next envelope, that of event `index`, and says where its payload begins.
    pub(super) fn read(
        &mut self,
        decoder: &mut GroupDecoder,
        dictionary: &Dictionary,
        header: &BatchHeader,
        index: u32,
    ) -> Result<(Envelope, usize), DecodeError> {
        let front = Front::read(&mut self.reader, dictionary)?;
        self.read_behind(front, decoder, dictionary, header, index)
    }

    #[inline]
    fn read_behind(
        &mut self,
        front: Front,
        decoder: &mut GroupDecoder,
        dictionary: &Dictionary,
        header: &BatchHeader,
        index: u32,
    ) -> Result<(Envelope, usize), DecodeError> {
        let id = header.event_id(index);
        let envelope = decoder.read(front, self.bytes, &mut self.reader, dictionary, id)?;
        let start = self.pass_payload(envelope.payload_len, header, index)?;
        Ok((envelope, start))
    }

    /// Steps over the payload of event `index`; answers where it begins.
    #[inline]
    fn pass_payload(
        &mut self,
        len: u32,
        header: &BatchHeader,
        index: u32,
    ) -> Result<usize, DecodeError> {
        let start = self.payloads.start;
        let end = start + len as usize;
        if end > self.payloads.end {
            return Err(DecodeError::OutOfRange { field: Field::PayloadLen });
        }
        self.payloads.start = end;
        let is_last = (index + 1).is_multiple_of(Limits::GROUP_EVENTS) || index + 1 == header.count;
        if is_last && !(self.reader.is_empty() && self.payloads.is_empty()) {
            return Err(DecodeError::Trailing { field: Field::GroupEnd });
        }
        Ok(start)
    }

    /// Reads what comes before event `index`, from the front of its group.
    pub(super) fn skip_to(
        &mut self,
        decoder: &mut GroupDecoder,
        dictionary: &Dictionary,
        header: &BatchHeader,
        index: u32,
    ) -> Result<(), DecodeError> {
        decoder.start(dictionary);
        for before in index - index % Limits::GROUP_EVENTS..index {
            self.read(decoder, dictionary, header, before)?;
        }
        Ok(())
    }
}

impl<'a> EventCursor<'a> {
    pub(super) fn new(
        view: &'a BatchView<'_>,
        scratch: &'a mut DecodeScratch,
    ) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(view.envelopes());
        scratch.dictionary.read(&mut reader, view.header().count)?;
        Self::behind_dictionary(view, scratch, reader)
    }

    /// The events from `index` on whose types are wanted.
    pub(super) fn of_types(
        view: &'a BatchView<'_>,
        scratch: &'a mut DecodeScratch,
        index: u32,
        wants: impl Fn(&str) -> bool,
    ) -> Result<Self, DecodeError> {
        let count = view.header().count;
        let mut reader = Reader::new(view.envelopes());
        scratch.dictionary.read(&mut reader, count)?;
        let is_any = scratch.dictionary.want(wants);
        let mut cursor = Self::behind_dictionary(view, scratch, reader)?;
        if is_any || index > count {
            cursor.seek(index)?;
        } else {
            cursor.index = count;
        }
        Ok(cursor)
    }

    fn behind_dictionary(
        view: &'a BatchView<'_>,
        scratch: &'a mut DecodeScratch,
        mut reader: Reader<'a>,
    ) -> Result<Self, DecodeError> {
        let header = view.header();
        let pairs = reader.bytes(GroupTable::bytes(header.count), Field::GroupTable)?;
        let groups = reader.rest();
        let payloads = view.payloads();
        Ok(Self {
            header,
            dictionary: &scratch.dictionary,
            decoder: &mut scratch.decoder,
            payloads,
            table: GroupTable { pairs, groups_len: groups.len(), payloads_len: payloads.len() },
            groups,
            group: GroupReader::new(&[], 0..0),
            index: 0,
        })
    }

    /// The next event; `None` after the last.
    ///
    /// # Errors
    /// [`DecodeError`] if the bytes make no sense; nothing is promised for calls after that, but
    /// that they end.
    #[expect(clippy::should_implement_trait, reason = "an iterator cannot lend")]
    pub fn next(&mut self) -> Result<Option<EventView<'_>>, DecodeError> {
        let (index, front) = loop {
            let index = self.index;
            if index >= self.header.count {
                return Ok(None);
            }
            if index.is_multiple_of(Limits::GROUP_EVENTS) {
                self.group = self.find_group(index)?;
                self.decoder.start(self.dictionary);
            }
            self.index += 1;
            let front = Front::read(&mut self.group.reader, self.dictionary)?;
            if front.is_wanted {
                break (index, front);
            }
            let GroupReader { bytes, reader, .. } = &mut self.group;
            let len = self.decoder.skip(front, bytes, reader, self.dictionary)?;
            self.group.pass_payload(len, self.header, index)?;
        };
        let (envelope, start) =
            self.group.read_behind(front, self.decoder, self.dictionary, self.header, index)?;
        let payload = self.payloads.get(start..start + envelope.payload_len as usize);
        let envelope = EnvelopeView {
            header: self.header,
            dictionary: self.dictionary,
            decoder: self.decoder,
            group: self.group.bytes,
            envelope,
            index,
            payload_start: start,
        };
        Ok(Some(EventView::new(envelope, payload.unwrap_or_default())))
    }

    /// Moves to event `index`, whatever was read before; it is the next one.
    pub(super) fn seek(&mut self, index: u32) -> Result<(), DecodeError> {
        if index > self.header.count {
            return Err(DecodeError::OutOfRange { field: Field::Index });
        }
        self.index = index;
        if !index.is_multiple_of(Limits::GROUP_EVENTS) {
            self.group = self.find_group(index)?;
            self.group.skip_to(self.decoder, self.dictionary, self.header, index)?;
        }
        Ok(())
    }

    /// Event `index`, whatever was read before.
    pub(super) fn into_event(self, index: u32) -> Result<EventView<'a>, DecodeError> {
        if index >= self.header.count {
            return Err(DecodeError::OutOfRange { field: Field::Index });
        }
        let mut group = self.find_group(index)?;
        let Self { header, dictionary, decoder, payloads, .. } = self;
        group.skip_to(decoder, dictionary, header, index)?;
        let (envelope, start) = group.read(decoder, dictionary, header, index)?;
        let payload = payloads.get(start..start + envelope.payload_len as usize);
        let envelope = EnvelopeView {
            header,
            dictionary,
            decoder,
            group: group.bytes,
            envelope,
            index,
            payload_start: start,
        };
        Ok(EventView::new(envelope, payload.unwrap_or_default()))
    }

    fn find_group(&self, index: u32) -> Result<GroupReader<'a>, DecodeError> {
        let bounds = self.table.bounds((index / Limits::GROUP_EVENTS) as usize)?;
        let bytes = self.groups.get(bounds.groups).unwrap_or_default();
        Ok(GroupReader::new(bytes, bounds.payloads))
    }
}
