//! A listing of events: of a database here, or of a server.

use laterbase::{Cursor, Query, Recorded};

use super::Place;
use crate::failure::Failure;
use crate::refusals;
#[cfg(feature = "remote")]
use crate::remote::Pages;

/// Events, one by one.
pub(super) enum Listing {
    Here(laterbase::Database, Box<laterbase::Events>),
    #[cfg(feature = "remote")]
    There(Box<Pages>),
}

impl Listing {
    /// What `query` asks for.
    pub(super) fn new(place: Place, query: &Query) -> Result<Self, Failure> {
        match place {
            Place::Here(database) => {
                let events = database.read(query).map_err(|error| refusals::reading(&error))?;
                Ok(Self::Here(database, Box::new(events)))
            }
            #[cfg(feature = "remote")]
            Place::There(there) => Ok(Self::There(Box::new(Pages::new(there, query)))),
        }
    }

    /// Where to go on behind what was read.
    pub(super) fn cursor(&self) -> Option<Cursor> {
        match self {
            Self::Here(_, events) => events.cursor(),
            #[cfg(feature = "remote")]
            Self::There(pages) => pages.cursor(),
        }
    }
}

impl Iterator for Listing {
    type Item = Result<Recorded, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Here(database, events) => {
                let next = events.next()?.and_then(|recorded| database.with_names(recorded));
                Some(next.map_err(|error| refusals::reading(&error)))
            }
            #[cfg(feature = "remote")]
            Self::There(pages) => pages.next(),
        }
    }
}
