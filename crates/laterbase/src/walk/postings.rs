//! Events by term: streams, tags, causes, idempotency keys.
//!
//! A [`Term`] is a union of hashed terms: a tag `truck:7` is carried by the stream `truck/7` too.
//! Several terms are intersected by leapfrog: each in turn is sought to the place of the furthest,
//! so that the cost follows the rarest of them.

use std::sync::Arc;

use laterbase_event::Position;
use laterbase_index::{Cursor, Entry, Family, IndexSnapshot, Range};

use super::{Candidate, Source};
use crate::query::Direction;
use crate::read::ReadError;
use crate::terms::TermHash;

/// What part of the index a walk looks at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Only positions after this one.
    pub(crate) after: Position,
    /// Only positions up to this one.
    pub(crate) upto: Position,
    /// The first HLC.
    pub(crate) from_hlc: u64,
    /// The last HLC.
    pub(crate) until_hlc: u64,
    pub(crate) direction: Direction,
}

impl Bounds {
    /// The index range of one hashed term.
    pub(crate) fn term(&self, term: TermHash) -> Range {
        let lo = Entry::floor(term.high, self.from_hlc);
        let hi = Entry::ceiling(term.high, self.until_hlc);
        let range = Range::new(Family::Posting, lo, hi)
            .with_extra(term.extra)
            .after(self.after)
            .upto(self.upto);
        match self.direction {
            Direction::Forward => range,
            Direction::Backward => range.descending(),
        }
    }
}

/// One place in the order of a term.
type Place = (u64, Position);

/// A union of hashed terms, in HLC order.
struct Term {
    cursors: Vec<(TermHash, Cursor, Option<Place>)>,
    direction: Direction,
}

impl Term {
    fn open(
        snapshot: &Arc<IndexSnapshot>,
        hashes: &[TermHash],
        bounds: &Bounds,
    ) -> Result<Self, ReadError> {
        let mut cursors = Vec::with_capacity(hashes.len());
        for &hash in hashes {
            let mut cursor = snapshot.cursor(&bounds.term(hash));
            let place = next_place(&mut cursor)?;
            cursors.push((hash, cursor, place));
        }
        Ok(Self { cursors, direction: bounds.direction })
    }

    fn peek(&self) -> Option<Place> {
        let places = self.cursors.iter().filter_map(|(_, _, place)| *place);
        match self.direction {
            Direction::Forward => places.min(),
            Direction::Backward => places.max(),
        }
    }

    /// Leaves every place that comes before `to`, and `to` itself if `beyond`.
    fn skip(&mut self, to: Place, beyond: bool) -> Result<(), ReadError> {
        for (hash, cursor, place) in &mut self.cursors {
            let is_behind = |place: Place| match self.direction {
                Direction::Forward => place < to || (beyond && place == to),
                Direction::Backward => place > to || (beyond && place == to),
            };
            if place.is_some_and(is_behind) {
                let extra = hash.extra;
                cursor.seek(Entry::new(hash.high, to.0, extra, to.1.as_u64()))?;
                *place = next_place(cursor)?;
                while place.is_some_and(is_behind) {
                    *place = next_place(cursor)?;
                }
            }
        }
        Ok(())
    }
}

fn next_place(cursor: &mut Cursor) -> Result<Option<Place>, ReadError> {
    Ok(cursor.next()?.map(|entry| (entry.b, Position::new(entry.position()))))
}

/// The events that carry all of several terms, in HLC order.
pub(crate) struct Postings {
    terms: Vec<Term>,
    direction: Direction,
}

impl Postings {
    /// Opens a walk over the events that have a term of each of `terms`.
    pub(crate) fn open(
        snapshot: &Arc<IndexSnapshot>,
        terms: &[Vec<TermHash>],
        bounds: &Bounds,
    ) -> Result<Self, ReadError> {
        let terms = terms
            .iter()
            .map(|hashes| Term::open(snapshot, hashes, bounds))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self { terms, direction: bounds.direction })
    }
}

impl Source for Postings {
    fn next(&mut self) -> Result<Option<Candidate>, ReadError> {
        loop {
            let mut furthest: Option<Place> = None;
            let mut agree = true;
            for term in &self.terms {
                let Some(place) = term.peek() else { return Ok(None) };
                agree &= furthest.is_none_or(|known| known == place);
                furthest = Some(match (furthest, self.direction) {
                    (None, _) => place,
                    (Some(known), Direction::Forward) => known.max(place),
                    (Some(known), Direction::Backward) => known.min(place),
                });
            }
            let Some(place) = furthest else { return Ok(None) };
            for term in &mut self.terms {
                term.skip(place, agree)?;
            }
            if agree {
                return Ok(Some(Candidate::new((place.0, 0), place.1)));
            }
        }
    }
}
