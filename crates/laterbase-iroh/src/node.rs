//! One database on one UDP socket.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::{Mutex, PoisonError};

use iroh::endpoint::{
    ConnectError, ConnectingError, Connection, ConnectionError, InvalidSocketAddr,
    QuicTransportConfig, VarInt, presets,
};
use iroh::{Endpoint, EndpointAddr, EndpointId, NetReportConfig, RelayMode, TransportAddr};
use laterbase::{Database, ReplicaId};
use tokio::task::JoinSet;

use crate::close_code;
use crate::config::NodeConfig;
use crate::report::{Report, SyncError};
use crate::serve;
use crate::stream::{Patience, Stream};
use crate::work::Work;

/// A database that is synced with the peers that it dials, and with those that dial it.
///
/// Sessions run on the tokio runtime that the node is bound in; the database is worked on by its
/// blocking threads. Dropping the node breaks off whatever is under way; events that came are kept.
#[derive(Debug)]
pub struct Node {
    endpoint: Endpoint,
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
}

/// What all sessions of a node share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) database: Database,
    pub(crate) config: NodeConfig,
    /// Which copy answered at which key, so that the next session begins with what is known of it.
    met: Mutex<BTreeMap<EndpointId, ReplicaId>>,
}

/// A node cannot listen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// The address is of no use.
    #[error("cannot listen on {address}; choose another address: {source}")]
    Address {
        /// The address.
        address: SocketAddr,
        /// What iroh says.
        source: InvalidSocketAddr,
    },
    /// The system refuses.
    #[error("cannot listen on {address}; choose a free port of this machine: {source}")]
    Endpoint {
        /// The address.
        address: SocketAddr,
        /// What iroh says.
        source: Box<iroh::endpoint::BindError>,
    },
}

impl Node {
    /// Listens, and serves whoever is admitted until the node is closed or dropped.
    ///
    /// # Errors
    /// [`BindError`] if the address cannot be listened on.
    ///
    /// # Panics
    /// Outside a tokio runtime with time and I/O.
    pub async fn bind(database: Database, config: NodeConfig) -> Result<Self, BindError> {
        let address = config.address;
        let failed = |source| BindError::Address { address, source };
        // The preset chooses the cryptography and nothing else: no relays, no look-ups.
        let mut builder = Endpoint::builder(presets::Minimal)
            .relay_mode(RelayMode::Disabled)
            .clear_address_lookup()
            .net_report_config(NetReportConfig::minimal())
            .clear_ip_transports()
            .bind_addr(address)
            .map_err(failed)?
            .transport_config(transport())
            .alpns(vec![crate::ALPN.to_vec()]);
        if let Some(key) = &config.secret_key {
            builder = builder.secret_key(key.clone());
        }
        let endpoint = builder
            .bind()
            .await
            .map_err(|source| BindError::Endpoint { address, source: Box::new(source) })?;
        let shared = Arc::new(Shared { database, config, met: Mutex::default() });
        let mut tasks = JoinSet::new();
        tasks.spawn(serve::accept(endpoint.clone(), Arc::clone(&shared)));
        Ok(Self { endpoint, shared, tasks })
    }

    /// The key that peers know this node by.
    #[must_use]
    pub fn id(&self) -> EndpointId {
        self.endpoint.id()
    }

    /// Key and addresses, for a peer to dial.
    #[must_use]
    pub fn addr(&self) -> EndpointAddr {
        let bound = self.endpoint.bound_sockets().into_iter();
        let named = bound.filter(|socket| !socket.ip().is_unspecified() && socket.port() != 0);
        self.endpoint.addr().with_addrs(named.map(TransportAddr::Ip))
    }

    /// Syncs with a peer, both ways, until both hold the same.
    ///
    /// What comes is durable when this returns, and kept if it fails: the next sync goes on there.
    ///
    /// # Errors
    /// [`SyncError`] if the session ended before both held the same.
    pub async fn sync(&self, peer: impl Into<EndpointAddr>) -> Result<Report, SyncError> {
        let peer = peer.into();
        let id = peer.id;
        let connecting = self.endpoint.connect(peer, crate::ALPN).await;
        let connection = connecting.map_err(unreachable)?;
        let done = self.sync_over(&connection, id).await;
        connection.close(close_code::DONE, b"");
        done
    }

    /// Stops listening, breaks off what is under way and waits until the database is left alone.
    pub async fn close(mut self) {
        self.endpoint.close().await;
        while self.tasks.join_next().await.is_some() {}
    }

    async fn sync_over(
        &self,
        connection: &Connection,
        id: EndpointId,
    ) -> Result<Report, SyncError> {
        let patience = self.shared.patience();
        let (send, recv) = connection.open_bi().await.map_err(SyncError::lost)?;
        let mut stream = Stream { send, recv };
        let known = self.shared.met().get(&id).copied();
        let work = self
            .shared
            .work(move |shared| Work::initiator(&shared.database, &shared.config.session, known))
            .await?;
        let news = self.shared.database.watch_flushed();
        let (report, done) = stream.run(work, news, patience).await;
        if let Some(replica) = report.peer {
            self.shared.met().insert(id, replica);
        }
        stream.finish(patience).await;
        done.map(|()| report)
    }
}

impl Shared {
    pub(crate) fn patience(&self) -> Patience {
        let NodeConfig { idle, session_max, .. } = self.config;
        Patience { idle, session_max }
    }

    /// Makes the work of a session, which reads the database.
    pub(crate) async fn work(
        self: &Arc<Self>,
        make: impl FnOnce(&Self) -> Result<Work, laterbase::AppendError> + Send + 'static,
    ) -> Result<Work, SyncError> {
        let shared = Arc::clone(self);
        let made = tokio::task::spawn_blocking(move || make(&shared)).await;
        Ok(made.map_err(|_| SyncError::Worker)??)
    }

    fn met(&self) -> std::sync::MutexGuard<'_, BTreeMap<EndpointId, ReplicaId>> {
        // A map is whole between any two of its operations.
        self.met.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One stream at a time, and nothing beside it.
fn transport() -> QuicTransportConfig {
    QuicTransportConfig::builder()
        .max_concurrent_bidi_streams(VarInt::from_u32(1))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None)
        .build()
}

/// Why a connection did not come about; a peer that closed it at once may have said why.
fn unreachable(error: ConnectError) -> SyncError {
    if let ConnectError::Connection { source, .. }
    | ConnectError::Connecting {
        source: ConnectingError::ConnectionError { source, .. }, ..
    } = &error
        && matches!(source, ConnectionError::ApplicationClosed(_))
    {
        return SyncError::lost(source.clone());
    }
    SyncError::Unreachable { source: Box::new(error) }
}
