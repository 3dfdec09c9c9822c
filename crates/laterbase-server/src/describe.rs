//! `GET /db` and `GET /db/{db}`: what is there.

use std::sync::{Arc, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use laterbase::ReplicaId;
use serde_json::{Map, Value, json};

use crate::databases::{Databases, Hosted};
use crate::problem::Problem;

/// All databases, by name.
pub(crate) fn list(databases: &Databases) -> Value {
    let one = |hosted: &Arc<Hosted>| {
        let id = hosted.database.id().to_string();
        json!({ "name": hosted.name, "database": id })
    };
    json!({ "databases": databases.iter().map(one).collect::<Vec<_>>() })
}

/// One database: who it is and how far it holds each log.
pub(crate) fn one(hosted: &Hosted) -> Result<Value, Problem> {
    let database = &hosted.database;
    let vector = database.version_vector().map_err(|_| Problem::internal())?;
    let mut roots: Map<String, Value> = Map::new();
    let mut events = 0_u64;
    for (root, replica, seq) in vector.iter() {
        let logs = roots.entry(root.as_str()).or_insert_with(|| json!({}));
        if let Some(logs) = logs.as_object_mut() {
            logs.insert(replica.to_string(), json!(seq));
        }
        events = events.saturating_add(seq);
    }
    let live = hosted.live.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let mut peers = hosted.desk.peers();
    peers.extend(live.keys());
    let peer = |peer: &ReplicaId| {
        let is_live = live.contains_key(peer);
        json!({ "replica": peer.to_string(), "live": is_live })
    };
    Ok(json!({
        "name": hosted.name,
        "database": database.id().to_string(),
        "replica": database.replica().to_string(),
        "events": events,
        "roots": roots,
        "vv": URL_SAFE_NO_PAD.encode(vector.encode()),
        "peers": peers.iter().map(peer).collect::<Vec<_>>(),
        "sync_sessions": hosted.desk.sessions(),
    }))
}
