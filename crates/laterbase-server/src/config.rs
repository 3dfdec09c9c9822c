//! What a server takes on: sessions, requests, streams, bytes, time.

use std::sync::Arc;
use std::time::Duration;

use laterbase::sync::SessionConfig;

use crate::access::Authorizer;
#[cfg(feature = "tls")]
use crate::tls::Tls;

/// How a server behaves.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// What each sync session may do and take.
    pub session: SessionConfig,
    /// Databases that clients may make, those that were there counted.
    pub databases_max: usize,
    /// Sync sessions per database that are kept between requests; the longest idle goes first.
    pub sessions_max: usize,
    /// Of those, how many of one peer.
    pub sessions_per_peer_max: usize,
    /// How long a session is kept without a request.
    pub session_idle: Duration,
    /// Connections at the same time; more are closed as they come. Three quarters of the file
    /// descriptors that the process may have, where that is less.
    pub connections_max: usize,
    /// Requests that are worked on at the same time; more are told to come back. Whoever has not
    /// sent its body is not worked on yet.
    pub requests_max: usize,
    /// Live connections at the same time.
    pub live_max: usize,
    /// Answers that stream at the same time: feeds and exports.
    pub streams_max: usize,
    /// How often a feed in which nothing happens says that it is there.
    pub keep_alive: Duration,
    /// Bytes of a request's body.
    pub body_bytes_max: usize,
    /// Bytes of bodies that arrive, and of answers that clients have not taken, of all requests
    /// together; more are told to come back. At least one of the longest bodies fits.
    pub waiting_bytes_max: usize,
    /// Bytes of a request's headers, names and values together.
    pub header_bytes_max: usize,
    /// Bytes of a request's path and query.
    pub uri_bytes_max: usize,
    /// How many requests one client may send, if that is bounded.
    pub rate: Option<Rate>,
    /// Web pages of these origins may ask, such as `https://fleet.example`; none by default.
    pub cors_origins: Vec<String>,
    /// Who decides what clients may do; without one, all may do everything.
    pub authorizer: Option<Arc<dyn Authorizer>>,
    /// How long a stream or a live connection may rely on what the authorizer said.
    pub recheck_after: Duration,
    /// What encrypts all connections, and proves to clients who the server is.
    #[cfg(feature = "tls")]
    pub tls: Option<Tls>,
    /// Whether others than this machine may reach it also without tokens and encryption.
    pub insecure_network: bool,
    /// Whether each answer is told as a notice.
    pub log_requests: bool,
    /// How long the head of a request may take to arrive, and a connection to be encrypted.
    pub head_timeout: Duration,
    /// How long a request may take to arrive, and how long a GET may take to be answered. What
    /// may change something is waited for.
    pub request_timeout: Duration,
    /// How long a client may take nothing of its answer.
    pub write_timeout: Duration,
    /// How long requests may go on after the server was told to stop.
    pub grace: Duration,
}

/// How many requests one client may send: a bucket that fills again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// Requests in a second, in the long run; above 0.
    pub per_second: f64,
    /// Requests at once.
    pub burst: u32,
}

impl Default for ServerConfig {
    /// 256 sessions, four per peer, kept for a minute; 20,000 connections; 64 requests at a time of
    /// up to 48 MiB, 256 MiB together; 16,384 streams; no bound per client and no other origins.
    fn default() -> Self {
        Self {
            session: SessionConfig::default(),
            databases_max: 256,
            sessions_max: 256,
            sessions_per_peer_max: 4,
            session_idle: Duration::from_secs(60),
            connections_max: 20_000,
            requests_max: 64,
            live_max: 128,
            streams_max: 16_384,
            keep_alive: Duration::from_secs(15),
            body_bytes_max: 48 << 20,
            waiting_bytes_max: 256 << 20,
            header_bytes_max: 32 << 10,
            uri_bytes_max: 16 << 10,
            rate: None,
            cors_origins: Vec::new(),
            authorizer: None,
            recheck_after: Duration::from_secs(2),
            #[cfg(feature = "tls")]
            tls: None,
            insecure_network: false,
            log_requests: false,
            head_timeout: Duration::from_secs(15),
            request_timeout: Duration::from_secs(60),
            write_timeout: Duration::from_secs(60),
            grace: Duration::from_secs(10),
        }
    }
}

impl ServerConfig {
    /// Whether connections are encrypted.
    pub(crate) fn is_encrypted(&self) -> bool {
        #[cfg(feature = "tls")]
        let is_encrypted = self.tls.is_some();
        #[cfg(not(feature = "tls"))]
        let is_encrypted = false;
        is_encrypted
    }

    /// Whether others than this machine may reach the server.
    pub(crate) fn may_be_reached(&self) -> bool {
        self.insecure_network || (self.is_encrypted() && self.authorizer.is_some())
    }
}
