//! Refusals over HTTP: RFC 9457 problem documents.
//!
//! `type` is a relative reference, `/problems/KIND`, and stays the same for ever; `title` says what
//! the kind means, `detail` what happened this time and what to do next. Nothing of the inside
//! shows.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

/// A refusal.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    kind: &'static str,
    title: &'static str,
    detail: String,
    fields: Map<String, Value>,
    retry_after_s: Option<u32>,
}

impl Problem {
    fn new(status: StatusCode, kind: &'static str, title: &'static str) -> Self {
        let (detail, fields) = (String::new(), Map::new());
        Self { status, kind, title, detail, fields, retry_after_s: None }
    }

    /// 400: the request cannot be understood.
    pub(crate) fn bad_request(detail: impl ToString) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-request", "The request cannot be understood")
            .detail(detail)
    }

    /// 403: a web page of somewhere else asks.
    pub(crate) fn foreign(detail: impl ToString) -> Self {
        Self::new(StatusCode::FORBIDDEN, "foreign", "Web pages of other places may not ask")
            .detail(detail)
    }

    /// 404: nothing is at this path.
    pub(crate) fn no_such_path() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "There is nothing here")
    }

    /// 404: there is no such database.
    pub(crate) fn no_such_database(name: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "no-such-database", "There is no such database")
            .detail(format_args!("`GET /db` lists the databases; `{name}` is not among them"))
    }

    /// 405: the path has other methods.
    pub(crate) fn method() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method", "This path has other methods")
    }

    /// 408: the request took too long.
    pub(crate) fn timeout() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "timeout", "The request took too long")
    }

    /// 409: two requests of one session.
    pub(crate) fn session_busy() -> Self {
        Self::new(StatusCode::CONFLICT, "session-busy", "The session is at work on a request")
            .detail("wait for its answer, or begin a new session")
    }

    /// 409: what is recorded already stands against it.
    pub(crate) fn conflict(detail: impl ToString) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", "What is recorded stands against it")
            .detail(detail)
    }

    /// 410: the session is forgotten.
    pub(crate) fn session_unknown() -> Self {
        Self::new(StatusCode::GONE, "session-unknown", "The session is over or was forgotten")
            .detail("begin a new one: send a Hello without the session's header")
    }

    /// 413: the body is too long.
    pub(crate) fn too_large(bytes_max: usize) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The body is too long")
            .detail(format_args!("the most is {bytes_max} bytes; send it in parts"))
            .field("bytes_max", json!(bytes_max))
    }

    /// 415: the body is of another type.
    pub(crate) fn media_type(expected: &str) -> Self {
        let title = "The body is of another type";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media-type", title)
            .detail(format_args!("send {expected}"))
    }

    /// 422: an event is not allowed.
    pub(crate) fn refused_event(index: usize, detail: impl ToString) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "refused-event", "An event was refused")
            .detail(detail)
            .field("index", json!(index))
    }

    /// 500: a defect, or a database that failed.
    pub(crate) fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "The database failed")
            .detail("the server's output says more")
    }

    /// 503: too much at once.
    pub(crate) fn busy() -> Self {
        let mut problem =
            Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "The server has too much to do");
        problem.retry_after_s = Some(1);
        problem.detail("come back after the seconds in Retry-After")
    }

    /// 507: no room.
    pub(crate) fn storage(detail: impl ToString) -> Self {
        Self::new(StatusCode::INSUFFICIENT_STORAGE, "storage", "The storage failed").detail(detail)
    }

    pub(crate) fn detail(mut self, detail: impl ToString) -> Self {
        self.detail = detail.to_string();
        self
    }

    pub(crate) fn field(mut self, name: &str, value: Value) -> Self {
        self.fields.insert(name.to_owned(), value);
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut document = Map::new();
        document.insert("type".to_owned(), json!(format!("/problems/{}", self.kind)));
        document.insert("title".to_owned(), json!(self.title));
        document.insert("status".to_owned(), json!(self.status.as_u16()));
        if !self.detail.is_empty() {
            document.insert("detail".to_owned(), json!(self.detail));
        }
        document.extend(self.fields);
        let mut response = Response::new(Body::from(format!("{}\n", Value::Object(document))));
        *response.status_mut() = self.status;
        let problem = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, problem);
        if let Some(seconds) = self.retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
