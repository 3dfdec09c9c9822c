//! Entries on their way into an index, as the host hands them over.
//!
//! A buffer for reuse: absorbing empties it and gives it memory back, so that a host that keeps one
//! allocates nothing once it is warm.

use crate::entry::{Entry, Family, PerFamily};
use laterbase_event::Position;

/// Entries of consecutive positions, in any order, and the position they are complete to.
#[derive(Debug, Default)]
pub struct PendingEntries {
    pub(crate) entries: PerFamily<Vec<Entry>>,
    upto: Position,
    count: usize,
    /// Lowest and highest position among the entries; `u64::MAX` and 0 when there are none.
    positions: PositionSpan,
}

/// The lowest and highest of some positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PositionSpan {
    pub(crate) lowest: u64,
    pub(crate) highest: u64,
}

impl Default for PositionSpan {
    fn default() -> Self {
        Self { lowest: u64::MAX, highest: 0 }
    }
}

impl PositionSpan {
    #[inline]
    pub(crate) fn add(&mut self, position: u64) {
        self.lowest = self.lowest.min(position);
        self.highest = self.highest.max(position);
    }
}

impl PendingEntries {
    /// An empty buffer.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an entry. An entry that is there already is kept once.
    #[inline]
    pub fn push(&mut self, family: Family, entry: Entry) {
        self.positions.add(entry.position());
        self.count += 1;
        self.entries.get_mut(family).push(entry);
    }

    /// Makes room for so many entries of each family, so that adding them allocates nothing.
    pub fn reserve(&mut self, entries: usize) {
        for (_, family) in self.entries.iter_mut() {
            family.reserve(entries.saturating_sub(family.len()));
        }
    }

    /// Adds everything that another buffer holds, and takes over how far it is complete.
    pub fn copy_from(&mut self, other: &Self) {
        for (family, entries) in other.entries.iter() {
            self.entries.get_mut(family).extend_from_slice(entries);
        }
        self.upto = other.upto;
        self.count += other.count;
        self.positions.lowest = self.positions.lowest.min(other.positions.lowest);
        self.positions.highest = self.positions.highest.max(other.positions.highest);
    }

    /// The entries of a family, in the order in which they were added.
    #[must_use]
    pub fn family(&self, family: Family) -> &[Entry] {
        self.entries.get(family)
    }

    /// Says that every entry of every position up to this one has been added.
    pub fn set_upto(&mut self, position: Position) {
        self.upto = position;
    }

    /// The position that the entries are complete to.
    #[must_use]
    pub fn upto(&self) -> Position {
        self.upto
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Are there none?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Empties it, keeping its memory.
    pub fn clear(&mut self) {
        for (_, entries) in self.entries.iter_mut() {
            entries.clear();
        }
        self.upto = Position::NONE;
        self.count = 0;
        self.positions = PositionSpan::default();
    }

    pub(crate) const fn positions(&self) -> PositionSpan {
        self.positions
    }
}
