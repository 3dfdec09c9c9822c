//! The text of a schema: one for each meaning.
//!
//! Roots stand in the order of their names, everything else in that of its numbers; removed numbers
//! stand behind those in use. The formatter lays it out. Comments, and the order and layout of what
//! was written, are not in a [`Schema`], so they are not in this text.
//!
//! Invariant: the text declares the schema that it was made of, `parse` and
//! [`declare`](super::declare) finding nothing wrong with it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use super::{EventType, Field, Fields, Index, Root, Schema, Table, View};
use crate::data_type::DataType;
use crate::value::Value;

/// The one text of a schema.
///
/// ```
/// use laterbase_lang::{parse, schema};
///
/// let parsed = parse("root r{event 2 b{1 x:int},event 1 a}");
/// let (declared, _) = schema::declare(&parsed.statements);
/// let text = "root r {\n    event 1 a\n    event 2 b { 1 x: int }\n}\n";
/// assert_eq!(schema::canonical(&declared), text);
/// ```
#[must_use]
pub fn canonical(schema: &Schema) -> String {
    let mut text = String::new();
    for (name, root) in &schema.roots {
        write_root(name, root, &mut text);
    }
    for (number, table) in &schema.tables {
        write_table(*number, table, &mut text);
    }
    for index in &schema.indexes {
        text.push_str(&index_text(schema, index));
        text.push('\n');
    }
    for (number, view) in &schema.views {
        push(&mut text, format_args!("view {number} {} {}\n", name_text(&view.name), view.says));
    }
    crate::format(&text).unwrap_or(text)
}

/// A view's rule on one line.
pub(super) fn rule_text(view: &View) -> String {
    let rule = format!("{} {}", name_text(&view.name), view.says);
    let lines = crate::format(&rule).unwrap_or(rule);
    lines.lines().map(str::trim).collect::<Vec<_>>().join(" ")
}

/// A name as it is written: between backticks if it needs them.
pub(super) fn name_text(name: &str) -> String {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let is_plain = name.bytes().all(is_letter)
        && name.bytes().next().is_some_and(|first| !first.is_ascii_digit());
    if is_plain { name.to_owned() } else { format!("`{name}`") }
}

/// A type of event as it is declared.
pub(super) fn event_text(number: u32, event: &EventType) -> String {
    let fields = fields_text(&event.fields);
    let space = if fields.is_empty() { "" } else { " " };
    format!("event {number} {}{space}{fields}", name_text(&event.name))
}

/// A field as it is declared.
pub(super) fn field_text(number: u32, field: &Field) -> String {
    let kind = match field.merge {
        super::Merge::Counter => "counter".to_owned(),
        super::Merge::LastWriter | super::Merge::ObservedRemove => type_text(&field.data_type),
    };
    let question = if field.is_optional { "?" } else { "" };
    let default = field.default.as_ref().map(|it| format!(" = {}", default_text(it)));
    let default = default.unwrap_or_default();
    format!("{number} {}: {kind}{question}{default}", name_text(&field.name))
}

/// A default as it is declared.
pub(super) fn default_text(value: &Value) -> String {
    let text = value.to_string();
    if text.starts_with('@') {
        // Times far away have no literal of their own, and are read from a text.
        return format!("\"{text}\"");
    }
    text
}

/// A type as it is declared.
pub(super) fn type_text(data_type: &DataType) -> String {
    data_type.with_targets(&|target| Some(Arc::from(name_text(target)))).to_string()
}

/// A table as it is declared.
pub(super) fn table_text(number: u32, table: &Table) -> String {
    let lax = if table.is_lax { " lax" } else { "" };
    let fields = fields_text(&table.fields);
    let fields = if fields.is_empty() { "{}" } else { &fields };
    format!("table {number} {}{lax} {fields}", name_text(&table.name))
}

/// An index as it is declared.
pub(super) fn index_text(schema: &Schema, index: &Index) -> String {
    let event = |root: &std::sync::Arc<str>| {
        let event = schema.roots.get(root)?.events.get(&index.number)?;
        Some((format!("{}.{}", name_text(root), name_text(&event.name)), &event.fields))
    };
    let found = match &index.root {
        Some(root) => event(root),
        None => {
            let table = schema.tables.get(&index.number);
            table.map(|table| (name_text(&table.name), &table.fields))
        }
    };
    let Some((relation, fields)) = found else { return format!("index {}", index.number) };
    let names: Vec<String> = index
        .fields
        .iter()
        .filter_map(|number| fields.fields.get(number))
        .map(|field| name_text(&field.name))
        .collect();
    format!("index {relation}{{{}}}", names.join(", "))
}

fn write_root(name: &str, root: &Root, text: &mut String) {
    let lax = if root.is_lax { " lax" } else { "" };
    push(text, format_args!("root {}{lax} {{", name_text(name)));
    if !root.events.is_empty() || !root.removed.is_empty() {
        text.push('\n');
    }
    for (number, event) in &root.events {
        push(text, format_args!("    {}\n", event_text(*number, event)));
    }
    if !root.removed.is_empty() {
        push(text, format_args!("    removed {}\n", numbers(&root.removed)));
    }
    text.push_str("}\n");
}

fn write_table(number: u32, table: &Table, text: &mut String) {
    push(text, format_args!("{}\n", table_text(number, table)));
}

/// The fields between braces; nothing if there are none and never were.
fn fields_text(fields: &Fields) -> String {
    if fields.fields.is_empty() && fields.removed.is_empty() {
        return String::new();
    }
    let mut parts: Vec<String> =
        fields.fields.iter().map(|(number, field)| field_text(*number, field)).collect();
    if !fields.removed.is_empty() {
        parts.push(format!("removed {}", numbers(&fields.removed)));
    }
    format!("{{ {} }}", parts.join(", "))
}

fn numbers(numbers: &BTreeSet<u32>) -> String {
    let numbers: Vec<String> = numbers.iter().map(u32::to_string).collect();
    numbers.join(", ")
}

fn push(text: &mut String, what: std::fmt::Arguments<'_>) {
    // A string takes everything.
    let _ = text.write_fmt(what);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{has_errors, parse};

    fn declared(text: &str) -> Schema {
        let parsed = parse(text);
        let (schema, wrong) = super::super::declare(&parsed.statements);
        let all = [parsed.diagnostics, wrong].concat();
        assert!(!has_errors(&all), "{}", crate::render_all(&all, "schema", text));
        schema.without_spans()
    }

    #[test]
    fn the_text_of_a_schema_declares_it() {
        let texts = [
            "",
            "root r {}",
            "root `a.b-c` lax { event 1 `x y` { 1 `ü`: list ref `a.b-c`?, removed 2, 3 }, \
             removed 9 }",
            "table 3 t lax { 1 n: counter, 2 s: set text, removed 4 }\ntable 1 u {}",
            "root r { event 1 a { 1 x: time = \"@9223372036854775807us\", 2 y: decimal = 10.00, \
             3 z: float = 1, 4 t: text = \"a\\n\\\"`\\u{1}\", 5 b: bytes = x\"00ff\", \
             6 d: duration = -90m, 7 e: date = 2026-03-01, 8 f: json = true, 9 g: int? = -5, \
             10 h: duration = 0s, 11 i: id = #01JCZ6V9QYKX3M8T2B4N5P7R6S, 12 k: period? } }\n\
             index r.a{z, x}",
            "root r { event 1 a { 1 x: int } }\n// c\nview 2 v{x, n: count(),} :- r.a{x}, // d\n\
             not (r.a{x: -1}), x in [1, 2,]\n as of 2026-03-01T12:00Z\n\
             view 1 w{x} :- v{x}",
        ];
        for text in texts {
            let schema = declared(text);
            let written = canonical(&schema);
            assert_eq!(declared(&written), schema, "{written}");
            assert_eq!(canonical(&declared(&written)), written);
        }
    }

    #[test]
    fn layout_order_and_comments_make_no_difference() {
        let one = declared("table 2 b {1 x: int}\ntable 1 a { 2 z: text, 1 y: int }");
        let other = declared(
            "// says\ntable 1 a {\n    1 y: int, // y\n    2 z: text,\n}\n\n\n\
                              table 2 b { 1 x: int }",
        );
        assert_eq!(canonical(&one), canonical(&other));
    }

    #[test]
    fn a_name_that_is_a_keyword_elsewhere_needs_no_backticks() {
        let schema = declared("root lax { event 1 removed { 1 list: text } }\ntable 1 strict {}");
        assert_eq!(declared(&canonical(&schema)), schema);
    }
}
