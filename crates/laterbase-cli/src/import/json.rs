//! JSON documents: an array of records, one record, or the records at a pointer.
//!
//! The document is held in memory, up to [`DOCUMENT_BYTES_MAX`]; its records are slices of it.
//! Several documents in one file, one after the other, are read as well, so that NDJSON that
//! somebody has pretty-printed is no mistake.

use std::io::{self, BufRead, Read as _};
use std::ops::ControlFlow;

use serde_json::value::RawValue;

use super::format::{utf8, without_mark};
use super::record::{DOCUMENT_BYTES_MAX, Reason, Record, Refused, Visit};
use crate::pointer::Pointer;

pub(super) fn read(
    input: &mut dyn BufRead,
    each: Option<&Pointer>,
    visit: &mut Visit<'_>,
) -> io::Result<()> {
    let mut bytes = Vec::new();
    input.take(DOCUMENT_BYTES_MAX.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > DOCUMENT_BYTES_MAX {
        let reason = Reason::TooLong { limit_bytes: DOCUMENT_BYTES_MAX };
        let _ = visit(Err(Refused { line: 1, reason }));
        return Ok(());
    }
    let text = match utf8(without_mark(&bytes)) {
        Ok(text) => text,
        Err(reason) => {
            let good = std::str::from_utf8(&bytes).err().map_or(0, |error| error.valid_up_to());
            let line = Lines::default().line_at(&bytes, good);
            let _ = visit(Err(Refused { line, reason }));
            return Ok(());
        }
    };
    let _ = visit_documents(text, each, visit);
    Ok(())
}

fn visit_documents(text: &str, each: Option<&Pointer>, visit: &mut Visit<'_>) -> ControlFlow<()> {
    let mut lines = Lines::default();
    let mut count = 0_u64;
    let start = text.as_ptr().addr();
    for document in serde_json::Deserializer::from_str(text).into_iter::<&RawValue>() {
        match document {
            Ok(document) => {
                let mut line_of = |value: &RawValue| {
                    let offset = value.get().as_ptr().addr().saturating_sub(start);
                    lines.line_at(text.as_bytes(), offset)
                };
                visit_each(document, each, &mut line_of, &mut count, visit)?;
            }
            Err(error) => {
                let reason = Reason::not_json(&error, 1);
                return visit(Err(Refused { line: error.line().max(1) as u64, reason }));
            }
        }
    }
    ControlFlow::Continue(())
}

/// Hands on the records of one document: the elements of the array at `each`, or the one value
/// that is there.
pub(super) fn visit_each(
    document: &RawValue,
    each: Option<&Pointer>,
    line_of: &mut dyn FnMut(&RawValue) -> u64,
    count: &mut u64,
    visit: &mut Visit<'_>,
) -> ControlFlow<()> {
    let target = match each {
        None => Some(document),
        Some(pointer) => pointer.resolve(document).filter(|found| found.get() != "null"),
    };
    let Some(target) = target else {
        *count = count.saturating_add(1);
        let Some(pointer) = each.cloned() else { return ControlFlow::Continue(()) };
        let refused = Refused { line: line_of(document), reason: Reason::NoRecords { pointer } };
        return visit(Err(refused));
    };
    let mut hand_on = |value: &RawValue| {
        *count = count.saturating_add(1);
        visit(Ok(Record { json: value, line: line_of(value), number: *count }))
    };
    if !target.get().starts_with('[') {
        return hand_on(target);
    }
    match serde_json::from_str::<Vec<&RawValue>>(target.get()) {
        Ok(records) => records.into_iter().try_for_each(hand_on),
        Err(error) => {
            let line = line_of(target);
            visit(Err(Refused { line, reason: Reason::not_json(&error, line) }))
        }
    }
}

/// Counts lines once, forwards: records come in the order in which they stand.
#[derive(Default)]
struct Lines {
    offset: usize,
    breaks: u64,
}

impl Lines {
    /// The line of the byte at `offset`, from 1.
    fn line_at(&mut self, bytes: &[u8], offset: usize) -> u64 {
        if offset < self.offset {
            *self = Self::default();
        }
        let passed = bytes.get(self.offset..offset).unwrap_or_default();
        let breaks = passed.iter().filter(|byte| **byte == b'\n').count();
        self.breaks = self.breaks.saturating_add(breaks as u64);
        self.offset = offset;
        self.breaks.saturating_add(1)
    }
}
