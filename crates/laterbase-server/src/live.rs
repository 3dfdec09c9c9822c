//! `GET …/sync` as a WebSocket: one session for as long as the connection lasts.
//!
//! ```text
//!   message ──▶ handle_flight ─┐
//!   news    ───────────────────┼─▶ poll_flight ──▶ queue of one ──▶ writer ──▶ message
//!   tick    ───────────────────┘
//! ```
//! Reading never waits for writing, so that two sides that both have much to send do not wait for
//! each other; what is polled waits until the flight before it is gone.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::extract::FromRequestParts as _;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use futures_util::stream::SplitSink;
use futures_util::{SinkExt as _, StreamExt as _};
use laterbase::ReplicaId;
use laterbase::sync::{Outcome, Session, SessionConfig, Status, SyncPort};
use tokio::sync::mpsc;
use tracing::{Instrument as _, Span};

use crate::access::Standing;
use crate::call::Call;
use crate::databases::Hosted;
use crate::desk::{Host as _, Work};
use crate::notice::{Notice, What};
use crate::problem::Problem;
use crate::routes::Shared;
use crate::sync_grant::SyncGrant;

/// How often a session looks at the clock when nothing else happens.
const TICK: Duration = Duration::from_secs(2);
/// How long a message may take to go out.
const SEND_TIMEOUT: Duration = Duration::from_secs(30);
/// How often what is learned of the peer is kept.
const REMEMBER_EVERY: Duration = Duration::from_secs(1);
/// Frames without progress: those that another connection was quicker with count too.
const IDLE_FRAMES_MAX: u32 = 1 << 20;

type Live = Work<SyncPort>;

/// Makes a request a WebSocket.
pub(crate) async fn upgrade(mut call: Call) -> Result<Response, Problem> {
    let hosted = call.hosted()?;
    call.parameters()?;
    let upgrade = WebSocketUpgrade::from_request_parts(&mut call.parts, &()).await;
    let upgrade = upgrade.map_err(|rejection: WebSocketUpgradeRejection| {
        Problem::bad_request(format_args!(
            "this path is a WebSocket, or takes POST: {}",
            rejection.body_text()
        ))
    })?;
    let grant = call.granted()?;
    let standing = call.standing().of_session(grant.clone());
    let shared = call.shared;
    let place = Arc::clone(&shared.live).try_acquire_owned().map_err(|_| Problem::busy())?;
    let message_bytes_max = shared.config.body_bytes_max;
    let upgrade = upgrade.max_message_size(message_bytes_max).max_frame_size(message_bytes_max);
    let span = Span::current();
    Ok(upgrade.on_upgrade(move |socket| {
        let served = async move {
            serve(shared, hosted, socket, (standing, grant)).await;
            drop(place);
        };
        served.instrument(span)
    }))
}

/// Runs a session over `socket` to its end.
async fn serve(
    shared: Arc<Shared>,
    hosted: Arc<Hosted>,
    socket: WebSocket,
    (mut standing, grant): (Standing, SyncGrant),
) {
    let config = SessionConfig {
        live: true,
        idle_frames_max: IDLE_FRAMES_MAX,
        ..grant.session(&shared.config.session)
    };
    let Some(port) = port(&shared, &hosted).await else { return };
    let mut news = hosted.news.subscribe();
    let (sink, mut messages) = socket.split();
    let (flights, waiting) = mpsc::channel::<Vec<u8>>(1);
    let writer = tokio::spawn(write(sink, waiting));
    let mut live = Box::new(Live::new(Session::responder(config), port));
    let mut remembered = Instant::now();
    let mut incoming: Option<Bytes> = None;
    let mut listed: Option<Listed> = None;
    loop {
        let room = flights.try_reserve().ok();
        if flights.is_closed() || !standing.holds() {
            break;
        }
        let polls = room.is_some();
        let work = Step {
            incoming: incoming.take(),
            now_ms: hosted.desk.now_ms(),
            polls,
            remembers: remembered.elapsed() >= REMEMBER_EVERY,
        };
        if work.remembers {
            remembered = Instant::now();
        }
        let stepped = tokio::task::spawn_blocking(move || work.run(live)).await;
        let Ok((back, flight, outcomes)) = stepped else { return };
        live = back;
        if listed.is_none() {
            listed = live.session.peer().map(|peer| Listed::new(&hosted, peer));
        }
        tell(&shared, &hosted, &live, &outcomes);
        if let (Some(room), false) = (room, flight.is_empty()) {
            room.send(flight);
        }
        if matches!(live.session.status(), Status::Closed(_)) {
            break;
        }
        tokio::select! {
            message = messages.next() => match message {
                Some(Ok(Message::Binary(bytes))) => incoming = Some(bytes),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Text(_) | Message::Close(_)) | Err(_)) | None => break,
            },
            changed = news.changed() => if changed.is_err() { break },
            // There is room again for what could not be polled.
            _ = flights.reserve(), if !polls => {}
            () = tokio::time::sleep(TICK) => {}
        }
    }
    drop(flights);
    let _ = tokio::task::spawn_blocking(move || live.remember()).await;
    let _ = writer.await;
}

/// What the session works on.
async fn port(shared: &Shared, hosted: &Arc<Hosted>) -> Option<SyncPort> {
    let opened = Arc::clone(hosted);
    match tokio::task::spawn_blocking(move || opened.database.port()).await {
        Ok(Ok(port)) => Some(port),
        Ok(Err(reason)) => {
            let what = What::Failed { reason };
            shared.notice(&Notice { database: hosted.name.clone(), peer: None, what });
            None
        }
        Err(_) => None,
    }
}

/// Sends flights until there are no more, or one does not go out.
async fn write(mut sink: SplitSink<WebSocket, Message>, mut waiting: mpsc::Receiver<Vec<u8>>) {
    while let Some(flight) = waiting.recv().await {
        let sent = sink.send(Message::Binary(Bytes::from(flight)));
        if !matches!(tokio::time::timeout(SEND_TIMEOUT, sent).await, Ok(Ok(()))) {
            return;
        }
    }
    let _ = tokio::time::timeout(SEND_TIMEOUT, sink.close()).await;
}

/// A peer among those that are connected, until it is dropped.
struct Listed {
    hosted: Arc<Hosted>,
    peer: ReplicaId,
}

impl Listed {
    fn new(hosted: &Arc<Hosted>, peer: ReplicaId) -> Self {
        let mut live = hosted.live.lock().unwrap_or_else(PoisonError::into_inner);
        *live.entry(peer).or_default() += 1;
        Self { hosted: Arc::clone(hosted), peer }
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        let mut live = self.hosted.live.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = live.get_mut(&self.peer) {
            *count -= 1;
        }
        live.retain(|_, count| *count > 0);
    }
}

/// What is done on a thread that may block.
struct Step {
    incoming: Option<Bytes>,
    now_ms: u64,
    polls: bool,
    remembers: bool,
}

impl Step {
    fn run(self, mut live: Box<Live>) -> (Box<Live>, Vec<u8>, Vec<Outcome>) {
        let Work { session, port, .. } = &mut *live;
        let outcomes = self
            .incoming
            .map(|bytes| session.handle_flight(&bytes, self.now_ms, port))
            .unwrap_or_default();
        let flight = if self.polls { session.poll_flight(self.now_ms, port) } else { Vec::new() };
        if self.remembers {
            live.remember();
        }
        (live, flight, outcomes)
    }
}

fn tell(shared: &Shared, hosted: &Hosted, live: &Live, outcomes: &[Outcome]) {
    for outcome in outcomes {
        if let Some(notice) = Notice::of(&hosted.name, live.session.peer(), outcome) {
            shared.notice(&notice);
        }
    }
}
