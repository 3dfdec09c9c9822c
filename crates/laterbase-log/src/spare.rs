//! Files that wait to become hot segments.
//!
//! A write into blocks that were written before costs the device one flush; into a growing or
//! sparse file it costs the file system's journal another one. So files are filled with zeroes
//! ahead of time, or segments that were sealed are used again. What is left in them never passes
//! for a frame: each use has an epoch of its own.
//!
//! Left out: who makes them (`maintenance`) and who takes them (`activate`).

use crate::segment::Segment;
use std::collections::VecDeque;
use std::sync::Arc;

/// A file to become a hot segment. Its whole length was written before, and it is synced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Spare {
    pub(crate) path: String,
    /// It may hold frames of an earlier life.
    pub(crate) recycled: bool,
}

/// The spare files of a log.
#[derive(Debug, Default)]
pub(crate) struct Spares {
    ready: VecDeque<Spare>,
    next_id: u64,
    /// Files that nothing new will read, and that may be used again when no reader holds them.
    retired: Vec<Arc<Segment>>,
}

impl Spares {
    /// Takes one.
    pub(crate) fn take(&mut self) -> Option<Spare> {
        self.ready.pop_front()
    }

    pub(crate) fn add(&mut self, spare: Spare) {
        self.ready.push_back(spare);
    }

    pub(crate) fn len(&self) -> usize {
        self.ready.len()
    }

    /// A hot segment that a sealed one took the place of.
    pub(crate) fn retire(&mut self, segment: Arc<Segment>) {
        self.retired.push(segment);
    }

    /// All retired segments.
    pub(crate) fn take_retired(&mut self) -> Vec<Arc<Segment>> {
        std::mem::take(&mut self.retired)
    }

    /// A number for the next spare's name.
    pub(crate) fn next_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// A spare with this number was found.
    pub(crate) fn reserve_id(&mut self, id: u64) {
        self.next_id = self.next_id.max(id);
    }
}
