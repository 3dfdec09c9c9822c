//! Heads: how far logs are held, root by root.
//!
//! ```text
//! varint sections, from 1, ascending by root:
//!   text8 root, u8 form (0 full, 1 delta), varint heads, ascending by replica:
//!     u64 replica, varint seq, u8 branch, [8] tag, if branch: u64 writer, varint first seq
//! ```
//! A full section names all logs of its root. A delta names those that changed; number 0 with a
//! tag of zeros says that a log is held no more, which happens when a fork renames it.

use alloc::vec::Vec;

use laterbase_event::{ReplicaId, RootName};

use super::{FrameError, FrameLimits};
use crate::{
    log_id::Head,
    wire::{Reader, put, put_head, put_replica, put_root},
};

/// Whether a section names all logs of its root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// All logs.
    Full,
    /// Those that changed.
    Delta,
}

/// The heads of one root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// The root.
    pub root: RootName,
    /// Whether these are all.
    pub form: Form,
    /// The heads, ascending by replica.
    pub heads: Vec<(ReplicaId, Head)>,
}

/// The heads of some roots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeadsFrame {
    /// Per root, ascending.
    pub sections: Vec<Section>,
}

impl HeadsFrame {
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        put(self.sections.len() as u64, out);
        for section in &self.sections {
            put_root(&section.root, out);
            out.push(u8::from(section.form == Form::Delta));
            put(section.heads.len() as u64, out);
            for (replica, head) in &section.heads {
                put_replica(*replica, out);
                put_head(head, out);
            }
        }
    }

    pub(crate) fn read(reader: &mut Reader<'_>, limits: &FrameLimits) -> Result<Self, FrameError> {
        let count = reader.count(u64::from(limits.roots_max), 4)?;
        let mut left = u64::from(limits.heads_max);
        let mut sections: Vec<Section> = Vec::new();
        for _ in 0..count {
            let root = reader.root()?;
            if sections.last().is_some_and(|last| last.root >= root) {
                return Err(FrameError::Order);
            }
            let form = if reader.flags(1)? == 1 { Form::Delta } else { Form::Full };
            let heads = read_heads(reader, left, form)?;
            left -= heads.len() as u64;
            sections.push(Section { root, form, heads });
        }
        Ok(Self { sections })
    }
}

fn read_heads(
    reader: &mut Reader<'_>,
    max: u64,
    form: Form,
) -> Result<Vec<(ReplicaId, Head)>, FrameError> {
    let count = reader.count(max, 18)?;
    let mut heads: Vec<(ReplicaId, Head)> = Vec::new();
    for _ in 0..count {
        let replica = reader.replica()?;
        if heads.last().is_some_and(|(last, _)| *last >= replica) {
            return Err(FrameError::Order);
        }
        let head = reader.head()?;
        if head.seq == 0 && form == Form::Full {
            return Err(FrameError::Empty);
        }
        heads.push((replica, head));
    }
    Ok(heads)
}
