//! Refusals over HTTP: RFC 9457 problem documents.
//!
//! `type` is a relative reference, `/problems/KIND`, and stays the same for ever; `title` says what
//! the kind means, `detail` what happened this time and what to do next. Nothing of the inside
//! shows. [`Kind`] is the closed list of them.

use std::fmt::Display;

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

pub(crate) use crate::kind::Kind;

/// A refusal.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    kind: Kind,
    detail: String,
    fields: Map<String, Value>,
    retry_after_s: Option<u32>,
    /// For the operator, never for the client.
    reason: Option<String>,
}

/// An event of a body that is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    /// Its index in the body, from 0.
    pub(crate) index: usize,
    pub(crate) detail: String,
}

impl Problem {
    pub(crate) fn new(kind: Kind) -> Self {
        Self { kind, detail: String::new(), fields: Map::new(), retry_after_s: None, reason: None }
    }

    /// One whose detail is what there is to do about its kind.
    fn advised(kind: Kind) -> Self {
        Self::new(kind).detail(kind.advice())
    }

    /// 400: the request cannot be understood.
    pub(crate) fn bad_request(detail: impl ToString) -> Self {
        Self::new(Kind::BadRequest).detail(detail)
    }

    /// 403: a web page of somewhere else asks.
    pub(crate) fn foreign(detail: impl ToString) -> Self {
        Self::new(Kind::Foreign).detail(detail)
    }

    /// 404: nothing is at this path.
    pub(crate) fn no_such_path() -> Self {
        Self::advised(Kind::NotFound)
    }

    /// 404: there is no such database.
    pub(crate) fn no_such_database(name: &str) -> Self {
        Self::new(Kind::NoSuchDatabase)
            .detail(format_args!("`GET /db` lists the databases; `{name}` is not among them"))
    }

    /// 405: the path has other methods.
    pub(crate) fn method() -> Self {
        Self::advised(Kind::Method)
    }

    /// 406: none of the forms is wanted.
    pub(crate) fn not_acceptable(there_are: &str) -> Self {
        Self::new(Kind::NotAcceptable).detail(format_args!("this path answers with {there_are}"))
    }

    /// 408: the request took too long.
    pub(crate) fn timeout() -> Self {
        Self::advised(Kind::Timeout)
    }

    /// 503: the answer takes too long.
    pub(crate) fn slow() -> Self {
        Self::advised(Kind::Slow)
    }

    /// 409: two requests of one session.
    pub(crate) fn session_busy() -> Self {
        Self::advised(Kind::SessionBusy)
    }

    /// 410: the session is forgotten.
    pub(crate) fn session_unknown() -> Self {
        Self::advised(Kind::SessionUnknown)
    }

    /// 413: the body is too long.
    pub(crate) fn too_large(bytes_max: usize) -> Self {
        Self::new(Kind::TooLarge)
            .detail(format_args!("the most is {bytes_max} bytes; send it in parts"))
            .field("bytes_max", json!(bytes_max))
    }

    /// 415: the body is of another type.
    pub(crate) fn media_type(expected: &str) -> Self {
        Self::new(Kind::MediaType).detail(format_args!("send {expected}"))
    }

    /// 422: events are not allowed.
    pub(crate) fn refused_events(refused: &[Refused]) -> Self {
        let index = refused.first().map_or(0, |first| first.index);
        let detail = match refused {
            [one] => format!("event {}: {}", one.index, one.detail),
            [one, rest @ ..] => {
                format!("event {}: {}; and {} more", one.index, one.detail, rest.len())
            }
            [] => String::new(),
        };
        let one = |refused: &Refused| json!({ "index": refused.index, "detail": refused.detail });
        Self::new(Kind::RefusedEvent)
            .detail(detail)
            .field("index", json!(index))
            .field("errors", refused.iter().map(one).collect())
    }

    /// 500: a defect, or a database that failed.
    pub(crate) fn internal() -> Self {
        Self::advised(Kind::Internal)
    }

    /// 500, with what the operator is told.
    pub(crate) fn failed(reason: impl ToString) -> Self {
        Self { reason: Some(reason.to_string()), ..Self::internal() }
    }

    /// 401 or 403: the client is told nothing but the kind.
    pub(crate) fn denied(kind: Kind, reason: String) -> Self {
        Self { reason: Some(reason), ..Self::advised(kind) }
    }

    /// Which kind it is.
    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// The same as another kind.
    pub(crate) fn of_kind(self, kind: Kind) -> Self {
        Self { kind, detail: kind.advice().to_owned(), ..self }
    }

    /// What the operator is told.
    pub(crate) fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    /// 503: too much at once.
    pub(crate) fn busy() -> Self {
        Self { retry_after_s: Some(1), ..Self::advised(Kind::Busy) }
    }

    /// 503: a fold is being made, and the one before knows no answer.
    pub(crate) fn rebuilding() -> Self {
        Self { retry_after_s: Some(5), ..Self::advised(Kind::Rebuilding) }
    }

    /// The same, with what the operator is told.
    pub(crate) fn because(self, reason: impl ToString) -> Self {
        Self { reason: Some(reason.to_string()), ..self }
    }

    /// 429: too many requests from one place.
    pub(crate) fn rate_limit(retry_after_s: u32) -> Self {
        Self { retry_after_s: Some(retry_after_s), ..Self::advised(Kind::RateLimit) }
    }

    pub(crate) fn detail(mut self, detail: impl ToString) -> Self {
        self.detail = detail.to_string();
        self
    }

    /// The same, with more behind its detail.
    pub(crate) fn and(mut self, more: impl Display) -> Self {
        let end = if self.detail.ends_with(['.', '!', '?']) { "" } else { "." };
        self.detail = format!("{}{end} {more}", self.detail);
        self
    }

    pub(crate) fn field(mut self, name: &str, value: Value) -> Self {
        self.fields.insert(name.to_owned(), value);
        self
    }

    /// The document, without a line end.
    pub(crate) fn document(&self) -> Value {
        let mut document = Map::new();
        document.insert("type".to_owned(), json!(format!("/problems/{}", self.kind.name())));
        document.insert("title".to_owned(), json!(self.kind.title()));
        document.insert("status".to_owned(), json!(self.kind.status().as_u16()));
        document.insert("detail".to_owned(), json!(self.detail));
        document.extend(self.fields.clone());
        Value::Object(document)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(format!("{}\n", self.document())));
        *response.status_mut() = self.kind.status();
        let problem = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, problem);
        if self.kind == Kind::Unauthorized {
            let bearer = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, bearer);
        }
        if let Some(seconds) = self.retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
