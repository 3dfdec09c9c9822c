//! The answer to a query: candidates read, filtered and handed out, up to the limit.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;

use laterbase_event::{EnvelopeView, Event, EventView, Hlc, Position};
use laterbase_log::Want;

use super::{Candidate, Source};
use crate::cursor::{Cursor, CursorPlace};
use crate::filter::Filter;
use crate::query::{Direction, Order, Query};
use crate::read::{Access, EventReader, ReadError};
use crate::recorded::Recorded;

/// Events read ahead by the iterator at the most.
const AHEAD_MAX: usize = 1024;

/// Candidates looked ahead at the most, to find neighbours that are read together.
const LOOK_AHEAD_MAX: u64 = 64 * 1024;

/// A query under way.
pub(crate) struct Walk {
    feed: Feed,
    reader: EventReader,
    check: Check,
    /// Payloads are looked at.
    needs_payloads: bool,
}

/// Where the events of a walk come from.
enum Feed {
    /// Candidates by key; neighbours among them are read together.
    Candidates(Neighbours),
    /// The log itself, forward: positions after the first, up to the second.
    Log { after: Position, upto: Position },
    /// Ascending positions, of which so many are done.
    #[cfg(feature = "query")]
    Positions { positions: Vec<Position>, done: usize },
}

/// What is decided event by event.
struct Check {
    filter: Filter,
    start: Start,
}

/// Where the answer begins.
struct Start {
    order: Order,
    direction: Direction,
    /// Leave out everything up to here.
    place: Option<CursorPlace>,
}

impl Start {
    /// Whether the answer has come so far; once it has, it always has.
    fn is_reached(&mut self, event: &EventView<'_>, position: Position) -> bool {
        let Some(place) = self.place else { return true };
        let beyond = is_beyond(place, event, position, self.order, self.direction);
        if beyond {
            self.place = None;
        }
        beyond
    }
}

impl Walk {
    pub(crate) fn new(
        source: Box<dyn Source>,
        access: Arc<Access>,
        filter: Filter,
        query: &Query,
    ) -> Self {
        Self::with_feed(Feed::Candidates(Neighbours::new(source)), access, filter, query)
    }

    /// A walk through the log itself, in arrival order.
    pub(crate) fn through_log(access: Arc<Access>, filter: Filter, query: &Query) -> Self {
        let feed = Feed::Log { after: filter.after, upto: filter.bound };
        Self::with_feed(feed, access, filter, query)
    }

    /// A walk over ascending positions, in arrival order.
    #[cfg(feature = "query")]
    pub(crate) fn over(
        positions: Vec<Position>,
        access: Arc<Access>,
        filter: Filter,
        query: &Query,
    ) -> Self {
        Self::with_feed(Feed::Positions { positions, done: 0 }, access, filter, query)
    }

    fn with_feed(feed: Feed, access: Arc<Access>, filter: Filter, query: &Query) -> Self {
        let (order, direction) = (query.order, query.direction);
        let place = query.after.map(|cursor| cursor.place);
        let check = Check { filter, start: Start { order, direction, place } };
        Self { feed, reader: EventReader::new(access), check, needs_payloads: true }
    }

    /// Lets payloads be empty: nobody looks at them.
    #[cfg(feature = "query")]
    pub(crate) fn without_payloads(mut self) -> Self {
        self.needs_payloads = false;
        self
    }

    /// Hands the next events to `take` until it breaks; `false` when there are no more.
    pub(crate) fn run(
        &mut self,
        mut take: impl FnMut(&EventView<'_>, Position, Hlc) -> ControlFlow<()>,
    ) -> Result<bool, ReadError> {
        let Check { filter, start } = &mut self.check;
        let filter = &*filter;
        let wanted = if self.needs_payloads { Want::Event } else { Want::Envelope };
        let want = |event: &EnvelopeView<'_>| match filter.may_admit(event) {
            true => wanted,
            false => Want::Nothing,
        };
        match &mut self.feed {
            Feed::Candidates(neighbours) => {
                while let Some(run) = neighbours.peek()? {
                    let default_only = run.default_valid_only;
                    let (taken, flow) = self.reader.run(
                        run.first,
                        run.count,
                        want,
                        |event, position, arrival| {
                            if filter.admits_position(position)
                                && (!default_only || event.valid_is_default())
                                && filter.admits(event, position)
                                && start.is_reached(event, position)
                            {
                                return take(event, position, arrival);
                            }
                            ControlFlow::Continue(())
                        },
                    )?;
                    neighbours.skip(taken);
                    if flow.is_break() {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Feed::Log { after, upto } => {
                let flow =
                    self.reader.scan((*after, *upto), filter, |event, position, arrival| {
                        *after = position;
                        if filter.admits_rest(event, position) && start.is_reached(event, position)
                        {
                            return take(event, position, arrival);
                        }
                        ControlFlow::Continue(())
                    })?;
                if flow.is_continue() {
                    *after = *upto;
                }
                Ok(flow.is_break())
            }
            #[cfg(feature = "query")]
            Feed::Positions { positions, done } => {
                let flow = self.reader.at(positions, done, want, |event, position, arrival| {
                    if filter.admits_position(position)
                        && filter.admits(event, position)
                        && start.is_reached(event, position)
                    {
                        return take(event, position, arrival);
                    }
                    ControlFlow::Continue(())
                })?;
                Ok(flow.is_break())
            }
        }
    }
}

/// Some consecutive positions that are offered one after the other.
#[derive(Debug, Clone, Copy)]
struct Neighbourhood {
    first: Position,
    count: u64,
    default_valid_only: bool,
}

/// Candidates, gathered into neighbourhoods. Looks the further ahead the longer the walk goes on,
/// so that a query with a small limit looks at little more than it hands out.
struct Neighbours {
    source: Box<dyn Source>,
    current: Option<Neighbourhood>,
    ahead: Option<Candidate>,
    look_ahead: u64,
}

impl Neighbours {
    fn new(source: Box<dyn Source>) -> Self {
        Self { source, current: None, ahead: None, look_ahead: 8 }
    }

    /// What comes next, as far as it has been looked at.
    fn peek(&mut self) -> Result<Option<Neighbourhood>, ReadError> {
        if self.current.is_none() {
            self.gather()?;
        }
        Ok(self.current)
    }

    /// Leaves the first `count` of what [`Self::peek`] answered.
    fn skip(&mut self, count: u64) {
        let rest = self.current.and_then(|run| {
            let left = run.count.saturating_sub(count.max(1));
            let first = Position::new(run.first.as_u64() + count.max(1));
            (left > 0).then_some(Neighbourhood { first, count: left, ..run })
        });
        self.current = rest;
    }

    fn gather(&mut self) -> Result<(), ReadError> {
        let first = match self.ahead.take() {
            Some(candidate) => Some(candidate),
            None => self.source.next()?,
        };
        let Some(first) = first else { return Ok(()) };
        let default_valid_only = first.default_valid_only;
        let mut count = 1;
        while count < self.look_ahead {
            let Some(next) = self.source.next()? else { break };
            let follows = next.position.as_u64() == first.position.as_u64() + count
                && next.default_valid_only == default_valid_only;
            if !follows {
                self.ahead = Some(next);
                break;
            }
            count += 1;
        }
        self.look_ahead = (self.look_ahead * 2).min(LOOK_AHEAD_MAX);
        self.current = Some(Neighbourhood { first: first.position, count, default_valid_only });
        Ok(())
    }
}

/// Whether an event comes after a cursor.
fn is_beyond(
    place: CursorPlace,
    event: &EventView<'_>,
    position: Position,
    order: Order,
    direction: Direction,
) -> bool {
    let ordering = match (place, order) {
        (CursorPlace::Tx(id), Order::Tx) => event.id().cmp(&id),
        (CursorPlace::Valid(at, id), Order::Valid) => (event.valid_at(), event.id()).cmp(&(at, id)),
        (CursorPlace::Arrival(at), Order::Arrival) => position.cmp(&at),
        // A cursor of another order was refused when the query began.
        (CursorPlace::Tx(_) | CursorPlace::Valid(..) | CursorPlace::Arrival(_), _) => return true,
    };
    match direction {
        Direction::Forward => ordering.is_gt(),
        Direction::Backward => ordering.is_lt(),
    }
}

/// The events that a query asks for, in its order.
///
/// An iterator over owned events; [`Database::visit`](crate::Database::visit) goes through them
/// without owning any.
pub struct Events {
    walk: Walk,
    order: Order,
    copy: u64,
    remaining: u64,
    ready: VecDeque<Recorded>,
    ahead: usize,
    ended: bool,
    /// Told once what was read before it has been handed out.
    failure: Option<ReadError>,
    last: Option<CursorPlace>,
}

impl Events {
    pub(crate) fn new(walk: Walk, query: &Query, copy: u64) -> Self {
        Self {
            walk,
            order: query.order,
            copy,
            remaining: query.limit.unwrap_or(u64::MAX),
            ready: VecDeque::new(),
            ahead: 1,
            ended: false,
            failure: None,
            last: query.after.map(|cursor| cursor.place),
        }
    }

    /// Where the last event handed out stands: pass it as [`Query::after`] to go on.
    /// `None` before the first event of a query without a cursor.
    #[must_use]
    pub fn cursor(&self) -> Option<Cursor> {
        self.last.map(|place| Cursor { copy: self.copy, place })
    }

    /// Hands the events to `take`, with position and arrival, until it breaks; answers where it
    /// stopped.
    pub(crate) fn visit(
        mut self,
        mut take: impl FnMut(&EventView<'_>, Position, Hlc) -> ControlFlow<()>,
    ) -> Result<Option<Cursor>, ReadError> {
        let (remaining, last, order) = (&mut self.remaining, &mut self.last, self.order);
        if *remaining > 0 {
            self.walk.run(|event, position, arrival| {
                *remaining -= 1;
                *last = Some(place_of_view(event, position, order));
                let flow = take(event, position, arrival);
                if *remaining == 0 { ControlFlow::Break(()) } else { flow }
            })?;
        }
        Ok(self.cursor())
    }

    fn fill(&mut self) -> Result<(), ReadError> {
        let wanted = self.ahead.min(usize::try_from(self.remaining).unwrap_or(usize::MAX));
        self.ahead = (self.ahead * 2).min(AHEAD_MAX);
        let ready = &mut self.ready;
        let more = self.walk.run(|event, position, arrival| {
            ready.push_back(Recorded { event: Event::from(event), position, arrival });
            if ready.len() < wanted { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        self.ended = !more;
        Ok(())
    }
}

impl Iterator for Events {
    type Item = Result<Recorded, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.remaining == 0 {
            return None;
        }
        if self.ready.is_empty()
            && !self.ended
            && let Err(error) = self.fill()
        {
            self.ended = true;
            self.failure = Some(error);
        }
        let Some(recorded) = self.ready.pop_front() else {
            return self.failure.take().map(Err);
        };
        self.remaining -= 1;
        self.last = Some(place_of(&recorded, self.order));
        Some(Ok(recorded))
    }
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Events").field("last", &self.last).finish_non_exhaustive()
    }
}

fn place_of(recorded: &Recorded, order: Order) -> CursorPlace {
    let event = &recorded.event;
    match order {
        Order::Tx => CursorPlace::Tx(event.id),
        Order::Valid => CursorPlace::Valid(event.valid_at, event.id),
        Order::Arrival => CursorPlace::Arrival(recorded.position),
    }
}

fn place_of_view(event: &EventView<'_>, position: Position, order: Order) -> CursorPlace {
    match order {
        Order::Tx => CursorPlace::Tx(event.id()),
        Order::Valid => CursorPlace::Valid(event.valid_at(), event.id()),
        Order::Arrival => CursorPlace::Arrival(position),
    }
}
