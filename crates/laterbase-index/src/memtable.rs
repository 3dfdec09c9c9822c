//! The memtable: chunks in the order of their positions, merged by tiers as they come.
//!
//! ```text
//!   oldest                                            newest
//!   ┌───────────────┬───────────────┬──────┬──────┬──┬──┬─┐
//!   │   large       │   large       │ mid  │ mid  │  │  │t│   t: the tail, up to 512 entries
//!   └───────────────┴───────────────┴──────┴──────┴──┴──┴─┘
//!     frozen: being written as a run, no longer merged
//! ```
//! Few entries are merged into the tail at once, at most 512 of them moved; beyond that a chunk is
//! merged with an older one that is not twice as large, like the digits of a binary counter. So an
//! entry is moved about once for each doubling, in one pass over memory without a branch that
//! depends on it, and a reader finds about as many chunks as there are doublings, at the most.
//!
//! Chunks cover adjacent stretches of positions. Those that nobody reads any more are kept and
//! filled again, within a bound, so that a warm memtable allocates nothing.

use crate::chunk::Chunk;
use crate::entry::{Entry, Family, POSITION_MAX};
use crate::error::AbsorbError;
use crate::pending::PendingEntries;
use crate::sort::Sorter;
use laterbase_event::Position;
use std::sync::Arc;

/// Entries up to which the tail is merged with what comes.
const TAIL_ENTRIES: usize = 512;

/// The most chunks that are kept for being filled again.
const SPARE_CHUNKS: usize = 24;

/// Entries in memory that are in no run yet.
#[derive(Debug)]
pub(crate) struct Memtable {
    chunks: Vec<Arc<Chunk>>,
    /// How many of the oldest chunks are being written.
    frozen: usize,
    /// Entries in `chunks`.
    len: usize,
    complete_to: u64,
    /// Chunks for reuse; readers may still hold some of them.
    spare: Vec<Arc<Chunk>>,
    spare_bytes_max: usize,
    sorter: Sorter,
}

impl Memtable {
    /// An empty one whose first position will be the one after `complete_to`.
    pub(crate) fn new(complete_to: u64, spare_bytes_max: usize) -> Self {
        Self {
            chunks: Vec::new(),
            frozen: 0,
            len: 0,
            complete_to,
            spare: Vec::new(),
            spare_bytes_max,
            sorter: Sorter::default(),
        }
    }

    pub(crate) fn chunks(&self) -> &[Arc<Chunk>] {
        &self.chunks
    }

    pub(crate) const fn complete_to(&self) -> u64 {
        self.complete_to
    }

    /// Memory that the entries take, in bytes.
    pub(crate) const fn bytes(&self) -> usize {
        self.len * size_of::<Entry>()
    }

    /// Takes the entries in, less those of positions that it had already.
    ///
    /// Returns whether there was anything new.
    pub(crate) fn absorb(&mut self, pending: &mut PendingEntries) -> Result<bool, AbsorbError> {
        let upto = pending.upto();
        let span = pending.positions();
        if upto.as_u64() > POSITION_MAX {
            return Err(AbsorbError::TooHigh { upto });
        }
        if span.highest > upto.as_u64() {
            return Err(AbsorbError::BeyondEnd { position: Position::new(span.highest), upto });
        }
        if upto.as_u64() <= self.complete_to {
            pending.clear();
            return Ok(false);
        }
        if span.lowest <= self.complete_to {
            let complete_to = self.complete_to;
            for (_, entries) in pending.entries.iter_mut() {
                entries.retain(|entry| entry.position() > complete_to);
            }
        }
        let mut added = 0;
        for (family, entries) in pending.entries.iter_mut() {
            match family {
                Family::Posting => self.sorter.sort(entries),
                Family::Id | Family::Hlc | Family::Address | Family::Valid => {
                    entries.sort_unstable();
                }
            }
            entries.dedup();
            added += entries.len();
        }
        if added > 0 {
            self.add(pending, added, upto.as_u64());
        }
        self.complete_to = upto.as_u64();
        pending.clear();
        Ok(true)
    }

    fn add(&mut self, pending: &mut PendingEntries, added: usize, upto: u64) {
        let tail = if self.chunks.len() > self.frozen { self.chunks.last() } else { None };
        let tail = tail.filter(|tail| tail.len() + added <= TAIL_ENTRIES).cloned();
        let mut chunk = self.take_spare(added + tail.as_ref().map_or(0, |tail| tail.len()));
        let lowest = self.chunks.last().map_or(0, |chunk| chunk.highest()) + 1;
        if let Some(filled) = Arc::get_mut(&mut chunk) {
            match &tail {
                Some(tail) => filled.fill_by_adding(tail, &mut pending.entries, upto),
                None => filled.fill_by_swap(&mut pending.entries, lowest, upto),
            }
        }
        if let Some(tail) = tail {
            self.chunks.pop();
            self.give_spare(tail);
        }
        self.chunks.push(chunk);
        self.len += added;
        self.merge_newest();
    }

    /// Merges the two newest chunks while the older one is not of a larger size.
    fn merge_newest(&mut self) {
        while let Some([older, newer]) = self.chunks.get(self.frozen..).and_then(<[_]>::last_chunk)
            && size_class(older.len()) <= size_class(newer.len())
        {
            let (older, newer) = (Arc::clone(older), Arc::clone(newer));
            let mut merged = self.take_spare(older.len() + newer.len());
            if let Some(chunk) = Arc::get_mut(&mut merged) {
                chunk.fill_by_merging(&older, &newer);
            }
            self.chunks.truncate(self.chunks.len() - 2);
            self.chunks.push(merged);
            self.give_spare(older);
            self.give_spare(newer);
        }
    }

    /// Entries in the oldest chunks whose positions are all at most `flushed`.
    pub(crate) fn ready_bytes(&self, flushed: u64) -> usize {
        self.ready(flushed).map(|chunk| chunk.len() * size_of::<Entry>()).sum()
    }

    /// Freezes those chunks and returns them; they stay readable until [`Self::release`].
    pub(crate) fn freeze(&mut self, flushed: u64) -> Vec<Arc<Chunk>> {
        let frozen: Vec<_> = self.ready(flushed).cloned().collect();
        self.frozen = frozen.len();
        frozen
    }

    /// Lets frozen chunks be merged again: what was being written was given up.
    pub(crate) const fn thaw(&mut self) {
        self.frozen = 0;
    }

    /// Forgets the frozen chunks: they are in a run now.
    pub(crate) fn release(&mut self) {
        let frozen = std::mem::take(&mut self.frozen);
        let released: Vec<_> = self.chunks.drain(..frozen.min(self.chunks.len())).collect();
        for chunk in released {
            self.len -= chunk.len();
            self.give_spare(chunk);
        }
    }

    /// Forgets every entry of a position up to `position`: a run has them.
    pub(crate) fn drop_upto(&mut self, position: u64) {
        let whole = self.chunks.iter().take_while(|chunk| chunk.highest() <= position).count();
        self.frozen = whole;
        self.release();
        if let Some(first) = self.chunks.first().filter(|chunk| chunk.lowest() <= position) {
            let mut rest = Chunk::default();
            rest.fill_from(first, position + 1);
            self.len -= first.len() - rest.len();
            self.chunks.splice(..1, (rest.len() > 0).then(|| Arc::new(rest)));
        }
        self.complete_to = self.complete_to.max(position);
    }

    fn ready(&self, flushed: u64) -> impl Iterator<Item = &Arc<Chunk>> {
        self.chunks.iter().take_while(move |chunk| chunk.highest() <= flushed)
    }

    /// A chunk of our own with room for about `len` entries, if there is one to reuse.
    fn take_spare(&mut self, len: usize) -> Arc<Chunk> {
        let wanted = len * size_of::<Entry>();
        let best = self
            .spare
            .iter_mut()
            .enumerate()
            .filter_map(|(i, chunk)| Some((i, Arc::get_mut(chunk)?.capacity_bytes())))
            .min_by_key(|&(_, bytes)| (bytes < wanted, bytes.abs_diff(wanted)));
        match best {
            Some((i, _)) => self.spare.swap_remove(i),
            None => Arc::default(),
        }
    }

    fn give_spare(&mut self, chunk: Arc<Chunk>) {
        let bytes: usize = self.spare.iter().map(|spare| spare.capacity_bytes()).sum();
        let fits =
            bytes + self.sorter.capacity_bytes() + chunk.capacity_bytes() <= self.spare_bytes_max;
        if fits && self.spare.len() < SPARE_CHUNKS {
            self.spare.push(chunk);
        }
    }
}

/// Chunks of one class differ in size by less than a factor of two; the tail's class is 0.
const fn size_class(len: usize) -> u32 {
    match (2 * len / TAIL_ENTRIES).checked_ilog2() {
        Some(class) => class,
        None => 0,
    }
}
