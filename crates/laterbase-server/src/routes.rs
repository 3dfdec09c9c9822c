//! The server: its state and its paths.

use std::fmt;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::from_fn;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use laterbase::sync::Heard;
use tokio::sync::Semaphore;

use crate::append::{BodyForm, append};
use crate::config::ServerConfig;
use crate::databases::{Databases, Hosted};
use crate::describe;
use crate::live;
use crate::names::DEFAULT_DATABASE;
use crate::notice::{Notice, Notices};
use crate::problem::Problem;
use crate::request::{blocking, from_here, guarded, json, media_type, whole};
use crate::sync_post;

/// Takes what gossip told: the database's name, and what came of it.
pub type Gossip = Arc<dyn Fn(&str, &Heard) + Send + Sync>;

/// A server that does not listen yet.
pub struct Server {
    shared: Arc<Shared>,
}

/// What all requests share.
pub(crate) struct Shared {
    pub(crate) databases: Databases,
    pub(crate) config: Arc<ServerConfig>,
    pub(crate) requests: Arc<Semaphore>,
    pub(crate) live: Arc<Semaphore>,
    pub(crate) notices: Notices,
    pub(crate) gossip: Gossip,
}

impl Server {
    /// A server of these databases. Notices go to `notices`, and to `gossip` what peers
    /// announced.
    #[must_use]
    pub fn new(
        databases: Databases,
        config: Arc<ServerConfig>,
        notices: Notices,
        gossip: Gossip,
    ) -> Self {
        let requests = Arc::new(Semaphore::new(config.requests_max));
        let live = Arc::new(Semaphore::new(config.live_max));
        Self { shared: Arc::new(Shared { databases, config, requests, live, notices, gossip }) }
    }

    pub(crate) fn config(&self) -> &ServerConfig {
        &self.shared.config
    }

    pub(crate) fn router(&self) -> Router {
        Router::new()
            .route("/health", get(health))
            .route("/db", get(list))
            .route("/db/{db}", get(describe_one))
            .route("/db/{db}/sync", post(sync_named).get(live_named))
            .route("/sync", post(sync_default).get(live_default))
            .route("/db/{db}/e/{root}", post(append_named))
            .route("/e/{root}", post(append_default))
            .fallback(nothing)
            .method_not_allowed_fallback(other_method)
            .layer(from_fn(from_here))
            .with_state(Arc::clone(&self.shared))
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Server")
            .field("databases", &self.shared.databases)
            .finish_non_exhaustive()
    }
}

impl Shared {
    pub(crate) fn hosted(&self, name: &str) -> Result<Arc<Hosted>, Problem> {
        self.databases.get(name).cloned().ok_or_else(|| Problem::no_such_database(name))
    }

    pub(crate) fn notice(&self, notice: &Notice) {
        (self.notices)(notice);
    }
}

async fn nothing() -> Response {
    Problem::no_such_path().into_response()
}

async fn other_method() -> Response {
    Problem::method().into_response()
}

async fn health(State(shared): State<Arc<Shared>>) -> Response {
    guarded(&shared, async { Ok(json(&serde_json::json!({ "status": "ok" }))) }).await
}

async fn list(State(shared): State<Arc<Shared>>) -> Response {
    guarded(&shared, async { Ok(json(&describe::list(&shared.databases))) }).await
}

async fn describe_one(State(shared): State<Arc<Shared>>, Path(name): Path<String>) -> Response {
    guarded(&shared, async {
        let hosted = shared.hosted(&name)?;
        Ok(json(&blocking(move || describe::one(&hosted)).await?))
    })
    .await
}

async fn sync_named(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    guarded(&shared, sync_post::exchange(&shared, &name, &headers, body)).await
}

async fn sync_default(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    guarded(&shared, sync_post::exchange(&shared, DEFAULT_DATABASE, &headers, body)).await
}

async fn live_named(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    go_live(shared, &name, upgrade).unwrap_or_else(Problem::into_response)
}

async fn live_default(
    State(shared): State<Arc<Shared>>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    go_live(shared, DEFAULT_DATABASE, upgrade).unwrap_or_else(Problem::into_response)
}

fn go_live(
    shared: Arc<Shared>,
    name: &str,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let hosted = shared.hosted(name)?;
    let upgrade = upgrade.map_err(|rejection| {
        Problem::bad_request(format_args!(
            "this path is a WebSocket, or takes POST: {}",
            rejection.body_text()
        ))
    })?;
    let place = Arc::clone(&shared.live).try_acquire_owned().map_err(|_| Problem::busy())?;
    let message_bytes_max = shared.config.body_bytes_max;
    let upgrade = upgrade.max_message_size(message_bytes_max).max_frame_size(message_bytes_max);
    Ok(upgrade.on_upgrade(move |socket| async move {
        live::serve(shared, hosted, socket).await;
        drop(place);
    }))
}

async fn append_named(
    State(shared): State<Arc<Shared>>,
    Path((name, root)): Path<(String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    guarded(&shared, append_events(&shared, name, root, &headers, body)).await
}

async fn append_default(
    State(shared): State<Arc<Shared>>,
    Path(root): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    guarded(&shared, append_events(&shared, DEFAULT_DATABASE.to_owned(), root, &headers, body))
        .await
}

async fn append_events(
    shared: &Shared,
    name: String,
    root: String,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let hosted = shared.hosted(&name)?;
    let form = match media_type(headers).as_deref() {
        None | Some("application/json") => BodyForm::Json,
        Some("application/x-ndjson") => BodyForm::Ndjson,
        Some(_) => return Err(Problem::media_type("application/json or application/x-ndjson")),
    };
    let key = match headers.get("idempotency-key").map(|value| value.to_str()) {
        None => None,
        Some(Ok(key)) => Some(key.to_owned()),
        Some(Err(_)) => {
            return Err(Problem::bad_request("the header Idempotency-Key is not ASCII text"));
        }
    };
    let body = whole(shared, body).await?;
    let work = move || append(&hosted.database, &root, form, key.as_deref(), &body);
    let mut response = json(&blocking(work).await?);
    *response.status_mut() = StatusCode::CREATED;
    Ok(response)
}
