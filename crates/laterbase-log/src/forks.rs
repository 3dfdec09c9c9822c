//! Which logs are forked: two different batches of one replica have one address in them.
//!
//! The end of such a log, as [`Heads`](crate::Heads) has it, is that of the branch that came first.
//! What else there is of it stands in the log as [`BatchRole::Branch`](crate::BatchRole), and the
//! host finds it through its indexes.

use std::collections::BTreeSet;

use laterbase_event::ReplicaId;

use crate::wire::{Fields, put_short_text, put_varint};

/// The forked logs, by root and replica.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Forks {
    logs: BTreeSet<(Box<str>, ReplicaId)>,
}

impl Forks {
    pub(crate) fn add(&mut self, root: &str, replica: ReplicaId) {
        self.logs.insert((root.into(), replica));
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, ReplicaId)> {
        self.logs.iter().map(|(root, replica)| (&**root, *replica))
    }

    /// Nothing at all where nothing is forked.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        if self.logs.is_empty() {
            return;
        }
        put_varint(out, self.logs.len() as u64);
        for (root, replica) in &self.logs {
            put_short_text(out, root);
            out.extend_from_slice(&replica.as_u64().to_le_bytes());
        }
    }

    /// `None` if the rest of the bytes is no list of forks in ascending order.
    pub(crate) fn decode(fields: &mut Fields<'_>) -> Option<Self> {
        let mut forks = Self::default();
        if fields.rest().is_empty() {
            return Some(forks);
        }
        let count = fields.varint()?;
        for _ in 0..count {
            let log: (Box<str>, _) =
                (fields.short_text()?.into(), ReplicaId::from_u64(fields.u64()?));
            if forks.logs.last().is_some_and(|last| *last >= log) {
                return None;
            }
            forks.logs.insert(log);
        }
        (count > 0).then_some(forks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(bytes: &[u8]) -> Option<Forks> {
        Forks::decode(&mut Fields::new(bytes))
    }

    /// A list of these logs, in this order.
    fn list(logs: &[(&str, u64)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        put_varint(&mut bytes, logs.len() as u64);
        for (root, replica) in logs {
            put_short_text(&mut bytes, root);
            bytes.extend_from_slice(&replica.to_le_bytes());
        }
        bytes
    }

    #[test]
    fn only_lists_in_ascending_order_are_read() {
        let mut forks = Forks::default();
        forks.add("truck", ReplicaId::from_u64(9));
        forks.add("depot", ReplicaId::from_u64(2));
        forks.add("truck", ReplicaId::from_u64(3));
        let mut bytes = Vec::new();
        forks.encode(&mut bytes);
        assert_eq!(bytes, list(&[("depot", 2), ("truck", 3), ("truck", 9)]));
        assert_eq!(decode(&bytes), Some(forks));
        for len in 1..bytes.len() {
            assert_eq!(decode(&bytes[..len]), None, "{len} bytes");
        }
        assert_eq!(decode(&[]), Some(Forks::default()), "none is no bytes");
        assert_eq!(decode(&list(&[])), None, "and not a list of none");
        assert_eq!(decode(&list(&[("truck", 3), ("depot", 2)])), None, "descending roots");
        assert_eq!(decode(&list(&[("truck", 9), ("truck", 3)])), None, "descending replicas");
        assert_eq!(decode(&list(&[("truck", 3), ("truck", 3)])), None, "one twice");
    }
}
