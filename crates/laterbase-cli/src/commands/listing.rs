//! A listing of events: of a database here, or of a server.

use laterbase::{Cursor, Query, Recorded};

use super::Place;
use crate::failure::{Exit, Failure};
use crate::refusals;
#[cfg(feature = "remote")]
use crate::remote::Pages;

/// Where a listing goes on: a cursor, or a place that a server gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum After {
    Cursor(Cursor),
    /// A server's, that says more than a cursor.
    Server(String),
}

/// Events, one by one.
pub(super) enum Listing {
    Here(Box<laterbase::Events>),
    #[cfg(feature = "remote")]
    There(Box<Pages>),
}

/// `--after`.
pub(super) fn after(text: &str) -> Result<After, laterbase::CursorError> {
    if text.contains('~') {
        return Ok(After::Server(text.to_owned()));
    }
    text.parse().map(After::Cursor)
}

impl Listing {
    /// What `query` asks for, behind `after`.
    pub(super) fn new(
        place: Place,
        mut query: Query,
        after: Option<After>,
    ) -> Result<Self, Failure> {
        match place {
            Place::Here(database) => {
                query.after = match after {
                    None => None,
                    Some(After::Cursor(cursor)) => Some(cursor),
                    Some(After::Server(_)) => {
                        let message = "the cursor is of a listing of a server";
                        return Err(Failure::new(Exit::Usage, message)
                            .hint("go on there: pass the same --url, and the same filters"));
                    }
                };
                let events = database.read(&query).map_err(|error| refusals::reading(&error))?;
                Ok(Self::Here(Box::new(events)))
            }
            #[cfg(feature = "remote")]
            Place::There(there) => {
                let after = after.map(|after| match after {
                    After::Cursor(cursor) => cursor.to_string(),
                    After::Server(text) => text,
                });
                Ok(Self::There(Box::new(Pages::new(there, &query, after))))
            }
        }
    }

    /// Where to go on behind what was read.
    pub(super) fn cursor(&self) -> Option<String> {
        match self {
            Self::Here(events) => events.cursor().map(|cursor| cursor.to_string()),
            #[cfg(feature = "remote")]
            Self::There(pages) => pages.place().map(str::to_owned),
        }
    }
}

impl Iterator for Listing {
    type Item = Result<Recorded, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Here(events) => {
                let next = events.next()?;
                Some(next.map_err(|error| refusals::reading(&error)))
            }
            #[cfg(feature = "remote")]
            Self::There(pages) => pages.next(),
        }
    }
}
