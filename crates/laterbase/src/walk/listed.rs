//! Positions that were collected beforehand: arrival order, and answers that must be sorted whole.

use std::ops::Range;
use std::vec;

use laterbase_event::Position;

use super::{Candidate, Source};
use crate::query::Direction;
use crate::read::ReadError;

/// Candidates from a list that is in order already.
#[derive(Debug)]
pub(crate) struct Listed {
    candidates: vec::IntoIter<Candidate>,
}

impl Listed {
    /// Sorts the candidates into the order of the answer. Of one that both halves of a merge offer
    /// the unconditional offer stays.
    pub(crate) fn new(mut candidates: Vec<Candidate>, direction: Direction) -> Self {
        candidates.sort_unstable_by_key(|candidate| {
            (candidate.key, candidate.position, candidate.default_valid_only)
        });
        candidates.dedup_by_key(|candidate| candidate.position);
        if direction == Direction::Backward {
            candidates.reverse();
        }
        Self { candidates: candidates.into_iter() }
    }
}

impl Source for Listed {
    fn next(&mut self) -> Result<Option<Candidate>, ReadError> {
        Ok(self.candidates.next())
    }
}

/// Every position of a range, newest first.
#[derive(Debug)]
pub(crate) struct Backward {
    positions: Range<u64>,
}

impl Backward {
    /// The positions after `after`, up to and including `upto`.
    pub(crate) fn new(after: Position, upto: Position) -> Self {
        Self { positions: after.as_u64() + 1..upto.as_u64() + 1 }
    }
}

impl Source for Backward {
    fn next(&mut self) -> Result<Option<Candidate>, ReadError> {
        let next = self.positions.next_back();
        Ok(next.map(|position| Candidate::new((position, 0), Position::new(position))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_both_halves_of_a_merge_offer_is_offered_unconditionally() {
        let offer = Candidate::new((7, 0), Position::new(3));
        let half = Candidate { default_valid_only: true, ..offer };
        for candidates in [vec![half, offer], vec![offer, half]] {
            let mut listed = Listed::new(candidates, Direction::Forward);
            assert_eq!(listed.next().ok().flatten(), Some(offer));
            assert_eq!(listed.next().ok().flatten(), None);
        }
    }
}
