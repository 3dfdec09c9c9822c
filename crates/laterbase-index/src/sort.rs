//! Sorts entries whose `a` are hashes: by their leading bits into stretches of about eight, each of
//! which is then sorted.
//!
//! Two passes over the entries instead of one for each doubling. Entries that are not spread evenly
//! (few terms, or no hashes at all) make some stretches long; these cost what sorting costs.

use crate::entry::Entry;

/// Entries below which a plain sort is as fast.
const PLAIN_ENTRIES: usize = 128;

/// The most leading bits that are looked at.
const BITS_MAX: u32 = 13;

/// Sorts, reusing its memory.
#[derive(Debug, Default)]
pub(crate) struct Sorter {
    scratch: Vec<Entry>,
    /// Where the next entry of each stretch goes; in the end, where the stretch ends.
    places: Vec<u32>,
}

impl Sorter {
    /// Sorts the entries. What `entries` is afterwards may be another buffer.
    pub(crate) fn sort(&mut self, entries: &mut Vec<Entry>) {
        let Ok(len) = u32::try_from(entries.len()) else { return entries.sort_unstable() };
        if entries.len() < PLAIN_ENTRIES {
            return entries.sort_unstable();
        }
        let bits = (len.ilog2() - 3).min(BITS_MAX);
        let stretch = |entry: &Entry| (entry.a >> (64 - bits)) as usize;
        self.places.clear();
        self.places.resize(1 << bits, 0);
        for entry in &*entries {
            if let Some(place) = self.places.get_mut(stretch(entry)) {
                *place += 1;
            }
        }
        let mut begin = 0;
        for place in &mut self.places {
            begin += std::mem::replace(place, begin);
        }
        // What the scratch holds is overwritten; only what it lacks has to be made.
        self.scratch.resize(entries.len(), Entry::MIN);
        for entry in &*entries {
            let place = self.places.get_mut(stretch(entry));
            if let Some(place) = place
                && let Some(slot) = self.scratch.get_mut(*place as usize)
            {
                *slot = *entry;
                *place += 1;
            }
        }
        let mut rest = self.scratch.as_mut_slice();
        let mut begin = 0;
        for &end in &self.places {
            let (sorted, later) = rest.split_at_mut((end - begin) as usize);
            sorted.sort_unstable();
            (rest, begin) = (later, end);
        }
        std::mem::swap(entries, &mut self.scratch);
    }

    /// Memory that it holds, in bytes.
    pub(crate) const fn capacity_bytes(&self) -> usize {
        self.scratch.capacity() * size_of::<Entry>() + self.places.capacity() * 4
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorts_hashes_and_anything_else() {
        let mixed = |i: u64| i.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(17) ^ i;
        let mut sorter = Sorter::default();
        for len in [0, 1, 127, 128, 129, 1000, 100_000] {
            let hashed: Vec<Entry> = (0..len).map(|i| Entry::new(mixed(i), i, 1, i)).collect();
            let few = (0..len).map(|i| Entry::new(mixed(i % 7), mixed(i), 1, i)).collect();
            let small = (0..len).map(|i| Entry::new(i % 100, len - i, 1, i)).collect();
            for mut entries in [hashed, few, small] {
                let mut expected = entries.clone();
                expected.sort_unstable();
                sorter.sort(&mut entries);
                assert!(entries == expected, "{len} entries");
            }
        }
    }
}
