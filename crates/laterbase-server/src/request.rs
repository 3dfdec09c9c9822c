//! What every request goes through: a place among those at work, a bounded body, bounded time, and
//! a thread that may block.

use std::future::Future;
use std::sync::Arc;

use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use crate::problem::Problem;
use crate::routes::Shared;

/// Answers a request within the server's time, if there is a place for it.
pub(crate) async fn guarded<F>(shared: &Arc<Shared>, answer: F) -> Response
where
    F: Future<Output = Result<Response, Problem>>,
{
    let Ok(_place) = Arc::clone(&shared.requests).try_acquire_owned() else {
        return Problem::busy().into_response();
    };
    match tokio::time::timeout(shared.config.request_timeout, answer).await {
        Ok(Ok(response)) => response,
        Ok(Err(problem)) => problem.into_response(),
        Err(_) => Problem::timeout().into_response(),
    }
}

/// The whole body, if it is not too long.
pub(crate) async fn whole(shared: &Shared, body: Body) -> Result<Bytes, Problem> {
    let bytes_max = shared.config.body_bytes_max;
    to_bytes(body, bytes_max).await.map_err(|error| {
        let text = error.to_string();
        if text.contains("length limit") {
            Problem::too_large(bytes_max)
        } else {
            Problem::bad_request("the body did not arrive whole")
        }
    })
}

/// Runs what blocks on a thread for that.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(Problem::internal()))
}

/// What the body is said to be, without parameters.
pub(crate) fn media_type(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    Some(text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

/// A JSON document, with a line end.
pub(crate) fn json(document: &Value) -> Response {
    let mut response = Response::new(Body::from(format!("{document}\n")));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}
