//! Reading one event with as little as possible.
//!
//! ```text
//!   position ─▶ ring? ──────────────────────────────▶ copy group and payloads ─▶ decode
//!          └──▶ known batch? ─▶ read group ─▶ decode ─▶ wanted? ─▶ read payload
//!          └──▶ find frame ─▶ small: read and check it all
//!                         └─▶ large: check it all, once; read the batch's front, keep it as known
//!                             ─▶ as above
//! ```
//! The front of a batch (header, dictionaries, group table) is kept in a bounded cache. With it an
//! event of a hot segment costs two small reads. Nothing is handed out of a frame that was not
//! compared with its checksum since its segment was opened; sealed blocks are checked whenever they
//! are decompressed.

use super::probe::{FramePlace, Probe};
use super::{find_position, stored};
use crate::cache::CachedBatch;
use crate::checked::SMALL_FRAME_BYTES;
use crate::chunk::ChunkFrame;
use crate::error::ReadError;
use crate::frame::{BATCH_ENTRY_BYTES, BatchStatus, FRAME_HEADER_BYTES, Frame, decode_batch_entry};
use crate::segment::Segment;
use crate::shared::Shared;
use laterbase_event::{
    BatchDirectory, DecodeScratch, EnvelopeView, EventView, Hlc, Position, PrefixError,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
/// How much of a batch's front is read at first.
const FRONT_BYTES: usize = 4 << 10;

/// What reading events needs beside the log; keep one per thread and use it again.
#[derive(Debug, Default)]
pub struct EventBuffer {
    batch: Option<Arc<CachedBatch>>,
    group: Vec<u8>,
    payload: Vec<u8>,
    /// Where `payload` begins among the payloads of the batch.
    payload_start: usize,
    scratch: DecodeScratch,
    probe: Probe,
}

impl EventBuffer {
    /// An empty buffer.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

/// What of an event is read, once its envelope is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// No more.
    Nothing,
    /// The event without its payload.
    Envelope,
    /// All of it.
    Event,
}

pub(super) fn get<'b>(
    shared: &Shared,
    position: Position,
    buffer: &'b mut EventBuffer,
    want: impl FnOnce(&EnvelopeView<'_>) -> Want,
) -> Result<Option<(EventView<'b>, Hlc)>, ReadError> {
    let known = shared.cache.batch(position);
    let segment = match fill_from_ring(shared, position, known.as_ref(), buffer) {
        true => None,
        false => Some(fill_from_files(shared, position, known, buffer)?),
    };
    let missing = || ReadError::NotFound { position, last: shared.progress.written().1 };
    let EventBuffer { batch, group, payload, payload_start, scratch, probe } = buffer;
    let batch: &CachedBatch = batch.as_deref().ok_or_else(missing)?;
    let corrupt = || corrupt(shared, batch);
    let index = index_of(batch, position).ok_or_else(missing)?;
    let envelope = batch.directory.decode_event(index, group, scratch).map_err(|_| corrupt())?;
    match want(&envelope) {
        Want::Nothing => return Ok(None),
        Want::Envelope => return Ok(Some((envelope.without_payload(), batch.arrival))),
        Want::Event => {}
    }
    let range = envelope.payload_range();
    if let Some(segment) = segment.filter(|_| payload.is_empty()) {
        let at = batch.offset + (batch.directory.payloads_offset() + range.start) as u64;
        payload.resize(range.len(), 0);
        probe.read_exact(&segment, &shared.cache, at, payload)?;
        *payload_start = range.start;
    }
    let skip = range.start.checked_sub(*payload_start).ok_or_else(corrupt)?;
    let bytes = payload.get(skip..skip + range.len()).ok_or_else(corrupt)?;
    let event = envelope.with_payload(bytes).ok_or_else(corrupt)?;
    Ok(Some((event, batch.arrival)))
}

/// Copies the event's group out of the ring; `false` if the position is not there.
fn fill_from_ring(
    shared: &Shared,
    position: Position,
    known: Option<&Arc<CachedBatch>>,
    buffer: &mut EventBuffer,
) -> bool {
    let place = shared.with_ring(|ring| {
        let place = ring.place_of(position)?;
        ring.with_frame_of(position, |frame| {
            let stored = stored::batch_of_position(frame, position)?;
            let batch = match known {
                Some(known) => Arc::clone(known),
                None => {
                    let directory = BatchDirectory::parse_prefix(stored.bytes).ok()?;
                    let offset = offset_in(frame, stored.bytes);
                    Arc::new(new_batch(&place, &stored, offset, directory))
                }
            };
            copy_group(&batch, position, stored.bytes, buffer)?;
            Some(batch)
        })
        .flatten()
    });
    let Some(batch) = place else { return false };
    if known.is_none() {
        remember(shared, position, &batch);
    }
    buffer.batch = Some(batch);
    true
}

fn new_batch(
    place: &ChunkFrame,
    stored: &stored::StoredBatch<'_>,
    offset_in_frame: usize,
    directory: BatchDirectory,
) -> CachedBatch {
    CachedBatch {
        segment: place.segment,
        epoch: place.epoch,
        frame: place.stream_offset,
        is_checked: AtomicBool::new(false),
        arrival: stored.arrival,
        offset: place.stream_offset + offset_in_frame as u64,
        first_position: stored.first_position,
        event_count: u32::from(stored.event_count),
        directory,
    }
}

/// Where `inner`, a part of `outer`, begins in it.
fn offset_in(outer: &[u8], inner: &[u8]) -> usize {
    inner.as_ptr().addr().saturating_sub(outer.as_ptr().addr())
}

/// Copies the envelopes and payloads of the event's group.
fn copy_group(
    batch: &CachedBatch,
    position: Position,
    bytes: &[u8],
    buffer: &mut EventBuffer,
) -> Option<()> {
    let ranges = batch.directory.group_ranges(index_of(batch, position)?).ok()?;
    buffer.group.clear();
    buffer.payload.clear();
    buffer.payload_start = ranges.payloads.start.checked_sub(batch.directory.payloads_offset())?;
    buffer.group.extend_from_slice(bytes.get(ranges.envelopes)?);
    buffer.payload.extend_from_slice(bytes.get(ranges.payloads)?);
    Some(())
}

/// Reads the event's group from the segment files; the payload is left for later, unless the frame
/// is small.
fn fill_from_files(
    shared: &Shared,
    position: Position,
    known: Option<Arc<CachedBatch>>,
    buffer: &mut EventBuffer,
) -> Result<Arc<Segment>, ReadError> {
    let table = shared.segments();
    let current = known.and_then(|batch| {
        let segment = table.of_number(batch.segment)?;
        (segment.header.epoch == batch.epoch).then(|| (Arc::clone(segment), batch))
    });
    let (segment, batch) = match current {
        Some(current) => current,
        None => {
            let (segment, place) = find_position(shared, position, &mut buffer.probe)?;
            if place.header.padded_len() <= SMALL_FRAME_BYTES {
                fill_from_small_frame(shared, position, &segment, &place, buffer)?;
                return Ok(segment);
            }
            let batch = read_front(shared, position, &segment, &place, &mut buffer.probe)?;
            let batch = Arc::new(batch);
            shared.cache.add_batch(position, &batch);
            (segment, batch)
        }
    };
    check(shared, &segment, &batch, &mut buffer.probe)?;
    let corrupt = || segment.corrupt(batch.offset);
    let index = index_of(&batch, position).ok_or_else(corrupt)?;
    let ranges = batch.directory.group_ranges(index).map_err(|_| corrupt())?;
    buffer.payload.clear();
    buffer.group.resize(ranges.envelopes.len(), 0);
    let at = batch.offset + ranges.envelopes.start as u64;
    buffer.probe.read_exact(&segment, &shared.cache, at, &mut buffer.group)?;
    buffer.batch = Some(batch);
    Ok(segment)
}

fn fill_from_small_frame(
    shared: &Shared,
    position: Position,
    segment: &Arc<Segment>,
    place: &FramePlace,
    buffer: &mut EventBuffer,
) -> Result<(), ReadError> {
    let corrupt = || segment.corrupt(place.offset);
    let len = place.header.padded_len();
    let mut probe = std::mem::take(&mut buffer.probe);
    let bytes = probe.bytes(segment, &shared.cache, place.offset, len)?;
    let bytes = bytes.get(..len).ok_or_else(corrupt)?;
    Frame::decode(bytes, segment.epoch).map_err(|_| corrupt())?;
    let stored = stored::batch_of_position(bytes, position).ok_or_else(corrupt)?;
    let directory = BatchDirectory::parse_prefix(stored.bytes).map_err(|_| corrupt())?;
    let batch = CachedBatch {
        segment: segment.number(),
        epoch: segment.header.epoch,
        frame: place.offset,
        is_checked: AtomicBool::new(true),
        arrival: place.header.arrival,
        offset: place.offset + offset_in(bytes, stored.bytes) as u64,
        first_position: stored.first_position,
        event_count: u32::from(stored.event_count),
        directory,
    };
    copy_group(&batch, position, stored.bytes, buffer).ok_or_else(corrupt)?;
    let batch = Arc::new(batch);
    shared.cache.add_batch(position, &batch);
    buffer.batch = Some(batch);
    buffer.probe = probe;
    Ok(())
}

/// Reads the front of the batch that holds the position, in a large frame.
fn read_front(
    shared: &Shared,
    position: Position,
    segment: &Arc<Segment>,
    place: &FramePlace,
    probe: &mut Probe,
) -> Result<CachedBatch, ReadError> {
    let corrupt = || segment.corrupt(place.offset);
    let mut offset = place.offset + FRAME_HEADER_BYTES as u64;
    let mut first_position = place.header.first_position;
    for _ in 0..place.header.batch_count {
        let entry = probe.bytes(segment, &shared.cache, offset, BATCH_ENTRY_BYTES)?;
        let entry = decode_batch_entry(entry).ok_or_else(corrupt)?;
        let (len, event_count) = (entry.len, entry.event_count);
        offset += BATCH_ENTRY_BYTES as u64;
        let next = match entry.status {
            BatchStatus::Admitted => first_position.as_u64().saturating_add(u64::from(event_count)),
            BatchStatus::Quarantined => first_position.as_u64(),
        };
        if position.as_u64() < next {
            let directory = read_directory(shared, segment, offset, len as usize, probe)?;
            return Ok(CachedBatch {
                segment: segment.number(),
                epoch: segment.header.epoch,
                frame: place.offset,
                is_checked: AtomicBool::new(false),
                arrival: place.header.arrival,
                offset,
                first_position,
                event_count: u32::from(event_count),
                directory,
            });
        }
        first_position = Position::new(next);
        offset += u64::from(len);
    }
    Err(corrupt())
}

fn read_directory(
    shared: &Shared,
    segment: &Arc<Segment>,
    offset: u64,
    batch_len: usize,
    probe: &mut Probe,
) -> Result<BatchDirectory, ReadError> {
    let corrupt = || segment.corrupt(offset);
    let mut needed = FRONT_BYTES.min(batch_len);
    loop {
        let bytes = probe.bytes(segment, &shared.cache, offset, needed)?;
        let bytes = bytes.get(..bytes.len().min(batch_len)).unwrap_or_default();
        let have = bytes.len();
        match BatchDirectory::parse_prefix(bytes) {
            Ok(directory) => return Ok(directory),
            Err(PrefixError::NeedMore { bytes }) if bytes > have && bytes <= batch_len => {
                needed = bytes;
            }
            Err(PrefixError::NeedMore { .. } | PrefixError::Decode(_)) => return Err(corrupt()),
        }
    }
}

/// Compares the batch's frame with its checksum, unless that was done before.
fn check(
    shared: &Shared,
    segment: &Arc<Segment>,
    batch: &CachedBatch,
    probe: &mut Probe,
) -> Result<(), ReadError> {
    if !batch.is_checked.load(Ordering::Relaxed) {
        probe.check_frame(segment, &shared.cache, batch.frame)?;
        batch.is_checked.store(true, Ordering::Relaxed);
    }
    Ok(())
}

/// Keeps a batch that was found in memory, if its segment's file is there already.
fn remember(shared: &Shared, position: Position, batch: &Arc<CachedBatch>) {
    if shared.segments().of_number(batch.segment).is_some() {
        shared.cache.add_batch(position, batch);
    }
}

fn index_of(batch: &CachedBatch, position: Position) -> Option<u32> {
    let index = position.as_u64().checked_sub(batch.first_position.as_u64())?;
    u32::try_from(index).ok().filter(|index| *index < batch.event_count)
}

fn corrupt(shared: &Shared, batch: &CachedBatch) -> ReadError {
    let table = shared.segments();
    let path = table.of_number(batch.segment).map(|segment| segment.path.clone());
    ReadError::Corrupt { path: path.unwrap_or_default(), offset: batch.offset }
}
