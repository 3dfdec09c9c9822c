//! Operations: what was done to a row, as the payload of an event.
//!
//! ```text
//!   root _table.N · key: the row's · type: put, delete · valid_at: from when on
//!   content type: application/vnd.laterbase.row+cbor; schema=0123456789abcdef
//!   payload: a CBOR map, keys ascending (RFC 8949, 4.2.1)
//!      0      life: 1, 3, 5, … of a put, 2, 4, 6, … of a delete; at most 2^53
//!      n      column n, by how the schema named above merges it
//!                last writer   the value, or null
//!                counter       the number that is added
//!                set           { 1: [added, …], 2: [[removed, [observed add, …]], …] }
//!                              an observed add is the id of its event, 16 bytes, or the number of
//!                              events of the same commit and table that lie between, plus one
//!     -1      until, in microseconds since 1970; open if it is missing
//!      name   the value of a column that is not declared
//! ```
//! What is malformed is no operation and does nothing; a cell that does not fit is left out of one
//! that is well-formed. Values are those of the schema that the event names, read as those of the
//! reader's.

use std::collections::BTreeMap;
use std::sync::Arc;

use ciborium::Value as Cbor;
use laterbase_event::{EventId, EventView, Hlc};
use laterbase_lang::schema::{Merge, Table};
use laterbase_lang::{DataType, Value, fitting};

use super::{ColumnName, DELETE, PUT};
use crate::declared::{SchemaHash, content_type, decode_value, encode_value};

/// The media type of operations.
pub(crate) const CONTENT_TYPE: &str = "application/vnd.laterbase.row+cbor";

/// Lives at the most: a number that every reader of CBOR and JSON holds exactly.
pub(super) const LIFE_MAX: u64 = 1 << 53;

/// Ids of events that are yet to be recorded, by their place in the draft. No event has such an id:
/// the clock never comes so far.
const PENDING: u128 = u128::MAX - u32::MAX as u128;

const LIFE: i128 = 0;
const UNTIL: i128 = -1;
const ADDED: i128 = 1;
const REMOVED: i128 = 2;

/// What was done to a row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Operation {
    /// Its event.
    pub(crate) id: EventId,
    /// The commit of its event.
    pub(crate) commit: EventId,
    /// The life of the row that it belongs to: odd for a put, even for a delete.
    pub(crate) life: u64,
    /// From when on it is so.
    pub(crate) from: i64,
    /// Until when, exclusively.
    pub(crate) until: Option<i64>,
    pub(crate) is_delete: bool,
    /// What was done to columns, each once, ascending.
    pub(crate) cells: Vec<(ColumnName, Cell)>,
}

/// What was done to a column.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell {
    /// It was given a value, or none.
    Value(Value),
    /// So much was added.
    Count(i64),
    /// Elements were added and removed.
    Set {
        /// Those that were added, each once.
        added: Vec<Value>,
        /// Those that were removed, and the adds of them that were seen.
        removed: Vec<(Value, Vec<EventId>)>,
    },
}

/// An operation to be recorded: an event under the table's root, with the row's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RowWrite {
    pub(crate) type_name: &'static str,
    /// Its valid time.
    pub(crate) from: i64,
    pub(crate) payload: Vec<u8>,
    pub(crate) content_type: String,
}

/// How operations of one writer's schema are read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reading {
    columns: BTreeMap<u32, ReadColumn>,
    /// Whether columns that are not declared are read.
    reads_members: bool,
}

#[derive(Debug, Clone)]
struct ReadColumn {
    merge: Merge,
    written: DataType,
    read: DataType,
}

impl Reading {
    /// Operations of the reader's own schema.
    #[cfg(test)]
    pub(crate) fn same(table: &Table) -> Self {
        Self::new(table, table, |_, _| true)
    }

    /// Operations of `writer`'s schema: columns of one number that are merged in one way and, as
    /// `is_same` says of the names, mean the same.
    pub(crate) fn new(writer: &Table, reader: &Table, is_same: impl Fn(u32, &str) -> bool) -> Self {
        let shared = |(number, field): (&u32, &laterbase_lang::schema::Field)| {
            let ours = reader.fields.fields.get(number)?;
            let fits = ours.merge == field.merge && is_same(*number, &field.name);
            let (written, read) = (field.data_type.clone(), ours.data_type.clone());
            fits.then_some((*number, ReadColumn { merge: field.merge, written, read }))
        };
        let columns = writer.fields.fields.iter().filter_map(shared).collect();
        Self { columns, reads_members: true }
    }

    /// Operations of a schema that is not known here yet: no columns.
    pub(crate) fn unknown() -> Self {
        Self::default()
    }

    /// The operation that an event is; `None` if it is none.
    pub(crate) fn operation(&self, event: &EventView<'_>) -> Option<Operation> {
        let is_delete = match event.type_name() {
            PUT => false,
            DELETE => true,
            _ => return None,
        };
        let (id, from) = (event.id(), event.valid_at().as_micros());
        let commit = event.header().commit();
        self.decode(
            event.payload(),
            Operation { id, commit, life: 0, from, until: None, is_delete, cells: Vec::new() },
        )
    }

    /// The operation that a write is once it is recorded.
    #[cfg(test)]
    pub(super) fn read_back(
        &self,
        write: &RowWrite,
        id: EventId,
        commit: EventId,
    ) -> Option<Operation> {
        let (from, is_delete) = (write.from, write.type_name == DELETE);
        let cells = Vec::new();
        let operation = Operation { id, commit, life: 0, from, until: None, is_delete, cells };
        self.decode(&write.payload, operation)
    }

    /// Reads what a payload says into an operation of which all else is known.
    fn decode(&self, payload: &[u8], mut operation: Operation) -> Option<Operation> {
        let Cbor::Map(members) = ciborium::from_reader(payload).ok()? else { return None };
        let id = operation.id;
        let mut cells: BTreeMap<ColumnName, Cell> = BTreeMap::new();
        for (name, value) in &members {
            match (integer(name), name.as_text()) {
                (Some(LIFE), _) => operation.life = u64::try_from(integer(value)?).ok()?,
                (Some(UNTIL), _) => {
                    operation.until = Some(i64::try_from(integer(value)?).ok()?);
                }
                (Some(number), _) => {
                    let Ok(number) = u32::try_from(number) else { continue };
                    let Some(column) = self.columns.get(&number) else { continue };
                    let Some(cell) = column.cell(value, id) else { continue };
                    cells.insert(ColumnName::Number(number), cell);
                }
                (None, Some(name)) if self.reads_members => {
                    let cell = Cell::Value(decode_value(value, &DataType::Json));
                    cells.insert(ColumnName::Member(name.into()), cell);
                }
                (None, _) => {}
            }
        }
        operation.cells = cells.into_iter().collect();
        operation.is_well_formed().then_some(operation)
    }
}

impl ReadColumn {
    fn value(&self, value: &Cbor) -> Option<Value> {
        if matches!(value, Cbor::Null) {
            return Some(Value::Null);
        }
        let written = decode_value(value, &self.written);
        fitting(&written, &self.read).filter(|value| !value.is_null())
    }

    fn element(&self, value: &Cbor) -> Option<Value> {
        let (DataType::Set(written), DataType::Set(read)) = (&self.written, &self.read) else {
            return None;
        };
        let value = decode_value(value, written);
        fitting(&value, read).filter(|value| !value.is_null())
    }

    fn cell(&self, value: &Cbor, id: EventId) -> Option<Cell> {
        match self.merge {
            Merge::LastWriter => self.value(value).map(Cell::Value),
            Merge::Counter => Some(Cell::Count(i64::try_from(integer(value)?).ok()?)),
            Merge::ObservedRemove => self.set(value, id),
        }
    }

    fn set(&self, value: &Cbor, id: EventId) -> Option<Cell> {
        let (mut added, mut removed) = (Vec::new(), Vec::new());
        for (name, value) in value.as_map()? {
            match integer(name) {
                Some(ADDED) => {
                    added.extend(value.as_array()?.iter().filter_map(|it| self.element(it)));
                }
                Some(REMOVED) => {
                    for pair in value.as_array()? {
                        let [element, ids] = pair.as_array()?.as_slice() else { return None };
                        let ids = ids.as_array()?.iter().filter_map(|it| observed(it, id));
                        let Some(element) = self.element(element) else { continue };
                        removed.push((element, ids.collect()));
                    }
                }
                Some(_) | None => {}
            }
        }
        added.sort_unstable();
        added.dedup();
        Some(Cell::Set { added, removed })
    }
}

impl Operation {
    /// Whether it covers a valid time.
    #[cfg(test)]
    pub(crate) fn covers(&self, at: i64) -> bool {
        self.from <= at && self.until.is_none_or(|until| at < until)
    }

    /// Whether it covers any of `[from, until)`.
    pub(crate) fn overlaps(&self, from: i64, until: Option<i64>) -> bool {
        until.is_none_or(|until| self.from < until) && self.until.is_none_or(|own| from < own)
    }

    /// The names of the columns that it says something of, those that are declared.
    pub(crate) fn column_names(&self, table: &Table) -> impl Iterator<Item = Arc<str>> {
        self.cells.iter().filter_map(|(name, _)| match name {
            ColumnName::Number(number) => {
                table.fields.fields.get(number).map(|field| Arc::clone(&field.name))
            }
            ColumnName::Member(name) => Some(Arc::clone(name)),
        })
    }

    /// What was done to a column: the value that it was given, the number that was added, or the
    /// elements that were `added` and `removed`; nothing if nothing was.
    pub(crate) fn put_to(&self, column: &ColumnName) -> Value {
        let cell = self.cells.binary_search_by(|(name, _)| name.cmp(column));
        match cell.ok().and_then(|at| self.cells.get(at)).map(|(_, cell)| cell) {
            None => Value::Null,
            Some(Cell::Value(value)) => value.clone(),
            Some(Cell::Count(count)) => Value::Int(*count),
            Some(Cell::Set { added, removed }) => {
                let removed = removed.iter().map(|(value, _)| value.clone()).collect();
                Value::record(vec![
                    ("added".into(), Value::set(added.clone())),
                    ("removed".into(), Value::set(removed)),
                ])
            }
        }
    }

    fn is_well_formed(&self) -> bool {
        let is_even = self.life.is_multiple_of(2);
        (1..=LIFE_MAX).contains(&self.life)
            && is_even == self.is_delete
            && self.until.is_none_or(|until| self.from < until)
    }

    /// The event that it is recorded as; `at` is its place in its draft.
    pub(super) fn write(&self, at: usize, hash: SchemaHash) -> RowWrite {
        let mut members = vec![(Cbor::from(0), Cbor::from(self.life))];
        members.extend(self.until.map(|until| (Cbor::from(-1), Cbor::from(until))));
        for (name, cell) in &self.cells {
            let name = match name {
                ColumnName::Number(number) => Cbor::from(*number),
                ColumnName::Member(name) => Cbor::from(name.as_ref()),
            };
            members.push((name, cell_value(cell, at)));
        }
        let type_name = if self.is_delete { DELETE } else { PUT };
        let content_type = content_type(CONTENT_TYPE, hash);
        RowWrite { type_name, from: self.from, payload: bytes_of(members), content_type }
    }
}

/// The schema that a content type names; `None` if it is that of no operation.
pub(crate) fn hash_of(content_type: &str) -> Option<SchemaHash> {
    SchemaHash::of_content_type(content_type, CONTENT_TYPE)
}

/// The id of the event that is recorded for a draft's operation, before it is.
pub(super) fn pending_id(at: usize) -> EventId {
    EventId::from_u128(PENDING.saturating_add(at as u128))
}

fn cell_value(cell: &Cell, at: usize) -> Cbor {
    match cell {
        Cell::Value(value) => encode_value(value),
        Cell::Count(count) => Cbor::from(*count),
        Cell::Set { added, removed } => {
            let mut members = Vec::new();
            if !added.is_empty() {
                let added = added.iter().map(encode_value).collect();
                members.push((Cbor::from(1), Cbor::Array(added)));
            }
            if !removed.is_empty() {
                let pair = |(value, ids): &(Value, Vec<EventId>)| {
                    let ids = ids.iter().map(|id| observed_value(*id, at)).collect();
                    Cbor::Array(vec![encode_value(value), Cbor::Array(ids)])
                };
                members.push((Cbor::from(2), Cbor::Array(removed.iter().map(pair).collect())));
            }
            Cbor::Map(members)
        }
    }
}

/// How an add is named: by its id, or by how far before the event at `at` it stands in its commit.
fn observed_value(id: EventId, at: usize) -> Cbor {
    match id.as_u128().checked_sub(PENDING) {
        Some(target) => {
            let distance = (at as u128).saturating_sub(target);
            Cbor::from(u64::try_from(distance).unwrap_or_default())
        }
        None => Cbor::Bytes(id.as_u128().to_be_bytes().to_vec()),
    }
}

/// The add that is named in the event of an id.
fn observed(value: &Cbor, id: EventId) -> Option<EventId> {
    if let Cbor::Bytes(bytes) = value {
        let bytes: [u8; 16] = bytes.as_slice().try_into().ok()?;
        return Some(EventId::from_u128(u128::from_be_bytes(bytes)));
    }
    let distance = u64::try_from(integer(value)?).ok()?;
    let hlc = id.hlc().as_u64().checked_sub(distance.max(1))?;
    Some(EventId::new(Hlc::from_u64(hlc), id.replica()))
}

fn integer(value: &Cbor) -> Option<i128> {
    value.as_integer().map(i128::from)
}

/// A map's bytes, its keys in the order of their bytes.
fn bytes_of(members: Vec<(Cbor, Cbor)>) -> Vec<u8> {
    let encoded = |value: &Cbor| {
        let mut bytes = Vec::new();
        // Into memory nothing fails.
        let _ = ciborium::into_writer(value, &mut bytes);
        bytes
    };
    let mut keyed: Vec<(Vec<u8>, (Cbor, Cbor))> =
        members.into_iter().map(|member| (encoded(&member.0), member)).collect();
    keyed.sort_by(|a, b| a.0.cmp(&b.0));
    encoded(&Cbor::Map(keyed.into_iter().map(|(_, member)| member).collect()))
}
