//! Rows as CSV, RFC 4180, and values as the text of a cell.

use laterbase_lang::Value;

use super::json::AsJson;

/// Writes the names of columns as a line of CSV.
pub fn write_csv_header<'a>(names: impl IntoIterator<Item = &'a str>, out: &mut String) {
    write_line(names.into_iter().map(str::to_owned), out);
}

/// Writes a row as a line of CSV; nothing is an empty cell.
pub fn write_csv_row(row: &[Value], out: &mut String) {
    write_line(row.iter().map(cell_text), out);
}

/// A value as text without quotes around it: texts as they are, lists and records as JSON, nothing
/// as nothing.
#[must_use]
pub fn cell_text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Text(text) => text.to_string(),
        Value::Id(id) => id.to_string(),
        Value::Decimal(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::List(_) | Value::Set(_) | Value::Record(_) | Value::Period(..) | Value::Bytes(_) => {
            // Only what cannot be written fails, and a string takes everything.
            serde_json::to_string(&AsJson(value)).unwrap_or_default()
        }
        Value::Bool(_) | Value::Int(_) | Value::Time(_) | Value::Date(_) | Value::Duration(_) => {
            value.to_string()
        }
    }
}

fn write_line(cells: impl Iterator<Item = String>, out: &mut String) {
    for (at, cell) in cells.enumerate() {
        if at > 0 {
            out.push(',');
        }
        if cell.contains(['"', ',', '\n', '\r']) {
            out.push_str(&format!("\"{}\"", cell.replace('"', "\"\"")));
        } else {
            out.push_str(&cell);
        }
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_with_commas_quotes_and_line_ends_are_quoted() {
        let mut out = String::new();
        write_csv_header(["a", "b,c"], &mut out);
        let list = Value::List([Value::text("x"), Value::Null].into());
        write_csv_row(&[Value::text("1\n\"2\""), list], &mut out);
        assert_eq!(out, "a,\"b,c\"\n\"1\n\"\"2\"\"\",\"[\"\"x\"\",null]\"\n");
    }
}
