//! Which large frames of a segment were compared with their checksums since it was opened.
//!
//! Reading one event out of a large frame takes a part of it, which the checksum does not cover
//! alone. So the first such read checks the whole frame, and leaves a mark here for later ones.
//!
//! Memory: one bit for each 8 KiB of the segment up to the last marked frame, taken when the first
//! mark is left; none for segments that are only written, scanned or sealed.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Frames longer than this are large: no two of them start in the same 8 KiB.
pub(crate) const SMALL_FRAME_BYTES: usize = 1 << SLOT_SHIFT;
const SLOT_SHIFT: u32 = 13;
const WORD_BITS: u64 = 64;

/// The marks of one segment.
#[derive(Debug, Default)]
pub(crate) struct CheckedFrames {
    words: Mutex<Vec<u64>>,
}

impl CheckedFrames {
    /// Was the large frame that starts at `offset` checked?
    pub(crate) fn contains(&self, offset: u64) -> bool {
        let (word, bit) = place_of(offset);
        self.lock().get(word).is_some_and(|word| word & bit != 0)
    }

    /// The large frame that starts at `offset` was checked, and is intact.
    pub(crate) fn insert(&self, offset: u64) {
        let (index, bit) = place_of(offset);
        let mut words = self.lock();
        if words.len() <= index {
            words.resize(index + 1, 0);
        }
        if let Some(word) = words.get_mut(index) {
            *word |= bit;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<u64>> {
        self.words.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn place_of(offset: u64) -> (usize, u64) {
    let slot = offset >> SLOT_SHIFT;
    (usize::try_from(slot / WORD_BITS).unwrap_or(usize::MAX), 1 << (slot % WORD_BITS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_told_apart_by_where_their_frames_start() {
        let checked = CheckedFrames::default();
        assert!(!checked.contains(4096));
        checked.insert(4096);
        checked.insert(100 << SLOT_SHIFT);
        assert!(checked.contains(4096));
        assert!(checked.contains(100 << SLOT_SHIFT));
        assert!(!checked.contains(2 << SLOT_SHIFT));
        assert!(!checked.contains(u64::MAX));
    }
}
