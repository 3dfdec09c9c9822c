//! The rows of a projection: which there are, and the timelines of those that are in use.
//!
//! A view keeps the timeline of every row, since no index knows which events touch it. An aggregate
//! keeps the timelines of the streams that were asked for last; the index knows the events of all.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use laterbase_event::Position;

use super::config::FoldConfig;
use super::timeline::Timeline;

/// Changes that are remembered in the order in which they came.
const CHANGES_MAX: usize = 16 * 1024;

/// One row.
#[derive(Debug)]
pub(crate) struct Row<S> {
    /// The first event that touches it to arrive.
    pub(crate) first: Position,
    /// The last of them to arrive.
    pub(crate) last: Position,
    pub(crate) timeline: Option<Timeline<S>>,
    /// When it was last asked for, in calls.
    used: u64,
}

/// What of a row is known without its timeline.
#[derive(Debug, Clone)]
pub(crate) struct Outlined {
    pub(crate) key: Arc<str>,
    pub(crate) first: Position,
    pub(crate) last: Position,
}

impl<S> Row<S> {
    /// What was kept.
    pub(crate) fn kept(first: Position, last: Position, timeline: Option<Timeline<S>>) -> Self {
        Self { first, last, timeline, used: 0 }
    }
}

/// The rows of a projection, up to a position.
#[derive(Debug)]
pub(crate) struct Rows<S> {
    /// Every event up to here was taken note of.
    pub(crate) done: Position,
    by_key: BTreeMap<Arc<str>, Row<S>>,
    /// Rows that changed, by the arrival that changed them; the oldest are forgotten.
    changes: VecDeque<(Position, Arc<str>)>,
    /// Changes up to here are forgotten.
    changes_after: Position,
    calls: u64,
    /// Timelines, and the places in them, where these are counted.
    loaded: usize,
    places: usize,
}

impl<S: Clone + Default> Rows<S> {
    pub(crate) fn new() -> Self {
        Self {
            done: Position::NONE,
            by_key: BTreeMap::new(),
            changes: VecDeque::new(),
            changes_after: Position::NONE,
            calls: 0,
            loaded: 0,
            places: 0,
        }
    }

    /// What was kept, in key order, up to a position. What changed before is forgotten.
    pub(crate) fn of_kept(done: Position, by_key: Vec<(Arc<str>, Row<S>)>) -> Self {
        let timelines = by_key.iter().filter_map(|(_, row)| row.timeline.as_ref());
        let (loaded, places) = timelines.fold((0, 0), |(loaded, places), timeline| {
            (loaded + 1, places + timeline.places().len())
        });
        let by_key = by_key.into_iter().collect();
        Self { done, by_key, changes_after: done, loaded, places, ..Self::new() }
    }

    /// All rows in key order, without their timelines.
    pub(crate) fn outline(&self) -> Vec<Outlined> {
        let rows = self.by_key.iter();
        rows.map(|(key, row)| Outlined { key: Arc::clone(key), first: row.first, last: row.last })
            .collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.by_key.len()
    }

    /// The row of a key, which is made if it is new, after an event arrived for it.
    pub(crate) fn touch(&mut self, key: &str, position: Position) -> &mut Row<S> {
        let key = match self.by_key.get_key_value(key) {
            Some((key, _)) => Arc::clone(key),
            None => Arc::from(key),
        };
        self.changes.push_back((position, Arc::clone(&key)));
        if self.changes.len() > CHANGES_MAX
            && let Some((forgotten, _)) = self.changes.pop_front()
        {
            self.changes_after = forgotten;
        }
        let row = self.by_key.entry(key).or_insert_with(|| Row {
            first: position,
            last: position,
            timeline: None,
            used: 0,
        });
        row.last = position;
        row
    }

    /// The row of a key, to be read.
    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut Row<S>> {
        self.calls += 1;
        let row = self.by_key.get_mut(key)?;
        row.used = self.calls;
        Some(row)
    }

    /// The row of a key, which nobody asked for.
    pub(crate) fn peek_mut(&mut self, key: &str) -> Option<&mut Row<S>> {
        self.by_key.get_mut(key)
    }

    /// The next row in key order that was there at a position.
    pub(crate) fn next_key(
        &self,
        from: Bound<&str>,
        until: Option<&str>,
        bound: Position,
    ) -> Option<Arc<str>> {
        self.by_key
            .range::<str, _>((from, Bound::Unbounded))
            .take_while(|(key, _)| until.is_none_or(|until| key.as_ref() < until))
            .find(|(_, row)| row.first <= bound)
            .map(|(key, _)| Arc::clone(key))
    }

    /// The rows that events after a position and up to another one touched, by their last such
    /// arrival, and up to where they are complete.
    pub(crate) fn changed(
        &self,
        after: Position,
        upto: Position,
        limit: usize,
    ) -> (Vec<(Position, Arc<str>)>, Position) {
        let mut latest: BTreeMap<Arc<str>, Position> = BTreeMap::new();
        let mut note = |key: &Arc<str>, position: Position| {
            let last = latest.entry(Arc::clone(key)).or_insert(position);
            *last = (*last).max(position);
        };
        if after >= self.changes_after {
            let from = self.changes.partition_point(|(position, _)| *position <= after);
            let within = |change: &&(Position, Arc<str>)| change.0 <= upto;
            self.changes.range(from..).take_while(within).for_each(|(at, key)| note(key, *at));
        } else {
            // Whether one that changed behind `upto` changed before it as well is forgotten: it is
            // told of once its last change is at hand, with the state after that.
            let changed = self.by_key.iter().filter(|(_, row)| row.last > after);
            let told = changed.filter(|(_, row)| row.last <= upto);
            told.for_each(|(key, row)| note(key, row.last));
        }
        let mut changed: Vec<_> = latest.into_iter().map(|(key, at)| (at, key)).collect();
        changed.sort_unstable();
        let complete_to = match changed.get(limit) {
            // All that one arrival changed is told of together.
            Some((next, _)) => {
                let next = *next;
                let keep = changed.partition_point(|(at, _)| *at < next);
                if keep == 0 {
                    changed.retain(|(at, _)| *at == next);
                    next
                } else {
                    changed.truncate(keep);
                    changed.last().map_or(after, |(at, _)| *at)
                }
            }
            None => upto,
        };
        (changed, complete_to)
    }

    /// Counts a timeline that was loaded, with its places.
    pub(crate) fn count_loaded(&mut self, places: usize) {
        self.loaded += 1;
        self.places += places;
    }

    /// Counts a place that came to a timeline.
    pub(crate) fn count_place(&mut self) {
        self.places += 1;
    }

    /// Drops the timelines of streams that were not asked for in a long time, once there are more
    /// than twice as many as may be kept, of streams or of places.
    pub(crate) fn trim(&mut self, config: FoldConfig) {
        let FoldConfig { streams_max, places_max, .. } = config;
        if self.loaded <= streams_max.saturating_mul(2)
            && self.places <= places_max.saturating_mul(2)
        {
            return;
        }
        let mut rows: Vec<&mut Row<S>> =
            self.by_key.values_mut().filter(|row| row.timeline.is_some()).collect();
        rows.sort_unstable_by_key(|row| Reverse(row.used));
        (self.loaded, self.places) = (0, 0);
        for row in rows {
            let Some(timeline) = &mut row.timeline else { continue };
            let left = places_max.saturating_sub(self.places);
            let is_first = self.loaded == 0;
            if is_first {
                timeline.leave_out(left);
            }
            if is_first || (self.loaded < streams_max && timeline.places().len() <= left) {
                self.loaded += 1;
                self.places += timeline.places().len();
            } else {
                row.timeline = None;
            }
        }
    }
}
