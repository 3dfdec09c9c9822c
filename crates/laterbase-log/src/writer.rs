//! The writer: carries out what the front planned, one group after the other.
//!
//! ```text
//!   commit(group): write ─▶ (sync, footer, sync, next segment, write)* ─▶ sync ─▶ readers
//! ```
//! Invariants:
//! - A group is written only after the group before it is durable, unless both are one group that
//!   nobody asked to flush. So an intact frame of a later group proves that all before it was
//!   durable.
//! - After a failed write or sync nothing more is written, ever: the log is poisoned. A sync is
//!   never retried, because the system may have dropped what it could not write.
//!
//! Left out: waiting and waking. A host decides which thread commits.

use crate::activate;
use crate::chunk::Chunk;
use crate::error::CommitError;
use crate::footer::SegmentEnd;
use crate::front::{Group, IdleMark, LogFront, Sync};
use crate::mutant::{self, Mutant};
use crate::number::CommitNumber;
use crate::segment::Segment;
use crate::segment_header::{BLOCK_BYTES, Epochs, SegmentForm, SegmentHeader};
use crate::shared::Shared;
use crate::sparse::Mark;
use crate::storage::{AlignedBuffer, OpenMode, StorageError, StorageFile};
use laterbase_event::{Hlc, Position};
use std::io::IoSlice;
use std::sync::Arc;
use std::time::Duration;

/// How many chunks one write gathers.
const SLICES_MAX: usize = 16;
/// How far blocks are written ahead where no spare was ready.
const AHEAD_BYTES: u64 = 1 << 20;
/// How many zeroes one write takes.
const ZEROES_BYTES: usize = 64 << 10;

/// The writer of an open log. See the crate's documentation.
#[derive(Debug)]
pub struct LogWriter {
    shared: Arc<Shared>,
    epochs: Epochs,
    active: Arc<Segment>,
    /// The active segment past the page cache, where that works.
    direct: Option<Arc<dyn StorageFile>>,
    groups_committed: u64,
    last_commit: CommitNumber,
    last_position: Position,
    last_arrival: Hlc,
    /// Something was written since the last sync.
    unsynced: bool,
    /// Up to here the active segment's blocks were written before.
    filled_to: u64,
    zeroes: AlignedBuffer,
    /// What syncs are timed by, if they are.
    clock: Option<fn() -> Duration>,
    /// How long the syncs of the group at work took, if there were any.
    synced: Option<Duration>,
}

/// A committed group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// The last commit that is written.
    pub commit: CommitNumber,
    /// The last position that is written.
    pub position: Position,
    /// Everything up to here is on the device, too.
    pub flushed: bool,
    /// How long the device took to sync, if it was asked to and [`LogWriter::time_syncs`] was
    /// called before.
    pub synced: Option<Duration>,
}

impl LogWriter {
    pub(crate) fn new(
        shared: Arc<Shared>,
        epochs: Epochs,
        active: Arc<Segment>,
        filled: bool,
    ) -> Result<Self, StorageError> {
        let end = active.end();
        let mut writer = Self {
            shared,
            epochs,
            active,
            direct: None,
            groups_committed: 0,
            last_commit: CommitNumber::new(end.next_commit.as_u64().saturating_sub(1)),
            last_position: Position::new(end.next_position.as_u64().saturating_sub(1)),
            last_arrival: end.last_arrival,
            unsynced: false,
            filled_to: if filled { u64::MAX } else { end.offset },
            zeroes: AlignedBuffer::new(),
            clock: None,
            synced: None,
        };
        writer.open_direct()?;
        writer.shared.progress.set_written(writer.last_commit, writer.last_position);
        writer.shared.progress.set_flushed(writer.last_commit, writer.last_position);
        Ok(writer)
    }

    /// Times each sync from now on by a clock that never goes back.
    pub fn time_syncs(&mut self, clock: fn() -> Duration) {
        self.clock = Some(clock);
    }

    /// Writes the group, and syncs if it was taken with [`Sync::Flush`].
    ///
    /// When this returns `Ok`, everything up to [`Written::position`] is as durable as the group's
    /// [`Sync`] says.
    ///
    /// # Errors
    /// [`CommitError::Poisoned`] with the first failure of a write or sync, now and for every later
    /// group: whether this group survives is unknown until the log is opened again.
    /// [`CommitError::OutOfOrder`] if groups were swapped or dropped by the host.
    pub fn commit(&mut self, mut group: Group) -> Result<Written, CommitError> {
        self.shared.check_poison()?;
        let expected = self.groups_committed + 1;
        if group.number != expected {
            return Err(CommitError::OutOfOrder { expected, found: group.number });
        }
        self.write(&group.chunks, group.sync).map_err(|cause| self.shared.poison(cause))?;
        self.groups_committed = expected;
        self.last_commit = group.last_commit;
        self.last_position = group.last_position;
        self.shared.progress.set_written(group.last_commit, group.last_position);
        let flushed = match group.sync {
            Sync::Flush => true,
            Sync::Write => false,
        };
        if flushed {
            self.shared.progress.set_flushed(group.last_commit, group.last_position);
        }
        let count = group.chunks.len();
        group.chunks.clear();
        self.shared.change_ring(|ring| ring.settle(count));
        self.shared.give_list(group.chunks);
        let synced = self.synced.take();
        Ok(Written { commit: self.last_commit, position: self.last_position, flushed, synced })
    }

    /// Ends the log in good order: flushes everything and marks the end, so that the next opening
    /// finds it whole without looking further.
    ///
    /// # Errors
    /// As [`commit`](Self::commit). The log is then as after a crash.
    pub fn close(mut self, mut front: LogFront) -> Result<(), CommitError> {
        if let Some(group) = front.take_group(Sync::Flush) {
            self.commit(group)?;
        }
        self.shared.check_poison()?;
        match front.idle_mark() {
            Some(mark) => self.mark_idle(&mark),
            None => Ok(()),
        }
    }

    /// Writes the proof that everything is durable behind the last group; does nothing if groups
    /// were committed since the front made it, or are still to come.
    ///
    /// # Errors
    /// As [`commit`](Self::commit).
    pub fn mark_idle(&mut self, mark: &IdleMark) -> Result<(), CommitError> {
        self.shared.check_poison()?;
        if mark.groups != self.groups_committed || self.unsynced {
            return Ok(());
        }
        let outcome = self.active.file.write_at(mark.offset, &mark.block);
        outcome.map_err(|cause| self.shared.poison(cause))?;
        Ok(())
    }

    fn write(&mut self, chunks: &[Arc<Chunk>], sync: Sync) -> Result<(), StorageError> {
        if mutant::is_active(Mutant::EarlyAck) && self.unsynced {
            self.sync()?;
        }
        let mut rest = chunks;
        while let Some(first) = rest.first() {
            if first.roll.is_some() {
                self.roll(first)?;
            }
            let run = rest.iter().skip(1).take(SLICES_MAX - 1);
            let count = 1 + run.take_while(|chunk| chunk.roll.is_none()).count();
            let (run, after) = rest.split_at_checked(count).unwrap_or((rest, &[]));
            self.write_run(run)?;
            rest = after;
        }
        match sync {
            Sync::Flush if mutant::is_active(Mutant::EarlyAck) => Ok(()),
            Sync::Flush if self.unsynced => self.sync(),
            Sync::Flush | Sync::Write => Ok(()),
        }
    }

    fn sync(&mut self) -> Result<(), StorageError> {
        let began = self.clock.map(|clock| (clock, clock()));
        activate::sync_file(&*self.active.file)?;
        self.unsynced = false;
        if let Some((clock, began)) = began {
            let took = clock().saturating_sub(began);
            self.synced = Some(self.synced.unwrap_or_default() + took);
        }
        Ok(())
    }

    /// Writes chunks that stand one behind the other in the active segment.
    fn write_run(&mut self, run: &[Arc<Chunk>]) -> Result<(), StorageError> {
        let Some(first) = run.first() else { return Ok(()) };
        let offset = first.placement.offset;
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let mut aligned = offset.is_multiple_of(BLOCK_BYTES);
        let mut end = offset;
        for (slice, chunk) in slices.iter_mut().zip(run) {
            aligned &= chunk.buffer.len().is_multiple_of(BLOCK_BYTES as usize);
            *slice = IoSlice::new(&chunk.buffer);
            end += chunk.buffer.len() as u64;
        }
        let file = match &self.direct {
            Some(direct) if aligned => direct,
            Some(_) | None => &self.active.file,
        };
        self.unsynced = true;
        file.write_vectored_at(offset, slices.get(..run.len()).unwrap_or_default())?;
        self.fill_ahead(end)?;
        for chunk in run {
            self.note_written(chunk);
        }
        Ok(())
    }

    /// Writes zeroes behind the frames of a segment that was not made of a spare, a stretch at a
    /// time, so that most commits write into blocks that were written before.
    fn fill_ahead(&mut self, end: u64) -> Result<(), StorageError> {
        if end <= self.filled_to {
            return Ok(());
        }
        let start = end.next_multiple_of(BLOCK_BYTES);
        let limit = self.shared.config.segment_bytes;
        let stop = limit.min(start + AHEAD_BYTES);
        self.filled_to = stop.max(end);
        if self.zeroes.is_empty() {
            self.zeroes.resize(ZEROES_BYTES);
        }
        let file = self.direct.as_ref().unwrap_or(&self.active.file);
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let mut left = usize::try_from(stop.saturating_sub(start)).unwrap_or(0);
        let mut count = 0;
        for slice in &mut slices {
            let len = left.min(ZEROES_BYTES);
            if len == 0 {
                break;
            }
            *slice = IoSlice::new(self.zeroes.get(..len).unwrap_or_default());
            left -= len;
            count += 1;
        }
        file.write_vectored_at(start, slices.get(..count).unwrap_or_default())
    }

    fn note_written(&mut self, chunk: &Chunk) {
        let Some(last) = chunk.frames.last() else { return };
        let base = chunk.placement.offset;
        self.last_arrival = last.arrival;
        let end = SegmentEnd {
            offset: base + chunk.frames_end as u64,
            next_commit: last.commit.next(),
            next_position: last.next_position,
            last_arrival: last.arrival,
        };
        self.active.extend(
            end,
            chunk.frames.iter().map(|frame| Mark {
                offset: base + frame.offset as u64,
                commit: frame.commit,
                first_position: frame.first_position,
                arrival: frame.arrival,
            }),
        );
    }

    /// Ends the active segment and goes on with the next one, where `first` will stand.
    fn roll(&mut self, first: &Chunk) -> Result<(), StorageError> {
        let (Some(roll), Some(frame)) = (&first.roll, first.frames.first()) else { return Ok(()) };
        if self.unsynced {
            self.sync()?;
        }
        let index = self.active.index_copy(&self.shared.cache);
        if let Ok(index) = index {
            let trailer = activate::write_footer(&self.active, &index, &roll.state, false)?;
            self.active.complete_with(trailer, &self.shared.cache);
        }
        let number = first.placement.segment;
        let header = SegmentHeader {
            form: SegmentForm::Hot,
            epoch: self.epochs.for_segment(number),
            number,
            first_commit: frame.commit,
            first_position: frame.first_position,
            arrival_before: roll.last_arrival,
            database: self.shared.database,
            recycled: false,
        };
        let created = activate::create_hot(&self.shared, header, &mut |_| Ok(()))?;
        self.active = created.segment;
        self.filled_to = if created.filled { u64::MAX } else { BLOCK_BYTES };
        self.open_direct()?;
        let active = Arc::clone(&self.active);
        self.shared.change_segments(|table| table.with(active));
        Ok(())
    }

    fn open_direct(&mut self) -> Result<(), StorageError> {
        self.direct = None;
        if self.shared.config.direct {
            let mode = OpenMode::READ_WRITE.with_direct();
            let file = self.shared.storage.open(&self.active.path, mode)?;
            let works =
                file.block_bytes() > 1 && BLOCK_BYTES.is_multiple_of(file.block_bytes() as u64);
            self.direct = works.then_some(file);
        }
        Ok(())
    }
}
