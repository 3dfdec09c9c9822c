//! Event streams: what is there, then what comes, as server-sent events.
//!
//! ```text
//!   catching up: HLC order, up to the bound    id: bound ~ last event ~ vector
//!   following:   arrival order, from the bound  id: cursor
//! ```
//! The bound is taken before the first event is read. Everything that had arrived by then comes
//! once in HLC order; everything else is behind the bound in arrival order and comes once after
//! it. Each id says in which of both the stream stands and where, so going on from any of them
//! loses nothing and repeats nothing.
//!
//! A stream is a place and a task that sleeps: it reads a chunk when its client took the one
//! before and there is news, and keeps nothing in between. So thousands of them wait for a few
//! kilobytes each, and a slow client is just further behind.

use std::convert::Infallible;
use std::io::Write as _;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use futures_util::stream;
use laterbase::{Cursor, Database, Order, Position, Query, Recorded, Start};
use laterbase_json::time::Clockface;
use laterbase_json::write_json;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, sleep_until};

use super::Reading;
use super::place::Place;
use super::reader::{Reader, not_read};
use super::selection::Selection;
use crate::accept::Form;
use crate::access::Standing;
use crate::databases::Hosted;
use crate::describe::text;
use crate::problem::{Kind, Problem};
use crate::request::blocking;
use crate::routes::Shared;

/// Events and bytes that are read at once.
const EVENTS_MAX: usize = 256;
const BYTES_MAX: usize = 256 << 10;
/// Positions that a stream may be behind to read where it stands: those are in memory. What
/// reaches further back is read on a thread that may wait for a device.
const NEAR: u64 = 1_024;

/// Where a stream stands.
enum Phase {
    /// In HLC order, up to the bound.
    CatchingUp(Box<Reader>),
    /// In arrival order, behind the cursor.
    Following(Cursor),
}

/// A stream of events.
struct Feed {
    shared: Arc<Shared>,
    hosted: Arc<Hosted>,
    filter: Arc<Query>,
    phase: Phase,
    news: watch::Receiver<Position>,
    ending: watch::Receiver<bool>,
    /// When to say that it is still there.
    say_so: Instant,
    greeted: bool,
    standing: Standing,
    _place: OwnedSemaphorePermit,
}

/// Answers with a stream that does not end by itself.
pub(super) async fn answer(reading: Reading, selection: Selection) -> Result<Response, Problem> {
    let place = Arc::clone(&reading.shared.streams).try_acquire_owned();
    let place = place.map_err(|_| Problem::busy())?;
    check(&selection)?;
    let filter = Arc::new(selection.query.clone());
    let database = reading.hosted.database.clone();
    let phase = blocking(move || begin(&database, selection)).await?;
    let feed = Feed {
        standing: reading.standing(),
        news: reading.hosted.news.subscribe(),
        ending: reading.shared.ending.subscribe(),
        say_so: Instant::now() + reading.shared.config.keep_alive,
        shared: reading.shared,
        hosted: reading.hosted,
        filter,
        phase,
        greeted: false,
        _place: place,
    };
    let events = stream::unfold(feed, |feed| feed.next());
    let mut response = text(Body::from_stream(events), Form::EventStream.media_type());
    let no_store = HeaderValue::from_static("no-store");
    response.headers_mut().insert(header::CACHE_CONTROL, no_store);
    Ok(response)
}

/// Whether a selection can be followed: all of the past and all that comes, in no other order.
fn check(selection: &Selection) -> Result<(), Problem> {
    let refused = |detail: &str| Err(Problem::bad_request(detail));
    match (&selection.query.cut, selection.query.order, selection.limit) {
        (laterbase::Cut::Latest, Order::Tx | Order::Arrival, None) => Ok(()),
        (_, _, Some(_)) => refused("an event stream has no `limit`: leave, and go on later"),
        (_, Order::Valid, _) => refused("an event stream is not in the order `valid`"),
        (_, _, _) => refused("an event stream has no `as_of`: it goes on with what comes"),
    }
}

fn begin(database: &Database, selection: Selection) -> Result<Phase, Problem> {
    match selection.place {
        Some(Place::Plain(cursor)) if cursor.position().is_some() => {
            // Asks whether the cursor is one of this copy.
            let started = database.subscribe(&Query::all(), Start::After(cursor));
            started.map_err(|error| not_read(&error))?;
            Ok(Phase::Following(cursor))
        }
        Some(Place::Plain(_)) => {
            let detail = "an event stream goes on from an id of its own, or a `cursor`";
            Err(Problem::new(Kind::Cursor).detail(detail))
        }
        None if selection.query.order == Order::Arrival => {
            let from_the_start = database.subscribe(&Query::all(), Start::Beginning);
            from_the_start
                .map(|all| Phase::Following(all.cursor()))
                .map_err(|error| not_read(&error))
        }
        Some(Place::CatchUp { .. }) | None => {
            Ok(Phase::CatchingUp(Box::new(Reader::new(database, selection)?)))
        }
    }
}

impl Feed {
    /// The next piece of the stream; none when it ends.
    async fn next(mut self) -> Option<(Result<Bytes, Infallible>, Self)> {
        if !self.greeted {
            // The client learns at once that the stream is open.
            self.greeted = true;
            return Some((Ok(Bytes::from_static(b": open\nretry: 1000\n\n")), self));
        }
        loop {
            if *self.ending.borrow() || !self.standing.holds() {
                return None;
            }
            self.news.borrow_and_update();
            // A client whose stream breaks comes back with its last id, and is told then.
            let (bytes, more) = self.step().await.ok()?;
            if !bytes.is_empty() {
                self.say_so = Instant::now() + self.shared.config.keep_alive;
                return Some((Ok(bytes), self));
            }
            if more {
                continue;
            }
            tokio::select! {
                changed = self.news.changed() => {
                    if changed.is_err() {
                        return None;
                    }
                }
                ended = self.ending.changed() => {
                    if ended.is_err() {
                        return None;
                    }
                }
                () = sleep_until(self.say_so) => {
                    self.say_so = Instant::now() + self.shared.config.keep_alive;
                    return Some((Ok(self.sign_of_life()), self));
                }
            }
        }
    }

    /// Reads a chunk; `true` if there is more at once.
    async fn step(&mut self) -> Result<(Bytes, bool), Problem> {
        let (database, filter) = (self.hosted.database.clone(), Arc::clone(&self.filter));
        let phase = std::mem::replace(&mut self.phase, Phase::Following(database.cursor()));
        let (phase, bytes, more) = match phase {
            Phase::CatchingUp(reader) => blocking(move || catch_up(reader)).await?,
            Phase::Following(cursor) => {
                let to = self.news.borrow().as_u64();
                let from = cursor.position().unwrap_or(Position::NONE).as_u64();
                if to.saturating_sub(from) <= NEAR {
                    follow(&database, &filter, cursor)?
                } else {
                    blocking(move || follow(&database, &filter, cursor)).await?
                }
            }
        };
        self.phase = phase;
        Ok((bytes, more))
    }

    /// A comment; with it the place, so that a client that comes back need not go through all that
    /// did not match again.
    fn sign_of_life(&self) -> Bytes {
        match &self.phase {
            Phase::Following(cursor) => format!("id: {cursor}\n: still here\n\n").into(),
            Phase::CatchingUp(_) => Bytes::from_static(b": still here\n\n"),
        }
    }
}

/// The next chunk in HLC order.
fn catch_up(mut reader: Box<Reader>) -> Result<(Phase, Bytes, bool), Problem> {
    let events = reader.next(EVENTS_MAX, BYTES_MAX)?;
    let mut out = Vec::with_capacity(events.len() * 320);
    for recorded in &events {
        send(&reader.place(recorded), recorded, &mut out);
    }
    let phase = match reader.bound() {
        Some(bound) if !reader.has_more() => Phase::Following(bound),
        Some(_) | None => Phase::CatchingUp(reader),
    };
    Ok((phase, out.into(), true))
}

/// The next chunk in arrival order.
fn follow(
    database: &Database,
    filter: &Query,
    cursor: Cursor,
) -> Result<(Phase, Bytes, bool), Problem> {
    let mut all =
        database.subscribe(filter, Start::After(cursor)).map_err(|error| not_read(&error))?;
    let (mut out, mut count) = (Vec::new(), 0);
    while count < EVENTS_MAX && out.len() < BYTES_MAX {
        let Some(recorded) = all.try_next().map_err(|error| not_read(&error))? else { break };
        if filter.root.is_none() && recorded.event.root.starts_with('_') {
            continue;
        }
        let place = Place::Plain(database.cursor_behind(&recorded, Order::Arrival));
        send(&place, &recorded, &mut out);
        count += 1;
    }
    let more = all.lag() > 0;
    Ok((Phase::Following(all.cursor()), out.into(), more))
}

/// One event of the stream.
fn send(place: &Place, recorded: &Recorded, out: &mut Vec<u8>) {
    // Writing to a vector cannot fail.
    let _ = write!(out, "id: {place}\ndata: ");
    write_json(recorded, &Clockface::utc(), None, out);
    out.extend_from_slice(b"\n\n");
}
