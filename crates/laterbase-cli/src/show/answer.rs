//! What a question answers: a table, JSON, lines of JSON, or CSV.

use laterbase::ask::{Answer, AsJson, Value};

use crate::commands::Context;
use crate::failure::Failure;
use crate::output::Ink;
use crate::table::{Column, Table};
use crate::values::Layout;

const CHUNK_BYTES: usize = 64 << 10;
/// A column is not cut below this while another can give more.
const FLOOR: usize = 12;

/// An answer, of a database here or of a server.
pub(crate) struct Answered<'a> {
    /// The names of its columns, with their types.
    pub(crate) columns: Vec<(String, String)>,
    pub(crate) rows: Box<dyn Iterator<Item = Vec<Value>> + 'a>,
}

impl<'a> From<&'a Answer> for Answered<'a> {
    fn from(answer: &'a Answer) -> Self {
        let columns = answer.columns().iter();
        let columns = columns.map(|it| (it.name.to_string(), it.data_type.to_string())).collect();
        Self { columns, rows: Box::new(answer.rows.iter().map(|row| row.values())) }
    }
}

/// Writes an answer.
pub(crate) fn write_answer(
    answered: Answered<'_>,
    layout: Layout,
    context: &mut Context,
) -> Result<(), Failure> {
    match layout {
        Layout::Table => table(answered, context),
        Layout::Json => document(answered, context),
        Layout::Ndjson => lines(answered, context),
        Layout::Csv => csv(answered, context),
    }
}

fn table(answered: Answered<'_>, context: &mut Context) -> Result<(), Failure> {
    context.page();
    let columns: Vec<Column> =
        answered.columns.iter().map(|(name, _)| Column::named(name, FLOOR)).collect();
    let mut table = Table::new(&columns);
    let mut count = 0_u64;
    for row in answered.rows {
        table.row(row.iter().map(shown).collect(), &mut context.out)?;
        count = count.saturating_add(1);
    }
    table.release(&mut context.out)?;
    let style = context.out.style();
    if !style.terminal {
        return Ok(());
    }
    let word = if count == 1 { "row" } else { "rows" };
    context.out.line(style.paint(Ink::Faint, &format!("{count} {word}")))
}

/// `{"columns": […], "rows": [{…}], "count": N}`, a row on each line.
fn document(answered: Answered<'_>, context: &mut Context) -> Result<(), Failure> {
    let columns: Vec<serde_json::Value> = answered
        .columns
        .iter()
        .map(|(name, data_type)| serde_json::json!({"name": name, "type": data_type}))
        .collect();
    let columns = serde_json::Value::from(columns);
    let mut text = format!("{{\"columns\":{columns},\"rows\":[");
    let mut count = 0_u64;
    for row in answered.rows {
        text.push_str(if count == 0 { "\n" } else { ",\n" });
        text.push_str(&object(&answered.columns, &row));
        count = count.saturating_add(1);
        if text.len() >= CHUNK_BYTES {
            context.out.bytes(text.as_bytes())?;
            text.clear();
        }
    }
    let break_line = if count > 0 { "\n" } else { "" };
    text.push_str(&format!("{break_line}],\"count\":{count}}}\n"));
    context.out.bytes(text.as_bytes())
}

fn lines(answered: Answered<'_>, context: &mut Context) -> Result<(), Failure> {
    for row in answered.rows {
        let mut line = object(&answered.columns, &row);
        line.push('\n');
        context.out.bytes(line.as_bytes())?;
    }
    Ok(())
}

fn csv(answered: Answered<'_>, context: &mut Context) -> Result<(), Failure> {
    let names: Vec<String> = answered.columns.iter().map(|(name, _)| quoted(name)).collect();
    context.out.bytes(format!("{}\n", names.join(",")).as_bytes())?;
    for row in answered.rows {
        let cells: Vec<String> = row.iter().map(|value| quoted(&shown(value))).collect();
        context.out.bytes(format!("{}\n", cells.join(",")).as_bytes())?;
    }
    Ok(())
}

/// A cell of CSV, RFC 4180.
fn quoted(text: &str) -> String {
    if text.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

/// A row as an object of JSON, its fields in the order of the columns.
fn object(columns: &[(String, String)], row: &[Value]) -> String {
    let fields: Vec<String> = columns
        .iter()
        .zip(row)
        .map(|((name, _), value)| {
            let name = serde_json::Value::from(name.as_str());
            let value = serde_json::to_string(&AsJson(value)).unwrap_or_default();
            format!("{name}:{value}")
        })
        .collect();
    format!("{{{}}}", fields.join(","))
}

/// A value as it is shown in a table and in CSV.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Text(text) => text.to_string(),
        Value::Id(id) => id.to_string(),
        Value::Decimal(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::List(_) | Value::Set(_) | Value::Record(_) | Value::Period(..) | Value::Bytes(_) => {
            serde_json::to_string(&AsJson(value)).unwrap_or_default()
        }
        Value::Bool(_)
        | Value::Int(_)
        | Value::Time(_)
        | Value::Date(_)
        | Value::Duration(_) => value.to_string(),
    }
}
