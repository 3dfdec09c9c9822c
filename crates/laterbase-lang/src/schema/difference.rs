//! What a new schema changes, and what it may not.
//!
//! It may
//! - add roots, events, tables, views, fields and indexes;
//! - rename events, tables, views and fields;
//! - remove them, their numbers staying `removed`;
//! - make a field optional, give or change a default;
//! - widen `int` to `decimal`, anything to `json`;
//! - make strict what was lax, and back.
//!
//! It may not
//! - use a number again that was removed, or for another type;
//! - make a field that may be absent one that may not, also by taking a default away;
//! - give a field the name of another one that stays, since payloads by name would be read as it;
//! - drop an event, a table or a field without `removed`;
//! - change how a column is merged;
//! - rename a root.
//!
//! A reference to a table is one to its number: a new name of the table is no other type. Another
//! default changes what is read where nothing was said, and is told so.
//!
//! A new field of an event that is there already is optional or has a default: events that are
//! stored do not have it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::canonical::rule_text;
use super::{Field, Fields, Merge, Root, Schema};
use crate::data_type::DataType;
use crate::span::Span;

/// What a schema changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// How.
    pub kind: ChangeKind,
    /// What: `event shipment.departed`, `column customer.name`, …
    pub what: String,
}

/// How something changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeKind {
    /// It is new.
    Added,
    /// It is not there any more; what is stored stays.
    Removed,
    /// It was called otherwise.
    Renamed {
        /// Its name before.
        from: Arc<str>,
    },
    /// It is otherwise.
    Altered {
        /// What it was.
        from: String,
        /// What it is.
        to: String,
    },
}

/// What a schema may not change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Where, in the new schema's text.
    pub span: Span,
    /// Why.
    pub message: String,
    /// The way out.
    pub help: String,
}

/// What is different in a new schema, and what of it may not be.
#[must_use]
pub fn difference(old: &Schema, new: &Schema) -> (Vec<Change>, Vec<Refusal>) {
    let mut comparison = Comparison {
        // The same table is the same target, whatever it is called.
        targets: old
            .tables
            .iter()
            .filter_map(|(number, table)| {
                let now = new.tables.get(number)?;
                Some((Arc::clone(&table.name), Arc::clone(&now.name)))
            })
            .collect(),
        ..Comparison::default()
    };
    comparison.roots(old, new);
    comparison.tables(old, new);
    comparison.views(old, new);
    for index in new.indexes.difference(&old.indexes) {
        comparison.change(ChangeKind::Added, index_name(new, index));
    }
    for index in old.indexes.difference(&new.indexes) {
        comparison.change(ChangeKind::Removed, index_name(old, index));
    }
    (comparison.changes, comparison.refusals)
}

#[derive(Default)]
struct Comparison {
    changes: Vec<Change>,
    refusals: Vec<Refusal>,
    /// Names of tables before, and now.
    targets: BTreeMap<Arc<str>, Arc<str>>,
}

impl Comparison {
    fn change(&mut self, kind: ChangeKind, what: impl Into<String>) {
        self.changes.push(Change { kind, what: what.into() });
    }

    fn refuse(&mut self, span: Span, message: String, help: &str) {
        self.refusals.push(Refusal { span, message, help: help.to_owned() });
    }

    fn renamed(&mut self, what: String, old: &Arc<str>, new: &Arc<str>) {
        if old != new {
            self.change(ChangeKind::Renamed { from: Arc::clone(old) }, what);
        }
    }

    fn lax(&mut self, what: &str, old: bool, new: bool) {
        if old != new {
            let word = |is_lax| if is_lax { "lax" } else { "strict" }.to_owned();
            self.change(ChangeKind::Altered { from: word(old), to: word(new) }, what);
        }
    }

    fn roots(&mut self, old: &Schema, new: &Schema) {
        for (name, root) in &new.roots {
            match old.roots.get(name) {
                Some(before) => self.root(name, before, root),
                None => {
                    self.change(ChangeKind::Added, format!("root {name}"));
                    for event in root.events.values() {
                        self.change(ChangeKind::Added, format!("event {name}.{}", event.name));
                    }
                }
            }
        }
        for (name, root) in &old.roots {
            if new.roots.contains_key(name) {
                continue;
            }
            if root.events.is_empty() && root.removed.is_empty() {
                self.change(ChangeKind::Removed, format!("root {name}"));
            } else {
                self.refuse(
                    Span::default(),
                    format!("the root `{name}` is missing"),
                    "roots stay, since their names stand in events: keep it, with its events as \
                     `removed`",
                );
            }
        }
    }

    fn root(&mut self, name: &Arc<str>, old: &Root, new: &Root) {
        self.lax(&format!("root {name}"), old.is_lax, new.is_lax);
        for (number, event) in &new.events {
            let what = format!("{name}.{}", event.name);
            if old.removed.contains(number) {
                self.reused(event.span, *number);
            }
            match old.events.get(number) {
                Some(before) => {
                    self.renamed(format!("event {what}"), &before.name, &event.name);
                    self.fields(&what, &before.fields, &event.fields, event.span);
                }
                None => self.change(ChangeKind::Added, format!("event {what}")),
            }
        }
        for (number, event) in &old.events {
            if new.events.contains_key(number) {
                continue;
            }
            if new.removed.contains(number) {
                self.change(ChangeKind::Removed, format!("event {name}.{}", event.name));
            } else {
                self.dropped(new.span, &format!("event {number} `{}`", event.name), *number);
            }
        }
        for number in old.removed.difference(&new.removed) {
            if !new.events.contains_key(number) {
                self.dropped(new.span, &format!("`removed {number}` of root `{name}`"), *number);
            }
        }
    }

    fn tables(&mut self, old: &Schema, new: &Schema) {
        for (number, table) in &new.tables {
            match old.tables.get(number) {
                Some(before) => {
                    let what = format!("table {}", table.name);
                    self.renamed(what.clone(), &before.name, &table.name);
                    self.lax(&what, before.is_lax, table.is_lax);
                    self.fields(&table.name, &before.fields, &table.fields, table.span);
                }
                None => self.change(ChangeKind::Added, format!("table {}", table.name)),
            }
        }
        for (number, table) in &old.tables {
            if !new.tables.contains_key(number) {
                self.refuse(
                    Span::default(),
                    format!("table {number} `{}` is missing", table.name),
                    "keep it, with its columns as `removed`: its number must not be used again",
                );
            }
        }
    }

    fn fields(&mut self, of: &str, old: &Fields, new: &Fields, span: Span) {
        for (number, field) in &new.fields {
            let what = format!("field {of}.{}", field.name);
            if old.removed.contains(number) {
                self.reused(field.span, *number);
            }
            let Some(before) = old.fields.get(number) else {
                let is_merged = field.merge != Merge::LastWriter;
                if !field.is_optional && field.default.is_none() && !is_merged {
                    self.refuse(
                        field.span,
                        format!(
                            "`{of}.{}` is new, and what is stored does not have it",
                            field.name
                        ),
                        "make it optional with `?`, or give it a default with `= …`",
                    );
                }
                self.change(ChangeKind::Added, what);
                continue;
            };
            self.field((*number, of), before, field);
            let taken = old.field(&field.name).filter(|(other, _)| other != number);
            if taken.is_some_and(|(other, _)| new.fields.contains_key(&other)) {
                self.refuse(
                    field.span,
                    format!("`{of}.{}` was the name of another field, which stays", field.name),
                    "take another name: payloads that name their fields would be read otherwise",
                );
            }
        }
        for (number, field) in &old.fields {
            if new.fields.contains_key(number) {
                continue;
            }
            if new.removed.contains(number) {
                self.change(ChangeKind::Removed, format!("field {of}.{}", field.name));
            } else {
                self.dropped(span, &format!("field {number} `{of}.{}`", field.name), *number);
            }
        }
        for number in old.removed.difference(&new.removed) {
            if !new.fields.contains_key(number) {
                self.dropped(span, &format!("`removed {number}` of `{of}`"), *number);
            }
        }
    }

    /// One field, before and now.
    fn field(&mut self, (number, of): (u32, &str), before: &Field, field: &Field) {
        let what = format!("field {of}.{}", field.name);
        self.renamed(what.clone(), &before.name, &field.name);
        // As it was, its references by today's names of tables.
        let today = |target: &Arc<str>| Some(self.targets.get(target).unwrap_or(target).clone());
        let before_type = before.data_type.with_targets(&today);
        if before.merge != field.merge || !widens(&before_type, &field.data_type) {
            self.refuse(
                field.span,
                format!(
                    "`{of}.{}` has the number {number} of what is {}, and cannot become {}",
                    field.name,
                    before.type_text(),
                    field.type_text()
                ),
                "add a field with a new number, and make this one `removed`",
            );
        } else if before_type != field.data_type {
            let (from, to) = (before.data_type.to_string(), field.data_type.to_string());
            self.change(ChangeKind::Altered { from, to }, what.clone());
        }
        let may_lack = |it: &Field| it.is_optional || it.default.is_some();
        let is_narrower = may_lack(before) && !may_lack(field);
        if is_narrower {
            self.refuse(
                field.span,
                format!("`{of}.{}` may be absent in what is stored", field.name),
                "make it optional with `?`, or give it a default with `= …`",
            );
        }
        if before.is_optional != field.is_optional && !is_narrower {
            let word = |it: bool| if it { "optional" } else { "always there" }.to_owned();
            let (from, to) = (word(before.is_optional), word(field.is_optional));
            self.change(ChangeKind::Altered { from, to }, what.clone());
        }
        if before.default != field.default {
            let word = |it: &Option<crate::Value>| {
                it.as_ref().map_or("no default".to_owned(), |it| format!("default {it}"))
            };
            let (from, mut to) = (word(&before.default), word(&field.default));
            to.push_str(", also of what is stored without it");
            self.change(ChangeKind::Altered { from, to }, what);
        }
    }

    fn views(&mut self, old: &Schema, new: &Schema) {
        for (number, view) in &new.views {
            let what = format!("view {}", view.name);
            match old.views.get(number) {
                Some(before) => {
                    self.renamed(what.clone(), &before.name, &view.name);
                    if before.says != view.says {
                        let words = |it| format!("`{}`", rule_text(it));
                        let (from, to) = (words(before), words(view));
                        self.change(ChangeKind::Altered { from, to }, what);
                    }
                }
                None => self.change(ChangeKind::Added, what),
            }
        }
        for (number, view) in &old.views {
            if !new.views.contains_key(number) {
                self.change(ChangeKind::Removed, format!("view {}", view.name));
            }
        }
    }

    fn reused(&mut self, span: Span, number: u32) {
        self.refuse(
            span,
            format!("the number {number} was used before, and removed"),
            "take a number that was never used: what is stored under this one stays",
        );
    }

    fn dropped(&mut self, span: Span, what: &str, number: u32) {
        self.refuse(
            span,
            format!("{what} is missing"),
            &format!("say `removed {number}`, so that its number is never used again"),
        );
    }
}

/// Whether everything that is stored as one type can be read as another one.
fn widens(old: &DataType, new: &DataType) -> bool {
    match (old, new) {
        (_, DataType::Json) => true,
        (DataType::Int, DataType::Decimal) => true,
        (DataType::Ref(_), DataType::Text) => true,
        (DataType::List(old), DataType::List(new)) | (DataType::Set(old), DataType::Set(new)) => {
            widens(old, new)
        }
        _ => old == new,
    }
}

fn index_name(schema: &Schema, index: &super::Index) -> String {
    let found = match &index.root {
        Some(root) => schema
            .roots
            .get(root)
            .and_then(|it| it.events.get(&index.number))
            .map(|event| (format!("{root}.{}", event.name), &event.fields)),
        None => {
            let table = schema.tables.get(&index.number);
            table.map(|table| (table.name.to_string(), &table.fields))
        }
    };
    let Some((name, fields)) = found else { return format!("index {}", index.number) };
    let names: Vec<&str> = index
        .fields
        .iter()
        .filter_map(|number| fields.fields.get(number))
        .map(|field| field.name.as_ref())
        .collect();
    format!("index {name}{{{}}}", names.join(", "))
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ChangeKind::Added => write!(f, "+ {}", self.what),
            ChangeKind::Removed => write!(f, "- {}", self.what),
            ChangeKind::Renamed { from } => write!(f, "~ {}, was `{from}`", self.what),
            ChangeKind::Altered { from, to } => write!(f, "~ {}: {from} → {to}", self.what),
        }
    }
}
