//! Fields on the wire: canonical varints, names, and a reader whose every failure has a type.
//!
//! A claimed count reserves no memory: what is counted must be there to be pushed.

use alloc::vec::Vec;

use laterbase_event::{Limits, ReplicaId, RootName};

use crate::{
    frame::FrameError,
    log_id::{Branch, HashTag, Head, LogId},
};

const VARINT_BYTES_MAX: usize = 10;

pub(crate) fn put(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push((value as u8) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub(crate) fn put_root(root: &RootName, out: &mut Vec<u8>) {
    out.push(root.as_str().len() as u8);
    out.extend_from_slice(root.as_str().as_bytes());
}

pub(crate) fn put_replica(replica: ReplicaId, out: &mut Vec<u8>) {
    out.extend_from_slice(&replica.as_u64().to_le_bytes());
}

pub(crate) fn put_log(log: &LogId, out: &mut Vec<u8>) {
    put_root(&log.root, out);
    put_replica(log.replica, out);
}

/// The number, a byte that says whether it is a branch, the tag, and then the branch.
pub(crate) fn put_head(head: &Head, out: &mut Vec<u8>) {
    put(head.seq, out);
    out.push(u8::from(head.branch.is_some()));
    out.extend_from_slice(&head.tag.0);
    if let Some(branch) = head.branch {
        put_replica(branch.writer, out);
        put(branch.first_seq, out);
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn end(self) -> Result<(), FrameError> {
        if self.rest.is_empty() { Ok(()) } else { Err(FrameError::Trailing) }
    }

    pub(crate) fn bytes(&mut self, count: u64) -> Result<&'a [u8], FrameError> {
        let count = usize::try_from(count).map_err(|_| FrameError::Truncated)?;
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(FrameError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], FrameError> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(FrameError::Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, FrameError> {
        self.array().map(|[byte]| byte)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, FrameError> {
        self.array().map(u64::from_le_bytes)
    }

    /// A byte of flags, of which only `known` may be set.
    pub(crate) fn flags(&mut self, known: u8) -> Result<u8, FrameError> {
        let found = self.u8()?;
        if found & !known == 0 { Ok(found) } else { Err(FrameError::Flags { found }) }
    }

    pub(crate) fn varint(&mut self) -> Result<u64, FrameError> {
        let mut value = 0;
        for index in 0..VARINT_BYTES_MAX {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7F);
            if index == VARINT_BYTES_MAX - 1 && bits > 1 {
                return Err(FrameError::Varint);
            }
            value |= bits << (7 * index);
            if byte < 0x80 {
                let minimal = byte != 0 || index == 0;
                return if minimal { Ok(value) } else { Err(FrameError::Varint) };
            }
        }
        Err(FrameError::Varint)
    }

    /// A count of things of which each takes at least `bytes_min`, so that one that cannot be true
    /// is refused before the first of them is looked at.
    pub(crate) fn count(&mut self, max: u64, bytes_min: u64) -> Result<u64, FrameError> {
        let count = self.varint()?;
        if count > max {
            return Err(FrameError::Count { found: count, max });
        }
        if count.saturating_mul(bytes_min) > self.rest.len() as u64 {
            return Err(FrameError::Truncated);
        }
        Ok(count)
    }

    pub(crate) fn root(&mut self) -> Result<RootName, FrameError> {
        let len = self.u8()?;
        if usize::from(len) > Limits::ROOT_BYTES_MAX {
            return Err(FrameError::Root);
        }
        let text =
            core::str::from_utf8(self.bytes(u64::from(len))?).map_err(|_| FrameError::Root)?;
        RootName::try_from(text).map_err(|_| FrameError::Root)
    }

    pub(crate) fn replica(&mut self) -> Result<ReplicaId, FrameError> {
        self.u64().map(ReplicaId::from_u64)
    }

    pub(crate) fn log(&mut self) -> Result<LogId, FrameError> {
        Ok(LogId::new(self.root()?, self.replica()?))
    }

    pub(crate) fn head(&mut self) -> Result<Head, FrameError> {
        let seq = self.varint()?;
        let branches = self.flags(1)? == 1;
        let tag = HashTag(self.array()?);
        let branch = if branches {
            let branch = Branch { writer: self.replica()?, first_seq: self.varint()? };
            if branch.first_seq == 0 || branch.first_seq > seq {
                return Err(FrameError::Branch);
            }
            Some(branch)
        } else {
            None
        };
        if seq == 0 && tag != HashTag::default() {
            return Err(FrameError::Branch);
        }
        Ok(Head { seq, tag, branch })
    }
}
