//! Answers: rows in their order, decoded as they are read.

use std::sync::Arc;

use laterbase_lang::plan::Answer;
use laterbase_lang::{Column, Value};

use crate::code::{Code, Dictionary};
use crate::error::Usage;

/// The rows of an answer. Holds codes, and what decodes them.
#[derive(Debug)]
pub struct Rows {
    columns: Vec<Column>,
    dictionary: Dictionary,
    cells: Vec<Code>,
    count: usize,
    usage: Usage,
}

impl Rows {
    pub(crate) fn new(
        columns: Vec<Column>,
        dictionary: Dictionary,
        cells: Vec<Code>,
        count: usize,
        usage: Usage,
    ) -> Self {
        Self { columns, dictionary, cells, count, usage }
    }

    /// The columns of each row.
    #[must_use]
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// How many rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// What answering took.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.usage
    }

    /// The rows in their order.
    pub fn iter(&self) -> RowsIter<'_> {
        RowsIter { rows: self, next: 0 }
    }
}

impl Rows {
    /// The rows from one of them on, without a walk over those before.
    #[must_use]
    pub fn iter_from(&self, first: usize) -> RowsIter<'_> {
        RowsIter { rows: self, next: first.min(self.count) }
    }
}

impl<'a> IntoIterator for &'a Rows {
    type Item = Row<'a>;
    type IntoIter = RowsIter<'a>;

    fn into_iter(self) -> RowsIter<'a> {
        self.iter()
    }
}

/// Rows, one after the other.
#[derive(Debug)]
pub struct RowsIter<'a> {
    rows: &'a Rows,
    next: usize,
}

impl<'a> Iterator for RowsIter<'a> {
    type Item = Row<'a>;

    fn next(&mut self) -> Option<Row<'a>> {
        if self.next >= self.rows.count {
            return None;
        }
        let width = self.rows.columns.len();
        let from = self.next * width;
        let cells = self.rows.cells.get(from..from + width)?;
        self.next += 1;
        Some(Row { dictionary: &self.rows.dictionary, cells })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let rest = self.rows.count - self.next;
        (rest, Some(rest))
    }
}

impl ExactSizeIterator for RowsIter<'_> {}

/// A row, not yet decoded.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    dictionary: &'a Dictionary,
    cells: &'a [Code],
}

impl Row<'_> {
    /// The value of a column; absent if there is no such column.
    #[must_use]
    pub fn value(&self, column: usize) -> Value {
        self.cells.get(column).map(|code| self.dictionary.value(*code)).unwrap_or_default()
    }

    /// The values of all columns.
    #[must_use]
    pub fn values(&self) -> Vec<Value> {
        self.cells.iter().map(|code| self.dictionary.value(*code)).collect()
    }
}

/// A row of a tree: the values by the names of their columns.
pub(crate) fn record(answer: &Answer, values: Vec<Value>) -> Value {
    let names = answer.columns.iter().map(|column| Arc::clone(&column.name));
    Value::record(names.zip(values).collect())
}
