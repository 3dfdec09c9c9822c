//! Relations of a run: sets of rows of codes that only grow, and their indexes.
//!
//! ```text
//!   cells   a0 b0 │ a1 b1 │ a2 b2 │ …          row r is cells[r·width ..]
//!           └─ old ───────┘└ delta ┘└ new ─▶   of the round of a recursion
//!   set     hash of a row (of a lattice: of its other columns) → r
//!   index   hash of some columns → newest r of the chain; next[r] → the one before
//! ```
//! Invariants: no row stands twice; rows stay where they are, so that cursors into a relation
//! outlive its growth; readers see rows below `seen` alone, and an index holds exactly these. A row
//! that a better one of a lattice replaced is dead: it is in no answer of a cursor.

use hashbrown::HashTable;
use laterbase_lang::Aggregate;

use super::lists::Lists;
use super::matrix::Matrix;
use crate::aggregate;
use crate::code::{Code, Dictionary, NULL};

/// Which rows of a relation a literal ranges over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// All that are seen.
    All,
    /// Those before the last round.
    Old,
    /// Those of the last round.
    Delta,
}

/// A place among the rows that a probe found.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Cursor {
    /// Rows from one up to another.
    Range(usize, usize),
    /// A chain of an index, down to the first row that counts.
    Chain { index: usize, row: u32, first: usize },
    /// Every so many bits of a matrix: a column.
    Column { bit: usize, end: usize, stride: usize },
}

impl Cursor {
    pub(crate) const EMPTY: Self = Self::Range(0, 0);
}

/// The end of a chain.
const NONE: u32 = u32::MAX;

#[derive(Debug, Default)]
pub(crate) struct Relation {
    width: usize,
    /// Columns by which rows differ: all, or all but the last one.
    key_width: usize,
    /// Rows that are expected, where none are made.
    assumed: f64,
    cells: Vec<Code>,
    count: usize,
    set: HashTable<u32>,
    /// For each column the aggregate that merges it; empty without any.
    lattice: Vec<Option<Aggregate>>,
    dead: Vec<bool>,
    indexes: Vec<Index>,
    lists: Vec<Lists>,
    /// Whether all rows are there.
    is_complete: bool,
    old: usize,
    seen: usize,
    /// The rows as bits instead, of a closure; rows are then numbered by their bits.
    matrix: Option<Box<Matrix>>,
}

#[derive(Debug)]
struct Index {
    columns: Vec<usize>,
    heads: HashTable<u32>,
    next: Vec<u32>,
    /// How long the chain from a row on is.
    lengths: Vec<u32>,
}

const MIX: u64 = 0x9e37_79b9_7f4a_7c15;

#[inline]
fn mix(hash: u64, code: Code) -> u64 {
    let wide = u128::from(hash ^ code).wrapping_mul(u128::from(MIX) << 1 | 1);
    (wide as u64) ^ ((wide >> 64) as u64)
}

#[inline]
pub(super) fn hash_codes(codes: impl Iterator<Item = Code>) -> u64 {
    codes.fold(MIX, mix)
}

impl Relation {
    pub(crate) fn new(width: usize) -> Self {
        Self { width, key_width: width, ..Self::default() }
    }

    /// The same; the last column is no part of what a row is, if that is said: the first one stays.
    pub(crate) fn with_note(width: usize, has_note: bool) -> Self {
        let key_width = if has_note { width.saturating_sub(1) } else { width };
        Self { width, key_width, ..Self::default() }
    }

    /// One for such rows, without any.
    pub(crate) fn empty(&self) -> Self {
        Self::with_note(self.width, self.key_width < self.width)
    }

    /// Assumes that there are so many rows.
    pub(crate) fn assume(&mut self, rows: f64) {
        self.assumed = self.assumed.max(rows);
    }

    /// A relation whose rows are merged where they agree in the columns without an aggregate.
    pub(crate) fn with_lattice(lattice: &[Option<Aggregate>], has_note: bool) -> Self {
        let is_lattice = lattice.iter().any(Option::is_some);
        let kept = if is_lattice { lattice.to_vec() } else { Vec::new() };
        Self { lattice: kept, ..Self::with_note(lattice.len(), has_note) }
    }

    pub(crate) fn has_note(&self) -> bool {
        self.key_width < self.width
    }

    /// The rows of a closure.
    pub(crate) fn of_matrix(matrix: Matrix) -> Self {
        let count = matrix.count;
        let matrix = Some(Box::new(matrix));
        Self { width: 2, key_width: 2, count, seen: count, matrix, ..Self::default() }
    }

    /// The bits that its rows are, of a closure.
    pub(crate) fn into_matrix(self) -> Option<Matrix> {
        self.matrix.map(|matrix| *matrix)
    }

    /// Whether its rows are bits: then cursors and cells are all that can be had of them.
    pub(crate) fn is_matrix(&self) -> bool {
        self.matrix.is_some()
    }

    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// Rows that readers see, with dead ones.
    pub(crate) fn seen(&self) -> usize {
        self.seen
    }

    /// All rows, with dead ones and those that nobody sees yet.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Rows of a part, with dead ones.
    pub(crate) fn count_of(&self, part: Part) -> f64 {
        let (from, until) = self.bounds(part);
        self.assumed.max((until - from) as f64)
    }

    fn bounds(&self, part: Part) -> (usize, usize) {
        match part {
            Part::All => (0, self.seen),
            Part::Old => (0, self.old),
            Part::Delta => (self.old, self.seen),
        }
    }

    #[inline]
    pub(crate) fn row(&self, row: usize) -> &[Code] {
        let from = row * self.width;
        self.cells.get(from..from + self.width).unwrap_or_default()
    }

    #[inline]
    pub(crate) fn cell(&self, row: usize, column: usize) -> Code {
        if let Some(matrix) = &self.matrix {
            return matrix.cell(row, column);
        }
        self.cells.get(row * self.width + column).copied().unwrap_or_default()
    }

    /// About how many bytes it holds.
    pub(crate) fn bytes(&self) -> u64 {
        let indexes = self.indexes.iter().map(|index| index.next.len() * 8 + index.heads.len() * 8);
        self.matrix.as_ref().map_or(0, |matrix| matrix.bytes())
            + (self.cells.len() * 8 + self.set.len() * 8 + self.dead.len()) as u64
            + indexes.sum::<usize>() as u64
            + self.lists.iter().map(Lists::bytes).sum::<u64>()
    }

    /// Makes room for about so many rows, of which few may come.
    pub(crate) fn reserve(&mut self, rows: u64) {
        const ROWS_MAX: u64 = 1 << 16;
        let (cells, width, key_width) = (&self.cells, self.width, self.key_width);
        let hash_at =
            |other: &u32| hash_codes(key_at(cells, width, key_width, *other).iter().copied());
        self.set.reserve(rows.min(ROWS_MAX) as usize, hash_at);
    }

    /// Adds a row, unless it is there; whether it was not, or was merged into a better one.
    pub(crate) fn insert(&mut self, row: &[Code], dictionary: &mut Dictionary) -> bool {
        if !self.lattice.is_empty() {
            return self.insert_merged(row, dictionary);
        }
        let key = row.get(..self.key_width).unwrap_or_default();
        let hash = hash_codes(key.iter().copied());
        let (width, key_width, cells) = (self.width, self.key_width, &self.cells);
        let is_same = |other: &u32| key_at(cells, width, key_width, *other) == key;
        if self.set.find(hash, is_same).is_some() {
            return false;
        }
        let number = self.push(row);
        let (width, cells) = (self.width, &self.cells);
        let hash_at =
            |other: &u32| hash_codes(key_at(cells, width, key_width, *other).iter().copied());
        self.set.insert_unique(hash, number, hash_at);
        true
    }

    /// Adds a row that is known not to be there.
    pub(crate) fn push(&mut self, row: &[Code]) -> u32 {
        let number = self.count as u32;
        self.cells.extend_from_slice(row);
        self.count += 1;
        self.is_complete = false;
        if !self.dead.is_empty() {
            self.dead.push(false);
        }
        number
    }

    fn insert_merged(&mut self, row: &[Code], dictionary: &mut Dictionary) -> bool {
        let row = self.contributions(row, dictionary);
        let (width, key_width) = (self.width, self.key_width);
        let (lattice, cells) = (&self.lattice, &self.cells);
        let key = row.get(..key_width).unwrap_or_default();
        let hash = hash_plain(key, lattice);
        let is_same = |other: &u32| {
            let other = key_at(cells, width, key_width, *other);
            other.iter().zip(key).zip(lattice).all(|((a, b), l)| l.is_some() || a == b)
        };
        let Some(held) = self.set.find_mut(hash, is_same) else {
            let number = self.push(&row);
            let (cells, lattice) = (&self.cells, &self.lattice);
            self.set.insert_unique(hash, number, |other| {
                hash_plain(key_at(cells, width, key_width, *other), lattice)
            });
            return true;
        };
        let mut merged = cells_at(cells, width, *held).to_vec();
        let mut has_changed = false;
        for ((place, code), aggregate) in merged.iter_mut().zip(&row).zip(lattice) {
            let Some(aggregate) = aggregate else { continue };
            let (a, b) = (dictionary.value(*place), dictionary.value(*code));
            if let Some(better) = aggregate::merge(aggregate, &a, &b) {
                *place = dictionary.encode_value(&better);
                has_changed = true;
            }
        }
        if has_changed {
            if let (true, Some(note)) = (key_width < width, merged.last_mut()) {
                *note = row.last().copied().unwrap_or(NULL);
            }
            let number = self.count as u32;
            let replaced = std::mem::replace(held, number) as usize;
            self.dead.resize(self.count, false);
            if let Some(dead) = self.dead.get_mut(replaced) {
                *dead = true;
            }
            self.push(&merged);
        }
        has_changed
    }

    fn contributions(&self, row: &[Code], dictionary: &mut Dictionary) -> Vec<Code> {
        let mut made = row.to_vec();
        for (code, aggregate) in made.iter_mut().zip(&self.lattice) {
            if let Some(aggregate) = aggregate {
                let value = aggregate::contribution(aggregate, &dictionary.value(*code));
                *code = dictionary.encode_value(&value);
            }
        }
        made
    }

    /// Ends a round: what was the delta is old, what was added since is the delta. Whether there is
    /// any.
    pub(crate) fn turn(&mut self) -> bool {
        self.old = self.seen;
        self.see_all();
        self.old < self.seen
    }

    /// Makes all rows seen.
    pub(crate) fn see_all(&mut self) {
        self.seen = self.count;
        let (width, cells, seen) = (self.width, &self.cells, self.seen);
        for index in &mut self.indexes {
            index.extend(cells, width, seen);
        }
    }

    /// Ends a recursion: dead rows go, all others are seen. Indexes are made anew when asked for.
    pub(crate) fn settle(&mut self) {
        if self.is_matrix() {
            return;
        }
        if self.dead.iter().any(|dead| *dead) {
            let rows = self.cells.chunks_exact(self.width.max(1)).zip(&self.dead);
            self.cells =
                rows.filter(|(_, dead)| !**dead).flat_map(|(row, _)| row).copied().collect();
            self.count = self.cells.len() / self.width.max(1);
            self.indexes.clear();
        }
        self.dead = Vec::new();
        self.set = HashTable::new();
        self.old = 0;
        self.see_all();
        self.lists.clear();
        self.is_complete = true;
    }

    /// The index over some columns, in ascending order; made if there is none.
    pub(crate) fn index(&mut self, columns: &[usize]) -> usize {
        if let Some(found) = self.indexes.iter().position(|index| index.columns == columns) {
            return found;
        }
        let mut index = Index {
            columns: columns.to_vec(),
            heads: HashTable::new(),
            next: Vec::new(),
            lengths: Vec::new(),
        };
        if !self.is_matrix() {
            index.extend(&self.cells, self.width, self.seen);
        }
        self.indexes.push(index);
        self.indexes.len() - 1
    }

    /// The lists of a column's values by all other columns, given in ascending order; made if
    /// there are none. `None` while rows may still be added, and of bits.
    pub(crate) fn lists_of(&mut self, columns: &[usize], column: usize) -> Option<usize> {
        if !self.is_complete || self.is_matrix() {
            return None;
        }
        let found = self.lists.iter().position(|lists| lists.columns == columns);
        found.or_else(|| {
            let lists = Lists::new(self, columns, column);
            self.lists.push(lists);
            Some(self.lists.len() - 1)
        })
    }

    pub(crate) fn lists(&self, number: usize) -> Option<&Lists> {
        self.lists.get(number)
    }

    /// How many different values some columns have, about: counted in a sample.
    pub(crate) fn distinct(&self, columns: &[usize]) -> f64 {
        const SAMPLE: usize = 512;
        if self.assumed > 0.0 {
            return self.assumed.sqrt();
        }
        if let Some(matrix) = &self.matrix {
            let count = if columns.len() == 1 { matrix.values.len() } else { matrix.count };
            return count.max(1) as f64;
        }
        if let Some(index) = self.indexes.iter().find(|index| index.columns == columns) {
            return index.heads.len().max(1) as f64;
        }
        let step = (self.seen / SAMPLE).max(1);
        let mut sample: Vec<u64> = (0..self.seen)
            .step_by(step)
            .map(|row| hash_codes(columns.iter().map(|column| self.cell(row, *column))))
            .collect();
        let taken = sample.len().max(1) as f64;
        sample.sort_unstable();
        sample.dedup();
        let different = sample.len().max(1) as f64;
        // Values that hardly repeat in a sample hardly repeat at all; others are all in it.
        if different > 0.9 * taken { self.seen.max(1) as f64 } else { different }
    }

    pub(crate) fn scan(&self, part: Part) -> Cursor {
        if let Some(matrix) = &self.matrix {
            return Cursor::Range(0, matrix.end());
        }
        let (from, until) = self.bounds(part);
        Cursor::Range(from, until)
    }

    /// The rows whose columns of an index are `key`.
    #[inline]
    pub(crate) fn probe(&self, index: usize, key: &[Code], part: Part) -> Cursor {
        let Some(found) = self.indexes.get(index) else { return Cursor::EMPTY };
        if let Some(matrix) = &self.matrix {
            return probe_bits(matrix, &found.columns, key);
        }
        let hash = hash_codes(key.iter().copied());
        let is_same = |row: &u32| {
            let row = cells_at(&self.cells, self.width, *row);
            found.columns.iter().zip(key).all(|(column, code)| row.get(*column) == Some(code))
        };
        let Some(head) = found.heads.find(hash, is_same) else { return Cursor::EMPTY };
        let (first, until) = self.bounds(part);
        let mut row = *head;
        while row != NONE && row as usize >= until {
            row = found.next.get(row as usize).copied().unwrap_or(NONE);
        }
        Cursor::Chain { index, row, first }
    }

    /// How many rows a cursor has at most.
    pub(crate) fn length(&self, cursor: &Cursor) -> usize {
        match cursor {
            Cursor::Range(from, until) => until.saturating_sub(*from),
            Cursor::Column { bit, end, stride } => end.saturating_sub(*bit) / (*stride).max(1),
            Cursor::Chain { index, row, .. } => {
                let lengths = self.indexes.get(*index).map(|index| index.lengths.as_slice());
                lengths.and_then(|lengths| lengths.get(*row as usize)).map_or(0, |l| *l as usize)
            }
        }
    }

    /// The next row of a cursor.
    #[inline]
    pub(crate) fn next(&self, cursor: &mut Cursor) -> Option<usize> {
        loop {
            let row = match cursor {
                Cursor::Range(from, until) => {
                    if let Some(matrix) = &self.matrix {
                        let found = matrix.next(*from).filter(|found| found < until);
                        *from = found.map_or(*until, |found| found + 1);
                        return found;
                    }
                    if *from >= *until {
                        return None;
                    }
                    *from += 1;
                    *from - 1
                }
                Cursor::Column { bit, end, stride } => {
                    let matrix = self.matrix.as_ref()?;
                    while *bit < *end && !matrix.is_set(*bit) {
                        *bit += *stride;
                    }
                    let found = *bit;
                    *bit += *stride;
                    return (found < *end).then_some(found);
                }
                Cursor::Chain { index, row, first } => {
                    let found = *row as usize;
                    if *row == NONE || found < *first {
                        return None;
                    }
                    let next = self.indexes.get(*index)?.next.get(found);
                    *row = next.copied().unwrap_or(NONE);
                    found
                }
            };
            if self.dead.is_empty() || !self.dead.get(row).copied().unwrap_or_default() {
                return Some(row);
            }
        }
    }
}

/// The bits of a matrix with some places.
fn probe_bits(matrix: &Matrix, columns: &[usize], key: &[Code]) -> Cursor {
    let place = |column: usize| {
        let at = columns.iter().position(|other| *other == column)?;
        Some(key.get(at).copied().unwrap_or(NULL))
    };
    let width = matrix.width();
    let (row, column) = (place(0), place(1));
    match (row.map(|code| matrix.place(code)), column.map(|code| matrix.place(code))) {
        (Some(Some(row)), None) => Cursor::Range(row * width, (row + 1) * width),
        (None, Some(Some(column))) => {
            Cursor::Column { bit: column, end: matrix.end(), stride: width }
        }
        (Some(Some(row)), Some(Some(column))) => {
            Cursor::Range(row * width + column, row * width + column + 1)
        }
        (None, None) => Cursor::Range(0, matrix.end()),
        (Some(None), _) | (_, Some(None)) => Cursor::EMPTY,
    }
}

#[inline]
fn cells_at(cells: &[Code], width: usize, row: u32) -> &[Code] {
    let from = row as usize * width;
    cells.get(from..from + width).unwrap_or_default()
}

#[inline]
fn key_at(cells: &[Code], width: usize, key_width: usize, row: u32) -> &[Code] {
    let from = row as usize * width;
    cells.get(from..from + key_width).unwrap_or_default()
}

/// The hash of the columns that no aggregate merges.
fn hash_plain(key: &[Code], lattice: &[Option<Aggregate>]) -> u64 {
    let plain = key.iter().zip(lattice).filter(|(_, aggregate)| aggregate.is_none());
    hash_codes(plain.map(|(code, _)| *code))
}

impl Index {
    fn extend(&mut self, cells: &[Code], width: usize, seen: usize) {
        let Self { columns, heads, next, lengths } = self;
        let hash_at = |row: u32| {
            let row = cells_at(cells, width, row);
            hash_codes(columns.iter().map(|column| row.get(*column).copied().unwrap_or_default()))
        };
        let is_same = |a: u32, b: u32| {
            let (a, b) = (cells_at(cells, width, a), cells_at(cells, width, b));
            columns.iter().all(|column| a.get(*column) == b.get(*column))
        };
        for row in next.len()..seen {
            let row = row as u32;
            let hash = hash_at(row);
            match heads.find_mut(hash, |other| is_same(row, *other)) {
                Some(head) => {
                    let before = std::mem::replace(head, row);
                    next.push(before);
                    lengths.push(lengths.get(before as usize).map_or(1, |length| length + 1));
                }
                None => {
                    heads.insert_unique(hash, row, |other| hash_at(*other));
                    next.push(NONE);
                    lengths.push(1);
                }
            }
        }
    }
}
