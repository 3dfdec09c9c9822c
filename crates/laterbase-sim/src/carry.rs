//! Sessions over the network: beginning, carrying frames, ending; and gossip beside them.

use std::collections::BTreeMap;

use laterbase_event::{BatchView, Hash, ReplicaId, RootName};
use laterbase_sync::{
    LogId, Outcome, PeerMemory, Replica, Session, SessionConfig, Status, announce, frame, hear,
};

use crate::coverage::{Happening, Passage};
use crate::network::{Link, Parcel, Side};
use crate::node::{Node, Violation, violation};
use crate::world::{DRIFT_MAX_MS, World};

/// Sessions that are open at once.
const LINKS_MAX: usize = 6;

/// How long a session may last, in milliseconds.
const LINK_MS_MAX: u64 = 4000;

/// Frames that one side may send in one go.
const FRAMES_PER_TURN: u64 = 4;

impl<N: Node> World<N> {
    /// Small windows and frames, so that a few events go through everything.
    pub(crate) fn session_config(&mut self) -> SessionConfig {
        SessionConfig {
            window_bytes: 1000 + self.random.below(8000),
            want_bytes_max: 600 + self.random.below(4000),
            frame_bytes_target: 300 + u32::try_from(self.random.below(3000)).unwrap_or(0),
            optimistic_bytes: self.random.below(3000),
            retry_ms: 100 + self.random.below(200),
            retries_max: 4,
            live: self.random.chance(3, 10),
            ..SessionConfig::default()
        }
    }

    /// A copy begins a session with another one.
    pub(crate) fn connect(&mut self, at: usize) -> Result<(), Violation> {
        let count = self.seats.len();
        let other = (at + 1 + self.random.index(count - 1)) % count;
        if self.links.len() >= LINKS_MAX {
            return Ok(());
        }
        let (config, theirs) = (self.session_config(), self.session_config());
        let Some(port) = self.seats[at].node.port() else { return Ok(()) };
        let Some(their_port) = self.seats[other].node.port() else { return Ok(()) };
        let knows = self.random.chance(9, 10);
        let memory = port.recall(self.seats[other].node.replica()).filter(|_| knows);
        let number = self.next_link;
        self.next_link += 1;
        self.note(format!("{at}-{other}: session {number}, remembers {}", memory.is_some()));
        let sides = [
            Some(Side { session: Session::initiator(config, memory), port }),
            Some(Side { session: Session::responder(theirs), port: their_port }),
        ];
        self.links.push(Link { number, ends: [at, other], sides, opened_ms: self.now_ms });
        self.coverage.passage(Passage::Session);
        Ok(())
    }

    /// One side of a session sends what it has to send.
    pub(crate) fn carry(&mut self) -> Result<(), Violation> {
        if self.links.is_empty() {
            return Ok(());
        }
        let place = self.random.index(self.links.len());
        let side = self.random.index(2);
        for _ in 0..=self.random.below(FRAMES_PER_TURN) {
            if !self.poll(place, side)? {
                break;
            }
        }
        self.tidy_link(place);
        Ok(())
    }

    /// Sends one frame of a side, if there is one.
    fn poll(&mut self, place: usize, side: usize) -> Result<bool, Violation> {
        let (at, to) = (self.links[place].ends[side], self.links[place].ends[1 - side]);
        self.wind(at);
        let now_ms = self.now_ms;
        let link = &mut self.links[place];
        let number = link.number;
        let Some(Side { session, port }) = &mut link.sides[side] else { return Ok(false) };
        let Some(bytes) = session.poll_frame(now_ms, port) else {
            self.look_at(at)?;
            return Ok(false);
        };
        let status = session.status();
        self.promise_by(at, status);
        if self.random.chance(1, 20) {
            self.overheard.push_back(bytes.clone());
            self.overheard.truncate(40);
        }
        let kind = describe(&bytes);
        self.note(format!("{at}>{to}: {kind} in session {number}, {status:?}"));
        self.dispatch(at, to, Parcel::Frame { link: number, side: 1 - side, bytes });
        self.look_at(at)?;
        // The copy may have gone down, and its links with it.
        Ok(self.links.get(place).is_some_and(|link| link.number == number))
    }

    /// A frame has gone out: what came in before is promised, unless it said that storing failed.
    pub(crate) fn promise_by(&mut self, at: usize, status: Status) {
        if status != Status::Closed(frame::Reason::Storage) {
            self.promise(at);
        }
    }

    /// Everything that came in is durable now.
    pub(crate) fn promise(&mut self, at: usize) {
        let seat = &mut self.seats[at];
        for (hash, writer) in seat.staged.drain(..) {
            seat.promises.batches.insert(hash, writer);
            seat.promises.received.insert(writer);
        }
    }

    /// Hands a parcel to the network, which may lose, double, damage or delay it.
    fn dispatch(&mut self, from: usize, to: usize, parcel: Parcel) {
        if self.network.is_blocked(from, to) || self.random.chance(self.weather.loss, 1000) {
            self.coverage.fault(Happening::Lost);
            return;
        }
        let copies = 1 + u64::from(self.random.chance(self.weather.duplication, 1000));
        if copies > 1 {
            self.coverage.fault(Happening::Duplicated);
        }
        for _ in 0..copies {
            let mut parcel = parcel.clone();
            if self.random.chance(self.weather.corruption, 1000) {
                self.coverage.fault(Happening::Corrupted);
                let (Parcel::Frame { bytes, .. } | Parcel::Gossip { bytes, .. }) = &mut parcel;
                let place = self.random.index(bytes.len());
                let bit = self.random.below(8);
                if let Some(byte) = bytes.get_mut(place) {
                    *byte ^= 1 << bit;
                }
            }
            let late = self.random.below(self.weather.jitter_ms + 1);
            let due_ms = self.now_ms + self.weather.latency_ms + late;
            if self.network.send(due_ms, parcel) {
                self.coverage.fault(Happening::Reordered);
            }
        }
    }

    /// Hands over everything that has arrived.
    pub(crate) fn deliver_due(&mut self) -> Result<(), Violation> {
        while let Some(parcel) = self.network.receive(self.now_ms) {
            match parcel {
                Parcel::Frame { link, side, bytes } => self.deliver(link, side, &bytes)?,
                Parcel::Gossip { to, bytes } => self.overhear(to, &bytes)?,
            }
        }
        Ok(())
    }

    fn deliver(&mut self, number: u64, side: usize, bytes: &[u8]) -> Result<(), Violation> {
        let Some(place) = self.links.iter().position(|link| link.number == number) else {
            return Ok(());
        };
        let at = self.links[place].ends[side];
        self.wind(at);
        let now_ms = self.now_ms;
        let Some(Side { session, port }) = &mut self.links[place].sides[side] else {
            return Ok(());
        };
        let news = news_in(bytes, port);
        let outcomes = session.handle_frame(bytes, now_ms, port);
        let stored = taken_of(news, port);
        self.note(format!("{at}: takes {}, {} outcomes", describe(bytes), outcomes.len()));
        self.take_in(at, stored);
        self.judge(at, &outcomes, Via::Session)?;
        self.look_at(at)?;
        if let Some(place) = self.links.iter().position(|link| link.number == number) {
            self.tidy_link(place);
        }
        Ok(())
    }

    /// Batches came in, and are not durable yet.
    pub(crate) fn take_in(&mut self, at: usize, stored: Vec<Arrived>) {
        let wall_ms = self.wall_us(at).max(0).unsigned_abs() / 1000;
        for batch in &stored {
            self.coverage.passage(Passage::Received);
            if batch.millis > wall_ms + DRIFT_MAX_MS {
                self.coverage.passage(Passage::Suspect);
            }
        }
        let staged = stored.iter().map(|batch| (batch.hash, batch.writer));
        self.seats[at].staged.extend(staged);
    }

    /// What a session said of its peer, who is honest unless the network damages frames.
    pub(crate) fn judge(
        &mut self,
        at: usize,
        outcomes: &[Outcome],
        via: Via,
    ) -> Result<(), Violation> {
        self.seats[at].node.record(outcomes);
        let is_honest = via != Via::Stranger && self.weather.corruption == 0;
        for outcome in outcomes {
            match outcome {
                Outcome::Forked { log, writer, seq, .. } => {
                    self.coverage.passage(Passage::Fork);
                    self.note(format!("{at}: fork of {writer} in {} at {seq}", log.root));
                    if !self.shared_ids.contains(writer) {
                        return Err(violation!(
                            "copy {at} met a fork of {writer}, under which one copy wrote"
                        ));
                    }
                }
                Outcome::Malformed(error) if is_honest => {
                    return Err(violation!("copy {at} calls an honest peer malformed: {error}"));
                }
                Outcome::Refused { bye, .. } if is_honest && bye.fault.is_some() => {
                    return Err(violation!("copy {at} refuses an honest batch: {bye:?}"));
                }
                Outcome::Refused { bye, .. } => {
                    self.note(format!("{at}: refuses, {:?}", bye.reason));
                }
                Outcome::Left { bye, .. } => self.note(format!("{at}: is left, {:?}", bye.reason)),
                Outcome::Stored { .. } | Outcome::Reincarnate { .. } | Outcome::Malformed(_) => {}
            }
        }
        Ok(())
    }

    /// Ends a session that is over, or old.
    fn tidy_link(&mut self, place: usize) {
        let Some(link) = self.links.get(place) else { return };
        let is_over = |side: &Option<Side<N>>| {
            side.as_ref().is_none_or(|side| matches!(side.session.status(), Status::Closed(_)))
        };
        let is_old = self.now_ms > link.opened_ms + LINK_MS_MAX;
        if is_old || link.sides.iter().all(is_over) {
            self.drop_link(place);
        }
    }

    /// Ends a session; each side keeps what it learned of the other, mostly.
    pub(crate) fn drop_link(&mut self, place: usize) {
        let link = self.links.remove(place);
        self.network.forget(link.number);
        for (at, side) in link.ends.into_iter().zip(link.sides) {
            let Some(Side { session, .. }) = side else { continue };
            let is_done = matches!(session.status(), Status::Settled)
                || matches!(session.status(), Status::Closed(frame::Reason::Done));
            if is_done {
                self.coverage.passage(Passage::Settled);
            }
            if let Some(memory) = session.memory().filter(|_| self.random.chance(9, 10)) {
                let kept = PeerMemory::decode(&memory.encode());
                if let (Ok(kept), true) = (kept, self.seats[at].node.is_up()) {
                    self.seats[at].node.remember(&kept);
                }
            }
        }
    }

    /// A session is cut, with everything that is under way in it.
    pub(crate) fn cut(&mut self) -> Result<(), Violation> {
        if !self.links.is_empty() {
            let place = self.random.index(self.links.len());
            self.coverage.fault(Happening::Cut);
            self.note(format!("session {} is cut", self.links[place].number));
            self.drop_link(place);
        }
        Ok(())
    }

    /// Tells some others of new batches, if this world gossips.
    pub(crate) fn gossip(&mut self, at: usize, changed: &BTreeMap<LogId, u64>) {
        if !self.weather.gossips || changed.is_empty() {
            return;
        }
        let Some(mut port) = self.seats[at].node.port() else { return };
        if port.flush().is_err() {
            return;
        }
        self.promise(at);
        for turn in 0..3 {
            let to = self.random.index(self.seats.len());
            if to != at {
                let inline_bytes_max = if turn < 2 { 2000 } else { 0 };
                let bytes = announce(&port, changed, 2, inline_bytes_max);
                self.coverage.passage(Passage::Gossip);
                self.dispatch(at, to, Parcel::Gossip { to, bytes });
            }
        }
    }

    fn overhear(&mut self, at: usize, bytes: &[u8]) -> Result<(), Violation> {
        let config = SessionConfig::default();
        self.wind(at);
        let Some(mut port) = self.seats[at].node.port() else { return Ok(()) };
        let news = news_in(bytes, &port);
        let heard = match hear(bytes, &config, &mut port) {
            Ok(Some(heard)) => heard,
            Ok(None) => return Ok(()),
            Err(error) if self.weather.corruption == 0 => {
                return Err(violation!("copy {at} cannot read honest gossip: {error}"));
            }
            Err(_) => return Ok(()),
        };
        let stored = taken_of(news, &port);
        self.note(format!("{at}: hears, {} batches, lacks {}", stored.len(), heard.lacks));
        for _ in &stored {
            self.coverage.passage(Passage::Gossiped);
        }
        self.take_in(at, stored);
        self.judge(at, &heard.outcomes, Via::Gossip)?;
        if let Some(forward) = heard.forward
            && port.flush().is_ok()
        {
            self.promise(at);
            let to = self.random.index(self.seats.len());
            if to != at {
                self.dispatch(at, to, Parcel::Gossip { to, bytes: forward });
            }
        }
        self.look_at(at)
    }
}

/// How something came to a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Via {
    Session,
    Gossip,
    Stranger,
}

/// A batch that came in.
#[derive(Clone, Debug)]
pub(crate) struct Arrived {
    pub(crate) hash: Hash,
    pub(crate) writer: ReplicaId,
    pub(crate) millis: u64,
    root: RootName,
    last_seq: u64,
}

impl Arrived {
    fn is_held<R: Replica>(&self, port: &R) -> bool {
        port.find(self.writer, &self.root, self.last_seq, &self.hash).is_some()
    }
}

/// The batches in a frame that a copy does not hold. To be asked before it takes the frame in.
pub(crate) fn news_in<R: Replica>(bytes: &[u8], port: &R) -> Vec<Arrived> {
    let limits = frame::FrameLimits::default();
    let Ok(opened) = frame::open(bytes, &limits, port.codec()) else { return Vec::new() };
    let Ok(Some(frame)) = frame::Frame::decode(&opened, &limits) else { return Vec::new() };
    let batches: Vec<&[u8]> = match &frame {
        frame::Frame::Batches(batches) => batches.batches.iter().map(AsRef::as_ref).collect(),
        frame::Frame::Announce(announce) => {
            let all = announce.batches.iter().flat_map(|batches| &batches.batches);
            all.map(AsRef::as_ref).collect()
        }
        frame::Frame::Fork(fork) => vec![&fork.first, &fork.second],
        frame::Frame::Hello(_)
        | frame::Frame::Heads(_)
        | frame::Frame::Want(_)
        | frame::Frame::Ack(_)
        | frame::Frame::Bye(_) => Vec::new(),
    };
    let parsed = batches.into_iter().filter_map(|bytes| BatchView::parse(bytes).ok());
    let arrived = parsed.map(|view| Arrived {
        hash: view.hash(),
        writer: view.header().replica,
        millis: view.header().first_hlc.millis(),
        root: view.header().root,
        last_seq: view.header().last_seq(),
    });
    arrived.filter(|batch| !batch.is_held(port)).collect()
}

/// Those of them that it has taken in.
pub(crate) fn taken_of<R: Replica>(mut news: Vec<Arrived>, port: &R) -> Vec<Arrived> {
    news.retain(|batch| batch.is_held(port));
    news
}

/// The kind of a frame, and its length.
pub(crate) fn describe(bytes: &[u8]) -> String {
    const KINDS: [&str; 9] =
        ["?", "hello", "heads", "want", "batches", "ack", "fork", "announce", "bye"];
    const COMPRESSED: u8 = 0x80;
    // The length goes before it: bytes with the high bit set, and one without.
    let kind = bytes.iter().skip_while(|byte| **byte & 0x80 != 0).nth(1);
    let kind = kind.map_or(0, |kind| usize::from(kind & !COMPRESSED));
    format!("{} ({} B)", KINDS.get(kind).unwrap_or(&"?"), bytes.len())
}
