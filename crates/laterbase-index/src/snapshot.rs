//! What a reader sees: the chunks and runs of one moment, which stay as they are.
//!
//! A snapshot is complete to one position and holds nothing beyond it. Absorbing, writing runs and
//! merging make new snapshots; the ones that are held go on giving the same answers, from the
//! chunks and files that they keep open.

use crate::cache::PartCache;
use crate::chunk::Chunk;
use crate::cursor::Cursor;
use crate::entry::Entry;
use crate::error::ReadError;
use crate::range::{Direction, Overlap, Range};
use crate::run::Run;
use crate::run_cursor::RunCursor;
use laterbase_event::Position;
use std::sync::{Arc, Mutex, PoisonError};

/// Of how many terms a run is asked at once whether it has them.
const TERMS_AT_ONCE: usize = 64;

/// The runs of an index at one moment, oldest first, and the cache of their parts.
#[derive(Debug)]
pub(crate) struct RunSet {
    pub(crate) runs: Vec<Arc<Run>>,
    pub(crate) cache: Arc<PartCache>,
}

/// An index as it was at one moment; reading it takes no part in what happens to the index since.
#[derive(Debug)]
pub struct IndexSnapshot {
    /// Oldest first; all of later positions than the runs.
    chunks: Vec<Arc<Chunk>>,
    runs: Arc<RunSet>,
    complete_to: Position,
    watermark: Position,
}

impl IndexSnapshot {
    /// Every entry of every position up to this one is here, and none of a later one.
    #[must_use]
    pub fn complete_to(&self) -> Position {
        self.complete_to
    }

    /// Up to which position the entries are in durable runs.
    #[must_use]
    pub fn watermark(&self) -> Position {
        self.watermark
    }

    /// A cursor over the range, in its direction. It reads nothing before it is asked to.
    #[must_use]
    pub fn cursor(self: &Arc<Self>, range: &Range) -> Cursor {
        Cursor::new(Arc::clone(self), *range)
    }

    /// The smallest entry of the range, whatever its direction.
    ///
    /// # Errors
    /// A damaged run, or a storage that fails.
    pub fn first(&self, range: &Range) -> Result<Option<Entry>, ReadError> {
        let mut range = Range { direction: Direction::Ascending, ..*range };
        let mut best = None;
        self.point(&mut range, |range, found| {
            best = Some(found);
            range.hi = found;
            false
        })?;
        Ok(best)
    }

    /// The largest entry of the range, whatever its direction.
    ///
    /// # Errors
    /// A damaged run, or a storage that fails.
    pub fn last(&self, range: &Range) -> Result<Option<Entry>, ReadError> {
        let mut range = Range { direction: Direction::Descending, ..*range };
        let mut best = None;
        self.point(&mut range, |range, found| {
            best = Some(found);
            range.lo = found;
            false
        })?;
        Ok(best)
    }

    /// Has the range any entry?
    ///
    /// # Errors
    /// A damaged run, or a storage that fails.
    pub fn contains(&self, range: &Range) -> Result<bool, ReadError> {
        let mut range = Range { direction: Direction::Ascending, ..*range };
        let mut found = false;
        self.point(&mut range, |_, _| {
            found = true;
            true
        })?;
        Ok(found)
    }

    /// How many entries the range has.
    ///
    /// Where whole blocks are of one term and their positions all wanted, none of them is read.
    ///
    /// # Errors
    /// A damaged run, or a storage that fails.
    pub fn count(&self, range: &Range) -> Result<u64, ReadError> {
        let filter = range.filter();
        let mut count = 0;
        for chunk in &self.chunks {
            let overlap = filter.overlap(chunk.lowest(), chunk.highest());
            count += match overlap {
                Overlap::None => 0,
                Overlap::All if filter.any_extra() => chunk.between(range).len(),
                Overlap::All | Overlap::Some => {
                    chunk.between(range).iter().filter(|entry| filter.accepts(entry)).count()
                }
            } as u64;
        }
        for run in &self.runs.runs {
            if !RunCursor::excludes(run, range) {
                count += crate::count::in_run(run, &self.runs.cache, range)?;
            }
        }
        Ok(count)
    }

    /// Gives `take` every entry of these ascending ranges, each of which is of one term, in no
    /// order.
    ///
    /// For many terms this costs a fraction of a cursor each: which runs have a term at all is
    /// asked of some terms at a time, so that the processor waits for their filters at once and not
    /// for one after the other.
    ///
    /// # Errors
    /// A damaged run, or a storage that fails.
    pub fn each(&self, ranges: &[Range], mut take: impl FnMut(Entry)) -> Result<(), ReadError> {
        for chunk in &self.chunks {
            for range in ranges {
                let filter = range.filter();
                let wanted = chunk.between(range).iter().filter(|entry| filter.accepts(entry));
                wanted.for_each(|entry| take(*entry));
            }
        }
        for run in &self.runs.runs {
            for ranges in ranges.chunks(TERMS_AT_ONCE) {
                let mut excluded = [false; TERMS_AT_ONCE];
                for (excluded, range) in excluded.iter_mut().zip(ranges) {
                    let excludes_term = |term| run.excludes_term(range.family, term);
                    *excluded = range.single_term().is_some_and(excludes_term);
                }
                for (range, _) in ranges.iter().zip(excluded).filter(|(_, excluded)| !excluded) {
                    let mut cursor = RunCursor::default();
                    while let Some(entry) = cursor.next(run, &self.runs.cache, range)? {
                        take(entry);
                    }
                }
            }
        }
        Ok(())
    }

    /// Gives `take` the first wanted entry of each source, newest source first, until it says stop.
    /// What it narrows the range to is not asked for again.
    #[inline]
    fn point(
        &self,
        range: &mut Range,
        mut take: impl FnMut(&mut Range, Entry) -> bool,
    ) -> Result<(), ReadError> {
        let filter = range.filter();
        for chunk in self.chunks.iter().rev() {
            if filter.overlap(chunk.lowest(), chunk.highest()) == Overlap::None {
                continue;
            }
            let mut wanted = chunk.between(range).iter().filter(|entry| filter.accepts(entry));
            let found = match range.direction {
                Direction::Ascending => wanted.next(),
                Direction::Descending => wanted.next_back(),
            };
            if let Some(found) = found
                && take(range, *found)
            {
                return Ok(());
            }
        }
        let term = range.single_term();
        for run in self.runs.runs.iter().rev() {
            let excluded = term.is_some_and(|term| run.excludes_term(range.family, term));
            if excluded || RunCursor::excludes(run, range) {
                continue;
            }
            let found = RunCursor::default().next(run, &self.runs.cache, range)?;
            if let Some(found) = found
                && take(range, found)
            {
                return Ok(());
            }
        }
        Ok(())
    }

    pub(crate) fn chunks(&self) -> &[Arc<Chunk>] {
        &self.chunks
    }

    pub(crate) fn runs(&self) -> &[Arc<Run>] {
        &self.runs.runs
    }

    pub(crate) fn cache(&self) -> &PartCache {
        &self.runs.cache
    }
}

/// Takes snapshots of an index, from any thread and while the index is at work.
#[derive(Debug, Clone)]
pub struct IndexReader {
    current: Arc<Mutex<Arc<IndexSnapshot>>>,
}

impl IndexReader {
    /// The index as it is now: a lock for the time of copying one pointer.
    #[must_use]
    pub fn snapshot(&self) -> Arc<IndexSnapshot> {
        Arc::clone(&self.current.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// How many snapshots are kept for reuse.
const SPARE_SNAPSHOTS: usize = 16;

/// Replaces the snapshot that readers take, and reuses those that nobody holds any more.
#[derive(Debug)]
pub(crate) struct Publisher {
    reader: IndexReader,
    /// What snapshots are emptied to, so that they hold nothing back.
    no_runs: Arc<RunSet>,
    spare: Vec<Arc<IndexSnapshot>>,
}

impl Publisher {
    /// Publishes a first snapshot: of these runs, and no chunks.
    pub(crate) fn new(runs: &Arc<RunSet>, watermark: Position) -> Self {
        let snapshot = IndexSnapshot {
            chunks: Vec::new(),
            runs: Arc::clone(runs),
            complete_to: watermark,
            watermark,
        };
        let no_runs = Arc::new(RunSet { runs: Vec::new(), cache: Arc::clone(&runs.cache) });
        let current = Arc::new(Mutex::new(Arc::new(snapshot)));
        Self { reader: IndexReader { current }, no_runs, spare: Vec::new() }
    }

    pub(crate) const fn reader(&self) -> &IndexReader {
        &self.reader
    }

    /// Publishes a snapshot of these chunks and runs.
    pub(crate) fn publish(
        &mut self,
        chunks: &[Arc<Chunk>],
        runs: &Arc<RunSet>,
        complete_to: Position,
        watermark: Position,
    ) {
        let mut next = self.take_spare();
        if let Some(snapshot) = Arc::get_mut(&mut next) {
            snapshot.chunks.extend_from_slice(chunks);
            snapshot.runs = Arc::clone(runs);
            snapshot.complete_to = complete_to;
            snapshot.watermark = watermark;
        }
        let old = {
            let mut current = self.reader.current.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *current, next)
        };
        if self.spare.len() == SPARE_SNAPSHOTS {
            // Its readers hold it as long as they like; it is just not used again.
            self.spare.swap_remove(0);
        }
        self.spare.push(old);
        for spare in &mut self.spare {
            if let Some(spare) = Arc::get_mut(spare) {
                spare.chunks.clear();
                spare.runs = Arc::clone(&self.no_runs);
            }
        }
    }

    /// An empty snapshot that nobody else holds.
    fn take_spare(&mut self) -> Arc<IndexSnapshot> {
        let free = self.spare.iter_mut().position(|spare| Arc::get_mut(spare).is_some());
        if let Some(free) = free {
            let mut spare = self.spare.swap_remove(free);
            if let Some(snapshot) = Arc::get_mut(&mut spare) {
                snapshot.chunks.clear();
            }
            return spare;
        }
        Arc::new(IndexSnapshot {
            chunks: Vec::new(),
            runs: Arc::clone(&self.no_runs),
            complete_to: Position::NONE,
            watermark: Position::NONE,
        })
    }
}
