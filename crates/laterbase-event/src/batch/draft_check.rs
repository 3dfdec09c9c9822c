//! Checks one draft against everything that does not depend on the batch: names, lengths, numbers.
//!
//! Changes nothing but its own two lists, which say in which order the draft's tags and meta are
//! to be written.

use alloc::vec::Vec;

use crate::{
    DraftError, EventDraft, KeyDraft, Limits, NameError, RootName, check_content_type, check_key,
    check_root, check_type_name, name::check_no_controls,
};

/// The orders of the draft checked last; kept for its memory.
#[derive(Clone, Debug, Default)]
pub(super) struct DraftCheck {
    /// Indexes of the draft's tags, ascending, each tag once.
    pub(super) tags: Vec<u16>,
    /// Indexes of the draft's meta entries, ascending by name.
    pub(super) meta: Vec<u16>,
}

impl DraftCheck {
    /// Checks a draft for a batch of `root`. `is_known_shape`: its type and content type have been
    /// checked already. Returns a bound for the bytes that its envelope adds, payload aside.
    pub(super) fn check(
        &mut self,
        root: &RootName,
        draft: &EventDraft<'_>,
        is_known_shape: bool,
    ) -> Result<usize, DraftError> {
        let key = match draft.key {
            KeyDraft::Text(key) => {
                check_key(key).map_err(DraftError::Key)?;
                Some(key)
            }
            KeyDraft::OwnId => None,
        };
        if !is_known_shape {
            check_type_name(draft.type_name).map_err(DraftError::TypeName)?;
            check_content_type(draft.content_type).map_err(DraftError::ContentType)?;
        }
        let tag_bytes = self.order_tags(root, key, draft.tags)?;
        if let Some(idempotency) = draft.idempotency {
            let bytes = idempotency.len();
            if bytes == 0 || bytes > Limits::IDEMPOTENCY_BYTES_MAX {
                return Err(DraftError::Idempotency { bytes });
            }
        }
        let meta_bytes = order_meta(draft.meta, &mut self.meta)?;
        // A tag adds at most 3 + 2 bytes besides its text here, and a root 1 in the dictionary; a
        // meta entry 2 + 2; everything else that is not text stays below 96.
        Ok(key.map_or(0, str::len)
            + draft.type_name.len()
            + draft.content_type.len()
            + tag_bytes
            + 6 * self.tags.len()
            + meta_bytes
            + 4 * self.meta.len()
            + Limits::IDEMPOTENCY_BYTES_MAX
            + 96)
    }

    /// Checks the tags and puts their indexes in ascending order, each tag once and without the
    /// event's own root and key. Returns the bytes of those that stay.
    fn order_tags(
        &mut self,
        root: &RootName,
        key: Option<&str>,
        tags: &[(&str, &str)],
    ) -> Result<usize, DraftError> {
        self.tags.clear();
        if tags.len() > usize::from(u16::MAX) {
            return Err(DraftError::TagCount { count: tags.len() });
        }
        let mut ascending = true;
        let mut before: Option<&(&str, &str)> = None;
        for (index, tag) in tags.iter().enumerate() {
            check_root(tag.0).map_err(|source| DraftError::TagRoot { index, source })?;
            check_key(tag.1).map_err(|source| DraftError::TagKey { index, source })?;
            if Some(tag.1) == key && tag.0.as_bytes() == root.as_bytes() {
                continue;
            }
            ascending &= before.is_none_or(|before| before < tag);
            before = Some(tag);
            self.tags.push(index as u16);
        }
        if !ascending {
            let tag = |index: &u16| tags.get(usize::from(*index));
            self.tags.sort_unstable_by(|a, b| tag(a).cmp(&tag(b)));
            self.tags.dedup_by(|a, b| tag(a) == tag(b));
        }
        if self.tags.len() > Limits::TAGS_MAX {
            return Err(DraftError::TagCount { count: self.tags.len() });
        }
        let kept = self.tags.iter().filter_map(|index| tags.get(usize::from(*index)));
        let bytes = kept.map(|(root, key)| root.len() + key.len()).sum();
        if bytes > Limits::TAG_BYTES_MAX {
            return Err(DraftError::TagBytes { bytes });
        }
        Ok(bytes)
    }
}

/// Checks meta and puts its indexes in the order of the names. Returns its bytes.
fn order_meta(meta: &[(&str, &str)], order: &mut Vec<u16>) -> Result<usize, DraftError> {
    order.clear();
    let bytes = meta.iter().map(|(name, value)| name.len() + value.len()).sum();
    if meta.len() > Limits::META_ENTRIES_MAX {
        return Err(DraftError::MetaCount { count: meta.len() });
    }
    if bytes > Limits::META_BYTES_MAX {
        return Err(DraftError::MetaBytes { bytes });
    }
    let mut ascending = true;
    let mut before = "";
    for (index, (name, _)) in meta.iter().enumerate() {
        check_meta_name(name).map_err(|source| DraftError::MetaName { index, source })?;
        // No name is empty, so the first one is above "".
        ascending &= before < *name;
        before = name;
        order.push(index as u16);
    }
    if ascending {
        return Ok(bytes);
    }
    let name = |index: &u16| meta.get(usize::from(*index)).map(|(name, _)| *name);
    order.sort_unstable_by_key(|index| (name(index), *index));
    let repeated = order.windows(2).find_map(|pair| match pair {
        [a, b] if name(a) == name(b) => Some(usize::from(*b)),
        _ => None,
    });
    repeated.map_or(Ok(bytes), |index| Err(DraftError::MetaRepeated { index }))
}

fn check_meta_name(name: &str) -> Result<(), NameError> {
    if name.is_empty() {
        return Err(NameError::Empty);
    }
    check_no_controls(name)
}
