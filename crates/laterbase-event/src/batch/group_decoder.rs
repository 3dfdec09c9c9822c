//! Reads envelopes one after the other, each against those before it in its group.
//!
//! The layout is drawn in [`super::group_encoder`], its inverse. This side takes any bytes and
//! refuses what it cannot make sense of or what exceeds a limit; it does not ask whether the
//! encoder would have chosen the same bytes, which [`super::verify`] does.
//!
//! An event that nobody wants is stepped over: read as far as the events behind it need it. Whether
//! its key is text is asked when one behind it is wanted, of the key that this one then has.
//!
//! Memory: the tag keys of one group, at most 16 × 64 KiB whatever the input.

use alloc::{string::String, vec::Vec};
use core::ops::Range;

use super::{
    decode_error::{DecodeError, Field},
    dictionary::{Dictionary, TextSpan},
    group_encoder::{
        CAUSE_AGAIN, CAUSE_BACK, CAUSE_ID, CAUSE_MASK, IDEMPOTENCY, META_AGAIN, META_LISTED,
        META_MASK, TAGS_AGAIN, TAGS_LISTED, TAGS_MASK, VALID_EXPLICIT,
    },
};
use crate::{EventId, Limits, reader::Reader, varint};

#[derive(Clone, Copy, Debug)]
pub(super) struct TagEntry {
    pub(super) root: u32,
    pub(super) key: TextSpan,
}

/// The last key listed under a root, valid in the group with that stamp only.
#[derive(Clone, Copy, Debug, Default)]
struct LastKey {
    stamp: u32,
    key: TextSpan,
}

/// A cause as the bytes have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RawCause {
    None,
    Back(u64),
    Id(EventId),
}

/// One decoded envelope; its texts are in the [`GroupDecoder`] until the next one is read.
#[derive(Clone, Debug)]
pub(super) struct Envelope {
    pub(super) shape: u32,
    pub(super) key_is_own_id: bool,
    pub(super) valid_at: Option<i64>,
    pub(super) has_tags: bool,
    pub(super) cause: RawCause,
    pub(super) has_idempotency: bool,
    /// Where in the group's bytes the meta is; empty if there is none.
    pub(super) meta: Range<usize>,
    pub(super) payload_len: u32,
}

/// How an envelope begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Front {
    flags: u8,
    shape: u32,
    pub(super) is_wanted: bool,
}

impl Front {
    /// Reads the front of the next envelope.
    #[inline]
    pub(super) fn read(
        reader: &mut Reader<'_>,
        dictionary: &Dictionary,
    ) -> Result<Self, DecodeError> {
        let flags = reader.u8(Field::EventFlags)?;
        let shape = reader.varint_max(u32::MAX, Field::Shape)?;
        match dictionary.is_wanted(shape) {
            Some(is_wanted) => Ok(Self { flags, shape, is_wanted }),
            None => Err(DecodeError::OutOfRange { field: Field::Shape }),
        }
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct GroupDecoder {
    /// The key read last; empty if it is the event's own id.
    key: Vec<u8>,
    /// Whether some of it comes from a key that was stepped over: it may be no text.
    is_key_unchecked: bool,
    id_text: String,
    /// The tag keys of the group, one after the other.
    text: String,
    valid_at: i64,
    tags: Vec<TagEntry>,
    last_keys: Vec<LastKey>,
    stamp: u32,
    cause: Option<EventId>,
    idempotency: Vec<u8>,
    meta: Range<usize>,
}

impl GroupDecoder {
    /// Forgets the group before.
    pub(super) fn start(&mut self, dictionary: &Dictionary) {
        self.text.clear();
        self.key.clear();
        self.is_key_unchecked = false;
        self.valid_at = 0;
        self.tags.clear();
        match self.stamp.checked_add(1) {
            Some(stamp) => self.stamp = stamp,
            None => {
                self.last_keys.clear();
                self.stamp = 1;
            }
        }
        if self.last_keys.len() < dictionary.roots_len() {
            self.last_keys.resize(dictionary.roots_len(), LastKey::default());
        }
        self.cause = None;
        self.idempotency.clear();
        self.meta = 0..0;
    }

    /// The key of the event read last.
    pub(super) fn key(&self) -> &str {
        // It is text: that was checked when it was read.
        if self.key.is_empty() {
            &self.id_text
        } else {
            str::from_utf8(&self.key).unwrap_or_default()
        }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn tags(&self) -> &[TagEntry] {
        &self.tags
    }

    pub(super) fn idempotency(&self) -> &[u8] {
        &self.idempotency
    }

    /// Reads the next envelope of `group`, of which `reader` holds the rest behind the front: that
    /// of event `id`.
    pub(super) fn read(
        &mut self,
        front: Front,
        group: &[u8],
        reader: &mut Reader<'_>,
        dictionary: &Dictionary,
        id: EventId,
    ) -> Result<Envelope, DecodeError> {
        let Front { flags, shape, .. } = front;
        self.read_key(reader)?;
        let key_is_own_id = self.key.is_empty();
        if key_is_own_id {
            self.id_text.clear();
            self.id_text.push_str(id.text(&mut [0; EventId::TEXT_BYTES]));
        }
        let valid_at = if flags & VALID_EXPLICIT != 0 {
            let delta = varint::unzigzag(reader.varint(Field::ValidAt)?);
            self.valid_at = self.valid_at.wrapping_add(delta);
            Some(self.valid_at)
        } else {
            None
        };
        let has_tags = self.read_tags(flags & TAGS_MASK, reader, dictionary)?;
        let cause = self.read_cause(flags & CAUSE_MASK, reader)?;
        let has_idempotency = flags & IDEMPOTENCY != 0;
        if has_idempotency {
            self.read_idempotency(reader)?;
        }
        let meta = self.read_meta(flags & META_MASK, group, reader)?;
        let payload_len = reader.varint_max(Limits::PAYLOAD_BYTES_MAX, Field::PayloadLen)?;
        Ok(Envelope {
            shape,
            key_is_own_id,
            valid_at,
            has_tags,
            cause,
            has_idempotency,
            meta,
            payload_len,
        })
    }

    /// Steps over an envelope behind its front; answers how long its payload is.
    #[inline]
    pub(super) fn skip(
        &mut self,
        front: Front,
        group: &[u8],
        reader: &mut Reader<'_>,
        dictionary: &Dictionary,
    ) -> Result<u32, DecodeError> {
        let flags = front.flags;
        let (shared, suffix) = read_suffix(self.key.len(), reader, Field::Key)?;
        self.key.truncate(shared);
        self.key.extend_from_slice(suffix);
        self.is_key_unchecked = true;
        if flags & VALID_EXPLICIT != 0 {
            let delta = varint::unzigzag(reader.varint(Field::ValidAt)?);
            self.valid_at = self.valid_at.wrapping_add(delta);
        }
        if flags & !VALID_EXPLICIT != 0 {
            self.read_tags(flags & TAGS_MASK, reader, dictionary)?;
            self.read_cause(flags & CAUSE_MASK, reader)?;
            if flags & IDEMPOTENCY != 0 {
                self.read_idempotency(reader)?;
            }
            self.read_meta(flags & META_MASK, group, reader)?;
        }
        reader.varint_max(Limits::PAYLOAD_BYTES_MAX, Field::PayloadLen)
    }

    /// Reads a key that shares a prefix with the one before, and puts it in its place.
    fn read_key(&mut self, reader: &mut Reader<'_>) -> Result<(), DecodeError> {
        let field = Field::Key;
        let (shared, suffix) = read_suffix(self.key.len(), reader, field)?;
        let is_continued = |byte: &u8| byte & 0b1100_0000 == 0b1000_0000;
        let is_cut = self.key.get(shared).is_some_and(is_continued);
        self.key.truncate(shared);
        self.key.extend_from_slice(suffix);
        // In front of a character a text can be cut, and what remains is text.
        let known = if self.is_key_unchecked { 0 } else { shared };
        let new = self.key.get(known..).unwrap_or_default();
        let is_text = new.is_ascii() || str::from_utf8(new).is_ok();
        if is_cut || !is_text {
            return Err(DecodeError::NotText { field });
        }
        self.is_key_unchecked = false;
        Ok(())
    }

    /// Reads a tag's key that shares a prefix with `base`, and keeps it.
    fn read_tag_key(
        &mut self,
        base: TextSpan,
        reader: &mut Reader<'_>,
    ) -> Result<TextSpan, DecodeError> {
        let field = Field::Tags;
        let (shared, suffix) = read_suffix(base.len(), reader, field)?;
        let start = self.text.len();
        if shared > 0 {
            let prefix = base.start as usize..base.start as usize + shared;
            if self.text.get(prefix.clone()).is_none() {
                return Err(DecodeError::NotText { field });
            }
            self.text.extend_from_within(prefix);
        }
        let suffix = str::from_utf8(suffix).map_err(|_| DecodeError::NotText { field })?;
        self.text.push_str(suffix);
        Ok(TextSpan { start: start as u32, end: self.text.len() as u32 })
    }

    fn read_tags(
        &mut self,
        kind: u8,
        reader: &mut Reader<'_>,
        dictionary: &Dictionary,
    ) -> Result<bool, DecodeError> {
        let field = Field::Tags;
        match kind {
            0 => return Ok(false),
            TAGS_AGAIN if !self.tags.is_empty() => return Ok(true),
            TAGS_LISTED => {}
            _ => return Err(DecodeError::OutOfRange { field }),
        }
        let count = reader.varint_max(Limits::TAGS_MAX as u32, field)?;
        if count == 0 {
            return Err(DecodeError::OutOfRange { field });
        }
        self.tags.clear();
        let mut bytes = 0;
        for _ in 0..count {
            let root = reader.varint_max(u32::MAX, field)?;
            let last = *self
                .last_keys
                .get(root as usize)
                .filter(|_| (root as usize) < dictionary.roots_len())
                .ok_or(DecodeError::OutOfRange { field })?;
            let base = if last.stamp == self.stamp { last.key } else { TextSpan::default() };
            let key = self.read_tag_key(base, reader)?;
            if let Some(slot) = self.last_keys.get_mut(root as usize) {
                *slot = LastKey { stamp: self.stamp, key };
            }
            self.tags.push(TagEntry { root, key });
            bytes += key.len() + dictionary.root_bytes(root);
            if bytes > Limits::TAG_BYTES_MAX {
                return Err(DecodeError::OutOfRange { field });
            }
        }
        Ok(true)
    }

    fn read_cause(&mut self, kind: u8, reader: &mut Reader<'_>) -> Result<RawCause, DecodeError> {
        let field = Field::Cause;
        match (kind, self.cause) {
            (CAUSE_BACK, _) => match reader.varint(field)? {
                0 => Err(DecodeError::OutOfRange { field }),
                distance => Ok(RawCause::Back(distance)),
            },
            (CAUSE_ID, _) => {
                let id = EventId::from_u128(u128::from_le_bytes(reader.array(field)?));
                self.cause = Some(id);
                Ok(RawCause::Id(id))
            }
            (CAUSE_AGAIN, Some(id)) => Ok(RawCause::Id(id)),
            (CAUSE_AGAIN, None) => Err(DecodeError::OutOfRange { field }),
            (_, _) => Ok(RawCause::None),
        }
    }

    fn read_idempotency(&mut self, reader: &mut Reader<'_>) -> Result<(), DecodeError> {
        let field = Field::Idempotency;
        let [shared, len] = reader.array(field)?;
        let suffix = reader.bytes(usize::from(len), field)?;
        let shared = usize::from(shared);
        let total = shared + suffix.len();
        if shared > self.idempotency.len() || total == 0 || total > Limits::IDEMPOTENCY_BYTES_MAX {
            return Err(DecodeError::OutOfRange { field });
        }
        self.idempotency.truncate(shared);
        self.idempotency.extend_from_slice(suffix);
        Ok(())
    }

    /// Finds where the meta ends and checks that its parts are text.
    fn read_meta(
        &mut self,
        kind: u8,
        group: &[u8],
        reader: &mut Reader<'_>,
    ) -> Result<Range<usize>, DecodeError> {
        let field = Field::Meta;
        match kind {
            0 => return Ok(0..0),
            META_AGAIN if !self.meta.is_empty() => return Ok(self.meta.clone()),
            META_LISTED => {}
            _ => return Err(DecodeError::OutOfRange { field }),
        }
        let bytes_max = Limits::META_BYTES_MAX as u32;
        let start = group.len() - reader.rest().len();
        let count = reader.varint_max(Limits::META_ENTRIES_MAX as u32, field)?;
        if count == 0 {
            return Err(DecodeError::OutOfRange { field });
        }
        let mut left = bytes_max;
        for _ in 0..count {
            for _ in 0..2 {
                let len = reader.varint_max(left, field)?;
                reader.text(len as usize, field)?;
                left -= len;
            }
        }
        self.meta = start..group.len() - reader.rest().len();
        Ok(self.meta.clone())
    }
}

/// Reads how much of a base of `base_len` bytes a key shares, and the rest of it.
#[inline]
fn read_suffix<'a>(
    base_len: usize,
    reader: &mut Reader<'a>,
    field: Field,
) -> Result<(usize, &'a [u8]), DecodeError> {
    let [shared, len] = reader.array(field)?;
    let suffix = reader.bytes(usize::from(len), field)?;
    let shared = usize::from(shared);
    if shared + suffix.len() > Limits::KEY_BYTES_MAX || shared > base_len {
        return Err(DecodeError::OutOfRange { field });
    }
    Ok((shared, suffix))
}
