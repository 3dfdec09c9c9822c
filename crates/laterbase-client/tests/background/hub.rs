//! A peer for tests: a database behind as much HTTP as the client speaks.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use laterbase::Database;
use laterbase::sync::{Replica as _, Session, SessionConfig, Status, SyncPort, hear};
use laterbase_client::{FRAMES_TYPE, Peer};

/// A server that takes sessions and announcements, and offers no live connection.
pub(crate) struct Hub {
    pub(crate) address: SocketAddr,
    pub(crate) database: Database,
}

/// What several hubs were told.
#[derive(Default)]
pub(crate) struct Heard {
    told: Mutex<Told>,
    bell: Condvar,
}

#[derive(Default)]
pub(crate) struct Told {
    /// Announcements that came, as frames.
    pub(crate) announcements: Vec<Vec<u8>>,
    /// Peers that the copy has synced with.
    pub(crate) reached: usize,
    /// How often a live connection was asked for.
    pub(crate) live_asked: usize,
}

impl Heard {
    /// Waits until what was told is enough; what `enough` made of it.
    pub(crate) fn wait<T>(
        &self,
        what: &str,
        patience: Duration,
        enough: impl Fn(&Told) -> Option<T>,
    ) -> T {
        let deadline = Instant::now() + patience;
        let mut told = self.told.lock().unwrap();
        loop {
            if let Some(made) = enough(&told) {
                return made;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "not within {patience:?}: {what}");
            told = self.bell.wait_timeout(told, left).unwrap().0;
        }
    }

    pub(crate) fn take(&self, change: impl FnOnce(&mut Told)) {
        change(&mut self.told.lock().unwrap());
        self.bell.notify_all();
    }
}

/// What all connections of a hub share.
struct Desk {
    database: Database,
    heard: Arc<Heard>,
    sessions: Mutex<HashMap<String, (Session, SyncPort)>>,
    began: Instant,
}

impl Hub {
    /// Serves the database until the test process ends.
    pub(crate) fn of(database: Database, heard: &Arc<Heard>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let desk = Arc::new(Desk {
            database: database.clone(),
            heard: Arc::clone(heard),
            sessions: Mutex::default(),
            began: Instant::now(),
        });
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let desk = Arc::clone(&desk);
                std::thread::spawn(move || desk.serve(stream));
            }
        });
        Self { address, database }
    }

    pub(crate) fn peer(&self, name: &str) -> Peer {
        Peer::new(name, &format!("http://{}", self.address)).unwrap()
    }
}

impl Desk {
    /// Answers the requests of one connection until it ends.
    fn serve(&self, stream: TcpStream) {
        let mut reader = BufReader::new(stream);
        while let Some((is_post, session, body)) = request(&mut reader) {
            let answer = if is_post {
                self.answer(session.as_deref(), &body)
            } else {
                self.heard.take(|told| told.live_asked += 1);
                b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_vec()
            };
            if reader.get_mut().write_all(&answer).is_err() {
                return;
            }
        }
    }

    fn answer(&self, token: Option<&str>, body: &[u8]) -> Vec<u8> {
        let config = SessionConfig::default();
        let mut port = self.database.sync_port().unwrap();
        if let (None, Ok(Some(heard))) = (token, hear(body, &config, &mut port)) {
            port.flush().unwrap();
            self.heard.take(|told| told.announcements.push(body.to_vec()));
            let lacks = if heard.lacks { "laterbase-lacks: 1\r\n" } else { "" };
            return format!("HTTP/1.1 204 No Content\r\n{lacks}\r\n").into_bytes();
        }
        let mut sessions = self.sessions.lock().unwrap();
        let token = token.map_or_else(|| sessions.len().to_string(), str::to_owned);
        let (session, port) =
            sessions.entry(token.clone()).or_insert_with(|| (Session::responder(config), port));
        let now_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap();
        session.handle_flight(body, now_ms, port);
        let flight = session.poll_flight(now_ms, port);
        let named = match session.status() {
            Status::Closed(_) => String::new(),
            Status::Running | Status::Settled => format!("laterbase-session: {token}\r\n"),
        };
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: {FRAMES_TYPE}\r\n{named}content-length: {}\r\n\r\n",
            flight.len()
        );
        [head.into_bytes(), flight].concat()
    }
}

/// The next request: whether it is a POST, the session it names, its body.
fn request(reader: &mut BufReader<TcpStream>) -> Option<(bool, Option<String>, Vec<u8>)> {
    let (mut length, mut session) = (0, None);
    let mut first = String::new();
    reader.read_line(&mut first).ok().filter(|count| *count > 0)?;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|count| *count > 0)?;
        let Some((name, value)) = line.trim().split_once(':') else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().unwrap(),
            "laterbase-session" => session = Some(value.trim().to_owned()),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((first.starts_with("POST"), session, body))
}
