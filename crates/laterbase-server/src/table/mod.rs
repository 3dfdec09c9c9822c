//! The table of routes: what the router is built from, and what describes it.
//!
//! Each row is one method of one path: what it does, its parameters, bodies and answers, and the
//! function that answers. [`crate::routes`] builds the router from it, [`crate::openapi`] the
//! document, so that neither can know a route that the other does not.

mod consumers;
mod events;
mod folds;
mod parts;
#[cfg(feature = "query")]
mod query;
mod server;

use std::future::Future;
use std::pin::Pin;

use axum::response::Response;

use crate::access::Verb;
use crate::call::Call;
use crate::problem::{Kind, Problem};

/// What comes of a request.
pub(crate) type Answering = Pin<Box<dyn Future<Output = Result<Response, Problem>> + Send>>;

/// A method. HEAD goes with GET, OPTIONS with each path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Put,
    Post,
    Delete,
}

/// Where a parameter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Query,
    Header,
}

/// One parameter. Those of the path are described by their names.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parameter {
    pub(crate) name: &'static str,
    pub(crate) place: Place,
    /// The name of its schema.
    pub(crate) schema: &'static str,
    /// May stand there several times.
    pub(crate) many: bool,
    pub(crate) about: &'static str,
}

/// A media type and the name of its schema.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Content {
    pub(crate) media_type: &'static str,
    pub(crate) schema: &'static str,
}

/// An answer that is no problem.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) about: &'static str,
    pub(crate) contents: &'static [Content],
    pub(crate) headers: &'static [&'static str],
}

/// One method of one path.
pub(crate) struct Route {
    /// Names it in counts, logs and clients.
    pub(crate) id: &'static str,
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    /// The same on the default database.
    pub(crate) short: Option<&'static str>,
    pub(crate) about: &'static str,
    pub(crate) verb: Verb,
    pub(crate) root_of: RootOf,
    /// Lasts as long as it likes, and counts as no request at work.
    pub(crate) is_socket: bool,
    pub(crate) parameters: &'static [Parameter],
    /// The bodies that it takes; none if it takes none.
    pub(crate) bodies: &'static [Content],
    pub(crate) body_required: bool,
    pub(crate) answers: &'static [Answer],
    /// Beside those that every path may answer.
    pub(crate) problems: &'static [Kind],
    pub(crate) run: fn(Call) -> Answering,
}

/// Of which root the right is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RootOf {
    /// Of that in the path; of all, if there is none in it.
    Path,
    /// Of those that only the body, or the consumer, tells: the route's function asks for them
    /// then, and it is asked first whether there is any.
    Later,
    /// Of none: what a sync session may do is asked instead, and the session keeps to it.
    Session,
}

/// What every path may answer.
pub(crate) const EVERYWHERE: &[Kind] = &[
    Kind::BadRequest,
    Kind::Unauthorized,
    Kind::Foreign,
    Kind::Forbidden,
    Kind::Method,
    Kind::Timeout,
    Kind::UriTooLong,
    Kind::RateLimit,
    Kind::HeadersTooLarge,
    Kind::Internal,
    Kind::Busy,
];

/// All routes.
pub(crate) fn routes() -> impl Iterator<Item = &'static Route> {
    #[cfg(feature = "query")]
    let queries = query::ROUTES;
    #[cfg(not(feature = "query"))]
    let queries: &'static [Route] = &[];
    let routes = server::ROUTES.iter().chain(events::ROUTES).chain(folds::ROUTES);
    routes.chain(consumers::ROUTES).chain(queries)
}

/// The paths, long and short, each with its routes.
pub(crate) fn paths() -> Vec<(&'static str, Vec<&'static Route>)> {
    let mut paths: Vec<(&'static str, Vec<&'static Route>)> = Vec::new();
    for route in routes() {
        for path in std::iter::once(route.path).chain(route.short) {
            match paths.iter_mut().find(|(known, _)| *known == path) {
                Some((_, routes)) => routes.push(route),
                None => paths.push((path, vec![route])),
            }
        }
    }
    paths
}

impl Route {
    /// Whether the header Accept decides in which form it answers.
    pub(crate) fn has_forms(&self) -> bool {
        self.answers.iter().any(|answer| answer.contents.len() > 1)
    }
}

impl Method {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Put => "PUT",
            Self::Post => "POST",
            Self::Delete => "DELETE",
        }
    }

    /// Whether a request with this method is one of it.
    pub(crate) fn takes(self, method: &axum::http::Method) -> bool {
        method.as_str() == self.name() || (self == Self::Get && method == axum::http::Method::HEAD)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_route_has_a_name_and_a_place_of_its_own() {
        let mut names = BTreeSet::new();
        for route in routes() {
            assert!(names.insert(route.id), "{} stands there twice", route.id);
            assert!(!route.answers.is_empty(), "{} never answers", route.id);
        }
        for (path, routes) in paths() {
            let methods: BTreeSet<&str> = routes.iter().map(|route| route.method.name()).collect();
            assert_eq!(methods.len(), routes.len(), "{path} has a method twice");
        }
    }
}
