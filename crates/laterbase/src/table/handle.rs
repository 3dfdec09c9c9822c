//! A table for programs that embed a database: rows in, rows out.
//!
//! A write reads its row, decides, and appends on the condition that the row has not changed since;
//! if it has, it decides again. Questions see the same rows.

use std::sync::Arc;

use laterbase_event::{EventId, Key, Tag, Timestamp};
use laterbase_lang::schema::{Field, Merge};
use laterbase_lang::{DataType, Value, fitting, plan};
use laterbase_query::ValidTime;

use super::read::{RowChange, TableRead, TableRow};
use super::{Change, ColumnName, RowDraft, TableError, root_of};
use crate::append::AppendError;
use crate::ask::{Reader, StoredData};
use crate::condition::{After, AppendCondition, ConditionItem, ConditionMatch};
use crate::database::Database;
use crate::declared::Declared;
use crate::new_event::NewEvent;
use crate::progress::Durability;
use crate::ticket::Appended;

/// How often a write is decided anew, if its row changes meanwhile.
const ATTEMPTS_MAX: usize = 16;

/// A table: rows by key, each column merged by itself. Made by [`Database::table`].
#[derive(Debug, Clone)]
pub struct Table<'a> {
    pub(super) database: &'a Database,
    pub(super) declared: Arc<Declared>,
    pub(super) number: u32,
}

/// A row to be put. Nothing happens before [`PutRow::run`].
#[derive(Debug)]
#[must_use = "a row is put by `run`"]
pub struct PutRow<'t, 'a> {
    write: Write<'t, 'a>,
    changes: Vec<(ColumnName, Change)>,
}

/// A row to be deleted. Nothing happens before [`DeleteRow::run`].
#[derive(Debug)]
#[must_use = "a row is deleted by `run`"]
pub struct DeleteRow<'t, 'a> {
    write: Write<'t, 'a>,
}

/// What a put and a delete share.
#[derive(Debug)]
struct Write<'t, 'a> {
    table: &'t Table<'a>,
    key: String,
    from: Option<Timestamp>,
    until: Option<Timestamp>,
    durability: Option<Durability>,
    /// What was wrong first.
    mistake: Option<TableError>,
}

impl Database {
    /// A table that the schema declares, as it declares it now.
    ///
    /// ```
    /// use laterbase::{Database, Options, Timestamp};
    /// use serde::Deserialize;
    ///
    /// #[derive(Deserialize, Debug, PartialEq)]
    /// struct Customer {
    ///     key: String,
    ///     name: String,
    ///     points: i64,
    ///     tags: Vec<String>,
    /// }
    ///
    /// # let dir = tempfile::tempdir()?;
    /// let db = Database::create(dir.path(), Options::default())?;
    /// db.apply_schema("table 1 customer { 1 name: text, 2 points: counter, 3 tags: set text }")?;
    ///
    /// let customers = db.table("customer")?;
    /// customers.put("c1").set("name", "Acme").add("points", 5).insert("tags", "cold").run()?;
    /// customers.put("c1").add("points", 2).run()?;
    ///
    /// let acme: Customer = customers.row("c1")?.ok_or("no row")?.to()?;
    /// assert_eq!((acme.name.as_str(), acme.points), ("Acme", 7));
    /// assert_eq!(acme.tags, ["cold"]);
    ///
    /// // As of any valid time; and who did what.
    /// let long_ago = Timestamp::from_micros(0);
    /// assert!(customers.read().key("c1").valid_at(long_ago).rows()?.is_empty());
    /// assert_eq!(customers.history("c1")?.len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`TableError::NoTable`], and [`TableError::Read`] if the schema cannot be read.
    pub fn table(&self, name: &str) -> Result<Table<'_>, TableError> {
        Table::of(self, self.inner().declared()?, name)
    }
}

impl<'a> Table<'a> {
    fn of(database: &'a Database, declared: Arc<Declared>, name: &str) -> Result<Self, TableError> {
        match declared.schema.table(name) {
            Some((number, _)) => Ok(Self { database, declared, number }),
            None => {
                let tables = declared.schema.tables.values();
                let known = tables.map(|table| Arc::clone(&table.name)).collect();
                Err(TableError::NoTable { name: name.to_owned(), known })
            }
        }
    }

    /// Puts a row: creates it, or changes the columns that are named.
    pub fn put(&self, key: impl Into<String>) -> PutRow<'_, 'a> {
        PutRow { write: self.write(key.into()), changes: Vec::new() }
    }

    /// Deletes a row, where it is there.
    pub fn delete(&self, key: impl Into<String>) -> DeleteRow<'_, 'a> {
        DeleteRow { write: self.write(key.into()) }
    }

    /// The row of a key as it is now; `None` if it is not there.
    ///
    /// # Errors
    /// [`TableError::Read`].
    pub fn row(&self, key: &str) -> Result<Option<TableRow>, TableError> {
        Ok(self.read().key(key).rows()?.pop())
    }

    /// Rows, to be told which and as of when; all of them as of now, if nothing is said.
    pub fn read(&self) -> TableRead<'_, 'a> {
        TableRead::new(self)
    }

    /// Everything that was done to a row, in the order of transaction time.
    ///
    /// # Errors
    /// [`TableError::Read`].
    pub fn history(&self, key: &str) -> Result<Vec<RowChange>, TableError> {
        let inner = self.database.inner();
        let known = inner.declared()?;
        let data = StoredData::new(inner, inner.version_vector()?, self.reader(&known))?;
        let Some(table) = self.declared.schema.tables.get(&self.number) else {
            return Ok(Vec::new());
        };
        let operations = data.history(self.number, key, &plan::Cut::Latest)?;
        Ok(operations.iter().map(|operation| RowChange::of(operation, table)).collect())
    }

    /// The events under the table's root that are no operations on it: what a foreign writer made
    /// wrongly, or what belongs to another table that took the same number elsewhere. They do
    /// nothing, and are kept.
    ///
    /// # Errors
    /// [`TableError::Read`].
    pub fn ignored(&self) -> Result<Vec<EventId>, TableError> {
        let inner = self.database.inner();
        let known = inner.declared()?;
        let data = StoredData::new(inner, inner.version_vector()?, self.reader(&known))?;
        Ok(data.no_operations(self.number)?)
    }

    /// Reads as the table was declared when it was asked for, whatever is known of schemas since.
    pub(super) fn reader<'r>(&'r self, known: &'r Declared) -> Reader<'r> {
        let lineages = [&known.lineage, &self.declared.lineage];
        Reader { schema: &self.declared.schema, declared: known, lineages }
    }

    fn write(&self, key: String) -> Write<'_, 'a> {
        let (from, until, durability, mistake) = (None, None, None, None);
        Write { table: self, key, from, until, durability, mistake }
    }

    /// A column by its name, declared or, of a lax table, not.
    fn column(&self, name: &str) -> Result<(ColumnName, Option<&Field>), TableError> {
        let table = self.declared.schema.tables.get(&self.number);
        match table.and_then(|table| table.fields.field(name)) {
            Some((number, field)) => Ok((ColumnName::Number(number), Some(field))),
            None if table.is_some_and(|table| table.is_lax) && name != "key" => {
                Ok((ColumnName::Member(name.into()), None))
            }
            None => Err(TableError::NoColumn {
                table: table.map_or_else(|| Arc::from(""), |table| Arc::clone(&table.name)),
                column: name.to_owned(),
                known: table
                    .into_iter()
                    .flat_map(|table| table.fields.names())
                    .map(Arc::from)
                    .collect(),
            }),
        }
    }
}

impl PutRow<'_, '_> {
    /// Gives a column a value, or none: [`Value::Null`]. A set has these elements and no others.
    pub fn set(self, column: &str, value: impl Into<Value>) -> Self {
        let value = value.into();
        self.change(column, |field| set(column, field, &value))
    }

    /// Adds to a counter; a negative number takes away.
    pub fn add(self, column: &str, count: i64) -> Self {
        self.change(column, |field| match field.map(|field| field.merge) {
            Some(Merge::Counter) => Ok(Change::Add(count)),
            Some(Merge::ObservedRemove) => Err(other(column, "set", "insert")),
            Some(Merge::LastWriter) | None => Err(other(column, "column", "set")),
        })
    }

    /// Adds an element to a set.
    pub fn insert(self, column: &str, value: impl Into<Value>) -> Self {
        let value = value.into();
        self.change(column, |field| {
            element(column, field, &value).map(|it| Change::Insert(vec![it]))
        })
    }

    /// Takes an element out of a set. What others add meanwhile, without knowing, stays.
    pub fn remove(self, column: &str, value: impl Into<Value>) -> Self {
        let value = value.into();
        self.change(column, |field| {
            element(column, field, &value).map(|it| Change::Remove(vec![it]))
        })
    }

    /// For these valid times, from the first up to, and without, the second; open if there is none.
    /// If nothing is said: from now on.
    pub fn valid(mut self, from: Timestamp, until: Option<Timestamp>) -> Self {
        (self.write.from, self.write.until) = (Some(from), until);
        self
    }

    /// What the answer promises; as the database's options say, if nothing is said.
    pub fn durability(mut self, durability: Durability) -> Self {
        self.write.durability = Some(durability);
        self
    }

    /// Puts the row; answers when it is as durable as promised.
    ///
    /// # Errors
    /// [`TableError`]; nothing was written, unless it is [`TableError::Append`] that says so.
    pub fn run(self) -> Result<Appended, TableError> {
        let Self { write, changes } = self;
        let appended = write.run(|draft, from, until| draft.put(from, until, &changes))?;
        // A put is recorded for each of its valid times, and it has some.
        appended.ok_or(TableError::NoTime)
    }

    fn change(
        mut self,
        column: &str,
        change: impl FnOnce(Option<&Field>) -> Result<Change, TableError>,
    ) -> Self {
        let table = self.write.table;
        let made = table.column(column).and_then(|(name, field)| Ok((name, change(field)?)));
        match made {
            Ok(made) => self.changes.push(made),
            Err(mistake) => {
                self.write.mistake.get_or_insert(mistake);
            }
        }
        self
    }
}

impl DeleteRow<'_, '_> {
    /// For these valid times, from the first up to, and without, the second; open if there is none.
    /// If nothing is said: from now on.
    pub fn valid(mut self, from: Timestamp, until: Option<Timestamp>) -> Self {
        (self.write.from, self.write.until) = (Some(from), until);
        self
    }

    /// What the answer promises; as the database's options say, if nothing is said.
    pub fn durability(mut self, durability: Durability) -> Self {
        self.write.durability = Some(durability);
        self
    }

    /// Deletes the row; `None` if it was not there, and nothing is recorded.
    ///
    /// # Errors
    /// [`TableError`]; nothing was written, unless it is [`TableError::Append`] that says so.
    pub fn run(self) -> Result<Option<Appended>, TableError> {
        self.write.run(RowDraft::delete)
    }
}

impl Write<'_, '_> {
    /// Decides and appends, again if the row changed meanwhile.
    fn run(
        self,
        decide: impl Fn(&mut RowDraft, i64, Option<i64>),
    ) -> Result<Option<Appended>, TableError> {
        if let Some(mistake) = self.mistake {
            return Err(mistake);
        }
        let Table { database, declared, number } = self.table;
        let inner = database.inner();
        // Others read what is written by the schema that it names.
        inner.declared_to_write()?;
        let root = root_of(*number);
        let key = Key::try_from(self.key.as_str()).map_err(TableError::Key)?;
        let from = self.from.map_or_else(|| inner.environment.now_us(), Timestamp::as_micros);
        let until = self.until.map(Timestamp::as_micros);
        if until.is_some_and(|until| until <= from) {
            return Err(TableError::NoTime);
        }
        for _ in 0..ATTEMPTS_MAX {
            let known = inner.declared()?;
            let data = StoredData::new(inner, inner.version_vector()?, self.table.reader(&known))?;
            let after = After::Cursor(data.cursor());
            let history = data.history(*number, &self.key, &plan::Cut::Latest)?;
            let mut draft = RowDraft::new(history);
            decide(&mut draft, from, until);
            let table = declared.schema.tables.get(number);
            let valid = ValidTime::In(Some(from), until);
            if let Some(column) = table.and_then(|table| draft.missing(table, valid)) {
                return Err(TableError::NotOptional { column: column.to_string() });
            }
            let writes = draft.finish(declared.hash);
            if writes.is_empty() {
                return Ok(None);
            }
            let mut commit = database.commit();
            if let Some(durability) = self.durability {
                commit.durability(durability);
            }
            for write in writes {
                let event = NewEvent::new(root.as_str(), key.as_str(), write.type_name)
                    .bytes(write.content_type, write.payload)
                    .valid_at(Timestamp::from_micros(write.from));
                commit.push_own(&event)?;
            }
            let tags = vec![Tag { root, key: key.clone() }];
            let item = ConditionItem { types: Vec::new(), tags };
            let matches = ConditionMatch::Items(vec![item]);
            commit.fail_if(AppendCondition { matches, after });
            match inner.append(&mut commit) {
                Ok(ticket) => return Ok(Some(ticket.wait()?)),
                Err(AppendError::ConditionFailed { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(TableError::Busy { attempts: ATTEMPTS_MAX })
    }
}

/// What giving a column a value does to it.
fn set(column: &str, field: Option<&Field>, value: &Value) -> Result<Change, TableError> {
    let Some(field) = field else { return Ok(Change::Set(value.clone())) };
    match (field.merge, value) {
        (Merge::Counter, _) => Err(other(column, "counter", "add")),
        (Merge::LastWriter, Value::Null) if field.is_optional || field.default.is_some() => {
            Ok(Change::Set(Value::Null))
        }
        (Merge::LastWriter | Merge::ObservedRemove, Value::Null) => {
            Err(TableError::NotOptional { column: column.to_owned() })
        }
        (Merge::LastWriter, value) => typed(column, &field.data_type, value).map(Change::Set),
        (Merge::ObservedRemove, value) => {
            let Value::Set(elements) = typed(column, &field.data_type, value)? else {
                return Err(wrong(column, &field.data_type, value));
            };
            Ok(Change::Replace(elements.to_vec()))
        }
    }
}

/// An element of a set column.
fn element(column: &str, field: Option<&Field>, value: &Value) -> Result<Value, TableError> {
    match field.map(|field| (field.merge, &field.data_type)) {
        Some((Merge::ObservedRemove, DataType::Set(of))) if !value.is_null() => {
            typed(column, of, value)
        }
        Some((Merge::ObservedRemove, of)) => Err(wrong(column, of, value)),
        Some((Merge::Counter, _)) => Err(other(column, "counter", "add")),
        Some((Merge::LastWriter, _)) | None => Err(other(column, "column", "set")),
    }
}

fn typed(column: &str, data_type: &DataType, value: &Value) -> Result<Value, TableError> {
    fitting(value, data_type).ok_or_else(|| wrong(column, data_type, value))
}

fn wrong(column: &str, expected: &DataType, value: &Value) -> TableError {
    let (column, expected) = (column.to_owned(), expected.clone());
    TableError::WrongType { column, expected, found: value.kind() }
}

fn other(column: &str, is: &'static str, instead: &'static str) -> TableError {
    TableError::OtherMerge { column: column.to_owned(), is, instead }
}
