//! What is asked of a snapshot: a stretch of one family, from where and in which direction.

use crate::entry::{Entry, Family, POSITION_MAX};
use laterbase_event::Position;

/// The order in which a cursor gives entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the smallest to the largest.
    Ascending,
    /// From the largest to the smallest.
    Descending,
}

/// A stretch of one family, narrowed by the entries' extra bits and positions.
///
/// ```
/// use laterbase_index::{Family, Range};
/// let of_a_term = Range::term(Family::Posting, 0xfeed).with_extra(7).descending();
/// assert_eq!(of_a_term.lo.a, of_a_term.hi.a);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// Which family.
    pub family: Family,
    /// The smallest entry that is wanted.
    pub lo: Entry,
    /// The largest entry that is wanted; below `lo`, the range is empty.
    pub hi: Entry,
    /// In which order a cursor gives them.
    pub direction: Direction,
    /// Only entries with these extra bits.
    pub extra: Option<u16>,
    /// Only entries of a later position than this.
    pub after: Position,
    /// Only entries of this position or an earlier one.
    pub upto: Position,
}

impl Range {
    /// From `lo` to `hi`, both included: ascending, with any extra bits, of any position.
    #[must_use]
    pub const fn new(family: Family, lo: Entry, hi: Entry) -> Self {
        Self {
            family,
            lo,
            hi,
            direction: Direction::Ascending,
            extra: None,
            after: Position::NONE,
            upto: Position::new(POSITION_MAX),
        }
    }

    /// A whole family.
    #[must_use]
    pub const fn all(family: Family) -> Self {
        Self::new(family, Entry::MIN, Entry::MAX)
    }

    /// Every entry with this first word.
    #[must_use]
    pub const fn term(family: Family, a: u64) -> Self {
        Self::new(family, Entry::floor(a, 0), Entry::ceiling(a, u64::MAX))
    }

    /// Every entry with these first two words.
    #[must_use]
    pub const fn prefix(family: Family, a: u64, b: u64) -> Self {
        Self::new(family, Entry::floor(a, b), Entry::ceiling(a, b))
    }

    /// The same, from the largest entry to the smallest.
    #[must_use]
    pub const fn descending(self) -> Self {
        Self { direction: Direction::Descending, ..self }
    }

    /// The same, of entries with these extra bits only.
    #[must_use]
    pub const fn with_extra(self, extra: u16) -> Self {
        Self { extra: Some(extra), ..self }
    }

    /// The same, of entries after this position only.
    #[must_use]
    pub const fn after(self, position: Position) -> Self {
        Self { after: position, ..self }
    }

    /// The same, of entries up to this position only.
    #[must_use]
    pub const fn upto(self, position: Position) -> Self {
        Self { upto: position, ..self }
    }

    /// The term that every entry of the range has, if there is just one.
    pub(crate) fn single_term(&self) -> Option<u64> {
        (self.lo.a == self.hi.a).then_some(self.lo.a)
    }

    /// The position and extra bits that an entry must have.
    pub(crate) const fn filter(&self) -> EntryFilter {
        EntryFilter { after: self.after.as_u64(), upto: self.upto.as_u64(), extra: self.extra }
    }
}

/// The conditions of a [`Range`] on entries that lie inside its bounds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EntryFilter {
    after: u64,
    upto: u64,
    extra: Option<u16>,
}

/// How positions of a stretch of entries lie to a filter's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Overlap {
    /// No entry is wanted.
    None,
    /// Some may be.
    Some,
    /// All are, as far as their positions go.
    All,
}

impl EntryFilter {
    #[inline]
    pub(crate) fn accepts(&self, entry: &Entry) -> bool {
        let position = entry.position();
        position > self.after
            && position <= self.upto
            && self.extra.is_none_or(|extra| extra == entry.extra())
    }

    /// What of entries with positions from `lowest` to `highest` is wanted.
    #[inline]
    pub(crate) const fn overlap(&self, lowest: u64, highest: u64) -> Overlap {
        if highest <= self.after || lowest > self.upto {
            Overlap::None
        } else if lowest > self.after && highest <= self.upto {
            Overlap::All
        } else {
            Overlap::Some
        }
    }

    /// Does the filter want these extra bits?
    pub(crate) fn accepts_extra(&self, extra: u16) -> bool {
        self.extra.is_none_or(|wanted| wanted == extra)
    }

    /// Does the filter take any extra bits?
    pub(crate) const fn any_extra(&self) -> bool {
        self.extra.is_none()
    }
}
