//! A record of an input file, and why one may be refused.

use serde_json::value::RawValue;

use crate::pointer::Pointer;
use crate::time::TimeError;

/// The longest record that is read, in bytes: a payload may have 16 MiB, and text around it.
pub(crate) const RECORD_BYTES_MAX: usize = 64 << 20;

/// The largest JSON document that is read, in bytes. NDJSON and CSV may be of any size.
pub(crate) const DOCUMENT_BYTES_MAX: u64 = 1 << 30;

/// One record: a JSON value and where it began.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// The record's text, as it stands in the file; a CSV row as an object of strings.
    pub json: &'a RawValue,
    /// The line on which it begins, from 1.
    pub line: u64,
    /// Its number in the file, from 1. Refused records count too.
    pub number: u64,
}

/// A record that is not imported.
#[derive(Debug)]
pub struct Refused {
    /// The line on which it begins, or on which the mistake is, from 1.
    pub line: u64,
    /// Why.
    pub reason: Reason,
}

/// What a reader hands on, record by record. `Break` ends the reading.
pub type Visit<'v> = dyn FnMut(Result<Record<'_>, Refused>) -> std::ops::ControlFlow<()> + 'v;

/// Why a record was refused.
#[derive(Debug, thiserror::Error)]
pub enum Reason {
    /// The text is not UTF-8.
    #[error("not UTF-8 from byte {offset} of the record on; convert the file to UTF-8 first")]
    NotUtf8 {
        /// The first bad byte, counted from the record's beginning.
        offset: usize,
    },
    /// The text is not JSON.
    #[error("not JSON: {message} at line {line}, column {column}")]
    NotJson {
        /// The parser's words.
        message: String,
        /// Line in the file, from 1.
        line: u64,
        /// Column in that line, from 1.
        column: usize,
    },
    /// The row is not CSV, or does not fit the header.
    #[error("not a CSV row: {message}")]
    NotCsv {
        /// What is wrong with it.
        message: String,
    },
    /// The record is longer than is ever read.
    #[error("longer than {limit_bytes} bytes, the most that one record may have")]
    TooLong {
        /// The limit.
        limit_bytes: u64,
    },
    /// The pointer of `--each` finds nothing.
    #[error("nothing at --each {pointer}")]
    NoRecords {
        /// The pointer.
        pointer: Pointer,
    },
    /// A pointer finds nothing that can be a key, type or time.
    #[error("no {field} at {pointer}{}", what_to_do(field))]
    Missing {
        /// `key`, `type`, `valid time` or `data`.
        field: &'static str,
        /// The pointer.
        pointer: Pointer,
    },
    /// A pointer finds an object or an array where a text is needed.
    #[error("{field} at {pointer} is {found}; a string or a number is needed")]
    NotText {
        /// What the pointer is for.
        field: &'static str,
        /// The pointer.
        pointer: Pointer,
        /// `an object` or `an array`.
        found: &'static str,
    },
    /// A time that is not one.
    #[error("valid time: {0}")]
    Time(#[from] TimeError),
    /// With `--preserve`: not an event as `read --format ndjson` writes it.
    #[error("not an event as `laterbase read --format ndjson` writes it: {message}")]
    NotAnEvent {
        /// What is missing or wrong.
        message: String,
    },
    /// The event breaks a limit or rule of the store.
    #[error("{message}")]
    NotAllowed {
        /// The store's own words.
        message: String,
    },
    /// The same idempotency key was used for another event.
    #[error(
        "its idempotency key `{key}` already stands for another event, {existing}; the same key \
         must mean the same event"
    )]
    Conflict {
        /// The key, as text.
        key: String,
        /// The event that has it.
        existing: String,
    },
}

fn what_to_do(field: &str) -> &'static str {
    match field {
        "key" => " (without --key each event's own id is its key)",
        "type" => " (without --type every event is of type `event`)",
        "valid time" => " (without --valid-at the time of the import is the valid time)",
        _ => "",
    }
}

impl Reason {
    /// From the JSON parser's error; `first_line` is the line on which the text begins.
    pub(crate) fn not_json(error: &serde_json::Error, first_line: u64) -> Self {
        let text = error.to_string();
        let message = text.split(" at line ").next().unwrap_or_default().to_owned();
        let line = first_line.saturating_add(error.line() as u64).saturating_sub(1);
        Self::NotJson { message, line: line.max(1), column: error.column() }
    }
}
