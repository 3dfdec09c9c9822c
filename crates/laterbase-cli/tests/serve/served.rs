//! A process that serves, and what it said.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

/// After so long something is stuck.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server process; it ends with the test.
pub(crate) struct Served {
    child: Child,
    address: String,
    errors: BufReader<ChildStderr>,
}

impl Served {
    /// Runs the command until it listens.
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut first = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
        let mut errors = BufReader::new(child.stderr.take().unwrap());
        let address = first
            .split("http://")
            .nth(1)
            .map(|rest| rest.trim_end().split('"').next().unwrap_or_default().to_owned());
        let Some(address) = address else {
            let mut said = String::new();
            errors.read_to_string(&mut said).unwrap();
            panic!("it does not listen: {first} {said}");
        };
        Self { child, address, errors }
    }

    /// A request with these headers: all of the answer.
    pub(crate) fn ask(&self, method: &str, path: &str, headers: &[&str], body: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut head =
            format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n");
        for header in headers {
            head.push_str(&format!("{header}\r\n"));
        }
        write!(stream, "{head}content-length: {}\r\n\r\n{body}", body.len()).unwrap();
        let mut said = Vec::new();
        let _ = stream.read_to_end(&mut said);
        String::from_utf8_lossy(&said).into_owned()
    }

    /// The next line that it writes to standard error.
    pub(crate) fn next_line(&mut self) -> String {
        let mut line = String::new();
        self.errors.read_line(&mut line).unwrap();
        line
    }

    /// Tells it to end; what it wrote to standard error.
    pub(crate) fn end(mut self) -> String {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        let mut said = String::new();
        self.errors.read_to_string(&mut said).unwrap();
        assert!(self.child.wait().unwrap().success(), "{said}");
        said
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
