//! The peers of a database: what is known of them, and `POST …/peers/sync`. Both are done by
//! whoever syncs with them.

use std::sync::Arc;

use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::call::Call;
use crate::databases::Hosted;
use crate::problem::{Kind, Problem};
use crate::request::{json as json_document, json_or_default};

/// How far a peer and this copy are apart, as of the last contact.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerStanding {
    /// Its name in the list of peers.
    pub name: String,
    /// Its replica id, 16 hexadecimal digits, if it was ever reached.
    pub replica: Option<String>,
    /// Events recorded here that it lacks.
    pub they_lack: u64,
    /// Events that it has and this copy lacks, as it said.
    pub we_lack: u64,
    /// Why the last try failed, if it did.
    pub trouble: Option<String>,
}

/// Tells of a database's peers. May read files; is asked on a thread that may block.
pub type Peers = Arc<dyn Fn(&Hosted) -> Vec<PeerStanding> + Send + Sync>;

/// Syncs a database with a peer of its list, by name, or with all of them, and answers with a
/// document for each; [`None`] if there is no such peer. Blocks until it is done.
pub type SyncNow = Arc<dyn Fn(&Hosted, Option<&str>) -> Option<Vec<Value>> + Send + Sync>;

/// With whom to sync.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WithWhom {
    /// A peer's name; all of them, if there is none.
    peer: Option<String>,
}

/// Syncs with the peers of a database, now.
pub(crate) async fn sync(mut call: Call) -> Result<Response, Problem> {
    let hosted = call.hosted()?;
    call.parameters()?;
    let asked: WithWhom = json_or_default(&mut call).await?;
    let server = Arc::clone(&call.shared);
    let sync = move || {
        let synced = (server.sync_now)(&hosted, asked.peer.as_deref());
        let synced = synced.ok_or_else(|| {
            let name = asked.peer.unwrap_or_default();
            Problem::new(Kind::NoSuchPeer).detail(format_args!("`{name}` is not on the list"))
        })?;
        Ok(json_document(&json!({ "peers": synced })))
    };
    call.shared.admission.run(sync).await
}

impl PeerStanding {
    pub(crate) fn document(&self) -> Value {
        json!({
            "name": self.name,
            "replica": self.replica,
            "they_lack": self.they_lack,
            "we_lack": self.we_lack,
            "trouble": self.trouble,
        })
    }
}
