//! The rows that another version of a view has left: they answer while this one is made.
//!
//! They are read from the file, a block at a time, as they are asked for; nothing of the code that
//! made them is needed.

use std::sync::Arc;

use laterbase_event::Position;

use super::error::{KeptFileError, PreviousError};
use super::file::KeptFile;
use super::row::RowImage;
use crate::cursor::{Cursor, CursorPlace};
use crate::fold::moment::Moment;
use crate::fold::page::{PageCursor, PageRequest};
use crate::query::Cut;

/// Rows of a page if the request does not say.
const PAGE_DEFAULT: usize = 100;

/// The rows that another version of a view has left, as of one moment.
#[derive(Debug, Clone)]
pub struct Previous {
    pub(super) file: Arc<KeptFile>,
}

/// A row that another version has left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreviousRow {
    /// Its key.
    pub key: Arc<str>,
    /// How many events its state is made of.
    pub version: u64,
    /// Its state as JSON; `None` if that version could not fold all of its events.
    pub state: Option<String>,
}

/// Some rows that another version has left, in key order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreviousPage {
    /// The rows.
    pub rows: Vec<PreviousRow>,
    /// Where the next page begins, if there may be one. Once this version is ready, the same place
    /// among its rows, as of the same moment.
    pub next: Option<PageCursor>,
}

impl Previous {
    /// The version that made them.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.file.head.code.version
    }

    /// As of when: everything up to this cursor, in arrival order, is in them.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        Cursor { copy: self.file.head.copy, place: CursorPlace::Arrival(self.done()) }
    }

    /// The row of a key; `None` if there was none.
    ///
    /// # Errors
    /// [`PreviousError::File`] if it cannot be read.
    pub fn get(&self, key: &str) -> Result<Option<PreviousRow>, PreviousError> {
        let Some(entry) = self.file.blocks.get(self.file.block_of(key)) else { return Ok(None) };
        let block = self.file.block(entry)?;
        let mut rows = self.file.rows(&block);
        while let Some(row) = rows.next_row().map_err(|_| self.file.damaged())? {
            if row.key == key {
                return Ok(self.shown(&row)?);
            }
        }
        Ok(None)
    }

    /// Rows in key order.
    ///
    /// # Errors
    /// [`PreviousError::OtherMoment`] if the request is for another moment than now, or goes on
    /// after a page of another moment; [`PreviousError::File`] if they cannot be read.
    pub fn page(&self, request: &PageRequest) -> Result<PreviousPage, PreviousError> {
        if !self.shows(&request.moment) {
            return Err(PreviousError::OtherMoment);
        }
        let mut after = None;
        if let Some(cursor) = &request.after {
            if cursor.copy != self.file.head.copy || cursor.bound != self.done() {
                return Err(PreviousError::OtherMoment);
            }
            after = Some(cursor.after.as_str());
        }
        let limit = if request.limit == 0 { PAGE_DEFAULT } else { request.limit };
        let from = request.from.as_deref();
        let first = self.file.block_of(from.max(after).unwrap_or_default());
        let mut page = PreviousPage { rows: Vec::new(), next: None };
        for entry in self.file.blocks.get(first..).unwrap_or_default() {
            let block = self.file.block(entry)?;
            let mut rows = self.file.rows(&block);
            while let Some(row) = rows.next_row().map_err(|_| self.file.damaged())? {
                let key = row.key.as_ref();
                if request.until.as_deref().is_some_and(|until| key >= until) {
                    return Ok(page);
                }
                if from.is_some_and(|from| key < from) || after.is_some_and(|after| key <= after) {
                    continue;
                }
                let Some(shown) = self.shown(&row)? else { continue };
                if page.rows.len() == limit {
                    page.next = page.rows.last().map(|last| self.place_behind(&last.key));
                    return Ok(page);
                }
                page.rows.push(shown);
            }
        }
        Ok(page)
    }

    /// Whether this is the moment that is asked for: now, which they are in place of.
    fn shows(&self, moment: &Moment) -> bool {
        moment.cut == Cut::Latest
            && moment.valid_at.is_none()
            && moment.upto.is_none_or(|upto| upto == self.cursor())
    }

    fn shown(&self, row: &RowImage<'_>) -> Result<Option<PreviousRow>, KeptFileError> {
        if row.is_hidden {
            return Ok(None);
        }
        let newest = row.timeline.as_ref().and_then(|timeline| timeline.newest());
        let version = newest.map_or(0, |(_, version)| version);
        let state = newest.map(|(state, _)| String::from_utf8(state.to_vec())).transpose();
        let state = state.map_err(|_| self.file.damaged())?;
        Ok(Some(PreviousRow { key: Arc::from(row.key.as_ref()), version, state }))
    }

    fn place_behind(&self, key: &str) -> PageCursor {
        PageCursor { copy: self.file.head.copy, bound: self.done(), after: key.to_owned() }
    }

    fn done(&self) -> Position {
        self.file.head.done
    }
}
