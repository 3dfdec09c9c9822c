//! Keeping in touch with all peers, in the background.
//!
//! ```text
//!   watcher ── news ──▶ one thread per peer ──▶ a session          few peers
//!      │                  ▲     │                                  failure: back off
//!      │                  │     └─ at intervals, with jitter       always
//!      └── many peers: announce to some ── lacks ──┘
//! ```
//! Nothing here is waited for: a local append takes as long as ever, and a peer that hangs holds up
//! its own thread alone. The list of peers is read again when its file changes.
//!
//! Gossip is an accelerator. What converges is that each peer is synced with once in an interval.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use laterbase::sync::{Heads, LogId, Replica as _, SessionConfig, announce};
use laterbase::{Database, Position, ReplicaId};

use crate::backoff::{Backoff, choose, with_jitter};
use crate::contact::{Contact, ContactFile};
use crate::drive::{Report, SyncError, drive};
use crate::http::HttpWire;
use crate::live::Live;
use crate::peers::{PEERS_FILE, Peer, Peers};
use crate::wire::WireError;

/// How long news are gathered before they are told.
const GATHER: Duration = Duration::from_millis(5);
/// How often the list of peers is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// How long sessions may take to come to their end when everything ends.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// Peers that news are told to; with more, they are announced to as many, drawn at random.
const FANOUT: usize = 3;
/// Of those, how many get the batches along with the heads.
const FANOUT_WHOLE: usize = 2;
/// Bytes of batches in an announcement.
const ANNOUNCED_BYTES_MAX: u64 = 64 << 10;
/// How often an announcement may be handed on.
const HOPS: u8 = 3;

/// When and how peers are synced with.
#[derive(Clone, Debug)]
pub struct BackgroundConfig {
    /// What sessions may do and take.
    pub session: SessionConfig,
    /// How often each peer is synced with when there are no news, on average about.
    pub interval: Duration,
    /// The wait after a first failure; it doubles with each further one.
    pub backoff_first: Duration,
    /// The longest wait.
    pub backoff_most: Duration,
    /// How long a request may take.
    pub request_timeout: Duration,
    /// Whether a connection is kept, over which events go both ways as they come.
    pub live: bool,
}

/// Something that happened with a peer and that a person may want to see.
#[derive(Clone, Debug)]
pub enum PeerNotice {
    /// It was reached, for the first time or again.
    Reached {
        /// Its name.
        peer: String,
    },
    /// It cannot be synced with; it is tried again.
    Failed {
        /// Its name.
        peer: String,
        /// Why.
        error: SyncError,
    },
    /// A session reported something.
    Told {
        /// Its name.
        peer: String,
        /// Who it is.
        replica: Option<ReplicaId>,
        /// What.
        outcome: laterbase::sync::Outcome,
    },
    /// The list of peers cannot be read; the last one goes on.
    Peers {
        /// Why.
        reason: String,
    },
}

/// Takes what happens with peers.
pub type PeerNotices = Arc<dyn Fn(&PeerNotice) + Send + Sync>;

/// Threads that keep in touch with the peers of one database. Dropping it ends them.
pub struct Background {
    shared: Arc<Shared>,
    watcher: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    database: Database,
    directory: PathBuf,
    config: BackgroundConfig,
    notices: PeerNotices,
    state: Mutex<State>,
    bell: Condvar,
}

#[derive(Default)]
struct State {
    stopping: bool,
    /// Threads of peers that have not come to their end.
    running: usize,
    peers: BTreeMap<String, Known>,
}

/// What the watcher and a peer's thread share.
struct Known {
    peer: Peer,
    replica: Option<ReplicaId>,
    /// Somebody has news for it.
    news: bool,
    /// It is known to have news: no backoff holds that up.
    urgent: bool,
    gone: bool,
}

impl Default for BackgroundConfig {
    /// Each peer every 30 s; after failures from 200 ms up to a minute.
    fn default() -> Self {
        Self {
            session: SessionConfig::default(),
            interval: Duration::from_secs(30),
            backoff_first: Duration::from_millis(200),
            backoff_most: Duration::from_secs(60),
            request_timeout: Duration::from_secs(60),
            live: true,
        }
    }
}

impl Background {
    /// Begins to keep in touch with the peers that the database in `directory` lists.
    #[must_use]
    pub fn start(
        database: Database,
        directory: PathBuf,
        config: BackgroundConfig,
        notices: PeerNotices,
    ) -> Self {
        let (state, bell) = (Mutex::default(), Condvar::new());
        let shared = Arc::new(Shared { database, directory, config, notices, state, bell });
        let watched = Arc::clone(&shared);
        let watcher = thread::Builder::new()
            .name("laterbase-peers".to_owned())
            .spawn(move || watch(&watched))
            .ok();
        Self { shared, watcher: Mutex::new(watcher) }
    }

    /// A peer is said to hold what this copy lacks: sync with it now.
    pub fn pull_from(&self, replica: ReplicaId) {
        self.shared.wake(|known| known.replica == Some(replica), true);
    }

    /// Ends the threads. A session that is under way has a moment to come to its end.
    pub fn end(&self) {
        self.shared.state().stopping = true;
        self.shared.bell.notify_all();
        let watcher = self.watcher.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(watcher) = watcher {
            let _ = watcher.join();
        }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.end();
    }
}

impl std::fmt::Debug for Background {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Background").field("directory", &self.shared.directory).finish()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // Flags and a map: whole between any two operations.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self, which: impl Fn(&Known) -> bool, urgent: bool) {
        let mut state = self.state();
        for known in state.peers.values_mut().filter(|known| which(known)) {
            known.news = true;
            known.urgent |= urgent;
        }
        drop(state);
        self.bell.notify_all();
    }

    fn notice(&self, notice: &PeerNotice) {
        (self.notices)(notice);
    }
}

/// A peer's thread, until it ends, however it ends.
struct Running<'a>(&'a Shared);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.running = state.running.saturating_sub(1);
        drop(state);
        self.0.bell.notify_all();
    }
}

/// Waits for news and for changes of the list, and has them acted on.
fn watch(shared: &Arc<Shared>) {
    let mut listed: Option<SystemTime> = None;
    let mut told = shared.database.log_heads().unwrap_or_default();
    let mut flushed = Position::NONE;
    let mut looked: Option<Instant> = None;
    while !shared.state().stopping {
        if looked.is_none_or(|at| at.elapsed() >= LOOK) {
            looked = Some(Instant::now());
            list(shared, &mut listed);
        }
        // Of a database that is being closed there is nothing left to tell.
        let Some(now) = shared.database.wait_for_flushed(flushed, LOOK) else { break };
        if now > flushed {
            flushed = now;
            thread::sleep(GATHER);
            spread(shared, &mut told);
        }
    }
    let mut state = shared.state();
    state.stopping = true;
    shared.bell.notify_all();
    // A session with a peer that hangs is left behind: what it stored is stored.
    drop(shared.bell.wait_timeout_while(state, LAST_WORDS, |state| state.running > 0));
}

/// Reads the list of peers, if it changed, and starts or ends their threads.
fn list(shared: &Arc<Shared>, listed: &mut Option<SystemTime>) {
    let path = shared.directory.join(PEERS_FILE);
    let changed = std::fs::metadata(&path).and_then(|found| found.modified()).ok();
    if changed == *listed {
        return;
    }
    *listed = changed;
    let peers = match Peers::read(&shared.directory) {
        Ok(peers) => peers,
        Err(error) => return shared.notice(&PeerNotice::Peers { reason: error.to_string() }),
    };
    let wanted: BTreeMap<&str, &Peer> =
        peers.iter().map(|peer| (peer.name.as_str(), peer)).collect();
    let mut state = shared.state();
    for known in state.peers.values_mut() {
        known.gone = wanted.get(known.peer.name.as_str()) != Some(&&known.peer);
    }
    state.peers.retain(|_, known| !known.gone);
    let new: Vec<Peer> =
        peers.iter().filter(|peer| !state.peers.contains_key(&peer.name)).cloned().collect();
    for peer in new {
        let name = peer.name.clone();
        let known =
            Known { peer: peer.clone(), replica: None, news: true, urgent: false, gone: false };
        state.peers.insert(name, known);
        let shared = Arc::clone(shared);
        let thread =
            thread::Builder::new().name(format!("laterbase-{}", peer.name)).spawn(move || {
                let _running = Running(&shared);
                keep_in_touch(&shared, &peer);
            });
        state.running += usize::from(thread.is_ok());
    }
    drop(state);
    shared.bell.notify_all();
}

/// Has the peers hear of what is new since `told`.
fn spread(shared: &Shared, told: &mut Heads) {
    let Ok(heads) = shared.database.log_heads() else { return };
    let changed: BTreeMap<LogId, u64> = heads
        .iter()
        .filter(|(log, head)| told.get(log) != Some(head))
        .map(|(log, _)| (*log, told.get(log).map_or(0, |head| head.seq)))
        .collect();
    *told = heads;
    let mut peers: Vec<Peer> =
        shared.state().peers.values().map(|known| known.peer.clone()).collect();
    if peers.len() <= FANOUT {
        return shared.wake(|_| true, false);
    }
    let Ok(mut port) = shared.database.sync_port() else { return };
    let mut lacking: BTreeSet<String> = BTreeSet::new();
    for place in 0..FANOUT {
        let peer = peers.swap_remove(choose(peers.len()));
        let bytes_max = if place < FANOUT_WHOLE { ANNOUNCED_BYTES_MAX } else { 0 };
        if port.flush().is_err() {
            return;
        }
        let frame = announce(&port, &changed, HOPS, bytes_max);
        let wire = HttpWire::new(peer.address.clone(), shared.config.request_timeout);
        if wire.announce(&frame) == Ok(true) {
            lacking.insert(peer.name);
        }
    }
    shared.wake(|known| lacking.contains(&known.peer.name), false);
}

/// One peer's thread.
fn keep_in_touch(shared: &Shared, peer: &Peer) {
    let file = ContactFile::new(&shared.directory, &peer.name);
    let mut touch = Touch {
        shared,
        peer,
        wire: HttpWire::new(peer.address.clone(), shared.config.request_timeout),
        contact: file.read(),
        file,
        backoff: Backoff::new(shared.config.backoff_first, shared.config.backoff_most),
        agreed: None,
        is_reached: None,
        is_written: true,
        live_due: Instant::now(),
    };
    let mut due = Instant::now();
    while touch.wait(due) {
        let has_news = touch.agreed.is_none()
            || touch.agreed != shared.database.log_heads().ok()
            || due <= Instant::now();
        if has_news {
            due = Instant::now() + touch.sync();
        }
        if shared.config.live && touch.is_reached == Some(true) && touch.live_due <= Instant::now()
        {
            touch.stay_live();
            due = Instant::now() + touch.backoff.after_failure();
        }
    }
    touch.write(true);
}

/// What one peer's thread knows.
struct Touch<'a> {
    shared: &'a Shared,
    peer: &'a Peer,
    wire: HttpWire,
    contact: Contact,
    file: ContactFile,
    backoff: Backoff,
    /// What both held when they parted last.
    agreed: Option<Heads>,
    is_reached: Option<bool>,
    is_written: bool,
    /// When a live connection is tried next.
    live_due: Instant,
}

impl Touch<'_> {
    /// Waits for news or until `due`; `false` if it is over.
    fn wait(&mut self, due: Instant) -> bool {
        let mut state = self.shared.state();
        loop {
            let Some(known) = state.peers.get_mut(&self.peer.name) else { return false };
            if known.peer != *self.peer {
                return false;
            }
            let is_free = known.urgent || self.backoff.failures() == 0;
            if (known.news && is_free) || due <= Instant::now() {
                (known.news, known.urgent) = (false, false);
                return !state.stopping;
            }
            if state.stopping {
                return false;
            }
            let left = due.saturating_duration_since(Instant::now());
            let left = if self.is_written { left } else { left.min(WRITE_EVERY) };
            let waited = self.shared.bell.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            if !self.is_written {
                drop(state);
                self.write(false);
                state = self.shared.state();
            }
        }
    }

    /// Syncs once; how long to wait then.
    fn sync(&mut self) -> Duration {
        let (done, report) = sync_once(
            &self.shared.database,
            &mut self.wire,
            &self.contact,
            &self.shared.config.session,
            &mut |_| {},
        );
        self.contact.take(&report, done.as_ref().err().map(ToString::to_string));
        self.is_written = false;
        if let Some(known) = self.shared.state().peers.get_mut(&self.peer.name) {
            known.replica = report.peer.or(known.replica);
        }
        for outcome in &report.outcomes {
            let (peer, replica) = (self.peer.name.clone(), report.peer);
            let outcome = outcome.clone();
            self.shared.notice(&PeerNotice::Told { peer, replica, outcome });
        }
        let wait = match &done {
            Ok(()) => {
                self.agreed = Some(report.peer_heads);
                self.backoff.reset();
                with_jitter(self.shared.config.interval.saturating_mul(4) / 3)
            }
            Err(error) => {
                let wait = self.backoff.after_failure();
                if let SyncError::Wire(WireError::Busy { retry_after }) = error {
                    wait.max(*retry_after)
                } else if error.is_passing() {
                    wait
                } else {
                    wait.max(self.shared.config.backoff_most / 2)
                }
            }
        };
        let is_reached = done.is_ok();
        if self.is_reached.replace(is_reached) != Some(is_reached) {
            let peer = self.peer.name.clone();
            self.shared.notice(&match done {
                Ok(()) => PeerNotice::Reached { peer },
                Err(error) => PeerNotice::Failed { peer, error },
            });
            self.write(true);
        }
        wait
    }

    /// Keeps a connection for as long as it lasts.
    fn stay_live(&mut self) {
        let began = Instant::now();
        let mut total = Report::default();
        let lasted = self.live(&mut total);
        self.contact.take(&total, None);
        self.is_written = false;
        if total.peer.is_none() || lasted.is_none() {
            // It is not offered there, or broke at once: syncing goes on without it.
            self.live_due = began + self.shared.config.interval.max(LIVE_AGAIN);
        }
    }

    /// Runs a live session to its end, which comes with the connection's or with this thread's.
    fn live(&mut self, total: &mut Report) -> Option<()> {
        let mut port = self.shared.database.sync_port().ok()?;
        let replica = self.contact.replica.as_deref().and_then(|text| text.parse().ok());
        let memory = replica.and_then(|replica: ReplicaId| port.recall(replica));
        let config = &self.shared.config.session;
        let mut live = Live::open(&self.peer.address, config, memory, &mut port).ok()?;
        let mut kept = Instant::now();
        while self.goes_on() {
            let mut report = Report::default();
            let stepped = live.step(&mut port, &mut report);
            total.bytes_in += report.bytes_in;
            total.bytes_out += report.bytes_out;
            total.peer = report.peer.or(total.peer);
            total.progress = report.progress;
            let progress = report.progress;
            total.lacked_here = progress.pull_events_total.saturating_sub(progress.pull_events);
            for outcome in report.outcomes {
                let (peer, replica) = (self.peer.name.clone(), total.peer);
                self.shared.notice(&PeerNotice::Told { peer, replica, outcome });
            }
            let is_over = stepped.is_err();
            if is_over || kept.elapsed() >= WRITE_EVERY {
                kept = Instant::now();
                if let Some(memory) = live.session().memory() {
                    port.remember(&memory);
                }
                total.peer_heads.clone_from(live.session().peer_heads());
                let hello = live.session().peer_hello();
                total.validators_differ =
                    hello.is_some_and(|hello| hello.validators != port.validators());
                let mut shown = self.contact.clone();
                shown.take(total, None);
                // Only what is shown is lost.
                let _ = self.file.write(&shown);
            }
            if is_over {
                break;
            }
        }
        self.agreed = None;
        total.peer.map(|_| ())
    }

    /// Whether the peer is still on the list, and nobody wants an end.
    fn goes_on(&self) -> bool {
        let mut state = self.shared.state();
        if state.stopping {
            return false;
        }
        let Some(known) = state.peers.get_mut(&self.peer.name) else { return false };
        // The session sees news by itself.
        known.news = false;
        known.peer == *self.peer
    }

    /// Writes what is known of the peer, but not with every sync.
    fn write(&mut self, now: bool) {
        if self.is_written || (!now && !self.file.is_old(WRITE_EVERY)) {
            return;
        }
        // Only what is shown is lost.
        self.is_written = self.file.write(&self.contact).is_ok() || !now;
    }
}

/// How long no live connection is tried after one that came to nothing.
const LIVE_AGAIN: Duration = Duration::from_secs(30);

/// How often the file of a contact is written at the most.
const WRITE_EVERY: Duration = Duration::from_secs(1);

/// Syncs once with a peer, going on from what is remembered of it.
pub fn sync_once(
    database: &Database,
    wire: &mut HttpWire,
    contact: &Contact,
    config: &SessionConfig,
    progress: &mut dyn FnMut(&Report),
) -> (Result<(), SyncError>, Report) {
    let mut report = Report::default();
    let mut port = match database.sync_port() {
        Ok(port) => port,
        Err(error) => {
            return (Err(SyncError::Host { message: error.to_string() }), report);
        }
    };
    let replica: Option<ReplicaId> = contact.replica.as_deref().and_then(|text| text.parse().ok());
    let memory = replica.and_then(|replica| port.recall(replica));
    let done = drive(&mut port, wire, config, memory, &mut report, progress);
    (done, report)
}
