//! Finding the segments of a log: which files there are, and which of them count.

use crate::activate::{epoch_of, read_header};
use crate::error::{OpenError, ReadError};
use crate::names::{self, FileName};
use crate::number::SegmentNumber;
use crate::segment::{Segment, read_trailer};
use crate::segment_header::{SegmentForm, SegmentHeader};
use crate::shared::Shared;
use crate::storage::{OpenMode, StorageFile};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The files of a log.
#[derive(Debug, Default)]
pub(crate) struct FoundSegments {
    /// One per number, without a gap; those without a footer are still empty.
    pub(crate) segments: Vec<Arc<Segment>>,
    /// Hot files of segments that have a sealed one.
    pub(crate) superseded: Vec<Arc<Segment>>,
    /// Files to be used again, and their numbers.
    pub(crate) spares: Vec<(u64, String)>,
    /// Files whose making was interrupted.
    pub(crate) temporaries: Vec<String>,
}

#[derive(Debug, Default)]
struct Names {
    hot: Option<String>,
    sealed: Option<String>,
}

/// Looks at the directory and at every segment's first and last bytes. Changes nothing.
pub(crate) fn find_segments(shared: &Shared) -> Result<FoundSegments, OpenError> {
    let missing = || OpenError::Missing { dir: shared.dir.clone() };
    if !shared.storage.exists(&shared.dir)? {
        return Err(missing());
    }
    let mut found = FoundSegments::default();
    let mut numbers: BTreeMap<SegmentNumber, Names> = BTreeMap::new();
    for name in shared.storage.list(&shared.dir)? {
        let path = shared.path(&name);
        match FileName::parse(&name) {
            FileName::Hot(number) => numbers.entry(number).or_default().hot = Some(path),
            FileName::Sealed(number) => numbers.entry(number).or_default().sealed = Some(path),
            FileName::Spare(id) => found.spares.push((id, path)),
            FileName::Temporary => found.temporaries.push(path),
            FileName::Other => {}
        }
    }
    if numbers.is_empty() {
        return Err(missing());
    }
    let mut expected = SegmentNumber::FIRST;
    for (number, names) in numbers {
        if number != expected {
            return Err(OpenError::SegmentMissing { dir: shared.dir.clone(), segment: expected });
        }
        expected = number.next();
        let segment = open_segment(shared, number, names, &mut found.superseded)?;
        found.segments.push(Arc::new(segment));
    }
    distrust_hot_footers(&mut found.segments)?;
    Ok(found)
}

/// Takes the footers of hot segments for missing if they are not whole: their frames have it all.
///
/// Recovery writes a footer when the next segment is there already: cut off in the middle, it
/// leaves a trailer that leads to nothing. And a footer whose sync failed is seen until the power
/// is cut, however many segments were begun behind it by then. Sealed segments are synced before
/// they count.
fn distrust_hot_footers(segments: &mut [Arc<Segment>]) -> Result<(), OpenError> {
    for segment in segments.iter_mut() {
        if segment.is_sealed() || !segment.is_complete() {
            continue;
        }
        for outcome in [segment.load_index().map(drop), segment.load_state().map(drop)] {
            match outcome {
                Ok(()) => {}
                Err(ReadError::Storage(error)) => return Err(error.into()),
                Err(_) => {
                    let (path, file) = (segment.path.clone(), Arc::clone(&segment.file));
                    *segment = Arc::new(without_footer(segment.header, path, file));
                    break;
                }
            }
        }
    }
    Ok(())
}

fn without_footer(header: SegmentHeader, path: String, file: Arc<dyn StorageFile>) -> Segment {
    let index = crate::footer::SegmentIndex::empty(&header, 0);
    Segment::growing(header, path, file, index)
}

/// Opens the file of one segment; the sealed one, if it is whole.
fn open_segment(
    shared: &Shared,
    number: SegmentNumber,
    names: Names,
    superseded: &mut Vec<Arc<Segment>>,
) -> Result<Segment, OpenError> {
    let Names { hot, sealed } = names;
    if let Some(path) = sealed {
        match (open_file(shared, number, path), hot) {
            (Ok(segment), Some(hot)) => {
                superseded.extend(open_file(shared, number, hot).ok().map(Arc::new));
                return Ok(segment);
            }
            (Ok(segment), None) => return Ok(segment),
            (Err(_), Some(hot)) => return open_file(shared, number, hot),
            (Err(error), None) => return Err(error),
        }
    }
    open_file(shared, number, hot.unwrap_or_else(|| shared.path(&names::hot(number))))
}

fn open_file(shared: &Shared, number: SegmentNumber, path: String) -> Result<Segment, OpenError> {
    let mode = if shared.is_read_only { OpenMode::READ } else { OpenMode::READ_WRITE };
    let file = shared.storage.open(&path, mode)?;
    let header = read_header(shared, &path, &*file)?;
    if header.number != number {
        return Err(OpenError::HeaderDamaged { path });
    }
    segment_of(header, path, file)
}

/// The segment in an open file, complete if it has a footer.
fn segment_of(
    header: SegmentHeader,
    path: String,
    file: Arc<dyn StorageFile>,
) -> Result<Segment, OpenError> {
    let trailer = read_trailer(&*file, header.number, epoch_of(&header))?;
    match (trailer, header.form) {
        (Some(trailer), _) => Ok(Segment::complete(header, path, file, trailer)),
        (None, SegmentForm::Hot) => Ok(without_footer(header, path, file)),
        (None, SegmentForm::Sealed) => Err(OpenError::FooterDamaged { path }),
    }
}
