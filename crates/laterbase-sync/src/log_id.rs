//! Which log, how far it is held, and what the branches of a fork are called.
//!
//! A log is named by its root and by the replica that writes it. Where one replica id wrote two
//! different batches behind the same batch, the plain log ends there, and each branch is a log of
//! its own under an alias:
//!
//! ```text
//! plain log R   1 ... 4 ─┬─ 5 6 7     alias(R, root, 5, hash of one batch 5)
//!                        └─ 5 6       alias(R, root, 5, hash of the other)
//! ```
//!
//! So the logs are a function of the *set* of batches, whatever the order of their arrival. An
//! alias is 64 bits of a hash; that it meets a replica id by chance is not provided for.

use alloc::{collections::BTreeMap, vec::Vec};

use laterbase_event::{Hash, ReplicaId, RootName};

/// The name of one log: a root, and a replica or the alias of a branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogId {
    /// The root.
    pub root: RootName,
    /// Who writes it, or the alias of a branch.
    pub replica: ReplicaId,
}

/// The first 8 bytes of a batch's hash: enough to notice a difference, never a proof.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct HashTag(pub [u8; 8]);

/// Where a branch comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Branch {
    /// The replica id in the headers of its batches.
    pub writer: ReplicaId,
    /// The number of its first event: the address at which the fork is.
    pub first_seq: u64,
}

/// How far a log is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The number of its last event; 0 in a frame says that the log is held no more.
    pub seq: u64,
    /// The tag of its last batch.
    pub tag: HashTag,
    /// Set if the log is the branch of a fork.
    pub branch: Option<Branch>,
}

/// Heads in the one order that digests and frames use.
pub type Heads = BTreeMap<LogId, Head>;

impl LogId {
    /// The log of `replica` under `root`.
    #[must_use]
    pub const fn new(root: RootName, replica: ReplicaId) -> Self {
        Self { root, replica }
    }
}

impl HashTag {
    /// The tag of a hash.
    #[must_use]
    pub fn of(hash: &Hash) -> Self {
        let [a, b, c, d, e, f, g, h, ..] = *hash.as_bytes();
        Self([a, b, c, d, e, f, g, h])
    }
}

impl Head {
    /// The head of an unforked log whose last batch has this hash.
    #[must_use]
    pub fn plain(seq: u64, hash: &Hash) -> Self {
        Self { seq, tag: HashTag::of(hash), branch: None }
    }

    /// Who wrote the batches of the log with this name.
    #[must_use]
    pub fn writer(&self, log: &LogId) -> ReplicaId {
        self.branch.map_or(log.replica, |branch| branch.writer)
    }
}

/// The name of the branch that begins with the batch of this hash, whose first event has this
/// number: `BLAKE3(replica, root, seq, hash)[..8]`.
///
/// Hashed are the replica (`u64`), the root's length (`u8`) and name, the number (`u64`), both
/// numbers little endian, and the 32 bytes of the hash; the first 8 bytes of the result are the
/// alias, little endian.
#[must_use]
pub fn alias(writer: ReplicaId, root: &RootName, first_seq: u64, hash: &Hash) -> LogId {
    let mut bytes = Vec::with_capacity(8 + 1 + root.as_str().len() + 8 + 32);
    bytes.extend_from_slice(&writer.as_u64().to_le_bytes());
    bytes.push(root.as_str().len() as u8);
    bytes.extend_from_slice(root.as_str().as_bytes());
    bytes.extend_from_slice(&first_seq.to_le_bytes());
    bytes.extend_from_slice(hash.as_bytes());
    let HashTag(first) = HashTag::of(&Hash::of(&bytes));
    LogId::new(*root, ReplicaId::from_u64(u64::from_le_bytes(first)))
}

/// The heads of one root.
pub fn of_root<'a>(
    heads: &'a Heads,
    root: &RootName,
) -> impl Iterator<Item = (&'a LogId, &'a Head)> + use<'a> {
    let first = LogId::new(*root, ReplicaId::from_u64(0));
    let last = LogId::new(*root, ReplicaId::from_u64(u64::MAX));
    heads.range(first..=last)
}
