//! The heads of sorted sources, smallest first: what every merge here turns around.
//!
//! A binary heap that is only ever asked for its top and told what follows it. A source mostly
//! gives several entries in a row, so the one comparison that keeps the top in place comes first.

use crate::entry::Entry;

/// The next entry of each source that has one.
#[derive(Debug, Default)]
pub(crate) struct Heads {
    heap: Vec<Head>,
}

/// The next entry of a source, and the source's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Head {
    pub(crate) entry: Entry,
    pub(crate) source: u32,
}

impl Heads {
    pub(crate) const fn new() -> Self {
        Self { heap: Vec::new() }
    }

    pub(crate) fn clear(&mut self) {
        self.heap.clear();
    }

    /// Adds a source that has no head yet.
    pub(crate) fn push(&mut self, entry: Entry, source: u32) {
        self.heap.push(Head { entry, source });
        let mut child = self.heap.len() - 1;
        while child > 0 {
            let parent = (child - 1) / 2;
            if self.heap.get(parent) <= self.heap.get(child) {
                break;
            }
            self.heap.swap(parent, child);
            child = parent;
        }
    }

    /// The smallest head.
    #[inline]
    pub(crate) fn top(&self) -> Option<&Head> {
        self.heap.first()
    }

    /// Replaces the smallest head by what follows it in its source, or by nothing.
    #[inline]
    pub(crate) fn advance(&mut self, next: Option<Entry>) {
        match next {
            Some(entry) => {
                if let Some(top) = self.heap.first_mut() {
                    top.entry = entry;
                }
            }
            None => {
                if !self.heap.is_empty() {
                    self.heap.swap_remove(0);
                }
            }
        }
        self.sift_down();
    }

    #[inline]
    fn sift_down(&mut self) {
        let Some(&moving) = self.heap.first() else { return };
        let mut parent = 0;
        loop {
            let left = 2 * parent + 1;
            let Some(mut smaller) = self.heap.get(left) else { break };
            let mut child = left;
            if let Some(right) = self.heap.get(left + 1)
                && right < smaller
            {
                smaller = right;
                child = left + 1;
            }
            if moving <= *smaller {
                break;
            }
            let up = *smaller;
            if let Some(slot) = self.heap.get_mut(parent) {
                *slot = up;
            }
            parent = child;
        }
        if parent > 0
            && let Some(slot) = self.heap.get_mut(parent)
        {
            *slot = moving;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merges_sorted_sources() {
        let sources: Vec<Vec<u64>> =
            (0..9).map(|i| (0..i * 7).map(|j| (j * j * 31 + i) % 1000).collect()).collect();
        let mut iterators: Vec<_> = sources
            .iter()
            .map(|source| {
                let mut sorted = source.clone();
                sorted.sort_unstable();
                sorted.into_iter()
            })
            .collect();
        let mut heads = Heads::new();
        for (number, source) in iterators.iter_mut().enumerate() {
            if let Some(a) = source.next() {
                heads.push(Entry::floor(a, 0), number as u32);
            }
        }
        let mut merged = Vec::new();
        while let Some(top) = heads.top().copied() {
            merged.push(top.entry.a);
            heads.advance(iterators[top.source as usize].next().map(|a| Entry::floor(a, 0)));
        }
        let mut expected: Vec<u64> = sources.into_iter().flatten().collect();
        expected.sort_unstable();
        assert_eq!(merged, expected);
    }
}
