//! Random access to a batch that is not in memory: what must be known to read one event with
//! small reads.
//!
//! ```text
//! batch on disk   form header dictionaries table | group 0 | group 1 | ... | payloads ...
//!                 \______ parse_prefix ________/   \ 2. /                     \ 3. /
//! ```
//! 1. [`BatchDirectory::parse_prefix`] once, from the front of the batch; keep it in a cache.
//! 2. Read [`GroupRanges::envelopes`] of the event's group; [`BatchDirectory::decode_event`].
//! 3. Read [`crate::EnvelopeView::payload_range`] plus [`BatchDirectory::payloads_offset`], or the
//!    whole [`GroupRanges::payloads`] if they are small, and join it with
//!    [`crate::EnvelopeView::with_payload`].

use alloc::boxed::Box;
use core::ops::Range;

use super::{
    cursor::{DecodeScratch, GroupReader},
    decode_error::{DecodeError, Field},
    dictionary::Dictionary,
    envelope_view::EnvelopeView,
    group_table::GroupTable,
    header::BatchHeader,
    view::read_form,
};
use crate::{Limits, reader::Reader};

/// The front of a batch, parsed: its header, dictionaries and group table. Owns what it holds.
#[derive(Clone, Debug)]
pub struct BatchDirectory {
    header: BatchHeader,
    dictionary: Dictionary,
    table: Box<[u8]>,
    groups_offset: usize,
    payloads_offset: usize,
}

/// Where a group of up to 16 events is, in bytes from the batch's first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupRanges {
    /// The group's envelopes: what [`BatchDirectory::decode_event`] takes.
    pub envelopes: Range<usize>,
    /// The group's payloads.
    pub payloads: Range<usize>,
}

/// Why the front of a batch gave no directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrefixError {
    /// The prefix is too short. A prefix of `bytes` bytes may do, and is never longer than the
    /// batch; if not, a longer one is asked for.
    #[error("the prefix is too short; read {bytes} bytes and try again")]
    NeedMore {
        /// How long the next prefix should be.
        bytes: usize,
    },
    /// However much follows, this is no batch.
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

impl BatchDirectory {
    /// A prefix of this length holds the header of any batch.
    pub const PREFIX_BYTES_MIN: usize = 1 + BatchHeader::BYTES_MAX;

    /// Parses the front of a batch. `prefix` may be longer than needed, up to the whole batch and
    /// beyond it.
    ///
    /// # Errors
    /// [`PrefixError::NeedMore`] if it is too short: read so much and call again.
    pub fn parse_prefix(prefix: &[u8]) -> Result<Self, PrefixError> {
        let mut reader = Reader::new(prefix);
        let header = read_header(&mut reader).map_err(|error| {
            if error.is_truncated() && prefix.len() < Self::PREFIX_BYTES_MIN {
                PrefixError::NeedMore { bytes: Self::PREFIX_BYTES_MIN }
            } else {
                PrefixError::Decode(error)
            }
        })?;
        let envelopes_offset = prefix.len() - reader.rest().len();
        let payloads_offset = envelopes_offset + header.envelopes_len as usize;
        let whole = prefix.get(..payloads_offset);
        // Within the envelopes: a truncation there is damage, not a short prefix.
        let available = whole.unwrap_or(prefix).get(envelopes_offset..).unwrap_or_default();
        let need_more = |error: DecodeError, bytes: usize| {
            if error.is_truncated() && whole.is_none() {
                PrefixError::NeedMore { bytes: bytes.min(payloads_offset) }
            } else {
                PrefixError::Decode(error)
            }
        };
        let mut reader = Reader::new(available);
        let mut dictionary = Dictionary::default();
        let table_len = GroupTable::bytes(header.count);
        dictionary
            .read(&mut reader, header.count)
            .map_err(|error| need_more(error, 2 * prefix.len() + table_len))?;
        let table_offset = envelopes_offset + available.len() - reader.rest().len();
        let groups_offset = table_offset + table_len;
        let table = reader
            .bytes(table_len, Field::GroupTable)
            .map_err(|error| need_more(error, groups_offset))?;
        dictionary.shrink();
        let table = Box::from(table);
        Ok(Self { header, dictionary, table, groups_offset, payloads_offset })
    }

    /// The header.
    #[must_use]
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// Where the payloads begin, in bytes from the batch's first.
    #[must_use]
    pub fn payloads_offset(&self) -> usize {
        self.payloads_offset
    }

    /// About how much memory it holds, for a cache to count.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.dictionary.heap_bytes() + self.table.len()
    }

    /// Where the group of event `index` is.
    ///
    /// # Errors
    /// [`DecodeError`] if the index is too high or the table makes no sense.
    pub fn group_ranges(&self, index: u32) -> Result<GroupRanges, DecodeError> {
        if index >= self.header.count {
            return Err(DecodeError::OutOfRange { field: Field::Index });
        }
        let group = (index / Limits::GROUP_EVENTS) as usize;
        let bounds = self.table().bounds(group)?;
        Ok(GroupRanges {
            envelopes: self.groups_offset + bounds.groups.start
                ..self.groups_offset + bounds.groups.end,
            payloads: self.payloads_offset + bounds.payloads.start
                ..self.payloads_offset + bounds.payloads.end,
        })
    }

    /// Decodes event `index` out of the bytes of its group.
    ///
    /// # Errors
    /// [`DecodeError`] if the index is too high, `group` is not the group's bytes, or they make no
    /// sense.
    pub fn decode_event<'s>(
        &'s self,
        index: u32,
        group: &'s [u8],
        scratch: &'s mut DecodeScratch,
    ) -> Result<EnvelopeView<'s>, DecodeError> {
        let ranges = self.group_ranges(index)?;
        if group.len() != ranges.envelopes.len() {
            return Err(DecodeError::OutOfRange { field: Field::GroupTable });
        }
        let payloads = ranges.payloads.start - self.payloads_offset
            ..ranges.payloads.end - self.payloads_offset;
        let decoder = &mut scratch.decoder;
        let mut reader = GroupReader::new(group, payloads);
        reader.skip_to(decoder, &self.dictionary, &self.header, index)?;
        let (envelope, payload_start) =
            reader.read(decoder, &self.dictionary, &self.header, index)?;
        Ok(EnvelopeView {
            header: &self.header,
            dictionary: &self.dictionary,
            decoder,
            group,
            envelope,
            index,
            payload_start,
        })
    }

    fn table(&self) -> GroupTable<'_> {
        GroupTable {
            pairs: &self.table,
            groups_len: self.payloads_offset - self.groups_offset,
            payloads_len: self.header.payloads_len as usize,
        }
    }
}

fn read_header(reader: &mut Reader<'_>) -> Result<BatchHeader, DecodeError> {
    read_form(reader)?;
    BatchHeader::read(reader)
}
