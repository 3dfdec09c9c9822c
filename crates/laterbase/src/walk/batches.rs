//! Whole batches in transaction order: everything, one root, some types.
//!
//! Within a batch, ids are consecutive; batches of different replicas may overlap. So a walk keeps
//! the batches that overlap the current moment open and offers the smallest id among them.
//! Which batches there are comes from the index: the HLC family, or the per-batch terms of a root
//! or of types. At the most the batches of one replica's 65,535 consecutive ids can lie before an
//! entry that starts earlier, which is what a backward walk looks ahead by.

use std::sync::Arc;

use laterbase_event::{Hlc, Position, ReplicaId};
use laterbase_index::{Cursor, Entry, Family, IndexSnapshot, Range};

use super::postings::Bounds;
use super::{Candidate, Source};
use crate::query::Direction;
use crate::read::{Access, ReadError};
use crate::terms::TermHash;

/// The longest reach of a batch behind its first HLC.
const REACH: u64 = 65_535;

/// A run of consecutive ids at consecutive positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) replica: ReplicaId,
    pub(crate) first_hlc: Hlc,
    pub(crate) first_position: Position,
    pub(crate) count: u64,
    /// Where its batch begins: which batch it is, however much of it has been taken.
    pub(crate) batch: Position,
}

impl Run {
    fn last_hlc(&self) -> u64 {
        self.first_hlc.as_u64() + self.count.saturating_sub(1)
    }

    /// The key of the end that is offered next.
    fn head(&self, direction: Direction) -> (u64, u64) {
        let hlc = match direction {
            Direction::Forward => self.first_hlc.as_u64(),
            Direction::Backward => self.last_hlc(),
        };
        (hlc, self.replica.as_u64())
    }

    /// Takes the event at the head.
    fn take(&mut self, direction: Direction) -> Option<Candidate> {
        let (hlc, _) = self.head(direction);
        self.count = self.count.checked_sub(1)?;
        let position = match direction {
            Direction::Forward => {
                let first = self.first_position;
                self.first_position = Position::new(first.as_u64() + 1);
                self.first_hlc = Hlc::from_u64(hlc + 1);
                first
            }
            Direction::Backward => Position::new(self.first_position.as_u64() + self.count),
        };
        Some(Candidate::new((hlc, 0), position))
    }

    /// The id at its beginning, as a key.
    pub(crate) fn key(&self) -> (u64, u64) {
        self.head(Direction::Forward)
    }

    /// Takes the event at its beginning.
    pub(crate) fn take_first(&mut self) -> Option<Candidate> {
        self.take(Direction::Forward)
    }

    /// The run without its first `count` events.
    pub(crate) fn without_first(mut self, count: u64) -> Self {
        let count = count.min(self.count);
        self.first_hlc = Hlc::from_u64(self.first_hlc.as_u64() + count);
        self.first_position = Position::new(self.first_position.as_u64() + count);
        self.count -= count;
        self
    }

    /// Leaves out what lies outside the HLC bounds.
    fn clip(self, bounds: &Bounds) -> Option<Self> {
        let before = bounds.from_hlc.saturating_sub(self.first_hlc.as_u64());
        let mut clipped = self.without_first(before);
        let room = bounds.until_hlc.checked_sub(clipped.first_hlc.as_u64())?;
        clipped.count = clipped.count.min(room.saturating_add(1));
        (clipped.count > 0).then_some(clipped)
    }
}

/// Where the entries of batches come from.
enum Entries {
    /// The HLC family: the entry is the run.
    Hlc(Cursor),
    /// Per-batch terms: the batch's header says which run it is.
    Terms(Vec<(Cursor, Option<Entry>)>),
}

/// The events of batches, in HLC order.
pub(crate) struct Batches {
    entries: Entries,
    pending: Option<Run>,
    open: Vec<Run>,
    bounds: Bounds,
    access: Arc<Access>,
    started: bool,
}

impl Batches {
    /// All batches.
    pub(crate) fn all(
        snapshot: &Arc<IndexSnapshot>,
        access: Arc<Access>,
        bounds: Bounds,
    ) -> Result<Self, ReadError> {
        let lo = Entry::floor(bounds.from_hlc.saturating_sub(REACH), 0);
        let hi = Entry::ceiling(bounds.until_hlc, u64::MAX);
        let cursor = snapshot.cursor(&directed(Range::new(Family::Hlc, lo, hi), &bounds));
        Ok(Self::new(Entries::Hlc(cursor), access, bounds))
    }

    /// The batches that have any of these per-batch terms.
    pub(crate) fn with_any(
        snapshot: &Arc<IndexSnapshot>,
        access: Arc<Access>,
        terms: &[TermHash],
        bounds: Bounds,
    ) -> Result<Self, ReadError> {
        let mut cursors = Vec::with_capacity(terms.len());
        for term in terms {
            let lo = Entry::floor(term.high, bounds.from_hlc.saturating_sub(REACH));
            let hi = Entry::ceiling(term.high, bounds.until_hlc);
            let range = Range::new(Family::Posting, lo, hi).with_extra(term.extra);
            let mut cursor = snapshot.cursor(&directed(range, &bounds));
            let entry = cursor.next()?;
            cursors.push((cursor, entry));
        }
        Ok(Self::new(Entries::Terms(cursors), access, bounds))
    }

    fn new(entries: Entries, access: Arc<Access>, bounds: Bounds) -> Self {
        Self { entries, pending: None, open: Vec::new(), bounds, access, started: false }
    }

    /// The next run that overlaps the bounds.
    fn next_run(&mut self) -> Result<Option<Run>, ReadError> {
        loop {
            let run = match &mut self.entries {
                Entries::Hlc(cursor) => cursor.next()?.map(|entry| Run {
                    replica: ReplicaId::from_u64(entry.b),
                    first_hlc: Hlc::from_u64(entry.a),
                    first_position: Position::new(entry.position()),
                    count: u64::from(entry.extra()),
                    batch: Position::new(entry.position()),
                }),
                Entries::Terms(cursors) => match next_entry(cursors, self.bounds.direction)? {
                    None => None,
                    Some(entry) => Some(self.access.run(Position::new(entry.position()))?),
                },
            };
            let Some(run) = run else { return Ok(None) };
            // Several types of one batch lead to the same run.
            let known = self.open.iter().any(|open| open.batch == run.batch);
            if let (false, Some(run)) = (known, run.clip(&self.bounds)) {
                return Ok(Some(run));
            }
        }
    }

    /// Opens every batch that may hold something before the head of those that are open.
    fn open_overlapping(&mut self) -> Result<(), ReadError> {
        if !self.started {
            self.pending = self.next_run()?;
            self.started = true;
        }
        while let Some(run) = self.pending {
            let head = self.open.iter().map(|open| open.head(self.bounds.direction));
            let overlaps = match self.bounds.direction {
                Direction::Forward => {
                    head.min().is_none_or(|(hlc, _)| run.first_hlc.as_u64() <= hlc)
                }
                // Entries come by their first HLC, the next one may still reach further.
                Direction::Backward => {
                    head.max().is_none_or(|(hlc, _)| run.first_hlc.as_u64() + REACH >= hlc)
                }
            };
            if !overlaps {
                break;
            }
            self.open.push(run);
            self.pending = self.next_run()?;
        }
        Ok(())
    }
}

impl Source for Batches {
    fn next(&mut self) -> Result<Option<Candidate>, ReadError> {
        self.open_overlapping()?;
        let direction = self.bounds.direction;
        let heads = self.open.iter_mut().enumerate();
        let next = match direction {
            Direction::Forward => heads.min_by_key(|(_, run)| run.head(direction)),
            Direction::Backward => heads.max_by_key(|(_, run)| run.head(direction)),
        };
        let Some((at, run)) = next else { return Ok(None) };
        let candidate = run.take(direction);
        if run.count == 0 {
            self.open.swap_remove(at);
        }
        Ok(candidate)
    }
}

/// The next entry of several cursors, by HLC.
fn next_entry(
    cursors: &mut [(Cursor, Option<Entry>)],
    direction: Direction,
) -> Result<Option<Entry>, ReadError> {
    let key = |slot: &(Cursor, Option<Entry>)| slot.1.map(|entry| (entry.b, entry.position()));
    let waiting = cursors.iter_mut().filter(|slot| slot.1.is_some());
    let next = match direction {
        Direction::Forward => waiting.min_by_key(|slot| key(slot)),
        Direction::Backward => waiting.max_by_key(|slot| key(slot)),
    };
    let Some((cursor, entry)) = next else { return Ok(None) };
    let taken = *entry;
    *entry = cursor.next()?;
    Ok(taken)
}

/// Per-batch entries stand for a whole batch: one that begins before `after` may end behind it.
fn directed(range: Range, bounds: &Bounds) -> Range {
    let after = Position::new(bounds.after.as_u64().saturating_sub(REACH));
    let range = range.after(after).upto(bounds.upto);
    match bounds.direction {
        Direction::Forward => range,
        Direction::Backward => range.descending(),
    }
}
