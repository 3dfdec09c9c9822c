//! A session and the database it works on, stepped on threads that may block.
//!
//! Invariants:
//! - One step at a time: a step owns the work until it gives it back.
//! - A step takes whole frames only, and ends by itself: it never waits for the peer.

use std::time::{Duration, Instant};

use laterbase::Database;
use laterbase::sync::{
    Outcome, Replica as _, Session, SessionConfig, Status, StoreError, SyncPort,
    frame::{self, FrameLimits},
};
use laterbase::{AppendError, ReplicaId};

use crate::report::Report;

/// Bytes at which a flight is sent before more is polled.
const FLIGHT_BYTES: usize = 1 << 20;

/// A session under way.
#[derive(Debug)]
pub(crate) struct Work {
    session: Session,
    port: SyncPort,
    limits: FrameLimits,
    began: Instant,
    outcomes: Vec<Outcome>,
}

/// What a step is given.
#[derive(Debug, Default)]
pub(crate) struct Input {
    /// Bytes that came: frames, the last of which may be incomplete.
    pub(crate) bytes: Vec<u8>,
    /// Nothing will come behind them.
    pub(crate) is_last: bool,
    /// There is room for a flight.
    pub(crate) polls: bool,
}

/// What a step gives back.
#[derive(Debug)]
pub(crate) struct Stepped {
    /// What is left of the bytes: the beginning of a frame.
    pub(crate) rest: Vec<u8>,
    /// Frames that are to go out.
    pub(crate) flight: Vec<u8>,
    /// There are more, as soon as these are gone.
    pub(crate) has_more: bool,
}

impl Work {
    /// The side that dialled, with what is remembered of `peer`.
    pub(crate) fn initiator(
        database: &Database,
        config: &SessionConfig,
        peer: Option<ReplicaId>,
    ) -> Result<Self, AppendError> {
        let port = database.sync_port()?;
        let memory = peer.and_then(|peer| port.recall(peer));
        let session = Session::initiator(once(config), memory);
        Ok(Self::new(session, port, config.frames))
    }

    /// The side that was dialled.
    pub(crate) fn responder(
        database: &Database,
        config: &SessionConfig,
    ) -> Result<Self, AppendError> {
        let port = database.sync_port()?;
        Ok(Self::new(Session::responder(once(config)), port, config.frames))
    }

    fn new(session: Session, port: SyncPort, limits: FrameLimits) -> Self {
        Self { session, port, limits, began: Instant::now(), outcomes: Vec::new() }
    }

    /// Where the session stands.
    pub(crate) fn status(&self) -> Status {
        self.session.status()
    }

    /// In how long the session has something to do though nothing happens.
    pub(crate) fn timeout(&self) -> Option<Duration> {
        let at = Duration::from_millis(self.session.poll_timeout()?);
        Some(at.saturating_sub(self.began.elapsed()))
    }

    /// Whether the bytes hold something for a step: a whole frame, or what can become none.
    pub(crate) fn has_frame(&self, bytes: &[u8], is_last: bool) -> bool {
        let is_whole = || !matches!(frame::split(bytes, &self.limits), Ok(None));
        !bytes.is_empty() && (is_last || is_whole())
    }

    /// Takes in what came and polls what goes out. Blocks.
    pub(crate) fn step(&mut self, mut input: Input) -> Stepped {
        let whole = if input.is_last { input.bytes.len() } else { self.whole(&input.bytes) };
        let rest = input.bytes.split_off(whole);
        let now_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        if !input.bytes.is_empty() {
            let outcomes = self.session.handle_flight(&input.bytes, now_ms, &mut self.port);
            // What was stored is counted; listed, it would grow with all that comes.
            let told = outcomes.into_iter().filter(|one| !matches!(one, Outcome::Stored { .. }));
            self.outcomes.extend(told);
        }
        let mut flight = Vec::new();
        let mut has_more = true;
        while input.polls && flight.len() < FLIGHT_BYTES {
            match self.session.poll_frame(now_ms, &mut self.port) {
                Some(frame) => flight.extend_from_slice(&frame),
                None => {
                    has_more = false;
                    break;
                }
            }
        }
        Stepped { rest, flight, has_more }
    }

    /// Makes durable what came and keeps what was learned of the peer, however the session ended.
    /// Blocks.
    pub(crate) fn end(mut self) -> (Report, Result<(), StoreError>) {
        let flushed = self.port.flush();
        if let Some(memory) = self.session.memory() {
            self.port.remember(&memory);
        }
        (Report::of(&self.session, self.outcomes), flushed)
    }

    /// How many of the bytes are whole frames, or all if what follows can become none.
    fn whole(&self, bytes: &[u8]) -> usize {
        let mut rest = bytes;
        loop {
            match frame::split(rest, &self.limits) {
                Ok(Some((_, behind))) => rest = behind,
                Ok(None) => return bytes.len() - rest.len(),
                // The session refuses it, with its own reason.
                Err(_) => return bytes.len(),
            }
        }
    }
}

fn once(config: &SessionConfig) -> SessionConfig {
    SessionConfig { live: false, ..config.clone() }
}
