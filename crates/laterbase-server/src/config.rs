//! What a server takes on: sessions, requests, bytes, time.

use std::time::Duration;

use laterbase::sync::SessionConfig;

/// How a server behaves.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// What each sync session may do and take.
    pub session: SessionConfig,
    /// Sync sessions per database that are kept between requests; the longest idle goes first.
    pub sessions_max: usize,
    /// Of those, how many of one peer.
    pub sessions_per_peer_max: usize,
    /// How long a session is kept without a request.
    pub session_idle: Duration,
    /// Requests that are worked on at the same time; more are told to come back.
    pub requests_max: usize,
    /// Live connections at the same time.
    pub live_max: usize,
    /// Bytes of a request's body.
    pub body_bytes_max: usize,
    /// How long a request may take to arrive and to be answered.
    pub request_timeout: Duration,
    /// How long requests may go on after the server was told to stop.
    pub grace: Duration,
}

impl Default for ServerConfig {
    /// 256 sessions, four per peer, kept for a minute; 64 requests at a time of up to 48 MiB.
    fn default() -> Self {
        Self {
            session: SessionConfig::default(),
            sessions_max: 256,
            sessions_per_peer_max: 4,
            session_idle: Duration::from_secs(60),
            requests_max: 64,
            live_max: 128,
            body_bytes_max: 48 << 20,
            request_timeout: Duration::from_secs(60),
            grace: Duration::from_secs(10),
        }
    }
}
