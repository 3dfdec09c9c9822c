//! Listening, until it is told to stop: on this machine only, unless connections are encrypted and
//! clients show tokens.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use laterbase::NameError;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::call::Client;
use crate::config::ServerConfig;
use crate::patient::Patient;
use crate::routes::Shared;
use crate::server::Server;
use crate::trace;

/// Bytes of a request's head and of what is read of its body at once. A longer head is answered by
/// hyper itself: 431, without a document.
const BUFFER_BYTES_MAX: usize = 128 << 10;
/// How long to wait after the system refused a connection, such as for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Threads that do the reading and writing; what blocks has threads of its own.
const IO_THREADS: usize = 2;

/// A server cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The text is no address.
    #[error("`{text}` is no address: write HOST:PORT, such as 127.0.0.1:7410")]
    Address {
        /// The text.
        text: String,
    },
    /// Others could reach it.
    #[error(
        "{address} can be reached from other machines: that needs a certificate and tokens \
         (--tls-cert, --tls-key, --token-key); or listen on 127.0.0.1 and let others in through a \
         tunnel, such as `ssh -R 7410:127.0.0.1:{} HOST`", address.port()
    )]
    NotLoopback {
        /// The address.
        address: SocketAddr,
    },
    /// What an aggregate's root or a view was called is no such name.
    #[error("`{name}` cannot name aggregates or a view: {why}")]
    Name {
        /// The name.
        name: String,
        /// Why.
        why: NameError,
    },
    /// What a database was called is no such name.
    #[error(
        "`{name}` is no name of a database: write up to 63 of a-z, 0-9, _ and -, a letter or digit \
         first, and not the first part of another path, such as `sync`"
    )]
    DatabaseName {
        /// The name.
        name: String,
    },
    /// Two databases have one name.
    #[error("there is a database `{name}` already: give each a name of its own")]
    Twice {
        /// The name.
        name: String,
    },
    /// The system refuses.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The threads cannot be started.
    #[error("cannot start the server: {0}")]
    Start(io::Error),
}

/// A server that listens and does not answer yet.
pub struct Listening {
    shared: Arc<Shared>,
    runtime: Runtime,
    listener: TcpListener,
    address: SocketAddr,
    signals: Signals,
}

/// The address in a text.
///
/// # Errors
/// [`ListenError::Address`].
pub fn check_address(text: &str) -> Result<SocketAddr, ListenError> {
    let none = || ListenError::Address { text: text.to_owned() };
    let found = match text.parse() {
        Ok(address) => Some(address),
        Err(_) => text.to_socket_addrs().map_err(|_| none())?.next(),
    };
    found.ok_or_else(none)
}

/// Whether a server may listen there: on this machine, or where its configuration has TLS and an
/// authorizer, or `insecure_network`.
///
/// # Errors
/// [`ListenError::NotLoopback`].
pub fn check_reach(address: SocketAddr, config: &ServerConfig) -> Result<(), ListenError> {
    if address.ip().is_loopback() || config.may_be_reached() {
        return Ok(());
    }
    Err(ListenError::NotLoopback { address })
}

impl Listening {
    /// Listens on `address`; port 0 takes a free one.
    ///
    /// # Errors
    /// [`ListenError`]; [`ListenError::NotLoopback`] if other machines could reach it and its
    /// configuration has neither TLS and an authorizer, nor `insecure_network`.
    pub fn new(server: Server, address: SocketAddr) -> Result<Self, ListenError> {
        check_reach(address, server.server_config())?;
        let shared = server.into_shared()?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(IO_THREADS)
            .thread_name("laterbase-http")
            .enable_all()
            .build()
            .map_err(ListenError::Start)?;
        // Before anybody knows the address: from then on an end is a proper one.
        let signals = runtime.block_on(async { Signals::new() }).map_err(ListenError::Start)?;
        let failed = |source| ListenError::Bind { address, source };
        let listener = runtime.block_on(TcpListener::bind(address)).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let listening = Self { shared, runtime, listener, address, signals };
        let shared = &listening.shared;
        // Set once: a server listens at one place.
        let _ = shared.published.set(listening.local_url());
        shared.databases.all().iter().for_each(|hosted| shared.publish(hosted));
        Ok(listening)
    }

    /// Where other processes of this machine reach it.
    fn local_url(&self) -> String {
        let ip = match self.address.ip() {
            ip if !ip.is_unspecified() => ip,
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        };
        self.url_at(SocketAddr::new(ip, self.address.port()))
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same with the scheme: `https://127.0.0.1:7410`.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_at(self.address)
    }

    fn url_at(&self, address: SocketAddr) -> String {
        let is_encrypted = self.shared.config.is_encrypted();
        let scheme = if is_encrypted { "https" } else { "http" };
        format!("{scheme}://{address}")
    }

    /// Answers until the process is told to end (SIGINT, SIGTERM) or `stop` changes; then lets
    /// requests come to their end for a while.
    pub fn run(self, stop: watch::Receiver<bool>) {
        let Self { shared, runtime, listener, signals, .. } = self;
        let grace = shared.config.grace;
        runtime.block_on(async {
            let ended = until_ended(signals, stop);
            let (closing, _) = watch::channel(false);
            accept(&shared, &listener, &closing, ended).await;
            drop(listener);
            shared.ending.send_replace(true);
            closing.send_replace(true);
            // Whoever does not come to an end is cut off.
            let _ = tokio::time::timeout(grace, closing.closed()).await;
        });
        runtime.shutdown_timeout(grace);
    }
}

impl fmt::Debug for Listening {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Listening").field("address", &self.address).finish_non_exhaustive()
    }
}

/// What tells the process to end. Listened to from the moment of its making.
#[derive(Debug)]
struct Signals {
    #[cfg(unix)]
    interrupted: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminated: tokio::signal::unix::Signal,
}

impl Signals {
    /// Listens, in the context of a runtime.
    fn new() -> io::Result<Self> {
        #[cfg(unix)]
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            #[cfg(unix)]
            interrupted: signal(SignalKind::interrupt())?,
            #[cfg(unix)]
            terminated: signal(SignalKind::terminate())?,
        })
    }

    #[cfg(unix)]
    async fn come(mut self) {
        tokio::select! {
            _ = self.interrupted.recv() => {}
            _ = self.terminated.recv() => {}
        }
    }

    #[cfg(not(unix))]
    async fn come(self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Ends when a signal comes, or `stop` says so.
async fn until_ended(signals: Signals, mut stop: watch::Receiver<bool>) {
    let told = async move {
        // A handle that is gone says nothing any more.
        if stop.wait_for(|told| *told).await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = signals.come() => {}
        () = told => {}
    }
}

/// Serves connections until `ended`. Each holds a receiver of `closing` for as long as it lasts.
async fn accept(
    shared: &Arc<Shared>,
    listener: &TcpListener,
    closing: &watch::Sender<bool>,
    ended: impl Future<Output = ()>,
) {
    let router = shared.router();
    let mut http = http1::Builder::new();
    let config = &shared.config;
    http.timer(TokioTimer::new())
        .header_read_timeout(config.head_timeout)
        .max_buf_size(BUFFER_BYTES_MAX);
    let mut ended = pin!(ended);
    let places = Arc::new(Semaphore::new(connections_max(config.connections_max)));
    loop {
        let mut next = pin!(listener.accept());
        let accepted = poll_fn(|cx| {
            if ended.as_mut().poll(cx).is_ready() {
                return Poll::Ready(None);
            }
            next.as_mut().poll(cx).map(Some)
        });
        match accepted.await {
            None => return,
            Some(Ok((stream, client))) => {
                let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                    shared.metrics.connections_refused.fetch_add(1, Ordering::Relaxed);
                    trace::connection_refused(client.ip());
                    continue;
                };
                let _ = stream.set_nodelay(true);
                let inner = TowerToHyperService::new(router.clone());
                let service = WithClient { inner, client: Client(client.ip()) };
                let connection = Connection {
                    http: http.clone(),
                    service,
                    closing: closing.subscribe(),
                    _counted: Counted::new(shared),
                    _place: place,
                };
                tokio::spawn(connection.serve(Arc::clone(config), stream));
            }
            Some(Err(_)) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

/// How many connections there may be: so many that descriptors are left for the log.
fn connections_max(wanted: usize) -> usize {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, getrlimit};
        let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let most = usize::try_from(descriptors - descriptors / 4).unwrap_or(usize::MAX);
        wanted.min(most)
    }
    #[cfg(not(unix))]
    wanted
}

/// The router, told who asks.
struct WithClient {
    inner: TowerToHyperService<Router>,
    client: Client,
}

impl Service<Request<Incoming>> for WithClient {
    type Response = <TowerToHyperService<Router> as Service<Request<Incoming>>>::Response;
    type Error = <TowerToHyperService<Router> as Service<Request<Incoming>>>::Error;
    type Future = <TowerToHyperService<Router> as Service<Request<Incoming>>>::Future;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        request.extensions_mut().insert(self.client);
        self.inner.call(request)
    }
}

/// A connection among those that are open, until it is dropped.
struct Counted(Arc<Shared>);

impl Counted {
    fn new(shared: &Arc<Shared>) -> Self {
        shared.metrics.connections.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(shared))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.metrics.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a connection is served with, and what it takes while it lasts.
struct Connection {
    http: http1::Builder,
    service: WithClient,
    closing: watch::Receiver<bool>,
    _counted: Counted,
    _place: OwnedSemaphorePermit,
}

impl Connection {
    /// Serves a connection, behind its encryption if there is one.
    async fn serve(self, config: Arc<ServerConfig>, stream: TcpStream) {
        #[cfg(feature = "tls")]
        if let Some(tls) = &config.tls {
            // Whoever does not finish the handshake, or speaks no TLS, is not answered.
            let shaken = tokio::time::timeout(config.head_timeout, tls.accept(stream)).await;
            if let Ok(Ok(stream)) = shaken {
                self.answer(Patient::new(stream, config.write_timeout)).await;
            }
            return;
        }
        self.answer(Patient::new(stream, config.write_timeout)).await;
    }

    /// Answers requests; when the server is closing, to the end of the one at work.
    async fn answer<S>(self, stream: Patient<S>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Self { http, service, mut closing, _counted, _place } = self;
        let connection = http.serve_connection(TokioIo::new(stream), service).with_upgrades();
        let mut connection = pin!(connection);
        let mut told = pin!(async move {
            let _ = closing.wait_for(|told| *told).await;
            closing
        });
        let mut kept = None;
        poll_fn(|cx| {
            if kept.is_none()
                && let Poll::Ready(closing) = told.as_mut().poll(cx)
            {
                kept = Some(closing);
                connection.as_mut().graceful_shutdown();
            }
            // A connection that breaks is the client's affair.
            connection.as_mut().poll(cx).map(|_| ())
        })
        .await;
    }
}
