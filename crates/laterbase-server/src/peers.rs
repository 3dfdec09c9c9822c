//! What is known of the peers of a database: told by whoever syncs with them.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::databases::Hosted;

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
