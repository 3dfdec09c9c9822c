//! Want: a request for the batches of one log behind the last place that both hold.
//!
//! ```text
//! text8 root, u64 replica      the log
//! varint until                 number of the last event that is wanted
//! varint bytes                 how many bytes of batches the answer may have
//! u8 priority                  lower goes first
//! varint places, at most 72, descending: varint seq, [8] tag
//! ```
//! The places are ends of batches that the asker holds on the way to the log's end: the newest
//! first, then ever further apart. The answer begins behind the first one that its sender holds
//! too, or at the beginning of the log. So a fork that neither side knows of is found in one
//! request, as the block locators of Bitcoin do it.

use alloc::vec::Vec;

use super::{FrameError, FrameLimits};
use crate::{
    log_id::{HashTag, LogId},
    wire::{Reader, put, put_log},
};

/// The end of a batch that is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The number of its last event.
    pub seq: u64,
    /// Its tag.
    pub tag: HashTag,
}

/// A request for batches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Want {
    /// Of which log.
    pub log: LogId,
    /// Up to which event.
    pub until: u64,
    /// How many bytes of batches the answer may have; one batch is always sent.
    pub bytes_max: u64,
    /// Lower goes first.
    pub priority: u8,
    /// What is held, descending.
    pub places: Vec<Place>,
}

impl Want {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        put_log(&self.log, out);
        put(self.until, out);
        put(self.bytes_max, out);
        out.push(self.priority);
        put(self.places.len() as u64, out);
        for place in &self.places {
            put(place.seq, out);
            out.extend_from_slice(&place.tag.0);
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, FrameError> {
        let log = reader.log()?;
        let (until, bytes_max, priority) = (reader.varint()?, reader.varint()?, reader.u8()?);
        let count = reader.count(FrameLimits::PLACES_MAX, 9)?;
        let mut places: Vec<Place> = Vec::new();
        for _ in 0..count {
            let place = Place { seq: reader.varint()?, tag: HashTag(reader.array()?) };
            let falls = places.last().is_none_or(|last| last.seq > place.seq);
            if place.seq == 0 || !falls {
                return Err(FrameError::Order);
            }
            places.push(place);
        }
        Ok(Self { log, until, bytes_max, priority, places })
    }
}
