//! What both languages are made of: the fields of a type or a table, and what is asked for them.

use laterbase_lang::DataType;
use laterbase_lang::schema::{EventType, Field, Fields, Merge, Schema, Table};

use crate::Source;
use crate::comments::before;
use crate::names::laterlog;

/// A field, and how it is written about.
pub(crate) struct Member<'a> {
    pub(crate) number: u32,
    pub(crate) field: &'a Field,
    /// The comment before it, or what it is.
    pub(crate) comment: Vec<String>,
}

impl Member<'_> {
    /// Its name where letters of ASCII are missing.
    pub(crate) fn or(&self) -> String {
        format!("field_{}", self.number)
    }

    pub(crate) fn what(&self, of: &str) -> String {
        format!("the field `{}` of {of}", self.field.name)
    }

    /// Whether a row may have nothing there. A row can be put without any of its columns.
    pub(crate) fn may_be_absent(&self, is_table: bool) -> bool {
        let can = self.field.is_optional || (is_table && self.field.merge == Merge::LastWriter);
        can && self.field.default.is_none()
    }
}

/// The members of fields, in the order of their numbers.
pub(crate) fn members<'a>(source: &Source<'_>, fields: &'a Fields) -> Vec<Member<'a>> {
    let member = |(number, field): (&u32, &'a Field)| {
        let mut comment = before(source.text, field.span);
        if comment.is_empty() {
            let optional = if field.is_optional { "?" } else { "" };
            comment.push(format!("Field {number}: `{}{optional}`.", field.type_text()));
        }
        Member { number: *number, field, comment }
    };
    fields.fields.iter().map(member).collect()
}

/// The comment of a type of event, or what it is.
pub(crate) fn comment_of_event(source: &Source<'_>, root: &str, event: &EventType) -> Vec<String> {
    let comment = before(source.text, event.span);
    let what = || vec![format!("The event `{}` of `{root}`.", event.name)];
    if comment.is_empty() { what() } else { comment }
}

/// The comment of a table, or what it is.
pub(crate) fn comment_of_table(source: &Source<'_>, table: &Table) -> Vec<String> {
    let comment = before(source.text, table.span);
    if comment.is_empty() { vec![format!("A row of the table `{}`.", table.name)] } else { comment }
}

/// The name under which events of a type are stored.
pub(crate) fn stored_name(event: &EventType) -> &str {
    event.stored_names.first().unwrap_or(&event.name)
}

/// A question for all events of a type: what each says is one column, a record.
pub(crate) fn events_query(root: &str, event: &EventType) -> String {
    let relation = format!("{}.{}", laterlog(root), laterlog(&event.name));
    if event.fields.fields.is_empty() {
        return format!("?{{id, key, at, fields: {{}}}} :- {relation}{{id, key, at}} order by id");
    }
    // Fields may be called as the question's own columns are.
    let numbered = || event.fields.fields.iter();
    let record: Vec<String> =
        numbered().map(|(number, it)| format!("{}: f{number}", laterlog(&it.name))).collect();
    let bound: Vec<String> = record.clone();
    format!(
        "?{{id, key, at, fields: {{{}}}}} :- {relation}{{id, key, at, {}}} order by id",
        record.join(", "),
        bound.join(", ")
    )
}

/// A question for all rows of a table.
pub(crate) fn rows_query(table: &Table) -> String {
    let mut columns = vec!["key".to_owned()];
    columns.extend(table.fields.fields.values().map(|field| laterlog(&field.name)));
    let columns = columns.join(", ");
    format!("?{{{columns}}} :- {}{{{columns}}} order by key", laterlog(&table.name))
}

/// The tables, by name: what numbers tell apart is called by name in a program.
pub(crate) fn tables(schema: &Schema) -> Vec<(u32, &Table)> {
    let mut tables: Vec<(u32, &Table)> =
        schema.tables.iter().map(|(number, table)| (*number, table)).collect();
    tables.sort_by_key(|(_, table)| &table.name);
    tables
}

/// What a set or a list is of.
pub(crate) fn element(data_type: &DataType) -> &DataType {
    if let DataType::List(of) | DataType::Set(of) = data_type { of } else { data_type }
}
