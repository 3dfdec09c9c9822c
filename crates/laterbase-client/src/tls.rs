//! Encryption: TLS 1.3, and nothing older, to servers that the system's authorities vouch for.
//!
//! `SSL_CERT_FILE` names a PEM file with other authorities in their place, such as a fleet's own.

use std::io;
use std::net::TcpStream;
use std::sync::{Arc, OnceLock};

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, version};
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use crate::address::PeerAddress;
use crate::wire::WireError;

/// A connection that is encrypted.
pub(crate) type Encrypted = StreamOwned<ClientConnection, TcpStream>;

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// Whom this process trusts, read once; and what could not be read.
struct Trusted {
    authorities: Vec<CertificateDer<'static>>,
    trouble: Vec<String>,
}

fn trusted() -> &'static Trusted {
    static READ: OnceLock<Trusted> = OnceLock::new();
    READ.get_or_init(|| {
        let read = rustls_native_certs::load_native_certs();
        let mut trouble: Vec<String> = read.errors.iter().map(ToString::to_string).collect();
        if read.certs.is_empty() {
            trouble.push("no authority is trusted".to_owned());
        }
        Trusted { authorities: read.certs, trouble }
    })
}

/// Why a connection failed, if it did because the peer's certificate is not trusted.
pub(crate) fn untrusted(error: &io::Error) -> Option<WireError> {
    let source = error.get_ref().and_then(|source| source.downcast_ref::<rustls::Error>());
    let is_it = matches!(source, Some(rustls::Error::InvalidCertificate(_)));
    let message = || {
        let trouble = trusted().trouble.iter().map(|trouble| format!("; {trouble}"));
        format!("{error}{}", trouble.collect::<String>())
    };
    is_it.then(|| WireError::Untrusted { message: message() })
}

/// How requests over HTTP are encrypted.
pub(crate) fn of_requests() -> TlsConfig {
    let roots: Vec<_> =
        trusted().authorities.iter().map(|one| Certificate::from_der(one).to_owned()).collect();
    TlsConfig::builder()
        .root_certs(RootCerts::new_with_certs(&roots))
        .unversioned_rustls_crypto_provider(provider())
        .build()
}

/// Encrypts a connection; the handshake comes with the first byte.
///
/// # Errors
/// [`WireError::Unreachable`] if nobody could prove to be that host.
pub(crate) fn encrypt(address: &PeerAddress, stream: TcpStream) -> Result<Encrypted, WireError> {
    let failed = |message: String| WireError::Unreachable { message };
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(trusted().authorities.iter().cloned());
    let config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&version::TLS13])
        .map_err(|error| failed(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(address.host().to_owned());
    let name = name.map_err(|error| failed(error.to_string()))?;
    let connection = ClientConnection::new(Arc::new(config), name);
    let connection = connection.map_err(|error| failed(error.to_string()))?;
    Ok(StreamOwned::new(connection, stream))
}
