//! Who may do what: the one place that every request passes, before it touches a database.
//!
//! [`check`] is asked with the database, the root and the verb: once for a request, from its path;
//! and again for each root that only the body names. An authoriser goes here. Until there are
//! tokens, every client of this machine may do everything.

use axum::http::HeaderMap;

use crate::problem::Problem;
use crate::routes::Shared;

/// What a request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    /// Nothing that touches a database.
    Ask,
    /// Reads events.
    Read,
    /// Records events.
    Write,
    /// Exchanges logs with a peer.
    Sync,
    /// Looks after the server: makes databases, reads metrics.
    Admin,
}

impl Verb {
    /// As it stands in the description of the interface.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ask => "ask",
            Self::Read => "read",
            Self::Write => "write",
            Self::Sync => "sync",
            Self::Admin => "admin",
        }
    }
}

/// What is asked for, and by whom.
#[derive(Clone, Copy, Debug)]
#[expect(dead_code, reason = "an authoriser reads them")]
pub(crate) struct Asked<'a> {
    /// What the client says of itself.
    pub(crate) headers: &'a HeaderMap,
    /// In which database; none for what concerns the whole server.
    pub(crate) database: Option<&'a str>,
    /// Under which root; none for all of them.
    pub(crate) root: Option<&'a str>,
    /// What it does there.
    pub(crate) verb: Verb,
}

/// Whether that is allowed.
pub(crate) fn check(_shared: &Shared, _asked: &Asked<'_>) -> Result<(), Problem> {
    Ok(())
}
