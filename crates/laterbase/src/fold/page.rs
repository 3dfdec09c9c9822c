//! Many rows: pages in key order, and what changed.
//!
//! All pages of a walk show one moment, however much is written meanwhile: the cursor carries the
//! arrival up to which the first page looked, and rows are folded up to there.
//!
//! ```text
//! byte 0        version, 1
//!      1..9     the copy of the database that it counts on, little endian
//!      9..17    position, little endian
//!     17..      the last key
//!    last 4     check sum
//! ```
//! As text: base64url without padding. Opaque to users: it may change with any version.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use laterbase_event::{EventId, Position};

use super::apply::Failure;
use super::moment::Moment;
use crate::cursor::{Cursor, CursorError};

const VERSION: u8 = 1;

/// Which rows to read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PageRequest {
    /// As of when.
    pub moment: Moment,
    /// The first key; `None`: from the beginning.
    pub from: Option<String>,
    /// The first key that is not wanted; `None`: to the end.
    pub until: Option<String>,
    /// How many rows at the most; 0 counts as 100.
    pub limit: usize,
    /// Go on after an earlier page.
    pub after: Option<PageCursor>,
}

/// A row, or an aggregate, with what it is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folded<S> {
    /// The state.
    pub state: S,
    /// How many events it is made of: for an aggregate as of now, the version of its stream.
    pub version: u64,
}

/// A row of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keyed<S> {
    /// Its key.
    pub key: Arc<str>,
    /// What it is, or the event that could not be folded.
    pub row: Result<Folded<S>, Failure>,
}

/// Some rows, in key order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<S> {
    /// The rows.
    pub rows: Vec<Keyed<S>>,
    /// Where the next page begins, if there may be one.
    pub next: Option<PageCursor>,
    /// The moment of all pages, as a cursor in arrival order: to ask for what changed since.
    pub cursor: Cursor,
    /// The same as a position.
    pub(crate) bound: Position,
}

/// A row that changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed<S> {
    /// Its key.
    pub key: Arc<str>,
    /// What it is now; `Ok(None)` if it is no longer there.
    pub row: Result<Option<Folded<S>>, Failure>,
    /// The arrival that changed it, as a cursor: everything up to it was told.
    pub cursor: Cursor,
    /// The last event that it is made of, in order of arrival.
    pub event: Option<EventId>,
}

/// What changed behind a cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes<S> {
    /// The rows, by their last change, each once.
    pub rows: Vec<Changed<S>>,
    /// Everything up to here was told.
    pub cursor: Cursor,
}

impl<S> Folded<S> {
    /// The same with another state.
    pub fn map<T>(self, change: impl FnOnce(S) -> T) -> Folded<T> {
        Folded { state: change(self.state), version: self.version }
    }
}

impl<S> Page<S> {
    pub(crate) fn empty(cursor: Cursor, bound: Position) -> Self {
        Self { rows: Vec::new(), next: None, cursor, bound }
    }

    /// The same with other states.
    pub fn map<T>(self, mut change: impl FnMut(S) -> T) -> Page<T> {
        let rows = self.rows.into_iter().map(|Keyed { key, row }| {
            let row = row.map(|folded| folded.map(&mut change));
            Keyed { key, row }
        });
        Page { rows: rows.collect(), next: self.next, cursor: self.cursor, bound: self.bound }
    }

    /// The place behind one of its rows, to go on from there.
    #[must_use]
    pub fn place_behind(&self, key: &str) -> PageCursor {
        let (copy, bound) = (self.cursor.copy, self.bound);
        PageCursor { copy, bound, after: key.to_owned() }
    }
}

impl<S> Changes<S> {
    /// The same with other states.
    pub fn map<T>(self, mut change: impl FnMut(S) -> T) -> Changes<T> {
        let rows = self.rows.into_iter().map(|Changed { key, row, cursor, event }| {
            let row = row.map(|row| row.map(|folded| folded.map(&mut change)));
            Changed { key, row, cursor, event }
        });
        Changes { rows: rows.collect(), cursor: self.cursor }
    }
}

/// Where a page ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PageCursor {
    pub(crate) copy: u64,
    pub(crate) bound: Position,
    pub(crate) after: String,
}

impl fmt::Display for PageCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(&self.copy.to_le_bytes());
        bytes.extend_from_slice(&self.bound.as_u64().to_le_bytes());
        bytes.extend_from_slice(self.after.as_bytes());
        bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
        f.write_str(&URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl FromStr for PageCursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let malformed = || CursorError::Malformed { text: text.to_owned() };
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| malformed())?;
        let (body, sum) = bytes.split_last_chunk::<4>().ok_or_else(malformed)?;
        if crc32c::crc32c(body) != u32::from_le_bytes(*sum) {
            return Err(malformed());
        }
        let (version, body) = body.split_first().ok_or_else(malformed)?;
        if *version != VERSION {
            return Err(CursorError::Version { version: *version });
        }
        let (copy, body) = body.split_first_chunk::<8>().ok_or_else(malformed)?;
        let (bound, key) = body.split_first_chunk::<8>().ok_or_else(malformed)?;
        let after = String::from_utf8(key.to_vec()).map_err(|_| malformed())?;
        let bound = Position::new(u64::from_le_bytes(*bound));
        Ok(Self { copy: u64::from_le_bytes(*copy), bound, after })
    }
}
