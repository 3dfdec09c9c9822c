//! Rows of tables for the engine: operations are read by key, and merged.
//!
//! **Cost.** A key that is named is read by its stream, whatever else the table holds. Without one
//! all operations of the table are read and sorted by key in memory, since nothing on disk is in
//! the order of keys: at one valid time what no later operation can bring back is let go of on the
//! way, so that memory follows the rows; over a range of valid times it follows the operations.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::ControlFlow;

use laterbase_event::{EventId, EventView, Key, Position};
use laterbase_lang::Value;
use laterbase_lang::plan::{self, Place, Stored};
use laterbase_lang::schema::{Owner, Table};
use laterbase_query::{Constraint, DataError, Restriction, Scan, Scanned, ValidTime, ValueRef};
use laterbase_sync::mutant::{self, Mutant};

use super::{AnyOf, StoredData, seeks_max};
use crate::query::{Order, Query};
use crate::read::ReadError;
use crate::table::{
    MergeColumn, MergedRow, Operation, Reading, SchemaHash, hash_of, merge, root_of, superseded,
};

/// Of so many events that are visible one must be of the table for the log to be read through.
const DENSITY_MIN: u64 = 8;

/// Operations of one row that are kept before what is superseded is let go of.
const PENDING_MIN: usize = 16;

/// What a scan of a table asks for.
struct Wanted {
    columns: Vec<MergeColumn>,
    cells: Vec<WantedCell>,
    wants_period: bool,
}

/// Where the value of a wanted column comes from.
enum WantedCell {
    Key,
    Period,
    /// Of the merged columns.
    Column(usize),
    Nothing,
}

/// Operations of one row, as far as they are read.
#[derive(Default)]
struct Gathered {
    operations: Vec<Operation>,
    /// From how many on it is worth while to let go of some.
    tidy_at: usize,
}

/// How operations of each schema are read, by their content type.
pub(super) struct Readings<'a> {
    data: &'a StoredData<'a>,
    number: u32,
    table: &'a Table,
    known: HashMap<String, Option<Reading>>,
}

impl<'a> Readings<'a> {
    pub(super) fn new(data: &'a StoredData<'a>, number: u32, table: &'a Table) -> Self {
        Self { data, number, table, known: HashMap::new() }
    }

    /// The operation that an event is; `None` if it is none of this table.
    pub(super) fn operation(
        &mut self,
        event: &EventView<'_>,
        position: Position,
    ) -> Option<Operation> {
        let content_type = event.content_type();
        if !self.known.contains_key(content_type) {
            let reading = hash_of(content_type)
                .and_then(|hash| self.data.reading(self.number, self.table, hash));
            self.known.insert(content_type.to_owned(), reading);
        }
        let mut operation = self.known.get(content_type)?.as_ref()?.operation(event)?;
        if mutant::is_active(Mutant::LastByArrival) {
            operation.commit = EventId::from_u128(u128::from(position.as_u64()));
        }
        Some(operation)
    }
}

impl StoredData<'_> {
    /// The operations of a row that a cut holds, in the order of their events.
    ///
    /// # Errors
    /// The log or an index cannot be read.
    pub(crate) fn history(
        &self,
        table: u32,
        key: &str,
        cut: &plan::Cut,
    ) -> Result<Vec<Operation>, ReadError> {
        let mut operations = Vec::new();
        let (Some(declared), Ok(key)) = (self.reader.schema.tables.get(&table), Key::try_from(key))
        else {
            return Ok(operations);
        };
        let query = Query { key: Some(key), ..self.query_of(table, cut)? };
        let mut readings = Readings::new(self, table, declared);
        self.walk(&query, true)?.run(|event, position, _| {
            operations.extend(readings.operation(event, position));
            ControlFlow::Continue(())
        })?;
        Ok(operations)
    }

    /// The events under a table's root that are no operations on it, ascending.
    ///
    /// # Errors
    /// The log cannot be read.
    pub(crate) fn no_operations(&self, table: u32) -> Result<Vec<EventId>, ReadError> {
        let mut ids = Vec::new();
        let Some(declared) = self.reader.schema.tables.get(&table) else { return Ok(ids) };
        let query = self.query_of(table, &plan::Cut::Latest)?;
        let mut readings = Readings::new(self, table, declared);
        self.walk(&query, true)?.run(|event, position, _| {
            if readings.operation(event, position).is_none() {
                ids.push(event.id());
            }
            ControlFlow::Continue(())
        })?;
        Ok(ids)
    }

    fn query_of(&self, table: u32, cut: &plan::Cut) -> Result<Query, ReadError> {
        Ok(Query { cut: super::cut_of(cut)?, ..Query::root(root_of(table)) })
    }

    /// How the operations of a schema are read; `None` if its table of the number is another one.
    fn reading(&self, number: u32, table: &Table, hash: SchemaHash) -> Option<Reading> {
        // The schema may be on its way.
        let Some(schema) = self.reader.declared.schema_of(hash) else {
            return Some(Reading::unknown());
        };
        let writer = schema.tables.get(&number)?;
        let lineages = || self.reader.lineages.into_iter();
        let owner = Owner::Table(number);
        let is_same_table = lineages().any(|names| names.has_owner_name(&owner, &writer.name));
        let is_same =
            |field: u32, name: &str| lineages().any(|names| names.has_name(&owner, field, name));
        is_same_table.then(|| Reading::new(writer, table, is_same))
    }

    /// Answers the rows of a table.
    pub(super) fn scan_table(
        &self,
        number: u32,
        request: &Scan<'_>,
        take: &mut dyn FnMut(&[ValueRef<'_>]) -> ControlFlow<()>,
    ) -> Result<Scanned, DataError> {
        let failed = |error: ReadError| DataError(Box::new(error));
        let Some(table) = self.reader.schema.tables.get(&number) else {
            return Ok(Scanned::default());
        };
        let wanted = Wanted::new(table, request);
        let base = self.query_of(number, request.cut).map_err(failed)?;
        let mut readings = Readings::new(self, number, table);
        let mut scanned = Scanned::default();
        let keys = keys_of(request.relation, request.constraints);
        let events = base.root.as_ref().map_or(0, |root| self.events_of(root.as_str()));
        let Some(keys) = keys.filter(|keys| keys.len() <= seeks_max(events)) else {
            self.scan_all(base, &mut readings, (&wanted, request.valid), &mut scanned, take)
                .map_err(failed)?;
            return Ok(scanned);
        };
        for key in keys {
            let Ok(key) = Key::try_from(key) else { continue };
            let query = Query { key: Some(key.clone()), ..base.clone() };
            let mut operations = Vec::new();
            let mut walk = self.walk(&query, true).map_err(failed)?;
            let read = walk.run(|event, position, _| {
                scanned.rows_read += 1;
                operations.extend(readings.operation(event, position));
                ControlFlow::Continue(())
            });
            read.map_err(failed)?;
            if wanted.hand_on(key.as_str(), &operations, request.valid, take).is_break() {
                break;
            }
        }
        Ok(scanned)
    }

    /// Answers every row.
    fn scan_all(
        &self,
        mut query: Query,
        readings: &mut Readings<'_>,
        (wanted, valid): (&Wanted, ValidTime),
        scanned: &mut Scanned,
        take: &mut dyn FnMut(&[ValueRef<'_>]) -> ControlFlow<()>,
    ) -> Result<(), ReadError> {
        let events = query.root.as_ref().map_or(0, |root| self.events_of(root.as_str()));
        let is_dense = events.saturating_mul(DENSITY_MIN) >= self.view.bound.as_u64();
        query.order = if is_dense { Order::Arrival } else { Order::Tx };
        let mut rows: BTreeMap<Box<str>, Gathered> = BTreeMap::new();
        self.walk(&query, !is_dense)?.run(|event, position, _| {
            scanned.rows_read += 1;
            if let Some(operation) = readings.operation(event, position) {
                match rows.get_mut(event.key()) {
                    Some(row) => row.add(operation, wanted, valid),
                    None => {
                        let mut row = Gathered::default();
                        row.add(operation, wanted, valid);
                        rows.insert(event.key().into(), row);
                    }
                }
            }
            ControlFlow::Continue(())
        })?;
        for (key, row) in rows {
            if wanted.hand_on(&key, &row.operations, valid, take).is_break() {
                break;
            }
        }
        Ok(())
    }

    /// About how many rows a scan of a table answers.
    pub(super) fn estimate_table(&self, number: u32, request: &Scan<'_>) -> Option<u64> {
        let query = self.query_of(number, request.cut).ok()?;
        let all = self.events_of(query.root.as_ref()?.as_str());
        match keys_of(request.relation, request.constraints) {
            // At one time a key has one row.
            Some(keys) if matches!(request.valid, ValidTime::At(_)) => {
                Some(all.min(keys.len() as u64))
            }
            Some(keys) if keys.len() <= seeks_max(all) => {
                let keys = keys.iter().filter_map(|key| Key::try_from(*key).ok()).collect();
                self.estimate_any_of(&AnyOf::Keys(keys), &query).ok()
            }
            Some(_) | None => Some(all),
        }
    }
}

impl Wanted {
    fn new(table: &Table, request: &Scan<'_>) -> Self {
        let mut wanted = Self { columns: Vec::new(), cells: Vec::new(), wants_period: false };
        for at in request.columns {
            let place = request.relation.columns.get(*at).map(|column| &column.place);
            let cell = match place {
                Some(Place::Key) => WantedCell::Key,
                Some(Place::Validity) => {
                    wanted.wants_period = true;
                    WantedCell::Period
                }
                Some(Place::Field { number, .. }) => match table.fields.fields.get(number) {
                    Some(field) => wanted.column(MergeColumn::of(*number, field)),
                    None => WantedCell::Nothing,
                },
                Some(Place::Member(name)) => wanted.column(MergeColumn::member(name)),
                Some(
                    Place::Id
                    | Place::At
                    | Place::Tx
                    | Place::Arrived
                    | Place::Origin
                    | Place::Seq
                    | Place::Cause
                    | Place::Root
                    | Place::Type
                    | Place::Version
                    | Place::Tags
                    | Place::Meta
                    | Place::Payload
                    | Place::Until
                    | Place::Life
                    | Place::Changed,
                )
                | None => WantedCell::Nothing,
            };
            wanted.cells.push(cell);
        }
        wanted
    }

    fn column(&mut self, column: MergeColumn) -> WantedCell {
        self.columns.push(column);
        WantedCell::Column(self.columns.len() - 1)
    }

    /// Hands on the rows that the operations of a key make.
    fn hand_on(
        &self,
        key: &str,
        operations: &[Operation],
        valid: ValidTime,
        take: &mut dyn FnMut(&[ValueRef<'_>]) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        for row in self.rows(operations, valid) {
            let end = |end: Option<i64>| end.filter(|end| *end != i64::MIN);
            let cells: Vec<ValueRef<'_>> = self
                .cells
                .iter()
                .map(|cell| match cell {
                    WantedCell::Key => ValueRef::Text(key),
                    WantedCell::Period => ValueRef::Period(end(Some(row.from)), row.until),
                    WantedCell::Column(at) => {
                        row.cells.get(*at).map_or(ValueRef::Null, ValueRef::from)
                    }
                    WantedCell::Nothing => ValueRef::Null,
                })
                .collect();
            take(&cells)?;
        }
        ControlFlow::Continue(())
    }

    fn rows(&self, operations: &[Operation], valid: ValidTime) -> Vec<MergedRow> {
        if !self.wants_period {
            // A row that comes back as it was is answered once.
            let mut rows = merge(operations, &self.columns, valid);
            let mut seen: BTreeSet<Vec<Value>> = BTreeSet::new();
            if rows.len() > 1 {
                rows.retain(|row| seen.insert(row.cells.clone()));
            }
            return rows;
        }
        let ValidTime::At(at) = valid else { return merge(operations, &self.columns, valid) };
        // For how long it is so, on both sides of the time.
        let mut rows = merge(operations, &self.columns, ValidTime::Any);
        rows.retain(|row| row.from <= at && row.until.is_none_or(|until| at < until));
        rows
    }
}

impl Gathered {
    fn add(&mut self, mut operation: Operation, wanted: &Wanted, valid: ValidTime) {
        let (from, until) = match valid {
            ValidTime::At(_) if wanted.wants_period => (i64::MIN, None),
            ValidTime::Any => (i64::MIN, None),
            ValidTime::At(at) => (at, at.checked_add(1)),
            ValidTime::In(from, until) => (from.unwrap_or(i64::MIN), until),
        };
        if !operation.overlaps(from, until) {
            return;
        }
        operation.cells.retain(|(name, _)| wanted.columns.iter().any(|it| it.name == *name));
        operation.cells.shrink_to_fit();
        self.operations.push(operation);
        let at_one_time = matches!(valid, ValidTime::At(_)) && !wanted.wants_period;
        if at_one_time && self.operations.len() >= self.tidy_at.max(PENDING_MIN) {
            superseded(&mut self.operations);
            self.tidy_at = self.operations.len().saturating_mul(2);
        }
    }
}

/// The keys that a row may have, if that is known.
fn keys_of<'c>(relation: &Stored, constraints: &'c [Constraint]) -> Option<BTreeSet<&'c str>> {
    constraints.iter().find_map(|constraint| {
        let column = relation.columns.get(constraint.column)?;
        match (&column.place, &constraint.is) {
            (Place::Key, Restriction::OneOf(values)) => {
                Some(values.iter().filter_map(Value::as_text).collect())
            }
            _ => None,
        }
    })
}
