//! One segment of an open log, and the table of all of them.
//!
//! A segment object stands for one file. Sealing makes another object, for another file, of the
//! same number; readers that hold the old one go on with it until they let go.
//!
//! Invariants: segments in the table have consecutive numbers and continue each other's commits and
//! positions; only the last one grows, and only the writer lets it grow.

use crate::cache::ReadCache;
use crate::checked::CheckedFrames;
use crate::dictionary::Dictionary;
use crate::error::ReadError;
use crate::footer::{SegmentEnd, SegmentIndex, TRAILER_BYTES, Trailer};
use crate::frame::Epoch;
use crate::number::{CommitNumber, SegmentNumber};
use crate::segment_header::{SegmentForm, SegmentHeader};
use crate::sparse::Mark;
use crate::storage::{StorageError, StorageFile};
use laterbase_event::{Hlc, Position};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// One segment file.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) header: SegmentHeader,
    pub(crate) epoch: Epoch,
    /// In the storage's root.
    pub(crate) path: String,
    pub(crate) file: Arc<dyn StorageFile>,
    index: RwLock<IndexState>,
    /// Where the footer is; `None` while the segment grows.
    trailer: Mutex<Option<Trailer>>,
    /// The index was used since the cache last looked.
    used: AtomicBool,
    pub(crate) checked: CheckedFrames,
}

#[derive(Debug)]
enum IndexState {
    /// No footer stands for it: it must stay.
    Growing(SegmentIndex),
    /// As the footer has it.
    Loaded(Arc<LoadedIndex>),
    /// Only in the footer; the end is kept.
    Away(SegmentEnd),
}

/// An index from a footer, and what its blocks are decompressed with, once one was.
#[derive(Debug)]
pub(crate) struct LoadedIndex {
    pub(crate) index: SegmentIndex,
    pub(crate) dictionary: OnceLock<Dictionary>,
}

impl LoadedIndex {
    pub(crate) const fn new(index: SegmentIndex) -> Self {
        Self { index, dictionary: OnceLock::new() }
    }
}

impl Segment {
    /// A segment without a footer.
    pub(crate) fn growing(
        header: SegmentHeader,
        path: String,
        file: Arc<dyn StorageFile>,
        index: SegmentIndex,
    ) -> Self {
        Self::new(header, path, file, IndexState::Growing(index), None)
    }

    /// A segment whose footer was read.
    pub(crate) fn complete(
        header: SegmentHeader,
        path: String,
        file: Arc<dyn StorageFile>,
        trailer: Trailer,
    ) -> Self {
        Self::new(header, path, file, IndexState::Away(trailer.end()), Some(trailer))
    }

    fn new(
        header: SegmentHeader,
        path: String,
        file: Arc<dyn StorageFile>,
        index: IndexState,
        trailer: Option<Trailer>,
    ) -> Self {
        Self {
            header,
            epoch: Epoch::new(header.epoch),
            path,
            file,
            index: RwLock::new(index),
            trailer: Mutex::new(trailer),
            used: AtomicBool::new(false),
            checked: CheckedFrames::default(),
        }
    }

    pub(crate) const fn number(&self) -> SegmentNumber {
        self.header.number
    }

    /// Where its frames end, as far as they were written.
    pub(crate) fn end(&self) -> SegmentEnd {
        match &*self.read_index() {
            IndexState::Growing(index) => index.end,
            IndexState::Loaded(loaded) => loaded.index.end,
            IndexState::Away(end) => *end,
        }
    }

    /// Has it a footer?
    pub(crate) fn is_complete(&self) -> bool {
        self.trailer().is_some()
    }

    pub(crate) fn is_sealed(&self) -> bool {
        match self.header.form {
            SegmentForm::Hot => false,
            SegmentForm::Sealed => true,
        }
    }

    /// Reads the index, from the footer if need be.
    pub(crate) fn with_index<T>(
        self: &Arc<Self>,
        cache: &ReadCache,
        read: impl FnOnce(&SegmentIndex) -> T,
    ) -> Result<T, ReadError> {
        match &*self.read_index() {
            IndexState::Growing(index) => return Ok(read(index)),
            IndexState::Loaded(loaded) => {
                self.used.store(true, Ordering::Relaxed);
                return Ok(read(&loaded.index));
            }
            IndexState::Away(_) => {}
        }
        Ok(read(&self.keep_index(cache)?.index))
    }

    /// The index of a segment that has a footer, to be held without its lock.
    pub(crate) fn loaded_index(
        self: &Arc<Self>,
        cache: &ReadCache,
    ) -> Result<Arc<LoadedIndex>, ReadError> {
        match &*self.read_index() {
            IndexState::Loaded(loaded) => {
                self.used.store(true, Ordering::Relaxed);
                return Ok(Arc::clone(loaded));
            }
            IndexState::Growing(_) | IndexState::Away(_) => {}
        }
        self.keep_index(cache)
    }

    /// Reads the index from the footer, and keeps it unless another one did.
    fn keep_index(self: &Arc<Self>, cache: &ReadCache) -> Result<Arc<LoadedIndex>, ReadError> {
        let loaded = Arc::new(LoadedIndex::new(self.load_index()?));
        let mut state = self.write_index();
        match &*state {
            IndexState::Growing(_) => {}
            IndexState::Loaded(known) => return Ok(Arc::clone(known)),
            IndexState::Away(_) => {
                *state = IndexState::Loaded(Arc::clone(&loaded));
                drop(state);
                cache.note_index(self, loaded.index.memory_bytes());
            }
        }
        Ok(loaded)
    }

    /// A copy of the index.
    pub(crate) fn index_copy(
        self: &Arc<Self>,
        cache: &ReadCache,
    ) -> Result<SegmentIndex, ReadError> {
        self.with_index(cache, SegmentIndex::clone)
    }

    /// Adds what was written; nothing happens once there is a footer.
    pub(crate) fn extend(&self, end: SegmentEnd, marks: impl Iterator<Item = Mark>) {
        match &mut *self.write_index() {
            IndexState::Growing(index) => {
                for mark in marks {
                    index.sparse.note(mark);
                }
                index.end = end;
            }
            IndexState::Loaded(_) | IndexState::Away(_) => {}
        }
    }

    /// The footer was written: from now on the index may be dropped and read again.
    pub(crate) fn complete_with(self: &Arc<Self>, trailer: Trailer, cache: &ReadCache) {
        let mut state = self.write_index();
        let bytes = match &mut *state {
            IndexState::Growing(index) => {
                let empty = SegmentIndex {
                    end: index.end,
                    gaps: Vec::new(),
                    sparse: crate::sparse::SparseTable::default(),
                    blocks: None,
                };
                let index = std::mem::replace(index, empty);
                let bytes = index.memory_bytes();
                *state = IndexState::Loaded(Arc::new(LoadedIndex::new(index)));
                bytes
            }
            IndexState::Loaded(_) | IndexState::Away(_) => return,
        };
        drop(state);
        *self.trailer.lock().unwrap_or_else(PoisonError::into_inner) = Some(trailer);
        cache.note_index(self, bytes);
    }

    /// Drops the index from memory, unless it was used since the last time; says whether it went.
    pub(crate) fn drop_index_unless_used(&self) -> bool {
        if self.used.swap(false, Ordering::Relaxed) {
            return false;
        }
        let mut state = self.write_index();
        match &*state {
            IndexState::Growing(_) | IndexState::Away(_) => {}
            IndexState::Loaded(loaded) => *state = IndexState::Away(loaded.index.end),
        }
        true
    }

    /// Reads the footer's second part.
    pub(crate) fn load_state(&self) -> Result<crate::footer::LogState, ReadError> {
        let trailer = self.trailer().ok_or_else(|| self.footer_error())?;
        let (offset, len) = trailer.state_at();
        let bytes = read_exactly(&*self.file, offset, len)?.ok_or_else(|| self.footer_error())?;
        trailer.open_state(&bytes, self.epoch).ok_or_else(|| self.footer_error())
    }

    /// Reads the footer's first part, past every cache.
    pub(crate) fn load_index(&self) -> Result<SegmentIndex, ReadError> {
        let trailer = self.trailer().ok_or_else(|| self.footer_error())?;
        read_index(&*self.file, &trailer, self.epoch)?.ok_or_else(|| self.footer_error())
    }

    pub(crate) fn trailer(&self) -> Option<Trailer> {
        *self.trailer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn corrupt(&self, offset: u64) -> ReadError {
        ReadError::Corrupt { path: self.path.clone(), offset }
    }

    fn footer_error(&self) -> ReadError {
        ReadError::Footer { path: self.path.clone() }
    }

    fn read_index(&self) -> RwLockReadGuard<'_, IndexState> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_index(&self) -> RwLockWriteGuard<'_, IndexState> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads the trailer at the end of a file; `None` if none of this segment is there.
pub(crate) fn read_trailer(
    file: &dyn StorageFile,
    number: SegmentNumber,
    epoch: Epoch,
) -> Result<Option<Trailer>, StorageError> {
    let Some(offset) = file.len()?.checked_sub(TRAILER_BYTES as u64) else { return Ok(None) };
    let mut bytes = [0; TRAILER_BYTES];
    let whole = file.read_at(offset, &mut bytes)? == TRAILER_BYTES;
    Ok(if whole { Trailer::decode(&bytes, number, epoch) } else { None })
}

/// Reads the index that a trailer leads to; `None` if it is damaged.
pub(crate) fn read_index(
    file: &dyn StorageFile,
    trailer: &Trailer,
    epoch: Epoch,
) -> Result<Option<SegmentIndex>, StorageError> {
    let (offset, len) = trailer.index_at();
    let bytes = read_exactly(file, offset, len)?;
    Ok(bytes.and_then(|bytes| trailer.open_index(&bytes, epoch)))
}

/// Reads so many bytes; `None` if the file ends before.
pub(crate) fn read_exactly(
    file: &dyn StorageFile,
    offset: u64,
    len: usize,
) -> Result<Option<Vec<u8>>, StorageError> {
    // A claimed length cannot make this allocate more than the file holds.
    if offset.saturating_add(len as u64) > file.len()? {
        return Ok(None);
    }
    let mut bytes = vec![0; len];
    let read = file.read_at(offset, &mut bytes)?;
    Ok((read == len).then_some(bytes))
}

/// All segments, oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct SegmentTable {
    pub(crate) segments: Vec<Arc<Segment>>,
}

impl SegmentTable {
    /// The segment that holds this position, if any does; positions that do not exist yet would
    /// stand in the last one.
    pub(crate) fn of_position(&self, position: Position) -> Option<&Arc<Segment>> {
        self.last_where(|segment| segment.header.first_position <= position)
    }

    /// The segment that holds this commit, or would.
    pub(crate) fn of_commit(&self, commit: CommitNumber) -> Option<&Arc<Segment>> {
        self.last_where(|segment| segment.header.first_commit <= commit)
    }

    /// The last segment whose frames may have arrived by then.
    pub(crate) fn of_arrival(&self, arrival: Hlc) -> Option<&Arc<Segment>> {
        self.last_where(|segment| segment.header.arrival_before <= arrival)
    }

    pub(crate) fn of_number(&self, number: SegmentNumber) -> Option<&Arc<Segment>> {
        let index = self.segments.binary_search_by_key(&number, |segment| segment.number()).ok()?;
        self.segments.get(index)
    }

    /// The same table with one more segment, or with another one of the same number.
    pub(crate) fn with(&self, segment: Arc<Segment>) -> Self {
        let mut segments = self.segments.clone();
        match segments.binary_search_by_key(&segment.number(), |known| known.number()) {
            Ok(index) => {
                if let Some(place) = segments.get_mut(index) {
                    *place = segment;
                }
            }
            Err(index) => segments.insert(index, segment),
        }
        Self { segments }
    }

    fn last_where(&self, is_before: impl Fn(&Segment) -> bool) -> Option<&Arc<Segment>> {
        let after = self.segments.partition_point(|segment| is_before(segment));
        self.segments.get(after.checked_sub(1)?)
    }
}
