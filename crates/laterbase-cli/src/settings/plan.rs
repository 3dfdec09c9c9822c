//! What `serve` runs with, once all settings are known.

use std::path::PathBuf;

use laterbase_client::BackgroundConfig;
use laterbase_server::{Rate, ServerConfig};

/// How many requests a client may send, as it is given; the server's `Rate` is made of both.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct RateLimit {
    pub(crate) per_second: Option<f64>,
    pub(crate) burst: Option<u32>,
}

/// How the lines of the log look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON document on each line.
    Json,
}

/// What `serve` runs with.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) db: Option<PathBuf>,
    pub(crate) listen: String,
    #[cfg(feature = "tls")]
    pub(crate) tls_cert: Option<PathBuf>,
    #[cfg(feature = "tls")]
    pub(crate) tls_key: Option<PathBuf>,
    #[cfg(feature = "tokens")]
    pub(crate) token_key: Vec<PathBuf>,
    #[cfg(feature = "tokens")]
    pub(crate) revoked: Option<PathBuf>,
    pub(crate) log: LogFormat,
    pub(crate) log_level: String,
    pub(crate) rate: RateLimit,
    /// Everything else that concerns peers.
    pub(crate) background: BackgroundConfig,
    /// Everything else that concerns the server. What is read from files is not in it yet.
    pub(crate) server: ServerConfig,
}

impl RateLimit {
    /// The bound of each client, if there is one: at once as many as in a second, unless it is
    /// said.
    pub(crate) fn to_rate(self) -> Option<Rate> {
        let per_second = self.per_second?;
        let burst = self.burst.unwrap_or(per_second.ceil() as u32).max(1);
        Some(Rate { per_second, burst })
    }
}

impl LogFormat {
    /// All of them.
    pub(crate) const ALL: [Self; 2] = [Self::Text, Self::Json];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

impl Plan {
    /// What is done where nothing else is said; `json` is whether the command answers in JSON.
    pub(crate) fn by_default(json: bool) -> Self {
        Self {
            db: None,
            listen: "127.0.0.1:7410".to_owned(),
            #[cfg(feature = "tls")]
            tls_cert: None,
            #[cfg(feature = "tls")]
            tls_key: None,
            #[cfg(feature = "tokens")]
            token_key: Vec::new(),
            #[cfg(feature = "tokens")]
            revoked: None,
            log: if json { LogFormat::Json } else { LogFormat::Text },
            log_level: "info".to_owned(),
            rate: RateLimit::default(),
            background: BackgroundConfig::default(),
            server: ServerConfig::default(),
        }
    }
}
