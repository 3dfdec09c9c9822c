//! A row as it stands in a block of the file: its key, where its events stand, its states.
//!
//! ```text
//!   row    flags: 1 hidden, 2 timeline, 4 floor · key · first arrival · last − first
//!   timeline   left out · floor · places: count, each · points: count, each
//!   place  HLC, replica by number, valid time − HLC, position; differences to the place before
//!   point  count − before · its last place if that is left out · last arrival · valid time · state
//! ```
//! Replicas are numbered by their first place in a block, where their ids follow the number.
//!
//! Invariant: what is read is what a timeline may be: places in fold order, points ascending, none
//! beyond the events that there are, nothing behind the position up to which the file counts.

use std::borrow::Cow;
use std::collections::HashMap;

use laterbase_event::{EventId, Hlc, Position, ReplicaId, Timestamp};

use super::bytes::{Bytes, Malformed, put, put_bytes, put_difference};
use crate::fold::aggregate::FoldOrder;
use crate::fold::place::Place;

const HIDDEN: u8 = 1;
const TIMELINE: u8 = 2;
const FLOOR: u8 = 4;

/// The fewest bytes of a place, and of a point.
const PLACE_BYTES_MIN: usize = 4;
const POINT_BYTES_MIN: usize = 4;

/// A row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RowImage<'a> {
    pub(super) key: Cow<'a, str>,
    pub(super) first: Position,
    pub(super) last: Position,
    /// Whether its newest state is to be left out of reads.
    pub(super) is_hidden: bool,
    pub(super) timeline: Option<TimelineImage<'a>>,
}

/// The events of a row, and states along the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TimelineImage<'a> {
    pub(super) left_out: u64,
    pub(super) floor: Option<Place>,
    pub(super) places: Cow<'a, [Place]>,
    pub(super) points: Vec<PointImage<'a>>,
}

/// A state, and what it is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PointImage<'a> {
    pub(super) count: u64,
    pub(super) last: Place,
    pub(super) position_max: Position,
    pub(super) valid_max: Timestamp,
    /// JSON.
    pub(super) state: Cow<'a, [u8]>,
}

impl TimelineImage<'_> {
    /// How many events there are.
    pub(super) fn count(&self) -> u64 {
        self.left_out + self.places.len() as u64
    }

    /// The newest state, if it holds every event, with their number.
    pub(super) fn newest(&self) -> Option<(&[u8], u64)> {
        let point = self.points.last().filter(|point| point.count == self.count())?;
        Some((&point.state, point.count))
    }
}

/// Rows that are put into bytes.
#[derive(Debug, Default)]
pub(super) struct Block {
    pub(super) bytes: Vec<u8>,
    pub(super) rows: u64,
    pub(super) first_key: String,
    replicas: HashMap<u64, u64>,
}

impl Block {
    pub(super) fn push(&mut self, row: &RowImage<'_>) {
        if self.rows == 0 {
            self.first_key = row.key.clone().into_owned();
        }
        self.rows += 1;
        let mut flags = if row.is_hidden { HIDDEN } else { 0 };
        if let Some(timeline) = &row.timeline {
            flags |= TIMELINE | if timeline.floor.is_some() { FLOOR } else { 0 };
        }
        self.bytes.push(flags);
        put_bytes(row.key.as_bytes(), &mut self.bytes);
        put(row.first.as_u64(), &mut self.bytes);
        put(row.last.as_u64().wrapping_sub(row.first.as_u64()), &mut self.bytes);
        if let Some(timeline) = &row.timeline {
            self.push_timeline(timeline);
        }
    }

    fn push_timeline(&mut self, timeline: &TimelineImage<'_>) {
        put(timeline.left_out, &mut self.bytes);
        if let Some(floor) = &timeline.floor {
            self.push_place(floor, &START);
        }
        put(timeline.places.len() as u64, &mut self.bytes);
        let mut before = START;
        for place in timeline.places.iter() {
            self.push_place(place, &before);
            before = *place;
        }
        put(timeline.points.len() as u64, &mut self.bytes);
        let mut count = 0;
        for point in &timeline.points {
            put(point.count.wrapping_sub(count), &mut self.bytes);
            count = point.count;
            if point.count <= timeline.left_out {
                self.push_place(&point.last, &START);
            }
            put(point.position_max.as_u64(), &mut self.bytes);
            let valid_max = micros(point.valid_max);
            put_difference(valid_max, micros(point.last.valid_at), &mut self.bytes);
            put_bytes(&point.state, &mut self.bytes);
        }
    }

    fn push_place(&mut self, place: &Place, before: &Place) {
        let (hlc, replica) = (place.id.hlc(), place.id.replica().as_u64());
        put_difference(hlc.as_u64(), before.id.hlc().as_u64(), &mut self.bytes);
        let next = self.replicas.len() as u64;
        let number = *self.replicas.entry(replica).or_insert(next);
        put(number, &mut self.bytes);
        if number == next {
            self.bytes.extend_from_slice(&replica.to_le_bytes());
        }
        put_difference(micros(place.valid_at), recorded_micros(hlc), &mut self.bytes);
        put_difference(place.position.as_u64(), before.position.as_u64(), &mut self.bytes);
    }
}

/// The place before the first.
const START: Place = Place {
    id: EventId::from_u128(0),
    valid_at: Timestamp::from_micros(0),
    position: Position::NONE,
};

fn micros(at: Timestamp) -> u64 {
    at.as_micros().cast_unsigned()
}

fn recorded_micros(hlc: Hlc) -> u64 {
    hlc.millis().wrapping_mul(1000)
}

/// Rows that are read out of a block.
#[derive(Debug)]
pub(super) struct BlockRows<'a> {
    bytes: Bytes<'a>,
    order: FoldOrder,
    /// Nothing is behind this position.
    done: Position,
    replicas: Vec<ReplicaId>,
    before: Option<&'a str>,
}

impl<'a> BlockRows<'a> {
    pub(super) fn new(bytes: &'a [u8], order: FoldOrder, done: Position) -> Self {
        Self { bytes: Bytes(bytes), order, done, replicas: Vec::new(), before: None }
    }

    /// The next row, in ascending order of their keys.
    pub(super) fn next_row(&mut self) -> Result<Option<RowImage<'a>>, Malformed> {
        if self.bytes.is_empty() {
            return Ok(None);
        }
        let flags = self.bytes.byte()?;
        let key = self.bytes.text()?;
        if flags & !(HIDDEN | TIMELINE | FLOOR) != 0
            || self.before.is_some_and(|before| before >= key)
        {
            return Err(Malformed);
        }
        self.before = Some(key);
        let first = self.bytes.number()?;
        let last = first.checked_add(self.bytes.number()?).ok_or(Malformed)?;
        if first == 0 || last > self.done.as_u64() {
            return Err(Malformed);
        }
        let timeline = match flags & TIMELINE {
            0 => None,
            _ => Some(self.timeline(flags & FLOOR != 0)?),
        };
        let (first, last) = (Position::new(first), Position::new(last));
        let is_hidden = flags & HIDDEN != 0;
        Ok(Some(RowImage { key: Cow::Borrowed(key), first, last, is_hidden, timeline }))
    }

    fn timeline(&mut self, has_floor: bool) -> Result<TimelineImage<'a>, Malformed> {
        let left_out = self.bytes.number()?;
        let floor = if has_floor { Some(self.place(&START)?) } else { None };
        // Either there are events before the floor, or there is none.
        if (left_out > 0) != has_floor {
            return Err(Malformed);
        }
        let count = self.bytes.count(PLACE_BYTES_MIN)?;
        let mut places: Vec<Place> = Vec::with_capacity(count);
        let mut before = START;
        for _ in 0..count {
            let place = self.place(&before)?;
            let behind = places.last().or(floor.as_ref());
            if behind.is_some_and(|behind| self.order.compare(behind, &place).is_gt()) {
                return Err(Malformed);
            }
            places.push(place);
            before = place;
        }
        let total = left_out.checked_add(count as u64).ok_or(Malformed)?;
        let mut points: Vec<PointImage<'a>> = Vec::new();
        for _ in 0..self.bytes.count(POINT_BYTES_MIN)? {
            let before = points.last().map_or(0, |point| point.count);
            let point = self.point(before, left_out, &places)?;
            if point.count > total {
                return Err(Malformed);
            }
            points.push(point);
        }
        Ok(TimelineImage { left_out, floor, places: Cow::Owned(places), points })
    }

    fn point(
        &mut self,
        before: u64,
        left_out: u64,
        places: &[Place],
    ) -> Result<PointImage<'a>, Malformed> {
        let more = self.bytes.number()?;
        let count = before.checked_add(more).filter(|_| more > 0).ok_or(Malformed)?;
        let first_kept = left_out.checked_add(1).ok_or(Malformed)?;
        let last = match count.checked_sub(first_kept) {
            Some(at) => {
                let at = usize::try_from(at).map_err(|_| Malformed)?;
                *places.get(at).ok_or(Malformed)?
            }
            None => self.place(&START)?,
        };
        let position_max = Position::new(self.bytes.number()?);
        let valid_max = self.bytes.difference(micros(last.valid_at))?.cast_signed();
        if position_max > self.done {
            return Err(Malformed);
        }
        let valid_max = Timestamp::from_micros(valid_max);
        let state = Cow::Borrowed(self.bytes.bytes()?);
        Ok(PointImage { count, last, position_max, valid_max, state })
    }

    fn place(&mut self, before: &Place) -> Result<Place, Malformed> {
        let hlc = Hlc::from_u64(self.bytes.difference(before.id.hlc().as_u64())?);
        let number = usize::try_from(self.bytes.number()?).map_err(|_| Malformed)?;
        if number == self.replicas.len() {
            self.replicas.push(ReplicaId::from_u64(self.bytes.fixed_u64()?));
        }
        let replica = *self.replicas.get(number).ok_or(Malformed)?;
        let valid_at = self.bytes.difference(recorded_micros(hlc))?.cast_signed();
        let position = self.bytes.difference(before.position.as_u64())?;
        if position == 0 || position > self.done.as_u64() {
            return Err(Malformed);
        }
        let position = Position::new(position);
        let valid_at = Timestamp::from_micros(valid_at);
        Ok(Place { id: EventId::new(hlc, replica), valid_at, position })
    }
}
