//! A dictionary while it grows: entries in order of first use, found by their encoded bytes.
//!
//! A sorted list of indexes rather than a hash table: no seed is needed and hostile entries cost no
//! more than friendly ones. A lookup is a binary search; an insertion moves at most 128 KiB of
//! indexes, and that only in a batch with 65,535 distinct entries.

use alloc::vec::Vec;

#[derive(Clone, Debug, Default)]
pub(super) struct Interner {
    /// The encoded entries, one after the other: the dictionary's bytes.
    bytes: Vec<u8>,
    /// Where each entry ends.
    ends: Vec<u32>,
    /// Indexes of entries, in the order of their bytes.
    sorted: Vec<u16>,
    /// The entry last met for each guessed hash: saves most searches. Only ever a guess.
    recent: [u16; RECENT],
}

const RECENT: usize = 16;

impl Interner {
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        self.sorted.clear();
        self.recent = [0; RECENT];
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The dictionary's bytes, without its count.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The entry's encoded bytes.
    pub(super) fn entry(&self, index: u16) -> &[u8] {
        let index = usize::from(index);
        let start = index.checked_sub(1).and_then(|before| self.ends.get(before)).copied();
        let end = self.ends.get(index).copied().unwrap_or_default();
        self.bytes.get(start.unwrap_or_default() as usize..end as usize).unwrap_or_default()
    }

    /// The index of the entry that `encode` writes, which is added if it is new. The caller keeps
    /// the number of entries within 65,535.
    pub(super) fn intern(&mut self, encode: impl FnOnce(&mut Vec<u8>)) -> u16 {
        let start = self.bytes.len();
        encode(&mut self.bytes);
        match self.search(self.bytes.get(start..).unwrap_or_default()) {
            Ok(index) => {
                self.bytes.truncate(start);
                index
            }
            Err(place) => {
                let index = self.ends.len() as u16;
                self.ends.push(self.bytes.len() as u32);
                self.sorted.insert(place, index);
                index
            }
        }
    }

    /// As [`Interner::intern`], but asks first whether the entry last met with this `hint` is it.
    pub(super) fn intern_recent(
        &mut self,
        hint: usize,
        is_it: impl FnOnce(&[u8]) -> bool,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> u16 {
        let guess = self.recent.get(hint % RECENT).copied().unwrap_or_default();
        if is_it(self.entry(guess)) {
            return guess;
        }
        let index = self.intern(encode);
        if let Some(slot) = self.recent.get_mut(hint % RECENT) {
            *slot = index;
        }
        index
    }

    pub(super) fn contains(&self, encoded: &[u8]) -> bool {
        self.search(encoded).is_ok()
    }

    /// The entry with these bytes, or where in the order it belongs.
    fn search(&self, encoded: &[u8]) -> Result<u16, usize> {
        let place = self.sorted.partition_point(|index| self.entry(*index) < encoded);
        match self.sorted.get(place) {
            Some(index) if self.entry(*index) == encoded => Ok(*index),
            Some(_) | None => Err(place),
        }
    }
}
