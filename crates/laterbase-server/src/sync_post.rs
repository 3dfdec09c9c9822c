//! `POST …/sync`: one request carries a flight of the client, its answer one of the server.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;

use crate::call::Call;
use crate::databases::Hosted;
use crate::desk::{Answer, Turned};
use crate::notice::{Notice, What};
use crate::problem::Problem;
use crate::request::{Whole, media_type, whole};
use crate::routes::Shared;
use crate::sync_grant::SyncGrant;

/// The header that names a session.
pub(crate) const SESSION: HeaderName = HeaderName::from_static("laterbase-session");
/// The header that says that gossip told of more than it brought.
const LACKS: HeaderName = HeaderName::from_static("laterbase-lacks");

/// What bodies with frames are.
pub(crate) const FRAMES_TYPE: &str = "application/vnd.laterbase.frames";

/// Answers one flight.
pub(crate) async fn exchange(mut call: Call) -> Result<Response, Problem> {
    let hosted = call.hosted()?;
    call.parameters()?;
    if media_type(call.headers()).as_deref() != Some(FRAMES_TYPE) {
        return Err(Problem::media_type(FRAMES_TYPE));
    }
    let session = match call.headers().get(&SESSION).map(HeaderValue::to_str) {
        None => None,
        Some(Ok(session)) => Some(session.to_owned()),
        Some(Err(_)) => return Err(Problem::session_unknown()),
    };
    let grant = call.granted()?;
    let Call { shared, body, .. } = call;
    let flight = whole(&shared, body).await?;
    let server = Arc::clone(&shared);
    let exchange = move || {
        let shared = server;
        if session.is_none() && hosted.desk.is_gossip(&flight) {
            return gossip(&shared, &hosted, &flight, &grant);
        }
        let turned = |turned| refused(&shared, &hosted, turned);
        let answer = hosted.desk.exchange(&flight, session.as_deref(), &grant).map_err(turned)?;
        for outcome in &answer.outcomes {
            if let Some(notice) = Notice::of(&hosted.name, answer.peer, outcome) {
                shared.notice(&notice);
            }
        }
        Ok(frames(answer))
    };
    shared.admission.run(exchange).await
}

fn frames(answer: Answer) -> Response {
    let mut response = Response::new(Body::from(answer.flight));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(FRAMES_TYPE));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(session) = answer.session.and_then(|session| session.parse().ok()) {
        headers.insert(SESSION, session);
    }
    response
}

fn gossip(
    shared: &Shared,
    hosted: &Hosted,
    flight: &Whole,
    grant: &SyncGrant,
) -> Result<Response, Problem> {
    let heard =
        hosted.desk.hear(flight, grant).map_err(|turned| refused(shared, hosted, turned))?;
    let heard = heard.map_err(|error| Problem::bad_request(format_args!("no frame: {error}")))?;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    if let Some(heard) = heard {
        for outcome in &heard.outcomes {
            if let Some(notice) = Notice::of(&hosted.name, Some(heard.from), outcome) {
                shared.notice(&notice);
            }
        }
        if heard.lacks {
            response.headers_mut().insert(LACKS, HeaderValue::from_static("1"));
        }
        (shared.gossip)(&hosted.name, &heard);
    }
    Ok(response)
}

fn refused(shared: &Shared, hosted: &Hosted, turned: Turned) -> Problem {
    match turned {
        Turned::SessionUnknown => Problem::session_unknown(),
        Turned::SessionBusy => Problem::session_busy(),
        Turned::Full => Problem::busy(),
        Turned::Host(reason) => {
            let what = What::Failed { reason };
            shared.notice(&Notice { database: hosted.name.clone(), peer: None, what });
            Problem::internal()
        }
    }
}
