//! NDJSON: one JSON value on each line, read line by line in bounded memory.
//!
//! Blank lines are passed over. A line that is too long is refused and skipped without being
//! kept; a line that is not JSON is refused, and the next line is read.

use std::io::{self, BufRead};
use std::ops::ControlFlow;

use serde_json::value::RawValue;

use super::format::{utf8, without_mark};
use super::json;
use super::record::{RECORD_BYTES_MAX, Reason, Record, Refused, Visit};
use crate::pointer::Pointer;

pub(super) fn read(
    input: &mut dyn BufRead,
    each: Option<&Pointer>,
    visit: &mut Visit<'_>,
) -> io::Result<()> {
    let mut line = Vec::new();
    let mut line_number = 0_u64;
    let mut count = 0_u64;
    loop {
        line.clear();
        let length = next_line(input, &mut line)?;
        if length == 0 {
            return Ok(());
        }
        line_number = line_number.saturating_add(1);
        let text = if line_number == 1 { without_mark(&line) } else { &line }.trim_ascii();
        if length > line.len() {
            count = count.saturating_add(1);
            let reason = Reason::TooLong { limit_bytes: RECORD_BYTES_MAX as u64 };
            if visit(Err(Refused { line: line_number, reason })).is_break() {
                return Ok(());
            }
            continue;
        }
        if text.is_empty() {
            continue;
        }
        if visit_line(text, line_number, each, &mut count, visit).is_break() {
            return Ok(());
        }
    }
}

/// Hands on what one line holds: a record, or the records at `each` in it.
fn visit_line(
    text: &[u8],
    line: u64,
    each: Option<&Pointer>,
    count: &mut u64,
    visit: &mut Visit<'_>,
) -> ControlFlow<()> {
    let parsed = utf8(text).and_then(|text| {
        serde_json::from_str::<&RawValue>(text).map_err(|error| Reason::not_json(&error, line))
    });
    match (parsed, each) {
        (Err(reason), _) => {
            *count = count.saturating_add(1);
            visit(Err(Refused { line, reason }))
        }
        (Ok(value), None) => {
            *count = count.saturating_add(1);
            visit(Ok(Record { json: value, line, number: *count }))
        }
        (Ok(value), Some(each)) => json::visit_each(value, Some(each), &mut |_| line, count, visit),
    }
}

/// Reads one line into `line`, up to the limit, and answers how long it was, end included.
/// More than `line` holds means that it was too long.
fn next_line(input: &mut dyn BufRead, line: &mut Vec<u8>) -> io::Result<usize> {
    let mut length = 0_usize;
    loop {
        let available = match input.fill_buf() {
            Ok(available) => available,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if available.is_empty() {
            return Ok(length);
        }
        let end = available.iter().position(|byte| *byte == b'\n');
        let taken = end.map_or(available.len(), |end| end.saturating_add(1));
        if line.len().saturating_add(taken) <= RECORD_BYTES_MAX {
            line.extend(available.iter().take(taken));
        }
        input.consume(taken);
        length = length.saturating_add(taken);
        if end.is_some() {
            return Ok(length);
        }
    }
}
