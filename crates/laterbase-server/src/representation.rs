//! What tells the representations of one path apart, for whoever keeps answers: `Vary`, and an
//! entity tag for each coding (RFC 9110, 8.8.3 and 12.5.5).
//!
//! Forms have tags of their own where they are made; compression comes behind that, so its mark is
//! put on here.

use axum::http::{HeaderValue, header};
use axum::response::Response;

use crate::observe::AnsweredBy;
use crate::table;
use crate::write::entity_tag::compressed;

/// Says what an answer depends on. Stands before the compression, on the way out behind it.
pub(crate) async fn tell_apart(mut response: Response) -> Response {
    let by = response.extensions().get::<AnsweredBy>().map(|by| by.0);
    let has_forms =
        by.is_some_and(|id| table::routes().any(|route| route.id == id && route.has_forms()));
    let headers = response.headers_mut();
    if has_forms {
        headers.append(header::VARY, HeaderValue::from_static("accept"));
    }
    let Some(tag) = headers.get(header::ETAG) else { return response };
    if headers.contains_key(header::CONTENT_ENCODING)
        && let Some(tag) = compressed(tag)
    {
        headers.insert(header::ETAG, tag);
    }
    // The compression says so of what it could compress, but not of a 304.
    let coding = |value: &HeaderValue| value.as_bytes() == b"accept-encoding";
    if !headers.get_all(header::VARY).iter().any(coding) {
        headers.append(header::VARY, HeaderValue::from_static("accept-encoding"));
    }
    response
}
