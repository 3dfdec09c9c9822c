//! Answers: rows in their order, decoded as they are read.

use std::sync::Arc;

use laterbase_lang::plan::Answer;
use laterbase_lang::{Column, Value};

use crate::code::{Code, Dictionary};
use crate::engine::Matrix;
use crate::error::Usage;

/// The rows of an answer. Holds codes, and what decodes them.
#[derive(Debug)]
pub struct Rows {
    columns: Vec<Column>,
    dictionary: Dictionary,
    body: Body,
    count: usize,
    usage: Usage,
}

#[derive(Debug)]
enum Body {
    Cells(Vec<Code>),
    /// Two columns, in the order of its values.
    Matrix(Box<Matrix>),
}

impl Rows {
    pub(crate) fn new(
        columns: Vec<Column>,
        dictionary: Dictionary,
        cells: Vec<Code>,
        count: usize,
        usage: Usage,
    ) -> Self {
        Self { columns, dictionary, body: Body::Cells(cells), count, usage }
    }

    pub(crate) fn of_matrix(
        columns: Vec<Column>,
        dictionary: Dictionary,
        matrix: Matrix,
        usage: Usage,
    ) -> Self {
        let count = matrix.count;
        Self { columns, dictionary, body: Body::Matrix(Box::new(matrix)), count, usage }
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
        self.iter_at(self.start())
    }

    /// The place of the first row.
    #[must_use]
    pub fn start(&self) -> RowsPlace {
        RowsPlace { next: 0, rest: self.count }
    }

    /// The rows from a place on, without a walk over those before.
    pub fn iter_at(&self, place: RowsPlace) -> RowsIter<'_> {
        RowsIter { rows: self, place }
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
    place: RowsPlace,
}

/// A place between rows, of the same [`Rows`]: where to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowsPlace {
    /// The number of the next row, or of the next bit.
    next: usize,
    rest: usize,
}

impl RowsPlace {
    /// Whether no row is left.
    #[must_use]
    pub fn is_end(&self) -> bool {
        self.rest == 0
    }
}

impl RowsIter<'_> {
    /// Where it stands.
    #[must_use]
    pub fn place(&self) -> RowsPlace {
        self.place
    }
}

impl<'a> Iterator for RowsIter<'a> {
    type Item = Row<'a>;

    fn next(&mut self) -> Option<Row<'a>> {
        self.place.rest = self.place.rest.checked_sub(1)?;
        let dictionary = &self.rows.dictionary;
        match &self.rows.body {
            Body::Cells(cells) => {
                let width = self.rows.columns.len();
                let from = self.place.next * width;
                let cells = cells.get(from..from + width)?;
                self.place.next += 1;
                Some(Row { dictionary, cells: Cells::Kept(cells) })
            }
            Body::Matrix(matrix) => {
                let found = matrix.next(self.place.next)?;
                self.place.next = found + 1;
                let cells = Cells::Pair([matrix.cell(found, 0), matrix.cell(found, 1)]);
                Some(Row { dictionary, cells })
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.place.rest, Some(self.place.rest))
    }
}

impl ExactSizeIterator for RowsIter<'_> {}

/// A row, not yet decoded.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    dictionary: &'a Dictionary,
    cells: Cells<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Cells<'a> {
    Kept(&'a [Code]),
    Pair([Code; 2]),
}

impl Row<'_> {
    fn cells(&self) -> &[Code] {
        match &self.cells {
            Cells::Kept(cells) => cells,
            Cells::Pair(cells) => cells,
        }
    }

    /// The value of a column; absent if there is no such column.
    #[must_use]
    pub fn value(&self, column: usize) -> Value {
        self.cells().get(column).map(|code| self.dictionary.value(*code)).unwrap_or_default()
    }

    /// The values of all columns.
    #[must_use]
    pub fn values(&self) -> Vec<Value> {
        self.cells().iter().map(|code| self.dictionary.value(*code)).collect()
    }
}

/// A row of a tree: the values by the names of their columns.
pub(crate) fn record(answer: &Answer, values: Vec<Value>) -> Value {
    let names = answer.columns.iter().map(|column| Arc::clone(&column.name));
    Value::record(names.zip(values).collect())
}
