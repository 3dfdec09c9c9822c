//! The sync sessions of one database that last over several requests.
//!
//! ```text
//!   flight, no session ──▶ new session ─┐
//!   flight, session x  ──▶ session x ───┴─▶ handle, poll ──▶ flight, session x or none
//! ```
//! Invariants:
//! - At most so many sessions are kept, and so many of one peer; the longest idle go first. A peer
//!   whose session is gone begins a new one and loses a round trip.
//! - Each session takes what its configuration says, and one at a time works on it.
//! - Whatever a peer sends ends its own session at the most.
//! - A session does what was granted when it was begun, and goes on for whom it is still granted.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Instant;

use laterbase::sync::{
    Heard, Outcome, PeerMemory, Replica, Session, Status,
    frame::{self, FrameError},
    hear,
};
use laterbase_event::ReplicaId;

use crate::config::ServerConfig;
use crate::sync_grant::SyncGrant;

/// A database that can be synced.
pub trait Host: Send + Sync + 'static {
    /// What a session works on.
    type Port: Replica + Send + 'static;

    /// A port for one session.
    ///
    /// # Errors
    /// Why this database cannot be synced.
    fn port(&self) -> Result<Self::Port, String>;
}

/// The sessions of one database.
#[derive(Debug)]
pub struct Desk<H: Host> {
    host: H,
    config: Arc<ServerConfig>,
    began: Instant,
    seats: Mutex<HashMap<String, Seat<H::Port>>>,
}

#[derive(Debug)]
struct Seat<P> {
    work: Arc<Mutex<Work<P>>>,
    grant: SyncGrant,
    peer: Option<ReplicaId>,
    used: Instant,
}

/// A new session and what names it.
type Opened<P> = (String, Arc<Mutex<Work<P>>>);

/// A session and what it works on.
#[derive(Debug)]
pub(crate) struct Work<P> {
    pub(crate) session: Session,
    pub(crate) port: P,
    memory: Option<PeerMemory>,
}

/// The answer to a flight.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// Frames, one behind the other.
    pub flight: Vec<u8>,
    /// What names the session; none if it is over.
    pub session: Option<String>,
    /// Who the peer is.
    pub peer: Option<ReplicaId>,
    /// What happened.
    pub outcomes: Vec<Outcome>,
}

/// A flight was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turned {
    /// There is no such session, or no more.
    SessionUnknown,
    /// Another request of this session is worked on.
    SessionBusy,
    /// All sessions are at work.
    Full,
    /// The database cannot be synced.
    Host(String),
}

impl<P: Replica> Work<P> {
    pub(crate) fn new(session: Session, port: P) -> Self {
        Self { session, port, memory: None }
    }

    /// Takes a flight in and gives the one that answers it.
    pub(crate) fn flight(&mut self, flight: &[u8], now_ms: u64) -> (Vec<u8>, Vec<Outcome>) {
        let outcomes = self.session.handle_flight(flight, now_ms, &mut self.port);
        let answer = self.session.poll_flight(now_ms, &mut self.port);
        self.remember();
        (answer, outcomes)
    }

    /// Keeps what was learned of the peer, if that is new.
    pub(crate) fn remember(&mut self) {
        let memory = self.session.memory();
        if memory.is_some() && memory != self.memory {
            if let Some(memory) = &memory {
                self.port.remember(memory);
            }
            self.memory = memory;
        }
    }
}

impl<H: Host> Desk<H> {
    /// A desk without sessions.
    #[must_use]
    pub fn new(host: H, config: Arc<ServerConfig>) -> Self {
        Self { host, config, began: Instant::now(), seats: Mutex::default() }
    }

    /// The database.
    pub fn host(&self) -> &H {
        &self.host
    }

    /// The clock of the sessions.
    pub(crate) fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// How many sessions are kept now.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.seats().len()
    }

    /// Whose sessions are kept now.
    pub(crate) fn peers(&self) -> BTreeSet<ReplicaId> {
        self.seats().values().filter_map(|seat| seat.peer).collect()
    }

    /// Takes one flight of a peer and gives the one that answers it. Blocks.
    ///
    /// # Errors
    /// [`Turned`] if the flight was not looked at.
    pub fn exchange(
        &self,
        flight: &[u8],
        session: Option<&str>,
        grant: &SyncGrant,
    ) -> Result<Answer, Turned> {
        let (token, work) = match session {
            Some(token) => (token.to_owned(), self.seat(token, grant)?),
            None => self.open(grant)?,
        };
        let mut held = match work.try_lock() {
            Ok(held) => held,
            Err(TryLockError::WouldBlock) => return Err(Turned::SessionBusy),
            Err(TryLockError::Poisoned(_)) => {
                self.seats().remove(&token);
                return Err(Turned::SessionUnknown);
            }
        };
        let (flight, outcomes) = held.flight(flight, self.now_ms());
        let peer = held.session.peer();
        let is_over = matches!(held.session.status(), Status::Closed(_)) || peer.is_none();
        drop(held);
        let session = if is_over {
            self.seats().remove(&token);
            None
        } else {
            self.name(&token, peer);
            Some(token)
        };
        Ok(Answer { flight, session, peer, outcomes })
    }

    /// Takes in gossip. `None` if it is something else, or of another database.
    ///
    /// # Errors
    /// [`FrameError`] for bytes that are no frame; [`Turned`] if the database cannot be synced.
    pub fn hear(
        &self,
        bytes: &[u8],
        grant: &SyncGrant,
    ) -> Result<Result<Option<Heard>, FrameError>, Turned> {
        let mut port = self.host.port().map_err(Turned::Host)?;
        let heard = hear(bytes, &grant.session(&self.config.session), &mut port);
        port.flush().map_err(|error| Turned::Host(error.to_string()))?;
        Ok(heard)
    }

    /// Whether a flight is gossip, which needs no session.
    #[must_use]
    pub fn is_gossip(&self, flight: &[u8]) -> bool {
        const ANNOUNCE: u8 = 7;
        let first = frame::split(flight, &self.config.session.frames).ok().flatten();
        first.is_some_and(|(first, rest)| {
            let opened = frame::open(first, &self.config.session.frames, None);
            rest.is_empty() && opened.is_ok_and(|opened| opened.kind == ANNOUNCE)
        })
    }

    fn seats(&self) -> MutexGuard<'_, HashMap<String, Seat<H::Port>>> {
        // A map of sessions is whole between any two of its operations.
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn seat(&self, token: &str, grant: &SyncGrant) -> Result<Arc<Mutex<Work<H::Port>>>, Turned> {
        let mut seats = self.seats();
        let seat = seats.get_mut(token).filter(|seat| seat.grant == *grant);
        let seat = seat.ok_or(Turned::SessionUnknown)?;
        seat.used = Instant::now();
        Ok(Arc::clone(&seat.work))
    }

    fn open(&self, grant: &SyncGrant) -> Result<Opened<H::Port>, Turned> {
        let port = self.host.port().map_err(Turned::Host)?;
        let token = token().map_err(Turned::Host)?;
        let work = Work::new(Session::responder(grant.session(&self.config.session)), port);
        let work = Arc::new(Mutex::new(work));
        let mut seats = self.seats();
        let idle = self.config.session_idle;
        seats.retain(|_, seat| is_at_work(seat) || seat.used.elapsed() < idle);
        if seats.len() >= self.config.sessions_max && !drop_longest_idle(&mut seats, None) {
            return Err(Turned::Full);
        }
        let (held, used) = (Arc::clone(&work), Instant::now());
        let seat = Seat { work: held, grant: grant.clone(), peer: None, used };
        seats.insert(token.clone(), seat);
        Ok((token, work))
    }

    /// Notes whose session it is; others of the same peer give way.
    fn name(&self, token: &str, peer: Option<ReplicaId>) {
        let mut seats = self.seats();
        if let Some(seat) = seats.get_mut(token) {
            seat.peer = peer;
            seat.used = Instant::now();
        }
        let count = seats.values().filter(|seat| seat.peer == peer).count();
        for _ in self.config.sessions_per_peer_max..count {
            if !drop_longest_idle(&mut seats, Some(peer)) {
                break;
            }
        }
    }
}

fn is_at_work<P>(seat: &Seat<P>) -> bool {
    Arc::strong_count(&seat.work) > 1
}

/// Forgets the session that was not used for the longest time, of one peer or of all.
fn drop_longest_idle<P>(
    seats: &mut HashMap<String, Seat<P>>,
    of: Option<Option<ReplicaId>>,
) -> bool {
    let idle = seats.iter().filter(|(_, seat)| !is_at_work(seat));
    let ours = idle.filter(|(_, seat)| of.is_none_or(|peer| seat.peer == peer));
    let oldest = ours.min_by_key(|(_, seat)| seat.used).map(|(token, _)| token.clone());
    oldest.is_some_and(|token| seats.remove(&token).is_some())
}

/// 128 random bits in hexadecimal digits: whoever did not get it cannot guess it.
fn token() -> Result<String, String> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).map_err(|error| error.to_string())?;
    let mut text = String::with_capacity(32);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}
