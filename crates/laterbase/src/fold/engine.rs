//! The rows of one fold over one database, and how they come to hold what has arrived.
//!
//! ```text
//!   log ─▶ catch up (arrival order) ─▶ rows: which there are, where their events stand
//!                                        └─▶ timeline ─▶ state        when asked, or at once
//! ```
//! Whoever reads first takes note of what has arrived since, up to what is visible, and so reads
//! its own writes. An event at the end of a row that is up to date is applied as it passes; one
//! that comes late is put in its place, and the row folds again from the last point before it when
//! it is next asked for.
//!
//! An engine holds no handle of the database, so that a thread which works on its rows keeps no
//! database open.

use std::ops::{Bound, ControlFlow};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use laterbase_event::{EventView, Key, Position};

use super::aggregate::Fold;
use super::apply::{Failure, apply, rows_of};
use super::keep::Keeping;
use super::moment::{Moment, Resolved};
use super::page::{Changed, Changes, Folded, Keyed, Page, PageCursor, PageRequest};
use super::place::{Place, compare_twins};
use super::projection::FoldError;
use super::rows::{Row, Rows};
use super::source::Source;
use super::timeline::{Past, RowEvents as _, Timeline};
use super::upcast::Upcasters;
use crate::cursor::{Cursor, CursorError, CursorPlace};
use crate::inner::{Inner, lock};
use crate::read::ReadError;
use crate::walk::plan_scan;

/// Positions that are taken note of under one lock.
const CHUNK: u64 = 16 * 1024;

/// Rows of a page if the request does not say.
const PAGE_DEFAULT: usize = 100;

/// Rows that one page looks at beside those that it answers with.
const LOOK_MAX: usize = 10_000;

/// Failures that are remembered where no row can tell them.
const UNPLACED_MAX: usize = 100;

/// The rows of one fold, and what makes them.
pub(crate) struct Engine<F: Fold> {
    pub(super) inner: Arc<Inner>,
    pub(super) fold: F,
    pub(super) rows: Mutex<Rows<F::State>>,
    /// How far the rows had come, for who does not want to wait until they are free.
    noted: AtomicU64,
    /// How often a row was folded again for events that came late.
    pub(super) rebased: AtomicU64,
    /// Events whose rows the fold could not name.
    pub(super) unplaced: Mutex<Vec<(Position, Failure)>>,
    /// Set if the rows are kept on disk.
    pub(super) keeping: OnceLock<Keeping<F::State>>,
}

impl<F: Fold> Engine<F> {
    pub(super) fn new(inner: Arc<Inner>, fold: F) -> Self {
        Self {
            inner,
            fold,
            rows: Mutex::new(Rows::new()),
            noted: AtomicU64::new(0),
            rebased: AtomicU64::new(0),
            unplaced: Mutex::default(),
            keeping: OnceLock::new(),
        }
    }

    pub(super) fn get_at(
        &self,
        key: &str,
        moment: &Moment,
    ) -> Result<Option<Folded<F::State>>, FoldError> {
        let resolved = moment.resolve(&self.inner)?;
        self.catch_up_to(resolved.bound)?;
        self.read(key, &resolved)
    }

    pub(super) fn page(&self, request: &PageRequest) -> Result<Page<F::State>, FoldError> {
        let inner = &self.inner;
        let mut resolved = request.moment.resolve(inner)?;
        let mut last: Option<Arc<str>> = None;
        if let Some(cursor) = &request.after {
            resolved.bound = resolved.bound.min(self.bound_of(cursor)?);
            last = Some(Arc::from(cursor.after.as_str()));
        }
        self.catch_up_to(resolved.bound)?;
        let limit = if request.limit == 0 { PAGE_DEFAULT } else { request.limit };
        let mut page = Page::empty(self.arrival_cursor(resolved.bound), resolved.bound);
        for _ in 0..limit.saturating_add(LOOK_MAX) {
            let from = match (&last, &request.from) {
                (Some(last), Some(from)) if **last < **from => Bound::Included(from.as_str()),
                (Some(last), _) => Bound::Excluded(last.as_ref()),
                (None, Some(from)) => Bound::Included(from.as_str()),
                (None, None) => Bound::Unbounded,
            };
            let until = request.until.as_deref();
            let Some(key) = lock(&self.rows).next_key(from, until, resolved.bound) else {
                return Ok(page);
            };
            if page.rows.len() == limit {
                break;
            }
            let row = match self.read(&key, &resolved) {
                Ok(None) => None,
                Ok(Some(folded)) => Some(Ok(folded)),
                Err(FoldError::Apply(failure)) => Some(Err(failure)),
                Err(error) => return Err(error),
            };
            page.rows.extend(row.map(|row| Keyed { key: Arc::clone(&key), row }));
            last = Some(key);
        }
        page.next = last.map(|last| PageCursor {
            copy: inner.copy,
            bound: resolved.bound,
            after: last.as_ref().to_owned(),
        });
        Ok(page)
    }

    pub(super) fn changes(
        &self,
        after: &Cursor,
        limit: usize,
    ) -> Result<Changes<F::State>, FoldError> {
        let inner = &self.inner;
        let flushed = inner.progress.flushed();
        let after = inner.arrival_of(after, inner.progress.visible())?;
        if after >= flushed {
            return Ok(Changes { rows: Vec::new(), cursor: self.arrival_cursor(after) });
        }
        self.catch_up_to(flushed)?;
        let (changed, told_to) = lock(&self.rows).changed(after, flushed, limit.max(1));
        let mut rows = Vec::with_capacity(changed.len());
        for (position, key) in changed {
            let row = match self.read(&key, &Resolved::at(told_to.max(position))) {
                Ok(row) => Ok(row),
                Err(FoldError::Apply(failure)) => Err(failure),
                Err(error) => return Err(error),
            };
            let event = inner.with_event(position, |event| event.id()).ok();
            rows.push(Changed { key, row, cursor: self.arrival_cursor(position), event });
        }
        Ok(Changes { rows, cursor: self.arrival_cursor(told_to) })
    }

    pub(super) fn catch_up(&self) -> Result<(), FoldError> {
        self.catch_up_to(self.inner.progress.visible())
    }

    /// How far the rows have come. Waits for nobody.
    pub(super) fn noted(&self) -> Position {
        Position::new(self.noted.load(Ordering::Relaxed))
    }

    pub(super) fn lag(&self) -> u64 {
        self.inner.progress.visible().as_u64().saturating_sub(self.noted().as_u64())
    }

    pub(super) fn rebased(&self) -> u64 {
        self.rebased.load(Ordering::Relaxed)
    }

    pub(super) fn len(&self) -> usize {
        lock(&self.rows).len()
    }

    pub(super) fn unplaced(&self) -> Vec<Failure> {
        lock(&self.unplaced).iter().map(|(_, failure)| failure.clone()).collect()
    }

    pub(super) fn arrival_cursor(&self, position: Position) -> Cursor {
        Cursor { copy: self.inner.copy, place: CursorPlace::Arrival(position) }
    }

    fn bound_of(&self, cursor: &PageCursor) -> Result<Position, CursorError> {
        self.inner.arrival_of(
            &Cursor { copy: cursor.copy, place: CursorPlace::Arrival(cursor.bound) },
            self.inner.progress.visible(),
        )
    }

    /// Takes note of events up to a position, a chunk at a time, so that other readers get in
    /// between.
    fn catch_up_to(&self, bound: Position) -> Result<(), FoldError> {
        while !self.catch_up_some(bound, &|| false)? {}
        Ok(())
    }

    /// Takes note of one chunk of events up to a position; `true` once it is reached. Between any
    /// two events it may be told to stop.
    pub(super) fn catch_up_some(
        &self,
        bound: Position,
        is_told_to_stop: &dyn Fn() -> bool,
    ) -> Result<bool, ReadError> {
        let mut rows = lock(&self.rows);
        self.load_kept(&mut rows);
        let mut taken = Ok(());
        if rows.done < bound {
            let upto = bound.min(Position::new(rows.done.as_u64() + CHUNK));
            taken = self.take_note(&mut rows, upto, is_told_to_stop);
        }
        let done = rows.done;
        self.noted.store(done.as_u64(), Ordering::Relaxed);
        drop(rows);
        self.came_to(done);
        taken.map(|()| done >= bound)
    }

    fn take_note(
        &self,
        rows: &mut Rows<F::State>,
        upto: Position,
        is_told_to_stop: &dyn Fn() -> bool,
    ) -> Result<(), ReadError> {
        let inner = &self.inner;
        let mut walk = plan_scan(inner, &self.fold.events(), rows.done, upto)?;
        let (mut failed, mut stopped) = (None, false);
        let broke = walk.run(|event, position, _| {
            match self.note_event(rows, event, position) {
                Ok(()) => rows.done = position,
                Err(error) => failed = Some(error),
            }
            stopped = failed.is_some() || is_told_to_stop();
            if stopped { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        if let Some(error) = failed {
            return Err(error);
        }
        broke?;
        if stopped {
            return Ok(());
        }
        rows.done = upto;
        if self.fold.root().is_some() {
            rows.trim(inner.options.folds);
        }
        Ok(())
    }

    fn note_event(
        &self,
        rows: &mut Rows<F::State>,
        event: &EventView<'_>,
        position: Position,
    ) -> Result<(), ReadError> {
        if self.fold.root().is_some() {
            // The rows of an aggregate are its streams, whatever upcasters say.
            return self.note_row(rows, event.key(), event, position);
        }
        match rows_of(&self.fold, self.upcasters(), event) {
            Ok(keys) => keys.iter().try_for_each(|key| self.note_row(rows, key, event, position)),
            Err(failure) => {
                let mut unplaced = lock(&self.unplaced);
                if unplaced.len() < UNPLACED_MAX {
                    unplaced.push((position, failure));
                }
                Ok(())
            }
        }
    }

    fn note_row(
        &self,
        rows: &mut Rows<F::State>,
        key: &str,
        event: &EventView<'_>,
        position: Position,
    ) -> Result<(), ReadError> {
        let is_stream = self.fold.root().is_some();
        let row = rows.touch(key, position);
        if row.timeline.is_none() && is_stream {
            return Ok(());
        }
        let timeline = row.timeline.get_or_insert_with(|| Timeline::new(self.fold.order()));
        self.insert(timeline, key, event, position)?;
        if is_stream {
            rows.count_place();
        }
        Ok(())
    }

    /// Puts an event in its place, and applies it if that is the last one.
    fn insert(
        &self,
        timeline: &mut Timeline<F::State>,
        key: &str,
        event: &EventView<'_>,
        position: Position,
    ) -> Result<(), ReadError> {
        let place = Place::of(event, position);
        timeline.insert(place, |there, _| {
            self.inner.with_event(there, |there| compare_twins(there, event))
        })?;
        if timeline.places().last() == Some(&place) {
            timeline.apply_last(event, &mut self.step(key));
        }
        Ok(())
    }

    /// The row of a key as of a moment that has been taken note of.
    pub(super) fn read(
        &self,
        key: &str,
        at: &Resolved,
    ) -> Result<Option<Folded<F::State>>, FoldError> {
        let mut rows = lock(&self.rows);
        let done = rows.done;
        let Some(row) = rows.get_mut(key) else { return Ok(None) };
        if row.first > at.bound {
            return Ok(None);
        }
        let loads = row.timeline.is_none();
        let mut source = self.source(key, done);
        let mut loaded = 0;
        if loads {
            let timeline = self.load(key, &source)?;
            loaded = timeline.places().len();
            row.timeline = Some(timeline);
        }
        let folded = self.read_row(key, row, at, &mut source);
        if loads {
            rows.count_loaded(loaded);
            rows.trim(self.inner.options.folds);
        }
        Ok(folded?.filter(|folded| !self.fold.is_hidden(&folded.state)))
    }

    fn read_row(
        &self,
        key: &str,
        row: &mut Row<F::State>,
        at: &Resolved,
        source: &mut Source<'_>,
    ) -> Result<Option<Folded<F::State>>, FoldError> {
        let Some(timeline) = &mut row.timeline else { return Ok(None) };
        let mut step = self.step(key);
        if at.filter.is_some() {
            return self.read_filtered(key, timeline, at, source);
        }
        if at.bound >= row.last && at.valid_at.is_none() {
            if timeline.settle(source, &mut step)? {
                self.rebased.fetch_add(1, Ordering::Relaxed);
            }
            if let Some(failure) = timeline.failure() {
                return Err(failure.clone().into());
            }
            let version = timeline.count();
            return Ok(timeline.current().map(|state| Folded { state: state.clone(), version }));
        }
        let past = Past { bound: at.bound, valid_at: at.valid_at };
        let folded = timeline.past(past, source, &mut step)??;
        Ok(folded.map(|(state, version)| Folded { state, version }))
    }

    fn load(&self, key: &str, source: &Source<'_>) -> Result<Timeline<F::State>, ReadError> {
        let mut timeline = Timeline::new(self.fold.order());
        let mut failed = None;
        source.walk_stream(None, |event, place| {
            match self.insert(&mut timeline, key, event, place.position) {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            }
        })?;
        failed.map_or(Ok(timeline), Err)
    }

    /// The row as of a cut that says itself which events it holds: from the first event on.
    fn read_filtered(
        &self,
        key: &str,
        timeline: &Timeline<F::State>,
        at: &Resolved,
        source: &mut Source<'_>,
    ) -> Result<Option<Folded<F::State>>, FoldError> {
        let (mut state, mut version, mut failed) = (F::State::default(), 0, None);
        let past = Past { bound: at.bound, valid_at: at.valid_at };
        source.walk(None, timeline.floor(), timeline.places(), |event, place| {
            if past.includes(&place) && at.admits(event, place.position) {
                if let Err(failure) = apply(&self.fold, self.upcasters(), key, &mut state, event) {
                    failed = Some(failure);
                    return ControlFlow::Break(());
                }
                version += 1;
            }
            ControlFlow::Continue(())
        })?;
        if let Some(failure) = failed {
            return Err(failure.into());
        }
        Ok((version > 0).then_some(Folded { state, version }))
    }

    pub(super) fn step<'a>(
        &'a self,
        key: &'a str,
    ) -> impl FnMut(&mut F::State, &EventView<'_>) -> Result<(), Failure> + 'a {
        move |state, event| apply(&self.fold, self.upcasters(), key, state, event)
    }

    pub(super) fn source(&self, key: &str, bound: Position) -> Source<'_> {
        let key = Key::try_from(key).ok();
        let stream = self.fold.root().cloned().zip(key);
        Source { inner: &self.inner, order: self.fold.order(), stream, bound }
    }

    pub(super) fn upcasters(&self) -> &Upcasters {
        &self.inner.options.upcasters
    }
}
