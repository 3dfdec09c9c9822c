//! A session over a WebSocket, for as long as the connection lasts.
//!
//! One thread reads and writes: it waits for a message for a moment, then looks for news of its
//! own. The moments are short while something happens and longer when nothing does, so that an idle
//! connection costs little.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::time::{Duration, Instant};

use laterbase::sync::{Replica, Session, SessionConfig, Status};
use tungstenite::client::{IntoClientRequest as _, client_with_config};
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{Error, HandshakeError, Message, WebSocket};

use crate::address::PeerAddress;
use crate::drive::{Report, SyncError, ended, poll_some, worth_keeping};
use crate::token::Token;
use crate::wire::WireError;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a message is waited for while something happens, and when nothing did for a while.
const MOMENT: Duration = Duration::from_millis(10);
const LONG_MOMENT: Duration = Duration::from_millis(100);
/// How long, when there is more to send.
const NO_MOMENT: Duration = Duration::from_millis(1);
/// For so long after the last message things are said to happen.
const BUSY: Duration = Duration::from_secs(1);
/// Without a sign of life for so long the peer is asked for one, and then given up.
const SILENCE_MAX: Duration = Duration::from_secs(20);
/// Bytes of one message.
const MESSAGE_BYTES_MAX: usize = 64 << 20;
/// Frames without progress: those that another connection was quicker with count too.
const IDLE_FRAMES_MAX: u32 = 1 << 20;

/// A live session that is open.
pub(crate) struct Live {
    socket: WebSocket<Counted>,
    session: Session,
    began: Instant,
    heard: Instant,
    /// Bytes that had come when the silence was measured last.
    bytes_heard: u64,
    is_asked: bool,
    /// More is to be sent than one message took.
    has_more: bool,
}

/// A connection that counts what comes: the bytes of a long message are signs of life, too.
struct Counted {
    stream: Stream,
    bytes: u64,
}

/// The way to the peer.
enum Stream {
    Plain(TcpStream),
    #[cfg(feature = "tls")]
    Encrypted(Box<crate::tls::Encrypted>),
}

impl Stream {
    fn open(address: &PeerAddress) -> Result<Self, SyncError> {
        let stream = connect(address)?;
        #[cfg(feature = "tls")]
        if address.is_encrypted() {
            let encrypted = crate::tls::encrypt(address, stream).map_err(SyncError::Wire)?;
            return Ok(Self::Encrypted(Box::new(encrypted)));
        }
        Ok(Self::Plain(stream))
    }

    fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            #[cfg(feature = "tls")]
            Self::Encrypted(stream) => &stream.sock,
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            #[cfg(feature = "tls")]
            Self::Encrypted(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            #[cfg(feature = "tls")]
            Self::Encrypted(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            #[cfg(feature = "tls")]
            Self::Encrypted(stream) => stream.flush(),
        }
    }
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.stream.read(buffer)?;
        self.bytes += len as u64;
        Ok(len)
    }
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

impl Live {
    /// Connects and says Hello.
    pub(crate) fn open<R: Replica>(
        address: &PeerAddress,
        token: Option<&Token>,
        config: &SessionConfig,
        memory: Option<laterbase::sync::PeerMemory>,
        port: &mut R,
    ) -> Result<Self, SyncError> {
        let stream = Counted { stream: Stream::open(address)?, bytes: 0 };
        let limits = WebSocketConfig::default()
            .max_message_size(Some(MESSAGE_BYTES_MAX))
            .max_frame_size(Some(MESSAGE_BYTES_MAX));
        let url = address.url("/sync").replacen("http", "ws", 1);
        let mut request = url.into_client_request().map_err(|error| lost(&error))?;
        if let Some(value) = token.and_then(|token| token.header().parse().ok()) {
            request.headers_mut().insert("authorization", value);
        }
        let (socket, _) =
            client_with_config(request, stream, Some(limits)).map_err(|error| match error {
                HandshakeError::Failure(Error::Http(answer)) => {
                    let status = answer.status().as_u16();
                    let title = "no live connection".to_owned();
                    SyncError::Wire(WireError::Refused { status, title })
                }
                HandshakeError::Failure(error) => lost(&error),
                HandshakeError::Interrupted(_) => lost(&Error::ConnectionClosed),
            })?;
        let config =
            SessionConfig { live: true, idle_frames_max: IDLE_FRAMES_MAX, ..config.clone() };
        let now = Instant::now();
        let session = Session::initiator(config, memory);
        let mut live = Self {
            socket,
            session,
            began: now,
            heard: now,
            bytes_heard: 0,
            is_asked: false,
            has_more: false,
        };
        let mut report = Report::default();
        live.send(port, &mut report)?;
        Ok(live)
    }

    /// Waits for a message for a moment, takes it in, and sends what there is to send.
    pub(crate) fn step<R: Replica>(
        &mut self,
        port: &mut R,
        report: &mut Report,
    ) -> Result<(), SyncError> {
        let moment = match self.heard.elapsed() {
            _ if self.has_more => NO_MOMENT,
            since if since < BUSY => MOMENT,
            _ => LONG_MOMENT,
        };
        let stream = self.socket.get_ref().stream.tcp();
        stream.set_read_timeout(Some(moment)).map_err(|error| lost(&error.into()))?;
        match self.socket.read() {
            Ok(Message::Binary(bytes)) => {
                report.bytes_in += bytes.len() as u64;
                let now_ms = self.now_ms();
                let outcomes = self.session.handle_flight(&bytes, now_ms, port);
                report.outcomes.extend(worth_keeping(outcomes));
                self.hear();
            }
            Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => self.hear(),
            Ok(Message::Text(_) | Message::Close(_)) => {
                return Err(lost(&Error::ConnectionClosed));
            }
            Err(Error::Io(error)) if is_timeout(&error) => self.ask()?,
            Err(error) => return Err(lost(&error)),
        }
        self.send(port, report)?;
        report.peer = self.session.peer();
        report.progress = self.session.progress();
        match self.session.status() {
            Status::Closed(reason) => {
                Err(ended(reason, report).err().unwrap_or_else(|| lost(&Error::ConnectionClosed)))
            }
            Status::Running | Status::Settled => Ok(()),
        }
    }

    /// The session, to look at.
    pub(crate) fn session(&self) -> &Session {
        &self.session
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn hear(&mut self) {
        self.heard = Instant::now();
        self.is_asked = false;
    }

    /// Asks for a sign of life, or gives up.
    fn ask(&mut self) -> Result<(), SyncError> {
        let bytes = self.socket.get_ref().bytes;
        if std::mem::replace(&mut self.bytes_heard, bytes) != bytes {
            self.hear();
        }
        let silence = self.heard.elapsed();
        if silence < SILENCE_MAX {
            return Ok(());
        }
        if silence > 2 * SILENCE_MAX {
            return Err(lost(&Error::ConnectionClosed));
        }
        if !std::mem::replace(&mut self.is_asked, true) {
            let ping = Message::Ping(Vec::new().into());
            self.socket.send(ping).map_err(|error| lost(&error))?;
        }
        Ok(())
    }

    fn send<R: Replica>(&mut self, port: &mut R, report: &mut Report) -> Result<(), SyncError> {
        let now_ms = self.now_ms();
        let (flight, has_more) = poll_some(&mut self.session, now_ms, port);
        self.has_more = has_more;
        if flight.is_empty() {
            return Ok(());
        }
        report.bytes_out += flight.len() as u64;
        self.socket.send(Message::Binary(flight.into())).map_err(|error| lost(&error))?;
        // Whoever sends expects an answer soon.
        self.heard = self.heard.max(Instant::now().checked_sub(BUSY / 2).unwrap_or(self.heard));
        Ok(())
    }
}

fn connect(address: &PeerAddress) -> Result<TcpStream, SyncError> {
    let found = address.authority().to_socket_addrs();
    let stream = found.and_then(connect_to_any).map_err(unreachable)?;
    let set = stream
        .set_nodelay(true)
        .and_then(|()| stream.set_read_timeout(Some(HANDSHAKE_TIMEOUT)))
        .and_then(|()| stream.set_write_timeout(Some(WRITE_TIMEOUT)));
    set.map_err(unreachable)?;
    Ok(stream)
}

/// Connects to the first of the addresses at which somebody listens: `localhost` has two.
fn connect_to_any(addresses: impl IntoIterator<Item = SocketAddr>) -> io::Result<TcpStream> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for address in addresses {
        match TcpStream::connect_timeout(&address, CONNECT_TIMEOUT) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

#[expect(clippy::needless_pass_by_value, reason = "what `map_err` hands on")]
fn unreachable(error: io::Error) -> SyncError {
    SyncError::Wire(WireError::Unreachable { message: error.to_string() })
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

fn lost(error: &Error) -> SyncError {
    SyncError::Wire(WireError::Lost { message: error.to_string() })
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn the_next_address_is_tried_when_nobody_listens_at_the_first() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let listening = listener.local_addr().unwrap();
        let stream = connect_to_any([free, listening]).unwrap();
        assert_eq!(stream.peer_addr().unwrap(), listening);
        let refused = connect_to_any([free]).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(connect_to_any([]).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
