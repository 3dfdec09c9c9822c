//! Reads page after page, each where the one before ended, and holds nothing in between.
//!
//! A read in HLC order as of now keeps to what had arrived when it began: its *bound*. What comes
//! later is behind the bound in arrival order, so that whoever reads to the end and goes on from
//! the bound misses nothing and sees nothing twice. What is handed out is on the device first.

use std::ops::ControlFlow;

use laterbase::{
    AppendError, Cursor, CursorError, Database, Event, Order, Query, ReadError, Recorded,
    VersionVector,
};

use super::place::{Place, sum_of};
use super::selection::Selection;
use crate::describe::vector_text;
use crate::problem::{Kind, Problem};

/// Bytes of payloads after which a page ends, whatever number of events was asked for.
pub(crate) const PAGE_BYTES_MAX: usize = 8 << 20;

/// A read under way.
#[derive(Debug)]
pub(crate) struct Reader {
    database: Database,
    query: Query,
    /// For reads that catch up: the bound, in arrival order.
    bound: Option<Cursor>,
    /// The last event that was handed out, in the query's order.
    after: Option<Cursor>,
    /// Whether it went on from an earlier answer.
    resumed: bool,
    /// What was flushed when it began, in arrival order.
    now: Cursor,
    /// How far each log was held before the first page.
    known: VersionVector,
    more: bool,
}

/// What stands behind a page.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ends {
    /// Where the next page begins; none if this is the last.
    pub(crate) next: Option<String>,
    /// Behind the last page: where what comes later begins, in arrival order.
    pub(crate) cursor: Option<String>,
    /// What to ask with to get what is not in this page, or not yet there.
    pub(crate) vv: Option<String>,
}

impl Reader {
    /// Begins a read, or goes on with one.
    pub(crate) fn new(database: &Database, selection: Selection) -> Result<Self, Problem> {
        let catches_up = selection.catches_up();
        let Selection { query, place, .. } = selection;
        // Everything that the vector covers is behind the bound: taken first, then flushed.
        let known = database.version_vector().map_err(|error| not_read(&error))?;
        settle(database)?;
        let now = database.cursor();
        let (bound, after) = match place {
            Some(Place::CatchUp { bound, after, .. }) => {
                check_arrival(database, bound)?;
                (Some(bound), after)
            }
            Some(Place::Plain(cursor)) => (None, Some(cursor)),
            None => (catches_up.then_some(now), None),
        };
        Ok(Self {
            database: database.clone(),
            query,
            bound,
            after,
            resumed: place.is_some(),
            now,
            known,
            more: true,
        })
    }

    /// Whether there may be more.
    pub(crate) fn has_more(&self) -> bool {
        self.more
    }

    /// The bound of a read that catches up.
    pub(crate) fn bound(&self) -> Option<Cursor> {
        self.bound
    }

    /// The next events: up to so many, and about so many bytes.
    pub(crate) fn next(
        &mut self,
        events_max: usize,
        bytes_max: usize,
    ) -> Result<Vec<Recorded>, Problem> {
        let mut query = self.query.clone();
        query.after = self.after;
        let bound = self.bound.and_then(|cursor| cursor.position());
        let hides_reserved = query.root.is_none();
        let (mut events, mut bytes, mut more) = (Vec::new(), 0_usize, false);
        let visited = self.database.visit(&query, |event, position, arrival| {
            let is_late = bound.is_some_and(|bound| position > bound);
            if is_late || (hides_reserved && event.root().starts_with('_')) {
                return ControlFlow::Continue(());
            }
            if events.len() >= events_max || bytes >= bytes_max {
                more = true;
                return ControlFlow::Break(());
            }
            let event = Event::from(event);
            bytes = bytes.saturating_add(event.payload.len()).saturating_add(256);
            events.push(Recorded { event, position, arrival });
            ControlFlow::Continue(())
        });
        visited.map_err(|error| not_read(&error))?;
        self.more = more;
        if let Some(last) = events.last() {
            self.after = Some(self.database.cursor_behind(last, self.query.order));
        }
        // Nobody is told of what a power cut could take back.
        settle(&self.database)?;
        let named = events.into_iter().map(|event| self.database.with_names(event));
        named.collect::<Result<_, _>>().map_err(|error| not_read(&error))
    }

    /// The place behind an event.
    pub(crate) fn place(&self, recorded: &Recorded) -> Place {
        self.place_behind(self.database.cursor_behind(recorded, self.query.order))
    }

    fn place_behind(&self, after: Cursor) -> Place {
        match self.bound {
            Some(bound) => {
                let vector = sum_of(self.query.unknown_to.as_ref());
                Place::CatchUp { bound, after: Some(after), vector }
            }
            None => Place::Plain(after),
        }
    }

    /// What stands behind `events`, the page that was read last.
    pub(crate) fn ends(&self, events: &[Recorded]) -> Result<Ends, Problem> {
        let next = self.after.filter(|_| self.more).map(|after| self.place_behind(after));
        let cursor = match (self.more, self.query.order, self.bound) {
            (true, _, _) => None,
            (false, Order::Arrival, _) => Some(self.later_of_after_and_now()),
            (false, Order::Tx | Order::Valid, bound) => bound,
        };
        Ok(Ends {
            next: next.map(|place| place.to_string()),
            cursor: cursor.map(|cursor| cursor.to_string()),
            vv: self.vector(events)?.map(|vector| vector_text(&vector)),
        })
    }

    fn later_of_after_and_now(&self) -> Cursor {
        let after = self.after.filter(|after| after.position() > self.now.position());
        after.unwrap_or(self.now)
    }

    /// What a reader of this page knows: what it said it knows, and the page; behind the last
    /// page, all that was here. Only of a read that began here and goes in HLC order, since its
    /// events are the next ones of each log.
    fn vector(&self, events: &[Recorded]) -> Result<Option<VersionVector>, Problem> {
        if self.bound.is_none() || self.resumed {
            return Ok(None);
        }
        let mut vector = self.query.unknown_to.clone().unwrap_or_default();
        if self.more {
            // Events do not name the branch of a forked log that they are on.
            if !self.database.forks().map_err(Problem::failed)?.is_empty() {
                return Ok(None);
            }
            for event in events.iter().map(|recorded| &recorded.event) {
                let Ok(root) = event.root.as_str().try_into() else { continue };
                let replica = event.id.replica();
                vector.set(root, replica, event.seq.max(vector.get(&root, replica)));
            }
        } else {
            let known = self.query.root.as_ref().map(|root| self.known.for_root(root));
            vector.merge(known.as_ref().unwrap_or(&self.known));
        }
        Ok(Some(vector))
    }
}

/// Whether a bound is one of this copy.
fn check_arrival(database: &Database, bound: Cursor) -> Result<(), Problem> {
    let probe = Query::all().order(Order::Arrival).limit(1).after(bound);
    database.read(&probe).map(drop).map_err(|error| not_read(&error))
}

/// Has what can be read flushed, so that no answer tells of what could still be lost.
pub(crate) fn settle(database: &Database) -> Result<(), Problem> {
    match database.flush() {
        Ok(()) | Err(AppendError::ReadOnly) => Ok(()),
        Err(error) => Err(Problem::failed(error).of_kind(Kind::Storage)),
    }
}

/// Why events cannot be read.
pub(crate) fn not_read(error: &ReadError) -> Problem {
    match cursor_error(error) {
        Some(error) => Problem::new(Kind::Cursor).detail(error),
        None => Problem::failed(error),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "everything else is no mistake of a client")]
fn cursor_error(error: &ReadError) -> Option<&CursorError> {
    match error {
        ReadError::Cursor(error) => Some(error),
        _ => None,
    }
}
