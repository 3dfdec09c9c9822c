//! The events of one row in fold order, and states along the way.
//!
//! ```text
//!   events   1 ─ 2 ─ 3 ─ … ─ 900 ─ … ─ 985 ─ … ─ 996 ─ … ─ 1000
//!   states                    ▲         ▲         ▲          ▲     after so many events
//! ```
//! The newest state is the last of these points. An event that comes late is put in its place and
//! every point behind it goes; the state is made anew from the last point before it, when somebody
//! asks, so that a thousand late events cost one such run.
//!
//! **Cost.** Points stand at most `max(GAP, d / 8)` events apart where `d` is the distance to the
//! end. So an event that comes `d` events late costs at most `d + max(GAP, d / 8)` steps, within an
//! eighth of the least, however long the stream; and there are about `8 ln(n / 16)` points, not
//! `n / 256`: 90 for a million events.
//!
//! **The past.** A point knows the last arrival and the latest valid time among its events. What
//! was known at an arrival, or was so at a valid time, contains a point exactly if these do not
//! lie behind it: everything before the point belongs to the cut, and nothing else of the cut comes
//! before the point. So the past is answered from the newest such point on.
//!
//! Invariant: points are ascending in `count`, each the fold of exactly the first `count` events,
//! and neither a point nor the floor stands between two events of one id.
//! Left out: reading events, which `source` does, and where the first ones are once there are many.

use std::cmp::Ordering;
use std::ops::ControlFlow;

use laterbase_event::{EventView, Position, Timestamp};
use laterbase_sync::mutant::{self, Mutant};

use super::aggregate::FoldOrder;
use super::apply::Failure;
use super::place::Place;

/// How far apart points stand near the end.
const GAP: u64 = 16;

/// A share of the distance to the end by which points may stand apart.
const SHARE: u64 = 8;

/// The fold of the first `count` events.
#[derive(Debug, Clone)]
pub(crate) struct Point<S> {
    pub(crate) count: u64,
    /// The last of these events.
    pub(crate) last: Option<Place>,
    /// The last of them to arrive.
    pub(crate) position_max: Position,
    /// The latest valid time among them.
    pub(crate) valid_max: Timestamp,
    pub(crate) state: S,
}

impl<S: Default> Point<S> {
    fn start() -> Self {
        Self {
            count: 0,
            last: None,
            position_max: Position::NONE,
            valid_max: Timestamp::from_micros(i64::MIN),
            state: S::default(),
        }
    }
}

impl<S> Point<S> {
    fn take_in(&mut self, place: Place) {
        self.count += 1;
        self.last = Some(place);
        self.position_max = self.position_max.max(place.position);
        self.valid_max = self.valid_max.max(place.valid_at);
    }
}

/// The events of one row in fold order, and states along the way.
#[derive(Debug)]
pub(crate) struct Timeline<S> {
    order: FoldOrder,
    /// Events that are left to the index to know: they come before all places.
    left_out: u64,
    /// The last of these.
    floor: Option<Place>,
    places: Vec<Place>,
    points: Vec<Point<S>>,
    /// Points after the last thinning.
    thinned: usize,
    /// The fold stops before the event of this number.
    failure: Option<(u64, Failure)>,
    /// A late event took states away, which were not made anew yet.
    is_cut: bool,
}

/// What belongs to a past.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Past {
    /// What had arrived by here.
    pub(crate) bound: Position,
    /// What had happened by then; `None`: whenever it happened.
    pub(crate) valid_at: Option<Timestamp>,
}

impl Past {
    pub(crate) fn includes(&self, place: &Place) -> bool {
        place.position <= self.bound && self.valid_at.is_none_or(|at| place.valid_at <= at)
    }
}

/// A state of the past and of how many events it is made, if of any.
pub(crate) type PastState<S> = Result<Option<(S, u64)>, Failure>;

/// Hands out the events of a row in fold order.
pub(crate) trait RowEvents {
    /// What keeps events from being read.
    type Error;

    /// Hands out those of `places` after an event, until `take` breaks. `left_out` events that
    /// are not among the places come before them, up to and including `floor`.
    fn walk(
        &mut self,
        after: Option<Place>,
        floor: Option<Place>,
        places: &[Place],
        take: impl FnMut(&EventView<'_>, Place) -> ControlFlow<()>,
    ) -> Result<(), Self::Error>;
}

/// A fold's `apply` for one row, with its failures caught.
pub(crate) trait Step<S> {
    fn step(&mut self, state: &mut S, event: &EventView<'_>) -> Result<(), Failure>;
}

impl<S, F: FnMut(&mut S, &EventView<'_>) -> Result<(), Failure>> Step<S> for F {
    fn step(&mut self, state: &mut S, event: &EventView<'_>) -> Result<(), Failure> {
        self(state, event)
    }
}

impl<S: Clone + Default> Timeline<S> {
    pub(crate) fn new(order: FoldOrder) -> Self {
        Self {
            order,
            left_out: 0,
            floor: None,
            places: Vec::new(),
            points: Vec::new(),
            thinned: 0,
            failure: None,
            is_cut: false,
        }
    }

    /// What was kept: the events that it says, and states of them.
    pub(crate) fn of_kept(
        order: FoldOrder,
        left_out: u64,
        floor: Option<Place>,
        places: Vec<Place>,
        points: Vec<Point<S>>,
    ) -> Self {
        let thinned = points.len();
        Self { left_out, floor, places, points, thinned, ..Self::new(order) }
    }

    /// How many events there are.
    pub(crate) fn count(&self) -> u64 {
        self.left_out + self.places.len() as u64
    }

    pub(crate) fn places(&self) -> &[Place] {
        &self.places
    }

    pub(crate) fn floor(&self) -> Option<Place> {
        self.floor
    }

    /// How many events come before all places.
    pub(crate) fn left_out(&self) -> u64 {
        self.left_out
    }

    /// The states that there are.
    pub(crate) fn points(&self) -> &[Point<S>] {
        &self.points
    }

    /// The newest state, if it holds every event.
    pub(crate) fn current(&self) -> Option<&S> {
        let last = self.points.last()?;
        (last.count == self.count()).then_some(&last.state)
    }

    /// Why the newest state cannot be had.
    pub(crate) fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref().map(|(_, failure)| failure)
    }

    /// Puts an event in its place. `twins` tells which of two events of one id comes first.
    pub(crate) fn insert<E>(
        &mut self,
        place: Place,
        mut twins: impl FnMut(Position, Position) -> Result<Ordering, E>,
    ) -> Result<(), E> {
        let order = self.order;
        if self.floor.is_some_and(|floor| order.compare(&place, &floor) != Ordering::Greater) {
            self.left_out += 1;
            // Those that share its id go too: who of them comes first is not known here.
            self.forget_from(|last| order.compare(last, &place) != Ordering::Less);
            return Ok(());
        }
        let is_last = self.places.last().is_none_or(|last| order.compare(last, &place).is_lt());
        let mut index = self.places.len();
        if !is_last {
            index = self.places.partition_point(|other| order.compare(other, &place).is_lt());
            while let Some(other) = self.places.get(index)
                && order.compare(other, &place) == Ordering::Equal
            {
                if other.position == place.position {
                    // Taken note of before what followed could not be read.
                    return Ok(());
                }
                if twins(other.position, place.position)? == Ordering::Greater {
                    break;
                }
                index += 1;
            }
        }
        self.places.insert(index, place);
        let before = self.left_out + index as u64;
        if is_last {
            return Ok(());
        }
        if mutant::is_active(Mutant::ForgetToRebase) {
            // The states behind it pretend to hold it.
            let behind = self.points.iter_mut().filter(|point| point.count > before);
            behind.for_each(|point| point.count += 1);
            return Ok(());
        }
        // Nor may a point end with one that shares its id: what reads on from there leaves it out.
        while self.points.last().is_some_and(|point| {
            let is_twin = |last: &Place| order.compare(last, &place) == Ordering::Equal;
            point.count > before || point.last.as_ref().is_some_and(is_twin)
        }) {
            self.points.pop();
            self.is_cut = true;
        }
        if self.failure.as_ref().is_some_and(|(count, _)| *count >= before) {
            self.failure = None;
        }
        Ok(())
    }

    /// Takes an event in that comes behind all others, as it is at hand. Does nothing if the
    /// newest state is behind anyway.
    pub(crate) fn apply_last(&mut self, event: &EventView<'_>, step: &mut impl Step<S>) {
        let count = self.count();
        let Some(place) = self.places.last().copied() else { return };
        let newest = self.points.last().map_or(0, |point| point.count);
        if newest + 1 != count || self.failure.is_some() {
            return;
        }
        if newest.is_multiple_of(GAP) {
            let next = self.points.last().cloned().unwrap_or_else(Point::start);
            self.points.push(next);
        }
        let Some(point) = self.points.last_mut() else { return };
        if let Err(failure) = step.step(&mut point.state, event) {
            self.points.pop();
            self.failure = Some((newest, failure));
            return;
        }
        point.take_in(place);
        self.thin();
    }

    /// Makes the newest state hold every event; `true` if a late event had taken states away.
    pub(crate) fn settle<R: RowEvents>(
        &mut self,
        source: &mut R,
        step: &mut impl Step<S>,
    ) -> Result<bool, R::Error> {
        if self.failure.is_some() || self.current().is_some() || self.count() == 0 {
            return Ok(false);
        }
        let total = self.count();
        let mut point = self.points.last().cloned().unwrap_or_else(Point::start);
        let mut next = point.count + gap_at(total - point.count);
        let (points, failure) = (&mut self.points, &mut self.failure);
        let after = point.last;
        source.walk(after, self.floor, &self.places, |event, place| {
            if let Some(kept) = points.last().and_then(|point| point.last)
                && kept.id == place.id
                && point.last.is_some_and(|last| last.id == place.id)
            {
                // No point between two events of one id: an index cannot go on between them.
                points.pop();
            }
            if let Err(reason) = step.step(&mut point.state, event) {
                *failure = Some((point.count, reason));
                return ControlFlow::Break(());
            }
            point.take_in(place);
            if point.count >= next && point.count < total {
                points.push(point.clone());
                next = point.count + gap_at(total - point.count);
            }
            ControlFlow::Continue(())
        })?;
        if self.failure.is_none() {
            self.points.push(point);
        }
        self.thin();
        Ok(std::mem::take(&mut self.is_cut))
    }

    /// The state of a past, and of how many events it is made; `None` for none.
    pub(crate) fn past<R: RowEvents>(
        &self,
        past: Past,
        source: &mut R,
        step: &mut impl Step<S>,
    ) -> Result<PastState<S>, R::Error> {
        let within = |point: &Point<S>| {
            mutant::is_active(Mutant::MixTimes)
                || point.position_max <= past.bound
                    && past.valid_at.is_none_or(|at| point.valid_max <= at)
        };
        let from = self.points.partition_point(within);
        let mut point = from
            .checked_sub(1)
            .and_then(|at| self.points.get(at))
            .map_or_else(Point::start, Clone::clone);
        let mut failed = None;
        source.walk(point.last, self.floor, &self.places, |event, place| {
            if past.includes(&place) {
                if let Err(failure) = step.step(&mut point.state, event) {
                    failed = Some(failure);
                    return ControlFlow::Break(());
                }
                point.count += 1;
            }
            ControlFlow::Continue(())
        })?;
        if let Some(failure) = failed {
            return Ok(Err(failure));
        }
        Ok(Ok((point.count > 0).then_some((point.state, point.count))))
    }

    /// Leaves all but the last `keep` events to the index, and those that share an id with what is
    /// left out.
    pub(crate) fn leave_out(&mut self, keep: usize) {
        let order = self.order;
        let surplus = self.places.len().saturating_sub(keep);
        let Some(floor) = surplus.checked_sub(1).and_then(|at| self.places.get(at)).copied() else {
            return;
        };
        let end = self.places.partition_point(|place| order.compare(place, &floor).is_le());
        self.floor = self.places.drain(..end).next_back();
        self.left_out += end as u64;
    }

    fn forget_from(&mut self, is_behind: impl Fn(&Place) -> bool) {
        while self.points.last().is_some_and(|point| point.last.as_ref().is_some_and(&is_behind)) {
            self.points.pop();
            self.is_cut = true;
        }
        self.failure = None;
    }

    /// Drops points that stand closer than they must. Done when they have doubled, so that it
    /// costs a few steps per event.
    fn thin(&mut self) {
        if self.points.len() < 2 * self.thinned + 8 {
            return;
        }
        let total = self.count();
        let mut kept: Vec<Point<S>> = Vec::with_capacity(self.points.len() / 2);
        let mut rest = std::mem::take(&mut self.points).into_iter().rev().peekable();
        while let Some(point) = rest.next() {
            let needless = kept.last().is_some_and(|newer| {
                let gap = gap_at(total.saturating_sub(newer.count));
                let older = rest.peek().map_or(0, |older| older.count);
                newer.count - older <= gap
            });
            if !needless {
                kept.push(point);
            }
        }
        kept.reverse();
        self.points = kept;
        self.thinned = self.points.len();
    }
}

/// How far apart points may stand at a distance from the end.
fn gap_at(distance: u64) -> u64 {
    GAP.max(distance / SHARE)
}
