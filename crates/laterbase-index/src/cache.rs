//! The memory for decoded parts of runs, shared by every snapshot of an index.
//!
//! Half of it is for pages that stay: a run that finds room for all of its pages when it is opened
//! keeps them once they are read, where point lookups reach them without a lock. Merged runs find
//! room in what their inputs give back; the largest ones may find none.
//!
//! The other half is a cache of all other parts. It is set-associative: a part's place picks a set
//! of eight slots, each set under a lock of its own that is held for a copy of a pointer. Blocks
//! and pages take about three kilobytes each at the most, so a number of slots is a bound in bytes.
//! A set gives up the slot that was not asked for since the hand last passed (CLOCK); what comes in
//! counts as not asked for yet, so that one long scan does not displace what point lookups share.

use crate::block::BLOCK_ENTRIES_MAX;
use crate::entry::Entry;
use crate::section::{GroupPage, PAGE_BYTES_MAX};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What a slot takes at the most, in bytes: a page with its bookkeeping, or a block's entries.
const SLOT_BYTES: usize = PAGE_BYTES_MAX + 512;
const _: () = assert!(BLOCK_ENTRIES_MAX * size_of::<Entry>() <= SLOT_BYTES);
const SET_SLOTS: usize = 8;

/// Where a part lies: which opened run, and where in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PartKey {
    /// Given out by [`PartCache::register`]; no two opened files share one.
    pub(crate) file: u64,
    pub(crate) offset: u64,
}

/// A part in memory.
#[derive(Debug, Clone)]
pub(crate) enum Part {
    Block(Arc<[Entry]>),
    Page(Arc<GroupPage>),
}

/// Decoded parts, within a bound.
#[derive(Debug)]
pub(crate) struct PartCache {
    sets: Vec<Mutex<Set>>,
    files: AtomicU64,
    /// Bytes for pages that stay that nobody has reserved.
    stay_bytes: AtomicUsize,
}

/// Bytes reserved for the pages of a run, until they are given back.
#[derive(Debug)]
pub(crate) struct Reservation {
    cache: Arc<PartCache>,
    bytes: AtomicUsize,
}

impl Reservation {
    /// Reserves the bytes, if there is room for all of them.
    pub(crate) fn new(cache: &Arc<PartCache>, bytes: usize) -> Option<Self> {
        let taken = cache
            .stay_bytes
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes));
        taken.ok()?;
        Some(Self { cache: Arc::clone(cache), bytes: AtomicUsize::new(bytes) })
    }

    /// Gives the bytes to others, who may use them a little before they are free.
    pub(crate) fn give_back(&self) {
        let bytes = self.bytes.swap(0, Ordering::Relaxed);
        self.cache.stay_bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.give_back();
    }
}

#[derive(Debug, Default)]
struct Set {
    slots: [Option<Slot>; SET_SLOTS],
    hand: usize,
}

#[derive(Debug)]
struct Slot {
    key: PartKey,
    part: Part,
    used: bool,
}

impl PartCache {
    /// Memory for about this many bytes; eight slots at the least.
    pub(crate) fn new(bytes: usize) -> Self {
        let sets = (bytes / 2 / (SLOT_BYTES * SET_SLOTS)).max(1);
        let sets = (0..sets).map(|_| Mutex::default()).collect();
        Self { sets, files: AtomicU64::new(0), stay_bytes: AtomicUsize::new(bytes / 2) }
    }

    /// A number for a file that has been opened.
    pub(crate) fn register(&self) -> u64 {
        self.files.fetch_add(1, Ordering::Relaxed)
    }

    /// The part, if it is here.
    pub(crate) fn get(&self, key: PartKey) -> Option<Part> {
        let mut set = self.set(key)?.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = set.slots.iter_mut().flatten().find(|slot| slot.key == key)?;
        slot.used = true;
        Some(slot.part.clone())
    }

    /// Puts a part in, in the place of another one if need be.
    pub(crate) fn put(&self, key: PartKey, part: Part) {
        let Some(set) = self.set(key) else { return };
        let mut set = set.lock().unwrap_or_else(PoisonError::into_inner);
        let Set { slots, hand } = &mut *set;
        let slot = Slot { key, part, used: false };
        // Twice around and one step: by then a slot has been found not in use.
        for _ in 0..=2 * SET_SLOTS {
            *hand = (*hand + 1) % SET_SLOTS;
            match slots.get_mut(*hand) {
                Some(Some(old)) if old.used && old.key != key => old.used = false,
                Some(place) => {
                    *place = Some(slot);
                    return;
                }
                None => {}
            }
        }
    }

    /// Memory that the parts take, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        let of_set = |set: &Mutex<Set>| {
            let set = set.lock().unwrap_or_else(PoisonError::into_inner);
            set.slots.iter().flatten().map(|slot| slot.part.bytes()).sum::<usize>()
        };
        self.sets.iter().map(of_set).sum()
    }

    fn set(&self, key: PartKey) -> Option<&Mutex<Set>> {
        let mixed = (key.offset ^ key.file << 40).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed = (mixed ^ mixed >> 32).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let set = ((mixed >> 32) * self.sets.len() as u64) >> 32;
        self.sets.get(set as usize)
    }
}

impl Part {
    fn bytes(&self) -> usize {
        match self {
            Self::Block(entries) => size_of_val(&**entries),
            Self::Page(page) => page.memory_bytes(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(a: u64) -> Part {
        Part::Block(Arc::new([Entry::floor(a, 0)]))
    }

    fn found(cache: &PartCache, offset: u64) -> Option<u64> {
        match cache.get(PartKey { file: 0, offset }) {
            Some(Part::Block(entries)) => Some(entries[0].a),
            Some(Part::Page(_)) | None => None,
        }
    }

    #[test]
    fn gives_back_what_was_put_in() {
        let cache = PartCache::new(1 << 20);
        for offset in 0..20 {
            cache.put(PartKey { file: 0, offset }, block(offset));
        }
        assert!((0..20).all(|offset| found(&cache, offset) == Some(offset)));
        assert!(cache.get(PartKey { file: 1, offset: 3 }).is_none());
    }

    #[test]
    fn keeps_what_is_asked_for_and_stays_in_its_bounds() {
        let cache = PartCache::new(0);
        cache.put(PartKey { file: 0, offset: 7 }, block(7));
        for offset in 100..200 {
            assert_eq!(found(&cache, 7), Some(7), "before {offset}");
            cache.put(PartKey { file: 0, offset }, block(offset));
        }
        assert!(cache.bytes() <= SET_SLOTS * size_of::<Entry>());
    }
}
