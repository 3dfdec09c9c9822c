//! What requests go through: where they come from, and how their bodies arrive.

use std::net::IpAddr;
use std::ops::Deref;
use std::sync::Arc;

use axum::body::{Body, HttpBody as _};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt as _;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::admission::Room;
use crate::call::Call;
use crate::config::ServerConfig;
use crate::problem::Problem;
use crate::routes::Shared;

/// Turns away what a web page of somewhere else could make a browser send: across sites (Origin),
/// and where only this machine may ask, by a name that leads here (Host). The server's own pages
/// and origins that the operator lists may ask.
pub(crate) async fn from_here(config: Arc<ServerConfig>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    // What is no text is no name of this machine.
    let host = headers.get(header::HOST).map(|host| host.to_str().unwrap_or_default());
    if !config.may_be_reached() && host.is_some_and(|host| !is_this_machine(host)) {
        let detail = "the header Host names another machine; use 127.0.0.1 or localhost";
        return Problem::foreign(detail).into_response();
    }
    if let Some(origin) = headers.get(header::ORIGIN) {
        let text = origin.to_str().ok();
        let is_listed = |text: &str| config.cors_origins.iter().any(|listed| listed == text);
        let site = text.and_then(|text| text.split_once("://")).map(|(_, site)| site);
        let is_own = |site| is_this_machine(site) || host == Some(site);
        if !site.is_some_and(is_own) && !text.is_some_and(is_listed) {
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

/// A body that has arrived, with its room.
#[derive(Debug)]
pub(crate) struct Whole {
    bytes: Vec<u8>,
    _room: Room,
}

impl Whole {
    pub(crate) fn new(bytes: Vec<u8>, room: Room) -> Self {
        Self { bytes, _room: room }
    }
}

impl Deref for Whole {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// The whole body, if it arrives in time and is not too long.
pub(crate) async fn whole(shared: &Shared, body: Body) -> Result<Whole, Problem> {
    let arrived = tokio::time::timeout(shared.config.request_timeout, gather(shared, body));
    arrived.await.unwrap_or_else(|_| Err(Problem::timeout()))
}

/// What a body of JSON asks for; its default if there is none.
pub(crate) async fn json_or_default<T: Default + DeserializeOwned>(
    call: &mut Call,
) -> Result<T, Problem> {
    if !matches!(media_type(call.headers()).as_deref(), None | Some("application/json")) {
        return Err(Problem::media_type("application/json, or no body"));
    }
    let body = std::mem::take(&mut call.body);
    let body = whole(&call.shared, body).await?;
    if body.is_empty() {
        return Ok(T::default());
    }
    serde_json::from_slice(&body)
        .map_err(|error| Problem::bad_request(format_args!("the body: {error}")))
}

async fn gather(shared: &Shared, body: Body) -> Result<Whole, Problem> {
    let bytes_max = shared.config.body_bytes_max;
    if body.size_hint().lower() > bytes_max as u64 {
        return Err(Problem::too_large(bytes_max));
    }
    let (mut bytes, mut room) = (Vec::<u8>::new(), shared.admission.room());
    let mut pieces = body.into_data_stream();
    while let Some(piece) = pieces.next().await {
        let broken = |_| Problem::bad_request("the body did not arrive whole");
        let piece = piece.map_err(broken)?;
        if piece.len() > bytes_max - bytes.len() {
            return Err(Problem::too_large(bytes_max));
        }
        let needed = bytes.len() + piece.len();
        if needed > bytes.capacity() {
            let larger = needed.max(2 * bytes.capacity()).min(bytes_max);
            room.hold(larger)?;
            bytes.reserve_exact(larger - bytes.len());
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(Whole::new(bytes, room))
}

/// Refuses a body where there is nothing to say in one.
pub(crate) async fn empty(body: &mut Body, instead: &str) -> Result<(), Problem> {
    match axum::body::to_bytes(std::mem::take(body), 0).await {
        Ok(_) => Ok(()),
        Err(_) => Err(Problem::bad_request(format_args!("send no body here: {instead}"))),
    }
}

/// What the body is said to be, without parameters.
pub(crate) fn media_type(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    Some(text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

/// A JSON document, with a line end.
pub(crate) fn json(document: &Value) -> Response {
    json_text(format!("{document}\n"))
}

/// The same, written already.
pub(crate) fn json_text(text: String) -> Response {
    let mut response = Response::new(Body::from(text));
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
