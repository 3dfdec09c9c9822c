//! Which access path answers a query.
//!
//! Cheapest first, whatever else the query asks being decided event by event:
//!
//! | the query names | transaction order | arrival order | valid order |
//! |---|---|---|---|
//! | an event's lineage | its events, collected | collected | collected |
//! | a stream, tags, a cause | postings, intersected | postings, sorted | postings, sorted |
//! | one of many keys or causes, for questions | – | postings, all at once | – |
//! | a version vector | what each log has beyond it | the log | as transaction order, sorted |
//! | a narrow range of valid times | that range, sorted | that range, sorted | that range |
//! | types, a root | their batches | the log | valid-time order |
//! | nothing | all batches | the log | valid-time order |

use std::sync::Arc;

use laterbase_event::{EventId, Position, Timestamp};
use laterbase_index::{Entry, Family, IndexSnapshot, Range};

use super::address::Missing;
use super::batches::Batches;
use super::listed::{Backward, Listed};
use super::postings::{Bounds, Postings};
use super::ties::Ties;
use super::valid::{ByValidTime, first_hlc};
use super::{Candidate, Source, Walk};
use crate::cursor::CursorPlace;
use crate::filter::Filter;
use crate::inner::Inner;
use crate::query::{Direction, Follow, Lineage, Order, Query, TimeRange};
use crate::read::{Access, ReadError};
use crate::terms::{TermHash, TermHasher, valid_order};

/// One moment of this copy: what a query is answered from.
#[derive(Clone)]
pub(crate) struct View {
    pub(crate) snapshot: Arc<IndexSnapshot>,
    pub(crate) access: Arc<Access>,
    pub(crate) hasher: TermHasher,
    /// The last position that can be seen.
    pub(crate) bound: Position,
}

/// Plans the walk of a query. Positions up to and including `after` are left out.
pub(crate) fn plan(view: &View, query: &Query, after: Position) -> Result<Walk, ReadError> {
    plan_filtered(view, query, Filter::new(query, view.bound, after))
}

/// The same under all roots, those that are reserved among them.
pub(crate) fn plan_everywhere(
    view: &View,
    query: &Query,
    after: Position,
) -> Result<Walk, ReadError> {
    let mut filter = Filter::new(query, view.bound, after);
    filter.show_reserved();
    plan_filtered(view, query, filter)
}

fn plan_filtered(view: &View, query: &Query, mut filter: Filter) -> Result<Walk, ReadError> {
    filter.tell_branches(|| view.access.forked())?;
    let mut bounds = bounds_of(query, &filter);
    if let Some(cursor) = query.after {
        narrow(&mut bounds, &mut filter, cursor.place, query.direction);
    }
    let planner = Planner { view, query, filter: &filter, bounds };
    let Some(source) = planner.source()? else {
        return Ok(Walk::through_log(Arc::clone(&view.access), filter, query));
    };
    Ok(Walk::new(source, Arc::clone(&view.access), filter, query))
}

/// The events of any of these terms that a query asks for, in arrival order: one walk for as many
/// terms as are wanted, whatever the query's own order.
#[cfg(feature = "query")]
pub(crate) fn plan_any_of(
    view: &View,
    query: &Query,
    terms: &[TermHash],
) -> Result<Walk, ReadError> {
    let mut filter = Filter::new(query, view.bound, Position::NONE);
    filter.tell_branches(|| view.access.forked())?;
    let bounds = bounds_of(query, &filter);
    let mut ranges: Vec<Range> = terms.iter().map(|term| bounds.term(*term)).collect();
    ranges.sort_unstable_by_key(|range| range.lo);
    let mut positions = Vec::new();
    view.snapshot.each(&ranges, |entry| positions.push(Position::new(entry.position())))?;
    positions.sort_unstable();
    positions.dedup();
    Ok(Walk::over(positions, Arc::clone(&view.access), filter, query))
}

/// A walk through a piece of the log, without any index: what subscriptions follow.
pub(crate) fn plan_scan(
    inner: &Arc<Inner>,
    query: &Query,
    after: Position,
    upto: Position,
) -> Result<Walk, ReadError> {
    let access = Arc::new(Access::new(Arc::clone(inner)));
    let mut filter = Filter::new(query, upto, after);
    filter.tell_branches(|| access.forked())?;
    Ok(Walk::through_log(access, filter, query))
}

/// The part of the index that can hold the answer.
fn bounds_of(query: &Query, filter: &Filter) -> Bounds {
    let tx = filter.tx();
    Bounds {
        after: filter.after,
        upto: filter.bound,
        from_hlc: tx.from.map_or(0, first_hlc),
        until_hlc: tx.until.map_or(u64::MAX, |until| first_hlc(until).saturating_sub(1)),
        direction: query.direction,
    }
}

/// Leaves out what lies before a cursor. The exact place within equal keys is up to the walk.
fn narrow(bounds: &mut Bounds, filter: &mut Filter, place: CursorPlace, direction: Direction) {
    match (place, direction) {
        (CursorPlace::Tx(id), Direction::Forward) => {
            bounds.from_hlc = bounds.from_hlc.max(id.hlc().as_u64());
        }
        (CursorPlace::Tx(id), Direction::Backward) => {
            bounds.until_hlc = bounds.until_hlc.min(id.hlc().as_u64());
        }
        (CursorPlace::Arrival(position), Direction::Forward) => {
            filter.after = filter.after.max(position);
            bounds.after = filter.after;
        }
        (CursorPlace::Arrival(position), Direction::Backward) => {
            let before = Position::new(position.as_u64().saturating_sub(1));
            filter.bound = filter.bound.min(before);
            bounds.upto = filter.bound;
        }
        // The walk begins at the cursor's valid time: see `Planner::valid_range`.
        (CursorPlace::Valid(..), Direction::Forward | Direction::Backward) => {}
    }
}

struct Planner<'a> {
    view: &'a View,
    query: &'a Query,
    filter: &'a Filter,
    bounds: Bounds,
}

impl Planner<'_> {
    /// The source of candidates; `None`: the log itself is the best one.
    fn source(&self) -> Result<Option<Box<dyn Source>>, ReadError> {
        if self.query.order == Order::Arrival
            && self.query.direction == Direction::Forward
            && self.is_unselective()?
        {
            return Ok(None);
        }
        self.indexed().map(Some)
    }

    /// Whether nothing in the query names a part of the log.
    fn is_unselective(&self) -> Result<bool, ReadError> {
        Ok(self.query.lineage.is_none()
            && self.terms().is_empty()
            && self.narrow_valid_range()?.is_none())
    }

    fn indexed(&self) -> Result<Box<dyn Source>, ReadError> {
        if let Some(lineage) = self.query.lineage {
            return self.listed(self.lineage(lineage)?);
        }
        let terms = self.terms();
        if !terms.is_empty() {
            let postings = Postings::open(&self.view.snapshot, &terms, &self.bounds)?;
            return self.in_order(Box::new(postings));
        }
        match self.query.order {
            Order::Valid if self.query.unknown_to.is_none() => self.by_valid_time(),
            Order::Valid => self.in_order(self.by_transaction()?),
            Order::Tx => match self.narrow_valid_range()? {
                Some(candidates) => self.listed(candidates),
                None => self.in_order(self.by_transaction()?),
            },
            Order::Arrival => match self.narrow_valid_range()? {
                Some(candidates) => self.listed(candidates),
                None => Ok(Box::new(Backward::new(self.bounds.after, self.bounds.upto))),
            },
        }
    }

    /// The terms that every event of the answer has.
    fn terms(&self) -> Vec<Vec<TermHash>> {
        let hasher = &self.view.hasher;
        let mut terms = Vec::new();
        if let (Some(root), Some(key)) = (&self.query.root, &self.query.key) {
            terms.push(vec![hasher.stream(root.as_str(), key.as_str())]);
        }
        for tag in &self.query.tags {
            let (root, key) = (tag.root.as_str(), tag.key.as_str());
            terms.push(vec![hasher.stream(root, key), hasher.tag(root, key)]);
        }
        terms.extend(self.query.caused_by.map(|cause| vec![hasher.cause(cause)]));
        terms
    }

    /// Whole batches, or what a version vector lacks, in transaction order.
    fn by_transaction(&self) -> Result<Box<dyn Source>, ReadError> {
        let (snapshot, access) = (&self.view.snapshot, Arc::clone(&self.view.access));
        if self.query.direction == Direction::Forward
            && let Some(vector) = &self.query.unknown_to
        {
            let logs = access.logs_beyond(vector, self.query.root.as_ref(), &self.view.hasher)?;
            return Ok(Box::new(Missing::open(snapshot, access, logs, self.bounds.upto)?));
        }
        let hasher = &self.view.hasher;
        let types: Vec<TermHash> =
            self.query.types.iter().map(|name| hasher.type_name(name.as_str())).collect();
        let root = self.query.root.as_ref().map(|root| hasher.root(root.as_str()));
        let batches = match (root, types.is_empty()) {
            (None, true) => Batches::all(snapshot, access, self.bounds)?,
            (Some(root), true) => Batches::with_any(snapshot, access, &[root], self.bounds)?,
            (None, false) => Batches::with_any(snapshot, access, &types, self.bounds)?,
            (Some(root), false) => {
                let rarest = if self.batches_of(&[root])? < self.batches_of(&types)? {
                    vec![root]
                } else {
                    types
                };
                Batches::with_any(snapshot, access, &rarest, self.bounds)?
            }
        };
        Ok(Box::new(batches))
    }

    fn batches_of(&self, terms: &[TermHash]) -> Result<u64, ReadError> {
        let mut batches = 0;
        for term in terms {
            let range = Range::term(Family::Posting, term.high).with_extra(term.extra);
            batches += self.view.snapshot.count(&range)?;
        }
        Ok(batches)
    }

    fn by_valid_time(&self) -> Result<Box<dyn Source>, ReadError> {
        let access = Arc::clone(&self.view.access);
        let range = self.valid_range();
        let walk = ByValidTime::open(&self.view.snapshot, access, &range, &self.bounds)?;
        Ok(self.with_ties(Box::new(walk)))
    }

    /// The valid times of the answer, from the cursor on.
    fn valid_range(&self) -> TimeRange {
        let mut range = self.query.valid;
        if let Some(CursorPlace::Valid(at, _)) = self.query.after.map(|cursor| cursor.place) {
            match self.query.direction {
                Direction::Forward => range.from = Some(range.from.map_or(at, |from| from.max(at))),
                Direction::Backward => {
                    let until = Timestamp::from_micros(at.as_micros().saturating_add(1));
                    range.until = Some(range.until.map_or(until, |bound| bound.min(until)));
                }
            }
        }
        range
    }

    /// The events of a range of valid times, if that is a small part of all.
    fn narrow_valid_range(&self) -> Result<Option<Vec<Candidate>>, ReadError> {
        let valid = self.query.valid;
        if valid.is_open() || self.query.unknown_to.is_some() {
            return Ok(None);
        }
        let candidates_max = self.bounds.upto.as_u64() / 4;
        let lo = valid.from.map_or(0, valid_order);
        let hi = valid.until.map_or(u64::MAX, |until| valid_order(until).saturating_sub(1));
        let range = Range::new(Family::Valid, Entry::floor(lo, 0), Entry::ceiling(hi, u64::MAX));
        if self.view.snapshot.count(&range)? > candidates_max {
            return Ok(None);
        }
        let access = Arc::clone(&self.view.access);
        let bounds = Bounds { direction: Direction::Forward, ..self.bounds };
        let mut walk = ByValidTime::open(&self.view.snapshot, access, &valid, &bounds)?;
        let mut candidates = Vec::new();
        while let Some(candidate) = walk.next()? {
            let hlc = candidate.key.1;
            if bounds.from_hlc <= hlc && hlc <= bounds.until_hlc {
                candidates.push(Candidate { key: (hlc, 0), ..candidate });
            }
            if candidates.len() as u64 > candidates_max {
                return Ok(None);
            }
        }
        Ok(Some(candidates))
    }

    /// Brings a source in transaction order into the order of the answer.
    fn in_order(&self, source: Box<dyn Source>) -> Result<Box<dyn Source>, ReadError> {
        if self.query.order == Order::Tx {
            return Ok(self.with_ties(source));
        }
        let mut source = source;
        let mut candidates = Vec::new();
        while let Some(candidate) = source.next()? {
            candidates.push(candidate);
        }
        self.listed(candidates)
    }

    /// Sorts candidates in transaction order into the order of the answer.
    fn listed(&self, mut candidates: Vec<Candidate>) -> Result<Box<dyn Source>, ReadError> {
        for candidate in &mut candidates {
            candidate.key = match self.query.order {
                Order::Tx => candidate.key,
                Order::Arrival => (candidate.position.as_u64(), 0),
                Order::Valid => {
                    let valid_at = self.view.access.valid_at(candidate.position)?;
                    (valid_order(valid_at), candidate.key.0)
                }
            };
        }
        Ok(self.with_ties(Box::new(Listed::new(candidates, self.query.direction))))
    }

    fn with_ties(&self, source: Box<dyn Source>) -> Box<dyn Source> {
        Box::new(Ties::new(source, Arc::clone(&self.view.access), self.query.direction))
    }

    /// All causes or effects of an event that can be seen.
    fn lineage(&self, lineage: Lineage) -> Result<Vec<Candidate>, ReadError> {
        let mut seen = std::collections::HashSet::from([lineage.of]);
        let mut found = Vec::new();
        let mut next = vec![lineage.of];
        while let Some(id) = next.pop() {
            for (position, neighbour) in self.neighbours(id, lineage.follow)? {
                if seen.insert(neighbour) {
                    found.push(Candidate::new((neighbour.hlc().as_u64(), 0), position));
                    next.push(neighbour);
                }
            }
        }
        Ok(found)
    }

    /// The visible events one step from an event.
    fn neighbours(
        &self,
        id: EventId,
        follow: Follow,
    ) -> Result<Vec<(Position, EventId)>, ReadError> {
        let (view, filter) = (self.view, self.filter);
        match follow {
            Follow::Causes => {
                let Some(position) = view.access.find(&view.snapshot, id, view.bound)? else {
                    return Ok(Vec::new());
                };
                let Some(cause) = view.access.with_event(position, |event, _| event.cause())?
                else {
                    return Ok(Vec::new());
                };
                let Some(at) = view.access.find(&view.snapshot, cause, view.bound)? else {
                    return Ok(Vec::new());
                };
                let visible =
                    view.access.with_event(at, |event, _| filter.admits_cut(event, at))?;
                Ok(if visible { vec![(at, cause)] } else { Vec::new() })
            }
            Follow::Effects => {
                let term = view.hasher.cause(id);
                let range =
                    Range::term(Family::Posting, term.high).with_extra(term.extra).upto(view.bound);
                let mut cursor = view.snapshot.cursor(&range);
                let mut effects = Vec::new();
                while let Some(entry) = cursor.next()? {
                    let position = Position::new(entry.position());
                    let effect = view.access.with_event(position, |event, _| {
                        let is_effect =
                            event.cause() == Some(id) && filter.admits_cut(event, position);
                        is_effect.then(|| event.id())
                    })?;
                    effects.extend(effect.map(|effect| (position, effect)));
                }
                Ok(effects)
            }
        }
    }
}
