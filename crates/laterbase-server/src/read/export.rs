//! NDJSON: any number of events, streamed.
//!
//! Page after page is read when the client has taken the one before, so a slow client holds up
//! nothing and keeps a page at the most, and one that leaves ends the read.

use std::io;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::HeaderValue;
use axum::response::Response;
use futures_util::{StreamExt as _, stream};
use tokio::sync::OwnedSemaphorePermit;

use super::reader::Reader;
use super::selection::Selection;
use super::{CURSOR, Reading, forms};
use crate::accept::Form;
use crate::access::Standing;
use crate::describe::text;
use crate::problem::{Kind, Problem};

/// Events and bytes that are read at once.
const EVENTS_MAX: usize = 1_000;
const BYTES_MAX: usize = 256 << 10;

/// A read and the place that it takes.
struct Export {
    reader: Reader,
    left: usize,
    standing: Standing,
    _place: OwnedSemaphorePermit,
}

/// Answers with a line for each event.
pub(super) async fn answer(reading: Reading, selection: Selection) -> Result<Response, Problem> {
    let place = Arc::clone(&reading.shared.streams).try_acquire_owned();
    let place = place.map_err(|_| Problem::busy())?;
    let left = selection.limit.unwrap_or(usize::MAX);
    let (database, standing) = (reading.hosted.database.clone(), reading.standing());
    let (shared, teller) = (Arc::clone(&reading.shared), standing.clone());
    let begin = move || {
        let reader = Reader::new(&database, selection)?;
        Ok(Export { reader, left, standing, _place: place })
    };
    let export = shared.admission.step(begin).await?;
    let bound = export.reader.bound();
    let lines = stream::unfold((shared, Some(export)), move |(shared, export)| {
        let teller = teller.clone();
        async move {
            let export = export.filter(|export| export.reader.has_more() && export.left > 0)?;
            Some(match shared.admission.step(move || export.next()).await {
                Ok((export, lines)) => (Ok(lines), (shared, Some(export))),
                // The answer has begun: all that is left is to break it off, so that nobody takes
                // it for whole.
                Err(problem) => {
                    teller.tell(&problem);
                    (Err(io::Error::other("the read was broken off")), (shared, None))
                }
            })
        }
    });
    let mut response = text(Body::from_stream(lines.fuse()), Form::Ndjson.media_type());
    if let Some(bound) = bound
        && let Ok(value) = HeaderValue::from_str(&bound.to_string())
    {
        response.headers_mut().insert(CURSOR, value);
    }
    Ok(response)
}

impl Export {
    /// The next lines, and what is left.
    fn next(mut self) -> Result<(Self, Bytes), Problem> {
        if !self.standing.holds() {
            return Err(Problem::new(Kind::Forbidden));
        }
        let events = self.reader.next(EVENTS_MAX.min(self.left), BYTES_MAX)?;
        self.left -= events.len();
        let mut out = Vec::with_capacity(events.len() * 256);
        events.iter().for_each(|recorded| forms::line(recorded, &mut out));
        Ok((self, Bytes::from(out)))
    }
}
