//! Which reader a file goes to.

use std::fmt;
use std::io::{self, BufRead};
use std::path::Path;

use super::record::{Reason, Visit};
use super::{json, ndjson};
use crate::pointer::Pointer;

/// How records stand in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// JSON documents: an array of records, one record, or records at `--each`.
    Json,
    /// One JSON value on each line.
    Ndjson,
    /// A header and rows; each row becomes an object of strings.
    #[cfg(feature = "csv")]
    Csv {
        /// What stands between two fields.
        delimiter: u8,
    },
}

impl Format {
    /// What the file's name says, if it says anything.
    #[must_use]
    pub fn of_name(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        match extension.as_str() {
            "json" | "jsonld" => Some(Self::Json),
            "ndjson" | "jsonl" => Some(Self::Ndjson),
            #[cfg(feature = "csv")]
            "csv" => Some(Self::Csv { delimiter: b',' }),
            #[cfg(feature = "csv")]
            "tsv" => Some(Self::Csv { delimiter: b'\t' }),
            _ => None,
        }
    }

    /// What the first bytes say: JSON where they open a document that does not end on its first
    /// line, NDJSON where the first line is a whole value, CSV otherwise.
    #[must_use]
    pub fn of_bytes(beginning: &[u8]) -> Self {
        let text = without_mark(beginning).trim_ascii_start();
        match text.first() {
            None => Self::Ndjson,
            Some(b'[') => Self::Json,
            Some(b'{') => {
                let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
                let whole = serde_json::from_slice::<serde::de::IgnoredAny>(line).is_ok();
                let cut_off = line.len() == text.len();
                if whole || cut_off { Self::Ndjson } else { Self::Json }
            }
            #[cfg(feature = "csv")]
            Some(_) => Self::Csv { delimiter: b',' },
            #[cfg(not(feature = "csv"))]
            Some(_) => Self::Ndjson,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Json => "json",
            Self::Ndjson => "ndjson",
            #[cfg(feature = "csv")]
            Self::Csv { .. } => "csv",
        })
    }
}

/// Reads `input` record by record and hands each to `visit`; what is no record goes there too,
/// as refused. The reading goes on after a refused record wherever the next one can be found.
///
/// # Errors
/// Only what the input itself fails with: a mistake in a record is never an error here.
pub fn read_records(
    input: &mut dyn BufRead,
    format: Format,
    each: Option<&Pointer>,
    visit: &mut Visit<'_>,
) -> io::Result<()> {
    match format {
        Format::Json => json::read(input, each, visit),
        Format::Ndjson => ndjson::read(input, each, visit),
        #[cfg(feature = "csv")]
        Format::Csv { delimiter } => super::csv::read(input, delimiter, visit),
    }
}

/// Text without the byte order mark that some programs put before UTF-8.
pub(super) fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes)
}

/// The text, or where it stops being UTF-8.
pub(super) fn utf8(bytes: &[u8]) -> Result<&str, Reason> {
    std::str::from_utf8(bytes).map_err(|error| Reason::NotUtf8 { offset: error.valid_up_to() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_tell_the_format() {
        assert_eq!(Format::of_bytes(b"\xEF\xBB\xBF [1]"), Format::Json);
        assert_eq!(Format::of_bytes(b"{\"a\":1}\n{\"a\":2}\n"), Format::Ndjson);
        assert_eq!(Format::of_bytes(b"{\n \"a\":1}\n"), Format::Json);
        assert_eq!(Format::of_bytes(b""), Format::Ndjson);
        #[cfg(feature = "csv")]
        assert_eq!(Format::of_bytes(b"a,b\n1,2\n"), Format::Csv { delimiter: b',' });
    }
}
