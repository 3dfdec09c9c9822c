//! Keeping in touch with all peers, in the background.
//!
//! ```text
//!   watcher ── news ─────────▶ one thread per peer ──▶ a session       few peers
//!      └─ some, at random ─▶      │    │    └─ announces, and syncs    many peers
//!   gossip heard ──▶ handed on ───┘    │       with who lacks it       failure: back off
//!                                      └─ at intervals, with jitter    always
//! ```
//! Nothing here is waited for: a local append takes as long as ever, and a peer that hangs holds up
//! its own thread alone. The list of peers is read again when its file changes.
//!
//! Gossip is an accelerator, and what it brings is handed on as it came, with one hop less, instead
//! of being announced anew. What converges is that each peer is synced with once in an interval.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use laterbase::sync::{
    Heads, Heard, LogId, Outcome, Replica as _, SessionConfig, Status, announce,
};
use laterbase::{Database, Position, ReplicaId};

use crate::backoff::{Backoff, choose, with_jitter};
use crate::contact::{Contact, ContactFile, now_ms};
use crate::drive::{Report, SyncError, drive};
use crate::http::HttpWire;
use crate::live::Live;
use crate::peers::{PEERS_FILE, Peer, Peers};
use crate::token::TokenFile;
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
/// Announcements that wait for one peer; the oldest make room, and the next sync makes up for them.
const ANNOUNCEMENTS_MAX: usize = 8;

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
    /// How long it may take to send a request, to wait for its answer, and to read it, each.
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
    /// How far gossip brought each log since news were spread last: it is handed on as it came.
    gossiped: BTreeMap<LogId, u64>,
}

/// An announcement, as a frame.
type Announcement = Arc<[u8]>;

/// What the watcher and a peer's thread share.
struct Known {
    peer: Peer,
    replica: Option<ReplicaId>,
    /// Somebody has news for it.
    news: bool,
    /// It is said to have news.
    urgent: bool,
    /// What it is to be told, the oldest first.
    announcements: VecDeque<Announcement>,
    gone: bool,
}

/// Why a peer's thread goes on.
enum Wake {
    /// It is over: the peer is off the list, or everything ends.
    End,
    /// Something is new here, or the next sync is due.
    News,
    /// Something is new there.
    Urgent,
    /// The peer is to be told of something.
    Announce(VecDeque<Announcement>),
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

    /// Acts on gossip that was taken in: hands it on to other peers, and syncs at once with a peer
    /// that holds what is still lacking here.
    pub fn hear(&self, heard: &Heard) {
        let mut state = self.shared.state();
        for outcome in &heard.outcomes {
            if let Outcome::Stored { log, last_seq, .. } = outcome {
                let brought = state.gossiped.entry(*log).or_default();
                *brought = last_seq.max(brought).to_owned();
            }
        }
        if state.peers.len() > FANOUT
            && let Some(frame) = &heard.forward
        {
            let frame = Announcement::from(frame.as_slice());
            state.announce(std::iter::repeat_n(frame, FANOUT), Some(heard.from));
        }
        if heard.lacks {
            let named = state.peers.values_mut();
            named
                .filter(|known| known.replica == Some(heard.from))
                .for_each(|known| known.urgent = true);
        }
        drop(state);
        self.shared.bell.notify_all();
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

    fn notice(&self, notice: &PeerNotice) {
        (self.notices)(notice);
    }
}

impl State {
    /// Leaves each frame with a peer of its own, drawn at random from all but one.
    fn announce(&mut self, frames: impl IntoIterator<Item = Announcement>, but: Option<ReplicaId>) {
        let others = self.peers.values_mut().filter(|known| but.is_none() || known.replica != but);
        let mut others: Vec<&mut Known> = others.collect();
        for frame in frames {
            if others.is_empty() {
                return;
            }
            let known = others.swap_remove(choose(others.len()));
            if known.announcements.len() >= ANNOUNCEMENTS_MAX {
                known.announcements.pop_front();
            }
            known.announcements.push_back(frame);
        }
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
        let known = Known {
            peer: peer.clone(),
            replica: None,
            news: true,
            urgent: false,
            announcements: VecDeque::new(),
            gone: false,
        };
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

/// Has the peers hear of what is new since `told`: each, or if they are many, some.
fn spread(shared: &Shared, told: &mut Heads) {
    let Ok(heads) = shared.database.log_heads() else { return };
    let mut state = shared.state();
    let gossiped = std::mem::take(&mut state.gossiped);
    if state.peers.len() <= FANOUT {
        *told = heads;
        state.peers.values_mut().for_each(|known| known.news = true);
        drop(state);
        shared.bell.notify_all();
        return;
    }
    drop(state);
    let changed: BTreeMap<LogId, u64> = heads
        .iter()
        .filter(|(log, head)| told.get(log) != Some(head))
        .filter(|(log, head)| gossiped.get(log).is_none_or(|brought| *brought < head.seq))
        .map(|(log, _)| (*log, told.get(log).map_or(0, |head| head.seq)))
        .collect();
    *told = heads;
    if changed.is_empty() {
        return;
    }
    let Ok(mut port) = shared.database.sync_port() else { return };
    if port.flush().is_err() {
        return;
    }
    let whole = Announcement::from(announce(&port, &changed, HOPS, ANNOUNCED_BYTES_MAX));
    let heads_only = Announcement::from(announce(&port, &changed, HOPS, 0));
    let frames = std::iter::repeat_n(whole, FANOUT_WHOLE)
        .chain(std::iter::repeat_n(heads_only, FANOUT - FANOUT_WHOLE));
    shared.state().announce(frames, None);
    shared.bell.notify_all();
}

/// One peer's thread.
fn keep_in_touch(shared: &Shared, peer: &Peer) {
    let file = ContactFile::new(&shared.directory, &peer.name);
    let token = TokenFile::new(&shared.directory, &peer.name);
    let mut touch = Touch {
        shared,
        peer,
        wire: HttpWire::new(peer.address.clone(), shared.config.request_timeout)
            .with_token(token.read()),
        token,
        contact: file.read(),
        file,
        backoff: Backoff::new(shared.config.backoff_first, shared.config.backoff_most),
        agreed: None,
        is_reached: None,
        is_written: true,
        live_due: Instant::now(),
        tried: None,
    };
    let mut due = Instant::now();
    loop {
        let must_sync = match touch.wait(due) {
            Wake::End => break,
            Wake::Urgent => true,
            Wake::News => {
                touch.agreed.is_none()
                    || touch.agreed != shared.database.log_heads().ok()
                    || due <= Instant::now()
            }
            Wake::Announce(frames) => match touch.announce(frames) {
                Ok(lacks) => lacks,
                Err(_) => {
                    // The next sync says what is wrong with it.
                    due = after(touch.backoff.after_failure());
                    false
                }
            },
        };
        if must_sync {
            due = after(touch.sync());
        }
        let is_live_due = touch.is_reached == Some(true) && touch.live_due <= Instant::now();
        if shared.config.live && is_live_due && touch.stay_live() {
            due = after(touch.backoff.after_failure());
        }
    }
    touch.write(true);
}

/// The moment so long from now, and a day from now if no clock reaches that far.
fn after(wait: Duration) -> Instant {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let now = Instant::now();
    now.checked_add(wait).unwrap_or_else(|| now + DAY)
}

/// What one peer's thread knows.
struct Touch<'a> {
    shared: &'a Shared,
    peer: &'a Peer,
    wire: HttpWire,
    token: TokenFile,
    contact: Contact,
    file: ContactFile,
    backoff: Backoff,
    /// What both held when they parted last.
    agreed: Option<Heads>,
    is_reached: Option<bool>,
    is_written: bool,
    /// When a live connection is tried next.
    live_due: Instant,
    /// When the last sync began.
    tried: Option<Instant>,
}

impl Touch<'_> {
    /// Waits until there is something to do, or until `due`.
    fn wait(&mut self, due: Instant) -> Wake {
        let mut state = self.shared.state();
        loop {
            if state.stopping {
                return Wake::End;
            }
            let Some(known) = state.peers.get_mut(&self.peer.name) else { return Wake::End };
            if known.peer != *self.peer {
                return Wake::End;
            }
            let is_free = self.backoff.failures() == 0;
            // A peer that cannot be reached is told nothing: the next sync makes up for it.
            let frames = std::mem::take(&mut known.announcements);
            if is_free && !frames.is_empty() {
                return Wake::Announce(frames);
            }
            // Whoever announces need not be who it says: only so often is it believed.
            let pause = self.shared.config.backoff_first;
            let urgent_in =
                self.tried.map_or(Duration::ZERO, |at| pause.saturating_sub(at.elapsed()));
            let is_urgent = known.urgent && urgent_in.is_zero();
            if is_urgent || (known.news && is_free) || due <= Instant::now() {
                known.news = false;
                return if is_urgent { Wake::Urgent } else { Wake::News };
            }
            let mut left = due.saturating_duration_since(Instant::now());
            if known.urgent {
                left = left.min(urgent_in);
            }
            if !self.is_written {
                left = left.min(WRITE_EVERY);
            }
            let waited = self.shared.bell.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            if !self.is_written {
                drop(state);
                self.write(false);
                state = self.shared.state();
            }
        }
    }

    /// Tells the peer of news; whether it lacks some of them still.
    fn announce(&self, frames: VecDeque<Announcement>) -> Result<bool, WireError> {
        let mut lacks = false;
        for frame in frames {
            lacks |= self.wire.announce(&frame)?;
        }
        Ok(lacks)
    }

    /// Syncs once; how long to wait then.
    fn sync(&mut self) -> Duration {
        self.tried = Some(Instant::now());
        if let Some(known) = self.shared.state().peers.get_mut(&self.peer.name) {
            // What was heard until now this sync brings.
            known.urgent = false;
        }
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
                let wait = self.backoff.after_failure().max(error.retry_after());
                if error.is_passing() {
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

    /// Keeps a connection for as long as it lasts; whether there was one.
    fn stay_live(&mut self) -> bool {
        let began = Instant::now();
        let mut total = Total::default();
        // What it failed with the next sync finds out, and tells.
        let lasted = self.live(&mut total);
        self.contact.take_live(&total.report, total.settled_ms);
        self.is_written = false;
        if lasted.is_err() && began.elapsed() < LIVE_AGAIN {
            // It is not offered there, or breaks too soon: syncing goes on without it.
            self.live_due = after(self.shared.config.interval.max(LIVE_AGAIN));
        }
        total.is_open
    }

    /// Runs a live session to its end, which comes with the connection's or with this thread's.
    fn live(&mut self, total: &mut Total) -> Result<(), SyncError> {
        let host = |error: laterbase::AppendError| SyncError::Host { message: error.to_string() };
        let mut port = self.shared.database.sync_port().map_err(host)?;
        let replica = self.contact.replica.as_deref().and_then(|text| text.parse().ok());
        let memory = replica.and_then(|replica: ReplicaId| port.recall(replica));
        let config = &self.shared.config.session;
        let token = self.token.read();
        let address = &self.peer.address;
        let mut live = Live::open(address, token.as_ref(), config, memory, &mut port)?;
        // From here on it is not known whether both hold the same.
        (total.is_open, self.agreed) = (true, None);
        let mut kept = Instant::now();
        while self.goes_on() {
            let mut report = Report::default();
            let stepped = live.step(&mut port, &mut report);
            let settles = live.session().status() == Status::Settled;
            for outcome in total.add(report, settles) {
                let (peer, replica) = (self.peer.name.clone(), total.report.peer);
                self.shared.notice(&PeerNotice::Told { peer, replica, outcome });
            }
            if stepped.is_err() || kept.elapsed() >= WRITE_EVERY {
                kept = Instant::now();
                if let Some(memory) = live.session().memory() {
                    port.remember(&memory);
                }
                total.report.peer_heads.clone_from(live.session().peer_heads());
                let hello = live.session().peer_hello();
                total.report.validators_differ =
                    hello.is_some_and(|hello| hello.validators != port.validators());
                let mut shown = self.contact.clone();
                shown.take_live(&total.report, total.settled_ms);
                // Only what is shown is lost.
                let _ = self.file.write(&shown);
            }
            stepped?;
        }
        Ok(())
    }

    /// Whether the peer is still on the list, and nobody wants an end.
    fn goes_on(&self) -> bool {
        let mut state = self.shared.state();
        if state.stopping {
            return false;
        }
        let Some(known) = state.peers.get_mut(&self.peer.name) else { return false };
        // The session sees news by itself, on both sides.
        (known.news, known.urgent) = (false, false);
        known.announcements.clear();
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

/// What a live connection did until now.
#[derive(Debug, Default)]
struct Total {
    is_open: bool,
    report: Report,
    /// When both held the same for the last time.
    settled_ms: Option<u64>,
}

impl Total {
    /// Takes in what one step did; what it told.
    fn add(&mut self, step: Report, settles: bool) -> Vec<Outcome> {
        let (total, progress) = (&mut self.report, step.progress);
        total.bytes_in += step.bytes_in;
        total.bytes_out += step.bytes_out;
        total.peer = step.peer.or(total.peer);
        total.progress = progress;
        total.lacked_here = progress.pull_events_total.saturating_sub(progress.pull_events);
        if settles {
            self.settled_ms = Some(now_ms());
        }
        step.outcomes
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_wait_ends_some_day() {
        assert!(after(Duration::MAX) > Instant::now());
        assert!(after(Duration::from_secs(u64::MAX)) > Instant::now());
    }
}
