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

/// The certificates of those whom this process trusts, read once.
fn authorities() -> &'static [CertificateDer<'static>] {
    static READ: OnceLock<Vec<CertificateDer<'static>>> = OnceLock::new();
    // What cannot be read is not trusted; the handshake says so.
    READ.get_or_init(|| rustls_native_certs::load_native_certs().certs)
}

/// Whether a connection failed because its certificate is not trusted.
pub(crate) fn is_untrusted(error: &io::Error) -> bool {
    let source = error.get_ref().and_then(|source| source.downcast_ref::<rustls::Error>());
    matches!(source, Some(rustls::Error::InvalidCertificate(_)))
}

/// How requests over HTTP are encrypted.
pub(crate) fn of_requests() -> TlsConfig {
    let trusted: Vec<_> =
        authorities().iter().map(|one| Certificate::from_der(one).to_owned()).collect();
    TlsConfig::builder()
        .root_certs(RootCerts::new_with_certs(&trusted))
        .unversioned_rustls_crypto_provider(provider())
        .build()
}

/// Encrypts a connection; the handshake comes with the first byte.
///
/// # Errors
/// [`WireError::Unreachable`] if nobody could prove to be that host.
pub(crate) fn encrypt(address: &PeerAddress, stream: TcpStream) -> Result<Encrypted, WireError> {
    let failed = |message: String| WireError::Unreachable { message };
    let mut trusted = RootCertStore::empty();
    trusted.add_parsable_certificates(authorities().iter().cloned());
    let config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&version::TLS13])
        .map_err(|error| failed(error.to_string()))?
        .with_root_certificates(trusted)
        .with_no_client_auth();
    let name = ServerName::try_from(address.host().to_owned());
    let name = name.map_err(|error| failed(error.to_string()))?;
    let connection = ClientConnection::new(Arc::new(config), name);
    let connection = connection.map_err(|error| failed(error.to_string()))?;
    Ok(StreamOwned::new(connection, stream))
}
