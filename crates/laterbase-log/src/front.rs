//! The front of the log: takes commits into memory and puts them in order.
//!
//! ```text
//!   stage ─▶ open chunk ──freeze──▶ pending ──take_group──▶ Group ─▶ LogWriter::commit
//!                                      └────▶ ring (readers see it from here on)
//! ```
//! The front decides everything about a frame at once, also where it will stand: segment, offset
//! and group. So staging is a copy and a checksum, and the writer only carries out what is planned
//! here.
//!
//! The plan's rules:
//! - A group begins at a block of its own, and all of it stands in one segment.
//! - A new group begins after each group that was taken to be flushed, and with each segment; what
//!   is taken to be written only goes on in the same group, right behind what it wrote before.
//! - A segment ends where the next frame would not fit; a frame that fits into no segment gets one
//!   of its own.
//!
//! Invariants, checked before anything is copied: batches continue their logs (sequence number and
//! hash), arrivals never fall. A commit that is refused leaves no trace.
//!
//! Left out: the clock, what batches mean, and when to flush. Hosts decide that.

use crate::chunk::{Chunk, Placement, Roll};
use crate::error::StageError;
use crate::footer::{LogState, Noted, SegmentEnd};
use crate::frame::{
    BATCH_ENTRY_BYTES, BatchRole, BatchStatus, Epoch, FRAME_HEADER_BYTES, FrameHeader, FrameKind,
    encode_batch_entry, padded, set_checksum,
};
use crate::heads::{Head, Heads};
use crate::number::{CommitNumber, SegmentNumber};
use crate::quarantine::Quarantined;
use crate::segment_header::{BLOCK_BYTES, Epochs};
use crate::shared::Shared;
use laterbase_event::{BatchHeader, Hash, Hlc, Position, ReplicaId};
use std::sync::Arc;

/// How durable a group is made before it counts as committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sync {
    /// It is on the device, and survives a power cut.
    Flush,
    /// The operating system has it: it survives the end of the process.
    Write,
}

/// A batch to be staged: its canonical bytes in up to four pieces, and what the log must know of
/// it.
#[derive(Clone, Copy, Debug)]
pub struct StagedBatch<'a> {
    /// The replica of its log.
    pub replica: ReplicaId,
    /// The root of its log.
    pub root: &'a str,
    /// The sequence number of its first event.
    pub first_seq: u64,
    /// How many events it has: 1 to 65,535.
    pub event_count: u16,
    /// The HLC of its last event.
    pub last_hlc: Hlc,
    /// The hash of the log's batch before it, as its header has it.
    pub previous: Hash,
    /// Its own hash.
    pub hash: Hash,
    /// Whether its events become visible.
    pub status: BatchStatus,
    /// How it stands to its writer's log.
    pub role: BatchRole,
    /// Its bytes in order: header, envelopes, payloads, seal; or all of them in the first piece.
    pub pieces: [&'a [u8]; 4],
}

impl<'a> StagedBatch<'a> {
    /// A batch that is whole: its header, its hash and its bytes.
    #[must_use]
    pub fn of(
        header: &'a BatchHeader,
        hash: Hash,
        status: BatchStatus,
        role: BatchRole,
        bytes: &'a [u8],
    ) -> Self {
        Self {
            replica: header.replica,
            root: header.root.as_str(),
            first_seq: header.first_seq,
            event_count: u16::try_from(header.count).unwrap_or(0),
            last_hlc: header.last_hlc(),
            previous: header.previous,
            hash,
            status,
            role,
            pieces: [bytes, &[], &[], &[]],
        }
    }

    fn len(&self) -> usize {
        self.pieces.iter().map(|piece| piece.len()).sum()
    }

    const fn admitted_count(&self) -> u16 {
        match self.status {
            BatchStatus::Admitted => self.event_count,
            BatchStatus::Quarantined => 0,
        }
    }
}

/// A commit that was taken into memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Staged {
    /// Its number.
    pub commit: CommitNumber,
    /// The position of its first admitted event; that of the next one if it has none.
    pub first_position: Position,
    /// The position after its last admitted event.
    pub next_position: Position,
}

/// What is written, and perhaps synced, together.
///
/// It must reach [`LogWriter::commit`](crate::LogWriter::commit), in the order in which groups were
/// taken; a group that is dropped leaves a hole, which the writer refuses to pass.
#[derive(Debug)]
#[must_use = "a group that is not committed is lost, and blocks every later one"]
pub struct Group {
    pub(crate) number: u64,
    pub(crate) chunks: Vec<Arc<Chunk>>,
    pub(crate) sync: Sync,
    pub(crate) last_commit: CommitNumber,
    pub(crate) last_position: Position,
}

impl Group {
    /// How durable it will be.
    #[must_use]
    pub const fn sync(&self) -> Sync {
        self.sync
    }

    /// The last commit in it, or before it if it only syncs.
    #[must_use]
    pub const fn last_commit(&self) -> CommitNumber {
        self.last_commit
    }

    /// The last position in it, or before it.
    #[must_use]
    pub const fn last_position(&self) -> Position {
        self.last_position
    }
}

/// A proof that all groups so far are durable, to be written behind them.
#[derive(Clone, Debug)]
pub struct IdleMark {
    /// How many groups had been taken.
    pub(crate) groups: u64,
    pub(crate) offset: u64,
    pub(crate) block: Vec<u8>,
}

/// Where the next frame will stand.
#[derive(Clone, Copy, Debug)]
struct Plan {
    segment: SegmentNumber,
    epoch: Epoch,
    offset: u64,
    /// The first commit of the group, if it has frames already.
    group: Option<CommitNumber>,
    /// The segment has frames.
    segment_begun: bool,
}

/// The front of an open log. See the crate's documentation.
#[derive(Debug)]
pub struct LogFront {
    shared: Arc<Shared>,
    epochs: Epochs,
    state: LogState,
    next_commit: CommitNumber,
    next_position: Position,
    last_arrival: Hlc,
    plan: Plan,
    open: Option<Arc<Chunk>>,
    pending: Vec<Arc<Chunk>>,
    groups_taken: u64,
    /// Something was taken to be written and not to be flushed.
    unflushed: bool,
}

impl LogFront {
    pub(crate) fn new(
        shared: Arc<Shared>,
        epochs: Epochs,
        segment: SegmentNumber,
        epoch: u64,
        end: SegmentEnd,
        state: LogState,
    ) -> Self {
        Self {
            shared,
            epochs,
            state,
            next_commit: end.next_commit,
            next_position: end.next_position,
            last_arrival: end.last_arrival,
            plan: Plan {
                segment,
                epoch: Epoch::new(epoch),
                offset: end.offset.next_multiple_of(BLOCK_BYTES),
                group: None,
                segment_begun: end.offset > BLOCK_BYTES,
            },
            open: None,
            pending: Vec::new(),
            groups_taken: 0,
            unflushed: false,
        }
    }

    /// Takes a commit into memory: all of its batches, or none of them.
    ///
    /// It becomes visible to [`LogReader`](crate::LogReader)s with the next
    /// [`freeze`](Self::freeze) or [`take_group`](Self::take_group), and durable when that group is
    /// committed.
    ///
    /// # Errors
    /// [`StageError::Full`] until a group has been committed; every other variant is final for this
    /// commit. Nothing changed in any case.
    pub fn stage(
        &mut self,
        arrival: Hlc,
        batches: &[StagedBatch<'_>],
    ) -> Result<Staged, StageError> {
        self.shared.check_poison()?;
        let len = self.check(arrival, batches)?;
        self.make_room(padded(len))?;
        let event_count = batches.iter().map(|batch| u32::from(batch.admitted_count())).sum();
        let header = FrameHeader {
            frame_len: u32::try_from(len).unwrap_or(u32::MAX),
            commit: self.next_commit,
            group: self.plan.group.unwrap_or(self.next_commit),
            first_position: self.next_position,
            arrival,
            event_count,
            kind: FrameKind::Commit,
            batch_count: u16::try_from(batches.len()).unwrap_or(u16::MAX),
        };
        let chunk = self.open.as_mut().and_then(Arc::get_mut).ok_or(StageError::Full)?;
        append_frame(chunk, &header, batches, self.plan.epoch);
        self.plan.offset += padded(len) as u64;
        self.plan.group = Some(header.group);
        self.plan.segment_begun = true;
        self.note_batches(batches);
        self.next_commit = header.next_commit();
        self.next_position = header.next_position();
        self.last_arrival = arrival;
        Ok(Staged {
            commit: header.commit,
            first_position: header.first_position,
            next_position: header.next_position(),
        })
    }

    /// Shows readers everything that was staged. Nothing becomes more durable.
    pub fn freeze(&mut self) {
        if let Some(chunk) = self.open.take() {
            self.shared.change_ring(|ring| ring.publish(Arc::clone(&chunk)));
            self.pending.push(chunk);
        }
    }

    /// Takes what was staged since the last group, to be committed with this durability.
    ///
    /// `None` if there is nothing to do: nothing was staged, and what was taken before with
    /// [`Sync::Write`] needs no flush or is not asked to have one.
    pub fn take_group(&mut self, sync: Sync) -> Option<Group> {
        match sync {
            Sync::Flush => self.end_group(),
            Sync::Write => {}
        }
        self.freeze();
        let nothing = self.pending.is_empty();
        match sync {
            Sync::Flush if nothing && !self.unflushed => return None,
            Sync::Flush => self.unflushed = false,
            Sync::Write if nothing => return None,
            Sync::Write => self.unflushed = true,
        }
        let chunks = std::mem::replace(&mut self.pending, self.shared.take_list());
        self.groups_taken += 1;
        Some(Group {
            number: self.groups_taken,
            chunks,
            sync,
            last_commit: CommitNumber::new(self.next_commit.as_u64().saturating_sub(1)),
            last_position: self.last_position(),
        })
    }

    /// Has something been staged that was not taken yet?
    #[must_use]
    pub fn has_staged(&self) -> bool {
        self.open.is_some() || !self.pending.is_empty()
    }

    /// Was something taken to be written, but not flushed since?
    #[must_use]
    pub const fn has_unflushed(&self) -> bool {
        self.unflushed
    }

    /// The end of every log, with all that was staged.
    #[must_use]
    pub const fn heads(&self) -> &Heads {
        &self.state.heads
    }

    /// Every batch in quarantine, with those that were staged.
    #[must_use]
    pub fn quarantined(&self) -> &[Quarantined] {
        &self.state.quarantine.batches
    }

    /// The number that the next commit gets.
    #[must_use]
    pub const fn next_commit(&self) -> CommitNumber {
        self.next_commit
    }

    /// The position that the next admitted event gets.
    #[must_use]
    pub const fn next_position(&self) -> Position {
        self.next_position
    }

    /// The last position that was given.
    #[must_use]
    pub fn last_position(&self) -> Position {
        Position::new(self.next_position.as_u64().saturating_sub(1))
    }

    /// The logs that are forked, by root and replica: some batches of theirs were staged as
    /// [`BatchRole::Branch`].
    pub fn forked(&self) -> impl Iterator<Item = (&str, ReplicaId)> {
        self.state.forks.iter()
    }

    /// The arrival of the last commit; [`Hlc::ZERO`] before the first one.
    #[must_use]
    pub const fn last_arrival(&self) -> Hlc {
        self.last_arrival
    }

    /// The proof that everything committed so far is durable, to be written by
    /// [`LogWriter::mark_idle`](crate::LogWriter::mark_idle); `None` while something is staged or
    /// not flushed.
    ///
    /// With it, opening after the process was killed finds the log whole and copies nothing. It
    /// costs a write of one block, without a sync: something for a host that has had nothing to do
    /// for a while.
    #[must_use]
    pub fn idle_mark(&self) -> Option<IdleMark> {
        if self.has_staged() || self.unflushed || self.plan.group.is_some() {
            return None;
        }
        let end = SegmentEnd {
            offset: self.plan.offset,
            next_commit: self.next_commit,
            next_position: self.next_position,
            last_arrival: self.last_arrival,
        };
        let block = close_block(&end, self.plan.epoch);
        Some(IdleMark { groups: self.groups_taken, offset: self.plan.offset, block })
    }

    /// Decides whether the commit may be staged; returns its frame's length without padding.
    fn check(&self, arrival: Hlc, batches: &[StagedBatch<'_>]) -> Result<usize, StageError> {
        if arrival < self.last_arrival {
            return Err(StageError::ArrivalFell { last: self.last_arrival, found: arrival });
        }
        if batches.is_empty() || batches.len() > usize::from(u16::MAX) {
            return Err(StageError::BatchCount { count: batches.len() });
        }
        let mut len = FRAME_HEADER_BYTES;
        for (index, batch) in batches.iter().enumerate() {
            self.check_sequence(batches.get(..index).unwrap_or_default(), batch)?;
            len += BATCH_ENTRY_BYTES + batch.len();
        }
        let bytes_max = self.shared.config.commit_bytes_max;
        if len > bytes_max || u32::try_from(padded(len)).is_err() {
            return Err(StageError::TooLarge { bytes: len, bytes_max });
        }
        Ok(len)
    }

    /// A batch must continue its log, as it will be after the batches before it in the commit.
    /// Where one of another branch stands, and whether one was in quarantine, the host knows.
    fn check_sequence(
        &self,
        before: &[StagedBatch<'_>],
        batch: &StagedBatch<'_>,
    ) -> Result<(), StageError> {
        match batch.role {
            BatchRole::Continues => {}
            BatchRole::Branch | BatchRole::Release => return Ok(()),
        }
        let same_log = |b: &&StagedBatch<'_>| {
            b.role == BatchRole::Continues && b.replica == batch.replica && b.root == batch.root
        };
        let (last_seq, hash) = match before.iter().rev().find(same_log) {
            Some(b) => (last_seq(b), b.hash),
            None => match self.state.heads.get(&batch.replica, batch.root) {
                Some(head) => (head.seq, head.hash),
                None => (0, Hash::ZERO),
            },
        };
        let expected = last_seq.saturating_add(1);
        if batch.first_seq == expected && batch.previous == hash && batch.event_count > 0 {
            return Ok(());
        }
        Err(StageError::OutOfSequence {
            replica: batch.replica,
            root: batch.root.to_owned(),
            expected,
            found: batch.first_seq,
        })
    }

    /// Sees to it that the open chunk takes a frame of this padded length.
    fn make_room(&mut self, frame_bytes: usize) -> Result<(), StageError> {
        let limit = self.shared.config.segment_bytes.saturating_sub(BLOCK_BYTES);
        let in_group = self.plan.offset;
        let fits_segment = in_group + frame_bytes as u64 <= limit || !self.plan.segment_begun;
        let room = self.open.as_ref().map(|chunk| chunk.room());
        // One more block, so that the padding at the end of the group never allocates.
        let needed = frame_bytes + BLOCK_BYTES as usize;
        match room {
            Some(room) if fits_segment && room >= needed => return Ok(()),
            Some(_) | None => {}
        }
        let plan = if fits_segment { self.next_chunk() } else { self.next_segment() };
        let placement = Placement { segment: plan.segment, offset: plan.offset };
        let empty = self.shared.change_ring(|ring| ring.take_empty(needed, placement));
        let mut empty = empty.ok_or(StageError::Full)?;
        if !fits_segment {
            let mut state = Vec::new();
            self.state.encode(&mut state);
            let roll = Roll { state, last_arrival: self.last_arrival };
            if let Some(chunk) = Arc::get_mut(&mut empty) {
                chunk.roll = Some(Box::new(roll));
            }
        }
        self.pad_open_chunk();
        self.freeze();
        self.plan = plan;
        self.open = Some(empty);
        Ok(())
    }

    /// The plan after the open chunk, if there is one, which gets padded.
    fn next_chunk(&self) -> Plan {
        let mut plan = self.plan;
        if self.open.is_some() {
            plan.offset = plan.offset.next_multiple_of(BLOCK_BYTES);
        }
        plan
    }

    /// The plan after the segment that is full.
    fn next_segment(&self) -> Plan {
        let segment = self.plan.segment.next();
        Plan {
            segment,
            epoch: Epoch::new(self.epochs.for_segment(segment)),
            offset: BLOCK_BYTES,
            group: None,
            segment_begun: false,
        }
    }

    /// Ends the group: the next frame begins another one, at a block of its own.
    fn end_group(&mut self) {
        if self.plan.group.is_none() {
            return;
        }
        self.pad_open_chunk();
        self.plan.offset = self.plan.offset.next_multiple_of(BLOCK_BYTES);
        self.plan.group = None;
    }

    /// Fills the rest of the open chunk's last block in the file with zeroes.
    fn pad_open_chunk(&mut self) {
        let end = self.plan.offset;
        let missing = end.next_multiple_of(BLOCK_BYTES) - end;
        if let Some(chunk) = self.open.as_mut().and_then(Arc::get_mut) {
            let len = chunk.buffer.len() + usize::try_from(missing).unwrap_or(0);
            chunk.buffer.resize(len);
        }
    }

    fn note_batches(&mut self, batches: &[StagedBatch<'_>]) {
        for (batch, index) in batches.iter().zip(0_u16..) {
            self.state.note(&Noted {
                commit: self.next_commit,
                index_in_commit: index,
                replica: batch.replica,
                root: batch.root,
                first_seq: batch.first_seq,
                event_count: batch.event_count,
                end: Head { seq: last_seq(batch), hash: batch.hash, hlc: batch.last_hlc },
                status: batch.status,
                role: batch.role,
            });
        }
    }
}

fn last_seq(batch: &StagedBatch<'_>) -> u64 {
    batch.first_seq.saturating_add(u64::from(batch.event_count)).saturating_sub(1)
}

/// The block that marks everything before it as durable.
pub(crate) fn close_block(end: &SegmentEnd, epoch: Epoch) -> Vec<u8> {
    let header = FrameHeader {
        frame_len: u32::try_from(FRAME_HEADER_BYTES).unwrap_or_default(),
        commit: end.next_commit,
        group: end.next_commit,
        first_position: end.next_position,
        arrival: end.last_arrival,
        event_count: 0,
        kind: FrameKind::Close,
        batch_count: 0,
    };
    let mut block = header.encode().to_vec();
    set_checksum(&mut block, epoch);
    block.resize(BLOCK_BYTES as usize, 0);
    block
}

/// Copies the frame to the end of the chunk and sets its checksum.
fn append_frame(
    chunk: &mut Chunk,
    header: &FrameHeader,
    batches: &[StagedBatch<'_>],
    epoch: Epoch,
) {
    let start = chunk.buffer.len();
    chunk.buffer.extend_from_slice(&header.encode());
    for batch in batches {
        let len = u32::try_from(batch.len()).unwrap_or(u32::MAX);
        let entry = encode_batch_entry(len, batch.event_count, batch.status, batch.role);
        chunk.buffer.extend_from_slice(&entry);
        for piece in batch.pieces {
            chunk.buffer.extend_from_slice(piece);
        }
    }
    chunk.buffer.resize(start + header.padded_len());
    if let Some(frame) = chunk.buffer.get_mut(start..) {
        set_checksum(frame, epoch);
    }
    chunk.note(start, header, epoch.value());
}
