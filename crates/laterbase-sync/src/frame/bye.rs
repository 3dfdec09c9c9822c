//! Bye: the end of a session and its reason.
//!
//! ```text
//! u8 reason, varint milliseconds after which another try makes sense (0: at once),
//! u8 flags: 1 an agreement follows, 2 a fault follows
//! [8] agreement: the heads that the speaker takes for equal
//! fault: u8 what, text8 root, u64 replica, varint seq: the batch that was refused
//! ```
//! A reason or a fault that is not known keeps its number.

use alloc::vec::Vec;
use core::fmt;

use super::FrameError;
use crate::{
    digest::Agreement,
    log_id::LogId,
    wire::{Reader, put, put_log},
};

const AGREEMENT: u8 = 1;
const FAULT: u8 = 2;

/// Why a session ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Nothing is left to do.
    Done,
    /// The peer has too much to do; come back later.
    Busy,
    /// No version of the protocol is common.
    Version,
    /// The peer has another database.
    Database,
    /// The peer may not ask for or bring this root.
    Scope,
    /// A frame made no sense, or exceeded a limit.
    Malformed,
    /// A batch was refused; the Bye says which.
    BadBatch,
    /// The peer made no progress, or promised what it did not keep.
    Stalled,
    /// The session would need more memory than it may take.
    TooMuch,
    /// The peer could not store or read; not the receiver's fault.
    Storage,
    /// A reason of a later version.
    Unknown(u8),
}

/// What is wrong with a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Its bytes are not a canonical batch.
    Encoding,
    /// Its hash is not the one that was announced.
    Hash,
    /// It does not continue the batch before it in the frame.
    Chain,
    /// Its ids do not rise above those of the batch before.
    NotRising,
    /// It belongs to another database.
    Database,
    /// It belongs to another root than the frame says.
    Root,
    /// It was written by another replica than the frame says.
    Replica,
    /// The two batches of a proof prove nothing.
    NoProof,
    /// The host refused it.
    Refused,
    /// Another replica wrote it than those whose events the peer may bring.
    Relayed,
    /// A fault of a later version.
    Unknown(u8),
}

/// The end of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bye {
    /// Why.
    pub reason: Reason,
    /// After how many milliseconds another try makes sense; 0: at once.
    pub retry_after_ms: u64,
    /// The heads that the speaker takes for equal.
    pub agreement: Option<Agreement>,
    /// Which batch was refused, and why: its log and the number of its first event, 0 if the batch
    /// was not looked at.
    pub fault: Option<(Fault, LogId, u64)>,
}

/// Reasons and faults by their numbers, from 0.
const REASONS: [Reason; 10] = [
    Reason::Done,
    Reason::Busy,
    Reason::Version,
    Reason::Database,
    Reason::Scope,
    Reason::Malformed,
    Reason::BadBatch,
    Reason::Stalled,
    Reason::TooMuch,
    Reason::Storage,
];
const FAULTS: [Fault; 10] = [
    Fault::Encoding,
    Fault::Hash,
    Fault::Chain,
    Fault::NotRising,
    Fault::Database,
    Fault::Root,
    Fault::Replica,
    Fault::NoProof,
    Fault::Refused,
    Fault::Relayed,
];

impl Reason {
    fn number(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Busy => 1,
            Self::Version => 2,
            Self::Database => 3,
            Self::Scope => 4,
            Self::Malformed => 5,
            Self::BadBatch => 6,
            Self::Stalled => 7,
            Self::TooMuch => 8,
            Self::Storage => 9,
            Self::Unknown(number) => number,
        }
    }
}

impl fmt::Display for Reason {
    /// In words, for people.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Done => "nothing is left to do",
            Self::Busy => "it has too much to do",
            Self::Version => "no version of the protocol is common; upgrade the older side",
            Self::Database => "it is another database; a copy is made with `laterbase init --join`",
            Self::Scope => "a part of it was not granted, or it was granted to another replica",
            Self::Malformed => "a frame made no sense",
            Self::BadBatch => "a batch was not what it claimed to be",
            Self::Stalled => "there was no progress",
            Self::TooMuch => "a limit was exceeded",
            Self::Storage => "the storage failed",
            Self::Unknown(number) => return write!(out, "reason {number}, of a later version"),
        })
    }
}

impl Fault {
    fn number(self) -> u8 {
        match self {
            Self::Encoding => 0,
            Self::Hash => 1,
            Self::Chain => 2,
            Self::NotRising => 3,
            Self::Database => 4,
            Self::Root => 5,
            Self::Replica => 6,
            Self::NoProof => 7,
            Self::Refused => 8,
            Self::Relayed => 9,
            Self::Unknown(number) => number,
        }
    }
}

impl Bye {
    /// A Bye for this reason, without more.
    #[must_use]
    pub const fn new(reason: Reason) -> Self {
        Self { reason, retry_after_ms: 0, agreement: None, fault: None }
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.push(self.reason.number());
        put(self.retry_after_ms, out);
        let agreed = if self.agreement.is_some() { AGREEMENT } else { 0 };
        out.push(agreed | if self.fault.is_some() { FAULT } else { 0 });
        if let Some(agreement) = self.agreement {
            out.extend_from_slice(&agreement.0);
        }
        if let Some((fault, log, seq)) = self.fault {
            out.push(fault.number());
            put_log(&log, out);
            put(seq, out);
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, FrameError> {
        let number = reader.u8()?;
        let known = REASONS.get(usize::from(number)).copied();
        let reason = known.unwrap_or(Reason::Unknown(number));
        let retry_after_ms = reader.varint()?;
        let flags = reader.flags(AGREEMENT | FAULT)?;
        let agreement =
            if flags & AGREEMENT != 0 { Some(Agreement(reader.array()?)) } else { None };
        let fault = if flags & FAULT != 0 {
            let number = reader.u8()?;
            let known = FAULTS.get(usize::from(number)).copied();
            let fault = known.unwrap_or(Fault::Unknown(number));
            Some((fault, reader.log()?, reader.varint()?))
        } else {
            None
        };
        Ok(Self { reason, retry_after_ms, agreement, fault })
    }
}
