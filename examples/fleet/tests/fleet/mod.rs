//! The processes of the fleet, the way between them, and a client that follows.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use ureq::Agent;

/// How long anything may take before the test gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// Between two looks at another process, which cannot tell.
const LOOK: Duration = Duration::from_millis(50);

/// Waits until something is so.
pub(crate) fn until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        thread::sleep(LOOK);
    }
}

/// One process that serves one copy; it ends with the test.
pub(crate) struct Node {
    pub(crate) address: SocketAddr,
    child: Child,
    agent: Agent,
}

impl Node {
    /// Makes a copy and serves it; `from` is where it joins.
    pub(crate) fn create(folder: &Path, name: &str, from: Option<SocketAddr>) -> Self {
        let directory = folder.join(name);
        let mut init = command(&directory);
        init.arg("init");
        if let Some(from) = from {
            init.args(["--join", &format!("http://{from}")]);
        }
        let made = init.output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let mut serve = command(&directory);
        serve.args([
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--sync-every",
            "1",
            "--retry-within",
            "1",
        ]);
        let mut child = serve.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on http://").unwrap().parse().unwrap();
        let config = Agent::config_builder().http_status_as_error(false);
        let agent = config.timeout_global(Some(PATIENCE)).build().into();
        Self { address, child, agent }
    }

    pub(crate) fn try_get(&self, path: &str) -> (u16, Value) {
        let mut answer = self.agent.get(self.url(path)).call().unwrap();
        let text = answer.body_mut().read_to_string().unwrap();
        (answer.status().as_u16(), serde_json::from_str(&text).unwrap())
    }

    pub(crate) fn get(&self, path: &str) -> Value {
        let (status, value) = self.try_get(path);
        assert_eq!(status, 200, "{path}: {value}");
        value
    }

    /// All lines of an answer that is streamed.
    pub(crate) fn lines(&self, path: &str) -> Vec<Value> {
        let asked = self.agent.get(self.url(path)).header("accept", "application/x-ndjson");
        let text = asked.call().unwrap().body_mut().read_to_string().unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    pub(crate) fn try_post(&self, path: &str, body: &Value) -> (u16, Value) {
        let asked = self.agent.post(self.url(path)).header("content-type", "application/json");
        let mut answer = asked.send(body.to_string()).unwrap();
        let text = answer.body_mut().read_to_string().unwrap();
        (answer.status().as_u16(), serde_json::from_str(&text).unwrap())
    }

    pub(crate) fn post(&self, path: &str, body: &Value) {
        let (status, value) = self.try_post(path, body);
        assert_eq!(status, 201, "{path}: {value}");
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fleet"));
    command.arg("--db").arg(directory);
    command
}

/// The network between a copy and the hub.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    shared: Arc<Way>,
}

struct Way {
    target: SocketAddr,
    is_cut: AtomicBool,
    open: Mutex<Vec<TcpStream>>,
}

impl Proxy {
    pub(crate) fn new(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (is_cut, open) = (AtomicBool::new(false), Mutex::default());
        let shared = Arc::new(Way { target, is_cut, open });
        let way = Arc::clone(&shared);
        // Ends with the process: it waits for connections that come no more.
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if !way.is_cut.load(Ordering::SeqCst) {
                    let _ = way.carry(&stream);
                }
            }
        });
        Self { address, shared }
    }

    /// Ends every connection, and lets none through.
    pub(crate) fn cut(&self) {
        self.shared.is_cut.store(true, Ordering::SeqCst);
        for stream in self.shared.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    pub(crate) fn heal(&self) {
        self.shared.is_cut.store(false, Ordering::SeqCst);
    }
}

impl Way {
    fn carry(&self, here: &TcpStream) -> std::io::Result<()> {
        let there = TcpStream::connect(self.target)?;
        let mut open = self.open.lock().unwrap();
        open.extend([here.try_clone()?, there.try_clone()?]);
        for (mut from, mut to) in
            [(here.try_clone()?, there.try_clone()?), (there.try_clone()?, here.try_clone()?)]
        {
            thread::spawn(move || {
                let _ = std::io::copy(&mut from, &mut to);
                let _ = to.shutdown(Shutdown::Both);
            });
        }
        Ok(())
    }
}

/// A client that follows aggregates or a view.
pub(crate) struct Follower {
    lines: BufReader<TcpStream>,
    /// What was told of each row, in order: its version, and its state.
    told: BTreeMap<String, Vec<(Option<u64>, Value)>>,
}

impl Follower {
    pub(crate) fn new(node: &Node, path: &str) -> Self {
        let mut stream = TcpStream::connect(node.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let accept = "accept: text/event-stream";
        write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\n{accept}\r\n\r\n").unwrap();
        Self { lines: BufReader::new(stream), told: BTreeMap::new() }
    }

    /// Reads the rows of the beginning.
    pub(crate) fn until_ready(&mut self) {
        while self.next() != "ready" {}
    }

    /// Reads the next event of the stream; its name.
    fn next(&mut self) -> String {
        let (mut name, mut data) = (String::new(), Value::Null);
        loop {
            let mut line = String::new();
            assert_ne!(self.lines.read_line(&mut line).unwrap(), 0, "the stream ended");
            let line = line.trim_end();
            if let Some(text) = line.strip_prefix("event: ") {
                text.clone_into(&mut name);
            } else if let Some(text) = line.strip_prefix("data: ") {
                data = serde_json::from_str(text).unwrap();
            } else if line.is_empty() && !name.is_empty() {
                break;
            }
        }
        if let Some(key) = data["key"].as_str() {
            let told = (data["version"].as_u64(), data["state"].clone());
            self.told.entry(key.to_owned()).or_default().push(told);
        }
        name
    }

    /// Reads until `last`, a row that changes behind all others, is told of, and asserts that what
    /// was told before is what is expected, and nothing of it twice.
    pub(crate) fn assert_told_once(&mut self, expected: &BTreeMap<String, Value>, last: &str) {
        while !self.told.contains_key(last) {
            self.next();
        }
        self.told.remove(last);
        assert_eq!(self.last(), *expected);
        for (key, told) in &self.told {
            let versions: BTreeSet<Option<u64>> =
                told.iter().map(|(version, _)| *version).collect();
            assert_eq!(versions.len(), told.len(), "{key}: {told:?}");
            let rising = told.windows(2).all(|pair| pair[0].0 < pair[1].0 || pair[1].0.is_none());
            assert!(rising, "{key}: {told:?}");
        }
    }

    /// The rows as told last.
    fn last(&self) -> BTreeMap<String, Value> {
        let last = self.told.iter().filter_map(|(key, told)| {
            let (version, state) = told.last()?;
            version.is_some().then(|| (key.clone(), state.clone()))
        });
        last.collect()
    }
}
