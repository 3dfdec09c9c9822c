//! Version vectors: how far a copy holds each log, and which of two copies knows more.
//!
//! Canonical bytes, drawn in `docs/reference/version-vector-format.md`:
//! ```text
//! u8 format = 1 | varint roots | per root, ascending:
//!   u8 length, name | varint replicas (>= 1) | per replica, ascending:
//!     u64le replica | varint seq (>= 1)
//! ```
//! Invariants: roots ascend, replicas ascend within a root, no sequence number is 0, no root is
//! without replicas; so equal vectors have equal bytes.

use alloc::{collections::BTreeMap, vec::Vec};

use crate::{
    Limits, ReplicaId, RootName, batch::DecodeError, batch::Field, reader::Reader, varint,
};

const FORMAT: u8 = 1;

/// For each log, the highest sequence number held. A log that is absent counts as 0.
///
/// ```
/// use laterbase_event::{Causality, ReplicaId, RootName, VersionVector};
/// let truck = RootName::try_from("truck")?;
/// let (a, b) = (ReplicaId::from_u64(1), ReplicaId::from_u64(2));
/// let mut left = VersionVector::new();
/// left.set(truck, a, 3);
/// let mut right = VersionVector::new();
/// right.set(truck, b, 1);
/// assert_eq!(left.compare(&right), Causality::Concurrent);
/// right.merge(&left);
/// assert_eq!(left.compare(&right), Causality::Before);
/// assert!(right.includes(&truck, a, 3) && !right.includes(&truck, a, 4));
/// # Ok::<(), laterbase_event::NameError>(())
/// ```
///
/// Source: Parker et al., "Detection of Mutual Inconsistency in Distributed Systems", 1983.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct VersionVector {
    /// Replicas ascend, no list is empty, no sequence number is 0.
    roots: BTreeMap<RootName, Vec<(ReplicaId, u64)>>,
}

/// How two version vectors relate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Causality {
    /// The first knows less: all of it is in the second.
    Before,
    /// The first knows more.
    After,
    /// Both know the same.
    Equal,
    /// Each knows something that the other does not.
    Concurrent,
}

/// Why bytes are not a version vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VersionVectorError {
    /// The first byte names a format that this version does not know.
    #[error("version vector format {found} is unknown; it was written by a newer version")]
    UnknownFormat {
        /// The byte.
        found: u8,
    },
    /// There are more bytes than any version vector may have.
    #[error(
        "the version vector has {bytes} bytes, at most {} are allowed",
        Limits::VERSION_VECTOR_BYTES_MAX
    )]
    TooLong {
        /// How many.
        bytes: usize,
    },
    /// A field is malformed.
    #[error("the version vector is damaged: {0}")]
    Field(#[from] DecodeError),
    /// Roots or replicas do not ascend.
    #[error("the version vector is not canonical: its entries do not ascend")]
    Order,
    /// A root has no replicas, or a sequence number is 0.
    #[error("the version vector is not canonical: it holds an empty entry")]
    EmptyEntry,
    /// Bytes follow the end.
    #[error("{bytes} bytes follow the version vector")]
    TrailingBytes {
        /// How many.
        bytes: usize,
    },
}

impl VersionVector {
    /// The vector of a copy that holds nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { roots: BTreeMap::new() }
    }

    /// How far `replica`'s log under `root` is held; 0 if not at all.
    #[must_use]
    pub fn get(&self, root: &RootName, replica: ReplicaId) -> u64 {
        let Some(logs) = self.roots.get(root) else { return 0 };
        let found = logs.binary_search_by_key(&replica, |(replica, _)| *replica).ok();
        found.and_then(|index| logs.get(index)).map_or(0, |(_, seq)| *seq)
    }

    /// Sets how far a log is held, forwards or backwards; 0 removes the log.
    pub fn set(&mut self, root: RootName, replica: ReplicaId, seq: u64) {
        let logs = self.roots.entry(root).or_default();
        match (logs.binary_search_by_key(&replica, |(replica, _)| *replica), seq) {
            (Ok(index), 0) => {
                logs.remove(index);
            }
            (Err(_), 0) => {}
            (Ok(index), _) => {
                if let Some(entry) = logs.get_mut(index) {
                    entry.1 = seq;
                }
            }
            (Err(index), _) => logs.insert(index, (replica, seq)),
        }
        if logs.is_empty() {
            self.roots.remove(&root);
        }
    }

    /// Whether the event with this address is held. No log has an event 0.
    #[must_use]
    pub fn includes(&self, root: &RootName, replica: ReplicaId, seq: u64) -> bool {
        seq != 0 && seq <= self.get(root, replica)
    }

    /// Takes the higher number of each log: what a copy that holds both knows.
    ///
    /// Commutative, associative and idempotent.
    pub fn merge(&mut self, other: &Self) {
        for (root, logs) in &other.roots {
            let ours = self.roots.entry(*root).or_default();
            *ours = merged(ours, logs);
        }
    }

    /// How this vector relates to `other`.
    #[must_use]
    pub fn compare(&self, other: &Self) -> Causality {
        match (self.exceeds(other), other.exceeds(self)) {
            (false, false) => Causality::Equal,
            (false, true) => Causality::Before,
            (true, false) => Causality::After,
            (true, true) => Causality::Concurrent,
        }
    }

    /// Each log and how far it is held, by root and then replica.
    pub fn iter(&self) -> impl Iterator<Item = (&RootName, ReplicaId, u64)> {
        self.roots
            .iter()
            .flat_map(|(root, logs)| logs.iter().map(move |(replica, seq)| (root, *replica, *seq)))
    }

    /// How many logs are held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.roots.values().map(Vec::len).sum()
    }

    /// Whether nothing is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.roots.is_empty()
    }

    /// The roots of which something is held, ascending.
    pub fn roots(&self) -> impl Iterator<Item = &RootName> {
        self.roots.keys()
    }

    /// The part of this vector that is about one root.
    #[must_use]
    pub fn for_root(&self, root: &RootName) -> Self {
        let logs = self.roots.get(root);
        Self { roots: logs.map(|logs| (*root, logs.clone())).into_iter().collect() }
    }

    /// Appends the canonical bytes.
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        out.push(FORMAT);
        varint::write(self.roots.len() as u64, out);
        for (root, logs) in &self.roots {
            out.push(root.as_bytes().len() as u8);
            out.extend_from_slice(root.as_bytes());
            varint::write(logs.len() as u64, out);
            for (replica, seq) in logs {
                out.extend_from_slice(&replica.as_u64().to_le_bytes());
                varint::write(*seq, out);
            }
        }
    }

    /// The canonical bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode_into(&mut out);
        out
    }

    /// Reads canonical bytes; `bytes` is the whole of them.
    ///
    /// # Errors
    /// [`VersionVectorError`] for whatever [`VersionVector::encode`] would not have written.
    /// Memory stays within a small multiple of the bytes given, whatever counts they claim.
    pub fn decode(bytes: &[u8]) -> Result<Self, VersionVectorError> {
        if bytes.len() > Limits::VERSION_VECTOR_BYTES_MAX {
            return Err(VersionVectorError::TooLong { bytes: bytes.len() });
        }
        let mut reader = Reader::new(bytes);
        let found = reader.u8(Field::Format)?;
        if found != FORMAT {
            return Err(VersionVectorError::UnknownFormat { found });
        }
        let mut vector = Self::new();
        for _ in 0..reader.varint(Field::Count)? {
            let root = read_root(&mut reader)?;
            if vector.roots.last_key_value().is_some_and(|(last, _)| *last >= root) {
                return Err(VersionVectorError::Order);
            }
            vector.roots.insert(root, read_logs(&mut reader)?);
        }
        if !reader.is_empty() {
            return Err(VersionVectorError::TrailingBytes { bytes: reader.rest().len() });
        }
        Ok(vector)
    }

    /// Whether some log reaches further here than in `other`.
    fn exceeds(&self, other: &Self) -> bool {
        self.roots.iter().any(|(root, logs)| {
            let others = other.roots.get(root).map_or(&[][..], Vec::as_slice);
            logs_exceed(logs, others)
        })
    }
}

fn read_root(reader: &mut Reader<'_>) -> Result<RootName, DecodeError> {
    let len = reader.u8(Field::Root)?;
    let text = reader.text(usize::from(len), Field::Root)?;
    RootName::try_from(text).map_err(|_| DecodeError::OutOfRange { field: Field::Root })
}

fn read_logs(reader: &mut Reader<'_>) -> Result<Vec<(ReplicaId, u64)>, VersionVectorError> {
    let count = reader.varint(Field::Count)?;
    if count == 0 {
        return Err(VersionVectorError::EmptyEntry);
    }
    // The claimed count reserves nothing: each entry must be there to be pushed.
    let mut logs: Vec<(ReplicaId, u64)> = Vec::new();
    for _ in 0..count {
        let replica = ReplicaId::from_u64(reader.u64_le(Field::Replica)?);
        let seq = reader.varint(Field::FirstSeq)?;
        if seq == 0 {
            return Err(VersionVectorError::EmptyEntry);
        }
        if logs.last().is_some_and(|(last, _)| *last >= replica) {
            return Err(VersionVectorError::Order);
        }
        logs.push((replica, seq));
    }
    Ok(logs)
}

/// Both lists ascend; so does the result.
fn merged(left: &[(ReplicaId, u64)], right: &[(ReplicaId, u64)]) -> Vec<(ReplicaId, u64)> {
    let mut out = Vec::with_capacity(left.len().max(right.len()));
    let (mut left, mut right) = (left.iter().copied().peekable(), right.iter().copied().peekable());
    loop {
        match (left.peek().copied(), right.peek().copied()) {
            (Some((a, a_seq)), Some((b, b_seq))) => {
                out.push((
                    a.min(b),
                    match a.cmp(&b) {
                        core::cmp::Ordering::Less => a_seq,
                        core::cmp::Ordering::Equal => a_seq.max(b_seq),
                        core::cmp::Ordering::Greater => b_seq,
                    },
                ));
                if a <= b {
                    left.next();
                }
                if b <= a {
                    right.next();
                }
            }
            (Some(_), None) => out.extend(left.by_ref()),
            (None, Some(_)) => out.extend(right.by_ref()),
            (None, None) => return out,
        }
    }
}

/// Whether some entry of `left` is higher than its counterpart. Both ascend: one pass.
fn logs_exceed(left: &[(ReplicaId, u64)], right: &[(ReplicaId, u64)]) -> bool {
    let mut right = right.iter().peekable();
    left.iter().any(|(replica, seq)| {
        while right.next_if(|(other, _)| other < replica).is_some() {}
        let held = right.peek().filter(|(other, _)| other == replica).map_or(0, |(_, seq)| *seq);
        *seq > held
    })
}
