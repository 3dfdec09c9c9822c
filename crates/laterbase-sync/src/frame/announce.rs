//! Announce: gossip about heads that changed, with small batches inline.
//!
//! ```text
//! [16] database, u64 replica that sends it, u8 hops left,
//! Heads in delta form (see the Heads frame), varint logs, per log: Batches
//! ```
//! It stands alone: a receiver needs no session to make use of it.

use alloc::vec::Vec;

use laterbase_event::{DatabaseId, ReplicaId};

use super::{Batches, Form, FrameError, FrameLimits, HeadsFrame};
use crate::wire::{Reader, put, put_replica};

/// Gossip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announce<'a> {
    /// The database.
    pub database: DatabaseId,
    /// Who sends it, which need not be who wrote the events.
    pub replica: ReplicaId,
    /// How often it may still be forwarded.
    pub hops: u8,
    /// Heads that changed, all sections in delta form.
    pub heads: HeadsFrame,
    /// Some of the batches behind them.
    pub batches: Vec<Batches<'a>>,
}

impl<'a> Announce<'a> {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.database.as_bytes());
        put_replica(self.replica, out);
        out.push(self.hops);
        self.heads.write(out);
        put(self.batches.len() as u64, out);
        for batches in &self.batches {
            batches.write(out);
        }
    }

    pub(super) fn read(reader: &mut Reader<'a>, limits: &FrameLimits) -> Result<Self, FrameError> {
        let database = DatabaseId::from_bytes(reader.array()?);
        let (replica, hops) = (reader.replica()?, reader.u8()?);
        let heads = HeadsFrame::read(reader, limits)?;
        if heads.sections.iter().any(|section| section.form == Form::Full) {
            return Err(FrameError::Flags { found: 0 });
        }
        let count = reader.count(u64::from(limits.heads_max), 21)?;
        let mut batches = Vec::new();
        for _ in 0..count {
            batches.push(Batches::read(reader)?);
        }
        Ok(Self { database, replica, hops, heads, batches })
    }
}
