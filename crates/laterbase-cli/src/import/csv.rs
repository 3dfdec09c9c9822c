//! CSV: a header, and rows that become objects of strings.
//!
//! Every value stays the text that it is in the file: `007` does not turn into a number. An
//! unclosed quote cannot swallow the file into memory: a row that is longer than
//! [`RECORD_BYTES_MAX`] ends the file with a refusal.

use std::cell::Cell;
use std::io::{self, BufRead, Read};

use serde_json::value::RawValue;

use super::format::utf8;
use super::record::{RECORD_BYTES_MAX, Reason, Record, Refused, Visit};

pub(super) fn read(
    input: &mut dyn BufRead,
    delimiter: u8,
    visit: &mut Visit<'_>,
) -> io::Result<()> {
    let allowance = Cell::new(RECORD_BYTES_MAX);
    let mut rows = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .flexible(true)
        .from_reader(Bounded { input, allowance: &allowance });
    let header = match rows.byte_headers() {
        Ok(header) => header.clone(),
        Err(error) => return end_of_file(error, 1, visit),
    };
    let names = match column_names(&header) {
        Ok(names) => names,
        Err(reason) => {
            let _ = visit(Err(Refused { line: 1, reason }));
            return Ok(());
        }
    };
    let mut row = csv::ByteRecord::new();
    let mut object = String::new();
    let mut number = 0_u64;
    loop {
        allowance.set(RECORD_BYTES_MAX);
        let line = rows.position().line();
        match rows.read_byte_record(&mut row) {
            Ok(false) => return Ok(()),
            Ok(true) => {}
            Err(error) => return end_of_file(error, line, visit),
        }
        let line = row.position().map_or(line, csv::Position::line);
        number = number.saturating_add(1);
        object.clear();
        let seen = match write_object(&names, &row, &mut object) {
            Err(reason) => visit(Err(Refused { line, reason })),
            Ok(()) => match serde_json::from_str::<&RawValue>(&object) {
                Ok(json) => visit(Ok(Record { json, line, number })),
                Err(error) => visit(Err(Refused { line, reason: Reason::not_json(&error, line) })),
            },
        };
        if seen.is_break() {
            return Ok(());
        }
    }
}

/// The header's names as JSON strings; each name once.
fn column_names(header: &csv::ByteRecord) -> Result<Vec<String>, Reason> {
    let mut names: Vec<String> = Vec::with_capacity(header.len());
    for name in header {
        let name = quoted(utf8(name)?)?;
        if names.contains(&name) {
            return Err(Reason::NotCsv { message: format!("the header has {name} twice") });
        }
        names.push(name);
    }
    Ok(names)
}

fn write_object(
    names: &[String],
    row: &csv::ByteRecord,
    object: &mut String,
) -> Result<(), Reason> {
    if row.len() != names.len() {
        let message = format!("{} fields where the header has {}", row.len(), names.len());
        return Err(Reason::NotCsv { message });
    }
    for (index, (name, field)) in names.iter().zip(row).enumerate() {
        object.push(if index == 0 { '{' } else { ',' });
        object.push_str(name);
        object.push(':');
        object.push_str(&quoted(utf8(field)?)?);
    }
    object.push_str(if names.is_empty() { "{}" } else { "}" });
    Ok(())
}

fn quoted(text: &str) -> Result<String, Reason> {
    serde_json::to_string(text).map_err(|error| Reason::NotCsv { message: error.to_string() })
}

/// After such an error no next row can be found: a row that is too long is the record's fault,
/// anything else the input's.
#[expect(clippy::wildcard_enum_match_arm, reason = "the csv crate's kinds are not all public")]
fn end_of_file(error: csv::Error, line: u64, visit: &mut Visit<'_>) -> io::Result<()> {
    let message = error.to_string();
    let reason = match error.into_kind() {
        csv::ErrorKind::Io(error) if !error.get_ref().is_some_and(|e| e.is::<RowTooLong>()) => {
            return Err(error);
        }
        csv::ErrorKind::Io(_) => Reason::TooLong { limit_bytes: RECORD_BYTES_MAX as u64 },
        _ => Reason::NotCsv { message },
    };
    let _ = visit(Err(Refused { line, reason }));
    Ok(())
}

/// Lets only so many bytes through between two rows.
struct Bounded<'a> {
    input: &'a mut dyn BufRead,
    allowance: &'a Cell<usize>,
}

#[derive(Debug, thiserror::Error)]
#[error("a row is too long")]
struct RowTooLong;

impl Read for Bounded<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        let rest = self.allowance.get().checked_sub(count);
        self.allowance.set(rest.ok_or_else(|| io::Error::other(RowTooLong))?);
        Ok(count)
    }
}
