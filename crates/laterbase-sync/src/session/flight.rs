//! What goes out, in the order in which the other side can use it.

use alloc::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};

use laterbase_event::{BatchHeader, RootName};

use super::{Session, intent::Send};
use crate::{
    config::Roots,
    digest::{Agreement, Digest},
    frame::{
        Ack, Acked, Batches, Bye, Capabilities, Codec, Fork, Form, Frame, HeadsFrame, Hello,
        Purpose, Reason, RootDigest, Scope, Section,
    },
    log_id::{HashTag, Head, Heads, LogId, of_root},
    port::Replica,
};

/// Entries of one Ack frame.
const ACKS_PER_FRAME: usize = 4096;

/// What a frame of batches has around them: kind, log, flags, lengths.
const FRAME_OVERHEAD: u64 = 256;

impl Session {
    /// The next frame to send, if there is one now. `now_ms` is the clock of
    /// [`Session::handle_frame`]. `None` ends a flight: what comes next depends on the peer, on
    /// the clock, or on new events.
    ///
    /// Everything that was stored is made durable first.
    pub fn poll_frame<R: Replica>(&mut self, now_ms: u64, port: &mut R) -> Option<Vec<u8>> {
        if self.closed.is_some() {
            return None;
        }
        if port.flush().is_err() {
            self.intents.bye = Some(Bye::new(Reason::Storage));
        }
        let since = *self.last_progress_ms.get_or_insert(now_ms);
        if self.intents.bye.is_none() {
            self.plan(port);
            if now_ms.saturating_sub(since) >= self.config.retry_ms && !self.is_settled() {
                self.ask_again(now_ms);
            }
        }
        let frame = self.next(port)?;
        self.progress.bytes_out += frame.len() as u64;
        Some(frame)
    }

    /// Starts over: whatever was under way counts as lost.
    fn ask_again(&mut self, now_ms: u64) {
        self.last_progress_ms = Some(now_ms);
        self.retries += 1;
        if self.retries > self.config.retries_max {
            self.intents.bye = Some(Bye::new(Reason::Stalled));
            return;
        }
        self.in_flight.clear();
        self.in_flight_bytes = 0;
        self.pulls.clear();
        self.intents.sends.clear();
        self.intents.shown.clear();
        self.told.clear();
        self.agreement = Agreement::NONE;
        self.baseline.clear();
        self.intents.hello = Some(Purpose::Ask);
        self.must_plan = true;
    }

    fn next<R: Replica>(&mut self, port: &R) -> Option<Vec<u8>> {
        let codec = self.codec(port);
        if let Some(bye) = self.intents.bye.take() {
            self.closed = Some(bye.reason);
            return Some(Frame::Bye(bye).encode(None));
        }
        if let Some(purpose) = self.intents.hello.take() {
            return Some(self.hello(purpose, port).encode(None));
        }
        if self.peer.is_none() && self.baseline.is_empty() {
            return None;
        }
        if let Some(heads) = self.next_heads() {
            return Some(Frame::Heads(heads).encode(codec));
        }
        if let Some(ack) = self.next_ack() {
            return Some(Frame::Ack(ack).encode(codec));
        }
        if let Some(((_, log), extent)) = self.intents.wants.pop_first() {
            return Some(Frame::Want(self.want(&log, extent, port)).encode(None));
        }
        while let Some(branch) = self.intents.forks.pop_first() {
            if let Some((one, other)) = port.proof(&branch) {
                return Some(Frame::Fork(Fork::of(&one, &other)).encode(codec));
            }
        }
        if let Some(frame) = self.next_batches(port) {
            return Some(frame);
        }
        self.conclude(port)
    }

    fn codec<'a, R: Replica>(&self, port: &'a R) -> Option<&'a dyn Codec> {
        let remembered = self.memory.as_ref().map(|memory| memory.capabilities);
        let peer = self.peer.as_ref().map(|hello| hello.capabilities).or(remembered)?;
        port.codec().filter(|_| peer.includes(Capabilities::ZSTD))
    }

    fn hello<R: Replica>(&mut self, purpose: Purpose, port: &R) -> Frame<'static> {
        let mut names: BTreeSet<RootName> = self.mine.keys().map(|log| log.root).collect();
        let scope = match (&self.config.scope, &self.config.granted) {
            (Roots::All, Roots::All) => Scope::All,
            (Roots::Only(roots), _) | (Roots::All, Roots::Only(roots)) => {
                names.extend(roots.iter().filter(|root| self.config.scope.includes(root)));
                names.retain(|root| self.config.granted.includes(root));
                Scope::Listed
            }
        };
        let digest = |root| RootDigest { root, digest: Digest::of(&self.mine, &root) };
        let roots: Vec<RootDigest> = names.into_iter().map(digest).collect();
        if purpose == Purpose::Answer {
            self.announce_late_changes(&roots);
        }
        if purpose == Purpose::Ask && self.agreement != Agreement::NONE {
            self.announce_changes();
        }
        let zstd = if port.codec().is_some() { Capabilities::ZSTD } else { Capabilities(0) };
        let own = if self.config.may_relay { Capabilities(0) } else { Capabilities::OWN };
        Frame::Hello(Hello {
            database: port.database(),
            replica: port.replica(),
            purpose,
            scope,
            heads_follow: purpose == Purpose::Ask && !self.intents.heads.is_empty(),
            capabilities: zstd.with(own),
            frame_bytes_max: u64::from(self.config.frames.frame_bytes_max),
            window_bytes: self.config.window_bytes,
            wall_ms: port.wall_ms(),
            hlc: port.clock(),
            validators: port.validators(),
            agreement: self.agreement,
            roots,
        })
    }

    /// The roots that changed here since the Hello that is answered was judged: the digests of the
    /// answer alone would tell that something is missing, and not what.
    fn announce_late_changes(&mut self, ours: &[RootDigest]) {
        let theirs = self.peer.as_ref().map_or(&[][..], |hello| hello.roots.as_slice());
        let news = ours.iter().filter(|entry| {
            let at = theirs.binary_search_by_key(&entry.root, |theirs| theirs.root);
            let held = at.ok().and_then(|at| theirs.get(at)).and_then(|theirs| theirs.digest);
            entry.digest.is_some() && entry.digest != held
        });
        let news: Vec<RootName> = news.map(|entry| entry.root).collect();
        for root in news {
            self.intents.heads.entry(root).or_insert(Form::Full);
        }
    }

    /// The roots whose heads changed since the baseline.
    fn announce_changes(&mut self) {
        for root in self.shared_roots() {
            if !of_root(&self.mine, &root).eq(of_root(&self.baseline, &root)) {
                self.intents.heads.insert(root, Form::Delta);
            }
        }
    }

    fn next_heads(&mut self) -> Option<HeadsFrame> {
        let mut sections: Vec<Section> = Vec::new();
        let mut bytes = 0_usize;
        while let Some((root, form)) = self.intents.heads.pop_first() {
            // Before the peer's Hello the view is a guess, and must not silence anything.
            if self.peer.is_some() && (self.is_equal(&root) || !self.shares(&root)) {
                continue;
            }
            let section = self.section(root, form);
            let size = section.heads.len().saturating_mul(40) + 80;
            if !sections.is_empty() && bytes + size > self.config.frame_bytes_target as usize {
                self.intents.heads.insert(root, form);
                break;
            }
            bytes += size;
            if form == Form::Full || !section.heads.is_empty() {
                sections.push(section);
            }
        }
        (!sections.is_empty()).then_some(HeadsFrame { sections })
    }

    fn section(&self, root: RootName, form: Form) -> Section {
        let mine = of_root(&self.mine, &root);
        let heads = match form {
            Form::Full => mine.map(|(log, head)| (log.replica, *head)).collect(),
            Form::Delta => {
                let changed = mine.filter(|(log, head)| self.baseline.get(log) != Some(head));
                let mut all: BTreeMap<_, _> =
                    changed.map(|(log, head)| (log.replica, *head)).collect();
                let gone = Head { seq: 0, tag: HashTag::default(), branch: None };
                let before = of_root(&self.baseline, &root);
                let lost = before.filter(|(log, _)| !self.mine.contains_key(log));
                all.extend(lost.map(|(log, _)| (log.replica, gone)));
                all.into_iter().collect()
            }
        };
        Section { root, form, heads }
    }

    fn next_ack(&mut self) -> Option<Ack> {
        let mut entries: Vec<Acked> = Vec::new();
        while entries.len() < ACKS_PER_FRAME {
            let Some((_, entry)) = self.intents.acks.pop_first() else { break };
            entries.push(entry);
        }
        (!entries.is_empty()).then_some(Ack { entries })
    }

    fn window(&self) -> u64 {
        let peer = self.peer.as_ref().map_or(self.config.optimistic_bytes, |h| h.window_bytes);
        peer.min(self.config.window_bytes)
    }

    fn next_batches<R: Replica>(&mut self, port: &R) -> Option<Vec<u8>> {
        // A batch may be longer than the window; but no window at all means nothing.
        let may_exceed = self.window() > 0;
        while self.in_flight_bytes < self.window() || (may_exceed && self.in_flight.is_empty()) {
            let ((priority, log), send) = self.intents.sends.pop_first()?;
            if let Some(frame) = self.batches_of(priority, log, send, port) {
                return Some(frame);
            }
            if let Some(bye) = self.intents.bye.take() {
                self.closed = Some(bye.reason);
                return Some(Frame::Bye(bye).encode(None));
            }
        }
        None
    }

    /// One frame of a log's batches; what is left of the log waits on.
    fn batches_of<R: Replica>(
        &mut self,
        priority: u8,
        log: LogId,
        send: Send,
        port: &R,
    ) -> Option<Vec<u8>> {
        let head = *self.mine.get(&log)?;
        let frame_max = self.peer.as_ref().map_or(u64::MAX, |hello| hello.frame_bytes_max);
        let frame_max = frame_max.saturating_sub(FRAME_OVERHEAD);
        let target = u64::from(self.config.frame_bytes_target).min(frame_max).min(send.bytes_left);
        let mut batches = Vec::new();
        if port.read(&log, send.after, target, &mut batches).is_err() {
            self.intents.bye = Some(Bye::new(Reason::Storage));
            return None;
        }
        // What the copy took in since its last flush is not for others yet.
        while batches.last().is_some_and(|last| last_seq(last) > Some(head.seq)) {
            batches.pop();
        }
        let bytes: u64 = batches.iter().map(|batch| batch.len() as u64).sum();
        if batches.len() == 1 && bytes > frame_max {
            self.too_large.insert(log, send.after);
            return None;
        }
        let seq = last_seq(batches.last()?)?;
        let end = port.end_before(&log, seq).filter(|end| end.seq == seq)?;
        let tag = HashTag::of(&end.hash);
        let bytes_left = send.bytes_left.saturating_sub(bytes);
        let is_spent = bytes_left == 0 || seq >= head.seq;
        if !is_spent {
            let rest = Send { after: seq, bytes_left, ..send };
            self.intents.send(priority, log, rest);
        }
        self.in_flight.entry(log).or_default().frames.push((seq, tag, bytes));
        self.in_flight_bytes += bytes;
        let frame = Batches {
            log,
            writer: head.writer(&log),
            ends: send.answers && is_spent,
            tag,
            batches: batches.iter().map(|batch| Cow::Borrowed(batch.as_slice())).collect(),
        };
        Some(Frame::Batches(frame).encode(self.codec(port)))
    }

    /// Nothing is left to send: notes what both hold, and says goodbye if that is the same.
    fn conclude<R: Replica>(&mut self, port: &R) -> Option<Vec<u8>> {
        if self.is_partial() {
            return self.conclude_in_part(port);
        }
        let ours = self.shared(&self.mine);
        if self.is_settled() {
            let agreement = Agreement::of(&ours);
            let is_new = self.agreed.as_ref() != Some(&ours);
            self.agreed = Some(ours);
            self.offered = None;
            if self.config.live {
                return self.confirm(port);
            }
            self.closed = Some(Reason::Done);
            // Equal digests have said it already, if nothing was exchanged.
            let exchanged = self.progress.pull_events + self.progress.push_events > 0;
            let agreement = (exchanged && is_new).then_some(agreement);
            let bye = Bye { agreement, ..Bye::new(Reason::Done) };
            return Some(Frame::Bye(bye).encode(None));
        }
        self.peer.as_ref()?;
        let mut predicted: Heads = self.shared(&self.view);
        for (log, flight) in &self.in_flight {
            if let (Some((seq, tag, _)), Some(mine)) = (flight.frames.last(), self.mine.get(log)) {
                predicted.insert(*log, Head { seq: *seq, tag: *tag, branch: mine.branch });
            }
        }
        let is_known = self.shared_roots().iter().all(|root| self.is_known(root));
        if is_known && predicted == ours {
            self.offered = Some(ours);
        }
        None
    }

    /// The same where both need not come to hold the same: nothing is noted.
    fn conclude_in_part<R: Replica>(&mut self, port: &R) -> Option<Vec<u8>> {
        if !self.is_settled() {
            return None;
        }
        if self.config.live {
            return self.confirm(port);
        }
        self.closed = Some(Reason::Done);
        Some(Frame::Bye(Bye::new(Reason::Done)).encode(None))
    }

    /// Lets the peer know once that both hold the same: whoever did the work knows it, and the
    /// other one may not.
    fn confirm<R: Replica>(&mut self, port: &R) -> Option<Vec<u8>> {
        if core::mem::replace(&mut self.has_confirmed, true) {
            return None;
        }
        Some(self.hello(Purpose::Answer, port).encode(None))
    }
}

/// The number of a batch's last event.
fn last_seq(batch: &[u8]) -> Option<u64> {
    let (header, _) = BatchHeader::decode(batch.get(1..)?).ok()?;
    Some(header.last_seq())
}
