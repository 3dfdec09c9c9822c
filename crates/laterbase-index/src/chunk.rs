//! A chunk: entries of consecutive positions, sorted, in memory, never changed once it is shared.

use crate::entry::{Entry, Family, PerFamily};
use crate::range::Range;
use std::hint::select_unpredictable;
use std::sync::OnceLock;

/// Sorted entries of each family, and the positions that they are complete for.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    entries: PerFamily<Vec<Entry>>,
    len: usize,
    /// Every entry of the positions from `lowest` to `highest` is here, and no other.
    lowest: u64,
    highest: u64,
    /// Made by the first reader.
    postings: OnceLock<Directory>,
}

/// Where in the postings the entries with the same leading bits of `a` begin.
///
/// Their `a` are hashes, so each stretch has about eight of them, and what a binary search over all
/// would take many cache misses for is one look here and one there. A term with many entries makes
/// one stretch long, which is then searched as ever.
#[derive(Debug, Default)]
struct Directory {
    /// One more than there are stretches; empty when there are too few postings.
    begins: Vec<u32>,
    /// How far `a` is shifted to give a stretch's number.
    shift: u32,
}

/// Postings below which a directory is not worth its while; more than eight, so that it has
/// stretches.
const DIRECTORY_ENTRIES_MIN: usize = 1024;

impl Directory {
    fn new(entries: &[Entry]) -> Self {
        let Ok(len) = u32::try_from(entries.len()) else { return Self::default() };
        let bits = len.ilog2() - 3;
        let shift = 64 - bits;
        let mut begins = Vec::with_capacity((1 << bits) + 1);
        for (i, entry) in (0..len).zip(entries) {
            let number = (entry.a >> shift) as usize;
            while begins.len() <= number {
                begins.push(i);
            }
        }
        begins.resize((1 << bits) + 1, len);
        Self { begins, shift }
    }

    /// Where the entries with an `a` like this one begin and end.
    #[inline]
    fn stretch(&self, a: u64) -> Option<(usize, usize)> {
        if self.begins.is_empty() {
            return None;
        }
        let number = (a >> self.shift) as usize;
        match self.begins.get(number..number + 2)? {
            &[begin, end] => Some((begin as usize, end as usize)),
            _ => None,
        }
    }
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
        self.postings.take();
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

    /// Becomes the union of two chunks of adjacent positions.
    pub(crate) fn fill_by_merging(&mut self, older: &Self, newer: &Self) {
        self.clear();
        for (family, merged) in self.entries.iter_mut() {
            merge_two(older.family(family), newer.family(family), merged);
        }
        self.finish(older.lowest, newer.highest);
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
        let (begin, end) = self.bounds(range);
        self.family(range.family).get(begin..end).unwrap_or_default()
    }

    /// Where those entries begin and end.
    #[inline]
    pub(crate) fn bounds(&self, range: &Range) -> (usize, usize) {
        let entries = self.family(range.family);
        let (mut begin, mut end) = (0, entries.len());
        if range.family == Family::Posting && end >= DIRECTORY_ENTRIES_MIN {
            let postings = self.postings.get_or_init(|| Directory::new(entries));
            begin = postings.stretch(range.lo.a).map_or(begin, |(begin, _)| begin);
            end = postings.stretch(range.hi.a).map_or(end, |(_, end)| end);
        }
        let stretch = entries.get(begin..end).unwrap_or_default();
        let below = stretch.partition_point(|entry| *entry < range.lo);
        let rest = stretch.get(below..).unwrap_or_default();
        let wanted = match rest.first() {
            Some(first) if *first <= range.hi => rest.partition_point(|it| *it <= range.hi),
            Some(_) | None => 0,
        };
        (begin + below, begin + below + wanted)
    }
}

/// Appends the union of two sorted slices that have no entry in common.
fn merge_two(one: &[Entry], other: &[Entry], out: &mut Vec<Entry>) {
    out.reserve(one.len() + other.len());
    // What is ordered by time comes in order, mostly: then one slice just follows the other.
    if one.last() < other.first() {
        out.extend_from_slice(one);
        out.extend_from_slice(other);
        return;
    }
    let (mut i, mut j) = (0, 0);
    while let (Some(first), Some(second)) = (one.get(i), other.get(j)) {
        // Which is smaller is as good as random, so it must not decide a branch.
        let take_first = first < second;
        out.push(*select_unpredictable(take_first, first, second));
        i += usize::from(take_first);
        j += usize::from(!take_first);
    }
    out.extend_from_slice(one.get(i..).unwrap_or_default());
    out.extend_from_slice(other.get(j..).unwrap_or_default());
}
