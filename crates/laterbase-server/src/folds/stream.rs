//! Rows, then each change as it happens, as server-sent events.
//!
//! ```text
//!   event: row     id: page cursor      each row of one moment, in key order
//!   event: ready   id: cursor           all rows of that moment were told
//!   event: change  id: cursor           a row's state after what was flushed since
//!   event: gone    id: cursor           a row that is no longer there
//! ```
//! A view whose rows are being made, while those of another version answer, is waited for: a stream
//! tells of one version alone.
//!
//! Several events that change one row at once make one change. Whoever comes back with the last id
//! is told what changed since, each row once: from a page's id on the rest of the rows, which are
//! those of the same moment, and from a cursor on the changes behind it.

use std::io::Write as _;
use std::sync::Arc;

use axum::body::Bytes;
use axum::response::Response;
use laterbase::{Changed, Cursor, Folded, Moment, PageCursor, PageRequest, Position, Query, Start};

use super::Shape;
use super::answer::{Asking, last_event_id, made_by, not_folded, shown, to_text};
use crate::access::Standing;
use crate::event_stream::{self, Chunks};
use crate::problem::{Kind, Problem};
use crate::read::not_read;
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
}

/// Answers with a stream that does not end by itself.
pub(super) async fn answer(
    shared: &Arc<Shared>,
    asking: Asking,
    standing: Standing,
) -> Result<Response, Problem> {
    let place = event_stream::place(shared)?;
    for name in ["as_of", "valid_at", "limit", "after", "from", "until"] {
        if asking.parameters.has(name) {
            let detail = format!("an event stream has no `{name}`: it tells of now, and of all");
            return Err(Problem::bad_request(detail));
        }
    }
    let hosted = Arc::clone(&asking.hosted);
    let asking = Arc::new(asking);
    let asked = Arc::clone(&asking);
    let phase = shared.admission.step(move || begin(&asked)).await?;
    let fold_version = asking.shown.version();
    let rows = Rows { shared: Arc::clone(shared), asking, phase };
    let mut response = event_stream::answer(shared, &hosted, place, standing, rows);
    made_by(fold_version, &mut response);
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
        let asked = database.subscribe(&Query::all(), Start::After(cursor));
        return asked.map(|_| Phase::Changes(cursor)).map_err(|error| not_read(&error));
    }
    let cursor = id.parse::<PageCursor>();
    let cursor = cursor.map_err(|error| Problem::new(Kind::Cursor).detail(error))?;
    // The same of a page's.
    if asking.shown.previous().is_some() {
        // What it does not fit is told when the rows are there: the stream ends then.
        return Ok(Phase::Rows(Moment::default(), Some(cursor)));
    }
    let request = PageRequest { limit: 1, after: Some(cursor.clone()), ..PageRequest::default() };
    asking.shown.page(&request).map_err(|error| not_folded(&error))?;
    Ok(Phase::Rows(Moment::default(), Some(cursor)))
}

impl Chunks for Rows {
    async fn next(&mut self, _: Position) -> Result<(Bytes, bool), Problem> {
        if self.asking.shown.previous().is_some() {
            // There is news once this version is ready.
            return Ok((Bytes::new(), false));
        }
        let (asking, phase) = (Arc::clone(&self.asking), self.phase.clone());
        let step = move || match phase {
            Phase::Rows(moment, after) => next_rows(&asking, moment, after),
            Phase::Changes(cursor) => next_changes(&asking, cursor),
        };
        let (phase, bytes, more) = self.shared.admission.step(step).await?;
        self.phase = phase;
        Ok((bytes, more))
    }

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
    let is_asked = |key: &str| asking.key.as_deref().is_none_or(|asked| asked == key);
    let mut told = changes.rows.iter().filter(|change| is_asked(&change.key)).peekable();
    while let Some(change) = told.next() {
        // Rows that one arrival changed share their cursor: only the last of those that are told
        // has it as its id, or a client that comes back would miss the others.
        let is_last = told.peek().is_none_or(|next| next.cursor != change.cursor);
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
