//! A server on a free port of this machine, in this process, that ends with the test.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
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
use serde_json::Value;
use tokio::sync::watch;

/// A server and what it said.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) notices: Arc<Mutex<Vec<Notice>>>,
    pub(crate) databases: Databases,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    /// Serves the databases in `directory`.
    pub(crate) fn of(directory: &Path, config: ServerConfig) -> Self {
        Self::furnished(directory, config, |server| server)
    }

    /// The same, with what a program names.
    pub(crate) fn furnished(
        directory: &Path,
        config: ServerConfig,
        furnish: impl FnOnce(Server) -> Server,
    ) -> Self {
        Self::over(directory, Options::default(), config, furnish)
    }

    /// The same, with options.
    pub(crate) fn over(
        directory: &Path,
        options: Options,
        config: ServerConfig,
        furnish: impl FnOnce(Server) -> Server,
    ) -> Self {
        let config = Arc::new(config);
        let databases = Databases::open(directory, &options, &config).unwrap();
        let notices = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&notices);
        let server = Server::of(databases.clone())
            .notices(Arc::new(move |notice: &Notice| kept.lock().unwrap().push(notice.clone())));
        let mut running = Self::listening(furnish(server), databases);
        running.notices = notices;
        running
    }

    /// A server that is put together already.
    pub(crate) fn listening(server: Server, databases: Databases) -> Self {
        let listening = Listening::new(server, check_address("127.0.0.1:0").unwrap()).unwrap();
        let address = listening.address();
        let (stop, told) = watch::channel(false);
        let thread = Some(std::thread::spawn(move || listening.run(told)));
        Self { address, notices: Arc::default(), databases, stop, thread }
    }

    pub(crate) fn peer(&self) -> PeerAddress {
        PeerAddress::new(self.address, "default")
    }

    pub(crate) fn wire(&self) -> HttpWire {
        HttpWire::new(self.peer(), Duration::from_secs(20))
    }

    /// The database in this process, beside the server.
    pub(crate) fn database(&self) -> Database {
        self.databases.get("default").unwrap().database.clone()
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

    /// A request, as one would write it by hand: status, headers in lower case, body.
    pub(crate) fn ask_whole(
        &self,
        method: &str,
        path: &str,
        headers: &[&str],
        body: &[u8],
    ) -> (u16, BTreeMap<String, String>, String) {
        let (head, body) = self.ask_raw(method, path, headers, body);
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        let named = head.lines().skip(1).filter_map(|line| line.split_once(": "));
        let named = named.map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()));
        let named: BTreeMap<String, String> = named.collect();
        let chunked = named.get("transfer-encoding").is_some_and(|coding| coding == "chunked");
        (status.unwrap_or(0), named, if chunked { unchunked(&body) } else { body })
    }

    /// A request: status and body.
    pub(crate) fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[&str],
        body: &[u8],
    ) -> (u16, String) {
        let (status, _, body) = self.ask_whole(method, path, headers, body);
        (status, body)
    }

    fn ask_raw(&self, method: &str, path: &str, headers: &[&str], body: &[u8]) -> (String, String) {
        let mut request =
            format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n");
        for header in headers {
            request.push_str(&format!("{header}\r\n"));
        }
        request.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
        let answer = self.raw(&[request.as_bytes(), body].concat());
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        (head.to_owned(), body.to_owned())
    }
}

/// The body of an answer in chunks.
pub(crate) fn unchunked(mut text: &str) -> String {
    let mut whole = String::new();
    while let Some((length, rest)) = text.split_once("\r\n") {
        let Ok(length) = usize::from_str_radix(length.trim(), 16) else { break };
        if length == 0 {
            break;
        }
        // What is no text was changed on its way here: its length says nothing.
        let (Some(chunk), Some(more)) = (rest.get(..length), rest.get(length + 2..)) else { break };
        whole.push_str(chunk);
        text = more;
    }
    whole
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

/// A client of an event stream.
pub(crate) struct EventStream(BufReader<TcpStream>);

/// One event of a stream, with the JSON of its data.
pub(crate) struct StreamEvent {
    pub(crate) id: String,
    /// Empty where the server gives none.
    pub(crate) name: String,
    pub(crate) data: Value,
}

impl EventStream {
    /// Opens a stream, from behind the event with an id on if there is one.
    pub(crate) fn open(server: &Running, path: &str, last: Option<&str>) -> Self {
        let mut stream = TcpStream::connect(server.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let last = last.map_or_else(String::new, |id| format!("last-event-id: {id}\r\n"));
        let accept = "accept: text/event-stream";
        write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\n{accept}\r\n{last}\r\n").unwrap();
        let mut stream = Self(BufReader::new(stream));
        let status = stream.line();
        assert!(status.contains("200"), "{status}");
        stream
    }

    /// One line of the answer, without its end.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        assert_ne!(self.0.read_line(&mut line).unwrap(), 0, "the stream ended");
        line.trim_end().to_owned()
    }

    /// The next event, behind comments and the answer's head.
    pub(crate) fn next(&mut self) -> StreamEvent {
        let (mut id, mut name) = (String::new(), String::new());
        loop {
            let line = self.line();
            if let Some(text) = line.strip_prefix("id: ") {
                text.clone_into(&mut id);
            } else if let Some(text) = line.strip_prefix("event: ") {
                text.clone_into(&mut name);
            } else if let Some(data) = line.strip_prefix("data: ") {
                return StreamEvent { id, name, data: serde_json::from_str(data).unwrap() };
            }
        }
    }
}
