//! From rows of a body to events.
//!
//! What a statement does to one row of a table is drafted together, since later steps see earlier
//! ones: see [`RowDraft`]. Events stand in the commit in the order of the statement; operations on
//! rows behind them, row by row.

use std::collections::BTreeMap;
use std::sync::Arc;

use laterbase_event::{EventId, Tag, Timestamp};
use laterbase_lang::plan::Cut;
use laterbase_lang::syntax::MutationKind;
use laterbase_lang::write::{Cell, CellChange, CellPlace, Write, WriteTarget};
use laterbase_lang::{Diagnostic, Span, Value};
use laterbase_query::ValidTime;

use super::error::{ExecuteError, ExecuteFault};
use super::guard::Guard;
use crate::ask::{AsJson, Moment};
use crate::commit::Commit;
use crate::declared::Declared;
use crate::new_event::{CONTENT_TYPE_JSON, Cause, NewEvent};
use crate::table::{self, Change, ColumnName, RowDraft};

/// What a statement comes to, until it is pushed.
pub(super) struct Drafts<'m> {
    moment: &'m Moment<'m>,
    declared: &'m Declared,
    text: &'m str,
    events: Vec<(NewEvent, Span)>,
    rows: BTreeMap<(u32, Arc<str>), Row>,
}

/// A row of a table.
struct Row {
    draft: RowDraft,
    /// The mutation that wrote it last.
    span: Span,
}

/// The values of one row of a body, by what they are for.
#[derive(Default)]
struct Values<'w> {
    key: Arc<str>,
    from: Option<i64>,
    until: Option<i64>,
    cause: Option<EventId>,
    tags: Vec<Tag>,
    cells: Vec<(&'w Cell, Value)>,
}

impl<'m> Drafts<'m> {
    pub(super) fn new(moment: &'m Moment<'m>, declared: &'m Declared, text: &'m str) -> Self {
        Self { moment, declared, text, events: Vec::new(), rows: BTreeMap::new() }
    }

    /// Takes in what a mutation does with a row of its body.
    pub(super) fn write(&mut self, write: &Write, row: &[Value]) -> Result<(), ExecuteError> {
        let values = self.values(write, row)?;
        match &write.target {
            WriteTarget::Event { root, type_name, number } => {
                let event = self.event((root, type_name, *number), values);
                self.events.push((event, write.span));
                Ok(())
            }
            WriteTarget::Table { number, .. } => self.row(write, *number, values),
        }
    }

    /// What a row says, each value of its cell's type.
    fn values<'w>(&self, write: &'w Write, row: &[Value]) -> Result<Values<'w>, ExecuteError> {
        let mut values = Values::default();
        for (cell, value) in write.cells.iter().zip(row) {
            let Some(value) = cell.taken(value) else {
                return Err(self.unfit(cell, value));
            };
            match (cell.place, &value) {
                (CellPlace::Key, Value::Text(key)) => values.key = Arc::clone(key),
                (CellPlace::From, Value::Time(at)) => values.from = Some(*at),
                (CellPlace::Until, Value::Time(at)) => values.until = Some(*at),
                (CellPlace::Cause, Value::Id(id)) => values.cause = Some(*id),
                (CellPlace::Tags, Value::Set(tags)) => {
                    for tag in tags.iter() {
                        let tag = tag.as_text().and_then(|text| text.parse().ok());
                        values.tags.push(tag.ok_or_else(|| self.no_tag(cell, &value))?);
                    }
                }
                (CellPlace::Field(_) | CellPlace::Member, _) => values.cells.push((cell, value)),
                (
                    CellPlace::Key
                    | CellPlace::From
                    | CellPlace::Until
                    | CellPlace::Cause
                    | CellPlace::Tags,
                    _,
                ) => {}
            }
        }
        if let (Some(from), Some(until)) = (values.from, values.until)
            && until <= from
        {
            let told = Diagnostic::error(write.span, "it ends before it begins")
                .help("a row is so from the first time up to, and without, the second");
            return Err(ExecuteError::row(told, self.text));
        }
        Ok(values)
    }

    fn unfit(&self, cell: &Cell, value: &Value) -> ExecuteError {
        let told = if value.is_null() {
            Diagnostic::error(cell.span, format!("`{}` is absent in a row of the body", cell.name))
                .help("leave such rows out, as in: x is not null; or say what stands there instead")
        } else {
            let message = format!("`{}` is {}, found {value}", cell.name, cell.wanted());
            Diagnostic::error(cell.span, message).help("leave such rows out, or convert the value")
        };
        ExecuteError::row(told, self.text)
    }

    fn no_tag(&self, cell: &Cell, value: &Value) -> ExecuteError {
        let told = Diagnostic::error(cell.span, format!("these are no tags: {value}"))
            .help("a tag is the root and the key of a thing, as in \"truck:7\"");
        ExecuteError::row(told, self.text)
    }

    fn event(
        &self,
        (root, type_name, number): (&str, &str, Option<u32>),
        values: Values<'_>,
    ) -> NewEvent {
        let mut fields = Vec::new();
        let mut members = Vec::new();
        for (cell, value) in values.cells {
            match cell.place {
                CellPlace::Field(field) => fields.push((field, value)),
                CellPlace::Key
                | CellPlace::Cause
                | CellPlace::Tags
                | CellPlace::Member
                | CellPlace::From
                | CellPlace::Until => members.push((Arc::clone(&cell.name), value)),
            }
        }
        let (content_type, payload) = if number.is_some() {
            self.declared.encode_event(&fields, &members)
        } else {
            (CONTENT_TYPE_JSON.to_owned(), json_object(members))
        };
        let mut event = NewEvent::new(root, values.key.as_ref(), type_name)
            .bytes(content_type, payload)
            .cause(values.cause.map_or(Cause::None, Cause::Id));
        if let Some(at) = values.from {
            event = event.valid_at(Timestamp::from_micros(at));
        }
        values.tags.into_iter().fold(event, NewEvent::tag)
    }

    fn row(&mut self, write: &Write, number: u32, values: Values<'_>) -> Result<(), ExecuteError> {
        let from = values.from.unwrap_or(self.moment.now);
        let changes: Vec<(ColumnName, Change)> = values.cells.into_iter().map(change).collect();
        let slot = (number, Arc::clone(&values.key));
        let text = self.text;
        let row = match self.rows.entry(slot) {
            std::collections::btree_map::Entry::Occupied(found) => found.into_mut(),
            std::collections::btree_map::Entry::Vacant(place) => {
                let history = self.moment.data.history(number, &values.key, &Cut::Latest);
                let history = history
                    .map_err(|error| ExecuteError::new(ExecuteFault::Append(error.into()), text))?;
                place.insert(Row { draft: RowDraft::new(history), span: write.span })
            }
        };
        row.span = write.span;
        match write.kind {
            MutationKind::Add | MutationKind::Put => {
                row.draft.put(from, values.until, &changes);
            }
            MutationKind::Delete => {
                row.draft.delete(from, values.until);
                return Ok(());
            }
        }
        let valid = ValidTime::In(Some(from), values.until);
        let missing = self.missing(number, &values.key, valid);
        match missing {
            None => Ok(()),
            Some(column) => {
                let message = format!("the row `{}` would have no `{column}`", values.key);
                let told = Diagnostic::error(write.span, message)
                    .help("put it as well; only columns with `?` or a default may be absent");
                Err(ExecuteError::row(told, text))
            }
        }
    }

    /// A column that a row must have, and would not have for some of these times.
    fn missing(&self, number: u32, key: &Arc<str>, valid: ValidTime) -> Option<Arc<str>> {
        let table = self.moment.schema.tables.get(&number)?;
        self.rows.get(&(number, Arc::clone(key)))?.draft.missing(table, valid)
    }

    /// Pushes everything to a commit; what was read of rows goes to the guard.
    pub(super) fn push(self, commit: &mut Commit, guard: &mut Guard) -> Result<(), ExecuteError> {
        let text = self.text;
        let failed = |error, span| ExecuteError::new(ExecuteFault::Push { error, span }, text);
        for (event, span) in &self.events {
            commit.push(event).map_err(|error| failed(error, *span))?;
        }
        let hash = self.declared.hash;
        for ((number, key), Row { draft, span }) in self.rows {
            guard.row(number, &key);
            let root = table::root_of(number);
            for write in draft.finish(hash) {
                let event = NewEvent::new(root.as_str(), key.as_ref(), write.type_name)
                    .bytes(write.content_type, write.payload)
                    .valid_at(Timestamp::from_micros(write.from));
                commit.push_own(&event).map_err(|error| failed(error, span))?;
            }
        }
        Ok(())
    }
}

/// What is done to a column.
fn change((cell, value): (&Cell, Value)) -> (ColumnName, Change) {
    let name = match cell.place {
        CellPlace::Field(number) => ColumnName::Number(number),
        CellPlace::Key
        | CellPlace::Cause
        | CellPlace::Tags
        | CellPlace::Member
        | CellPlace::From
        | CellPlace::Until => ColumnName::Member(Arc::clone(&cell.name)),
    };
    let elements = |value: Value, are_many: bool| {
        if let (true, Value::List(values) | Value::Set(values)) = (are_many, &value) {
            return values.to_vec();
        }
        vec![value]
    };
    let change = match (cell.change, value) {
        (CellChange::Count, Value::Int(count)) => Change::Add(count),
        (CellChange::Insert { are_many }, value) => Change::Insert(elements(value, are_many)),
        (CellChange::Remove { are_many }, value) => Change::Remove(elements(value, are_many)),
        (CellChange::Replace, value) => Change::Replace(elements(value, true)),
        (CellChange::Set | CellChange::Count, value) => Change::Set(value),
    };
    (name, change)
}

/// An object of JSON; members that are absent are left out.
fn json_object(members: Vec<(Arc<str>, Value)>) -> Vec<u8> {
    let members = members.into_iter().filter(|(_, value)| !value.is_null()).collect();
    // Only what cannot be written fails, and a vector takes everything.
    serde_json::to_vec(&AsJson(&Value::record(members))).unwrap_or_default()
}
