//! The steps of creating and of opening a log.

use super::{HotScan, find_segments, replay, scan_hot, torn};
use crate::activate::{self, Created};
use crate::error::{Damage, OpenError, ReadError};
use crate::footer::{LogState, SegmentEnd, SegmentIndex};
use crate::frame::{FrameHeader, set_checksum};
use crate::frames::FrameWalk;
use crate::mutant::{self, Mutant};
use crate::number::{CommitNumber, SegmentNumber};
use crate::segment::{Segment, SegmentTable};
use crate::segment_header::{BLOCK_BYTES, Epochs, SegmentForm, SegmentHeader};
use crate::shared::Shared;
use crate::spare::Spare;
use crate::sparse::Mark;
use crate::storage::{StorageError, StorageFile};
use crate::stream::Stream;
use laterbase_event::{Hlc, Position};
use std::sync::Arc;

const READ_AHEAD_BYTES: usize = 1 << 20;

/// What opening found and did. Everything that was found is durable now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// The log had been closed in good order, or nothing was written since.
    pub clean: bool,
    /// The number that the next commit gets.
    pub next_commit: CommitNumber,
    /// The position that the next event gets.
    pub next_position: Position,
    /// The arrival of the last commit.
    pub last_arrival: Hlc,
    /// The highest HLC of any event in the log.
    pub highest_hlc: Hlc,
    /// What was cut off.
    pub torn_tail: Option<TornTail>,
    /// How many commits nobody had proven durable, and were written again.
    pub rewritten_commits: u64,
    /// What is lost, and was accepted.
    pub damages: Vec<Damage>,
    /// Segments whose footer was missing or damaged, and was made again.
    pub footers_rebuilt: Vec<SegmentNumber>,
}

/// A torn tail: what followed the last intact frame and was never acknowledged as flushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// The segment.
    pub segment: SegmentNumber,
    /// Where in its file the tail began.
    pub offset: u64,
    /// How long it was.
    pub bytes: u64,
    /// The file that keeps it, in the storage's root.
    pub kept_as: String,
}

/// An opened log, before it is taken apart into front, writer and reader.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) active: Arc<Segment>,
    /// All blocks of the active segment were written before.
    pub(crate) filled: bool,
    pub(crate) state: LogState,
    pub(crate) recovery: Recovery,
}

/// Creates the first segment of an empty log.
pub(crate) fn create(shared: &Shared, epochs: Epochs) -> Result<Opened, OpenError> {
    let storage = &*shared.storage;
    if !shared.dir.is_empty() {
        storage.create_dir(&shared.dir)?;
        let parent = shared.dir.rsplit_once('/').map_or("", |(parent, _)| parent);
        storage.sync_dir(parent)?;
    }
    match find_segments(shared) {
        Err(OpenError::Missing { .. }) => {}
        Ok(_) => return Err(OpenError::Exists { dir: shared.dir.clone() }),
        Err(error) => return Err(error),
    }
    adopt_spares(shared)?;
    let start = SegmentEnd {
        offset: BLOCK_BYTES,
        next_commit: CommitNumber::FIRST,
        next_position: Position::new(1),
        last_arrival: Hlc::ZERO,
    };
    let header = header_at(shared, epochs, SegmentNumber::FIRST, &start);
    let Created { segment: active, filled } =
        activate::create_hot(shared, header, &mut |_| Ok(()))?;
    shared.change_segments(|table| table.with(Arc::clone(&active)));
    let recovery = describe(&active.end(), &LogState::default());
    Ok(Opened { active, filled, state: LogState::default(), recovery })
}

/// Opens the log: scans, decides, and then changes what must be changed.
pub(crate) fn open(shared: &Shared, epochs: Epochs) -> Result<Opened, OpenError> {
    let found = find_segments(shared)?;
    let segments = found.segments;
    let mut plans = Vec::new();
    for (index, segment) in segments.iter().enumerate() {
        if segment.is_complete() {
            plans.push(None);
            continue;
        }
        let until = segments.get(index + 1).map(|next| start_of(next));
        plans.push(Some(scan_hot(segment, until).map_err(open_error)?));
    }
    let mut damages = find_damages(&segments, &plans);
    if !damages.is_empty() && !shared.config.accept_damage {
        return Err(OpenError::Damaged { damages });
    }
    // From here on things change.
    shared.storage.sync_dir(&shared.dir)?;
    for path in found.temporaries {
        shared.storage.remove(&path)?;
    }
    for (id, path) in found.spares {
        let mut spares = shared.spares();
        spares.reserve_id(id);
        spares.add(Spare { path, recycled: true });
    }
    for segment in found.superseded {
        shared.spares().retire(segment);
    }
    shared.change_segments(|_| SegmentTable { segments: segments.clone() });
    let mut footers_rebuilt = Vec::new();
    let mut state = LogState::default();
    let last = segments.len() - 1;
    let mut opened = None;
    for (index, (segment, scan)) in segments.iter().zip(plans).enumerate() {
        let is_needed = index == last || segments.get(index + 1).is_some_and(|s| !s.is_complete());
        match scan {
            None if is_needed => state = state_after(&segments, index).map_err(open_error)?,
            None => {}
            Some(scan) if index < last => {
                complete(shared, segment, scan, &mut state)?;
                footers_rebuilt.push(segment.number());
            }
            Some(scan) => {
                opened = Some(open_last(shared, epochs, segment, scan, state)?);
                state = LogState::default();
            }
        }
    }
    let mut opened = match (opened, segments.last()) {
        (Some(opened), _) => opened,
        (None, Some(complete)) => {
            // The log ends with a footer: go on in a segment of its own.
            let active = next_segment(shared, epochs, &complete.end(), complete.number(), None)?;
            let recovery = describe(&active.end(), &state);
            Opened { active, filled: false, state, recovery }
        }
        (None, None) => return Err(OpenError::Missing { dir: shared.dir.clone() }),
    };
    opened.recovery.damages.append(&mut damages);
    opened.recovery.footers_rebuilt = footers_rebuilt;
    Ok(opened)
}

/// Opens the last segment: goes on in it, or moves on to another one.
fn open_last(
    shared: &Shared,
    epochs: Epochs,
    segment: &Arc<Segment>,
    scan: HotScan,
    mut state: LogState,
) -> Result<Opened, OpenError> {
    let resync = !mutant::is_active(Mutant::NoResync);
    let unproven = if scan.closed || !resync { None } else { scan.last_group };
    let start = start_of(segment);
    let move_on = unproven.is_some() || scan.tail.is_some() || !scan.gaps.is_empty();
    let cut = unproven.unwrap_or(scan.end);
    replay(&mut state, segment, &scan.gaps, start, &cut).map_err(open_error)?;
    if !move_on {
        let mut sparse = crate::sparse::SparseTable::with_room(shared.config.segment_bytes);
        for mark in scan.sparse.marks() {
            sparse.note(*mark);
        }
        let index = SegmentIndex { end: scan.end, gaps: Vec::new(), sparse, blocks: None };
        let active = Segment::growing(
            segment.header,
            segment.path.clone(),
            Arc::clone(&segment.file),
            index,
        );
        let active = Arc::new(active);
        shared.change_segments(|table| table.with(Arc::clone(&active)));
        let recovery = describe(&scan.end, &state);
        return Ok(Opened { active, filled: false, state, recovery });
    }
    let torn_tail = match &scan.tail {
        Some(tail) => Some(TornTail {
            segment: segment.number(),
            offset: tail.start,
            bytes: tail.end - tail.start,
            kept_as: torn::keep_torn_tail(shared, segment, tail)?,
        }),
        None => None,
    };
    let moved = Moved { segment, from: cut, end: scan.end };
    let active = next_segment(shared, epochs, &cut, segment.number(), Some(&moved))?;
    let before = state.clone();
    replay(&mut state, segment, &scan.gaps, cut, &scan.end).map_err(open_error)?;
    let rewritten = scan.end.next_commit.as_u64() - cut.next_commit.as_u64();
    let scan = HotScan { end: cut, ..scan };
    write_footer(shared, segment, scan, &before, true)?;
    let mut recovery = describe(&active.end(), &state);
    recovery.clean = false;
    recovery.torn_tail = torn_tail;
    recovery.rewritten_commits = rewritten;
    Ok(Opened { active, filled: false, state, recovery })
}

/// Gives a segment that is not the last one its footer.
fn complete(
    shared: &Shared,
    segment: &Arc<Segment>,
    scan: HotScan,
    state: &mut LogState,
) -> Result<(), OpenError> {
    replay(state, segment, &scan.gaps, start_of(segment), &scan.end).map_err(open_error)?;
    write_footer(shared, segment, scan, state, false)
}

fn write_footer(
    shared: &Shared,
    segment: &Arc<Segment>,
    scan: HotScan,
    state: &LogState,
    truncate: bool,
) -> Result<(), OpenError> {
    let sparse = scan.sparse.before(scan.end.offset);
    let gaps =
        scan.gaps.into_iter().filter(|gap| gap.first_commit < scan.end.next_commit).collect();
    let index = SegmentIndex { end: scan.end, gaps, sparse, blocks: None };
    let mut bytes = Vec::new();
    state.encode(&mut bytes);
    let trailer = activate::write_footer(segment, &index, &bytes, truncate)?;
    let (path, file) = (segment.path.clone(), Arc::clone(&segment.file));
    let complete = Arc::new(Segment::complete(segment.header, path, file, trailer));
    shared.change_segments(|table| table.with(complete));
    Ok(())
}

/// Frames that go into the next segment.
struct Moved<'a> {
    segment: &'a Arc<Segment>,
    from: SegmentEnd,
    end: SegmentEnd,
}

/// Creates the segment after `number`, which goes on at `start`, with the frames that move there.
fn next_segment(
    shared: &Shared,
    epochs: Epochs,
    start: &SegmentEnd,
    number: SegmentNumber,
    moved: Option<&Moved<'_>>,
) -> Result<Arc<Segment>, OpenError> {
    let header = header_at(shared, epochs, number.next(), start);
    let mut index = SegmentIndex::empty(&header, shared.config.segment_bytes);
    let mut failed = None;
    let active = activate::create_hot(shared, header, &mut |file| {
        let Some(moved) = moved else { return Ok(()) };
        match copy_frames(moved, &header, file, &mut index) {
            Ok(()) => write_close(&header, file, &index.end),
            Err(ReadError::Storage(error)) => Err(error),
            Err(error) => {
                failed = Some(error);
                Ok(())
            }
        }
    })?
    .segment;
    if let Some(error) = failed {
        return Err(open_error(error));
    }
    active.extend(index.end, index.sparse.marks().iter().copied());
    shared.change_segments(|table| table.with(Arc::clone(&active)));
    Ok(active)
}

/// Copies frames, which get the checksum of their new segment.
fn copy_frames(
    moved: &Moved<'_>,
    header: &SegmentHeader,
    file: &dyn StorageFile,
    index: &mut SegmentIndex,
) -> Result<(), ReadError> {
    let epoch = activate::epoch_of(header);
    let stream = Stream::new(moved.segment, moved.end.offset, READ_AHEAD_BYTES, Vec::new())?;
    let mut walk = FrameWalk::new(stream, Vec::new(), moved.from, &moved.end);
    let mut out = Vec::new();
    let mut offset = BLOCK_BYTES;
    let mut written = BLOCK_BYTES;
    while let Some((at, frame)) = walk.next()? {
        let frame: FrameHeader = frame.header;
        let bytes = walk.stream().buffered(at).get(..frame.padded_len()).unwrap_or_default();
        let start = out.len();
        out.extend_from_slice(bytes);
        set_checksum(out.get_mut(start..).unwrap_or_default(), epoch);
        index.sparse.note(Mark {
            offset,
            commit: frame.commit,
            first_position: frame.first_position,
            arrival: frame.arrival,
        });
        offset += frame.padded_len() as u64;
        index.end = SegmentEnd {
            offset,
            next_commit: frame.next_commit(),
            next_position: frame.next_position(),
            last_arrival: frame.arrival,
        };
        if out.len() >= READ_AHEAD_BYTES {
            file.write_at(written, &out)?;
            written = offset;
            out.clear();
        }
    }
    let padding = offset.next_multiple_of(BLOCK_BYTES) - offset;
    out.resize(out.len() + usize::try_from(padding).unwrap_or(0), 0);
    file.write_at(written, &out)?;
    Ok(())
}

/// Marks the copied frames as proven: they are synced before their segment gets its name.
fn write_close(
    header: &SegmentHeader,
    file: &dyn StorageFile,
    end: &SegmentEnd,
) -> Result<(), StorageError> {
    let block = crate::front::close_block(end, activate::epoch_of(header));
    file.write_at(end.offset.next_multiple_of(BLOCK_BYTES), &block)
}

fn header_at(
    shared: &Shared,
    epochs: Epochs,
    number: SegmentNumber,
    start: &SegmentEnd,
) -> SegmentHeader {
    SegmentHeader {
        form: SegmentForm::Hot,
        epoch: epochs.for_segment(number),
        number,
        first_commit: start.next_commit,
        first_position: start.next_position,
        arrival_before: start.last_arrival,
        database: shared.database,
        recycled: false,
    }
}

/// Where the frames of a segment begin.
fn start_of(segment: &Segment) -> SegmentEnd {
    SegmentIndex::empty(&segment.header, 0).end
}

/// The state after the complete segment at `index`: from its footer, or from the footer of an
/// earlier one and the frames since.
pub(crate) fn state_after(segments: &[Arc<Segment>], index: usize) -> Result<LogState, ReadError> {
    let mut from = index;
    let mut state = loop {
        match segments.get(from).map(|segment| segment.load_state()) {
            Some(Ok(state)) => break state,
            Some(Err(error @ ReadError::Storage(_))) => return Err(error),
            Some(Err(_)) | None => match from.checked_sub(1) {
                Some(before) => from = before,
                None => {
                    let mut state = LogState::default();
                    replay_whole(segments, 0, index, &mut state)?;
                    return Ok(state);
                }
            },
        }
    };
    replay_whole(segments, from + 1, index, &mut state)?;
    Ok(state)
}

fn replay_whole(
    segments: &[Arc<Segment>],
    first: usize,
    last: usize,
    state: &mut LogState,
) -> Result<(), ReadError> {
    for segment in segments.iter().take(last + 1).skip(first) {
        let index = segment.load_index()?;
        replay(state, segment, &index.gaps, start_of(segment), &index.end)?;
    }
    Ok(())
}

/// All damage: inside scanned segments, and between segments that do not continue each other.
fn find_damages(segments: &[Arc<Segment>], plans: &[Option<HotScan>]) -> Vec<Damage> {
    let mut damages = Vec::new();
    for (index, (segment, scan)) in segments.iter().zip(plans).enumerate() {
        let end = match scan {
            Some(scan) => {
                let in_it = scan.gaps.iter();
                damages.extend(in_it.map(|gap| gap.damage(segment.number(), &segment.path)));
                scan.end
            }
            None => segment.end(),
        };
        let Some(next) = segments.get(index + 1) else { continue };
        if next.header.first_commit != end.next_commit
            || next.header.first_position != end.next_position
        {
            damages.push(Damage {
                segment: segment.number(),
                path: segment.path.clone(),
                offset: end.offset,
                end: end.offset,
                first_commit: end.next_commit,
                next_commit: next.header.first_commit,
                first_position: end.next_position,
                next_position: next.header.first_position,
            });
        }
    }
    damages
}

/// Files left by an earlier log serve as spares.
fn adopt_spares(shared: &Shared) -> Result<(), OpenError> {
    for name in shared.storage.list(&shared.dir)? {
        if let crate::names::FileName::Spare(id) = crate::names::FileName::parse(&name) {
            let mut spares = shared.spares();
            spares.reserve_id(id);
            spares.add(Spare { path: shared.path(&name), recycled: true });
        }
    }
    Ok(())
}

fn describe(end: &SegmentEnd, state: &LogState) -> Recovery {
    let highest = state.heads.iter().map(|(_, _, head)| head.hlc).max();
    Recovery {
        clean: true,
        next_commit: end.next_commit,
        next_position: end.next_position,
        last_arrival: end.last_arrival,
        highest_hlc: highest.unwrap_or(Hlc::ZERO),
        torn_tail: None,
        rewritten_commits: 0,
        damages: Vec::new(),
        footers_rebuilt: Vec::new(),
    }
}

fn open_error(error: ReadError) -> OpenError {
    match error {
        ReadError::Storage(error) => OpenError::Storage(error),
        ReadError::Damaged(damage) => OpenError::Damaged { damages: vec![*damage] },
        ReadError::Corrupt { path, .. }
        | ReadError::Footer { path }
        | ReadError::Dictionary { path }
        | ReadError::Retired { path } => OpenError::FooterDamaged { path },
        ReadError::NotFound { .. } => OpenError::Damaged { damages: Vec::new() },
    }
}
