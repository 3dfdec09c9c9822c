//! As of when a state is asked for: on the axis of what was known, and on that of what had
//! happened.

use std::sync::Arc;

use laterbase_event::{EventView, Position, Timestamp};

use crate::cursor::Cursor;
use crate::filter::Filter;
use crate::inner::Inner;
use crate::query::{Cut, Query};
use crate::read::ReadError;

/// As of when. The default is now, whatever the valid times are.
///
/// ```
/// use laterbase::{Cut, Moment, Timestamp};
///
/// let friday = Timestamp::from_micros(1_772_755_200_000_000);
/// let tuesday = Timestamp::from_micros(1_772_496_000_000_000);
/// // What had happened by Tuesday, as we knew it on Friday.
/// let moment = Moment::known(Cut::KnownAt(friday)).valid_at(tuesday);
/// # let _ = moment;
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Moment {
    /// What was known: events outside the cut are not folded.
    pub cut: Cut,
    /// What had happened: events with a later valid time are not folded.
    pub valid_at: Option<Timestamp>,
    /// What had arrived here by a cursor in arrival order.
    pub upto: Option<Cursor>,
}

impl Moment {
    /// As known by a cut.
    #[must_use]
    pub fn known(cut: Cut) -> Self {
        Self { cut, ..Self::default() }
    }

    /// As known here when a cursor in arrival order was given.
    #[must_use]
    pub fn upto(mut self, cursor: Cursor) -> Self {
        self.upto = Some(cursor);
        self
    }

    /// With what had happened by a moment.
    #[must_use]
    pub fn valid_at(mut self, at: Timestamp) -> Self {
        self.valid_at = Some(at);
        self
    }

    /// What this means on this copy, now.
    pub(crate) fn resolve(&self, inner: &Arc<Inner>) -> Result<Resolved, ReadError> {
        let mut bound = inner.progress.visible();
        if let Some(cursor) = &self.upto {
            bound = inner.arrival_of(cursor, bound)?;
        }
        let filter = match &self.cut {
            Cut::Latest => None,
            Cut::KnownAt(at) => {
                bound = inner.known_at(*at, bound)?;
                None
            }
            Cut::Vector(_) | Cut::RecordedBy(_) => {
                let query = Query::all().as_of(self.cut.clone());
                let mut filter = Filter::new(&query, bound, Position::NONE);
                filter.tell_branches(|| inner.view_to(bound)?.access.forked())?;
                Some(filter)
            }
        };
        Ok(Resolved { bound, valid_at: self.valid_at, filter })
    }
}

/// A moment, on this copy.
#[derive(Debug, Clone)]
pub(crate) struct Resolved {
    /// What had arrived by here.
    pub(crate) bound: Position,
    pub(crate) valid_at: Option<Timestamp>,
    /// Which events a version vector covers, or had been recorded.
    pub(crate) filter: Option<Filter>,
}

impl Resolved {
    /// What is there at a position, however it came to be.
    pub(crate) fn at(bound: Position) -> Self {
        Self { bound, valid_at: None, filter: None }
    }

    /// Whether an event that had arrived, and happened, was known.
    pub(crate) fn admits(&self, event: &EventView<'_>, position: Position) -> bool {
        self.filter.as_ref().is_none_or(|filter| filter.admits_cut(event, position))
    }
}
