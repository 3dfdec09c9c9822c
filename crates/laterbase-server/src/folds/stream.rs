//! Rows, then each change as it happens, as server-sent events.
//!
//! ```text
//!   event: row     id: page cursor      each row of one moment, in key order
//!   event: ready   id: cursor           all rows of that moment were told
//!   event: change  id: cursor           a row's state after what was flushed since
//!   event: gone    id: cursor           a row that is no longer there
//! ```
//! Several events that change one row at once make one change. Whoever comes back with the last id
//! is told what changed since, each row once: from a page's id on the rest of the rows, which are
//! those of the same moment, and from a cursor on the changes behind it.

use std::convert::Infallible;
use std::io::Write as _;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use futures_util::stream;
use laterbase::{Changed, Cursor, Folded, Moment, PageCursor, PageRequest};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, sleep_until};

use super::Shape;
use super::answer::{Asking, last_event_id, not_folded, shown, to_text};
use crate::accept::Form;
use crate::access::Standing;
use crate::describe::text;
use crate::problem::{Kind, Problem};
use crate::request::blocking;
use crate::routes::Shared;

/// Rows that are read at once.
const ROWS_MAX: usize = 256;

/// Where a stream stands.
#[derive(Clone)]
enum Phase {
    /// Among the rows of one moment.
    Rows(Moment, Option<PageCursor>),
    /// Behind a cursor.
    Changes(Cursor),
}

/// A stream of rows.
struct Rows {
    shared: Arc<Shared>,
    asking: Arc<Asking>,
    phase: Phase,
    news: watch::Receiver<laterbase::Position>,
    ending: watch::Receiver<bool>,
    /// When to say that it is still there.
    say_so: Instant,
    greeted: bool,
    standing: Standing,
    _place: OwnedSemaphorePermit,
}

/// Answers with a stream that does not end by itself.
pub(super) async fn answer(
    shared: &Arc<Shared>,
    asking: Asking,
    standing: Standing,
) -> Result<Response, Problem> {
    let place = Arc::clone(&shared.streams).try_acquire_owned().map_err(|_| Problem::busy())?;
    for name in ["as_of", "valid_at", "limit", "after", "from", "until"] {
        if asking.parameters.has(name) {
            let detail = format!("an event stream has no `{name}`: it tells of now, and of all");
            return Err(Problem::bad_request(detail));
        }
    }
    let phase = begin(&asking)?;
    let rows = Rows {
        news: asking.hosted.news.subscribe(),
        ending: shared.ending.subscribe(),
        say_so: Instant::now() + shared.config.keep_alive,
        shared: Arc::clone(shared),
        asking: Arc::new(asking),
        phase,
        greeted: false,
        standing,
        _place: place,
    };
    let events = stream::unfold(rows, |rows| rows.next());
    let mut response = text(Body::from_stream(events), Form::EventStream.media_type());
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// Where a stream begins: where its client left, or with all rows of now.
fn begin(asking: &Asking) -> Result<Phase, Problem> {
    let database = &asking.hosted.database;
    let Some(id) = last_event_id(&asking.headers)? else {
        return Ok(Phase::Rows(Moment::default().upto(database.cursor()), None));
    };
    if let Ok(cursor) = id.parse::<Cursor>() {
        // Asks whether the cursor is one of this copy.
        let asked = asking.shown.changes(&cursor, 1);
        return asked.map(|_| Phase::Changes(cursor)).map_err(|error| not_folded(&error));
    }
    let cursor = id.parse::<PageCursor>();
    let cursor = cursor.map_err(|error| Problem::new(Kind::Cursor).detail(error))?;
    Ok(Phase::Rows(Moment::default(), Some(cursor)))
}

impl Rows {
    /// The next piece of the stream; none when it ends.
    async fn next(mut self) -> Option<(Result<Bytes, Infallible>, Self)> {
        if !self.greeted {
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
                changed = self.news.changed() => changed.ok()?,
                ended = self.ending.changed() => ended.ok()?,
                () = sleep_until(self.say_so) => {
                    self.say_so = Instant::now() + self.shared.config.keep_alive;
                    return Some((Ok(self.sign_of_life()), self));
                }
            }
        }
    }

    /// The next chunk; `true` if there may be more at once.
    async fn step(&mut self) -> Result<(Bytes, bool), Problem> {
        let (asking, phase) = (Arc::clone(&self.asking), self.phase.clone());
        let (phase, bytes, more) = blocking(move || match phase {
            Phase::Rows(moment, after) => next_rows(&asking, moment, after),
            Phase::Changes(cursor) => next_changes(&asking, cursor),
        })
        .await?;
        self.phase = phase;
        Ok((bytes, more))
    }

    /// A comment, and the place, so that whoever comes back is not told again.
    fn sign_of_life(&self) -> Bytes {
        match &self.phase {
            Phase::Changes(cursor) => format!("id: {cursor}\n: still here\n\n").into(),
            Phase::Rows(..) => Bytes::from_static(b": still here\n\n"),
        }
    }
}

/// Some rows of the moment; behind the last one, that they are all.
fn next_rows(
    asking: &Asking,
    moment: Moment,
    after: Option<PageCursor>,
) -> Result<(Phase, Bytes, bool), Problem> {
    let (mut from, mut until) = (None, None);
    if let Some(key) = &asking.key {
        // The first key behind this one.
        (from, until) = (Some(key.clone()), Some(format!("{key}\0")));
    }
    let request = PageRequest { moment: moment.clone(), from, until, limit: ROWS_MAX, after };
    let page = asking.shown.page(&request).map_err(|error| not_folded(&error))?;
    let mut out = Vec::new();
    for row in &page.rows {
        let id = page.place_behind(&row.key);
        let told = to_text(&shown(&row.key, &row.row))?;
        send("row", &id, &told, &mut out);
    }
    let phase = match page.next {
        Some(next) => Phase::Rows(moment, Some(next)),
        None => {
            send("ready", &page.cursor, b"{}", &mut out);
            Phase::Changes(page.cursor)
        }
    };
    Ok((phase, out.into(), true))
}

/// Some changes behind a cursor.
fn next_changes(asking: &Asking, cursor: Cursor) -> Result<(Phase, Bytes, bool), Problem> {
    let changes = asking.shown.changes(&cursor, ROWS_MAX).map_err(|error| not_folded(&error))?;
    let mut out = Vec::new();
    for (at, change) in changes.rows.iter().enumerate() {
        if asking.key.as_deref().is_some_and(|key| key != &*change.key) {
            continue;
        }
        // Rows that one arrival changed share their cursor: only the last of them has it as its id,
        // or a client that comes back would miss the others.
        let next = changes.rows.get(at + 1);
        let is_last = next.is_none_or(|next| next.cursor != change.cursor);
        tell(change, is_last, &mut out)?;
    }
    let more = !changes.rows.is_empty();
    Ok((Phase::Changes(changes.cursor), out.into(), more))
}

fn tell(change: &Changed<Shape>, has_id: bool, out: &mut Vec<u8>) -> Result<(), Problem> {
    let (name, row) = match &change.row {
        Ok(None) => ("gone", None),
        Ok(Some(folded)) => {
            let Folded { state, version } = folded;
            ("change", Some(Ok(Folded { state: state.clone(), version: *version })))
        }
        Err(failure) => ("change", Some(Err(failure.clone()))),
    };
    let told = match &row {
        Some(row) => to_text(&shown(&change.key, row))?,
        None => to_text(&serde_json::json!({ "key": &*change.key }))?,
    };
    let id = has_id.then(|| change.cursor.to_string());
    send(name, &id.as_deref().unwrap_or_default(), &told, out);
    Ok(())
}

/// One event of the stream.
fn send(name: &str, id: &impl std::fmt::Display, data: &[u8], out: &mut Vec<u8>) {
    let id = id.to_string();
    // Writing to a vector cannot fail.
    if !id.is_empty() {
        let _ = writeln!(out, "id: {id}");
    }
    let _ = write!(out, "event: {name}\ndata: ");
    out.extend_from_slice(data);
    out.extend_from_slice(b"\n\n");
}
