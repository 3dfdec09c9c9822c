//! A copy in memory: what the port means, for tests and simulations. Nothing is durable.

use alloc::{collections::BTreeMap, vec::Vec};

use laterbase_event::{
    BatchBuilder, BatchView, DatabaseId, EventDraft, Hash, Hlc, ReplicaId, RootName, Stamp,
};

use crate::{
    log_id::{Branch, HashTag, Head, Heads, LogId},
    mutant::{self, Mutant},
    peer_memory::PeerMemory,
    port::{BatchEnd, Checked, Found, Offer, Replica, Split, StoreError},
};

/// A copy of a database in memory.
#[derive(Clone, Debug)]
pub struct MemoryReplica {
    database: DatabaseId,
    replica: ReplicaId,
    clock: Hlc,
    changes: u64,
    logs: BTreeMap<LogId, Log>,
    peers: BTreeMap<ReplicaId, PeerMemory>,
}

#[derive(Clone, Debug)]
struct Log {
    writer: ReplicaId,
    /// The log that this one branched from, and where.
    from: Option<(LogId, u64)>,
    batches: Vec<Held>,
}

#[derive(Clone, Debug)]
struct Held {
    first_seq: u64,
    last_seq: u64,
    last_hlc: Hlc,
    hash: Hash,
    bytes: Vec<u8>,
}

impl Held {
    fn of(batch: &Checked<'_>) -> Self {
        Self {
            first_seq: batch.header.first_seq,
            last_seq: batch.header.last_seq(),
            last_hlc: batch.header.last_hlc(),
            hash: batch.hash,
            bytes: batch.bytes.to_vec(),
        }
    }
}

impl MemoryReplica {
    /// An empty copy.
    #[must_use]
    pub fn new(database: DatabaseId, replica: ReplicaId) -> Self {
        Self {
            database,
            replica,
            clock: Hlc::ZERO,
            changes: 0,
            logs: BTreeMap::new(),
            peers: BTreeMap::new(),
        }
    }

    /// Writes under another id from now on.
    pub fn reincarnate(&mut self, replica: ReplicaId) {
        self.replica = replica;
    }

    /// Appends one event per draft to the copy's own log, at the wall clock `now_ms`, as one
    /// batch. `false` if a draft is not allowed or the log ends in a fork; nothing is written then.
    pub fn append(&mut self, root: &RootName, now_ms: u64, drafts: &[EventDraft<'_>]) -> bool {
        let id = LogId::new(*root, self.replica);
        let mut builder = BatchBuilder::new(*root);
        if self.is_forked(&id) || drafts.iter().any(|draft| builder.push(draft).is_err()) {
            return false;
        }
        let body = builder.finish();
        let last = self.logs.get(&id).and_then(|log| log.batches.last());
        let next = self.clock.checked_add(1).unwrap_or(Hlc::MAX);
        let first_hlc = next.max(Hlc::new(now_ms, 0));
        let stamp = Stamp {
            database: self.database,
            replica: self.replica,
            first_seq: last.map_or(1, |held| held.last_seq + 1),
            first_hlc,
            commit_hlc: first_hlc,
            part: 0,
            parts: 1,
            previous: last.map_or(Hash::ZERO, |held| held.hash),
        };
        let Ok(header) = body.stamp(&stamp) else { return false };
        let mut bytes = Vec::new();
        let hash = body.write_batch(&header, &mut bytes);
        self.push(id, Held::of(&Checked { header: &header, hash, bytes: &bytes }));
        true
    }

    /// All batches that are held, by their hashes.
    #[must_use]
    pub fn batches(&self) -> BTreeMap<Hash, &[u8]> {
        let all = self.logs.values().flat_map(|log| &log.batches);
        all.map(|held| (held.hash, held.bytes.as_slice())).collect()
    }

    fn push(&mut self, id: LogId, held: Held) {
        self.clock = self.clock.max(held.last_hlc);
        self.changes += 1;
        let new = Log { writer: id.replica, from: None, batches: Vec::new() };
        self.logs.entry(id).or_insert(new).batches.push(held);
    }

    fn is_forked(&self, id: &LogId) -> bool {
        self.logs.values().any(|log| log.from.is_some_and(|(from, _)| from == *id))
    }

    /// The log of `writer` that holds this batch, and the batch's place in it.
    fn locate(&self, writer: ReplicaId, root: &RootName, hash: &Hash) -> Option<(LogId, usize)> {
        let mut logs =
            self.logs.iter().filter(|(id, log)| id.root == *root && log.writer == writer);
        logs.find_map(|(id, log)| {
            log.batches.iter().position(|held| held.hash == *hash).map(|place| (*id, place))
        })
    }

    /// What follows the first `count` batches of `id`: in it, or in a branch from its end.
    fn successor(&self, id: &LogId, count: usize, first_seq: u64) -> Option<&Held> {
        let inside = self.logs.get(id).and_then(|log| log.batches.get(count));
        inside.or_else(|| {
            let mut branches = self.logs.values();
            let found = branches.find(|log| log.from == Some((*id, first_seq)));
            found.and_then(|log| log.batches.first())
        })
    }
}

impl Replica for MemoryReplica {
    fn database(&self) -> DatabaseId {
        self.database
    }

    fn replica(&self) -> ReplicaId {
        self.replica
    }

    fn clock(&self) -> Hlc {
        self.clock
    }

    fn change_count(&self) -> u64 {
        self.changes
    }

    fn heads(&self) -> Heads {
        let head = |(id, log): (&LogId, &Log)| {
            let last = log.batches.last()?;
            let branch = log.from.map(|(_, first_seq)| Branch { writer: log.writer, first_seq });
            Some((*id, Head { seq: last.last_seq, tag: HashTag::of(&last.hash), branch }))
        };
        self.logs.iter().filter_map(head).collect()
    }

    fn end_before(&self, log: &LogId, seq: u64) -> Option<BatchEnd> {
        let mut at = *log;
        loop {
            let log = self.logs.get(&at)?;
            let count = log.batches.partition_point(|held| held.last_seq <= seq);
            let last = count.checked_sub(1).and_then(|place| log.batches.get(place));
            if let Some(held) = last {
                return Some(BatchEnd { seq: held.last_seq, hash: held.hash });
            }
            (at, _) = log.from?;
        }
    }

    fn find(
        &self,
        writer: ReplicaId,
        root: &RootName,
        last_seq: u64,
        hash: &Hash,
    ) -> Option<Found> {
        let (log, place) = self.locate(writer, root, hash)?;
        let held = self.logs.get(&log)?.batches.get(place)?;
        (held.last_seq == last_seq).then_some(Found { log, last_hlc: held.last_hlc })
    }

    fn read(
        &self,
        log: &LogId,
        after: u64,
        bytes_max: u64,
        out: &mut Vec<Vec<u8>>,
    ) -> Result<(), StoreError> {
        let mut way = Vec::new();
        let mut at = Some(*log);
        while let Some(log) = at.and_then(|id| self.logs.get(&id)) {
            way.push(log);
            at = log.from.map(|(from, _)| from);
        }
        let mut left = bytes_max;
        for held in way.iter().rev().flat_map(|log| &log.batches) {
            if held.first_seq <= after {
                continue;
            }
            let bytes = held.bytes.len() as u64;
            if bytes > left && !out.is_empty() {
                break;
            }
            left = left.saturating_sub(bytes);
            out.push(held.bytes.clone());
        }
        Ok(())
    }

    fn offer(&mut self, batch: &Checked<'_>) -> Offer {
        let header = batch.header;
        let (writer, root) = (header.replica, header.root);
        if let Some((log, _)) = self.locate(writer, &root, &batch.hash) {
            if mutant::is_active(Mutant::NoDuplicateCheck) {
                self.push(log, Held::of(batch));
                return Offer::Stored { log };
            }
            return Offer::AlreadyHeld;
        }
        let (log, count) = if header.first_seq == 1 {
            (LogId::new(root, writer), 0)
        } else {
            match self.locate(writer, &root, &header.previous) {
                Some((log, place)) => (log, place + 1),
                None if mutant::is_active(Mutant::AcceptGap) => {
                    let log = LogId::new(root, writer);
                    self.push(log, Held::of(batch));
                    return Offer::Stored { log };
                }
                None => return Offer::Gap,
            }
        };
        if let Some(held) = self.successor(&log, count, header.first_seq) {
            return Offer::Fork { log, ours: held.bytes.clone() };
        }
        self.push(log, Held::of(batch));
        Offer::Stored { log }
    }

    fn split(&mut self, split: &Split, batch: &Checked<'_>) -> Result<(), StoreError> {
        let first_seq = split.after + 1;
        let writer = batch.header.replica;
        let from = Some((split.log, first_seq));
        let tail = self.logs.get_mut(&split.log).map_or_else(Vec::new, |log| {
            let keep = log.batches.partition_point(|held| held.first_seq <= split.after);
            log.batches.split_off(keep)
        });
        if !tail.is_empty() {
            for log in self.logs.values_mut() {
                if let Some((from, at)) = &mut log.from
                    && *from == split.log
                    && *at > first_seq
                {
                    *from = split.ours;
                }
            }
            self.logs.insert(split.ours, Log { writer, from, batches: tail });
        }
        let new = Log { writer, from, batches: Vec::new() };
        let theirs = self.logs.entry(split.theirs).or_insert(new);
        if theirs.batches.is_empty() {
            theirs.batches.push(Held::of(batch));
        }
        self.clock = self.clock.max(batch.header.last_hlc());
        self.changes += 1;
        Ok(())
    }

    fn proof(&self, branch: &LogId) -> Option<(Vec<u8>, Vec<u8>)> {
        let log = self.logs.get(branch)?;
        let first = log.batches.first()?;
        let mut others =
            self.logs.iter().filter(|(id, other)| *id != branch && other.from == log.from);
        let (_, other) = others.find(|_| log.from.is_some())?;
        Some((first.bytes.clone(), other.batches.first()?.bytes.clone()))
    }

    fn recall(&self, peer: ReplicaId) -> Option<PeerMemory> {
        self.peers.get(&peer).cloned()
    }

    fn remember(&mut self, memory: &PeerMemory) {
        self.peers.insert(memory.peer(), memory.clone());
    }
}

impl MemoryReplica {
    /// Whether every log is a chain without a gap; for the end of a test.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.logs.iter().all(|(id, log)| {
            let mut before =
                log.from.and_then(|(from, first)| self.end_before(&from, first.checked_sub(1)?));
            log.batches.iter().all(|held| {
                let Ok(view) = BatchView::parse(&held.bytes) else { return false };
                let header = view.header();
                let expected = before.map_or((1, Hash::ZERO), |end| (end.seq + 1, end.hash));
                before = Some(BatchEnd { seq: held.last_seq, hash: held.hash });
                view.hash() == held.hash
                    && header.root == id.root
                    && (header.first_seq, header.previous) == expected
            })
        })
    }
}
