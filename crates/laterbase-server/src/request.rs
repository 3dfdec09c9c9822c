//! What every request goes through: a place among those at work, a bounded body, bounded time, and
//! a thread that may block.

use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use crate::config::ServerConfig;
use crate::problem::Problem;
use crate::routes::Shared;

/// Answers a request within the server's time, if there is a place for it.
pub(crate) async fn guarded<F>(shared: &Arc<Shared>, answer: F) -> Result<Response, Problem>
where
    F: Future<Output = Result<Response, Problem>>,
{
    let Ok(_place) = Arc::clone(&shared.requests).try_acquire_owned() else {
        return Err(Problem::busy());
    };
    let answered = tokio::time::timeout(shared.config.request_timeout, answer).await;
    answered.unwrap_or_else(|_| Err(Problem::timeout()))
}

/// Turns away what a web page of somewhere else could make a browser of this machine send: by a
/// name that leads here (Host), or across sites (Origin). Origins that the operator lists may ask.
pub(crate) async fn from_here(config: Arc<ServerConfig>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    if let Some(host) = headers.get(header::HOST)
        && !host.to_str().is_ok_and(is_this_machine)
    {
        let detail = "the header Host names another machine; use 127.0.0.1 or localhost";
        return Problem::foreign(detail).into_response();
    }
    if let Some(origin) = headers.get(header::ORIGIN) {
        let text = origin.to_str().ok();
        let is_listed = |text: &str| config.cors_origins.iter().any(|listed| listed == text);
        let site = text.and_then(|text| text.split_once("://"));
        if !site.is_some_and(|(_, host)| is_this_machine(host)) && !text.is_some_and(is_listed) {
            let detail = "the header Origin is not of this machine";
            return Problem::foreign(detail).into_response();
        }
    }
    next.run(request).await
}

/// Whether `HOST` or `HOST:PORT` is this machine, by a name that nobody else can give away.
fn is_this_machine(authority: &str) -> bool {
    let is_port = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if is_port(port) => host,
        Some(_) | None => authority,
    };
    let ip = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    ip.map_or(host.eq_ignore_ascii_case("localhost"), |ip| ip.is_loopback())
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

/// Refuses a body where there is nothing to say in one.
pub(crate) async fn empty(body: &mut Body, instead: &str) -> Result<(), Problem> {
    match to_bytes(std::mem::take(body), 0).await {
        Ok(_) => Ok(()),
        Err(_) => Err(Problem::bad_request(format_args!("send no body here: {instead}"))),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_taken() {
        for here in ["localhost", "LOCALHOST:80", "127.0.0.1:7410", "127.8.8.8", "[::1]:7410"] {
            assert!(is_this_machine(here), "{here}");
        }
        for there in ["", "example.org", "localhost.example.org:80", "192.0.2.1:7410", "null"] {
            assert!(!is_this_machine(there), "{there}");
        }
    }
}
