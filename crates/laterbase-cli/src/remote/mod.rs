//! A database that another process has: the same commands, over HTTP.
//!
//! ```text
//!   --url, or LOCK ──▶ There ──▶ append, import     writes
//!                            └─▶ pages, follow      reads: lines back into events
//! ```
//! What the commands print is the same as beside a directory, where the server tells it.

#[cfg(feature = "query")]
mod ask;
mod follow;
mod pages;
mod sink;
mod write;

use std::io::Read;
use std::time::Duration;

use laterbase_client::{PeerAddress, Problem, Remote, RemoteError, Token, WireError};
use serde_json::Value;

#[cfg(feature = "query")]
pub(crate) use ask::{ask, execute};
pub(crate) use follow::{Came, Follow};
pub(crate) use pages::{Pages, found};
pub(crate) use sink::RemoteSink;
pub(crate) use write::append;

use crate::failure::{Exit, Failure};

/// What a request may take: what is asked for may wait for a device, or for peers.
const TIMEOUT: Duration = Duration::from_secs(600);

/// A database at a server.
#[derive(Clone, Debug)]
pub(crate) struct There {
    remote: Remote,
}

impl There {
    pub(crate) fn new(address: PeerAddress, token: Option<Token>) -> Self {
        Self { remote: Remote::new(address, token, TIMEOUT) }
    }

    /// What the server says of the database.
    pub(crate) fn describe(&self) -> Result<Value, Failure> {
        self.document("")
    }

    /// What the server answers under a path.
    pub(crate) fn document(&self, rest: &str) -> Result<Value, Failure> {
        self.remote.document(rest, &[]).map_err(|error| self.failed(&error))
    }

    /// Has something done.
    pub(crate) fn post(&self, rest: &str, body: Option<&Value>) -> Result<Value, Failure> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let posted = self.remote.post(rest, "application/json", body.as_bytes());
        posted.map_err(|error| self.failed(&error))
    }

    /// Puts a text in place of what there is.
    #[cfg(feature = "query")]
    pub(crate) fn put(&self, rest: &str, media_type: &str, text: &str) -> Result<Value, Failure> {
        let put = self.remote.put(rest, media_type, text.as_bytes());
        put.map_err(|error| self.failed(&error))
    }

    /// Has what a file holds taken in.
    pub(crate) fn send(
        &self,
        rest: &str,
        media_type: &str,
        file: impl Read + Send + Sync + 'static,
    ) -> Result<Value, Failure> {
        let sent = self.remote.send(rest, media_type, file);
        sent.map_err(|error| self.failed(&error))
    }

    /// Why the server did not do what it was asked to.
    fn failed(&self, error: &RemoteError) -> Failure {
        let address = self.remote.address();
        match error {
            RemoteError::Wire(error) => {
                let failure = Failure::new(Exit::Peer, format_args!("{address}: {error}"));
                if !matches!(error, WireError::Unreachable { .. }) {
                    return failure;
                }
                failure.hint("is `laterbase serve` running there? If it has just ended, try again")
            }
            RemoteError::Problem(problem) => refused(problem),
            other => Failure::new(Exit::Internal, other),
        }
    }

    /// A server answered with what it never does.
    pub(crate) fn foreign(&self, what: impl std::fmt::Display) -> Failure {
        let address = self.remote.address();
        Failure::new(Exit::Peer, format_args!("{address}: {what}"))
            .hint("is it a server of Laterbase, of this version or a later one?")
    }
}

fn refused(problem: &Problem) -> Failure {
    let failure = Failure::new(exit_of(problem), reason(problem));
    match problem.kind.as_str() {
        "unauthorized" | "forbidden" => failure
            .hint("pass a token that allows it with --access-token FILE; `laterbase token` has it"),
        "no-such-database" => failure.hint("name another one: --url http://HOST:PORT/db/NAME"),
        _ => failure,
    }
}

/// Why, in the words that are used where there is no server in between.
fn reason(problem: &Problem) -> String {
    // A question's mistakes, each with its line.
    if let Some(text) = problem.members.get("text").and_then(Value::as_str) {
        return text.strip_prefix("error: ").unwrap_or(text).to_owned();
    }
    let errors = problem.members.get("errors").and_then(Value::as_array);
    if let Some([one]) = errors.map(Vec::as_slice)
        && let Some(detail) = one.get("detail").and_then(Value::as_str)
    {
        return detail.to_owned();
    }
    match problem.status {
        409 | 412 | 422 if !problem.detail.is_empty() => problem.detail.clone(),
        _ => problem.to_string(),
    }
}

fn exit_of(problem: &Problem) -> Exit {
    match (problem.status, problem.kind.as_str()) {
        (_, "no-such-database") => Exit::NotADatabase,
        (_, "query") => Exit::Usage,
        (404, _) => Exit::NotFound,
        (409 | 412, _) => Exit::Conflict,
        (401 | 403 | 413 | 415 | 422, _) => Exit::Refused,
        (507, _) => Exit::Storage,
        (500.., _) => Exit::Peer,
        _ => Exit::Usage,
    }
}
