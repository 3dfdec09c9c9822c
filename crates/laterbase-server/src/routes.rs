//! The state of a server, and the way of a request to the route that answers it.
//!
//! ```text
//!   observe (id, bounds, counts) ─▶ CORS ─▶ tell_apart ─▶ gzip ─▶ from_here ─▶ path ─▶ dispatch
//!     dispatch: method ─▶ access::check ─▶ the route's function, which takes a place (admission)
//! ```

use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::extract::{FromRequestParts as _, RawPathParams, Request};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::{from_fn, from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use laterbase::sync::Heard;
use tokio::sync::{Semaphore, watch};
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, NotForContentType, Predicate as _};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

use crate::admission::Admission;
use crate::bundles::TakeBundle;
use crate::call::{Call, RequestId};
use crate::config::ServerConfig;
use crate::databases::{Databases, Hosted};
use crate::folds::Folds;
use crate::metrics::{Load, Metrics};
use crate::notice::{Notice, Notices, What};
use crate::observe::{AnsweredBy, Names, REQUEST_ID, observe};
use crate::peers::{Peers, SyncNow};
use crate::problem::{Kind, Problem};
use crate::rate::Rates;
use crate::representation::tell_apart;
use crate::request::from_here;
use crate::server::Parts;
use crate::table::{self, Route};
use crate::trace;

/// Takes what gossip told: the database's name, and what came of it.
pub type Gossip = Arc<dyn Fn(&str, &Heard) + Send + Sync>;

/// Takes a database that a client made.
pub type Made = Arc<dyn Fn(&Arc<Hosted>) + Send + Sync>;

/// What all requests share.
pub(crate) struct Shared {
    pub(crate) databases: Databases,
    pub(crate) config: Arc<ServerConfig>,
    pub(crate) admission: Admission,
    pub(crate) live: Arc<Semaphore>,
    pub(crate) streams: Arc<Semaphore>,
    pub(crate) rates: Option<Rates>,
    pub(crate) metrics: Metrics,
    pub(crate) names: Names,
    pub(crate) notices: Notices,
    pub(crate) gossip: Gossip,
    pub(crate) peers: Peers,
    pub(crate) sync_now: SyncNow,
    pub(crate) take_bundle: TakeBundle,
    pub(crate) made: Made,
    pub(crate) folds: Folds,
    /// Where other processes of this machine reach the server.
    pub(crate) published: OnceLock<String>,
    /// Turns true when the server ends, so that streams do.
    pub(crate) ending: watch::Sender<bool>,
}

impl Shared {
    pub(crate) fn new(databases: Databases, parts: Parts) -> Self {
        let Parts { config, notices, gossip, peers, sync_now, take_bundle, made, folds } = parts;
        Self {
            databases,
            admission: Admission::new(&config),
            live: Arc::new(Semaphore::new(config.live_max)),
            streams: Arc::new(Semaphore::new(config.streams_max)),
            rates: config.rate.map(Rates::new),
            config,
            metrics: Metrics::default(),
            names: Names::new(),
            notices,
            gossip,
            peers,
            sync_now,
            take_bundle,
            made,
            published: OnceLock::new(),
            folds,
            ending: watch::Sender::new(false),
        }
    }

    /// Takes requests to the routes that answer them.
    pub(crate) fn router(self: &Arc<Self>) -> Router {
        let mut router = Router::new();
        for (path, routes) in table::paths() {
            let routes: Arc<[&'static Route]> = routes.into();
            let shared = Arc::clone(self);
            let handler =
                move |request: Request| dispatch(Arc::clone(&shared), Arc::clone(&routes), request);
            router = router.route(path, any(handler));
        }
        let gzip = CompressionLayer::new().compress_when(
            DefaultPredicate::new().and(NotForContentType::const_new("application/vnd.")),
        );
        let config = Arc::clone(&self.config);
        let here = from_fn(move |request, next| from_here(Arc::clone(&config), request, next));
        router = router.fallback(nothing).layer(here).layer(gzip).layer(map_response(tell_apart));
        if let Some(cors) = cors(&self.config.cors_origins) {
            router = router.layer(cors);
        }
        router.layer(from_fn_with_state(Arc::clone(self), observe))
    }

    pub(crate) fn hosted(&self, name: &str) -> Result<Arc<Hosted>, Problem> {
        self.databases.get(name).ok_or_else(|| Problem::no_such_database(name))
    }

    /// Tells other processes of this machine that a database is served, and where.
    pub(crate) fn publish(&self, hosted: &Hosted) {
        let Some(url) = self.published.get() else { return };
        let published = hosted.database.publish_address(&format!("{url}/db/{}", hosted.name));
        if let Err(error) = published {
            // They cannot write beside the server then; nothing else depends on it.
            let what = What::Failed { reason: format!("cannot say in LOCK where it is: {error}") };
            self.notice(&Notice { database: hosted.name.clone(), peer: None, what });
        }
    }

    pub(crate) fn notice(&self, notice: &Notice) {
        trace::notice(notice);
        (self.notices)(notice);
    }

    /// Tells the operator what the client is not told.
    pub(crate) fn tell(&self, request: &str, problem: &Problem) {
        let Some(reason) = problem.reason() else { return };
        let what = if matches!(problem.kind(), Kind::Unauthorized | Kind::Forbidden) {
            What::Denied { request: request.to_owned(), reason: reason.to_owned() }
        } else {
            What::Failed { reason: format!("request {request}: {reason}") }
        };
        self.notice(&Notice { database: String::new(), peer: None, what });
    }

    pub(crate) fn load(&self) -> Load {
        let used = |max: usize, places: &Semaphore| max.saturating_sub(places.available_permits());
        Load {
            requests: self.admission.at_work(),
            waiting_bytes: self.admission.waiting_bytes(),
            streams: used(self.config.streams_max, &self.streams),
            live: used(self.config.live_max, &self.live),
        }
    }
}

async fn nothing() -> Response {
    Problem::no_such_path().into_response()
}

/// Has the route answer that takes the request's method.
async fn dispatch(
    shared: Arc<Shared>,
    routes: Arc<[&'static Route]>,
    request: Request,
) -> Response {
    let method = request.method();
    let Some(route) = routes.iter().find(|route| route.method.takes(method)).copied() else {
        let is_options = method == Method::OPTIONS;
        let mut response = if is_options {
            StatusCode::NO_CONTENT.into_response()
        } else {
            Problem::method().into_response()
        };
        if let Ok(allow) = HeaderValue::from_str(&allow(&routes)) {
            response.headers_mut().insert(header::ALLOW, allow);
        }
        return response;
    };
    let id = request.extensions().get::<RequestId>().cloned();
    let answer = answer(Arc::clone(&shared), route, request);
    // What may change something is waited for, however long it takes: else nobody knew what
    // became of it.
    let answered = if route.method == table::Method::Get && !route.is_socket {
        let answered = tokio::time::timeout(shared.config.request_timeout, answer).await;
        answered.unwrap_or_else(|_| Err(Problem::slow()))
    } else {
        answer.await
    };
    let answered = answered.and_then(|response| shared.admission.on_its_way(response));
    let mut response = answered.unwrap_or_else(|problem| {
        shared.tell(id.as_ref().map_or("-", |RequestId(id)| id), &problem);
        problem.into_response()
    });
    response.extensions_mut().insert(AnsweredBy(route.id));
    response
}

async fn answer(
    shared: Arc<Shared>,
    route: &'static Route,
    request: Request,
) -> Result<Response, Problem> {
    let (mut parts, body) = request.into_parts();
    let path = RawPathParams::from_request_parts(&mut parts, &()).await;
    let path = path.map_err(|_| Problem::bad_request("the path is not UTF-8"))?;
    let path = path.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let mut call = Call { shared, route, parts, body, path, grant: None };
    let hosted = call.shared.databases.get(call.database()).filter(|_| call.is_of_a_database());
    trace::routed(route.id, hosted.as_ref().map(|hosted| hosted.name.as_str()));
    call.permitted()?;
    (route.run)(call).await
}

/// The methods of a path.
fn allow(routes: &[&'static Route]) -> String {
    let mut methods = vec!["OPTIONS"];
    for route in routes {
        if route.method == table::Method::Get {
            methods.push("HEAD");
        }
        methods.push(route.method.name());
    }
    methods.sort_unstable();
    methods.join(", ")
}

/// Lets web pages of these origins ask; nothing if there are none.
fn cors(origins: &[String]) -> Option<CorsLayer> {
    let origins: Vec<HeaderValue> =
        origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()).collect();
    if origins.is_empty() {
        return None;
    }
    let shown = ["laterbase-cursor", "laterbase-missing", "laterbase-next", "laterbase-vv"]
        .map(axum::http::HeaderName::from_static);
    let layer = CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_methods([Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::DELETE])
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(
            shown
                .into_iter()
                .chain([header::ETAG, header::RETRY_AFTER, REQUEST_ID])
                .collect::<Vec<_>>(),
        );
    Some(layer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_allows_the_methods_of_its_routes() {
        let all = table::paths();
        let of = |path: &str| {
            let found = all.iter().find(|(known, _)| *known == path);
            found.map(|(_, routes)| allow(routes))
        };
        assert_eq!(of("/db/{db}"), Some("GET, HEAD, OPTIONS, PUT".to_owned()));
        assert_eq!(of("/e/{root}"), Some("GET, HEAD, OPTIONS, POST".to_owned()));
        assert_eq!(of("/db/{db}/changes"), Some("OPTIONS, POST".to_owned()));
    }
}
