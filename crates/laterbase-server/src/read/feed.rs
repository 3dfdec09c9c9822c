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

use std::io::Write as _;
use std::sync::Arc;

use axum::body::Bytes;
use axum::response::Response;
use laterbase::{Cursor, Database, Order, Position, Query, Recorded, Start};
use laterbase_json::time::Clockface;
use laterbase_json::write_json;
use tokio::task::block_in_place;

use super::Reading;
use super::place::Place;
use super::reader::{Reader, not_read};
use super::selection::Selection;
use crate::databases::Hosted;
use crate::event_stream::{self, Chunks};
use crate::problem::{Kind, Problem};
use crate::routes::Shared;

/// Events and bytes that are read at once.
const EVENTS_MAX: usize = 256;
const BYTES_MAX: usize = 256 << 10;
/// Positions that a stream may be behind to read where it stands: those are in memory, as a rule.
/// What reaches further back is read in turn, on a thread that may wait for a device.
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
}

/// Answers with a stream that does not end by itself.
pub(super) async fn answer(reading: Reading, selection: Selection) -> Result<Response, Problem> {
    let place = event_stream::place(&reading.shared)?;
    check(&selection)?;
    let filter = Arc::new(selection.query.clone());
    let database = reading.hosted.database.clone();
    let phase = reading.shared.admission.step(move || begin(&database, selection)).await?;
    let standing = reading.standing();
    let Reading { shared, hosted, .. } = reading;
    let feed = Feed { shared: Arc::clone(&shared), hosted: Arc::clone(&hosted), filter, phase };
    Ok(event_stream::answer(&shared, &hosted, place, standing, feed))
}

/// Whether a selection can be followed: all of the past and all that comes, in no other order.
fn check(selection: &Selection) -> Result<(), Problem> {
    let refused = |detail: &str| Err(Problem::bad_request(detail));
    match (&selection.query.cut, selection.query.order, selection.limit) {
        _ if selection.query.direction == laterbase::Direction::Backward => {
            refused("an event stream goes forward: leave `reverse` out")
        }
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

impl Chunks for Feed {
    async fn next(&mut self, flushed: Position) -> Result<(Bytes, bool), Problem> {
        let (database, filter) = (self.hosted.database.clone(), Arc::clone(&self.filter));
        let phase = std::mem::replace(&mut self.phase, Phase::Following(database.cursor()));
        let (phase, bytes, more) = match phase {
            Phase::CatchingUp(reader) => {
                self.shared.admission.step(move || catch_up(reader)).await?
            }
            Phase::Following(cursor) => {
                let from = cursor.position().unwrap_or(Position::NONE).as_u64();
                if flushed.as_u64().saturating_sub(from) <= NEAR {
                    block_in_place(|| follow(&database, &filter, cursor))?
                } else {
                    let step = move || follow(&database, &filter, cursor);
                    self.shared.admission.step(step).await?
                }
            }
        };
        self.phase = phase;
        Ok((bytes, more))
    }

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
        let recorded = database.with_names(recorded).map_err(|error| not_read(&error))?;
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
