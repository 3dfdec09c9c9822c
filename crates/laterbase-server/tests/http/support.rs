//! A server on a free port of this machine, in this process, that ends with the test.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use laterbase::sync::Replica as _;
use laterbase::sync::SessionConfig;
use laterbase::{Database, NewEvent, Options};
use laterbase_client::{HttpWire, PeerAddress, Report, SyncError, drive};
use laterbase_server::{Databases, Listening, Notice, Server, ServerConfig, check_address};
use tokio::sync::watch;

/// A server and what it said.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) notices: Arc<Mutex<Vec<Notice>>>,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    /// Serves the databases in `directory`.
    pub(crate) fn of(directory: &Path, config: ServerConfig) -> Self {
        let config = Arc::new(config);
        let databases = Databases::open(directory, &Options::default(), &config).unwrap();
        let notices = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&notices);
        let server = Server::new(
            databases,
            config,
            Arc::new(move |notice: &Notice| kept.lock().unwrap().push(notice.clone())),
            Arc::new(|_, _| {}),
        );
        let listening = Listening::new(server, check_address("127.0.0.1:0").unwrap()).unwrap();
        let address = listening.address();
        let (stop, told) = watch::channel(false);
        let thread = Some(std::thread::spawn(move || listening.run(told)));
        Self { address, notices, stop, thread }
    }

    pub(crate) fn peer(&self) -> PeerAddress {
        PeerAddress::new(self.address, "default")
    }

    pub(crate) fn wire(&self) -> HttpWire {
        HttpWire::new(self.peer(), Duration::from_secs(20))
    }

    pub(crate) fn said(&self) -> Vec<String> {
        self.notices.lock().unwrap().iter().map(ToString::to_string).collect()
    }

    /// Sends bytes as they are and answers with all that comes back.
    pub(crate) fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(bytes).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// A request, as one would write it by hand: status and body.
    pub(crate) fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[&str],
        body: &[u8],
    ) -> (u16, String) {
        let mut request =
            format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n");
        for header in headers {
            request.push_str(&format!("{header}\r\n"));
        }
        request.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
        let answer = self.raw(&[request.as_bytes(), body].concat());
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        (status.unwrap_or(0), body.to_owned())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Syncs a database with a server once.
pub(crate) fn sync(database: &Database, server: &Running) -> (Result<(), SyncError>, Report) {
    let mut port = database.sync_port().unwrap();
    let peer = server.wire().describe().unwrap().replica.parse().unwrap();
    let memory = port.recall(peer);
    let mut report = Report::default();
    let config = SessionConfig::default();
    let done = drive(&mut port, &mut server.wire(), &config, memory, &mut report, &mut |_| {});
    (done, report)
}

/// Records events, each in a commit of its own or all in one.
pub(crate) fn append(database: &Database, root: &str, keys: std::ops::Range<u32>, together: bool) {
    let mut commit = database.commit();
    for key in keys {
        commit.push(&NewEvent::new(root, format!("{key}"), "seen")).unwrap();
        if !together {
            database.append(&mut commit).unwrap().wait().unwrap();
            commit.clear();
        }
    }
    if together {
        database.append(&mut commit).unwrap().wait().unwrap();
    }
}

/// What is held, comparable: every event's id and payload.
pub(crate) fn held(database: &Database) -> Vec<(String, Vec<u8>)> {
    let all = database.read(&laterbase::Query::all()).unwrap();
    let mut held: Vec<_> = all
        .map(|recorded| recorded.unwrap().event)
        .map(|event| (event.id.to_string(), event.payload))
        .collect();
    held.sort();
    held
}
