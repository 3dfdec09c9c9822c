//! The end of each log: what the next batch of it has to follow.
//!
//! Ordered by root and replica, so that the encoded form in footers is canonical. A lookup borrows
//! the root's name; memory is allocated only when a log appears for the first time.
//!
//! Left out: version vectors. They are the same facts in `laterbase-event`'s form.

use crate::wire::{Fields, put_short_text, put_varint};
use laterbase_event::{Hash, Hlc, ReplicaId};
use std::collections::BTreeMap;

/// The end of one log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The sequence number of its last event.
    pub seq: u64,
    /// The hash of its last batch.
    pub hash: Hash,
    /// The HLC of its last event.
    pub hlc: Hlc,
}

/// The ends of all logs, by root and replica; batches in quarantine count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heads {
    roots: BTreeMap<Box<str>, BTreeMap<ReplicaId, Head>>,
    count: usize,
}

impl Heads {
    /// The end of the log of `replica` under `root`; `None` if it has no batch here.
    #[must_use]
    pub fn get(&self, replica: &ReplicaId, root: &str) -> Option<&Head> {
        self.roots.get(root)?.get(replica)
    }

    /// All logs with their ends, ordered by root, then replica.
    pub fn iter(&self) -> impl Iterator<Item = (&str, ReplicaId, &Head)> {
        self.roots.iter().flat_map(|(root, replicas)| {
            replicas.iter().map(move |(replica, head)| (&**root, *replica, head))
        })
    }

    /// How many logs there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Is there no log at all?
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Sets the end of a log.
    pub(crate) fn set(&mut self, replica: ReplicaId, root: &str, head: Head) {
        if let Some(replicas) = self.roots.get_mut(root) {
            if replicas.insert(replica, head).is_none() {
                self.count += 1;
            }
            return;
        }
        self.roots.insert(root.into(), BTreeMap::from([(replica, head)]));
        self.count += 1;
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.count as u64);
        for (root, replica, head) in self.iter() {
            put_short_text(out, root);
            out.extend_from_slice(&replica.as_u64().to_le_bytes());
            put_varint(out, head.seq);
            out.extend_from_slice(&head.hlc.as_u64().to_le_bytes());
            out.extend_from_slice(head.hash.as_bytes());
        }
    }

    /// `None` if the bytes are no list of heads in ascending order.
    pub(crate) fn decode(fields: &mut Fields<'_>) -> Option<Self> {
        let count = fields.varint()?;
        let mut heads = Self::default();
        for _ in 0..count {
            let root = fields.short_text()?;
            let replica = ReplicaId::from_u64(fields.u64()?);
            let seq = fields.varint()?;
            let hlc = Hlc::from_u64(fields.u64()?);
            let head = Head { seq, hash: Hash::from_bytes(fields.array()?), hlc };
            let last = heads.roots.last_key_value().map(|(root, replicas)| {
                (&**root, replicas.last_key_value().map(|(replica, _)| *replica))
            });
            if last.is_some_and(|last| last >= (root, Some(replica))) {
                return None;
            }
            heads.set(replica, root, head);
        }
        Some(heads)
    }
}
