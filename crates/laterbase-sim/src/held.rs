//! What a copy holds, read through its port, and what its logs must be called.
//!
//! The names are worked out here anew from the set of batches, in another way than the state
//! machine does: batches form a tree by the hash of the batch before; a log goes on while there is
//! one next batch, and ends where there are several.

use std::collections::{BTreeMap, BTreeSet};

use laterbase_event::{BatchView, Hash, ReplicaId, RootName};
use laterbase_sync::{Branch, HashTag, Head, Heads, LogId, Replica, alias};

use crate::node::{ForkSeen, Violation, violation};

/// A batch that is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Under which root.
    pub root: RootName,
    /// Who wrote it.
    pub writer: ReplicaId,
    /// Its first event.
    pub first_seq: u64,
    /// Its last event.
    pub last_seq: u64,
    /// The hash of the batch before it.
    pub previous: Hash,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// All batches of a copy, by their hashes.
pub type Batches = BTreeMap<Hash, Batch>;

/// Reads everything that a copy holds.
///
/// # Errors
/// [`Violation`] if a log cannot be read, or holds what is no batch, or a batch twice.
pub fn batches_of<R: Replica>(port: &R) -> Result<Batches, Violation> {
    let mut all = Batches::new();
    for (log, head) in port.heads() {
        let after = head.branch.map_or(0, |branch| branch.first_seq.saturating_sub(1));
        let mut bytes = Vec::new();
        port.read(&log, after, u64::MAX, &mut bytes)
            .map_err(|error| violation!("a log cannot be read: {error}"))?;
        let mut next_seq = after + 1;
        for bytes in bytes {
            let view = BatchView::parse(&bytes)
                .map_err(|error| violation!("a log holds what is no batch: {error}"))?;
            let header = view.header();
            let hash = view.hash();
            if header.first_seq != next_seq {
                return Err(violation!(
                    "a gap: {} of {} goes on with {} behind {}",
                    log.root,
                    log.replica,
                    header.first_seq,
                    next_seq - 1
                ));
            }
            next_seq = header.last_seq() + 1;
            let batch = Batch {
                root: header.root,
                writer: header.replica,
                first_seq: header.first_seq,
                last_seq: header.last_seq(),
                previous: header.previous,
                bytes: Vec::new(),
            };
            if all.insert(hash, Batch { bytes, ..batch }).is_some() {
                return Err(violation!("a batch is held twice: {hash:?}"));
            }
        }
        if next_seq != head.seq + 1 {
            return Err(violation!("{log:?} ends at {}, its head says {}", next_seq - 1, head.seq));
        }
    }
    Ok(all)
}

/// The hashes of everything that a copy holds.
///
/// # Errors
/// As [`batches_of`].
pub fn hashes_of<R: Replica>(port: &R) -> Result<BTreeSet<Hash>, Violation> {
    Ok(batches_of(port)?.into_keys().collect())
}

/// What the batches of one log lead to.
type Next<'a> = BTreeMap<(RootName, ReplicaId, Hash), Vec<(Hash, &'a Batch)>>;

/// The heads that a set of batches must have, and its forks.
///
/// # Errors
/// [`Violation`] if a batch does not extend another one of the set.
pub fn heads_of(batches: &Batches) -> Result<(Heads, BTreeSet<ForkSeen>), Violation> {
    let mut next = Next::new();
    for (hash, batch) in batches {
        next.entry((batch.root, batch.writer, batch.previous)).or_default().push((*hash, batch));
    }
    let starts: Vec<_> =
        next.keys().filter(|(_, _, previous)| *previous == Hash::ZERO).copied().collect();
    let mut walk = Walk { next: &next, heads: Heads::new(), forks: BTreeSet::new(), count: 0 };
    for (root, writer, _) in starts {
        walk.follow(LogId::new(root, writer), None, (root, writer), (0, Hash::ZERO))?;
    }
    if walk.count != batches.len() {
        return Err(violation!(
            "{} batches extend nothing that is held",
            batches.len().saturating_sub(walk.count)
        ));
    }
    Ok((walk.heads, walk.forks))
}

struct Walk<'a> {
    next: &'a Next<'a>,
    heads: Heads,
    forks: BTreeSet<ForkSeen>,
    count: usize,
}

impl Walk<'_> {
    /// Follows one log from the end of a batch to its own end, and then its branches.
    fn follow(
        &mut self,
        log: LogId,
        branch: Option<Branch>,
        (root, writer): (RootName, ReplicaId),
        (mut seq, mut hash): (u64, Hash),
    ) -> Result<(), Violation> {
        // A branch begins with its own first batch, which its caller has counted.
        let mut has_own = branch.is_some();
        loop {
            let all = self.next.get(&(root, writer, hash)).map_or(&[][..], Vec::as_slice);
            for (_, batch) in all {
                if batch.first_seq != seq + 1 {
                    return Err(violation!(
                        "{root} of {writer} goes on with {} behind {seq}",
                        batch.first_seq
                    ));
                }
            }
            self.count += all.len();
            if let [(only, batch)] = all {
                (seq, hash, has_own) = (batch.last_seq, *only, true);
                continue;
            }
            if has_own {
                self.heads.insert(log, Head { seq, tag: HashTag::of(&hash), branch });
            }
            if !all.is_empty() {
                let root = root.as_str().to_owned();
                self.forks.insert(ForkSeen { root, writer, first_seq: seq + 1 });
            }
            for (first, batch) in all {
                let name = alias(writer, &root, seq + 1, first);
                let branch = Some(Branch { writer, first_seq: seq + 1 });
                self.follow(name, branch, (root, writer), (batch.last_seq, *first))?;
            }
            return Ok(());
        }
    }
}
