//! The batches that a validator refused: kept, forwarded, without positions.
//!
//! The list says where each one stands. It grows with the log's quarantined batches, which are few;
//! it is carried from footer to footer.

use crate::footer::Noted;
use crate::number::CommitNumber;
use crate::wire::{Fields, put_short_text, put_varint};
use laterbase_event::ReplicaId;

/// A batch in quarantine and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// The commit that it came in.
    pub commit: CommitNumber,
    /// Its place among the batches of that commit, from 0.
    pub index_in_commit: u16,
    /// The replica of its log.
    pub replica: ReplicaId,
    /// The root of its log.
    pub root: Box<str>,
    /// The sequence number of its first event.
    pub first_seq: u64,
    /// How many events it has.
    pub event_count: u16,
}

/// All batches in quarantine, in the order of arrival.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Quarantine {
    pub(crate) batches: Vec<Quarantined>,
}

impl Quarantine {
    /// Takes a batch out that was admitted after all: the first one at its address. The host
    /// releases batches of one address together or not at all.
    pub(crate) fn release(&mut self, batch: &Noted<'_>) {
        let address = |held: &Quarantined| {
            (held.replica, &*held.root, held.first_seq, held.event_count)
                == (batch.replica, batch.root, batch.first_seq, batch.event_count)
        };
        if let Some(at) = self.batches.iter().position(address) {
            self.batches.remove(at);
        }
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.batches.len() as u64);
        for batch in &self.batches {
            put_varint(out, batch.commit.as_u64());
            put_varint(out, u64::from(batch.index_in_commit));
            out.extend_from_slice(&batch.replica.as_u64().to_le_bytes());
            put_short_text(out, &batch.root);
            put_varint(out, batch.first_seq);
            put_varint(out, u64::from(batch.event_count));
        }
    }

    pub(crate) fn decode(fields: &mut Fields<'_>) -> Option<Self> {
        let mut batches = Vec::new();
        for _ in 0..fields.varint()? {
            batches.push(Quarantined {
                commit: CommitNumber::new(fields.varint()?),
                index_in_commit: u16::try_from(fields.varint()?).ok()?,
                replica: ReplicaId::from_u64(fields.u64()?),
                root: fields.short_text()?.into(),
                first_seq: fields.varint()?,
                event_count: u16::try_from(fields.varint()?).ok()?,
            });
        }
        Some(Self { batches })
    }
}
