//! Encryption: TLS 1.3 and nothing older, also when a client asks for less.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use crate::support::Running;
use laterbase::{Database, Options};
use laterbase_server::{ServerConfig, Tls};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion,
};

/// A served database and the certificate that it shows.
fn served(directory: &std::path::Path) -> (Running, CertificateDer<'static>) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (chain, key) = (directory.join("cert.pem"), directory.join("key.pem"));
    std::fs::write(&chain, cert.pem()).unwrap();
    std::fs::write(&key, signing_key.serialize_pem()).unwrap();
    let path = directory.join("db");
    Database::create(&path, Options::default()).unwrap().close().unwrap();
    let tls = Some(Tls::from_files(&chain, &key).unwrap());
    (Running::of(&path, ServerConfig { tls, ..ServerConfig::default() }), cert.der().clone())
}

/// What a client gets that speaks just these versions.
fn ask(
    server: &Running,
    trusted: &CertificateDer<'static>,
    versions: &[&'static SupportedProtocolVersion],
) -> std::io::Result<String> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let stream = TcpStream::connect(server.address)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let mut stream = StreamOwned::new(connection, stream);
    stream.write_all(b"GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
    let mut said = String::new();
    stream.read_to_string(&mut said)?;
    Ok(said)
}

#[test]
fn nothing_older_than_tls_13_is_spoken() {
    let directory = tempfile::tempdir().unwrap();
    let (server, certificate) = served(directory.path());
    let older = ask(&server, &certificate, &[&TLS12]).unwrap_err();
    assert!(older.to_string().contains("ProtocolVersion"), "{older}");
    for versions in [&[&TLS13][..], &[&TLS12, &TLS13]] {
        let said = ask(&server, &certificate, versions).unwrap();
        assert!(said.starts_with("HTTP/1.1 200"), "{said}");
    }
    let plain = server.raw(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n");
    assert!(!plain.contains("HTTP/1.1"), "{plain}");
}

#[test]
fn a_client_that_never_finishes_the_handshake_hurts_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let (server, certificate) = served(directory.path());
    let stalled: Vec<TcpStream> = (0..50)
        .map(|index| {
            let mut stream = TcpStream::connect(server.address).unwrap();
            // The beginning of a client's first record.
            stream.write_all(&[22, 3, 1, 2, 0][..index % 6]).unwrap();
            stream
        })
        .collect();
    assert!(ask(&server, &certificate, &[&TLS13]).unwrap().starts_with("HTTP/1.1 200"));
    drop(stalled);
}
