//! The description of the interface: OpenAPI 3.1 at `/openapi.json`, and a page that shows it.
//!
//! Built from the table of routes, so that it knows each of them and no other. The schemas are
//! data, in `schemas.json`; a test holds them against the names that the table uses.

mod document;
#[cfg(test)]
mod members;

use std::sync::OnceLock;

use axum::http::{HeaderValue, header};
use axum::response::Response;

use crate::call::Call;
use crate::describe::text;
use crate::problem::Problem;

/// The page, without anything from outside.
const CONSOLE: &str = include_str!("console.html");
/// What the page may do: run its own script and ask this server.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

/// `GET /openapi.json`.
pub(crate) async fn document_answer(call: Call) -> Result<Response, Problem> {
    call.parameters()?;
    static TEXT: OnceLock<String> = OnceLock::new();
    let body = TEXT.get_or_init(|| format!("{:#}\n", document::document()));
    Ok(text(body.as_str(), "application/json"))
}

/// `GET /console/api`.
pub(crate) async fn console_answer(call: Call) -> Result<Response, Problem> {
    call.parameters()?;
    let mut response = text(CONSOLE, "text/html; charset=utf-8");
    let policy = HeaderValue::from_static(POLICY);
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    let no_sniff = HeaderValue::from_static("nosniff");
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, no_sniff);
    Ok(response)
}
