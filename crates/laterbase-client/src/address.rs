//! Where a peer is: an HTTP address and the name of a database there.
//!
//! `http://127.0.0.1:7410`, `127.0.0.1:7410` and `http://127.0.0.1:7410/db/default` are the same.
//! `https://` is encrypted, and may lead to any machine; `http://` leads to this one alone.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

/// The name of the database in a server's own directory.
pub const DEFAULT_DATABASE: &str = "default";

/// Where a peer is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerAddress {
    is_encrypted: bool,
    host: String,
    port: u16,
    database: String,
}

/// A text is no address of a peer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It names another protocol.
    #[error("`{scheme}` is not supported: write https://HOST:PORT or http://HOST:PORT")]
    Scheme {
        /// The protocol.
        scheme: String,
    },
    /// It has no host and port.
    #[error("`{text}` has no host and port: write http://HOST:PORT, such as http://127.0.0.1:7410")]
    Host {
        /// What stands in their place.
        text: String,
    },
    /// Its path is not a database.
    #[error("`{path}` is not the path of a database: write http://HOST:PORT/db/NAME")]
    Path {
        /// The path.
        path: String,
    },
    /// It is not on this machine.
    #[error(
        "{host} is another machine: use https://, or reach it through a tunnel, such as \
         `ssh -L 7411:127.0.0.1:7410 {host}`"
    )]
    NotLoopback {
        /// The host.
        host: String,
    },
}

impl PeerAddress {
    /// The database `name` of the server that listens on `socket`, without encryption.
    #[must_use]
    pub fn new(socket: SocketAddr, name: &str) -> Self {
        let host = match socket.ip() {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        };
        Self { is_encrypted: false, host, port: socket.port(), database: name.to_owned() }
    }

    /// Whether connections there are encrypted.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.is_encrypted
    }

    /// The host's name or address, as certificates name it.
    #[must_use]
    pub fn host(&self) -> &str {
        self.host.trim_start_matches('[').trim_end_matches(']')
    }

    fn scheme(&self) -> &'static str {
        if self.is_encrypted { "https" } else { "http" }
    }

    /// `HOST:PORT`, for a socket.
    #[must_use]
    pub fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// The name of the database there.
    #[must_use]
    pub fn database(&self) -> &str {
        &self.database
    }

    /// The path of the database, without a slash at the end.
    #[must_use]
    pub fn path(&self) -> String {
        format!("/db/{}", self.database)
    }

    /// The address of what the database answers under `rest`, such as `/sync`.
    #[must_use]
    pub fn url(&self, rest: &str) -> String {
        format!("{}://{}{}{rest}", self.scheme(), self.authority(), self.path())
    }
}

impl fmt::Display for PeerAddress {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}://{}", self.scheme(), self.authority())?;
        if self.database != DEFAULT_DATABASE {
            write!(out, "{}", self.path())?;
        }
        Ok(())
    }
}

impl FromStr for PeerAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (is_encrypted, rest) = match text.split_once("://") {
            Some(("http", rest)) => (false, rest),
            #[cfg(feature = "tls")]
            Some(("https", rest)) => (true, rest),
            Some((scheme, _)) => return Err(AddressError::Scheme { scheme: scheme.to_owned() }),
            None => (false, text),
        };
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let no_host = || AddressError::Host { text: authority.to_owned() };
        let (host, port) = authority.rsplit_once(':').ok_or_else(no_host)?;
        let port: u16 = port.parse().map_err(|_| no_host())?;
        if host.is_empty() || port == 0 || host.contains('@') {
            return Err(no_host());
        }
        let name = host.trim_start_matches('[').trim_end_matches(']');
        let ip = name.parse::<IpAddr>();
        if !is_encrypted && !ip.map_or(name == "localhost", |ip| ip.is_loopback()) {
            return Err(AddressError::NotLoopback { host: host.to_owned() });
        }
        Ok(Self { is_encrypted, host: host.to_owned(), port, database: database(path)?.to_owned() })
    }
}

/// The name of the database that a path leads to.
fn database(path: &str) -> Result<&str, AddressError> {
    let short = path.strip_suffix("/sync").unwrap_or(path).trim_end_matches('/');
    if short.is_empty() {
        return Ok(DEFAULT_DATABASE);
    }
    let name = short.strip_prefix("/db/").filter(|name| is_name(name));
    name.ok_or_else(|| AddressError::Path { path: path.to_owned() })
}

/// Whether a server can have a database of this name: `[a-z0-9][a-z0-9_-]{0,62}`.
fn is_name(name: &str) -> bool {
    let is_first = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let mut bytes = name.bytes();
    bytes.next().is_some_and(is_first)
        && bytes.all(|byte| is_first(byte) || b"_-".contains(&byte))
        && name.len() <= 63
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_forms_mean_the_default_database() {
        for text in [
            "127.0.0.1:7410",
            "http://127.0.0.1:7410",
            "http://127.0.0.1:7410/",
            "http://127.0.0.1:7410/sync",
            "http://127.0.0.1:7410/db/default",
            "http://127.0.0.1:7410/db/default/sync",
        ] {
            let address: PeerAddress = text.parse().unwrap();
            assert_eq!(address.to_string(), "http://127.0.0.1:7410", "{text}");
            assert_eq!(address.url("/sync"), "http://127.0.0.1:7410/db/default/sync");
        }
        let named: PeerAddress = "http://[::1]:80/db/port-of_rotterdam".parse().unwrap();
        assert_eq!(named.to_string(), "http://[::1]:80/db/port-of_rotterdam");
    }

    #[test]
    fn what_is_no_address_is_told_apart() {
        let refused = |text: &str| text.parse::<PeerAddress>().unwrap_err();
        assert!(matches!(refused("ftp://localhost:1"), AddressError::Scheme { .. }));
        for text in ["", "localhost", "http://:1", "localhost:0", "a@localhost:1", "localhost:x"] {
            assert!(matches!(refused(text), AddressError::Host { .. }), "{text}");
        }
        let long = format!("localhost:1/db/{}", "x".repeat(64));
        let names = ["localhost:1/x", "localhost:1/db/", "localhost:1/db/A", "localhost:1/db/-a"];
        for text in names.into_iter().chain(["localhost:1/db/_a", &long]) {
            assert!(matches!(refused(text), AddressError::Path { .. }), "{text}");
        }
        assert!(matches!(refused("192.0.2.1:1"), AddressError::NotLoopback { .. }));
        assert!(matches!(refused("example.org:1"), AddressError::NotLoopback { .. }));
    }

    #[test]
    fn other_machines_are_reached_where_there_is_encryption() {
        let parsed = "https://hub.example.org:7410/db/port".parse::<PeerAddress>();
        if cfg!(feature = "tls") {
            let address = parsed.unwrap();
            assert!(address.is_encrypted());
            assert_eq!(address.host(), "hub.example.org");
            assert_eq!(address.to_string(), "https://hub.example.org:7410/db/port");
            assert_eq!(address.url("/sync"), "https://hub.example.org:7410/db/port/sync");
        } else {
            assert!(matches!(parsed, Err(AddressError::Scheme { .. })));
        }
    }
}
