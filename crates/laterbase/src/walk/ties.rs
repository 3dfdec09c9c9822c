//! Events of different replicas with equal keys, put in the order of their ids.
//!
//! The index has no room for the replica. Two replicas rarely stamp the same HLC, so the few events
//! that share a key are read to learn their ids. In arrival order there are no ties.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::sync::Arc;

use laterbase_event::{EventId, Position};

use super::{Candidate, Source};
use crate::fold::compare_twins;
use crate::query::Direction;
use crate::read::{Access, ReadError};

/// A source whose ties are resolved.
pub(crate) struct Ties {
    source: Box<dyn Source>,
    access: Arc<Access>,
    direction: Direction,
    ready: VecDeque<Candidate>,
    ahead: Option<Candidate>,
    started: bool,
}

impl Ties {
    /// Resolves the ties of `source`.
    pub(crate) fn new(source: Box<dyn Source>, access: Arc<Access>, direction: Direction) -> Self {
        Self { source, access, direction, ready: VecDeque::new(), ahead: None, started: false }
    }

    fn resolve(&mut self) -> Result<(), ReadError> {
        let mut tied = Vec::with_capacity(self.ready.len());
        for candidate in self.ready.drain(..) {
            tied.push((self.access.id(candidate.position)?, candidate));
        }
        tied.sort_by_key(|(id, candidate)| (*id, candidate.position));
        self.resolve_twins(&mut tied)?;
        if self.direction == Direction::Backward {
            tied.reverse();
        }
        self.ready.extend(tied.into_iter().map(|(_, candidate)| candidate));
        Ok(())
    }
}

impl Ties {
    /// Puts events that share an id, as copies of a directory may write them, in an order that is
    /// the same on every replica: by what they say.
    fn resolve_twins(&self, tied: &mut [(EventId, Candidate)]) -> Result<(), ReadError> {
        for end in 1..tied.len() {
            // Few, and nearly always none: sorted by insertion.
            for at in (1..=end).rev() {
                let Some([(id_before, before), (id, twin)]) = tied.get(at - 1..=at) else { break };
                if id_before != id || self.compare(before.position, twin.position)?.is_le() {
                    break;
                }
                tied.swap(at - 1, at);
            }
        }
        Ok(())
    }

    fn compare(&self, a: Position, b: Position) -> Result<Ordering, ReadError> {
        self.access.with_event(a, |a, access| access.with_event(b, |b, _| compare_twins(a, b)))?
    }
}

impl Source for Ties {
    fn next(&mut self) -> Result<Option<Candidate>, ReadError> {
        if let Some(candidate) = self.ready.pop_front() {
            return Ok(Some(candidate));
        }
        if !self.started {
            self.ahead = self.source.next()?;
            self.started = true;
        }
        let Some(first) = self.ahead else { return Ok(None) };
        self.ahead = self.source.next()?;
        if self.ahead.is_none_or(|ahead| ahead.key != first.key) {
            return Ok(Some(first));
        }
        self.ready.push_back(first);
        while let Some(tied) = self.ahead.filter(|ahead| ahead.key == first.key) {
            self.ready.push_back(tied);
            self.ahead = self.source.next()?;
        }
        self.resolve()?;
        Ok(self.ready.pop_front())
    }
}
