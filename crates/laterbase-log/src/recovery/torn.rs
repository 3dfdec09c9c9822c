//! Keeping what recovery cuts off.
//!
//! A torn tail is copied to `torn/`, byte for byte, before its segment is changed. Nothing reads it
//! again but people and support tools; it may be deleted.

use crate::names;
use crate::segment::Segment;
use crate::shared::Shared;
use crate::storage::{OpenMode, StorageError};
use std::ops::Range;

const PIECE_BYTES: usize = 1 << 20;

/// Copies the bytes of the tail aside and returns the copy's path.
pub(crate) fn keep_torn_tail(
    shared: &Shared,
    segment: &Segment,
    tail: &Range<u64>,
) -> Result<String, StorageError> {
    let storage = &*shared.storage;
    let dir = shared.path(names::TORN_DIR);
    storage.create_dir(&dir)?;
    storage.sync_dir(&shared.dir)?;
    let path = names::join(&dir, &names::torn(segment.number(), tail.start));
    if storage.exists(&path)? {
        storage.remove(&path)?;
    }
    let copy = storage.open(&path, OpenMode::CREATE)?;
    let mut piece = vec![0; PIECE_BYTES];
    let mut offset = tail.start;
    while offset < tail.end {
        let len = usize::try_from(tail.end - offset).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
        let wanted = piece.get_mut(..len).unwrap_or_default();
        let read = segment.file.read_at(offset, wanted)?;
        if read == 0 {
            break;
        }
        copy.write_at(offset - tail.start, piece.get(..read).unwrap_or_default())?;
        offset += read as u64;
    }
    copy.sync()?;
    storage.sync_dir(&dir)?;
    Ok(path)
}
