//! Events of different replicas with equal keys, put in the order of their ids.
//!
//! The index has no room for the replica. Two replicas rarely stamp the same HLC, so the few events
//! that share a key are read to learn their ids. In arrival order there are no ties.

use std::collections::VecDeque;
use std::sync::Arc;

use super::{Candidate, Source};
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
        if self.direction == Direction::Backward {
            tied.reverse();
        }
        self.ready.extend(tied.into_iter().map(|(_, candidate)| candidate));
        Ok(())
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
