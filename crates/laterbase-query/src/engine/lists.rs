//! Sorted lists: for each key of some columns of a relation, the values of the one column left.
//!
//! ```text
//!   heads   hash of a key → group g                 key(g) is that of the row keys[g]
//!   values  │ 3 7 9 │ 1 7 │ 2 … │                   group g is values[ends[g] .. ends[g + 1]]
//! ```
//! What several lists have in common is found by leaps: whoever is behind seeks the value of who
//! is ahead, by steps that double, so that two lists of a and b values take about
//! min(a, b)·log(max / min) comparisons; two of about one size are gone along side by side. Absent
//! values equal nothing and are in no list. Left out: growing. Lists are
//! made of relations that are complete.

use hashbrown::HashTable;

use super::relation::{Relation, hash_codes};
use crate::code::{Code, NULL};

#[derive(Debug)]
pub(crate) struct Lists {
    /// The columns of the key, in ascending order.
    pub(crate) columns: Vec<usize>,
    heads: HashTable<u32>,
    keys: Vec<u32>,
    ends: Vec<u32>,
    values: Vec<Code>,
}

/// A part of the values of some lists.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Span {
    pub(crate) from: u32,
    pub(crate) until: u32,
}

impl Span {
    /// Whether going along both is no more work than leaping.
    fn is_near_in_size(self, other: Self) -> bool {
        const TIMES: u32 = 8;
        let size = |span: Self| span.until.saturating_sub(span.from);
        let (a, b) = (size(self), size(other));
        a / TIMES <= b && b / TIMES <= a
    }
}

impl Lists {
    /// The values of `column` for each key of `columns`.
    pub(crate) fn new(relation: &Relation, columns: &[usize], column: usize) -> Self {
        let columns = columns.to_vec();
        let (heads, keys, ends, values) = Default::default();
        let mut lists = Self { columns, heads, keys, ends, values };
        let rows = 0..relation.seen() as u32;
        let rows = rows.filter(|row| relation.cell(*row as usize, column) != NULL);
        let rows: Vec<u32> = rows.collect();
        let groups: Vec<u32> = rows.iter().map(|row| lists.group(relation, *row)).collect();
        lists.fill(&groups, |at| {
            rows.get(at).map_or(NULL, |row| relation.cell(*row as usize, column))
        });
        lists
    }

    /// The group of a row's key; counts it in `ends`.
    fn group(&mut self, relation: &Relation, row: u32) -> u32 {
        let (columns, keys) = (&self.columns, &self.keys);
        let hash = hash_of(relation, columns, row);
        let row_of = |group: &u32| keys.get(*group as usize).copied().unwrap_or_default();
        let is_same = |group: &u32| {
            let (cells, other) = (relation.row(row as usize), relation.row(row_of(group) as usize));
            columns.iter().all(|column| cells.get(*column) == other.get(*column))
        };
        if let Some(group) = self.heads.find(hash, is_same).copied() {
            if let Some(count) = self.ends.get_mut(group as usize) {
                *count += 1;
            }
            return group;
        }
        let group = keys.len() as u32;
        let hash_at = |group: &u32| hash_of(relation, columns, row_of(group));
        self.heads.insert_unique(hash, group, hash_at);
        self.keys.push(row);
        self.ends.push(1);
        group
    }

    /// Puts each value into its group, and sorts these. `ends` holds their sizes so far.
    fn fill(&mut self, groups: &[u32], value_at: impl Fn(usize) -> Code) {
        let mut end = 0;
        for size in &mut self.ends {
            end += std::mem::replace(size, end);
        }
        let mut next = self.ends.clone();
        self.ends.push(end);
        self.values = vec![NULL; groups.len()];
        for (at, group) in groups.iter().enumerate() {
            let Some(place) = next.get_mut(*group as usize) else { continue };
            if let Some(value) = self.values.get_mut(*place as usize) {
                *value = value_at(at);
            }
            *place += 1;
        }
        let mut rest = self.values.as_mut_slice();
        for (from, until) in self.ends.iter().zip(self.ends.iter().skip(1)) {
            let (list, behind) = rest.split_at_mut((until - from) as usize);
            list.sort_unstable();
            rest = behind;
        }
    }

    /// The list of a key.
    #[inline]
    pub(crate) fn find(&self, relation: &Relation, key: &[Code]) -> Span {
        let is_same = |group: &u32| {
            let row = self.keys.get(*group as usize).copied().unwrap_or_default();
            let row = relation.row(row as usize);
            self.columns.iter().zip(key).all(|(column, code)| row.get(*column) == Some(code))
        };
        let group = self.heads.find(hash_codes(key.iter().copied()), is_same);
        let Some(group) = group.map(|group| *group as usize) else { return Span::default() };
        match self.ends.get(group..group + 2) {
            Some(&[from, until]) => Span { from, until },
            Some(_) | None => Span::default(),
        }
    }

    #[inline]
    fn at(&self, place: u32) -> Code {
        self.values.get(place as usize).copied().unwrap_or(NULL)
    }

    /// Moves the beginning of a part up to the first value that is not below `least`.
    #[inline]
    fn seek(&self, span: &mut Span, least: Code) {
        let mut step = 1;
        let mut from = span.from;
        while from < span.until && self.at(from) < least {
            span.from = from + 1;
            from = from.saturating_add(step);
            step *= 2;
        }
        let mut until = from.min(span.until);
        while span.from < until {
            let middle = span.from + (until - span.from) / 2;
            if self.at(middle) < least {
                span.from = middle + 1;
            } else {
                until = middle;
            }
        }
    }

    pub(crate) fn bytes(&self) -> u64 {
        (self.values.len() * 8 + self.ends.len() * 4 + self.keys.len() * 12) as u64
    }
}

/// The next value that all parts have; they then begin behind it.
#[inline]
pub(crate) fn next_common<'l>(
    spans: &mut [Span],
    lists: impl Fn(usize) -> Option<&'l Lists>,
) -> Option<Code> {
    if let [a, b] = spans
        && let (Some(of_a), Some(of_b)) = (lists(0), lists(1))
        && a.is_near_in_size(*b)
    {
        return next_of_two((of_a, a), (of_b, b));
    }
    let (mut wanted, mut agreeing) = (NULL, 0);
    loop {
        for number in 0..spans.len() {
            let (lists, span) = (lists(number)?, spans.get_mut(number)?);
            lists.seek(span, wanted);
            if span.from >= span.until {
                return None;
            }
            let value = lists.at(span.from);
            agreeing = if value == wanted { agreeing + 1 } else { 1 };
            wanted = value;
            if agreeing == spans.len() {
                spans.iter_mut().for_each(|span| span.from += 1);
                return Some(wanted);
            }
        }
    }
}

/// Goes along two parts of about one size, without a branch that cannot be foreseen.
#[inline]
fn next_of_two(a: (&Lists, &mut Span), b: (&Lists, &mut Span)) -> Option<Code> {
    let (mut left, mut right) = (a.1.from as usize, b.1.from as usize);
    let (until_left, until_right) = (a.1.until as usize, b.1.until as usize);
    let (a_values, b_values) = (a.0.values.get(..until_left)?, b.0.values.get(..until_right)?);
    while let (Some(&x), Some(&y)) = (a_values.get(left), b_values.get(right)) {
        left += usize::from(x <= y);
        right += usize::from(y <= x);
        if x == y {
            (a.1.from, b.1.from) = (left as u32, right as u32);
            return Some(x);
        }
    }
    (a.1.from, b.1.from) = (left as u32, right as u32);
    None
}

fn hash_of(relation: &Relation, columns: &[usize], row: u32) -> u64 {
    let row = relation.row(row as usize);
    hash_codes(columns.iter().map(|column| row.get(*column).copied().unwrap_or(NULL)))
}
