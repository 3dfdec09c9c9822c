//! Whether two events say the same: what an idempotency key is held against.
//!
//! The hash covers all that a writer gives: key, type, version, valid time if given, tags, cause,
//! meta, content type and payload. A cause in the same commit counts as "one of the same commit",
//! since its id is not known before.

use std::hash::Hasher;

use laterbase_event::{EventDraft, EventView, KeyDraft};
use siphasher::sip128::Hasher128;

use crate::terms::TermHasher;

/// A hash of what an event says, its cause apart: that has several forms that mean the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ContentHash(u128);

/// The parts of an event in a form that drafts and recorded events share.
struct Content<'a> {
    key: Option<&'a str>,
    type_name: &'a str,
    version: u32,
    valid_at_us: Option<i64>,
    tags: Vec<(&'a str, &'a str)>,
    meta: Vec<(&'a str, &'a str)>,
    content_type: &'a str,
    payload: &'a [u8],
}

impl ContentHash {
    /// Of an event that is to be recorded under `root`.
    pub(crate) fn of_draft(hasher: &TermHasher, root: &str, draft: &EventDraft<'_>) -> Self {
        let key = match draft.key {
            KeyDraft::Text(key) => Some(key),
            KeyDraft::OwnId => None,
        };
        let is_own = |tag: &(&str, &str)| tag.0 == root && Some(tag.1) == key;
        let content = Content {
            key,
            type_name: draft.type_name,
            version: draft.version,
            valid_at_us: draft.valid_at,
            tags: sorted(draft.tags.iter().copied().filter(|tag| !is_own(tag))),
            meta: sorted(draft.meta.iter().copied()),
            content_type: draft.content_type,
            payload: draft.payload,
        };
        content.hash(hasher)
    }

    /// Of a recorded event.
    pub(crate) fn of_view(hasher: &TermHasher, event: &EventView<'_>) -> Self {
        let content = Content {
            key: (!event.key_is_own_id()).then(|| event.key()),
            type_name: event.type_name(),
            version: event.version(),
            valid_at_us: (!event.valid_is_default()).then(|| event.valid_at().as_micros()),
            tags: sorted(event.tags()),
            meta: sorted(event.meta()),
            content_type: event.content_type(),
            payload: event.payload(),
        };
        content.hash(hasher)
    }
}

impl Content<'_> {
    fn hash(&self, hasher: &TermHasher) -> ContentHash {
        let mut out = hasher.hasher();
        let mut text = |bytes: Option<&[u8]>| match bytes {
            None => out.write_u64(u64::MAX),
            Some(bytes) => {
                out.write_u64(bytes.len() as u64);
                out.write(bytes);
            }
        };
        text(self.key.map(str::as_bytes));
        text(Some(self.type_name.as_bytes()));
        text(Some(self.content_type.as_bytes()));
        text(Some(self.payload));
        text(self.valid_at_us.map(i64::to_le_bytes).as_ref().map(<[u8; 8]>::as_slice));
        text(Some(&self.version.to_le_bytes()));
        for pairs in [&self.tags, &self.meta] {
            text(Some(&(pairs.len() as u64).to_le_bytes()));
            for (name, value) in pairs {
                text(Some(name.as_bytes()));
                text(Some(value.as_bytes()));
            }
        }
        ContentHash(out.finish128().as_u128())
    }
}

fn sorted<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<(&'a str, &'a str)> {
    let mut pairs: Vec<_> = pairs.collect();
    pairs.sort_unstable();
    pairs.dedup();
    pairs
}
