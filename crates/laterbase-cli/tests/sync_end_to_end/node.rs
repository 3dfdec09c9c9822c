//! One `laterbase serve` process, killed and started again on the same database.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::support::Sandbox;

/// A server process on the database of this name.
pub(crate) struct Node {
    pub(crate) name: &'static str,
    child: Option<Child>,
    pub(crate) address: SocketAddr,
}

impl Node {
    /// Starts a server on the database `name` and waits until it listens.
    pub(crate) fn start(sandbox: &Sandbox, name: &'static str) -> Self {
        let errors = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(sandbox.path(&format!("{name}.err")))
            .unwrap();
        let arguments = [
            "serve",
            "--db",
            name,
            "--listen",
            "127.0.0.1:0",
            "--sync-every",
            "1",
            "--retry-within",
            "1",
        ];
        let mut command = sandbox.command(arguments);
        command.stdout(Stdio::piped()).stderr(errors);
        let mut child = command.spawn().unwrap();
        let mut first = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
        let Some(address) = first.trim().strip_prefix("listening on http://") else {
            let said = std::fs::read_to_string(sandbox.path(&format!("{name}.err"))).unwrap();
            panic!("{name} does not listen: `{first}` {said}");
        };
        Self { name, child: Some(child), address: address.parse().unwrap() }
    }

    /// SIGKILL, in the middle of whatever it does.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// SIGTERM; it must end by itself, and well.
    pub(crate) fn end(&mut self) {
        if let Some(mut child) = self.child.take() {
            let id = child.id().to_string();
            let told = std::process::Command::new("kill").args(["-TERM", &id]).status().unwrap();
            assert!(told.success());
            let status = child.wait().unwrap();
            assert!(status.success(), "{} ended with {status}", self.name);
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it says of its database.
    pub(crate) fn describe(&self) -> Value {
        let (status, body) = ask(self.address, "GET", "/db/default", "", b"").unwrap();
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// One request; `None` if no whole answer came.
pub(crate) fn ask(
    address: SocketAddr,
    method: &str,
    path: &str,
    content_type: &str,
    body: &[u8],
) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(60))).ok()?;
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
         content-type: {content_type}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(body).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}
