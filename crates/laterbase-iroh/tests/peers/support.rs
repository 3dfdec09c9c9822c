//! Databases with events, nodes on this machine, and peers that misbehave.

use std::net::Ipv4Addr;
use std::ops::Range;

use iroh::endpoint::{Connection, RecvStream, SendStream, presets};
use iroh::{Endpoint, RelayMode, TransportAddr};
use laterbase::sync::frame::{self, Bye, Frame, FrameLimits, Reason};
use laterbase::{Database, DatabaseId, NewEvent, Options, Query};
use laterbase_iroh::{ALPN, Admitted, EndpointAddr, Node, NodeConfig};

/// A directory with copies of one database.
pub(crate) struct World {
    directory: tempfile::TempDir,
    id: Option<DatabaseId>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), id: None }
    }

    /// A copy: the first begins the database, the others are empty and join it.
    pub(crate) fn copy(&mut self, name: &str) -> Database {
        let path = self.directory.path().join(name);
        let Some(id) = self.id else {
            let database = Database::create(path, Options::default()).unwrap();
            self.id = Some(database.id());
            return database;
        };
        Database::create_joined(path, Options::default(), id).unwrap()
    }

    pub(crate) fn reopen(&self, name: &str) -> Database {
        Database::open(self.directory.path().join(name), Options::default()).unwrap()
    }
}

/// Lets in whoever comes.
pub(crate) fn open_config() -> NodeConfig {
    NodeConfig { admitted: Admitted::Anyone, ..NodeConfig::default() }
}

/// A node that lets in whoever comes.
pub(crate) async fn node(database: &Database) -> Node {
    Node::bind(database.clone(), open_config()).await.unwrap()
}

/// Records events, each in a commit of its own.
pub(crate) fn append(database: &Database, root: &str, keys: Range<u32>) {
    append_sized(database, root, keys, 16);
}

/// Records events with payloads that cannot be compressed, each in a commit of its own.
pub(crate) fn append_sized(
    database: &Database,
    root: &str,
    keys: Range<u32>,
    payload_bytes: usize,
) {
    let mut commit = database.commit();
    let mut last = None;
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for key in keys {
        let mut noise = Vec::with_capacity(payload_bytes + 8);
        while noise.len() < payload_bytes {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            noise.extend_from_slice(&(state ^ (state >> 29)).to_le_bytes());
        }
        noise.truncate(payload_bytes);
        let event = NewEvent::new(root, format!("{key}"), "seen");
        commit.push(&event.bytes("application/octet-stream", noise)).unwrap();
        last = Some(database.append(&mut commit).unwrap());
        commit.clear();
    }
    last.unwrap().wait().unwrap();
}

/// What is held, comparable: every event's id and payload.
pub(crate) fn held(database: &Database) -> Vec<(String, Vec<u8>)> {
    let all = database.read(&Query::all()).unwrap();
    let mut held: Vec<_> = all
        .map(|recorded| recorded.unwrap().event)
        .map(|event| (event.id.to_string(), event.payload))
        .collect();
    held.sort();
    held
}

/// An endpoint of iroh without a node on it.
pub(crate) async fn bare_endpoint() -> Endpoint {
    Endpoint::builder(presets::Minimal)
        .relay_mode(RelayMode::Disabled)
        .clear_ip_transports()
        .bind_addr((Ipv4Addr::LOCALHOST, 0))
        .unwrap()
        .alpns(vec![ALPN.to_vec()])
        .bind()
        .await
        .unwrap()
}

/// Where a bare endpoint is.
pub(crate) fn address_of(endpoint: &Endpoint) -> EndpointAddr {
    let bound = endpoint.bound_sockets().into_iter().map(TransportAddr::Ip);
    EndpointAddr::from_parts(endpoint.id(), bound)
}

/// Dials a node by hand.
pub(crate) async fn dial(endpoint: &Endpoint, node: &Node) -> (Connection, SendStream, RecvStream) {
    let connection = endpoint.connect(node.addr(), ALPN).await.unwrap();
    let (send, recv) = connection.open_bi().await.unwrap();
    (connection, send, recv)
}

/// The Byes among frames.
pub(crate) fn byes(mut flight: &[u8]) -> Vec<Bye> {
    let limits = FrameLimits::default();
    let mut byes = Vec::new();
    while let Some((first, rest)) = frame::split(flight, &limits).unwrap() {
        // A Bye is never packed.
        if let Ok(opened) = frame::open(first, &limits, None)
            && let Ok(Some(Frame::Bye(bye))) = Frame::decode(&opened, &limits)
        {
            byes.push(bye);
        }
        flight = rest;
    }
    byes
}

/// Sends bytes on a stream of its own, finished or not, and answers with what the Bye says.
pub(crate) async fn told(
    endpoint: &Endpoint,
    node: &Node,
    bytes: &[u8],
    finished: bool,
) -> Vec<Reason> {
    let (_connection, mut send, mut recv) = dial(endpoint, node).await;
    send.write_all(bytes).await.unwrap();
    if finished {
        send.finish().unwrap();
    }
    let answer = recv.read_to_end(1 << 20).await.unwrap();
    byes(&answer).iter().map(|bye| bye.reason).collect()
}
