//! Rows of a table and what was done to them, for programs that embed a database.

use std::ops::ControlFlow;
use std::sync::Arc;

use laterbase_event::{EventId, Timestamp};
use laterbase_lang::plan::{self, Place, Source, Stored, StoredColumn};
use laterbase_lang::schema::Table as Declaration;
use laterbase_lang::{Column, DataType, Value};
use laterbase_query::{Constraint, Data as _, Restriction, Scan, ValidTime};
use serde::de::DeserializeOwned;

use super::operation::Operation;
use super::{ColumnName, Table, TableError};
use crate::ask::{AsJson, StoredData};
use crate::query::{Cut, TimeRange};
use crate::read::ReadError;

/// Which rows of a table, and as of when. Made by [`Table::read`].
#[derive(Debug, Clone)]
#[must_use = "rows are read by `rows`"]
pub struct TableRead<'t, 'a> {
    table: &'t Table<'a>,
    keys: Option<Vec<String>>,
    cut: Cut,
    valid: Option<ValidTime>,
}

/// A row of a table over a period for which it stays as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableRow {
    /// Its key.
    pub key: String,
    /// From when on it is so; `None`: ever since.
    pub from: Option<Timestamp>,
    /// Until when, exclusively; `None`: for good, as far as is known.
    pub until: Option<Timestamp>,
    /// Its declared columns by name, in the order of their numbers.
    pub columns: Vec<(Arc<str>, Value)>,
}

/// What was done to a row by one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowChange {
    /// The event: its clock says when it was recorded, and where.
    pub id: EventId,
    /// The commit that it belongs to; what one commit put wins or loses together.
    pub commit: EventId,
    /// Whether the row was deleted.
    pub is_delete: bool,
    /// The life of the row: odd while it is there, one more with each delete and each beginning.
    pub life: u64,
    /// From when on it holds.
    pub from: Timestamp,
    /// Until when, exclusively.
    pub until: Option<Timestamp>,
    /// What was done to columns: the value that one was given, the number that was added to a
    /// counter, what was `added` to and `removed` from a set.
    pub columns: Vec<(Arc<str>, Value)>,
}

impl<'t, 'a> TableRead<'t, 'a> {
    pub(super) fn new(table: &'t Table<'a>) -> Self {
        Self { table, keys: None, cut: Cut::Latest, valid: None }
    }

    /// The rows of this key; with others that were named.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.keys.get_or_insert_default().push(key.into());
        self
    }

    /// As of a cut; as of now, if nothing is said.
    pub fn as_of(mut self, cut: Cut) -> Self {
        self.cut = cut;
        self
    }

    /// As it is at a valid time; now, if nothing is said.
    pub fn valid_at(mut self, at: Timestamp) -> Self {
        self.valid = Some(ValidTime::At(at.as_micros()));
        self
    }

    /// For each period of a range for which a row stays as it is, cut to the range.
    pub fn valid_in(mut self, range: TimeRange) -> Self {
        let end = |end: Option<Timestamp>| end.map(Timestamp::as_micros);
        self.valid = Some(ValidTime::In(end(range.from), end(range.until)));
        self
    }

    /// The rows, by key and by valid time.
    ///
    /// # Errors
    /// [`TableError::Read`].
    pub fn rows(self) -> Result<Vec<TableRow>, TableError> {
        let Table { database, declared, number } = self.table;
        let Some(declaration) = declared.schema.tables.get(number) else { return Ok(Vec::new()) };
        let inner = database.inner();
        let relation = relation(*number, declaration);
        let valid = self.valid.unwrap_or_else(|| ValidTime::At(inner.environment.now_us()));
        let constraints: Vec<Constraint> = self
            .keys
            .iter()
            .map(|keys| {
                let keys = keys.iter().map(|key| Value::text(key)).collect();
                Constraint { column: 0, is: Restriction::OneOf(keys) }
            })
            .collect();
        let columns: Vec<usize> = (0..relation.columns.len()).collect();
        let cut = plan_cut(&self.cut);
        let scan = Scan {
            relation: &relation,
            columns: &columns,
            cut: &cut,
            valid,
            constraints: &constraints,
            order: None,
            limit: None,
        };
        let known = inner.declared()?;
        let data = StoredData::new(inner, inner.version_vector()?, self.table.reader(&known))?;
        let names: Vec<&Arc<str>> =
            declaration.fields.fields.values().map(|field| &field.name).collect();
        let mut rows = Vec::new();
        let scanned = data.scan(&scan, &mut |cells| {
            let mut cells = cells.iter().map(|cell| cell.to_value());
            let key = cells.next().unwrap_or_default();
            let (from, until) = match cells.next() {
                Some(Value::Period(from, until)) => (from, until),
                _ => (None, None),
            };
            let columns = names.iter().map(|name| Arc::clone(name)).zip(cells).collect();
            let key = key.as_text().unwrap_or_default().to_owned();
            if constraints.iter().all(|it| it.is.allows(&Value::text(&key))) {
                let (from, until) =
                    (from.map(Timestamp::from_micros), until.map(Timestamp::from_micros));
                rows.push(TableRow { key, from, until, columns });
            }
            ControlFlow::Continue(())
        });
        scanned.map_err(read_error)?;
        rows.sort_by(|a, b| (&a.key, a.from).cmp(&(&b.key, b.from)));
        Ok(rows)
    }
}

impl TableRow {
    /// A column; `None` if the table has none of this name.
    #[must_use]
    pub fn get(&self, column: &str) -> Option<&Value> {
        let mut columns = self.columns.iter();
        columns.find(|(name, _)| name.as_ref() == column).map(|(_, value)| value)
    }

    /// The row as a value of a type: a struct with the columns' names, and `key`.
    ///
    /// # Errors
    /// [`TableError::Row`] if it does not fit.
    pub fn to<T: DeserializeOwned>(&self) -> Result<T, TableError> {
        let failed = |error: serde_json::Error| TableError::Row {
            key: self.key.clone(),
            reason: error.to_string(),
        };
        let mut fields = serde_json::Map::new();
        fields.insert("key".to_owned(), self.key.clone().into());
        for (name, value) in &self.columns {
            let value = serde_json::to_value(AsJson(value)).map_err(failed)?;
            fields.insert(name.to_string(), value);
        }
        serde_json::from_value(serde_json::Value::Object(fields)).map_err(failed)
    }
}

impl RowChange {
    pub(super) fn of(operation: &Operation, table: &Declaration) -> Self {
        let columns = operation.cells.iter().filter_map(|(name, _)| {
            let shown = match name {
                ColumnName::Number(number) => Arc::clone(&table.fields.fields.get(number)?.name),
                ColumnName::Member(member) => Arc::clone(member),
            };
            Some((shown, operation.put_to(name)))
        });
        Self {
            id: operation.id,
            commit: operation.commit,
            is_delete: operation.is_delete,
            life: operation.life,
            from: Timestamp::from_micros(operation.from),
            until: operation.until.map(Timestamp::from_micros),
            columns: columns.collect(),
        }
    }
}

/// The key, the period and all columns of a table.
fn relation(number: u32, table: &Declaration) -> Stored {
    let column = |name: &str, data_type: DataType, place: Place| StoredColumn {
        column: Column { name: Arc::from(name), data_type, is_optional: true },
        place,
    };
    let mut columns = vec![
        column("key", DataType::Text, Place::Key),
        column("period", DataType::Period, Place::Validity),
    ];
    columns.extend(table.fields.fields.iter().map(|(number, field)| {
        let place = Place::Field { number: *number, name: Arc::clone(&field.name) };
        column(&field.name, field.data_type.clone(), place)
    }));
    Stored { name: Arc::clone(&table.name), source: Source::Table { number }, columns }
}

fn plan_cut(cut: &Cut) -> plan::Cut {
    match cut {
        Cut::Latest => plan::Cut::Latest,
        Cut::KnownAt(at) => plan::Cut::KnownAt(at.as_micros()),
        Cut::RecordedBy(at) => plan::Cut::RecordedBy(at.as_micros()),
        Cut::Vector(vector) => plan::Cut::Vector(vector.encode().into()),
    }
}

/// What a scan of this crate's own fails with.
fn read_error(error: laterbase_query::DataError) -> TableError {
    match error.0.downcast::<ReadError>() {
        Ok(error) => TableError::Read(*error),
        Err(other) => TableError::Read(ReadError::Refresh(other.to_string())),
    }
}
