//! What a question answers: a table, a tree, JSON, lines of JSON, or CSV.

use laterbase::ask::{
    Answer, Column, Value, cell_text, write_csv_header, write_csv_row, write_json_row,
};

use super::tree::tree_of_row;
use crate::commands::Context;
use crate::failure::Failure;
use crate::output::Ink;
use crate::table::{Column as TableColumn, Table};
use crate::values::AnswerLayout as Layout;

const CHUNK_BYTES: usize = 64 << 10;
/// A column is not cut below this while another can give more.
const FLOOR: usize = 12;

/// An answer, of a database here or of a server.
pub(crate) struct Answered<'a> {
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: Box<dyn Iterator<Item = Vec<Value>> + 'a>,
    /// How it was answered, if that was asked for.
    pub(crate) explanation: Option<String>,
}

impl<'a> From<&'a Answer> for Answered<'a> {
    fn from(answer: &'a Answer) -> Self {
        let rows = Box::new(answer.rows.iter().map(|row| row.values()));
        Self { columns: answer.columns().to_vec(), rows, explanation: answer.explanation() }
    }
}

/// Writes an answer.
pub(crate) fn write_answer(
    answered: Answered<'_>,
    layout: Layout,
    context: &mut Context,
) -> Result<(), Failure> {
    if let (Some(text), true) = (&answered.explanation, layout != Layout::Json) {
        context.page();
        return context.out.line(text.trim_end());
    }
    match layout {
        Layout::Table => table(answered, context),
        Layout::Tree => tree(answered, context),
        Layout::Json => document(answered, context),
        Layout::Ndjson | Layout::Csv => lines(answered, layout, context),
    }
}

fn table(answered: Answered<'_>, context: &mut Context) -> Result<(), Failure> {
    context.page();
    let columns: Vec<TableColumn> =
        answered.columns.iter().map(|column| TableColumn::named(&column.name, FLOOR)).collect();
    let mut table = Table::new(&columns);
    let mut count = 0_u64;
    for row in answered.rows {
        table.row(row.iter().map(cell_text).collect(), &mut context.out)?;
        count = count.saturating_add(1);
    }
    table.release(&mut context.out)?;
    counted(count, context)
}

fn tree(answered: Answered<'_>, context: &mut Context) -> Result<(), Failure> {
    context.page();
    let style = context.out.style();
    let mut count = 0_u64;
    for row in answered.rows {
        context.out.bytes(tree_of_row(&answered.columns, &row, style).as_bytes())?;
        count = count.saturating_add(1);
    }
    counted(count, context)
}

/// How many rows there were, where a person looks.
fn counted(count: u64, context: &mut Context) -> Result<(), Failure> {
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
        .map(|it| serde_json::json!({"name": it.name.as_ref(), "type": it.data_type.to_string()}))
        .collect();
    let columns = serde_json::Value::from(columns);
    let mut text = format!("{{\"columns\":{columns},\"rows\":[");
    let mut count = 0_u64;
    for row in answered.rows {
        text.push_str(if count == 0 { "\n" } else { ",\n" });
        write_json_row(&answered.columns, &row, &mut text);
        count = count.saturating_add(1);
        if text.len() >= CHUNK_BYTES {
            context.out.bytes(text.as_bytes())?;
            text.clear();
        }
    }
    let break_line = if count > 0 { "\n" } else { "" };
    text.push_str(&format!("{break_line}],\"count\":{count}"));
    if let Some(explanation) = answered.explanation {
        text.push_str(&format!(",\"explanation\":{}", serde_json::Value::from(explanation)));
    }
    text.push_str("}\n");
    context.out.bytes(text.as_bytes())
}

fn lines(answered: Answered<'_>, layout: Layout, context: &mut Context) -> Result<(), Failure> {
    let mut text = String::new();
    if layout == Layout::Csv {
        write_csv_header(answered.columns.iter().map(|column| column.name.as_ref()), &mut text);
    }
    for row in answered.rows {
        if layout == Layout::Csv {
            write_csv_row(&row, &mut text);
        } else {
            write_json_row(&answered.columns, &row, &mut text);
            text.push('\n');
        }
        if text.len() >= CHUNK_BYTES {
            context.out.bytes(text.as_bytes())?;
            text.clear();
        }
    }
    context.out.bytes(text.as_bytes())
}
