//! The rows of a projection, written to their file while readers go on.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use laterbase_event::Position;

use super::error::KeepError;
use super::file::{FOLDS_DIR, FileWriter, path_of, paths};
use super::head::{Head, mark_of, marked};
use super::keeping::{Keeping, caught};
use super::row::{Block, PointImage, RowImage, TimelineImage};
use crate::fold::aggregate::Fold;
use crate::fold::engine::Engine;
use crate::fold::place::Place;
use crate::fold::rows::{Outlined, Rows};
use crate::fold::timeline::{Past, Point, Timeline};
use crate::inner::{Writer, lock};
use crate::progress::Durability;
use crate::read::ReadError;

/// Bytes of rows that are put together under one lock, unless a row is longer.
const BLOCK_BYTES: usize = 64 * 1024;

/// How often it is tried to find the rows where everything is flushed, before readers must wait.
const TRIES: usize = 3;

/// The rows as they are at one position.
struct Outline {
    done: Position,
    rows: Vec<Outlined>,
    unplaced: Vec<Position>,
}

impl<F: Fold> Engine<F> {
    /// Writes what is not written, unless the database is closed.
    pub(in crate::fold) fn keep(&self, stop: &dyn Fn() -> bool) -> Result<(), Arc<KeepError>> {
        let keeping = self.keeping.get().ok_or(KeepError::NotKept)?;
        let _writing = lock(&keeping.writing);
        if self.inner.is_closing() {
            return Err(Arc::new(KeepError::Closed));
        }
        self.keep_and_note(keeping, stop)
    }

    /// The same as the database is closed.
    pub(super) fn keep_at_close(&self) -> Result<(), Arc<KeepError>> {
        let keeping = self.keeping.get().ok_or(KeepError::NotKept)?;
        let _writing = lock(&keeping.writing);
        self.keep_and_note(keeping, &|| false)
    }

    fn keep_and_note(
        &self,
        keeping: &Keeping<F::State>,
        stop: &dyn Fn() -> bool,
    ) -> Result<(), Arc<KeepError>> {
        let kept = self.replace(keeping, stop).map_err(Arc::new);
        keeping.put_off(self.noted(), self.inner.options.folds.keep_every);
        match &kept {
            Ok(()) => keeping.note_written(None),
            // It was told to stop; whoever told it writes, or does without.
            Err(error) if matches!(**error, KeepError::Closed) => {}
            Err(error) => keeping.note_written(Some(Arc::clone(error))),
        }
        kept
    }

    fn replace(
        &self,
        keeping: &Keeping<F::State>,
        stop: &dyn Fn() -> bool,
    ) -> Result<(), KeepError> {
        let writer = self.inner.writer().ok_or(KeepError::ReadOnly)?;
        let outline = self.outline(writer)?;
        let written = &keeping.written;
        let is_complete = keeping.is_ready();
        let is_written = outline.done <= written.done() && (written.is_complete() || !is_complete);
        let mut lost = None;
        let may_write = is_complete || !self.would_replace_previous(keeping);
        if may_write && !is_written {
            lost = self.write(keeping, &outline, is_complete, stop)?;
            written.set(outline.done, is_complete);
        }
        if written.is_complete() && written.has_others() {
            self.remove_others(keeping)?;
            written.has_others.store(false, Ordering::Release);
        }
        lost.map_or(Ok(()), Err)
    }

    /// Whether the rows that answer meanwhile are in the file of this version: other code wrote it.
    fn would_replace_previous(&self, keeping: &Keeping<F::State>) -> bool {
        let own = path_of(&keeping.name, keeping.code);
        lock(&keeping.previous).as_ref().is_some_and(|previous| previous.file.path == own)
    }

    /// Which rows there are, at a position up to which everything is flushed.
    fn outline(&self, writer: &Writer) -> Result<Outline, KeepError> {
        for _ in 0..TRIES {
            self.inner.settle(writer, Durability::Flushed)?;
            let rows = lock(&self.rows);
            if rows.done <= self.inner.progress.flushed() {
                return Ok(self.outline_of(&rows));
            }
        }
        // Somebody reads what is not flushed faster than it is flushed.
        let rows = lock(&self.rows);
        self.inner.settle(writer, Durability::Flushed)?;
        Ok(self.outline_of(&rows))
    }

    fn outline_of(&self, rows: &Rows<F::State>) -> Outline {
        let done = rows.done;
        let unplaced = lock(&self.unplaced);
        let unplaced = unplaced.iter().map(|(position, _)| *position);
        let unplaced = unplaced.filter(|position| *position <= done).collect();
        Outline { done, rows: rows.outline(), unplaced }
    }

    /// Writes the file; a state that has no JSON is left out, and told.
    fn write(
        &self,
        keeping: &Keeping<F::State>,
        outline: &Outline,
        is_complete: bool,
        stop: &dyn Fn() -> bool,
    ) -> Result<Option<KeepError>, KeepError> {
        let storage = self.inner.storage.as_ref();
        let head = self.head(keeping, outline, is_complete)?;
        let mut file = FileWriter::create(storage, &path_of(&keeping.name, keeping.code), &head)?;
        match self.write_rows(keeping, outline, &mut file, stop) {
            Ok(lost) => {
                file.finish(storage)?;
                Ok(lost)
            }
            Err(error) => {
                file.give_up(storage);
                Err(error)
            }
        }
    }

    fn head(
        &self,
        keeping: &Keeping<F::State>,
        outline: &Outline,
        is_complete: bool,
    ) -> Result<Head, ReadError> {
        let done = outline.done;
        let marks = marked(done)
            .map(|position| self.inner.with_event(position, mark_of))
            .collect::<Result<Vec<_>, ReadError>>()?;
        Ok(Head {
            copy: self.inner.copy,
            name: keeping.name.clone(),
            code: keeping.code,
            is_complete,
            done,
            marks,
            unplaced: outline.unplaced.clone(),
        })
    }

    fn write_rows(
        &self,
        keeping: &Keeping<F::State>,
        outline: &Outline,
        file: &mut FileWriter,
        stop: &dyn Fn() -> bool,
    ) -> Result<Option<KeepError>, KeepError> {
        let mut rest = outline.rows.iter().peekable();
        let mut lost = None;
        while rest.peek().is_some() {
            if stop() {
                return Err(KeepError::Closed);
            }
            let mut block = Block::default();
            let mut rows = lock(&self.rows);
            while block.bytes.len() < BLOCK_BYTES
                && let Some(outlined) = rest.next()
            {
                let mut put = |row: &RowImage<'_>| block.push(row);
                let left = self.image(keeping, &mut rows, outlined, outline.done, &mut put)?;
                lost = lost.or(left);
            }
            drop(rows);
            if block.rows > 0 {
                file.write(block)?;
            }
        }
        Ok(lost)
    }

    /// A row as it was at a position, whatever came since.
    fn image(
        &self,
        keeping: &Keeping<F::State>,
        rows: &mut Rows<F::State>,
        outlined: &Outlined,
        done: Position,
        put: &mut dyn FnMut(&RowImage<'_>),
    ) -> Result<Option<KeepError>, KeepError> {
        let Outlined { key, first, mut last } = outlined.clone();
        let known_to = rows.done;
        let Some(row) = rows.peek_mut(&key).filter(|_| first <= done) else { return Ok(None) };
        let has_more = row.last > done;
        let is_view = self.fold.root().is_none();
        let mut newest = None;
        if is_view && let Some(timeline) = &mut row.timeline {
            newest = self.newest(&key, timeline, has_more.then_some(done), known_to)?;
        }
        // What is left to the index to know may hold what came since.
        let timeline =
            row.timeline.as_ref().filter(|timeline| !has_more || timeline.floor().is_none());
        let mut lost = None;
        let mut image = timeline.map(|timeline| image_of(timeline, done));
        if let (Some(timeline), Some(image)) = (timeline, &mut image) {
            let points = timeline.points().iter().filter(|point| point.position_max <= done);
            for point in points.chain(&newest) {
                let Some(last) = point.last else { continue };
                match (keeping.form.write)(&point.state) {
                    Ok(state) => image.points.push(PointImage {
                        count: point.count,
                        last,
                        position_max: point.position_max,
                        valid_max: point.valid_max,
                        state: Cow::Owned(state),
                    }),
                    Err(message) => {
                        lost = Some(KeepError::State { key: key.to_string(), message });
                    }
                }
            }
        }
        if last > done {
            // An event that came since could not be taken note of to its end.
            let places = image.iter().flat_map(|image| image.places.iter());
            last = places.map(|place| place.position).max().unwrap_or(done);
        }
        let newest = newest.as_ref().or_else(|| timeline.and_then(|rows| rows.points().last()));
        let count = image.as_ref().map_or(0, TimelineImage::count);
        let is_hidden = is_view && self.hides(newest.filter(|newest| newest.count == count));
        put(&RowImage { key: Cow::Borrowed(&key), first, last, is_hidden, timeline: image });
        Ok(lost)
    }

    /// Makes the newest state of a view's row: what answers for it if another version comes. `None`
    /// if it is among its points.
    fn newest(
        &self,
        key: &Arc<str>,
        timeline: &mut Timeline<F::State>,
        upto: Option<Position>,
        known_to: Position,
    ) -> Result<Option<Point<F::State>>, ReadError> {
        let mut source = self.source(key, known_to);
        let mut step = self.step(key);
        let Some(bound) = upto else {
            if timeline.settle(&mut source, &mut step)? {
                self.rebased.fetch_add(1, Ordering::Relaxed);
            }
            return Ok(None);
        };
        let places = timeline.places().iter().filter(|place| place.position <= bound);
        let mut last: Option<Place> = None;
        let (mut position_max, mut valid_max) = (Position::NONE, None);
        for place in places {
            last = Some(*place);
            position_max = position_max.max(place.position);
            valid_max = valid_max.max(Some(place.valid_at));
        }
        let past = Past { bound, valid_at: None };
        let folded = timeline.past(past, &mut source, &mut step)?;
        let folded = folded.ok().flatten().zip(valid_max);
        let has = |count| {
            let mut points = timeline.points().iter();
            points.any(|point| point.position_max <= bound && point.count == count)
        };
        Ok(folded.filter(|((_, count), _)| !has(*count)).map(|((state, count), valid_max)| Point {
            count,
            last,
            position_max,
            valid_max,
            state,
        }))
    }

    fn hides(&self, newest: Option<&Point<F::State>>) -> bool {
        newest
            .is_some_and(|point| caught(|| Ok(self.fold.is_hidden(&point.state))).unwrap_or(false))
    }

    /// Removes the files of other versions, and what was not written to its end.
    fn remove_others(&self, keeping: &Keeping<F::State>) -> Result<(), KeepError> {
        let storage = self.inner.storage.as_ref();
        let own = path_of(&keeping.name, keeping.code);
        let (whole, begun) = paths(storage, &keeping.name)?;
        for path in whole.into_iter().chain(begun).filter(|path| *path != own) {
            storage.remove(&path)?;
        }
        Ok(storage.sync_dir(FOLDS_DIR)?)
    }
}

/// The events of a timeline up to a position; its states come later.
fn image_of<S: Clone + Default>(timeline: &Timeline<S>, done: Position) -> TimelineImage<'_> {
    let places = timeline.places();
    let is_whole = places.iter().all(|place| place.position <= done);
    let places = if is_whole {
        Cow::Borrowed(places)
    } else {
        Cow::Owned(places.iter().filter(|place| place.position <= done).copied().collect())
    };
    TimelineImage {
        left_out: timeline.left_out(),
        floor: timeline.floor(),
        places,
        points: Vec::new(),
    }
}
