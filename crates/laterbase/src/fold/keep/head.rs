//! The head of the file: of which fold it is, made by which code, up to where of which log.

use std::hash::Hasher as _;

use laterbase_event::{EventView, Position};
use siphasher::sip::SipHasher13;

use super::bytes::{Bytes, Malformed, put, put_bytes};
use crate::fold::aggregate::FoldOrder;

/// What the rows are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sort {
    /// The streams of a root.
    Streams,
    /// The rows of a view.
    View,
}

/// Which code made the rows, as far as it can be told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Code {
    pub(crate) sort: Sort,
    pub(crate) version: u32,
    pub(crate) order: FoldOrder,
    /// Of the upcasters, and of which events the fold looks at.
    pub(crate) digest: u64,
}

/// What a file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    /// The copy of the database on which positions count.
    pub(super) copy: u64,
    pub(super) name: String,
    pub(super) code: Code,
    /// Whether these rows answered, and not those of another version.
    pub(super) is_complete: bool,
    /// Every event up to here is in it.
    pub(super) done: Position,
    /// Hashes of the events at `done`, and 1, 2, 4, 8, … before it.
    pub(super) marks: Vec<u64>,
    /// Where events stand whose rows the fold could not name.
    pub(super) unplaced: Vec<Position>,
}

/// The positions whose events tell one log from another: the last, and 1, 2, 4, 8, … before it.
pub(super) fn marked(done: Position) -> impl Iterator<Item = Position> {
    let done = done.as_u64();
    let back = std::iter::once(0).chain((0..64).map(|shift| 1u64 << shift));
    back.take_while(move |back| *back < done).map(move |back| Position::new(done - back))
}

/// A hash of what an event says, and of its id: a clock that was put back may give that again.
pub(super) fn mark_of(event: &EventView<'_>) -> u64 {
    let mut hasher = SipHasher13::new();
    hasher.write(&event.id().as_u128().to_le_bytes());
    hasher.write(&event.valid_at().as_micros().to_le_bytes());
    for text in [event.root(), event.key(), event.type_name()] {
        hasher.write(&(text.len() as u64).to_le_bytes());
        hasher.write(text.as_bytes());
    }
    hasher.write(event.payload());
    hasher.finish()
}

impl Head {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend_from_slice(&self.copy.to_le_bytes());
        out.extend_from_slice(&self.code.digest.to_le_bytes());
        out.push(match self.code.sort {
            Sort::Streams => 0,
            Sort::View => 1,
        });
        out.push(match self.code.order {
            FoldOrder::Id => 0,
            FoldOrder::Valid => 1,
        });
        out.push(u8::from(self.is_complete));
        put(u64::from(self.code.version), &mut out);
        put(self.done.as_u64(), &mut out);
        put_bytes(self.name.as_bytes(), &mut out);
        put(self.marks.len() as u64, &mut out);
        for mark in &self.marks {
            out.extend_from_slice(&mark.to_le_bytes());
        }
        put(self.unplaced.len() as u64, &mut out);
        for position in &self.unplaced {
            put(position.as_u64(), &mut out);
        }
        out
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut bytes = Bytes(bytes);
        let (copy, digest) = (bytes.fixed_u64()?, bytes.fixed_u64()?);
        let sort = match bytes.byte()? {
            0 => Sort::Streams,
            1 => Sort::View,
            2.. => return Err(Malformed),
        };
        let order = match bytes.byte()? {
            0 => FoldOrder::Id,
            1 => FoldOrder::Valid,
            2.. => return Err(Malformed),
        };
        let is_complete = match bytes.byte()? {
            0 => false,
            1 => true,
            2.. => return Err(Malformed),
        };
        let version = bytes.small()?;
        let done = Position::new(bytes.number()?);
        let name = bytes.text()?.to_owned();
        let marks = (0..bytes.count(8)?)
            .map(|_| bytes.fixed_u64())
            .collect::<Result<Vec<_>, Malformed>>()?;
        let unplaced = (0..bytes.count(1)?)
            .map(|_| bytes.number().map(Position::new))
            .collect::<Result<Vec<_>, Malformed>>()?;
        if !bytes.is_empty() || marks.len() != marked(done).count() {
            return Err(Malformed);
        }
        let code = Code { sort, version, order, digest };
        Ok(Self { copy, name, code, is_complete, done, marks, unplaced })
    }
}
