//! One request on its way to its answer: its path taken apart, its parameters checked.

use std::net::IpAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};
use laterbase::{Key, RootName};

use crate::access::{self, Asked, Roots, Standing, Verb};
use crate::databases::Hosted;
use crate::names::DEFAULT_DATABASE;
use crate::parameters::Parameters;
use crate::problem::Problem;
use crate::routes::Shared;
use crate::sync_grant::SyncGrant;
use crate::table::{Place, RootOf, Route};

/// The address of the client, put into each request by the listener.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Client(pub(crate) IpAddr);

/// What a request is called in answers and logs.
#[derive(Clone, Debug)]
pub(crate) struct RequestId(pub(crate) Arc<str>);

/// A request and the route that answers it.
pub(crate) struct Call {
    pub(crate) shared: Arc<Shared>,
    pub(crate) route: &'static Route,
    pub(crate) parts: Parts,
    pub(crate) body: Body,
    /// The parts of the path that have a name.
    pub(crate) path: Vec<(String, String)>,
    /// For a sync session: what it may do.
    pub(crate) grant: Option<SyncGrant>,
}

impl Call {
    /// A named part of the path.
    pub(crate) fn part(&self, name: &str) -> Option<&str> {
        self.path.iter().find(|(part, _)| part == name).map(|(_, value)| value.as_str())
    }

    /// The database's name: the short forms mean the default one.
    pub(crate) fn database(&self) -> &str {
        self.part("db").unwrap_or(DEFAULT_DATABASE)
    }

    /// Whether the route is one of a database.
    pub(crate) fn is_of_a_database(&self) -> bool {
        self.route.path.contains("{db}")
    }

    pub(crate) fn hosted(&self) -> Result<Arc<Hosted>, Problem> {
        self.shared.hosted(self.database())
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.parts.headers
    }

    /// A header's text, if it is there.
    pub(crate) fn header(&self, name: &HeaderName) -> Result<Option<&str>, Problem> {
        header(&self.parts.headers, name)
    }

    /// The root that the path names.
    pub(crate) fn root(&self) -> Result<Option<RootName>, Problem> {
        let Some(text) = self.part("root") else { return Ok(None) };
        if text.starts_with('.') {
            let detail = "a root that begins with a dot cannot stand in a path: use `?root=`";
            return Err(Problem::bad_request(detail));
        }
        let wrong = |error| Problem::bad_request(format_args!("the root in the path: {error}"));
        RootName::try_from(text).map(Some).map_err(wrong)
    }

    /// What stands behind the `?`, if the route knows all of it.
    pub(crate) fn parameters(&self) -> Result<Parameters, Problem> {
        let queries = || self.route.parameters.iter().filter(|known| known.place == Place::Query);
        Parameters::read(
            self.parts.uri.query(),
            |name| queries().any(|known| known.name == name),
            || {
                let names: Vec<&str> = queries().map(|known| known.name).collect();
                if names.is_empty() { "none here".to_owned() } else { names.join(", ") }
            },
        )
    }

    /// What a stream of the answer is asked for again while it lasts.
    pub(crate) fn standing(&self) -> Standing {
        let (database, root) = (self.database(), self.part("root"));
        Standing::new(&self.shared, self.headers(), database, root, self.route.verb)
    }

    /// Whether the route's verb is allowed, as far as the path says for what.
    pub(crate) fn permitted(&mut self) -> Result<(), Problem> {
        if self.route.root_of == RootOf::Session {
            let granted = access::sync_grant(&self.shared, self.headers(), self.database());
            self.grant = Some(granted?);
            return Ok(());
        }
        let database = self.is_of_a_database().then(|| self.database());
        let roots = match self.route.root_of {
            RootOf::Path | RootOf::Session => self.part("root").into(),
            RootOf::Later => Roots::Any,
        };
        self.permits(database, roots, self.route.verb)
    }

    /// What the sync session of a route of those may do.
    pub(crate) fn granted(&mut self) -> Result<SyncGrant, Problem> {
        self.grant.take().ok_or_else(|| Problem::failed("the route asks for no grant"))
    }

    /// Whether `verb` is allowed, there.
    pub(crate) fn permits(
        &self,
        database: Option<&str>,
        roots: Roots<'_>,
        verb: Verb,
    ) -> Result<(), Problem> {
        access::check(&self.shared, self.headers(), &Asked { database, roots, verb })
    }
}

/// A header's text, if it is there. Twice the same header is no text.
pub(crate) fn header<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'a str>, Problem> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Problem::bad_request(format_args!("send the header {name} once")));
    }
    let text = value.to_str();
    text.map(|text| Some(text.trim()))
        .map_err(|_| Problem::bad_request(format_args!("the header {name} is not ASCII text")))
}

/// A stream's name: `root:key`.
pub(crate) fn stream(text: &str) -> Result<(RootName, Key), String> {
    let tag: laterbase::Tag = text.parse().map_err(|error| format!("`{text}`: {error}"))?;
    Ok((tag.root, tag.key))
}
