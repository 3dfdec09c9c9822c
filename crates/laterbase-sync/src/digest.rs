//! One digest of heads per root: equal digests mean that nothing is to be exchanged.
//!
//! Computed from the heads in their one order, so that equal heads have equal digests, whoever
//! computes them and however they came about. A thousand heads are 40 KiB to hash, which costs
//! some ten microseconds; it happens when heads changed, not per frame.

use alloc::vec::Vec;

use laterbase_event::{Hash, RootName};

use crate::log_id::{Head, Heads, LogId, of_root};

/// A digest of the heads of one root: 16 bytes of a BLAKE3 hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Digest(pub [u8; 16]);

/// What names the heads that two peers agreed on: 8 bytes of a BLAKE3 hash, zeros for none.
///
/// It saves bytes and decides nothing: heads that are put together from it are held against the
/// digests before they are believed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Agreement(pub [u8; 8]);

impl Digest {
    /// The digest of a root's heads; `None` if there are none.
    ///
    /// Hashed are, per head in ascending order of replica: replica, sequence number, tag, and the
    /// writer and first number of a branch, or zeros. All numbers are `u64`, little endian.
    #[must_use]
    pub fn of(heads: &Heads, root: &RootName) -> Option<Self> {
        let mut bytes = Vec::new();
        for (log, head) in of_root(heads, root) {
            write(log, head, &mut bytes);
        }
        if bytes.is_empty() {
            return None;
        }
        let hash = Hash::of(&bytes);
        Some(Self(hash.as_bytes().first_chunk().copied().unwrap_or_default()))
    }
}

impl Agreement {
    /// Nothing was agreed on.
    pub const NONE: Self = Self([0; 8]);

    /// The name of these heads.
    #[must_use]
    pub fn of(heads: &Heads) -> Self {
        if heads.is_empty() {
            return Self::NONE;
        }
        let mut bytes = Vec::new();
        for (log, head) in heads {
            bytes.push(log.root.as_str().len() as u8);
            bytes.extend_from_slice(log.root.as_str().as_bytes());
            write(log, head, &mut bytes);
        }
        let hash = Hash::of(&bytes);
        Self(hash.as_bytes().first_chunk().copied().unwrap_or_default())
    }
}

fn write(log: &LogId, head: &Head, out: &mut Vec<u8>) {
    out.extend_from_slice(&log.replica.as_u64().to_le_bytes());
    out.extend_from_slice(&head.seq.to_le_bytes());
    out.extend_from_slice(&head.tag.0);
    let (writer, first) = head.branch.map_or((0, 0), |b| (b.writer.as_u64(), b.first_seq));
    out.extend_from_slice(&writer.to_le_bytes());
    out.extend_from_slice(&first.to_le_bytes());
}
