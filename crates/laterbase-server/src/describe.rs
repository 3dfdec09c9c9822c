//! What is there: health, databases, metrics, problems.

use std::sync::{Arc, PoisonError};

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use laterbase::{AppendError, ReplicaId, VersionVector};
use serde_json::{Map, Value, json};

use crate::call::Call;
use crate::databases::Hosted;
use crate::folds::FoldNumbers;
use crate::kind::KINDS;
use crate::metrics;
use crate::problem::{Kind, Problem};
use crate::read::settle;
use crate::request::json;
use crate::routes::Shared;

/// `GET /health` and `GET /health/live`.
pub(crate) async fn live(call: Call) -> Result<Response, Problem> {
    call.parameters()?;
    Ok(json(&json!({ "status": "ok" })))
}

/// `GET /health/ready`: whether every database still takes appends.
pub(crate) async fn ready(call: Call) -> Result<Response, Problem> {
    call.parameters()?;
    let databases = call.shared.databases.all();
    // Whoever has no token is told no names.
    let tells = call.shared.config.authorizer.is_none();
    let look = move || {
        for hosted in &databases {
            match hosted.database.flush() {
                Ok(()) | Err(AppendError::ReadOnly) => {}
                Err(error) => {
                    let reason = format!("{} takes no appends: {error}", hosted.name);
                    let problem = Problem::failed(reason).of_kind(Kind::NotReady);
                    return Err(if tells {
                        problem.field("database", json!(hosted.name))
                    } else {
                        problem
                    });
                }
            }
        }
        Ok(json(&json!({ "status": "ok" })))
    };
    call.shared.admission.step(look).await
}

/// `GET /db`: all databases, by name.
pub(crate) async fn list(call: Call) -> Result<Response, Problem> {
    call.parameters()?;
    let one = |hosted: &Arc<Hosted>| {
        let id = hosted.database.id().to_string();
        json!({ "name": hosted.name, "database": id })
    };
    let databases: Vec<Value> = call.shared.databases.all().iter().map(one).collect();
    Ok(json(&json!({ "databases": databases })))
}

/// `GET /db/{db}`.
pub(crate) async fn one(call: Call) -> Result<Response, Problem> {
    let hosted = call.hosted()?;
    call.parameters()?;
    let shared = Arc::clone(&call.shared);
    let described = call.shared.admission.run(move || document(&shared, &hosted));
    Ok(json(&described.await?))
}

/// One database: who it is, how far it holds each log, how large it is, who it syncs with.
pub(crate) fn document(shared: &Shared, hosted: &Hosted) -> Result<Value, Problem> {
    let database = &hosted.database;
    let vector = database.version_vector().map_err(Problem::failed)?;
    let events = database.event_count().map_err(Problem::failed)?;
    // Nobody is told of what a power cut could take back.
    settle(database)?;
    let statistics = database.statistics().map_err(Problem::failed)?;
    let quarantined = database.quarantined().map_err(Problem::failed)?;
    let live = hosted.live.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let mut peers = hosted.desk.peers();
    peers.extend(live.keys());
    let peer = |peer: &ReplicaId| {
        let is_live = live.contains_key(peer);
        json!({ "replica": peer.to_string(), "live": is_live })
    };
    let standings = (shared.peers)(hosted);
    let log_bytes: u64 = statistics.segments.iter().map(|segment| segment.file_bytes).sum();
    Ok(json!({
        "name": hosted.name,
        "database": database.id().to_string(),
        "replica": database.replica().to_string(),
        "events": events,
        "roots": roots(&vector),
        "vv": vector_text(&vector),
        "log_bytes": log_bytes,
        "segments": statistics.segments.len(),
        "index_bytes": statistics.index.run_bytes,
        "index_waiting_entries": statistics.index.memtable_entries,
        "quarantined_batches": quarantined.len(),
        "quarantined_events":
            quarantined.iter().map(|batch| batch.events.len()).sum::<usize>(),
        "peers": peers.iter().map(peer).collect::<Vec<_>>(),
        "listed_peers":
            standings.iter().map(crate::peers::PeerStanding::document).collect::<Vec<_>>(),
        "sync_sessions": hosted.desk.sessions(),
        "folds": shared.folds.numbers(&hosted.name).iter().map(FoldNumbers::document)
            .collect::<Vec<_>>(),
    }))
}

/// Per root and log, the number of the log's last event.
fn roots(vector: &VersionVector) -> Map<String, Value> {
    let mut roots: Map<String, Value> = Map::new();
    for (root, replica, seq) in vector.iter() {
        let logs = roots.entry(root.as_str()).or_insert_with(|| json!({}));
        if let Some(logs) = logs.as_object_mut() {
            logs.insert(replica.to_string(), json!(seq));
        }
    }
    roots
}

/// A version vector as it stands in answers and addresses.
pub(crate) fn vector_text(vector: &VersionVector) -> String {
    URL_SAFE_NO_PAD.encode(vector.encode())
}

/// `GET /metrics`.
pub(crate) async fn metrics(call: Call) -> Result<Response, Problem> {
    call.parameters()?;
    let shared = Arc::clone(&call.shared);
    let count = move || {
        let databases = shared.databases.all();
        let described: Vec<metrics::Described> = databases
            .into_iter()
            .map(|hosted| metrics::Described {
                peers: (shared.peers)(&hosted),
                folds: shared.folds.numbers(&hosted.name),
                hosted,
            })
            .collect();
        Ok(metrics::page(&shared.metrics, shared.load(), &described))
    };
    let page = call.shared.admission.step(count).await?;
    Ok(text(page, "text/plain; version=0.0.4; charset=utf-8"))
}

/// `GET /problems/{name}`: what a kind of problem means.
pub(crate) async fn problem(call: Call) -> Result<Response, Problem> {
    call.parameters()?;
    let name = call.part("name").unwrap_or_default();
    let kind = KINDS.iter().find(|facts| facts.name == name);
    let kind = kind.ok_or_else(Problem::no_such_path)?.kind;
    let page = format!("{} ({})\n\n{}\n", kind.title(), kind.status().as_u16(), kind.advice());
    Ok(text(page, "text/plain; charset=utf-8"))
}

/// An answer of text.
pub(crate) fn text(body: impl Into<Body>, media_type: &'static str) -> Response {
    let mut response = Response::new(body.into());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}
