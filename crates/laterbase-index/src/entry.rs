//! What an index holds: entries of three words, in five families.
//!
//! ```text
//!   a (64)  what is looked up first          b (64)  what orders it
//!   c (64)  extra (16) | position (48)
//! ```
//!
//! Entries of one family are a set, ordered by `a`, then `b`, then `c`. They are never changed and
//! never removed, so an entry has no version: a reader sees a prefix of positions and that is all.
//! What the words mean is the host's business; this crate reads only the position out of them.

use std::cmp::Ordering;

/// The highest position that an entry has room for.
pub const POSITION_MAX: u64 = (1 << POSITION_BITS) - 1;

const POSITION_BITS: u32 = 48;

/// One entry of an index; ordered by `a`, then `b`, then `c`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Entry {
    /// The first word: a term's hash, a replica, a time.
    pub a: u64,
    /// The second word: mostly a hybrid logical clock's value.
    pub b: u64,
    /// Sixteen bits of the host's choice above 48 bits of position.
    pub c: u64,
}

impl Entry {
    /// The smallest of all.
    pub const MIN: Self = Self { a: 0, b: 0, c: 0 };
    /// The largest of all.
    pub const MAX: Self = Self { a: u64::MAX, b: u64::MAX, c: u64::MAX };

    /// An entry that points to `position`, of which the lower 48 bits are kept.
    ///
    /// ```
    /// use laterbase_index::Entry;
    /// let entry = Entry::new(1, 2, 3, 4);
    /// assert_eq!((entry.extra(), entry.position()), (3, 4));
    /// ```
    #[must_use]
    pub const fn new(a: u64, b: u64, extra: u16, position: u64) -> Self {
        Self { a, b, c: ((extra as u64) << POSITION_BITS) | (position & POSITION_MAX) }
    }

    /// The smallest entry with these first two words: where a range begins.
    #[must_use]
    pub const fn floor(a: u64, b: u64) -> Self {
        Self { a, b, c: 0 }
    }

    /// The largest entry with these first two words: where a range ends.
    #[must_use]
    pub const fn ceiling(a: u64, b: u64) -> Self {
        Self { a, b, c: u64::MAX }
    }

    /// The sixteen bits above the position.
    #[must_use]
    pub const fn extra(&self) -> u16 {
        (self.c >> POSITION_BITS) as u16
    }

    /// The position it points to.
    #[must_use]
    pub const fn position(&self) -> u64 {
        self.c & POSITION_MAX
    }
}

impl Entry {
    #[inline]
    const fn high(&self) -> u128 {
        (self.a as u128) << 64 | self.b as u128
    }
}

impl Ord for Entry {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        self.high().cmp(&other.high()).then(self.c.cmp(&other.c))
    }
}

/// By hand, so that the comparison that sorting and merging turn around has no branch to
/// mispredict.
impl PartialOrd for Entry {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }

    #[inline]
    fn lt(&self, other: &Self) -> bool {
        let (one, two) = (self.high(), other.high());
        (one < two) | ((one == two) & (self.c < other.c))
    }

    #[inline]
    fn le(&self, other: &Self) -> bool {
        !other.lt(self)
    }

    #[inline]
    fn gt(&self, other: &Self) -> bool {
        other.lt(self)
    }

    #[inline]
    fn ge(&self, other: &Self) -> bool {
        !self.lt(other)
    }
}

/// What an entry belongs to; each family is sorted and stored by itself.
///
/// The words named here are those that Laterbase gives them. The numbers are part of the format of
/// a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// Term's hash, HLC, more of the hash: streams, tags, causes, types, roots, idempotency keys.
    Posting = 0,
    /// Replica, first HLC of a batch, its count.
    Id = 1,
    /// First HLC of a batch, replica, its count.
    Hlc = 2,
    /// Log's hash, first sequence number of a batch, its count.
    Address = 3,
    /// Valid time in unsigned order, HLC: events with a valid time of their own.
    Valid = 4,
}

impl Family {
    /// Every family, in the order of their numbers.
    pub const ALL: [Self; FAMILY_COUNT] =
        [Self::Posting, Self::Id, Self::Hlc, Self::Address, Self::Valid];

    /// The same, to be walked step by step.
    pub(crate) const ALL_STATIC: &[Self] = &Self::ALL;

    /// Is `a` a term that is asked for by equality, so that a filter pays?
    pub(crate) const fn has_filter(self) -> bool {
        match self {
            Self::Posting | Self::Address => true,
            Self::Id | Self::Hlc | Self::Valid => false,
        }
    }
}

/// How many families there are.
pub(crate) const FAMILY_COUNT: usize = 5;

/// One value for each family.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct PerFamily<T>([T; FAMILY_COUNT]);

impl<T> PerFamily<T> {
    pub(crate) const fn new(values: [T; FAMILY_COUNT]) -> Self {
        Self(values)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Family, &T)> {
        Family::ALL.into_iter().zip(&self.0)
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (Family, &mut T)> {
        Family::ALL.into_iter().zip(&mut self.0)
    }

    pub(crate) fn map<U>(self, mut map: impl FnMut(Family, T) -> U) -> PerFamily<U> {
        let mut families = Family::ALL.into_iter();
        PerFamily(self.0.map(|value| map(families.next().unwrap_or(Family::Valid), value)))
    }

    #[expect(clippy::indexing_slicing, reason = "a family's number is below FAMILY_COUNT")]
    pub(crate) const fn get(&self, family: Family) -> &T {
        &self.0[family as usize]
    }

    #[expect(clippy::indexing_slicing, reason = "a family's number is below FAMILY_COUNT")]
    pub(crate) const fn get_mut(&mut self, family: Family) -> &mut T {
        &mut self.0[family as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_ordered_word_by_word() {
        let words = [0, 1, u64::MAX - 1, u64::MAX];
        let mut entries = Vec::new();
        for a in words {
            for b in words {
                entries.extend(words.map(|c| Entry { a, b, c }));
            }
        }
        for one in &entries {
            for other in &entries {
                let expected = (one.a, one.b, one.c).cmp(&(other.a, other.b, other.c));
                assert_eq!(one.cmp(other), expected);
                assert_eq!(one < other, expected.is_lt());
                assert_eq!(one <= other, expected.is_le());
                assert_eq!(one > other, expected.is_gt());
                assert_eq!(one >= other, expected.is_ge());
            }
        }
    }
}
