//! Encryption: copies that sync over TLS with a server that they trust, and with no other.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::served::{Following, Served};
use crate::support::{Sandbox, answer, ndjson};

/// After so long something is stuck.
const PATIENCE: Duration = Duration::from_secs(60);

/// An authority of the fleet's own, and the hub's certificate.
struct Papers {
    authority: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
}

impl Papers {
    fn new(sandbox: &Sandbox) -> Self {
        use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
        let mut of_authority = CertificateParams::new(Vec::new()).unwrap();
        of_authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority_key = KeyPair::generate().unwrap();
        let authority = of_authority.self_signed(&authority_key).unwrap();
        let issuer = Issuer::new(of_authority, authority_key);
        let key = KeyPair::generate().unwrap();
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let hub = CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
        Self {
            authority: sandbox.file("authority.pem", authority.pem()),
            certificate: sandbox.file("hub.pem", hub.pem()),
            key: sandbox.file("hub.key", key.serialize_pem()),
        }
    }

    /// A command that trusts the fleet's authority alone.
    fn trusting(&self, sandbox: &Sandbox, arguments: &[&str]) -> Command {
        let mut command = sandbox.command(arguments);
        command.env("SSL_CERT_FILE", &self.authority);
        command
    }
}

fn append(sandbox: &Sandbox, db: &str, key: &str) {
    let stream = format!("shipment/{key}");
    sandbox.run(["append", "--db", db, &stream, "seen", "--data", "{}"]).success();
}

fn count(sandbox: &Sandbox, db: &str) -> usize {
    let read = sandbox.run(["read", "--db", db, "shipment", "--format", "ndjson"]).success();
    ndjson(&read.stdout).len()
}

/// The key of the next event that a process shows.
fn next_key(following: &mut Following) -> String {
    following.next()["key"].as_str().unwrap().to_owned()
}

#[test]
fn copies_sync_over_tls_with_whom_they_trust() {
    let sandbox = Sandbox::new();
    let papers = Papers::new(&sandbox);
    sandbox.run(["init", "--db", "hub"]).success();
    append(&sandbox, "hub", "1");
    let (certificate, key) = (papers.certificate.to_str().unwrap(), papers.key.to_str().unwrap());
    let serve = ["serve", "--db", "hub", "--listen", "127.0.0.1:0"];
    let serve = [&serve[..], &["--tls-cert", certificate, "--tls-key", key]].concat();
    let hub = Served::start(sandbox.command(&serve));
    assert!(hub.url.starts_with("https://"), "{}", hub.url);

    // Who does not know the authority does not talk to the hub.
    let stranger = sandbox.run(["init", "--db", "stranger", "--join", &hub.url]);
    assert_eq!(stranger.code, 12, "{}", stranger.stderr);
    assert!(stranger.stderr.contains("SSL_CERT_FILE"), "{}", stranger.stderr);
    // A file that is not there trusts nobody, and is named.
    let mut lost = sandbox.command(["stats", "--url", &hub.url]);
    lost.env_remove("LATERBASE_DB").env_remove("SSL_CERT_DIR").env("SSL_CERT_FILE", "nowhere.pem");
    let lost = answer(lost, "");
    assert!(lost.code == 12 && lost.stderr.contains("nowhere.pem"), "{}", lost.stderr);
    // Nor does the hub answer who does not encrypt.
    let mut plain = TcpStream::connect(hub.url.strip_prefix("https://").unwrap()).unwrap();
    plain.set_read_timeout(Some(PATIENCE)).unwrap();
    plain.write_all(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    let mut said = Vec::new();
    let _ = plain.read_to_end(&mut said);
    assert!(!String::from_utf8_lossy(&said).contains("HTTP/1.1"), "{said:?}");

    let join = ["init", "--db", "truck", "--join", &hub.url];
    answer(papers.trusting(&sandbox, &join), "").success();
    answer(papers.trusting(&sandbox, &["sync", "--db", "truck"]), "").success();
    assert_eq!(count(&sandbox, "truck"), 1);
    // As events come, both ways, over a connection that is kept.
    let follow = ["tail", "--db", "hub", "--follow", "--json", "--lines", "100"];
    let mut at_hub = Following::start(sandbox.command(follow));
    append(&sandbox, "truck", "2");
    let serve = ["serve", "--db", "truck", "--listen", "127.0.0.1:0", "--sync-every", "3600"];
    let truck = Served::start(papers.trusting(&sandbox, &serve));
    assert_eq!([next_key(&mut at_hub), next_key(&mut at_hub)], ["1", "2"]);
    let posted = post(&truck.url);
    assert!(posted.starts_with("HTTP/1.1 201"), "{posted}");
    assert_eq!(next_key(&mut at_hub), "3");
}

/// An event over plain HTTP to a server of this machine.
fn post(url: &str) -> String {
    let mut stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
    let body = "{\"type\":\"seen\",\"key\":\"3\",\"data\":{}}";
    let head = "POST /e/shipment HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
                content-type: application/json";
    write!(stream, "{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).unwrap();
    said
}

#[test]
fn a_server_that_others_reach_needs_encryption_and_tokens() {
    let sandbox = Sandbox::new();
    let papers = Papers::new(&sandbox);
    sandbox.run(["init", "--db", "hub"]).success();
    let (certificate, key) = (papers.certificate.to_str().unwrap(), papers.key.to_str().unwrap());
    let everywhere = ["serve", "--db", "hub", "--listen", "0.0.0.0:0"];
    let encrypted = ["--tls-cert", certificate, "--tls-key", key];
    for arguments in [&everywhere[..], &[&everywhere[..], &encrypted].concat()] {
        let refused = sandbox.run(arguments).code(2);
        assert!(refused.stderr.contains("--token-key"), "{}", refused.stderr);
    }
    // A key that is not the certificate's, and files that are none.
    let other = sandbox.file("other.key", rcgen::KeyPair::generate().unwrap().serialize_pem());
    for (certificate, key) in
        [(certificate, other.to_str().unwrap()), (key, certificate), ("nowhere.pem", key)]
    {
        let serve = ["serve", "--db", "hub", "--listen", "127.0.0.1:0"];
        let refused =
            sandbox.run([&serve[..], &["--tls-cert", certificate, "--tls-key", key]].concat());
        assert_eq!(refused.code, 5, "{}", refused.stderr);
    }
}
