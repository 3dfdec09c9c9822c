//! What is kept of a projection, found when it begins, and its rows taken up before the first read.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use laterbase_event::Position;
use laterbase_log::storage::StorageError;
use laterbase_sync::mutant::{self, Mutant};

use super::error::{KeptFileError, KeptPart};
use super::file::{KeptFile, path_of, paths};
use super::head::{Code, Sort};
use super::keeping::{Keeping, StateForm, Written};
use super::previous::Previous;
use super::row::{RowImage, TimelineImage};
use crate::fold::aggregate::Fold;
use crate::fold::apply::{Failure, rows_of};
use crate::fold::engine::Engine;
use crate::fold::rows::{Row, Rows};
use crate::fold::timeline::{Point, Timeline};
use crate::inner::{Inner, lock};

/// What there is of a name.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// What the rows begin with, and up to where it goes.
    pub(super) to_load: Option<Arc<KeptFile>>,
    pub(super) loads_to: Position,
    /// What answers meanwhile.
    pub(super) previous: Option<Previous>,
    pub(super) written: Written,
    pub(super) unusable: Vec<KeptFileError>,
}

/// Looks at the files of all versions.
pub(super) fn find(inner: &Arc<Inner>, name: &str, code: Code) -> Found {
    let mut found = Found::default();
    let own = path_of(name, code);
    let files = match files_of(inner, name, code, &mut found) {
        Ok(files) => files,
        Err(error) => {
            found.unusable.push(error.into());
            return found;
        }
    };
    let mut best: Option<Arc<KeptFile>> = None;
    for file in files {
        let head = &file.head;
        if file.path == own && head.code == code {
            found.loads_to = head.done;
            found.written.set(head.done, head.is_complete);
            found.to_load = Some(Arc::new(file));
        } else if best.as_ref().is_none_or(|best| {
            (best.head.done, best.head.code.version) < (head.done, head.code.version)
        }) {
            best = Some(Arc::new(file));
        }
    }
    match code.sort {
        // Its rows are its streams in every version: what differs is their states.
        Sort::Streams if found.to_load.is_none() => {
            found.loads_to = best.as_ref().map_or(Position::NONE, |best| best.head.done);
            found.to_load = best;
        }
        Sort::Streams => {}
        // A version that has answered once does not give way to another one's rows.
        Sort::View if !found.written.is_complete() => {
            found.previous = best.map(|file| Previous { file });
        }
        Sort::View => {}
    }
    found
}

/// The files of a name that are whole, and of this log.
fn files_of(
    inner: &Arc<Inner>,
    name: &str,
    code: Code,
    found: &mut Found,
) -> Result<Vec<KeptFile>, StorageError> {
    let storage = inner.storage.as_ref();
    let own = path_of(name, code);
    let (whole, begun) = paths(storage, name)?;
    let has_others = !begun.is_empty() || whole.iter().any(|path| *path != own);
    found.written.has_others.store(has_others, Ordering::Release);
    let mut files = Vec::new();
    for path in whole {
        let opened = KeptFile::open(storage, &path).and_then(|file| {
            file.check_log(inner)?;
            let is_of_fold = file.head.name == name && file.head.code.sort == code.sort;
            let is_its_path = path_of(name, file.head.code) == path;
            if is_of_fold && is_its_path {
                Ok(file)
            } else {
                Err(KeptFileError::OtherCode { path })
            }
        });
        match opened {
            Ok(file) => files.push(file),
            Err(error) => found.unusable.push(error),
        }
    }
    Ok(files)
}

impl<F: Fold> Engine<F> {
    /// Takes the kept rows up, if they were not yet. What is wrong with them is remembered, and
    /// the rows begin with nothing.
    pub(in crate::fold) fn load_kept(&self, rows: &mut Rows<F::State>) {
        let Some(keeping) = self.keeping.get() else { return };
        // Held to the end: whoever asks whether it is loaded waits.
        let mut pending = lock(&keeping.pending);
        let Some(file) = pending.take() else { return };
        let is_of_this_code = file.head.code == keeping.code;
        match self.rows_of_file(keeping, &file, is_of_this_code) {
            Ok(loaded) => *rows = loaded,
            Err(error) => {
                *rows = Rows::new();
                lock(&self.unplaced).clear();
                let is_state = matches!(error, KeptFileError::State { .. });
                // Its states are none of this code's, and whole: they are those of another one.
                if is_state && keeping.code.sort == Sort::View {
                    lock(&keeping.previous).get_or_insert(Previous { file });
                }
                keeping.leave_aside(error);
                keeping.written.set(Position::NONE, false);
            }
        }
    }

    fn rows_of_file(
        &self,
        keeping: &Keeping<F::State>,
        file: &KeptFile,
        is_of_this_code: bool,
    ) -> Result<Rows<F::State>, KeptFileError> {
        let mut by_key: Vec<(Arc<str>, Row<F::State>)> = Vec::new();
        for entry in &file.blocks {
            let block = file.block(entry)?;
            let (mut images, mut count) = (file.rows(&block), 0);
            while let Some(image) = images.next_row().map_err(|_| file.damaged())? {
                if by_key.last().is_some_and(|(before, _)| before.as_ref() >= image.key.as_ref()) {
                    return Err(file.damaged());
                }
                let (key, first, last) = (Arc::from(image.key.as_ref()), image.first, image.last);
                let timeline = if is_of_this_code {
                    self.timeline_of(&keeping.form, file, image)?
                } else {
                    if image.timeline.is_some() {
                        lock(&keeping.to_warm).push(Arc::clone(&key));
                    }
                    None
                };
                by_key.push((key, Row::kept(first, last, timeline)));
                count += 1;
            }
            if count != entry.rows {
                return Err(file.damaged());
            }
        }
        self.place_again(file)?;
        let mut done = file.head.done;
        if mutant::is_active(Mutant::SkipBehindKept) {
            done = self.inner.progress.visible();
        }
        Ok(Rows::of_kept(done, by_key))
    }

    fn timeline_of(
        &self,
        form: &StateForm<F::State>,
        file: &KeptFile,
        image: RowImage<'_>,
    ) -> Result<Option<Timeline<F::State>>, KeptFileError> {
        let RowImage { key, timeline, .. } = image;
        let Some(TimelineImage { left_out, floor, places, points }) = timeline else {
            // A view has no other way to its events.
            let is_lost = self.fold.root().is_none();
            return if is_lost { Err(file.damaged()) } else { Ok(None) };
        };
        let mut restored = Vec::with_capacity(points.len());
        for point in points {
            let state = (form.read)(&point.state).map_err(|message| KeptFileError::State {
                path: file.path.clone(),
                key: key.clone().into_owned(),
                message,
            })?;
            restored.push(Point {
                count: point.count,
                last: Some(point.last),
                position_max: point.position_max,
                valid_max: point.valid_max,
                state,
            });
        }
        let order = self.fold.order();
        Ok(Some(Timeline::of_kept(order, left_out, floor, places.into_owned(), restored)))
    }

    /// Asks the fold once more for the rows of the events for which it could name none.
    fn place_again(&self, file: &KeptFile) -> Result<(), KeptFileError> {
        let mut failures: Vec<(Position, Failure)> = Vec::new();
        for position in &file.head.unplaced {
            let asked = self
                .inner
                .with_event(*position, |event| rows_of(&self.fold, self.upcasters(), event));
            match asked {
                Ok(Err(failure)) => failures.push((*position, failure)),
                Ok(Ok(_)) => return Err(KeptFileError::OtherCode { path: file.path.clone() }),
                Err(_) => {
                    let (path, part) = (file.path.clone(), KeptPart::Head);
                    return Err(KeptFileError::Damaged { path, part });
                }
            }
        }
        *lock(&self.unplaced) = failures;
        Ok(())
    }
}
