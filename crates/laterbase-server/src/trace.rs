//! What a server tells `tracing`: a span around every request, an event for its answer, and one
//! for each notice.
//!
//! A program that installs no subscriber pays next to nothing and hears nothing. Nothing here looks
//! at headers, parameters, bodies or payloads: an operator's log holds no tokens and no data.
//! Paths are told, up to a bound; keys may stand in them.

use std::time::Duration;

use axum::http::{Method, Uri};
use tracing::{Level, Span, field};

use crate::notice::{Notice, What};

/// What events and spans are filtered by.
const TARGET: &str = "laterbase_server";
/// Letters of a path that are told.
const PATH_LETTERS_MAX: usize = 256;

/// The span of a request. Its level is the highest, so that whatever is logged within names its
/// request; `route`, `database`, `status` and `duration_us` are filled in as they become known.
pub(crate) fn request(id: &str, method: &Method, uri: &Uri) -> Span {
    tracing::error_span!(
        target: TARGET,
        "request",
        request_id = id,
        method = method.as_str(),
        path = shown_path(uri),
        route = field::Empty,
        database = field::Empty,
        status = field::Empty,
        duration_us = field::Empty,
    )
}

/// The request that is at work goes to this route, and to this database if it is one's.
pub(crate) fn routed(route: &str, database: Option<&str>) {
    let span = Span::current();
    span.record("route", route);
    if let Some(database) = database {
        span.record("database", database);
    }
}

/// The request of this span was answered; what streams may go on.
pub(crate) fn answered(span: &Span, level: Level, status: u16, took: Duration) {
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    span.record("status", status);
    span.record("duration_us", micros);
    if level == Level::INFO {
        tracing::info!(target: TARGET, parent: span, "answered");
    } else {
        tracing::debug!(target: TARGET, parent: span, "answered");
    }
}

/// Tells a notice. Answers have an event of their own.
pub(crate) fn notice(notice: &Notice) {
    let database = (!notice.database.is_empty()).then_some(notice.database.as_str());
    let peer = notice.peer.map(field::display);
    match &notice.what {
        What::Failed { .. } => tracing::error!(target: TARGET, database, peer, "{notice}"),
        What::Refused { .. }
        | What::Malformed { .. }
        | What::Forked { .. }
        | What::NotKept { .. }
        | What::Reincarnated { .. } => {
            tracing::warn!(target: TARGET, database, peer, "{notice}");
        }
        // Also told by streams, whose request was answered long ago.
        What::Denied { request, .. } => {
            tracing::warn!(target: TARGET, request_id = request.as_str(), "{notice}");
        }
        What::Answered { .. } => {}
    }
}

/// A connection was closed as it came, for want of places.
pub(crate) fn connection_refused(client: std::net::IpAddr) {
    tracing::debug!(target: TARGET, %client, "closed a connection: there are too many");
}

fn shown_path(uri: &Uri) -> &str {
    let path = uri.path();
    path.char_indices().nth(PATH_LETTERS_MAX).and_then(|(end, _)| path.get(..end)).unwrap_or(path)
}
