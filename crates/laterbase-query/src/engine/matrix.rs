//! Matrices of bits over the values of a relation of two columns, and their products.
//!
//! A row is a run of words; a product with a sparse relation joins whole rows, 64 pairs at a time.

use hashbrown::HashMap;
use rustc_hash::FxBuildHasher;

use crate::code::Code;

/// A square of bits.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bits {
    side: usize,
    /// Words of a row.
    stride: usize,
    words: Vec<u64>,
}

/// A sparse relation: for each row the columns of its pairs.
#[derive(Debug, Default)]
pub(crate) struct Sparse {
    starts: Vec<usize>,
    columns: Vec<u32>,
}

impl Sparse {
    pub(crate) fn new(side: usize, pairs: &[(u32, u32)]) -> Self {
        let mut starts = vec![0; side + 1];
        for (row, _) in pairs {
            if let Some(count) = starts.get_mut(*row as usize + 1) {
                *count += 1;
            }
        }
        let mut sum = 0;
        for start in &mut starts {
            sum += *start;
            *start = sum;
        }
        let mut columns = vec![0; pairs.len()];
        let mut next = starts.clone();
        for (row, column) in pairs {
            let Some(place) = next.get_mut(*row as usize) else { continue };
            if let Some(cell) = columns.get_mut(*place) {
                *cell = *column;
            }
            *place += 1;
        }
        Self { starts, columns }
    }

    pub(crate) fn row(&self, row: usize) -> &[u32] {
        let (from, until) = (self.starts.get(row), self.starts.get(row + 1));
        let range = from.zip(until).map(|(from, until)| *from..*until);
        range.and_then(|range| self.columns.get(range)).unwrap_or_default()
    }

    pub(crate) fn len(&self) -> usize {
        self.columns.len()
    }

    /// The rows in an order in which what a row needs stands before it, where there are no cycles.
    pub(crate) fn needed_first(&self, side: usize) -> Vec<u32> {
        let mut order = Vec::with_capacity(side);
        let mut is_seen = vec![false; side];
        let mut stack: Vec<(u32, usize)> = Vec::new();
        for first in 0..side {
            if is_seen.get(first).copied().unwrap_or(true) {
                continue;
            }
            stack.push((first as u32, 0));
            see(&mut is_seen, first);
            while let Some((row, at)) = stack.last_mut() {
                let next = self.row(*row as usize).get(*at).copied();
                *at += 1;
                match next {
                    Some(next) if !is_seen.get(next as usize).copied().unwrap_or(true) => {
                        see(&mut is_seen, next as usize);
                        stack.push((next, 0));
                    }
                    Some(_) => {}
                    None => {
                        order.push(*row);
                        stack.pop();
                    }
                }
            }
        }
        order
    }
}

fn see(is_seen: &mut [bool], row: usize) {
    if let Some(place) = is_seen.get_mut(row) {
        *place = true;
    }
}

impl Bits {
    pub(crate) fn new(side: usize) -> Self {
        let stride = side.div_ceil(64);
        Self { side, stride, words: vec![0; side * stride] }
    }

    /// How many bytes a square of some side takes.
    pub(crate) fn bytes_of(side: usize) -> u64 {
        side as u64 * side.div_ceil(64) as u64 * 8
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.words.len() as u64 * 8
    }

    pub(crate) fn side(&self) -> usize {
        self.side
    }

    pub(crate) fn stride(&self) -> usize {
        self.stride
    }

    pub(crate) fn set(&mut self, row: u32, column: u32) {
        let at = row as usize * self.stride + column as usize / 64;
        if let Some(word) = self.words.get_mut(at) {
            *word |= 1 << (column % 64);
        }
    }

    pub(crate) fn row(&self, row: usize) -> &[u64] {
        self.words.get(row * self.stride..(row + 1) * self.stride).unwrap_or_default()
    }

    fn row_mut(&mut self, row: usize) -> &mut [u64] {
        self.words.get_mut(row * self.stride..(row + 1) * self.stride).unwrap_or_default()
    }

    pub(crate) fn count(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Adds the bits of one row to another one; whether that changed it.
    pub(crate) fn join_row(&mut self, to: usize, from: usize) -> bool {
        let (low, high) = (to.min(from), to.max(from));
        if low == high {
            return false;
        }
        let Some((before, behind)) = self.words.split_at_mut_checked(high * self.stride) else {
            return false;
        };
        let low = before.get_mut(low * self.stride..(low + 1) * self.stride).unwrap_or_default();
        let high = behind.get_mut(..self.stride).unwrap_or_default();
        if to < from { join(low, high) } else { join(high, low) }
    }

    /// Adds all bits of another one.
    pub(crate) fn join(&mut self, other: &Self) {
        join(&mut self.words, &other.words);
    }

    /// Takes out what another one has, and adds the rest to it; how many bits that was.
    pub(crate) fn move_new_to(&mut self, all: &mut Self) -> usize {
        let mut count = 0;
        for (new, old) in self.words.iter_mut().zip(&mut all.words) {
            *new &= !*old;
            *old |= *new;
            count += new.count_ones() as usize;
        }
        count
    }

    /// The pairs `(x, z)` for which there are `(x, y)` in `left` and `(y, z)` here.
    pub(crate) fn after(&self, left: &Sparse) -> Self {
        let mut product = Self::new(self.side);
        for row in 0..self.side {
            for from in left.row(row) {
                join(product.row_mut(row), self.row(*from as usize));
            }
        }
        product
    }

    /// The pairs `(x, z)` for which there are `(x, y)` here and `(y, z)` in `right`.
    /// Nothing goes by way of `without`.
    pub(crate) fn times(&self, right: &Self, without: Option<usize>) -> Self {
        let mut product = Self::new(self.side);
        for row in 0..self.side {
            let mut middle = 0;
            while let Some(found) = next_in(self.row(row), middle) {
                middle = found + 1;
                if Some(found) != without {
                    join(product.row_mut(row), right.row(found));
                }
            }
        }
        product
    }

    /// Rows as columns: 64 by 64 bits at a time.
    pub(crate) fn transposed(&self) -> Self {
        let mut turned = Self::new(self.side);
        let mut block = [0_u64; 64];
        for row in 0..self.stride {
            for column in 0..self.stride {
                let mut any = 0;
                for (at, word) in block.iter_mut().enumerate() {
                    let held = self.words.get((row * 64 + at) * self.stride + column);
                    let is_row = row * 64 + at < self.side;
                    *word = held.copied().filter(|_| is_row).unwrap_or_default();
                    any |= *word;
                }
                if any == 0 {
                    continue;
                }
                transpose(&mut block);
                for (at, word) in block.iter().enumerate() {
                    if column * 64 + at >= self.side {
                        break;
                    }
                    let place = turned.words.get_mut((column * 64 + at) * self.stride + row);
                    if let Some(place) = place {
                        *place = *word;
                    }
                }
            }
        }
        turned
    }
}

/// Adds words to words; whether that changed any.
#[inline]
fn join(to: &mut [u64], from: &[u64]) -> bool {
    let mut added = 0;
    for (to, from) in to.iter_mut().zip(from) {
        added |= *from & !*to;
        *to |= *from;
    }
    added != 0
}

/// The first bit of a row that is set, from one on.
#[inline]
pub(crate) fn next_in(row: &[u64], from: usize) -> Option<usize> {
    let mut at = from / 64;
    let mut word = row.get(at)? & (u64::MAX << (from % 64));
    loop {
        if word != 0 {
            return Some(at * 64 + word.trailing_zeros() as usize);
        }
        at += 1;
        word = *row.get(at)?;
    }
}

/// Turns a square of 64 by 64 bits by swapping ever smaller quarters (Warren, "Hacker's Delight").
fn transpose(block: &mut [u64; 64]) {
    let mut half = 32;
    let mut mask = 0x0000_0000_ffff_ffff_u64;
    while half != 0 {
        let mut at = 0;
        while at < 64 {
            let (Some(a), Some(b)) = (block.get(at).copied(), block.get(at + half).copied()) else {
                return;
            };
            let moved = ((a >> half) ^ b) & mask;
            if let Some(place) = block.get_mut(at) {
                *place = a ^ (moved << half);
            }
            if let Some(place) = block.get_mut(at + half) {
                *place = b ^ moved;
            }
            at = (at + half + 1) & !half;
        }
        half /= 2;
        mask ^= mask << half;
    }
}

/// A relation of two columns as bits, with the values that rows and columns stand for.
#[derive(Debug, Default)]
pub(crate) struct Matrix {
    pub(crate) bits: Bits,
    /// Values in their order.
    pub(crate) values: Vec<Code>,
    places: HashMap<Code, u32, FxBuildHasher>,
    pub(crate) count: usize,
}

impl Matrix {
    pub(crate) fn new(bits: Bits, values: Vec<Code>) -> Self {
        let places = values.iter().enumerate().map(|(at, code)| (*code, at as u32)).collect();
        let count = bits.count();
        Self { bits, values, places, count }
    }

    pub(crate) fn place(&self, code: Code) -> Option<usize> {
        self.places.get(&code).map(|place| *place as usize)
    }

    /// One number for row and column; the width of a row in these.
    pub(crate) fn width(&self) -> usize {
        self.bits.stride() * 64
    }

    /// All rows and columns, as such numbers.
    pub(crate) fn end(&self) -> usize {
        self.bits.side() * self.width()
    }

    #[inline]
    pub(crate) fn cell(&self, number: usize, column: usize) -> Code {
        let width = self.width().max(1);
        let place = if column == 0 { number / width } else { number % width };
        self.values.get(place).copied().unwrap_or_default()
    }

    #[inline]
    pub(crate) fn next(&self, from: usize) -> Option<usize> {
        next_in(&self.bits.words, from)
    }

    pub(crate) fn is_set(&self, number: usize) -> bool {
        let word = self.bits.words.get(number / 64).copied().unwrap_or_default();
        word >> (number % 64) & 1 == 1
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bits.bytes() + self.values.len() as u64 * 32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(bits: &Bits) -> Vec<(usize, usize)> {
        let mut pairs = Vec::new();
        for row in 0..bits.side {
            let mut from = 0;
            while let Some(column) = next_in(bits.row(row), from) {
                pairs.push((row, column));
                from = column + 1;
            }
        }
        pairs
    }

    #[test]
    fn rows_become_columns() {
        for side in [1, 2, 63, 64, 65, 130] {
            let mut bits = Bits::new(side);
            let mut expected = Vec::new();
            for row in 0..side {
                for column in 0..side {
                    if (row * 7 + column * 13) % 5 == 0 {
                        bits.set(row as u32, column as u32);
                        expected.push((column, row));
                    }
                }
            }
            expected.sort_unstable();
            assert_eq!(pairs(&bits.transposed()), expected, "{side}");
        }
    }

    #[test]
    fn products_go_along_both() {
        let sparse = Sparse::new(3, &[(0, 1), (1, 2)]);
        let mut bits = Bits::new(3);
        bits.set(1, 0);
        bits.set(2, 2);
        assert_eq!(pairs(&bits.after(&sparse)), [(0, 0), (1, 2)]);
        let mut other = Bits::new(3);
        other.set(0, 1);
        assert_eq!(pairs(&bits.times(&other, None)), [(1, 1)]);
    }

    #[test]
    fn what_is_needed_stands_first() {
        let sparse = Sparse::new(4, &[(0, 1), (1, 2), (2, 3)]);
        assert_eq!(sparse.needed_first(4), [3, 2, 1, 0]);
    }
}
