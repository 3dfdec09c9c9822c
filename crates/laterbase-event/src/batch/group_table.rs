//! Where the groups of a batch are.
//!
//! ```text
//! per group but the last:  u32le end among the groups | u32le end among the payloads
//! ```
//! The last group ends where the groups and the payloads do, so a batch of up to 16 events has no
//! table at all.

use core::ops::Range;

use super::decode_error::{DecodeError, Field};
use crate::Limits;

/// Where a group is among the groups, and where its payloads are among the payloads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct GroupBounds {
    pub(super) groups: Range<usize>,
    pub(super) payloads: Range<usize>,
}

/// The table's bytes, and the ends that it leaves out.
#[derive(Clone, Copy, Debug)]
pub(super) struct GroupTable<'a> {
    pub(super) pairs: &'a [u8],
    pub(super) groups_len: usize,
    pub(super) payloads_len: usize,
}

impl GroupTable<'_> {
    /// How long the table of a batch of `count` events is.
    pub(super) fn bytes(count: u32) -> usize {
        8 * (count.saturating_sub(1) / Limits::GROUP_EVENTS) as usize
    }

    /// Where group `group`, from 0, is; refused if it reaches outside.
    pub(super) fn bounds(&self, group: usize) -> Result<GroupBounds, DecodeError> {
        let (start, payloads_start) = match group.checked_sub(1) {
            Some(before) => self.ends(before),
            None => (0, 0),
        };
        let (end, payloads_end) = self.ends(group);
        let fits = start <= end
            && end <= self.groups_len
            && payloads_start <= payloads_end
            && payloads_end <= self.payloads_len;
        if !fits {
            return Err(DecodeError::OutOfRange { field: Field::GroupTable });
        }
        Ok(GroupBounds { groups: start..end, payloads: payloads_start..payloads_end })
    }

    fn ends(&self, group: usize) -> (usize, usize) {
        let pair = self.pairs.get(8 * group..).and_then(|rest| rest.first_chunk::<8>());
        match pair {
            Some(&[a, b, c, d, e, f, g, h]) => (
                u32::from_le_bytes([a, b, c, d]) as usize,
                u32::from_le_bytes([e, f, g, h]) as usize,
            ),
            None => (self.groups_len, self.payloads_len),
        }
    }
}
