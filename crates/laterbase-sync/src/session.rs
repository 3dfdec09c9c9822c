//! One session with one peer, from Hello to Bye.
//!
//! ```text
//!  initiator                                      responder
//!  Hello (digests) · Heads that changed ·   ──▶
//!  Batches that the peer probably lacks
//!                                           ◀──   Hello · Heads · Ack · Want · Batches
//!  Ack · Batches                            ──▶
//!                                           ◀──   Ack · Bye
//! ```
//! There are no states to get out of step. A session keeps `mine`, the heads of this copy, and
//! `view`, what it believes the peer to hold; frames correct the view, and whatever the two differ
//! in is what there is to do. It has *settled* when they are equal.
//!
//! Invariants:
//! - The view is a belief: it decides what is sent and asked for, never what is stored.
//! - A root is *known* while the view of it is complete. It becomes so by a digest that fits, or
//!   by all heads of the root. Only known roots are worked on.
//! - Everything that waits to be sent is a set keyed by log or root, so that repeating costs no
//!   memory; batches are read when they are sent.
//! - Whoever makes no progress is asked again a few times and then given up.
//!
//! A request and its response are two flights: poll until nothing comes, carry it over, hand it in.

mod answer;
mod carry;
mod flight;
mod grant;
mod greeting;
mod intent;
mod plan;
mod receive;

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};

use laterbase_event::{ReplicaId, RootName, Verifier};

use crate::{
    config::{SYSTEM_ROOT, SessionConfig},
    digest::Agreement,
    frame::{
        self, Bye, Capabilities, Fault, Frame, FrameError, Hello, Place, Purpose, Reason, Scope,
    },
    log_id::{HashTag, Heads, LogId, of_root},
    outcome::Outcome,
    peer_memory::PeerMemory,
    port::Replica,
};
use intent::Intents;
pub(crate) use receive::look_at_all;

/// Where a session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// There is something to do.
    Running,
    /// Both hold the same. A client that asks and is answered may stop here.
    Settled,
    /// It is over.
    Closed(Reason),
}

/// How far a session is. Totals are known as soon as the peer's heads are, and only rise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Events that the peer announced and that were not held.
    pub pull_events_total: u64,
    /// Events that were stored.
    pub pull_events: u64,
    /// Events that the peer lacked.
    pub push_events_total: u64,
    /// Events that the peer confirmed.
    pub push_events: u64,
    /// Bytes of frames that came in.
    pub bytes_in: u64,
    /// Bytes of frames that went out.
    pub bytes_out: u64,
}

/// A session with one peer.
#[derive(Debug)]
pub struct Session {
    config: SessionConfig,
    verifier: Verifier,
    peer: Option<Hello>,
    memory: Option<PeerMemory>,
    /// Heads that both know by a name.
    baseline: Heads,
    /// The name of the baseline, if the peer is known or presumed to know it.
    agreement: Agreement,
    mine: Heads,
    changes_seen: Option<u64>,
    view: Heads,
    known: BTreeSet<RootName>,
    /// Roots that a Hello spoke of; of all others the peer held nothing then.
    judged: BTreeSet<RootName>,
    /// Whether the peer of a live session was told that both hold the same.
    has_confirmed: bool,
    intents: Intents,
    in_flight: BTreeMap<LogId, InFlight>,
    in_flight_bytes: u64,
    /// Logs that the peer has been asked for.
    pulls: BTreeMap<LogId, Pull>,
    /// Per log, the last batch that the peer sent of it and that is held: common ground, however
    /// far from a fork.
    met: BTreeMap<LogId, Place>,
    /// Logs that cannot go on, and behind which event.
    too_large: BTreeMap<LogId, u64>,
    must_plan: bool,
    /// Where one side may not bring all: roots in which something is to be sent or asked for.
    open: BTreeSet<RootName>,
    /// The same: roots whose heads the peer was told, so that it can ask.
    told: BTreeSet<RootName>,
    /// Whether it has not answered to that.
    awaits_answer: bool,
    last_progress_ms: Option<u64>,
    retries: u32,
    idle_frames: u32,
    progress: Progress,
    agreed: Option<Heads>,
    offered: Option<Heads>,
    closed: Option<Reason>,
}

/// What the peer has been asked for of a log. It stays when an answer brings nothing new, so that
/// the log is not asked for again before the session starts over.
#[derive(Clone, Copy, Debug)]
struct Pull {
    /// Up to which event.
    until: u64,
    /// The last event that it had sent before.
    behind: u64,
}

/// Batches that were sent and not confirmed.
#[derive(Clone, Debug, Default)]
struct InFlight {
    /// Per frame: its last event, that batch's tag, bytes.
    frames: Vec<(u64, HashTag, u64)>,
}

impl Session {
    /// The side that speaks first, with what it remembers of the peer.
    #[must_use]
    pub fn initiator(config: SessionConfig, memory: Option<PeerMemory>) -> Self {
        let mut session = Self::responder(config);
        session.intents.hello = Some(Purpose::Ask);
        if let Some(memory) = memory {
            // What is sent on a guess may be what such a peer does not take.
            if !memory.capabilities.includes(Capabilities::OWN) {
                session.baseline = memory.newest().clone();
                session.agreement = Agreement::of(&session.baseline);
                session.view = session.baseline.clone();
            }
            session.memory = Some(memory);
        }
        session
    }

    /// The side that waits for a Hello. What it remembers comes from [`Replica::recall`].
    #[must_use]
    pub fn responder(config: SessionConfig) -> Self {
        Self {
            verifier: Verifier::new(config.events),
            config,
            peer: None,
            memory: None,
            baseline: Heads::new(),
            agreement: Agreement::NONE,
            mine: Heads::new(),
            changes_seen: None,
            view: Heads::new(),
            known: BTreeSet::new(),
            judged: BTreeSet::new(),
            has_confirmed: false,
            intents: Intents::default(),
            in_flight: BTreeMap::new(),
            in_flight_bytes: 0,
            pulls: BTreeMap::new(),
            met: BTreeMap::new(),
            too_large: BTreeMap::new(),
            must_plan: true,
            open: BTreeSet::new(),
            told: BTreeSet::new(),
            awaits_answer: false,
            last_progress_ms: None,
            retries: 0,
            idle_frames: 0,
            progress: Progress::default(),
            agreed: None,
            offered: None,
            closed: None,
        }
    }

    /// Takes in one whole frame. `now_ms` is any clock that does not step back.
    ///
    /// Whatever the bytes are, it does not fail: a peer at fault is told so by the next frame, and
    /// named in [`Outcome::Refused`]. Frames after the end of the session are dropped.
    pub fn handle_frame<R: Replica>(
        &mut self,
        bytes: &[u8],
        now_ms: u64,
        port: &mut R,
    ) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        if self.closed.is_some() || self.intents.bye.is_some() {
            return outcomes;
        }
        self.awaits_answer = false;
        self.progress.bytes_in += bytes.len() as u64;
        self.last_progress_ms.get_or_insert(now_ms);
        let before = (self.progress.pull_events, self.progress.push_events);
        if let Err(error) = self.dispatch(bytes, port, &mut outcomes) {
            let reason = match error {
                FrameError::Version { .. } => Reason::Version,
                FrameError::TooLong { .. } | FrameError::Count { .. } => Reason::TooMuch,
                FrameError::Truncated
                | FrameError::Trailing
                | FrameError::Varint
                | FrameError::Flags { .. }
                | FrameError::Linked
                | FrameError::Root
                | FrameError::Order
                | FrameError::Branch
                | FrameError::Empty
                | FrameError::Codec(_) => Reason::Malformed,
            };
            outcomes.push(Outcome::Malformed(error));
            self.refuse(Bye::new(reason), &mut outcomes);
        }
        if before == (self.progress.pull_events, self.progress.push_events) {
            self.idle_frames += 1;
            if self.idle_frames > self.config.idle_frames_max {
                self.refuse(Bye::new(Reason::Stalled), &mut outcomes);
            }
        } else {
            self.idle_frames = 0;
            self.retries = 0;
            self.last_progress_ms = Some(now_ms);
        }
        outcomes
    }

    fn dispatch<R: Replica>(
        &mut self,
        bytes: &[u8],
        port: &mut R,
        outcomes: &mut Vec<Outcome>,
    ) -> Result<(), FrameError> {
        let opened = frame::open(bytes, &self.config.frames, port.codec())?;
        let Some(frame) = Frame::decode(&opened, &self.config.frames)? else { return Ok(()) };
        match frame {
            Frame::Hello(hello) => self.on_hello(hello, port, outcomes),
            Frame::Bye(bye) => self.on_bye(bye, port, outcomes),
            // Before the Hello nobody is known; a frame that overtook it counts as lost.
            _ if self.peer.is_none() => {}
            Frame::Heads(heads) => self.on_heads(&heads, outcomes),
            Frame::Want(want) => self.on_want(&want, port, outcomes),
            Frame::Batches(batches) => self.on_batches(&batches, port, outcomes),
            Frame::Ack(ack) => self.on_ack(&ack, port),
            Frame::Fork(fork) => self.on_fork(&fork, port, outcomes),
            Frame::Announce(announce) => self.on_announce(&announce, port, outcomes),
        }
        Ok(())
    }

    /// Where the session stands.
    #[must_use]
    pub fn status(&self) -> Status {
        match self.closed {
            Some(reason) => Status::Closed(reason),
            None if self.is_settled() => Status::Settled,
            None => Status::Running,
        }
    }

    /// When the session is to be polled again though nothing came and nothing changed: it asks anew
    /// then for what it waits for. On the clock of [`Session::handle_frame`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<u64> {
        let waits = self.closed.is_none() && !self.is_settled();
        let since = self.last_progress_ms.filter(|_| waits)?;
        Some(since.saturating_add(self.config.retry_ms))
    }

    /// How far it is.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.progress
    }

    /// The peer, as soon as it said who it is.
    #[must_use]
    pub fn peer(&self) -> Option<ReplicaId> {
        self.peer.as_ref().map(|hello| hello.replica)
    }

    /// The peer's Hello: its clock, its validators, its limits.
    #[must_use]
    pub fn peer_hello(&self) -> Option<&Hello> {
        self.peer.as_ref()
    }

    /// The heads that the peer is believed to hold: what it lacks or has beyond this copy's.
    #[must_use]
    pub fn peer_heads(&self) -> &Heads {
        &self.view
    }

    /// What to keep of the peer for the next session. Asked at the end, or whenever it is cut.
    #[must_use]
    pub fn memory(&self) -> Option<PeerMemory> {
        let Some(peer) = self.peer.as_ref() else {
            // It may have said what it does not take, and no more.
            let memory = self.memory.clone();
            return memory.filter(|memory| memory.capabilities.includes(Capabilities::OWN));
        };
        let mut memory = match &self.memory {
            Some(memory) if memory.peer == peer.replica => memory.clone(),
            Some(_) | None => PeerMemory {
                peer: peer.replica,
                capabilities: peer.capabilities,
                agreed: Heads::new(),
                offered: None,
            },
        };
        memory.capabilities = peer.capabilities;
        if let Some(agreed) = &self.agreed {
            memory.agreed = agreed.clone();
            memory.offered = None;
        }
        if let Some(offered) = &self.offered {
            memory.offered = Some(offered.clone());
        }
        Some(memory)
    }

    /// The logs that cannot go on, and behind which event: the next batch is longer than the
    /// frames that the peer takes.
    #[must_use]
    pub fn too_large(&self) -> &BTreeMap<LogId, u64> {
        &self.too_large
    }

    /// Ends the session at the host's word.
    pub fn close(&mut self, bye: Bye) {
        if self.closed.is_none() {
            self.intents.bye.get_or_insert(bye);
        }
    }

    /// Whether both sides take part in a root. Before the peer's Hello: whether this one does.
    fn shares(&self, root: &RootName) -> bool {
        let ours = self.config.scope.includes(root) && self.config.granted.includes(root);
        let theirs = self.peer.as_ref().is_none_or(|hello| match hello.scope {
            Scope::All => true,
            Scope::Listed => {
                root.as_str() == SYSTEM_ROOT
                    || hello.roots.binary_search_by_key(root, |entry| entry.root).is_ok()
            }
        });
        ours && theirs
    }

    fn shared(&self, heads: &Heads) -> Heads {
        let shared = heads.iter().filter(|(log, _)| self.shares(&log.root));
        shared.map(|(log, head)| (*log, *head)).collect()
    }

    /// All roots of which anything is held here, or said to be held there.
    fn shared_roots(&self) -> BTreeSet<RootName> {
        let heads = self.mine.keys().chain(self.view.keys()).map(|log| log.root);
        let peer = self.peer.iter().flat_map(|hello| hello.roots.iter().map(|entry| entry.root));
        heads.chain(peer).filter(|root| self.shares(root)).collect()
    }

    /// Whether the view of a root is complete.
    fn is_known(&self, root: &RootName) -> bool {
        self.known.contains(root) || (self.peer.is_some() && !self.judged.contains(root))
    }

    fn is_equal(&self, root: &RootName) -> bool {
        self.is_known(root) && of_root(&self.mine, root).eq(of_root(&self.view, root))
    }

    fn is_settled(&self) -> bool {
        let is_idle =
            self.peer.is_some() && self.changes_seen.is_some() && self.in_flight.is_empty();
        is_idle
            && if self.is_partial() {
                self.is_done_in_part()
            } else {
                self.shared_roots().iter().all(|root| self.is_equal(root))
            }
    }

    /// Takes over the heads of this copy, if they changed.
    fn refresh<R: Replica>(&mut self, port: &R) {
        let changes = port.change_count();
        if self.changes_seen != Some(changes) {
            self.changes_seen = Some(changes);
            self.must_plan = true;
            let heads = port.heads();
            self.mine = heads.into_iter().filter(|(log, head)| self.may_tell(log, head)).collect();
        }
    }

    /// Ends the session because of the peer, or of what it sent.
    fn refuse(&mut self, bye: Bye, outcomes: &mut Vec<Outcome>) {
        if self.closed.is_none() && self.intents.bye.is_none() {
            outcomes.push(Outcome::Refused { peer: self.peer(), bye });
            self.intents.bye = Some(bye);
        }
    }

    fn refuse_batch(
        &mut self,
        fault: Fault,
        log: LogId,
        first_seq: u64,
        outcomes: &mut Vec<Outcome>,
    ) {
        let fault = Some((fault, log, first_seq));
        self.refuse(Bye { fault, ..Bye::new(Reason::BadBatch) }, outcomes);
    }
}
