//! Batches, Ack and Fork: what carries events, what thanks for them, what proves a fork.
//!
//! ```text
//! Batches   text8 root, u64 replica, u8 flags: 1 the answer to a want ends here, 2 a branch;
//!           if a branch: u64 writer; [8] tag of the last batch;
//!           varint batches, from 1: varint length, batch
//! Ack       varint entries, from 1, ascending by log: text8 root, u64 replica, varint seq, [8] tag
//! Fork      varint length, batch, varint length, batch
//! ```
//! The batches of one frame follow each other. The two of a Fork have one writer, root, first
//! number and batch before them, and are different; the order is that of their bytes.

use alloc::vec::Vec;

use laterbase_event::{Limits, ReplicaId};

use super::{FrameError, FrameLimits};
use crate::{
    log_id::{HashTag, LogId},
    wire::{Reader, put, put_log, put_replica},
};

const ENDS: u8 = 1;
const BRANCH: u8 = 2;

/// Consecutive batches of one log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batches<'a> {
    /// The log, as the sender calls it.
    pub log: LogId,
    /// Who wrote them; the log's replica unless it is a branch.
    pub writer: ReplicaId,
    /// Whether the answer to a want ends here.
    pub ends: bool,
    /// The tag of the last batch.
    pub tag: HashTag,
    /// The batches' bytes.
    pub batches: Vec<&'a [u8]>,
}

/// A log's part that is durably stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acked {
    /// The log, as the sender of the batches called it.
    pub log: LogId,
    /// The last event that is stored.
    pub seq: u64,
    /// The tag of its batch.
    pub tag: HashTag,
}

/// What is durably stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ack {
    /// Ascending by log.
    pub entries: Vec<Acked>,
}

/// Two different batches at one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fork<'a> {
    /// The one whose bytes come first in order.
    pub first: &'a [u8],
    /// The other.
    pub second: &'a [u8],
}

impl<'a> Batches<'a> {
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        put_log(&self.log, out);
        let branches = self.writer != self.log.replica;
        out.push(if self.ends { ENDS } else { 0 } | if branches { BRANCH } else { 0 });
        if branches {
            put_replica(self.writer, out);
        }
        out.extend_from_slice(&self.tag.0);
        put(self.batches.len() as u64, out);
        for batch in &self.batches {
            write_batch(batch, out);
        }
    }

    pub(crate) fn read(reader: &mut Reader<'a>) -> Result<Self, FrameError> {
        let log = reader.log()?;
        let flags = reader.flags(ENDS | BRANCH)?;
        let writer = if flags & BRANCH != 0 { reader.replica()? } else { log.replica };
        if (flags & BRANCH != 0) != (writer != log.replica) {
            return Err(FrameError::Flags { found: flags });
        }
        let tag = HashTag(reader.array()?);
        let count = reader.count(FrameLimits::BATCHES_MAX, 2)?;
        if count == 0 {
            return Err(FrameError::Empty);
        }
        let mut batches = Vec::new();
        for _ in 0..count {
            batches.push(read_batch(reader)?);
        }
        Ok(Self { log, writer, ends: flags & ENDS != 0, tag, batches })
    }
}

impl Ack {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        put(self.entries.len() as u64, out);
        for entry in &self.entries {
            put_log(&entry.log, out);
            put(entry.seq, out);
            out.extend_from_slice(&entry.tag.0);
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>, limits: &FrameLimits) -> Result<Self, FrameError> {
        let count = reader.count(u64::from(limits.heads_max), 19)?;
        if count == 0 {
            return Err(FrameError::Empty);
        }
        let mut entries: Vec<Acked> = Vec::new();
        for _ in 0..count {
            let log = reader.log()?;
            if entries.last().is_some_and(|last| last.log >= log) {
                return Err(FrameError::Order);
            }
            let seq = reader.varint()?;
            entries.push(Acked { log, seq, tag: HashTag(reader.array()?) });
        }
        Ok(Self { entries })
    }
}

impl<'a> Fork<'a> {
    /// The proof that these two batches are, in whatever order they are given.
    #[must_use]
    pub fn of(one: &'a [u8], other: &'a [u8]) -> Self {
        if one <= other {
            Self { first: one, second: other }
        } else {
            Self { first: other, second: one }
        }
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        write_batch(self.first, out);
        write_batch(self.second, out);
    }

    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, FrameError> {
        let (first, second) = (read_batch(reader)?, read_batch(reader)?);
        if first >= second {
            return Err(FrameError::Order);
        }
        Ok(Self { first, second })
    }
}

fn write_batch(batch: &[u8], out: &mut Vec<u8>) {
    put(batch.len() as u64, out);
    out.extend_from_slice(batch);
}

fn read_batch<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], FrameError> {
    let (found, max) = (reader.varint()?, Limits::BATCH_BYTES_MAX as u64);
    if found > max {
        return Err(FrameError::TooLong { found, max });
    }
    if found == 0 {
        return Err(FrameError::Empty);
    }
    reader.bytes(found)
}
