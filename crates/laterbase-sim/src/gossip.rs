//! How fast and how dearly a new batch gets around: gossip beside anti-entropy, among copies in
//! memory that all know each other.
//!
//! ```text
//! one round:  announcements of the round before arrive: stored, forwarded once
//!             whoever heard of what it lacks pulls it
//!             every copy has a session with one peer at random, in random order
//! ```
//! Payload is the new batch itself, wherever it is sent: in announcements, and in sessions. Each of
//! the other copies must be sent it once; that is the least. Announcements may be lost, sessions
//! are not: a transport sees to them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use laterbase_event::{DatabaseId, EventDraft, ReplicaId, RootName};
use laterbase_log::storage::Random;
use laterbase_sync::{
    LogId, MemoryReplica, Outcome, Replica, Session, SessionConfig, announce, frame, hear,
};

use crate::node::{Violation, violation};

/// Peers that get an announcement with the batch in it.
const FULL_TO: usize = 1;
/// Peers that get one with the heads alone.
const HEADS_TO: usize = 2;
/// How often an announcement is forwarded.
const HOPS: u8 = 6;
/// Batches up to this size travel with their announcement.
const INLINE_BYTES_MAX: u64 = 4096;
/// Nobody waits longer.
const ROUNDS_MAX: u64 = 100;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GossipOrder {
    /// Copies.
    pub copies: usize,
    /// The first seed.
    pub seed: u64,
    /// How many seeds.
    pub seeds: u64,
    /// How many announcements in a hundred are lost.
    pub loss_percent: u64,
    /// Whether anything is announced at all; otherwise anti-entropy does it alone.
    pub announces: bool,
}

/// What it took one seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spread {
    /// Rounds until all copies held the batch.
    pub rounds: u64,
    /// Payload that was sent until then and in the round after, in percent of the least.
    pub payload_percent: u64,
    /// All bytes that were sent, sessions and announcements, in percent of the least payload.
    pub all_percent: u64,
}

/// What it took all seeds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GossipReport {
    /// What was measured.
    pub order: GossipOrder,
    spreads: Vec<Spread>,
}

impl GossipReport {
    fn at(&self, percent: usize, of: impl Fn(&Spread) -> u64) -> u64 {
        let mut all: Vec<u64> = self.spreads.iter().map(of).collect();
        all.sort_unstable();
        let place = (all.len() * percent).div_ceil(100).saturating_sub(1);
        all.get(place).copied().unwrap_or(0)
    }

    /// Rounds, so that `percent` of all seeds took no more.
    #[must_use]
    pub fn rounds(&self, percent: usize) -> u64 {
        self.at(percent, |spread| spread.rounds)
    }

    /// Payload in percent of the least, so that `percent` of all seeds took no more.
    #[must_use]
    pub fn payload_percent(&self, percent: usize) -> u64 {
        self.at(percent, |spread| spread.payload_percent)
    }
}

/// A row of a Markdown table; see [`TABLE_HEAD`].
impl fmt::Display for GossipReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = match (self.order.announces, self.order.loss_percent) {
            (false, _) => "anti-entropy alone".to_owned(),
            (true, 0) => "gossip, nothing lost".to_owned(),
            (true, loss) => format!("gossip, {loss} % of the announcements lost"),
        };
        let times = |percent: u64| format!("{}.{:02}", percent / 100, percent % 100);
        write!(
            f,
            "| {how} | {} | {} | {}× | {}× | {}× |",
            self.rounds(50),
            self.rounds(95),
            times(self.payload_percent(50)),
            times(self.payload_percent(95)),
            times(self.at(95, |spread| spread.all_percent)),
        )
    }
}

/// The head of the table of [`GossipReport`]s.
pub const TABLE_HEAD: &str = "\
| | rounds, p50 | rounds, p95 | payload, p50 | payload, p95 | all bytes, p95 |
|---|---|---|---|---|---|";

/// Measures.
///
/// # Errors
/// [`Violation`] if a copy does not come to hold the batch.
pub fn gossip(order: GossipOrder) -> Result<GossipReport, Violation> {
    let acquainted = acquaint(order.copies)?;
    let mut spreads = Vec::new();
    for seed in order.seed..order.seed + order.seeds {
        spreads.push(Party::new(&acquainted, order, seed)?.spread()?);
    }
    Ok(GossipReport { order, spreads })
}

fn append(copy: &mut MemoryReplica, now_ms: u64) -> Result<LogId, Violation> {
    let root = RootName::try_from("shipment").map_err(|error| violation!("{error}"))?;
    let payload = [b'x'; 188];
    let draft = EventDraft { payload: &payload, ..EventDraft::new("4711", "booked") };
    if !copy.append(&root, now_ms, &[draft]) {
        return Err(violation!("a copy does not take an event"));
    }
    Ok(LogId::new(root, copy.replica()))
}

/// Copies that hold the same, and remember each other.
fn acquaint(count: usize) -> Result<Vec<MemoryReplica>, Violation> {
    let database = DatabaseId::from_bytes(*b"gossip's own one");
    let new = |number: u64| MemoryReplica::new(database, ReplicaId::from_u64(number));
    let mut copies: Vec<_> = (1..=count as u64).map(new).collect();
    for copy in &mut copies {
        append(copy, 1000)?;
    }
    // First all come to hold the same, then each pair agrees on it.
    for turn in 0..2 {
        for left in 0..count {
            for right in left + 1..count {
                exchange(&mut copies, left, right);
            }
            if turn == 0 {
                let last = count - 1;
                exchange(&mut copies, left, last);
            }
        }
    }
    Ok(copies)
}

/// What one session sent.
#[derive(Clone, Copy, Debug, Default)]
struct Sent {
    payload: u64,
    all: u64,
}

/// One session of two copies, which remember it. Nothing is sent on a guess: what a peer lacks may
/// have reached it by gossip.
fn exchange(copies: &mut [MemoryReplica], client: usize, server: usize) -> Sent {
    let mut sent = Sent::default();
    let Ok([one, other]) = copies.get_disjoint_mut([client, server]) else { return sent };
    let config = SessionConfig { optimistic_bytes: 0, ..SessionConfig::default() };
    let mut here = Session::initiator(config.clone(), one.recall(other.replica()));
    let mut there = Session::responder(config);
    loop {
        let up: Vec<_> = std::iter::from_fn(|| here.poll_frame(0, one)).collect();
        for frame in &up {
            sent.add(frame);
            there.handle_frame(frame, 0, other);
        }
        let down: Vec<_> = std::iter::from_fn(|| there.poll_frame(0, other)).collect();
        for frame in &down {
            sent.add(frame);
            here.handle_frame(frame, 0, one);
        }
        if up.is_empty() && down.is_empty() {
            break;
        }
    }
    here.memory().into_iter().for_each(|memory| one.remember(&memory));
    there.memory().into_iter().for_each(|memory| other.remember(&memory));
    sent
}

impl Sent {
    fn add(&mut self, bytes: &[u8]) {
        self.all += bytes.len() as u64;
        let limits = frame::FrameLimits::default();
        let Ok(opened) = frame::open(bytes, &limits, None) else { return };
        let length = |batches: &frame::Batches<'_>| -> u64 {
            batches.batches.iter().map(|batch| batch.len() as u64).sum()
        };
        self.payload += match frame::Frame::decode(&opened, &limits) {
            Ok(Some(frame::Frame::Batches(batches))) => length(&batches),
            Ok(Some(frame::Frame::Announce(announce))) => announce.batches.iter().map(length).sum(),
            Ok(_) | Err(_) => 0,
        };
    }

    fn merge(&mut self, other: Self) {
        self.payload += other.payload;
        self.all += other.all;
    }
}

struct Party {
    copies: Vec<MemoryReplica>,
    random: Random,
    order: GossipOrder,
    under_way: Vec<(usize, Vec<u8>)>,
    sent: Sent,
    log: LogId,
    seq: u64,
    payload: u64,
}

impl Party {
    /// One copy has a new batch, and announces it.
    fn new(acquainted: &[MemoryReplica], order: GossipOrder, seed: u64) -> Result<Self, Violation> {
        let mut random = Random::new(seed);
        let mut copies = acquainted.to_vec();
        let writer = random.index(copies.len());
        let log = append(&mut copies[writer], 2000)?;
        let head = copies[writer].heads().get(&log).copied();
        let seq = head.map_or(0, |head| head.seq);
        let mut batch = Vec::new();
        copies[writer]
            .read(&log, seq - 1, 1, &mut batch)
            .map_err(|error| violation!("the new batch cannot be read: {error}"))?;
        let payload = batch.iter().map(|batch| batch.len() as u64).sum();
        let (under_way, sent) = (Vec::new(), Sent::default());
        let mut party = Self { copies, random, order, under_way, sent, log, seq, payload };
        party.announce(writer, HOPS, None);
        Ok(party)
    }

    fn holds(&self, at: usize) -> bool {
        self.copies[at].end_before(&self.log, self.seq).is_some_and(|end| end.seq == self.seq)
    }

    /// Sends the batch to a few, and the heads to a few more.
    fn announce(&mut self, at: usize, hops: u8, forward: Option<Vec<u8>>) {
        if !self.order.announces {
            return;
        }
        let changed = BTreeMap::from([(self.log, self.seq - 1)]);
        let full =
            forward.unwrap_or_else(|| announce(&self.copies[at], &changed, hops, INLINE_BYTES_MAX));
        let heads = announce(&self.copies[at], &changed, hops, 0);
        let mut told = BTreeSet::from([at]);
        while told.len() <= (FULL_TO + HEADS_TO).min(self.copies.len() - 1) {
            let to = self.random.index(self.copies.len());
            if !told.insert(to) {
                continue;
            }
            let bytes = if told.len() <= FULL_TO + 1 { full.clone() } else { heads.clone() };
            self.sent.add(&bytes);
            if !self.random.chance(self.order.loss_percent, 100) {
                self.under_way.push((to, bytes));
            }
        }
    }

    fn spread(mut self) -> Result<Spread, Violation> {
        let count = self.copies.len();
        let mut rounds = 0;
        while !(0..count).all(|at| self.holds(at)) {
            rounds += 1;
            if rounds > ROUNDS_MAX {
                return Err(violation!("a batch does not get around in {ROUNDS_MAX} rounds"));
            }
            self.round()?;
        }
        // What is still under way was paid for, and one more round shows what is repeated.
        self.round()?;
        let least = self.payload * (count as u64 - 1);
        Ok(Spread {
            rounds,
            payload_percent: self.sent.payload * 100 / least,
            all_percent: self.sent.all * 100 / least,
        })
    }

    fn round(&mut self) -> Result<(), Violation> {
        let mut pulls = BTreeMap::new();
        for (at, bytes) in std::mem::take(&mut self.under_way) {
            let config = SessionConfig::default();
            let heard = hear(&bytes, &config, &mut self.copies[at])
                .map_err(|error| violation!("an announcement is not understood: {error}"))?;
            let Some(heard) = heard else { continue };
            if heard.lacks {
                pulls.insert(at, heard.from);
            }
            let is_new = |outcome: &Outcome| matches!(outcome, Outcome::Stored { .. });
            if heard.outcomes.iter().any(is_new)
                && let Some(forward) = heard.forward
            {
                self.announce(at, HOPS, Some(forward));
            }
        }
        for (at, from) in pulls {
            let peer = self.copies.iter().position(|copy| copy.replica() == from);
            if let (Some(peer), false) = (peer, self.holds(at)) {
                let sent = exchange(&mut self.copies, at, peer);
                self.sent.merge(sent);
                if self.holds(at) {
                    self.announce(at, 1, None);
                }
            }
        }
        let mut turns: Vec<usize> = (0..self.copies.len()).collect();
        for place in (1..turns.len()).rev() {
            turns.swap(place, self.random.index(place + 1));
        }
        for at in turns {
            let count = self.copies.len();
            let peer = (at + 1 + self.random.index(count - 1)) % count;
            let sent = exchange(&mut self.copies, at, peer);
            self.sent.merge(sent);
        }
        Ok(())
    }
}
