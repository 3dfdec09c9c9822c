//! A cursor: the wanted entries of all chunks and runs of a snapshot, as one sorted sequence.
//!
//! Sources are disjoint sets, so merging them is a matter of their heads. Once it stands, a step
//! allocates nothing unless a block has to be read from a file.

use crate::entry::Entry;
use crate::error::ReadError;
use crate::heads::Heads;
use crate::range::{Direction, Overlap, Range};
use crate::run_cursor::RunCursor;
use crate::snapshot::IndexSnapshot;
use std::sync::Arc;

/// Walks a range of a snapshot, which it keeps alive.
#[derive(Debug)]
pub struct Cursor {
    snapshot: Arc<IndexSnapshot>,
    /// Shrinks from the side that has been passed when the cursor is told to seek.
    range: Range,
    /// Heads in the order of the walk: see [`ordered`].
    heads: Heads,
    sources: Vec<Source>,
    started: bool,
}

#[derive(Debug)]
enum Source {
    /// What is left of the chunk of this number: from `begin` to `end` in its family.
    Chunk { number: usize, begin: usize, end: usize },
    /// The run of this number.
    Run { number: usize, cursor: RunCursor },
}

impl Cursor {
    pub(crate) fn new(snapshot: Arc<IndexSnapshot>, range: Range) -> Self {
        let filter = range.filter();
        let mut sources = Vec::with_capacity(snapshot.runs().len() + snapshot.chunks().len());
        let term = range.single_term();
        for (number, run) in snapshot.runs().iter().enumerate() {
            let excludes_term = |term| run.excludes_term(range.family, term);
            if !term.is_some_and(excludes_term) && !RunCursor::excludes(run, &range) {
                sources.push(Source::Run { number, cursor: RunCursor::default() });
            }
        }
        for (number, chunk) in snapshot.chunks().iter().enumerate() {
            if filter.overlap(chunk.lowest(), chunk.highest()) != Overlap::None {
                let (begin, end) = chunk.bounds(&range);
                if begin < end {
                    sources.push(Source::Chunk { number, begin, end });
                }
            }
        }
        Self { snapshot, range, heads: Heads::new(), sources, started: false }
    }

    /// The next entry, or `None` at the end of the range and ever after.
    ///
    /// # Errors
    /// A damaged run, or a storage that fails; the cursor is of no use afterwards.
    #[expect(
        clippy::should_implement_trait,
        reason = "an iterator of results would hide that \
        a cursor is of no use after an error"
    )]
    pub fn next(&mut self) -> Result<Option<Entry>, ReadError> {
        if !self.started {
            self.start()?;
        }
        let Some(head) = self.heads.top().copied() else { return Ok(None) };
        let next = match self.sources.get_mut(head.source as usize) {
            Some(source) => source.next(&self.snapshot, &self.range)?,
            None => None,
        };
        self.heads.advance(next.map(|entry| ordered(entry, self.range.direction)));
        Ok(Some(ordered(head.entry, self.range.direction)))
    }

    /// Moves on: what comes next is at `to` or beyond it in the cursor's direction. Never moves
    /// back.
    ///
    /// # Errors
    /// As [`Self::next`].
    pub fn seek(&mut self, to: Entry) -> Result<(), ReadError> {
        let target = ordered(to, self.range.direction);
        match self.range.direction {
            Direction::Ascending => self.range.lo = self.range.lo.max(to),
            Direction::Descending => self.range.hi = self.range.hi.min(to),
        }
        if !self.started {
            return self.start();
        }
        while let Some(head) = self.heads.top().copied().filter(|head| head.entry < target) {
            let next = match self.sources.get_mut(head.source as usize) {
                Some(source) => {
                    source.seek(&self.snapshot, &self.range);
                    source.next(&self.snapshot, &self.range)?
                }
                None => None,
            };
            self.heads.advance(next.map(|entry| ordered(entry, self.range.direction)));
        }
        Ok(())
    }

    fn start(&mut self) -> Result<(), ReadError> {
        self.started = true;
        for (number, source) in (0..).zip(&mut self.sources) {
            source.seek(&self.snapshot, &self.range);
            if let Some(entry) = source.next(&self.snapshot, &self.range)? {
                self.heads.push(ordered(entry, self.range.direction), number);
            }
        }
        Ok(())
    }
}

impl Source {
    #[inline]
    fn next(
        &mut self,
        snapshot: &IndexSnapshot,
        range: &Range,
    ) -> Result<Option<Entry>, ReadError> {
        match self {
            Self::Chunk { number, begin, end } => {
                let Some(chunk) = snapshot.chunks().get(*number) else { return Ok(None) };
                let filter = range.filter();
                let rest = chunk.family(range.family).get(*begin..*end).unwrap_or_default();
                let (found, passed) = match range.direction {
                    Direction::Ascending => first_accepted(rest.iter(), |it| filter.accepts(it)),
                    Direction::Descending => {
                        first_accepted(rest.iter().rev(), |it| filter.accepts(it))
                    }
                };
                match range.direction {
                    Direction::Ascending => *begin += passed,
                    Direction::Descending => *end -= passed,
                }
                Ok(found)
            }
            Self::Run { number, cursor } => match snapshot.runs().get(*number) {
                Some(run) => cursor.next(run, snapshot.cache(), range),
                None => Ok(None),
            },
        }
    }

    /// Passes what the range no longer covers.
    fn seek(&mut self, snapshot: &IndexSnapshot, range: &Range) {
        match self {
            Self::Chunk { number, begin, end } => {
                let Some(chunk) = snapshot.chunks().get(*number) else { return };
                let rest = chunk.family(range.family).get(*begin..*end).unwrap_or_default();
                match range.direction {
                    Direction::Ascending => {
                        *begin += rest.partition_point(|entry| *entry < range.lo);
                    }
                    Direction::Descending => {
                        *end = *begin + rest.partition_point(|entry| *entry <= range.hi);
                    }
                }
            }
            Self::Run { cursor, .. } => cursor.restart(range),
        }
    }
}

/// The first entry that is accepted, and how many there are up to and with it.
#[inline]
fn first_accepted<'e>(
    entries: impl Iterator<Item = &'e Entry>,
    accepts: impl Fn(&Entry) -> bool,
) -> (Option<Entry>, usize) {
    let mut passed = 0;
    for entry in entries {
        passed += 1;
        if accepts(entry) {
            return (Some(*entry), passed);
        }
    }
    (None, passed)
}

/// An entry as the heads order it: as it is, or complemented so that the largest comes first.
#[inline]
const fn ordered(entry: Entry, direction: Direction) -> Entry {
    match direction {
        Direction::Ascending => entry,
        Direction::Descending => Entry { a: !entry.a, b: !entry.b, c: !entry.c },
    }
}
