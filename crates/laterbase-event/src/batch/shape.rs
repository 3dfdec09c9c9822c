//! Shapes: the combinations of type, version and content type that many events share, as bytes.
//!
//! ```text
//! u8 length, type | varint version | u8 length, content type
//! ```

use alloc::vec::Vec;

use crate::{EventDraft, varint};

/// Appends the shape of a checked draft.
pub(super) fn write(draft: &EventDraft<'_>, out: &mut Vec<u8>) {
    out.push(draft.type_name.len() as u8);
    out.extend_from_slice(draft.type_name.as_bytes());
    varint::write(u64::from(draft.version), out);
    out.push(draft.content_type.len() as u8);
    out.extend_from_slice(draft.content_type.as_bytes());
}

/// A number by which the types of one batch mostly differ: where to look first.
pub(super) fn hint(draft: &EventDraft<'_>) -> usize {
    let name = draft.type_name.as_bytes();
    name.len() + usize::from(name.last().copied().unwrap_or_default())
}

/// Whether [`write()`] would write just these bytes.
pub(super) fn is(entry: &[u8], draft: &EventDraft<'_>) -> bool {
    let Some((len, rest)) = entry.split_first() else { return false };
    let Some((type_name, rest)) = rest.split_at_checked(usize::from(*len)) else { return false };
    if type_name != draft.type_name.as_bytes() {
        return false;
    }
    let mut rest = rest;
    let mut version = draft.version;
    loop {
        let more = version >= 0x80;
        let byte = (version & 0x7F) as u8 | if more { 0x80 } else { 0 };
        match rest.split_first() {
            Some((first, after)) if *first == byte => rest = after,
            Some(_) | None => return false,
        }
        if !more {
            break;
        }
        version >>= 7;
    }
    rest.split_first().is_some_and(|(_, text)| text == draft.content_type.as_bytes())
}
