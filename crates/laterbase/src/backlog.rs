//! Entries on their way into the indexes, and what happens when the indexes cannot write them.
//!
//! ```text
//!   append ─▶ pending ───────absorb──────▶ memtable ──────write──────▶ runs
//!             pending_entries_max           BACKLOG_MEMTABLES × memtable_bytes
//!             then appends help             then appends are refused, if writing fails
//! ```
//! A disk that does not take runs stops no read, and appends only when the memory that was promised
//! is used up: everything is in the log. Each refused append has the write tried again.
//!
//! Invariant: entries that were taken from the front are in the index; if it refuses them, nothing
//! is read from it any more.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use laterbase_index::{MaintainError, Progress};

use crate::append::AppendError;
use crate::inner::{INDEX_STEP_ENTRIES, Indexer, Inner, Writer, lock};
use crate::progress::Durability;
use crate::read::ReadError;

/// How many full memtables are held while they cannot be written.
const BACKLOG_MEMTABLES: usize = 4;

impl Inner {
    /// Moves what was staged into the indexes.
    pub(crate) fn absorb(&self, parts: &Writer, indexer: &mut Indexer) -> Result<(), ReadError> {
        if let Some(error) = indexer.broken {
            return Err(error.into());
        }
        {
            let mut front = lock(&parts.front);
            std::mem::swap(&mut front.pending, &mut indexer.spare);
            let upto = indexer.spare.upto();
            front.pending.set_upto(upto);
        }
        // A copy: the index keeps what it is given, and the front's buffers must keep their room,
        // so that appends allocate nothing.
        indexer.handed.copy_from(&indexer.spare);
        indexer.spare.clear();
        indexer.index.absorb(&mut indexer.handed).inspect_err(|error| {
            indexer.broken = Some(*error);
        })?;
        self.bell.announce_room();
        Ok(())
    }

    /// Waits until the indexes have caught up so far that appends may go on.
    pub(crate) fn relieve_indexes(&self, parts: &Writer) -> Result<(), AppendError> {
        if self.options.threads && !self.is_closing() {
            let room = self.options.pending_entries_max / 2;
            if self.bell.wait_for_room(|| lock(&parts.front).pending.len() < room) {
                return Ok(());
            }
        }
        // The index thread is at a slow device, or it has failed; or there is none.
        if self.is_overfull(&lock(&parts.indexer)) {
            // Only what is on the device can be written.
            self.lead_blocking(parts, Durability::Flushed)?;
            self.write_full(&mut lock(&parts.indexer));
            self.check_backlog(parts)?;
        }
        let mut indexer = lock(&parts.indexer);
        if !self.is_overfull(&indexer) {
            self.absorb(parts, &mut indexer).map_err(AppendError::Read)?;
            self.write_full(&mut indexer);
        }
        Ok(())
    }

    /// Refuses an append while the indexes hold all the memory that they may and cannot write it.
    pub(crate) fn check_backlog(&self, parts: &Writer) -> Result<(), AppendError> {
        if !self.index_failed.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut indexer = lock(&parts.indexer);
        if self.is_overfull(&indexer) {
            if self.options.threads {
                self.bell.ring_index();
            } else {
                self.write_full(&mut indexer);
            }
        }
        match &indexer.failure {
            Some(cause) if self.is_overfull(&indexer) => Err(AppendError::IndexesFull {
                bytes: indexer.index.memtable_bytes(),
                cause: Arc::clone(cause),
            }),
            Some(_) | None => Ok(()),
        }
    }

    /// Whether the indexes hold as much as they may.
    pub(crate) fn is_overfull(&self, indexer: &Indexer) -> bool {
        let bytes_max = self.options.index.memtable_bytes.saturating_mul(BACKLOG_MEMTABLES);
        indexer.index.memtable_bytes() >= bytes_max
    }

    /// Remembers how writing a run went; `true` if it went well.
    pub(crate) fn note_written(
        &self,
        indexer: &mut Indexer,
        written: Result<(), MaintainError>,
    ) -> bool {
        match written {
            Ok(()) => {
                // A part of a run is no proof that the disk takes one.
                if !indexer.index.is_full() {
                    indexer.failure = None;
                    self.index_failed.store(false, Ordering::Release);
                }
                true
            }
            Err(error) => {
                indexer.failure = Some(Arc::new(error));
                self.index_failed.store(true, Ordering::Release);
                false
            }
        }
    }

    /// Writes runs until the memtable is no longer full.
    fn write_full(&self, indexer: &mut Indexer) {
        while indexer.index.is_full() {
            let flushed = self.progress.flushed();
            let step = indexer.index.maintain(INDEX_STEP_ENTRIES, flushed);
            // Nothing more can be written before more is flushed.
            let idle = matches!(step, Ok(Progress::Idle));
            if !self.note_written(indexer, step.map(drop)) || idle {
                return;
            }
        }
    }
}
