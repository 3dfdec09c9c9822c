//! What is remembered of a peer between sessions, so that the next one speaks of changes only.
//!
//! ```text
//! u8 format = 1, u64 peer, varint capabilities, heads agreed on, u8 1 and heads offered, or u8 0
//! heads: varint count, per log ascending: text8 root, u64 replica, varint seq, u8 branch, [8] tag,
//!        if branch: u64 writer, varint first seq
//! ```
//! *Agreed* are heads that both sides held when a session ended. *Offered* are heads that the peer
//! held if the last flight arrived: when it comes back naming them, they are agreed. Losing this
//! costs bytes, never correctness; it takes some 20 to 30 bytes a log.

use alloc::vec::Vec;

use laterbase_event::ReplicaId;

use crate::{
    digest::Agreement,
    frame::{Capabilities, FrameError},
    log_id::Heads,
    wire::{Reader, put, put_head, put_log, put_replica},
};

const FORMAT: u8 = 1;

/// What is remembered of one peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerMemory {
    pub(crate) peer: ReplicaId,
    pub(crate) capabilities: Capabilities,
    pub(crate) agreed: Heads,
    pub(crate) offered: Option<Heads>,
}

impl PeerMemory {
    /// A peer that is presumed to hold these heads, by what it said or by hearsay. Presuming too
    /// much costs a round trip, never an event.
    #[must_use]
    pub fn presumed(peer: ReplicaId, capabilities: Capabilities, heads: Heads) -> Self {
        Self { peer, capabilities, agreed: heads, offered: None }
    }

    /// Of which peer.
    #[must_use]
    pub fn peer(&self) -> ReplicaId {
        self.peer
    }

    /// The heads that both held when a session ended.
    #[must_use]
    pub fn agreed(&self) -> &Heads {
        &self.agreed
    }

    /// The heads that it is likely to hold by now.
    #[must_use]
    pub fn likely(&self) -> &Heads {
        self.newest()
    }

    /// The bytes to keep.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.push(FORMAT);
        put_replica(self.peer, &mut out);
        put(self.capabilities.0, &mut out);
        write_heads(&self.agreed, &mut out);
        out.push(u8::from(self.offered.is_some()));
        if let Some(heads) = &self.offered {
            write_heads(heads, &mut out);
        }
        out
    }

    /// Reads what [`PeerMemory::encode`] wrote.
    ///
    /// # Errors
    /// [`FrameError`] for anything else: forget it, the next session sends all heads.
    pub fn decode(bytes: &[u8]) -> Result<Self, FrameError> {
        let mut reader = Reader::new(bytes);
        let found = reader.u8()?;
        if found != FORMAT {
            return Err(FrameError::Flags { found });
        }
        let peer = reader.replica()?;
        let capabilities = Capabilities(reader.varint()?);
        let agreed = read_heads(&mut reader)?;
        let offered = if reader.flags(1)? == 1 { Some(read_heads(&mut reader)?) } else { None };
        reader.end()?;
        Ok(Self { peer, capabilities, agreed, offered })
    }

    /// The heads with this name.
    pub(crate) fn named(&self, agreement: Agreement) -> Option<&Heads> {
        let all = self.offered.iter().chain(core::iter::once(&self.agreed));
        let mut all = all.filter(|heads| !heads.is_empty());
        all.find(|heads| Agreement::of(heads) == agreement)
    }

    /// The newest heads that the peer is likely to know of.
    pub(crate) fn newest(&self) -> &Heads {
        self.offered.as_ref().unwrap_or(&self.agreed)
    }
}

fn write_heads(heads: &Heads, out: &mut Vec<u8>) {
    put(heads.len() as u64, out);
    for (log, head) in heads {
        put_log(log, out);
        put_head(head, out);
    }
}

fn read_heads(reader: &mut Reader<'_>) -> Result<Heads, FrameError> {
    let count = reader.count(u64::MAX, 20)?;
    let mut heads = Heads::new();
    for _ in 0..count {
        let log = reader.log()?;
        if heads.last_key_value().is_some_and(|(last, _)| *last >= log) {
            return Err(FrameError::Order);
        }
        let head = reader.head()?;
        if head.seq == 0 {
            return Err(FrameError::Empty);
        }
        heads.insert(log, head);
    }
    Ok(heads)
}
