//! Batches, Ack and Fork: what carries events, what thanks for them, what proves a fork.
//!
//! ```text
//! Batches   text8 root, u64 replica, u8 flags: 1 the answer to a want ends here, 2 a branch;
//!           if a branch: u64 writer; [8] tag of the last batch;
//!           varint batches, from 1: varint length x 2, + 1 if linked; batch
//! Ack       varint entries, from 1, ascending by log: text8 root, u64 replica, varint seq, [8] tag
//! Fork      twice: varint length, batch, [8] its tag
//! ```
//! The batches of one frame follow each other, so that each names the hash of the one before it.
//! A *linked* batch leaves these 32 bytes out, which nothing compresses: the receiver hashes the
//! batch before it anyway. Where they can be left out they are.
//!
//! The two of a Fork have one writer, root, first
//! number and batch before them, and are different; the order is that of their bytes.

use alloc::{borrow::Cow, vec::Vec};
use core::ops::Range;

use laterbase_event::{BatchHeader, BatchView, Hash, Limits, ReplicaId};

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
    pub batches: Vec<Cow<'a, [u8]>>,
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
    /// The tags of both: damage under way, which may change one writer's id into another's in both
    /// at once where they are packed together, must not be taken for a fork.
    pub tags: [HashTag; 2],
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
        let mut before: Option<&[u8]> = None;
        for batch in &self.batches {
            let linked = before.and_then(|before| unlink(batch, before));
            put((batch.len() as u64) << 1 | u64::from(linked.is_some()), out);
            match linked {
                Some((head, tail)) => {
                    out.extend_from_slice(head);
                    out.extend_from_slice(tail);
                }
                None => out.extend_from_slice(batch),
            }
            before = Some(batch);
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
        let mut batches: Vec<Cow<'a, [u8]>> = Vec::new();
        for _ in 0..count {
            let batch = read_linked(reader, batches.last())?;
            batches.push(batch);
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
        let (first, second) = if one <= other { (one, other) } else { (other, one) };
        let tag = |batch| hash_of(batch).map_or(HashTag::default(), |hash| HashTag::of(&hash));
        Self { first, second, tags: [tag(first), tag(second)] }
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        for (batch, tag) in [self.first, self.second].into_iter().zip(self.tags) {
            write_batch(batch, out);
            out.extend_from_slice(&tag.0);
        }
    }

    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, FrameError> {
        let (first, first_tag) = (read_batch(reader)?, HashTag(reader.array()?));
        let (second, second_tag) = (read_batch(reader)?, HashTag(reader.array()?));
        if first >= second {
            return Err(FrameError::Order);
        }
        Ok(Self { first, second, tags: [first_tag, second_tag] })
    }
}

const PREVIOUS: Range<usize> = BatchHeader::PREVIOUS;

/// The hash that a batch would be named by; `None` if the bytes are no batch.
fn hash_of(batch: &[u8]) -> Option<Hash> {
    BatchView::parse(batch).ok().map(|view| view.hash())
}

/// What is left of a batch without the hash of the one before it, if that is what it names.
fn unlink<'b>(batch: &'b [u8], before: &[u8]) -> Option<(&'b [u8], &'b [u8])> {
    let named = batch.get(PREVIOUS)?;
    // Most that are not linked differ from anything that could be before them.
    (named != Hash::ZERO.as_bytes() && *named == *hash_of(before)?.as_bytes())
        .then(|| (batch.get(..PREVIOUS.start), batch.get(PREVIOUS.end..)))
        .and_then(|(head, tail)| Some((head?, tail?)))
}

fn read_linked<'a>(
    reader: &mut Reader<'a>,
    before: Option<&Cow<'a, [u8]>>,
) -> Result<Cow<'a, [u8]>, FrameError> {
    let number = reader.varint()?;
    let (found, max) = (number >> 1, Limits::BATCH_BYTES_MAX as u64);
    if found > max {
        return Err(FrameError::TooLong { found, max });
    }
    if number & 1 == 0 {
        if found == 0 {
            return Err(FrameError::Empty);
        }
        let batch = reader.bytes(found)?;
        // One encoding: what can be linked is.
        if before.is_some_and(|before| unlink(batch, before).is_some()) {
            return Err(FrameError::Linked);
        }
        return Ok(Cow::Borrowed(batch));
    }
    let linked = FrameError::Linked;
    let hash = before.and_then(|before| hash_of(before)).ok_or(linked)?;
    let behind = found.checked_sub(PREVIOUS.end as u64).ok_or(linked)?;
    let (head, tail) = (reader.bytes(PREVIOUS.start as u64)?, reader.bytes(behind)?);
    if hash == Hash::ZERO {
        return Err(linked);
    }
    Ok(Cow::Owned([head, hash.as_bytes().as_slice(), tail].concat()))
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
