//! A bounded cache with second chances: what was used since the hand last passed stays.
//!
//! Entries are kept in key order, so that the greatest key at or below another one can be found:
//! batches are cached under their first position and asked for by any. Each entry states its size;
//! the cache holds at most the budget, and an entry that is larger than all of it is not kept.
//!
//! Cost: one ordered lookup per question; each entry is passed by the hand at most twice.

use std::collections::{BTreeMap, VecDeque};

/// A cache of values under ordered keys.
#[derive(Debug)]
pub(crate) struct ClockCache<K, V> {
    entries: BTreeMap<K, Entry<V>>,
    hand: VecDeque<K>,
    bytes: usize,
    bytes_max: usize,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    bytes: usize,
    used: bool,
}

/// What an entry costs beside its value.
const ENTRY_BYTES: usize = 64;

impl<K: Ord + Copy, V: Clone> ClockCache<K, V> {
    pub(crate) const fn new(bytes_max: usize) -> Self {
        Self { entries: BTreeMap::new(), hand: VecDeque::new(), bytes: 0, bytes_max }
    }

    pub(crate) fn get(&mut self, key: &K) -> Option<V> {
        let entry = self.entries.get_mut(key)?;
        entry.used = true;
        Some(entry.value.clone())
    }

    /// The value under the greatest key that is at most `key`.
    pub(crate) fn get_at_or_before(&mut self, key: &K) -> Option<V> {
        let (_, entry) = self.entries.range_mut(..=*key).next_back()?;
        entry.used = true;
        Some(entry.value.clone())
    }

    pub(crate) fn insert(&mut self, key: K, value: V, bytes: usize) {
        let bytes = bytes + ENTRY_BYTES;
        if bytes > self.bytes_max {
            return;
        }
        let entry = Entry { value, bytes, used: false };
        match self.entries.insert(key, entry) {
            Some(before) => self.bytes -= before.bytes,
            None => self.hand.push_back(key),
        }
        self.bytes += bytes;
        while self.bytes > self.bytes_max {
            self.evict_one();
        }
    }

    fn evict_one(&mut self) {
        let Some(key) = self.hand.pop_front() else { return };
        match self.entries.get_mut(&key) {
            Some(entry) if entry.used => {
                entry.used = false;
                self.hand.push_back(key);
            }
            Some(_) => {
                if let Some(entry) = self.entries.remove(&key) {
                    self.bytes -= entry.bytes;
                }
            }
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_outlives_what_was_not_and_the_budget_holds() {
        let mut cache = ClockCache::new(4 * (ENTRY_BYTES + 10));
        for key in 0..4 {
            cache.insert(key, key, 10);
        }
        assert_eq!(cache.get(&0), Some(0));
        cache.insert(4, 4, 10);
        assert_eq!(cache.get(&0), Some(0), "it was used");
        assert_eq!(cache.get(&1), None, "the hand passed it");
        cache.insert(5, 5, 10_000);
        assert_eq!(cache.get(&5), None, "larger than the budget");
        assert!(cache.bytes <= cache.bytes_max);
    }

    #[test]
    fn greatest_key_at_or_below_is_found() {
        let mut cache = ClockCache::new(10_000);
        cache.insert(10, 'a', 1);
        cache.insert(20, 'b', 1);
        assert_eq!(cache.get_at_or_before(&9), None);
        assert_eq!(cache.get_at_or_before(&19), Some('a'));
        assert_eq!(cache.get_at_or_before(&20), Some('b'));
    }
}
