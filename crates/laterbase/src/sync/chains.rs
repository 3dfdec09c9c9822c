//! The tree of a forked writer's batches, cut into logs.
//!
//! ```text
//! index: … 3 4 │ trunk                 one batch behind the other, found by number
//!              ├─ 5 6 7   alias a      logs of their own, kept here batch by batch
//!              └─ 5 6     alias b
//! ```
//! Up to the first fork a log has one batch per number, and the indexes find it. From there on
//! numbers are ambiguous, so what follows is held in memory: some 100 bytes a batch, for writers
//! that were cloned or restored and for the time between that and their next sync.
//!
//! Invariant: the logs are a function of the set of batches, not of the order in which they came.

use std::collections::BTreeMap;

use laterbase_event::{BatchHeader, Hash, Hlc, Position, ReplicaId, RootName};
use laterbase_log::CommitNumber;
use laterbase_sync::mutant::{self, Mutant};
use laterbase_sync::{BatchEnd, Branch, HashTag, Head, LogId, Split, alias};

/// Where the bytes of a batch are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Visible: the position of its first event.
    At(Position),
    /// In quarantine: its commit, and its place in it.
    Quarantined(CommitNumber, u16),
}

/// A batch behind a fork.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) first_seq: u64,
    pub(crate) last_seq: u64,
    pub(crate) hash: Hash,
    pub(crate) previous: Hash,
    pub(crate) last_hlc: Hlc,
    pub(crate) place: Place,
}

/// One log behind a fork, or what the plain log has behind the trunk.
#[derive(Debug, Clone, Default)]
struct Chain {
    /// The log that it branches from, and its first event.
    from: Option<(LogId, u64)>,
    batches: Vec<Held>,
}

/// Where a batch belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Belongs {
    /// It is here.
    Held,
    /// At the end of this log.
    EndOf(LogId),
    /// Another batch follows the one before it.
    Fork { log: LogId, ours: Place },
    /// The one before it is not among those behind the first fork.
    Elsewhere,
}

/// All logs of one writer under one root, from the first fork on.
#[derive(Debug, Clone)]
pub(crate) struct Chains {
    plain: LogId,
    /// The last batch before the first fork; `None` if it is the first batch that is forked.
    trunk: Option<BatchEnd>,
    logs: BTreeMap<LogId, Chain>,
}

impl Chains {
    pub(crate) fn new(root: RootName, writer: ReplicaId, trunk: Option<BatchEnd>) -> Self {
        let plain = LogId::new(root, writer);
        Self { plain, trunk, logs: BTreeMap::from([(plain, Chain::default())]) }
    }

    /// The number of the last event before the first fork.
    pub(crate) fn trunk_seq(&self) -> u64 {
        self.trunk.map_or(0, |end| end.seq)
    }

    /// Takes a batch in, wherever it belongs; `false` if the one before it is not here.
    pub(crate) fn add(&mut self, held: Held) -> bool {
        match self.belongs((held.first_seq, held.last_seq), &held.previous, &held.hash) {
            Belongs::Held => {}
            Belongs::EndOf(log) => self.push(log, held),
            Belongs::Fork { log, .. } => {
                let name = |hash| alias(self.plain.replica, &log.root, held.first_seq, hash);
                let after = held.first_seq - 1;
                let Some(ours) = self.successor(&log, held.first_seq).map(|held| held.hash) else {
                    return false;
                };
                // The mutant names the newcomer after whom it found here.
                let is_mutant = mutant::is_active(Mutant::AliasByArrival);
                let newcomer = if is_mutant { Hash::of(ours.as_bytes()) } else { held.hash };
                self.split(&Split { log, after, ours: name(&ours), theirs: name(&newcomer) }, held);
            }
            Belongs::Elsewhere => return false,
        }
        true
    }

    /// Where a batch with these first and last numbers, predecessor and hash belongs.
    pub(crate) fn belongs(
        &self,
        (first_seq, last_seq): (u64, u64),
        previous: &Hash,
        hash: &Hash,
    ) -> Belongs {
        if self.find(last_seq, hash).is_some() {
            return Belongs::Held;
        }
        let Some(log) = self.behind(first_seq, previous) else { return Belongs::Elsewhere };
        match self.successor(&log, first_seq) {
            Some(held) => Belongs::Fork { log, ours: held.place },
            None => Belongs::EndOf(log),
        }
    }

    /// The log that holds this batch, and the batch.
    pub(crate) fn find(&self, last_seq: u64, hash: &Hash) -> Option<(LogId, &Held)> {
        self.logs.iter().find_map(|(id, chain)| {
            let at = chain.batches.binary_search_by_key(&last_seq, |held| held.last_seq).ok()?;
            let held = chain.batches.get(at).filter(|held| held.hash == *hash)?;
            Some((*id, held))
        })
    }

    /// Adds a batch to the end of a log.
    pub(crate) fn push(&mut self, log: LogId, held: Held) {
        self.logs.entry(log).or_default().batches.push(held);
    }

    /// A batch left quarantine, and stands elsewhere now.
    pub(crate) fn release(&mut self, released: &Held) {
        for chain in self.logs.values_mut() {
            let at = chain.batches.binary_search_by_key(&released.last_seq, |held| held.last_seq);
            let held = at.ok().and_then(|at| chain.batches.get_mut(at));
            if let Some(held) = held.filter(|held| held.hash == released.hash) {
                held.place = released.place;
            }
        }
    }

    /// Ends a log behind `split.after`; see [`laterbase_sync::Replica::split`].
    pub(crate) fn split(&mut self, split: &Split, held: Held) {
        let first_seq = split.after + 1;
        let from = Some((split.log, first_seq));
        let tail = self.logs.get_mut(&split.log).map_or_else(Vec::new, |chain| {
            let keep = chain.batches.partition_point(|held| held.first_seq <= split.after);
            chain.batches.split_off(keep)
        });
        if !tail.is_empty() {
            for chain in self.logs.values_mut() {
                if let Some((log, at)) = &mut chain.from
                    && *log == split.log
                    && *at > first_seq
                {
                    *log = split.ours;
                }
            }
            self.logs.insert(split.ours, Chain { from, batches: tail });
        }
        let theirs = self.logs.entry(split.theirs).or_default();
        theirs.from = from;
        if theirs.batches.is_empty() {
            theirs.batches.push(held);
        }
    }

    /// The heads of all logs that hold something.
    pub(crate) fn heads(&self) -> impl Iterator<Item = (LogId, Head)> {
        let writer = self.plain.replica;
        self.logs.iter().filter_map(move |(id, chain)| {
            let end = chain.batches.last().map(Held::end);
            let end = end.or(self.trunk.filter(|_| *id == self.plain))?;
            let branch = chain.from.map(|(_, first_seq)| Branch { writer, first_seq });
            Some((*id, Head { seq: end.seq, tag: HashTag::of(&end.hash), branch }))
        })
    }

    /// Whether this is one of the logs.
    pub(crate) fn has(&self, log: &LogId) -> bool {
        self.logs.contains_key(log)
    }

    /// The last batch that ends at or before `seq` on the way to the end of `log`, if it is not
    /// before the end of the trunk.
    pub(crate) fn end_before(&self, log: &LogId, seq: u64) -> Option<BatchEnd> {
        let mut at = *log;
        loop {
            let chain = self.logs.get(&at)?;
            let count = chain.batches.partition_point(|held| held.last_seq <= seq);
            if let Some(held) = count.checked_sub(1).and_then(|place| chain.batches.get(place)) {
                return Some(held.end());
            }
            match chain.from {
                Some((from, _)) => at = from,
                None => return self.trunk.filter(|end| end.seq <= seq),
            }
        }
    }

    /// The batches that begin behind event `after` on the way to the end of `log`, as far as they
    /// are behind the trunk.
    pub(crate) fn way(&self, log: &LogId, after: u64) -> Vec<Held> {
        let mut way = Vec::new();
        let mut at = Some(*log);
        while let Some(chain) = at.and_then(|id| self.logs.get(&id)) {
            way.push(chain);
            at = chain.from.map(|(from, _)| from);
        }
        let all = way.iter().rev().flat_map(|chain| &chain.batches);
        all.filter(|held| held.first_seq > after).copied().collect()
    }

    /// The visible batches of one log behind the trunk, without those that it branched from: first
    /// number, count and position of each.
    pub(crate) fn visible(&self, log: &LogId) -> Vec<(u64, u64, Position)> {
        let all = self.logs.get(log).into_iter().flat_map(|chain| &chain.batches);
        let visible = all.filter_map(|held| match held.place {
            Place::At(at) => Some((held.first_seq, held.last_seq - held.first_seq + 1, at)),
            Place::Quarantined(_, _) => None,
        });
        visible.collect()
    }

    /// The branch that a visible batch is on, by its header and the position of its first event;
    /// `None` for other logs and before the fork. The position tells batches apart that say the
    /// same of themselves, as those of two copies do that wrote in one millisecond.
    pub(crate) fn log_of(&self, header: &BatchHeader, position: Position) -> Option<LogId> {
        if (header.root, header.replica) != (self.plain.root, self.plain.replica) {
            return None;
        }
        let last_seq = header.last_seq();
        self.logs.iter().find_map(|(id, chain)| {
            let at = chain.batches.binary_search_by_key(&last_seq, |held| held.last_seq).ok()?;
            let held = chain.batches.get(at)?;
            (held.place == Place::At(position)).then_some(*id)
        })
    }

    /// The first batch of a branch, and that of another branch of the same fork.
    pub(crate) fn proof(&self, branch: &LogId) -> Option<(Place, Place)> {
        let chain = self.logs.get(branch)?;
        chain.from?;
        let mut others =
            self.logs.iter().filter(|(id, other)| *id != branch && other.from == chain.from);
        let (_, other) = others.next()?;
        Some((chain.batches.first()?.place, other.batches.first()?.place))
    }

    /// Where each branch comes from: its name, the log before, and its first event.
    pub(crate) fn branches(&self) -> impl Iterator<Item = (LogId, LogId, u64)> {
        self.logs.iter().filter_map(|(id, chain)| {
            let (from, first_seq) = chain.from?;
            Some((*id, from, first_seq))
        })
    }

    /// The log that ends with, or goes on behind, the batch before `first_seq`.
    fn behind(&self, first_seq: u64, previous: &Hash) -> Option<LogId> {
        let before = first_seq.checked_sub(1)?;
        if before == self.trunk_seq() {
            let fits = self.trunk.is_none_or(|trunk| trunk.hash == *previous);
            return fits.then_some(self.plain);
        }
        self.find(before, previous).map(|(log, _)| log)
    }

    /// What follows the batch before `first_seq` in `log`: in it, or in a branch from there.
    fn successor(&self, log: &LogId, first_seq: u64) -> Option<&Held> {
        let chain = self.logs.get(log)?;
        let at = chain.batches.binary_search_by_key(&first_seq, |held| held.first_seq);
        let inside = at.ok().and_then(|at| chain.batches.get(at));
        inside.or_else(|| {
            let mut branches = self.logs.values();
            let found = branches.find(|chain| chain.from == Some((*log, first_seq)));
            found.and_then(|chain| chain.batches.first())
        })
    }
}

impl Held {
    fn end(&self) -> BatchEnd {
        BatchEnd { seq: self.last_seq, hash: self.hash }
    }
}

#[cfg(test)]
mod tests {
    use laterbase_event::{BatchView, DatabaseId, EventDraft};
    use laterbase_log::storage::Random;
    use laterbase_sync::{MemoryReplica, Replica as _, Session, SessionConfig};

    use super::*;

    const WRITER: ReplicaId = ReplicaId::from_u64(7);

    fn root() -> RootName {
        RootName::try_from("truck").unwrap()
    }

    fn append(copy: &mut MemoryReplica, key: &str, count: usize) {
        let draft = EventDraft {
            content_type: "application/json",
            payload: b"{}",
            ..EventDraft::new(key, "seen")
        };
        assert!(copy.append(&root(), 1000, &vec![draft; count]));
    }

    /// Copies of one writer that went on by themselves, each from some moment of another one.
    fn copies(random: &mut Random) -> Vec<MemoryReplica> {
        let mut all = vec![MemoryReplica::new(DatabaseId::from_bytes([1; 16]), WRITER)];
        for step in 0..12 {
            let at = random.below(all.len() as u64) as usize;
            if all.len() < 5 && random.below(3) == 0 {
                all.push(all[at].clone());
            }
            append(&mut all[at], &format!("step-{step}"), 1 + random.below(3) as usize);
        }
        all
    }

    /// All that they hold.
    fn batches(copies: &[MemoryReplica]) -> Vec<Held> {
        let all: BTreeMap<Hash, &[u8]> = copies.iter().flat_map(MemoryReplica::batches).collect();
        let held = |(at, (hash, bytes)): (usize, (Hash, &[u8]))| {
            let view = BatchView::parse(bytes).unwrap();
            let header = view.header();
            Held {
                first_seq: header.first_seq,
                last_seq: header.last_seq(),
                hash,
                previous: header.previous,
                last_hlc: header.last_hlc(),
                place: Place::At(Position::new(1 + at as u64)),
            }
        };
        all.into_iter().enumerate().map(held).collect()
    }

    /// The chains of all batches, which come in any order in which each follows the one before it.
    fn chains(mut left: Vec<Held>, random: &mut Random) -> Chains {
        let mut chains = Chains::new(root(), WRITER, None);
        while !left.is_empty() {
            let at = random.below(left.len() as u64) as usize;
            if chains.add(left[at]) {
                assert!(chains.add(left[at]), "twice is once");
                left.swap_remove(at);
            }
        }
        chains
    }

    /// A copy that meets all of them, in any order.
    fn meet(mut copies: Vec<MemoryReplica>, random: &mut Random) -> MemoryReplica {
        let database = copies[0].database();
        let mut all = MemoryReplica::new(database, ReplicaId::from_u64(9));
        while !copies.is_empty() {
            let mut copy = copies.swap_remove(random.below(copies.len() as u64) as usize);
            let mut asks = Session::initiator(SessionConfig::default(), None);
            let mut answers = Session::responder(SessionConfig::default());
            for _ in 0..9 {
                let up = asks.poll_flight(0, &mut copy);
                answers.handle_flight(&up, 0, &mut all);
                let down = answers.poll_flight(0, &mut all);
                asks.handle_flight(&down, 0, &mut copy);
            }
        }
        all
    }

    #[test]
    fn logs_are_a_function_of_the_set_of_batches() {
        let mut forked = 0;
        for seed in 0..200 {
            let random = &mut Random::new(seed);
            let copies = copies(random);
            let batches = batches(&copies);
            let (one, other) = (chains(batches.clone(), random), chains(batches, random));
            let model = meet(copies, random);
            let heads: laterbase_sync::Heads = one.heads().collect();
            assert_eq!(heads, other.heads().collect(), "seed {seed}");
            assert_eq!(heads, model.heads(), "seed {seed}");
            forked += usize::from(heads.len() > 2);
            let branches = |chains: &Chains| chains.branches().collect::<Vec<_>>();
            assert_eq!(branches(&one), branches(&other), "seed {seed}");
            for log in heads.keys() {
                for after in 0..6 {
                    let way = one.way(log, after);
                    assert_eq!(way, other.way(log, after), "seed {seed}, {log:?} after {after}");
                    let mut read = Vec::new();
                    model.read(log, after, u64::MAX, &mut read).unwrap();
                    let hash = |bytes: &Vec<u8>| BatchView::parse(bytes).unwrap().hash();
                    let way: Vec<Hash> = way.iter().map(|held| held.hash).collect();
                    assert_eq!(way, read.iter().map(hash).collect::<Vec<_>>(), "seed {seed}");
                }
            }
        }
        assert!(forked > 100, "{forked} of 200 are forked");
    }
}
