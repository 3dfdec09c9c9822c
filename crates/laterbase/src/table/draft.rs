//! Drafts: from what is wanted of a row to the operations that say so.
//!
//! ```text
//!   lives      1 1 1 1 2 2 2 . . .      . nothing known
//!   put       [- - - - - - - - - -)
//!   pieces    [1      )[3    )[1  )     odd: that life goes on; even: the next one; none: the first
//!   delete    [2      )                 where the row is alive, and nowhere else
//! ```
//! A later step of a draft sees the earlier ones as if they were recorded. What is drafted for one
//! row is recorded one event behind the other, so that a removal can name an add of its own commit
//! by how far it lies back: ids are not known before.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use laterbase_event::EventId;
use laterbase_lang::Value;
use laterbase_lang::schema::{Field, Merge, Table};
use laterbase_query::ValidTime;

use super::merge::{MergeColumn, merge};
use super::operation::{Cell, LIFE_MAX, Operation, RowWrite, pending_id};
use super::{Change, ColumnName};
use crate::declared::SchemaHash;

/// What one commit does to one row.
///
/// Keep one for each row that a commit writes, and push the writes of [`RowDraft::finish`] one
/// behind the other: under the table's root nothing else may come between them.
#[derive(Debug, Clone, Default)]
pub(crate) struct RowDraft {
    /// What is recorded, and behind it what is drafted.
    operations: Vec<Operation>,
    recorded: usize,
}

/// Valid times for which a row has one life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Piece {
    from: i64,
    until: Option<i64>,
    life: u64,
}

impl RowDraft {
    /// A row of which this much is recorded.
    pub(crate) fn new(history: Vec<Operation>) -> Self {
        let recorded = history.len();
        Self { operations: history, recorded }
    }

    /// What is recorded, and behind it what is drafted, as if it were recorded.
    #[cfg(test)]
    pub(crate) fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// Puts something into the row over `[from, until)`, which creates it where it is not there.
    pub(crate) fn put(&mut self, from: i64, until: Option<i64>, changes: &[(ColumnName, Change)]) {
        let next = |piece: Piece| Piece { life: piece.life | 1, ..piece };
        let pieces = self.pieces(from, until).into_iter().map(next);
        for piece in joined(pieces) {
            let cells = self.cells(&piece, changes);
            self.push(piece, false, cells);
        }
    }

    /// Deletes the row over `[from, until)`, where it is there.
    pub(crate) fn delete(&mut self, from: i64, until: Option<i64>) {
        let is_alive = |piece: &Piece| !piece.life.is_multiple_of(2);
        let next = |piece: Piece| Piece { life: piece.life + 1, ..piece };
        let pieces = self.pieces(from, until).into_iter().filter(is_alive).map(next);
        for piece in joined(pieces) {
            self.push(piece, true, Vec::new());
        }
    }

    /// A column that may not be absent, and is for some of these valid times.
    pub(crate) fn missing(&self, table: &Table, valid: ValidTime) -> Option<Arc<str>> {
        let is_needed = |field: &Field| {
            field.merge == Merge::LastWriter && !field.is_optional && field.default.is_none()
        };
        let fields = table.fields.fields.iter().filter(|(_, field)| is_needed(field));
        let (names, columns): (Vec<_>, Vec<_>) = fields
            .map(|(number, field)| (Arc::clone(&field.name), MergeColumn::of(*number, field)))
            .unzip();
        merge(&self.operations, &columns, valid).iter().find_map(|merged| {
            let absent = merged.cells.iter().position(Value::is_null)?;
            names.get(absent).cloned()
        })
    }

    /// The events to record.
    pub(crate) fn finish(self, hash: SchemaHash) -> Vec<RowWrite> {
        let drafted = self.operations.iter().skip(self.recorded);
        drafted.enumerate().map(|(at, operation)| operation.write(at, hash)).collect()
    }

    fn push(&mut self, piece: Piece, is_delete: bool, cells: Vec<(ColumnName, Cell)>) {
        // A row that was deleted and put a thousand million million times stays as it is.
        if piece.life > LIFE_MAX {
            return;
        }
        let Piece { from, until, life } = piece;
        let id = pending_id(self.operations.len() - self.recorded);
        let commit = pending_id(0);
        self.operations.push(Operation { id, commit, life, from, until, is_delete, cells });
    }

    /// The life of the row at each time of `[from, until)`, 0 where nothing is known of it.
    fn pieces(&self, from: i64, until: Option<i64>) -> Vec<Piece> {
        if until.is_some_and(|until| until <= from) {
            return Vec::new();
        }
        let touching: Vec<&Operation> =
            self.operations.iter().filter(|it| it.overlaps(from, until)).collect();
        let mut ends: BTreeMap<i64, Vec<(u64, bool)>> = BTreeMap::from([(from, Vec::new())]);
        for operation in touching {
            ends.entry(operation.from.max(from)).or_default().push((operation.life, true));
            if let Some(end) = operation.until.filter(|end| until.is_none_or(|until| *end < until))
            {
                ends.entry(end).or_default().push((operation.life, false));
            }
        }
        let mut active: BTreeMap<u64, usize> = BTreeMap::new();
        let mut pieces = Vec::new();
        let mut ends = ends.into_iter().peekable();
        while let Some((at, changed)) = ends.next() {
            for (life, begins) in changed {
                let count = active.entry(life).or_default();
                *count = if begins { *count + 1 } else { count.saturating_sub(1) };
                if *count == 0 {
                    active.remove(&life);
                }
            }
            let until = ends.peek().map_or(until, |(next, _)| Some(*next));
            let life = active.last_key_value().map_or(0, |(life, _)| *life);
            pieces.push(Piece { from: at, until, life });
        }
        pieces
    }

    /// What is done to columns in a piece.
    fn cells(&self, piece: &Piece, changes: &[(ColumnName, Change)]) -> Vec<(ColumnName, Cell)> {
        let mut cells: BTreeMap<&ColumnName, Cell> = BTreeMap::new();
        for (name, change) in changes {
            let cell = self.cell(piece, name, change);
            let merged = match (cells.remove(name), cell) {
                (Some(Cell::Count(a)), Cell::Count(b)) => Cell::Count(a.saturating_add(b)),
                (
                    Some(Cell::Set { mut added, mut removed }),
                    Cell::Set { added: a, removed: r },
                ) => {
                    added.extend(a);
                    added.sort_unstable();
                    added.dedup();
                    removed.extend(r);
                    Cell::Set { added, removed }
                }
                (_, cell) => cell,
            };
            cells.insert(name, merged);
        }
        cells.into_iter().map(|(name, cell)| (name.clone(), cell)).collect()
    }

    fn cell(&self, piece: &Piece, name: &ColumnName, change: &Change) -> Cell {
        let sorted = |values: &[Value]| {
            let values: BTreeSet<&Value> = values.iter().filter(|it| !it.is_null()).collect();
            values.into_iter().cloned().collect::<Vec<Value>>()
        };
        match change {
            Change::Set(value) => Cell::Value(value.clone()),
            Change::Add(count) => Cell::Count(*count),
            Change::Insert(values) => Cell::Set { added: sorted(values), removed: Vec::new() },
            Change::Remove(values) => {
                let removed = self.observed(piece, name, |value| values.contains(value));
                Cell::Set { added: Vec::new(), removed }
            }
            Change::Replace(values) => {
                let removed = self.observed(piece, name, |_| true);
                Cell::Set { added: sorted(values), removed }
            }
        }
    }

    /// The adds of a set column that show in a piece, by what was added.
    fn observed(
        &self,
        piece: &Piece,
        name: &ColumnName,
        is_wanted: impl Fn(&Value) -> bool,
    ) -> Vec<(Value, Vec<EventId>)> {
        let mut adds: BTreeSet<(&Value, EventId)> = BTreeSet::new();
        let mut gone: BTreeSet<(&Value, EventId)> = BTreeSet::new();
        for operation in &self.operations {
            if operation.life != piece.life || !operation.overlaps(piece.from, piece.until) {
                continue;
            }
            let covers_all = operation.from <= piece.from
                && operation.until.is_none_or(|end| piece.until.is_some_and(|until| until <= end));
            let cells = operation.cells.iter().filter(|(other, _)| other == name);
            for (_, cell) in cells {
                let Cell::Set { added, removed } = cell else { continue };
                let wanted = added.iter().filter(|value| is_wanted(value));
                adds.extend(wanted.map(|value| (value, operation.id)));
                for (value, ids) in removed.iter().filter(|_| covers_all) {
                    gone.extend(ids.iter().map(|id| (value, *id)));
                }
            }
        }
        let mut observed: BTreeMap<&Value, Vec<EventId>> = BTreeMap::new();
        for (value, id) in adds.difference(&gone) {
            observed.entry(value).or_default().push(*id);
        }
        observed.into_iter().map(|(value, ids)| (value.clone(), ids)).collect()
    }
}

/// Neighbours of one life as one piece.
fn joined(pieces: impl Iterator<Item = Piece>) -> Vec<Piece> {
    let mut joined: Vec<Piece> = Vec::new();
    for piece in pieces {
        match joined.last_mut() {
            Some(last) if last.life == piece.life && last.until == Some(piece.from) => {
                last.until = piece.until;
            }
            _ => joined.push(piece),
        }
    }
    joined
}
