//! Writes envelopes, each coded against those before it in its group of 16.
//!
//! ```text
//! envelope = u8 flags
//!            varint shape
//!            u8 shared, u8 length, suffix          key; shared with the key before; both 0: the
//!                                                  event's own id, an empty key for the next
//!            varint zigzag(valid_at - base)        if flags bit 0; base: the last explicit one
//!            tags                                  if flags bits 1-2 are 2
//!            varint distance | [16] id             if flags bits 3-4 are 1 | 2
//!            u8 shared, u8 length, suffix          if flags bit 5: idempotency key
//!            meta                                  if flags bits 6-7 are 2
//!            varint length of the payload
//! tags     = varint count, per tag: varint root, u8 shared, u8 length, suffix
//! meta     = varint count, per entry: varint length, name, varint length, value
//!
//! flags    bit 0     the valid time is explicit
//!          bits 1-2  tags:  0 none, 1 the last listed ones again, 2 listed
//!          bits 3-4  cause: 0 none, 1 by distance in the commit, 2 by id, 3 the last id again
//!          bit 5     there is an idempotency key
//!          bits 6-7  meta:  0 none, 1 the last listed one again, 2 listed
//! ```
//! "Before" and "last" never look outside the group. A shared prefix is the longest one, in whole
//! characters where it is text; "again" is used wherever it can be. So an event has one encoding.

use alloc::vec::Vec;

use super::{interner::Interner, prefix};
use crate::{EventDraft, EventId, KeyDraft, varint};

pub(super) const VALID_EXPLICIT: u8 = 1;
pub(super) const TAGS_AGAIN: u8 = 1 << 1;
pub(super) const TAGS_LISTED: u8 = 2 << 1;
pub(super) const TAGS_MASK: u8 = 3 << 1;
pub(super) const CAUSE_BACK: u8 = 1 << 3;
pub(super) const CAUSE_ID: u8 = 2 << 3;
pub(super) const CAUSE_AGAIN: u8 = 3 << 3;
pub(super) const CAUSE_MASK: u8 = 3 << 3;
pub(super) const IDEMPOTENCY: u8 = 1 << 5;
pub(super) const META_AGAIN: u8 = 1 << 6;
pub(super) const META_LISTED: u8 = 2 << 6;
pub(super) const META_MASK: u8 = 3 << 6;

/// A draft's cause, resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    None,
    Back(u32),
    Id(EventId),
}

/// A draft that has been checked, and what its envelope needs besides.
#[derive(Clone, Copy, Debug)]
pub(super) struct CheckedDraft<'a> {
    pub(super) draft: &'a EventDraft<'a>,
    /// Index into the shapes.
    pub(super) shape: u16,
    pub(super) cause: Cause,
    pub(super) payload_len: u32,
    /// Indexes of the draft's tags, ascending, each tag once.
    pub(super) tag_order: &'a [u16],
    /// Indexes of the draft's meta entries, ascending by name.
    pub(super) meta_order: &'a [u16],
}

/// A span of the group's tag keys.
#[derive(Clone, Copy, Debug, Default)]
struct Span {
    start: u32,
    end: u32,
}

#[derive(Clone, Copy, Debug)]
struct ListedTag {
    root: u16,
    key: Span,
}

/// The last key listed under a root, valid in the group with that stamp only.
#[derive(Clone, Copy, Debug, Default)]
struct LastKey {
    stamp: u32,
    key: Span,
}

#[derive(Clone, Debug, Default)]
pub(super) struct GroupEncoder {
    key: Vec<u8>,
    valid_at: i64,
    tag_keys: Vec<u8>,
    tags: Vec<ListedTag>,
    last_keys: Vec<LastKey>,
    stamp: u32,
    cause: Option<EventId>,
    idempotency: Vec<u8>,
    meta: Vec<u8>,
}

impl GroupEncoder {
    /// Forgets the group before.
    pub(super) fn start(&mut self) {
        self.key.clear();
        self.valid_at = 0;
        self.tag_keys.clear();
        self.tags.clear();
        match self.stamp.checked_add(1) {
            Some(stamp) => self.stamp = stamp,
            None => {
                self.last_keys.clear();
                self.stamp = 1;
            }
        }
        self.cause = None;
        self.idempotency.clear();
        self.meta.clear();
    }

    /// Appends the envelope of a draft.
    pub(super) fn write(
        &mut self,
        checked: &CheckedDraft<'_>,
        roots: &mut Interner,
        out: &mut Vec<u8>,
    ) {
        let draft = checked.draft;
        let flags_at = out.len();
        out.push(0);
        varint::write(u64::from(checked.shape), out);
        let key = match draft.key {
            KeyDraft::Text(key) => key.as_bytes(),
            // No text is empty, so this is free to stand for the id.
            KeyDraft::OwnId => &[],
        };
        write_suffix(prefix::common_text(&self.key, key), key, out);
        self.key.clear();
        self.key.extend_from_slice(key);
        let mut flags = self.write_valid_at(draft.valid_at, out);
        flags |= self.write_tags(draft.tags, checked.tag_order, roots, out);
        flags |= self.write_cause(checked.cause, out);
        if let Some(idempotency) = draft.idempotency {
            flags |= IDEMPOTENCY;
            write_suffix(prefix::common_bytes(&self.idempotency, idempotency), idempotency, out);
            self.idempotency.clear();
            self.idempotency.extend_from_slice(idempotency);
        }
        flags |= self.write_meta(draft.meta, checked.meta_order, out);
        varint::write(u64::from(checked.payload_len), out);
        if let Some(place) = out.get_mut(flags_at) {
            *place = flags;
        }
    }

    fn write_valid_at(&mut self, valid_at: Option<i64>, out: &mut Vec<u8>) -> u8 {
        let Some(valid_at) = valid_at else { return 0 };
        varint::write(varint::zigzag(valid_at.wrapping_sub(self.valid_at)), out);
        self.valid_at = valid_at;
        VALID_EXPLICIT
    }

    fn write_tags(
        &mut self,
        tags: &[(&str, &str)],
        order: &[u16],
        roots: &mut Interner,
        out: &mut Vec<u8>,
    ) -> u8 {
        if order.is_empty() {
            return 0;
        }
        let ordered = || order.iter().filter_map(|index| tags.get(usize::from(*index)).copied());
        if self.are_last_tags(order.len(), ordered(), roots) {
            return TAGS_AGAIN;
        }
        // The last listed tags guess the roots; most batches repeat a pattern.
        varint::write(order.len() as u64, out);
        for (place, (root, key)) in ordered().enumerate() {
            let guess = self.tags.get(place).map(|tag| tag.root);
            let root = intern_root(root, guess, roots);
            varint::write(u64::from(root), out);
            let span = self.write_tag_key(root, key.as_bytes(), out);
            let tag = ListedTag { root, key: span };
            match self.tags.get_mut(place) {
                Some(slot) => *slot = tag,
                None => self.tags.push(tag),
            }
        }
        self.tags.truncate(order.len());
        TAGS_LISTED
    }

    fn are_last_tags<'t>(
        &self,
        count: usize,
        tags: impl Iterator<Item = (&'t str, &'t str)>,
        roots: &Interner,
    ) -> bool {
        self.tags.len() == count
            && self.tags.iter().zip(tags).all(|(last, (root, key))| {
                self.tag_key(last.key) == key.as_bytes() && is_root(roots.entry(last.root), root)
            })
    }

    /// Writes a tag's key against the last one under the same root.
    fn write_tag_key(&mut self, root: u16, key: &[u8], out: &mut Vec<u8>) -> Span {
        let root = usize::from(root);
        if self.last_keys.len() <= root {
            self.last_keys.resize(root + 1, LastKey::default());
        }
        let last = self.last_keys.get(root).copied().unwrap_or_default();
        let base = if last.stamp == self.stamp { self.tag_key(last.key) } else { &[] };
        write_suffix(prefix::common_text(base, key), key, out);
        let start = self.tag_keys.len() as u32;
        self.tag_keys.extend_from_slice(key);
        let span = Span { start, end: self.tag_keys.len() as u32 };
        if let Some(slot) = self.last_keys.get_mut(root) {
            *slot = LastKey { stamp: self.stamp, key: span };
        }
        span
    }

    fn tag_key(&self, span: Span) -> &[u8] {
        self.tag_keys.get(span.start as usize..span.end as usize).unwrap_or_default()
    }

    fn write_cause(&mut self, cause: Cause, out: &mut Vec<u8>) -> u8 {
        match cause {
            Cause::None => 0,
            Cause::Back(distance) => {
                varint::write(u64::from(distance), out);
                CAUSE_BACK
            }
            Cause::Id(id) if self.cause == Some(id) => CAUSE_AGAIN,
            Cause::Id(id) => {
                out.extend_from_slice(&id.as_u128().to_le_bytes());
                self.cause = Some(id);
                CAUSE_ID
            }
        }
    }

    fn write_meta(&mut self, meta: &[(&str, &str)], order: &[u16], out: &mut Vec<u8>) -> u8 {
        if order.is_empty() {
            return 0;
        }
        let start = out.len();
        varint::write(order.len() as u64, out);
        for (name, value) in order.iter().filter_map(|index| meta.get(usize::from(*index))) {
            varint::write(name.len() as u64, out);
            out.extend_from_slice(name.as_bytes());
            varint::write(value.len() as u64, out);
            out.extend_from_slice(value.as_bytes());
        }
        let written = out.get(start..).unwrap_or_default();
        if written == self.meta.as_slice() {
            out.truncate(start);
            return META_AGAIN;
        }
        self.meta.clear();
        self.meta.extend_from_slice(written);
        META_LISTED
    }
}

/// `shared` and the number of bytes after it are at most 255: keys and idempotency keys are.
fn write_suffix(shared: usize, bytes: &[u8], out: &mut Vec<u8>) {
    let suffix = bytes.get(shared..).unwrap_or_default();
    out.push(shared as u8);
    out.push(suffix.len() as u8);
    out.extend_from_slice(suffix);
}

fn intern_root(root: &str, guess: Option<u16>, roots: &mut Interner) -> u16 {
    match guess {
        Some(index) if is_root(roots.entry(index), root) => index,
        Some(_) | None => roots.intern(|bytes| {
            bytes.push(root.len() as u8);
            bytes.extend_from_slice(root.as_bytes());
        }),
    }
}

/// Whether a dictionary entry, which begins with its length, is this root.
fn is_root(entry: &[u8], root: &str) -> bool {
    entry.split_first().is_some_and(|(_, name)| name == root.as_bytes())
}
