//! Who may do what: the one place that every request passes, before it touches a database.
//!
//! [`check`] is asked with the database, the root and the verb: once for a request, from its path;
//! and again for each root that only the body or a consumer names. The server's [`Authorizer`]
//! decides; without one every client may do everything. What is answered says nothing of what is
//! there: it is decided before anything is looked up, a consumer's root apart. A stream asks again
//! while it lasts.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Instant;

use axum::http::{HeaderMap, header};
use tracing::Span;

use crate::observe::REQUEST_ID;
use crate::problem::{Kind, Problem};
use crate::routes::Shared;
use crate::sync_grant::SyncGrant;

/// What a request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    /// Nothing that touches a database. Everybody may.
    Ask,
    /// Reads events.
    Read,
    /// Records events.
    Write,
    /// Brings the logs that a peer wrote itself.
    SyncOwn,
    /// Exchanges all logs with a peer, whoever wrote them.
    Relay,
    /// Looks after the server: makes databases, reads metrics.
    Admin,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked<'a> {
    /// In which database; none for what concerns all of them.
    pub database: Option<&'a str>,
    /// Under which roots.
    pub roots: Roots<'a>,
    /// What it does there.
    pub verb: Verb,
}

/// Under which roots something is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Roots<'a> {
    /// Under all, those that are yet to come among them.
    All,
    /// Under this one.
    One(&'a str),
    /// Under one that is not known yet: allowed if there is a root under which it is. When it is
    /// known, it is asked for as [`Roots::One`] or [`Roots::All`].
    Any,
}

/// None means all.
impl<'a> From<Option<&'a str>> for Roots<'a> {
    fn from(root: Option<&'a str>) -> Self {
        root.map_or(Self::All, Self::One)
    }
}

/// Decides who may do what.
pub trait Authorizer: fmt::Debug + Send + Sync {
    /// Whether the holder of `token` may do what is asked. `token` is what the request has in
    /// `Authorization: Bearer`; none if it has none, or several.
    ///
    /// # Errors
    /// [`Denied`].
    fn authorize(&self, token: Option<&str>, asked: &Asked<'_>) -> Result<(), Denied>;

    /// What the holder of `token` may do in sync sessions of a database. Everything where `relay`
    /// is allowed under all roots, and nothing otherwise, unless the authorizer knows better.
    ///
    /// # Errors
    /// [`Denied`] if it may not sync at all.
    fn sync_grant(&self, token: Option<&str>, database: &str) -> Result<SyncGrant, Denied> {
        let asked = Asked { database: Some(database), roots: Roots::All, verb: Verb::Relay };
        self.authorize(token, &asked).map(|()| SyncGrant::all())
    }
}

/// Why a request is denied. The reasons are for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denied {
    /// There is no token, or none that counts: 401.
    Unknown {
        /// Why.
        reason: String,
    },
    /// The token allows something else: 403.
    Forbidden {
        /// Why.
        reason: String,
    },
    /// It cannot be decided: 500.
    Failed {
        /// Why.
        reason: String,
    },
}

/// A text names nothing that a token can allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a verb is `read`, `write`, `sync-own`, `relay` or `admin`")]
pub struct VerbError;

impl Verb {
    /// What a token can allow.
    pub const GRANTABLE: [Self; 5] =
        [Self::Read, Self::Write, Self::SyncOwn, Self::Relay, Self::Admin];

    /// As it stands in tokens and in the description of the interface.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ask => "ask",
            Self::Read => "read",
            Self::Write => "write",
            Self::SyncOwn => "sync-own",
            Self::Relay => "relay",
            Self::Admin => "admin",
        }
    }
}

impl FromStr for Verb {
    type Err = VerbError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::GRANTABLE.into_iter().find(|verb| verb.name() == text).ok_or(VerbError)
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// Whether that is allowed, to whoever sends these headers.
pub(crate) fn check(
    shared: &Shared,
    headers: &HeaderMap,
    asked: &Asked<'_>,
) -> Result<(), Problem> {
    let Some(authorizer) = &shared.config.authorizer else { return Ok(()) };
    if asked.verb == Verb::Ask {
        return Ok(());
    }
    authorizer.authorize(bearer(headers), asked).map_err(|denied| {
        let (verb, database) = (asked.verb, asked.database.map_or_else(all, shown));
        let root = match asked.roots {
            Roots::All => all(),
            Roots::One(name) => shown(name),
            Roots::Any => "?".to_owned(),
        };
        problem(denied, &format!("{verb} on root {root} of database {database}"))
    })
}

/// What whoever sends these headers may do in a sync session.
pub(crate) fn sync_grant(
    shared: &Shared,
    headers: &HeaderMap,
    database: &str,
) -> Result<SyncGrant, Problem> {
    let Some(authorizer) = &shared.config.authorizer else { return Ok(SyncGrant::all()) };
    let granted = authorizer.sync_grant(bearer(headers), database);
    granted.map_err(|denied| problem(denied, &format!("sync of database {}", shown(database))))
}

fn problem(denied: Denied, what: &str) -> Problem {
    let (kind, reason) = match denied {
        Denied::Unknown { reason } => (Kind::Unauthorized, reason),
        Denied::Forbidden { reason } => (Kind::Forbidden, reason),
        Denied::Failed { reason } => (Kind::Internal, reason),
    };
    Problem::denied(kind, format!("{what}: {reason}"))
}

/// A name that a client chose, as it may stand in a line of a log.
fn shown(name: &str) -> String {
    const CHARACTERS_MAX: usize = 64;
    name.chars().take(CHARACTERS_MAX).flat_map(char::escape_default).collect()
}

fn all() -> String {
    "*".to_owned()
}

/// The token of a request.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// What a stream was allowed, to be asked for again while it lasts.
#[derive(Clone)]
pub(crate) struct Standing {
    shared: Arc<Shared>,
    headers: HeaderMap,
    database: String,
    root: Option<String>,
    verb: Verb,
    /// For a sync session: what it was granted.
    grant: Option<SyncGrant>,
    asked: Instant,
    /// Of the request that it is about.
    span: Span,
}

impl Standing {
    pub(crate) fn new(
        shared: &Arc<Shared>,
        headers: &HeaderMap,
        database: &str,
        root: Option<&str>,
        verb: Verb,
    ) -> Self {
        let mut kept = HeaderMap::new();
        for name in [header::AUTHORIZATION, REQUEST_ID] {
            if let Some(value) = headers.get(&name) {
                kept.insert(name, value.clone());
            }
        }
        Self {
            shared: Arc::clone(shared),
            headers: kept,
            database: database.to_owned(),
            root: root.map(str::to_owned),
            verb,
            grant: None,
            asked: Instant::now(),
            span: Span::current(),
        }
    }

    /// The same for a sync session, which goes on as long as it is granted the same.
    pub(crate) fn of_session(self, grant: SyncGrant) -> Self {
        Self { grant: Some(grant), ..self }
    }

    /// Whether it may go on; if not, the operator is told.
    pub(crate) fn holds(&mut self) -> bool {
        let config = &self.shared.config;
        if config.authorizer.is_none() || self.asked.elapsed() < config.recheck_after {
            return true;
        }
        self.asked = Instant::now();
        let checked = match &self.grant {
            Some(grant) => {
                let now = sync_grant(&self.shared, &self.headers, &self.database);
                now.map(|now| now == *grant)
            }
            None => {
                let (database, roots) = (Some(self.database.as_str()), self.root.as_deref().into());
                let asked = Asked { database, roots, verb: self.verb };
                check(&self.shared, &self.headers, &asked).map(|()| true)
            }
        };
        match checked {
            Ok(holds) => holds,
            Err(problem) => {
                self.tell(&problem);
                false
            }
        }
    }

    /// Tells the operator why the stream ends.
    pub(crate) fn tell(&self, problem: &Problem) {
        let request = self.headers.get(REQUEST_ID).and_then(|id| id.to_str().ok());
        self.span.in_scope(|| self.shared.tell(request.unwrap_or("-"), problem));
    }
}

impl fmt::Debug for Standing {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The headers hold a token.
        out.debug_struct("Standing").field("database", &self.database).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_header_with_the_scheme_bearer_is_a_token() {
        let token = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::AUTHORIZATION, value.parse().unwrap());
            }
            bearer(&headers).map(str::to_owned)
        };
        assert_eq!(token(&["Bearer abc="]).as_deref(), Some("abc="));
        assert_eq!(token(&["bEARER  abc "]).as_deref(), Some("abc"));
        for values in [&[][..], &["abc"], &["Basic abc"], &["Bearer a", "Bearer a"]] {
            assert_eq!(token(values), None, "{values:?}");
        }
    }

    #[test]
    fn names_of_clients_cannot_forge_lines_of_a_log() {
        assert_eq!(shown("a\nb\u{1b}[31m"), "a\\nb\\u{1b}[31m");
        assert!(shown(&"x".repeat(10_000)).len() <= 64);
    }
}
