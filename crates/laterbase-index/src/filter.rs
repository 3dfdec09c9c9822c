//! Bloom filters whose every question touches one cache line.
//!
//! A key's hash picks one line of 512 bits and seven bits in it. With twelve bits a key, about one
//! absent key in two hundred is taken for a present one (Putze, Sanders, Singler, "Cache-, hash-
//! and space-efficient Bloom filters", 2007). Keys that are hashes already are mixed all the same:
//! a group's keys share their leading bits.

/// Bytes in a line.
pub(crate) const LINE_BYTES: usize = 64;

const LINE_WORDS: usize = LINE_BYTES / 8;
const BITS_PER_KEY: usize = 12;
const BITS_SET: u32 = 7;

/// The most lines that a filter of this many keys has.
pub(crate) const fn lines_for(keys: usize) -> usize {
    (keys * BITS_PER_KEY).div_ceil(LINE_BYTES * 8)
}

/// A filter over a set of keys; one of no lines lets everything through.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    lines: Vec<[u64; LINE_WORDS]>,
}

impl Filter {
    /// A filter of no lines.
    pub(crate) const fn new() -> Self {
        Self { lines: Vec::new() }
    }

    /// Makes this the filter of the keys, reusing its memory.
    pub(crate) fn rebuild(&mut self, keys: &[u64]) {
        self.lines.clear();
        self.lines.resize(lines_for(keys.len()), [0; LINE_WORDS]);
        for &key in keys {
            let (line, mut bits) = place(key, self.lines.len());
            if let Some(line) = self.lines.get_mut(line) {
                for _ in 0..BITS_SET {
                    if let Some(word) = line.get_mut((bits & 7) as usize) {
                        *word |= 1 << (bits >> 3 & 63);
                    }
                    bits >>= 9;
                }
            }
        }
    }

    /// Is the key perhaps in the set? `false` is certain.
    #[inline]
    pub(crate) fn may_contain(&self, key: u64) -> bool {
        let (line, mut bits) = place(key, self.lines.len());
        let Some(line) = self.lines.get(line) else { return true };
        let mut missing = 0;
        for _ in 0..BITS_SET {
            let word = line.get((bits & 7) as usize).copied().unwrap_or_default();
            missing |= !word >> (bits >> 3 & 63);
            bits >>= 9;
        }
        missing & 1 == 0
    }

    pub(crate) fn line_count(&self) -> usize {
        self.lines.len()
    }

    /// Memory that its lines take, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.lines.len() * LINE_BYTES
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        for word in self.lines.iter().flatten() {
            out.extend_from_slice(&word.to_le_bytes());
        }
    }

    /// The filter that these bytes hold, if they are whole lines.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let (lines, rest) = bytes.as_chunks::<LINE_BYTES>();
        if !rest.is_empty() {
            return None;
        }
        let words = |line: &[u8; LINE_BYTES]| {
            let mut words = [0; LINE_WORDS];
            for (word, bytes) in words.iter_mut().zip(line.as_chunks::<8>().0) {
                *word = u64::from_le_bytes(*bytes);
            }
            words
        };
        Some(Self { lines: lines.iter().map(words).collect() })
    }
}

/// The line of a key among `lines`, and seven times nine bits that pick a bit of it.
#[inline]
const fn place(key: u64, lines: usize) -> (usize, u64) {
    let mixed = (key ^ key >> 32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let line = ((mixed >> 32) * lines as u64) >> 32;
    let bits = (mixed ^ mixed >> 31).wrapping_mul(0x94d0_49bb_1331_11eb) >> 1;
    (line as usize, bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(i: u64) -> u64 {
        // Neighbours, as the keys of a group are when it is one of many.
        0xabcd_0000_0000_0000 + i * 0x1_0000_0007
    }

    #[test]
    fn every_key_is_let_through() {
        for count in [1, 2, 42, 43, 50, 2048] {
            let keys: Vec<u64> = (0..count).map(key).collect();
            let mut filter = Filter::default();
            filter.rebuild(&keys);
            assert!(keys.iter().all(|&key| filter.may_contain(key)), "{count} keys");
            let mut bytes = Vec::new();
            filter.write(&mut bytes);
            assert_eq!(Filter::read(&bytes), Some(filter));
        }
    }

    #[test]
    fn few_absent_keys_are_let_through() {
        let keys: Vec<u64> = (0..2048).map(key).collect();
        let mut filter = Filter::default();
        filter.rebuild(&keys);
        let wrong = (2048..102_048).filter(|&i| filter.may_contain(key(i))).count();
        assert!(wrong < 600, "{wrong} of 100,000");
    }

    #[test]
    fn a_filter_of_no_lines_lets_everything_through() {
        assert!(Filter::default().may_contain(1));
        assert_eq!(Filter::read(&[0; 63]), None);
    }
}
