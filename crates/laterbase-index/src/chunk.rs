//! A chunk: entries of consecutive positions, sorted, in memory, never changed once it is shared.

use crate::entry::{Entry, Family, PerFamily};
use crate::heads::Heads;
use crate::range::Range;

/// Sorted entries of each family, and the positions that they are complete for.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    entries: PerFamily<Vec<Entry>>,
    len: usize,
    /// Every entry of the positions from `lowest` to `highest` is here, and no other.
    lowest: u64,
    highest: u64,
}

impl Chunk {
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    pub(crate) const fn lowest(&self) -> u64 {
        self.lowest
    }

    pub(crate) const fn highest(&self) -> u64 {
        self.highest
    }

    pub(crate) fn family(&self, family: Family) -> &[Entry] {
        self.entries.get(family)
    }

    /// Memory that it holds, in bytes, whether used or not.
    pub(crate) fn capacity_bytes(&self) -> usize {
        self.entries.iter().map(|(_, entries)| entries.capacity() * size_of::<Entry>()).sum()
    }

    /// Empties it, keeping its memory.
    pub(crate) fn clear(&mut self) {
        for (_, entries) in self.entries.iter_mut() {
            entries.clear();
        }
        self.len = 0;
    }

    /// Takes sorted entries over, leaving `entries` empty with the memory this chunk had.
    pub(crate) fn fill_by_swap(
        &mut self,
        entries: &mut PerFamily<Vec<Entry>>,
        lowest: u64,
        highest: u64,
    ) {
        self.clear();
        std::mem::swap(&mut self.entries, entries);
        self.finish(lowest, highest);
    }

    /// Becomes the union of `older` and of sorted entries, which are left empty.
    pub(crate) fn fill_by_adding(
        &mut self,
        older: &Self,
        entries: &mut PerFamily<Vec<Entry>>,
        highest: u64,
    ) {
        self.clear();
        for (family, added) in entries.iter_mut() {
            merge_two(older.family(family), added, self.entries.get_mut(family));
            added.clear();
        }
        self.finish(older.lowest, highest);
    }

    /// Becomes the union of chunks of adjacent positions, oldest first.
    pub(crate) fn fill_by_merging<'c>(
        &mut self,
        chunks: impl Iterator<Item = &'c Self> + Clone,
        heads: &mut Heads,
    ) {
        self.clear();
        for (family, merged) in self.entries.iter_mut() {
            merge_all(chunks.clone().map(|chunk| chunk.family(family)), heads, merged);
        }
        let lowest = chunks.clone().map(|chunk| chunk.lowest).min().unwrap_or(0);
        self.finish(lowest, chunks.map(|chunk| chunk.highest).max().unwrap_or(0));
    }

    /// Becomes the part of another chunk that begins at the position `lowest`.
    pub(crate) fn fill_from(&mut self, other: &Self, lowest: u64) {
        self.clear();
        for (family, kept) in self.entries.iter_mut() {
            let later = other.family(family).iter().filter(|entry| entry.position() >= lowest);
            kept.extend(later);
        }
        self.finish(lowest, other.highest);
    }

    fn finish(&mut self, lowest: u64, highest: u64) {
        self.len = self.entries.iter().map(|(_, entries)| entries.len()).sum();
        self.lowest = lowest;
        self.highest = highest;
        debug_assert!(
            self.entries.iter().all(|(_, entries)| entries.is_sorted_by(|one, next| one < next)),
            "entries rise strictly"
        );
    }

    /// The entries between the bounds of a range, which its filter has not seen yet.
    #[inline]
    pub(crate) fn between(&self, range: &Range) -> &[Entry] {
        let entries = self.family(range.family);
        let begin = entries.partition_point(|entry| *entry < range.lo);
        let rest = entries.get(begin..).unwrap_or_default();
        let end = rest.partition_point(|entry| *entry <= range.hi);
        rest.get(..end).unwrap_or_default()
    }
}

/// Appends the union of two sorted slices that have no entry in common.
fn merge_two(mut one: &[Entry], mut other: &[Entry], out: &mut Vec<Entry>) {
    out.reserve(one.len() + other.len());
    if one.last() < other.first() {
        out.extend_from_slice(one);
        out.extend_from_slice(other);
        return;
    }
    while let (Some(first), Some(second)) = (one.first(), other.first()) {
        let take_first = first < second;
        out.push(if take_first { *first } else { *second });
        one = one.get(usize::from(take_first)..).unwrap_or_default();
        other = other.get(usize::from(!take_first)..).unwrap_or_default();
    }
    out.extend_from_slice(one);
    out.extend_from_slice(other);
}

/// Appends the union of sorted slices that have no entry in common.
fn merge_all<'e>(
    slices: impl Iterator<Item = &'e [Entry]> + Clone,
    heads: &mut Heads,
    out: &mut Vec<Entry>,
) {
    out.reserve(slices.clone().map(<[Entry]>::len).sum());
    // What is ordered by time comes in order, mostly: then the slices only follow each other.
    let ends = slices.clone().filter(|slice| !slice.is_empty());
    if ends.clone().zip(ends.skip(1)).all(|(one, next)| one.last() < next.first()) {
        for slice in slices {
            out.extend_from_slice(slice);
        }
        return;
    }
    let mut rests: Vec<std::slice::Iter<'e, Entry>> = slices.map(<[Entry]>::iter).collect();
    heads.clear();
    for (source, rest) in (0..).zip(&mut rests) {
        if let Some(entry) = rest.next() {
            heads.push(*entry, source);
        }
    }
    while let Some(top) = heads.top() {
        out.push(top.entry);
        let next = rests.get_mut(top.source as usize).and_then(Iterator::next).copied();
        heads.advance(next);
    }
}
