//! A row as a tree: what it says on its first line, the rows within it below, each with theirs.
//!
//! ```text
//! name: Acme, region: EU
//! ├─ shipments: 2
//! │  ├─ shipment: 4711, weight_kg: 120.5
//! │  └─ shipment: 4712, weight_kg: 90
//! └─ last: at: 2026-03-02T10:00:00Z, port: NLRTM
//! ```
//! A line that would be too wide goes on on the next one behind a comma; one value that is too wide
//! is cut. Nothing is cut where lines may be of any length.

use laterbase::ask::{Column, DataType, Value, cell_text};

use crate::output::{Ink, Style};
use crate::table::{display_width, truncate, visible};

/// A value is never cut to fewer letters than this.
const VALUE_WIDTH_MIN: usize = 12;
/// What a line that goes on is indented by.
const GOES_ON: &str = "  ";

/// A named value, and of which type it is where that is known.
struct Entry<'a> {
    name: &'a str,
    value: &'a Value,
    data_type: Option<&'a DataType>,
}

/// The lines of a row, each with its end.
pub(super) fn tree_of_row(columns: &[Column], row: &[Value], style: Style) -> String {
    let entries = columns.iter().zip(row).map(|(column, value)| Entry {
        name: &column.name,
        value,
        data_type: Some(&column.data_type),
    });
    let mut tree = Tree { style, text: String::new() };
    tree.row("", "", "", entries.collect());
    tree.text
}

struct Tree {
    style: Style,
    text: String,
}

impl Tree {
    /// A row: `first` stands before its first line, `rest` before all that follow.
    fn row(&mut self, first: &str, rest: &str, label: &str, entries: Vec<Entry<'_>>) {
        let (branches, plain): (Vec<_>, Vec<_>) = entries.into_iter().partition(is_branch);
        let below = if branches.is_empty() { "" } else { "│ " };
        self.line(first, &format!("{rest}{below}"), label, &plain);
        let last = branches.len().saturating_sub(1);
        for (at, branch) in branches.iter().enumerate() {
            self.branch(rest, at == last, branch);
        }
    }

    /// A column of rows, or of one.
    fn branch(&mut self, rest: &str, is_last: bool, entry: &Entry<'_>) {
        let (first, rest) = forks(rest, is_last);
        let name = visible(entry.name);
        if let Value::Record(_) = entry.value {
            let entries = members(entry.value, entry.data_type);
            return self.row(&first, &rest, &name, entries);
        }
        let rows: &[Value] = if let Value::List(rows) = entry.value { rows } else { &[] };
        let label = self.style.paint(Ink::Name, &format!("{name}:"));
        let count = if rows.is_empty() { "none".to_owned() } else { rows.len().to_string() };
        let count = self.style.paint(Ink::Faint, &count);
        self.text.push_str(&format!("{first}{label} {count}\n"));
        let of = if let Some(DataType::List(of)) = entry.data_type { Some(&**of) } else { None };
        let last = rows.len().saturating_sub(1);
        for (at, row) in rows.iter().enumerate() {
            let (first, rest) = forks(&rest, at == last);
            self.row(&first, &rest, "", members(row, of));
        }
    }

    /// The values that stand in a row itself.
    fn line(&mut self, first: &str, rest: &str, label: &str, entries: &[Entry<'_>]) {
        self.text.push_str(first);
        let mut used = display_width(first);
        if !label.is_empty() {
            used = used.saturating_add(display_width(label)).saturating_add(1);
            self.text.push_str(&self.style.paint(Ink::Name, &format!("{label}:")));
        }
        let indent = display_width(rest).saturating_add(GOES_ON.len());
        let mut is_first = true;
        for (at, entry) in entries.iter().enumerate() {
            let name = visible(entry.name);
            let comma = if at.saturating_add(1) == entries.len() { "" } else { "," };
            let around = display_width(&name).saturating_add(2).saturating_add(comma.len());
            let is_none = entry.value.is_null();
            let mut value =
                if is_none { "none".to_owned() } else { visible(&cell_text(entry.value)) };
            if let Some(width) = self.style.width {
                let room = width.saturating_sub(indent).saturating_sub(around);
                value = truncate(&value, room.max(VALUE_WIDTH_MIN));
            }
            let width = around.saturating_add(display_width(&value));
            let space = usize::from(!is_first || !label.is_empty());
            let would_be = used.saturating_add(space).saturating_add(width);
            if !is_first && self.style.width.is_some_and(|limit| would_be > limit) {
                self.text.push_str(&format!("\n{rest}{GOES_ON}"));
                used = indent;
            } else if space > 0 {
                self.text.push(' ');
                used = used.saturating_add(1);
            }
            let ink = if is_none { Ink::Faint } else { Ink::Plain };
            let name = self.style.paint(Ink::Faint, &format!("{name}:"));
            self.text.push_str(&format!("{name} {}{comma}", self.style.paint(ink, &value)));
            used = used.saturating_add(width);
            is_first = false;
        }
        self.text.push('\n');
    }
}

/// What stands before the first line of a branch, and before the others.
fn forks(rest: &str, is_last: bool) -> (String, String) {
    if is_last {
        (format!("{rest}└─ "), format!("{rest}   "))
    } else {
        (format!("{rest}├─ "), format!("{rest}│  "))
    }
}

/// Whether it is a row or rows of its own, and no plain value.
fn is_branch(entry: &Entry<'_>) -> bool {
    let is_record = |of: &DataType| matches!(of, DataType::Record(_));
    let is_typed = entry
        .data_type
        .is_some_and(|it| is_record(it) || matches!(it, DataType::List(of) if is_record(of)));
    // A server tells its rows in JSON, which has no types.
    let is_row = |value: &Value| matches!(value, Value::Record(_));
    if let Value::List(values) = entry.value {
        return is_typed || (!values.is_empty() && values.iter().all(is_row));
    }
    is_row(entry.value) || (is_typed && entry.value.is_null())
}

/// The fields of a row, in the order of its type where that is known.
fn members<'a>(row: &'a Value, data_type: Option<&'a DataType>) -> Vec<Entry<'a>> {
    if let Some(DataType::Record(columns)) = data_type {
        let entry = |column: &'a Column| Entry {
            name: &column.name,
            value: row.field(&column.name),
            data_type: Some(&column.data_type),
        };
        return columns.iter().map(entry).collect();
    }
    let Value::Record(fields) = row else { return Vec::new() };
    fields.iter().map(|(name, value)| Entry { name, value, data_type: None }).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn rows() -> (Vec<Column>, Vec<Value>) {
        let column =
            |name: &str, data_type| Column { name: Arc::from(name), data_type, is_optional: false };
        let stop =
            DataType::Record([column("port", DataType::Text), column("at", DataType::Int)].into());
        let leg = DataType::Record(
            [
                column("truck", DataType::Text),
                column("stops", DataType::List(Arc::new(stop.clone()))),
            ]
            .into(),
        );
        let record = |fields: &[(&str, Value)]| {
            Value::record(
                fields.iter().map(|(name, value)| (Arc::from(*name), value.clone())).collect(),
            )
        };
        let stop_of = |port, at| record(&[("port", Value::text(port)), ("at", Value::Int(at))]);
        let leg_of = |truck, stops: &[Value]| {
            record(&[("truck", Value::text(truck)), ("stops", Value::List(stops.into()))])
        };
        let legs = [
            leg_of("7", &[stop_of("NLRTM", 1), stop_of("a port with a rather long name", 2)]),
            leg_of("9", &[]),
        ];
        let columns = vec![
            column("shipment", DataType::Text),
            column("legs", DataType::List(Arc::new(leg))),
            column("carrier", DataType::Text),
            column("first", stop.clone()),
            column("last", stop),
        ];
        let row = vec![
            Value::text("4711\x1b[31m"),
            Value::List(legs.into()),
            Value::Null,
            stop_of("DEHAM", 0),
            Value::Null,
        ];
        (columns, row)
    }

    #[track_caller]
    fn check(width: Option<usize>, expected: &str) {
        let (columns, row) = rows();
        let style = Style { terminal: false, colour: false, width };
        assert_eq!(tree_of_row(&columns, &row, style), expected);
    }

    #[test]
    fn rows_within_rows_stand_below_them() {
        check(
            None,
            "shipment: 4711\u{fffd}[31m, carrier: none\n\
             ├─ legs: 2\n\
             │  ├─ truck: 7\n\
             │  │  └─ stops: 2\n\
             │  │     ├─ port: NLRTM, at: 1\n\
             │  │     └─ port: a port with a rather long name, at: 2\n\
             │  └─ truck: 9\n\
             │     └─ stops: none\n\
             ├─ first: port: DEHAM, at: 0\n\
             └─ last: none\n",
        );
    }

    #[test]
    fn lines_that_are_too_wide_go_on_and_values_are_cut() {
        check(
            Some(32),
            "shipment: 4711\u{fffd}[31m,\n\
             │   carrier: none\n\
             ├─ legs: 2\n\
             │  ├─ truck: 7\n\
             │  │  └─ stops: 2\n\
             │  │     ├─ port: NLRTM, at: 1\n\
             │  │     └─ port: a port with…,\n\
             │  │          at: 2\n\
             │  └─ truck: 9\n\
             │     └─ stops: none\n\
             ├─ first: port: DEHAM, at: 0\n\
             └─ last: none\n",
        );
    }
}
