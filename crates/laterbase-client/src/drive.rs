//! One session with one peer, from the first flight to the last.
//!
//! ```text
//!   poll_flight ──▶ wire ──▶ peer          one round trip each
//!   handle_flight ◀── wire ◀── peer
//! ```
//! It ends as soon as both are known to hold the same: what would be left to say is goodbye, and
//! the peer needs none. What the session learned of the peer is kept however it ends, and events
//! that came are kept as they come, also those of an answer that is cut in the middle, so that the
//! next session goes on where this one was cut. Flights are bounded, so that a slow way carries one
//! before the time of a request is over.

use std::time::{Duration, Instant};

use laterbase::sync::{
    Heads, Outcome, PeerMemory, Progress, Replica, Session, SessionConfig, Status,
    frame::{self, Bye, Fault, FrameLimits, Reason},
};

use crate::wire::{Wire, WireError};

/// Empty flights in a row after which the peer is given up: it has nothing to say, nor have we.
const SILENCE_MAX: u32 = 8;

/// Bytes at which a flight is sent before more is polled.
const FLIGHT_BYTES: usize = 1 << 20;

/// How a session went.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Which copy the peer is, if it said so.
    pub peer: Option<laterbase::ReplicaId>,
    /// Requests that were answered.
    pub round_trips: u32,
    /// Bytes of bodies that were sent.
    pub bytes_out: u64,
    /// Bytes of bodies that came.
    pub bytes_in: u64,
    /// Events and frames.
    pub progress: Progress,
    /// Events that the peer has and this copy still lacks.
    pub lacked_here: u64,
    /// Events that this copy has and the peer still lacks.
    pub lacked_there: u64,
    /// Whether the peer's validators are others than those here.
    pub validators_differ: bool,
    /// What the peer is believed to hold.
    pub peer_heads: Heads,
    /// What the host must know. What was stored is counted, and not listed here.
    pub outcomes: Vec<Outcome>,
}

impl Report {
    /// Adds what a further session with the same peer did.
    pub fn add(&mut self, next: &Self) {
        self.peer = next.peer.or(self.peer);
        self.round_trips += next.round_trips;
        self.bytes_out += next.bytes_out;
        self.bytes_in += next.bytes_in;
        self.progress.pull_events += next.progress.pull_events;
        self.progress.push_events += next.progress.push_events;
        self.progress.bytes_in += next.progress.bytes_in;
        self.progress.bytes_out += next.progress.bytes_out;
        (self.lacked_here, self.lacked_there) = (next.lacked_here, next.lacked_there);
        self.validators_differ = next.validators_differ;
        self.peer_heads.clone_from(&next.peer_heads);
        self.outcomes.extend(next.outcomes.iter().cloned());
    }
}

/// A session ended before both held the same.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SyncError {
    /// The way to the peer failed.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The peer ended it.
    #[error("the peer ended the sync: {}", said(bye))]
    Left {
        /// What it said.
        bye: Bye,
    },
    /// This copy ended it, because of what the peer did.
    #[error("the sync was ended: {}", bye.reason)]
    Refused {
        /// What the peer was told.
        bye: Bye,
    },
    /// Neither side has anything to say, and they do not hold the same.
    #[error("the peer goes on answering without getting anywhere; try again, then look at its log")]
    Silent,
    /// This database cannot be synced.
    #[error("{message}")]
    Host {
        /// Why.
        message: String,
    },
}

impl SyncError {
    /// Whether the same may work a little later.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Wire(error) => error.is_passing(),
            // What was sent on a guess is left out the next time.
            Self::Left { bye } => {
                matches!(bye.reason, Reason::Busy | Reason::Stalled)
                    || matches!(bye.fault, Some((Fault::Relayed, ..)))
            }
            Self::Refused { bye } => bye.reason == Reason::Stalled,
            Self::Silent | Self::Host { .. } => false,
        }
    }

    /// How long the peer asks to be left alone, up to a minute.
    #[must_use]
    pub fn retry_after(&self) -> Duration {
        match self {
            Self::Wire(error) => error.retry_after(),
            Self::Left { .. } | Self::Refused { .. } | Self::Silent | Self::Host { .. } => {
                Duration::ZERO
            }
        }
    }
}

/// What a Bye says, with whose log it is about where that is why.
fn said(bye: &Bye) -> String {
    match bye.fault {
        Some((Fault::Relayed, log, _)) => format!(
            "{}: what {} wrote under {} is not ours to bring, and is left out the next time",
            bye.reason, log.replica, log.root
        ),
        Some(_) | None => bye.reason.to_string(),
    }
}

/// Runs a session over `wire` until both hold the same.
///
/// `report` is filled whatever the result is; `progress` is called after each flight.
///
/// # Errors
/// [`SyncError`] if it ended before; everything that came until then is stored.
pub fn drive<R: Replica>(
    port: &mut R,
    wire: &mut dyn Wire,
    config: &SessionConfig,
    memory: Option<PeerMemory>,
    report: &mut Report,
    progress: &mut dyn FnMut(&Report),
) -> Result<(), SyncError> {
    let mut session = Session::initiator(config.clone(), memory);
    let done = flights(port, wire, &mut session, &config.frames, report, progress);
    if let Some(memory) = session.memory() {
        port.remember(&memory);
    }
    report.peer = session.peer();
    report.progress = session.progress();
    report.peer_heads = session.peer_heads().clone();
    report.validators_differ =
        session.peer_hello().is_some_and(|hello| hello.validators != port.validators());
    let total = report.progress;
    report.lacked_here = total.pull_events_total.saturating_sub(total.pull_events);
    report.lacked_there = total.push_events_total.saturating_sub(total.push_events);
    done
}

fn flights<R: Replica>(
    port: &mut R,
    wire: &mut dyn Wire,
    session: &mut Session,
    limits: &FrameLimits,
    report: &mut Report,
    progress: &mut dyn FnMut(&Report),
) -> Result<(), SyncError> {
    let began = Instant::now();
    let mut token: Option<String> = None;
    let mut silence = 0;
    loop {
        let now_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let was_settled = session.status() == Status::Settled;
        let (flight, _) = poll_some(session, now_ms, port);
        if was_settled {
            return Ok(());
        }
        if let Status::Closed(reason) = session.status() {
            // The peer is told, as a courtesy; it need not answer.
            let _ = wire.exchange(&flight, token.as_deref());
            return ended(reason, report);
        }
        silence = if flight.is_empty() { silence + 1 } else { 0 };
        if silence > SILENCE_MAX {
            return Err(SyncError::Silent);
        }
        let reply = wire.exchange(&flight, token.as_deref())?;
        report.round_trips += 1;
        report.bytes_out += flight.len() as u64;
        report.bytes_in += reply.flight.len() as u64;
        token = reply.session;
        let now_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let flight = match reply.cut {
            Some(_) => whole_frames(&reply.flight, limits),
            None => reply.flight.as_slice(),
        };
        report.outcomes.extend(worth_keeping(session.handle_flight(flight, now_ms, port)));
        report.progress = session.progress();
        report.peer = session.peer();
        progress(report);
        if let Status::Closed(reason) = session.status() {
            return ended(reason, report);
        }
        if let Some(error) = reply.cut {
            // What came is made durable before it is said to be kept.
            port.flush().map_err(|error| SyncError::Host { message: error.to_string() })?;
            return Err(error.into());
        }
    }
}

/// The next frames that can go out, up to a bound; whether there may be more.
pub(crate) fn poll_some<R: Replica>(
    session: &mut Session,
    now_ms: u64,
    port: &mut R,
) -> (Vec<u8>, bool) {
    let mut flight = Vec::new();
    while flight.len() < FLIGHT_BYTES {
        match session.poll_frame(now_ms, port) {
            Some(frame) => flight.extend_from_slice(&frame),
            None => return (flight, false),
        }
    }
    (flight, true)
}

/// The part of a flight that was cut which can be taken in. What is no frame is among it: the
/// session refuses it with its own reason.
fn whole_frames<'a>(flight: &'a [u8], limits: &FrameLimits) -> &'a [u8] {
    let mut rest = flight;
    loop {
        match frame::split(rest, limits) {
            Ok(Some((_, behind))) => rest = behind,
            Ok(None) => return flight.strip_suffix(rest).unwrap_or(flight),
            Err(_) => return flight,
        }
    }
}

/// What is to be told when a session is over: batches that were stored are many, and counted.
pub(crate) fn worth_keeping(outcomes: Vec<Outcome>) -> impl Iterator<Item = Outcome> {
    outcomes.into_iter().filter(|outcome| !matches!(outcome, Outcome::Stored { .. }))
}

/// What the end of a session means, by the last word on it.
pub(crate) fn ended(reason: Reason, report: &Report) -> Result<(), SyncError> {
    let last = report.outcomes.iter().rev().find_map(|outcome| match outcome {
        Outcome::Left { bye, .. } => Some(SyncError::Left { bye: *bye }),
        Outcome::Refused { bye, .. } => Some(SyncError::Refused { bye: *bye }),
        Outcome::Stored { .. }
        | Outcome::Reincarnate { .. }
        | Outcome::Forked { .. }
        | Outcome::Malformed(_) => None,
    });
    if reason == Reason::Done {
        return Ok(());
    }
    Err(last.unwrap_or(SyncError::Refused { bye: Bye::new(reason) }))
}
