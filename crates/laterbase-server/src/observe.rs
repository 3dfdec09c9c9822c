//! What surrounds every request: its id, its bounds, its place in the counts and in the log.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use serde_json::json;
use tracing::{Instrument as _, Level};

use crate::call::{Client, RequestId};
use crate::notice::{Notice, What};
use crate::problem::{Kind, Problem};
use crate::routes::Shared;
use crate::trace;

/// The header that names a request.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What an answer that no route gave is counted under.
const NO_ROUTE: &str = "none";

/// Which route gave an answer: put into the answer by the route.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AnsweredBy(pub(crate) &'static str);

/// Names requests: a random number for each server, and a count.
#[derive(Debug)]
pub(crate) struct Names {
    server: u64,
    count: AtomicU64,
}

impl Names {
    pub(crate) fn new() -> Self {
        // Without randomness the names are told apart by their count alone.
        let server = getrandom::u64().unwrap_or_default();
        Self { server, count: AtomicU64::new(0) }
    }

    fn next(&self) -> Arc<str> {
        let mut name = String::with_capacity(24);
        let _ = write!(name, "{:08x}-", self.server as u32);
        let _ = write!(name, "{:x}", self.count.fetch_add(1, Ordering::Relaxed));
        name.into()
    }
}

/// Names a request, holds it against its bounds, has it answered, and counts the answer.
pub(crate) async fn observe(
    State(shared): State<Arc<Shared>>,
    mut request: Request,
    next: Next,
) -> Response {
    let began = Instant::now();
    let given = request.headers().get(&REQUEST_ID).and_then(|value| value.to_str().ok());
    let id: Arc<str> = match given.filter(|id| is_request_id(id)) {
        Some(id) => id.into(),
        None => shared.names.next(),
    };
    let (method, uri) = (request.method().clone(), request.uri().clone());
    request.extensions_mut().insert(RequestId(Arc::clone(&id)));
    let named = HeaderValue::from_str(&id).ok();
    if let Some(name) = &named {
        request.headers_mut().insert(REQUEST_ID, name.clone());
    }
    let span = trace::request(&id, &method, &uri);
    let mut response = match within_bounds(&shared, &request) {
        Ok(()) => next.run(request).instrument(span.clone()).await,
        Err(problem) => problem.into_response(),
    };
    if let Some(name) = named {
        response.headers_mut().insert(REQUEST_ID, name);
    }
    let route = response.extensions().get::<AnsweredBy>().map_or(NO_ROUTE, |by| by.0);
    let (status, took) = (response.status().as_u16(), began.elapsed());
    shared.metrics.count_answer(route, status);
    let level = if shared.config.log_requests { Level::INFO } else { Level::DEBUG };
    trace::answered(&span, level, status, took);
    if shared.config.log_requests {
        shared.notice(&answered(&id, &method, &uri, status, took));
    }
    response
}

fn answered(id: &str, method: &Method, uri: &Uri, status: u16, took: Duration) -> Notice {
    let what = What::Answered {
        request: id.to_owned(),
        method: method.to_string(),
        path: uri.path().to_owned(),
        status,
        micros: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
    };
    Notice { database: String::new(), peer: None, what }
}

fn within_bounds(shared: &Shared, request: &Request) -> Result<(), Problem> {
    let config = &shared.config;
    if let (Some(rates), Some(Client(client))) = (&shared.rates, request.extensions().get()) {
        rates.take(*client, Instant::now()).map_err(Problem::rate_limit)?;
    }
    let uri_bytes = request.uri().path_and_query().map_or(0, |text| text.as_str().len());
    if uri_bytes > config.uri_bytes_max {
        let bytes_max = config.uri_bytes_max;
        let detail = format_args!("the most is {bytes_max} bytes; POST …/changes takes a body");
        return Err(Problem::new(Kind::UriTooLong).detail(detail));
    }
    let headers = request.headers().iter();
    let header_bytes: usize = headers.map(|(name, value)| name.as_str().len() + value.len()).sum();
    if header_bytes > config.header_bytes_max {
        let bytes_max = config.header_bytes_max;
        let detail = format_args!("the most is {bytes_max} bytes for all of them together");
        let problem = Problem::new(Kind::HeadersTooLarge).detail(detail);
        return Err(problem.field("bytes_max", json!(bytes_max)));
    }
    Ok(())
}

/// A name that may stand in a log: up to 128 letters, digits and signs.
fn is_request_id(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}
