//! A database at a server, for programs that read and write it there without a copy of their own.
//!
//! ```text
//!   get, post ──▶ answer: a body to read, or a problem document with all its members
//! ```
//! A server that is busy is asked again a few times: it has done nothing then. Whatever else goes
//! wrong is the caller's, who knows what may be asked twice.

use std::io::Read;
use std::time::Duration;

use serde_json::{Map, Value};
use ureq::http::Response;
use ureq::{Agent, Body, SendBody};

use crate::address::PeerAddress;
use crate::http::{agent, failed, header};
use crate::token::Token;
use crate::wire::WireError;

/// The longest document that is read whole.
const DOCUMENT_BYTES_MAX: u64 = 64 << 20;
/// The longest problem document that is read.
const PROBLEM_BYTES_MAX: u64 = 1 << 20;
/// How often a busy server is asked.
const ATTEMPTS: u32 = 5;

/// A database at a server.
#[derive(Clone, Debug)]
pub struct Remote {
    /// For what is answered whole.
    whole: Agent,
    /// For answers that go on for as long as they like.
    streams: Agent,
    address: PeerAddress,
    token: Option<Token>,
}

/// A server did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RemoteError {
    /// It was not reached, or its answer did not come.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// It refused, and says why.
    #[error("{0}")]
    Problem(Box<Problem>),
}

/// What a server says of a request that it refused (RFC 9457).
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// The HTTP status.
    pub status: u16,
    /// What stands behind `/problems/` in its type.
    pub kind: String,
    /// What the kind means.
    pub title: String,
    /// What happened here, and what to do.
    pub detail: String,
    /// All its members.
    pub members: Map<String, Value>,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.detail.is_empty() {
            return out.write_str(&self.title);
        }
        write!(out, "{}: {}", self.title, self.detail)
    }
}

impl Remote {
    /// The database at `address`. A request and an answer that is read whole may take `timeout`
    /// each.
    #[must_use]
    pub fn new(address: PeerAddress, token: Option<Token>, timeout: Duration) -> Self {
        let whole = agent(&address, timeout, Some(timeout));
        let streams = agent(&address, timeout, None);
        Self { whole, streams, address, token }
    }

    /// Where it is.
    #[must_use]
    pub fn address(&self) -> &PeerAddress {
        &self.address
    }

    /// A document that is read whole; `rest` is the path behind the database's own.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn document(
        &self,
        rest: &str,
        parameters: &[(&str, String)],
    ) -> Result<Value, RemoteError> {
        let answer = self.asked(&self.whole, rest, parameters, "application/json")?;
        parsed(answer)
    }

    /// An answer that is read as it comes.
    ///
    /// # Errors
    /// [`RemoteError`]; that the body breaks off is told by its reader.
    pub fn stream(
        &self,
        rest: &str,
        parameters: &[(&str, String)],
        accept: &str,
    ) -> Result<Box<dyn Read + Send>, RemoteError> {
        let answer = self.asked(&self.streams, rest, parameters, accept)?;
        Ok(Box::new(answer.into_body().into_reader()))
    }

    /// One header of an answer.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn header(
        &self,
        rest: &str,
        parameters: &[(&str, String)],
        name: &str,
    ) -> Result<Option<String>, RemoteError> {
        let answer = self.asked(&self.whole, rest, parameters, "application/json")?;
        Ok(header(&answer, name))
    }

    /// Has something done; the document that answers it.
    ///
    /// # Errors
    /// [`RemoteError`]. After [`WireError::Lost`] it is not known whether it was done.
    pub fn post(&self, rest: &str, media_type: &str, body: &[u8]) -> Result<Value, RemoteError> {
        let answer = patiently(|| {
            let mut request = self.whole.post(self.address.url(rest)).content_type(media_type);
            if let Some(token) = &self.token {
                request = request.header("authorization", token.header());
            }
            request.send(body).map_err(|error| failed(error).into())
        })?;
        parsed(answer)
    }

    /// Puts something in place of what there is; the document that answers it.
    ///
    /// # Errors
    /// As [`Remote::post`].
    pub fn put(&self, rest: &str, media_type: &str, body: &[u8]) -> Result<Value, RemoteError> {
        let answer = patiently(|| {
            let mut request = self.whole.put(self.address.url(rest)).content_type(media_type);
            if let Some(token) = &self.token {
                request = request.header("authorization", token.header());
            }
            request.send(body).map_err(|error| failed(error).into())
        })?;
        parsed(answer)
    }

    /// As [`Remote::post`], with a body of any length, which is sent as it is read, and once.
    ///
    /// # Errors
    /// As [`Remote::post`].
    pub fn send(
        &self,
        rest: &str,
        media_type: &str,
        body: impl Read + Send + Sync + 'static,
    ) -> Result<Value, RemoteError> {
        let mut request = self.streams.post(self.address.url(rest)).content_type(media_type);
        if let Some(token) = &self.token {
            request = request.header("authorization", token.header());
        }
        let sent = request.send(SendBody::from_owned_reader(body));
        parsed(accepted(sent.map_err(failed)?)?)
    }

    fn asked(
        &self,
        agent: &Agent,
        rest: &str,
        parameters: &[(&str, String)],
        accept: &str,
    ) -> Result<Response<Body>, RemoteError> {
        patiently(|| {
            let mut request = agent.get(self.address.url(rest)).header("accept", accept);
            for (name, value) in parameters {
                request = request.query(name, value);
            }
            if let Some(token) = &self.token {
                request = request.header("authorization", token.header());
            }
            request.call().map_err(|error| failed(error).into())
        })
    }
}

/// Asks again while the server is busy.
fn patiently(
    ask: impl Fn() -> Result<Response<Body>, RemoteError>,
) -> Result<Response<Body>, RemoteError> {
    for _ in 1..ATTEMPTS {
        match ask().and_then(accepted) {
            Err(RemoteError::Wire(error @ WireError::Busy { .. })) => {
                std::thread::sleep(error.retry_after());
            }
            other => return other,
        }
    }
    ask().and_then(accepted)
}

/// The answer, unless it is a refusal.
fn accepted(answer: Response<Body>) -> Result<Response<Body>, RemoteError> {
    let status = answer.status().as_u16();
    if (200..300).contains(&status) {
        return Ok(answer);
    }
    let retry_after = header(&answer, "retry-after").and_then(|text| text.parse().ok());
    let is_problem = header(&answer, "content-type").as_deref() == Some("application/problem+json");
    let mut bytes = Vec::new();
    let mut body = answer.into_body().into_reader().take(PROBLEM_BYTES_MAX);
    let members = match body.read_to_end(&mut bytes) {
        Ok(_) if is_problem => serde_json::from_slice::<Map<String, Value>>(&bytes).ok(),
        Ok(_) | Err(_) => None,
    };
    let members = members.ok_or(WireError::Foreign)?;
    let text = |name: &str| members.get(name).and_then(Value::as_str).unwrap_or_default();
    let kind = text("type").trim_start_matches("/problems/").to_owned();
    if matches!(kind.as_str(), "busy" | "rate-limit") {
        let retry_after = Duration::from_secs(retry_after.unwrap_or(1));
        return Err(WireError::Busy { retry_after }.into());
    }
    let (title, detail) = (text("title").to_owned(), text("detail").to_owned());
    Err(RemoteError::Problem(Box::new(Problem { status, kind, title, detail, members })))
}

fn parsed(answer: Response<Body>) -> Result<Value, RemoteError> {
    let mut bytes = Vec::new();
    let mut reader = answer.into_body().into_reader().take(DOCUMENT_BYTES_MAX + 1);
    let read = reader.read_to_end(&mut bytes);
    read.map_err(|error| WireError::Lost { message: error.to_string() })?;
    if bytes.len() as u64 > DOCUMENT_BYTES_MAX {
        return Err(WireError::TooLong { bytes_max: DOCUMENT_BYTES_MAX }.into());
    }
    Ok(serde_json::from_slice(&bytes).map_err(|_| WireError::Foreign)?)
}
