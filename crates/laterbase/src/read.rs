//! Reading one event, or a run of them, by position; and finding positions by id.
//!
//! [`Access`] is what walks see of the database. [`EventReader`] is one walk's memory: a buffer for
//! single events, and the batch it is in while it goes through neighbours.

use std::ops::ControlFlow;
use std::sync::Arc;

use laterbase_event::{
    BatchView, DecodeError, DecodeScratch, EnvelopeView, EventId, EventView, Hlc, Position,
    RootName, Timestamp, VersionVector,
};
use laterbase_index::{Entry, Family, IndexSnapshot, Range};
use laterbase_log::{EventBuffer, Want};

use crate::cursor::CursorError;
use crate::filter::Filter;
use crate::inner::Inner;
use crate::sync::Chains;
use crate::terms::TermHasher;
use crate::walk::{Beyond, LogBatches, Run};

/// Neighbours from which on a whole batch is read instead of one event at a time.
const RUN_MIN: u64 = 4;

/// So many positions within [`CLOSE_SPAN`] are worth reading their batch for.
#[cfg(feature = "query")]
const CLOSE_MIN: usize = 8;

/// How far apart the first and the last of them may stand.
#[cfg(feature = "query")]
const CLOSE_SPAN: u64 = 128;

/// A read failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The log cannot be read there.
    #[error(transparent)]
    Log(#[from] laterbase_log::ReadError),
    /// An index cannot be read.
    #[error(
        "an index cannot be read: {0}; `laterbase repair` builds the indexes anew from the log"
    )]
    Index(#[from] laterbase_index::ReadError),
    /// The indexes cannot take what the log holds.
    #[error("the indexes cannot follow the log: {0}; `laterbase repair` builds them anew")]
    Follow(#[from] laterbase_index::AbsorbError),
    /// A batch that passed its checksum does not decode.
    #[error("the batch at position {position} does not decode ({source}): run `laterbase verify`")]
    Decode {
        /// Where it stands.
        position: Position,
        /// What is wrong with it.
        source: DecodeError,
    },
    /// The cursor does not fit.
    #[error(transparent)]
    Cursor(#[from] CursorError),
    /// The files that this process reads were replaced by the writing process, again and again.
    #[error("the database cannot be followed: {0}")]
    Refresh(String),
}

/// What walks see of the database.
#[derive(Debug)]
pub(crate) struct Access {
    inner: Arc<Inner>,
}

impl Access {
    pub(crate) fn new(inner: Arc<Inner>) -> Self {
        Self { inner }
    }

    /// Reads the event at a position.
    pub(crate) fn with_event<R>(
        &self,
        position: Position,
        read: impl FnOnce(&EventView<'_>, &Self) -> R,
    ) -> Result<R, ReadError> {
        self.inner.with_event(position, |event| read(event, self))
    }

    /// The id of the event at a position.
    pub(crate) fn id(&self, position: Position) -> Result<EventId, ReadError> {
        self.with_event(position, |event, _| event.id())
    }

    /// The valid time of the event at a position.
    pub(crate) fn valid_at(&self, position: Position) -> Result<Timestamp, ReadError> {
        self.with_event(position, |event, _| event.valid_at())
    }

    /// The batch that holds a position, as a run of ids.
    pub(crate) fn run(&self, position: Position) -> Result<Run, ReadError> {
        self.with_event(position, |event, _| {
            let header = event.header();
            let first = position.as_u64() - u64::from(event.index());
            Run {
                replica: header.replica,
                first_hlc: header.first_hlc,
                first_position: Position::new(first),
                count: u64::from(header.count),
                batch: Position::new(first),
            }
        })
    }

    /// Where the event of an id stands, if that is within the bound.
    pub(crate) fn find(
        &self,
        snapshot: &Arc<IndexSnapshot>,
        id: EventId,
        bound: Position,
    ) -> Result<Option<Position>, ReadError> {
        let (replica, hlc) = (id.replica().as_u64(), id.hlc().as_u64());
        let range = Range::new(Family::Id, Entry::floor(replica, 0), Entry::ceiling(replica, hlc))
            .upto(bound);
        let holds = |entry: &Entry| {
            let at = hlc - entry.b;
            let position = Position::new(entry.position() + at);
            (at < u64::from(entry.extra()) && position <= bound).then_some(position)
        };
        let Some(entry) = snapshot.last(&range)? else { return Ok(None) };
        let found = holds(&entry);
        if found.is_some() || !self.inner.is_forked(id.replica())? {
            return Ok(found);
        }
        // Where one id was used by two copies, a batch of one may lie within that of the other.
        let earliest = hlc.saturating_sub(u64::from(u16::MAX));
        let near =
            Range::new(Family::Id, Entry::floor(replica, earliest), Entry::ceiling(replica, hlc));
        let mut cursor = snapshot.cursor(&near.upto(bound).descending());
        while let Some(entry) = cursor.next()? {
            if let Some(position) = holds(&entry) {
                return Ok(Some(position));
            }
        }
        Ok(None)
    }

    /// The forked logs.
    pub(crate) fn forked(&self) -> Result<Vec<Chains>, ReadError> {
        let catalog = self.inner.catalog()?;
        Ok(catalog.iter().map(|(_, _, chains)| chains.clone()).collect())
    }

    /// The logs that go further than a vector, and what it covers of them.
    pub(crate) fn logs_beyond(
        &self,
        vector: &VersionVector,
        root: Option<&RootName>,
        hasher: &TermHasher,
    ) -> Result<Vec<Beyond>, ReadError> {
        let mut catalog = self.inner.catalog()?;
        let held = self.inner.heads_in(&mut catalog)?;
        let beyond = held
            .heads
            .iter()
            .filter(|(log, _)| root.is_none_or(|root| *root == log.root))
            .filter_map(|(log, head)| {
                let covered = vector.get(&log.root, log.replica);
                let writer = head.writer(log);
                let batches = match catalog.of(&log.root, writer) {
                    None => LogBatches::Indexed(u64::MAX),
                    // What is before the first fork, and then each branch by itself.
                    Some(chains) if head.branch.is_none() && covered < chains.trunk_seq() => {
                        LogBatches::Indexed(chains.trunk_seq())
                    }
                    Some(chains) => LogBatches::Listed(chains.visible(log)),
                };
                let log = hasher.log(writer, log.root.as_str());
                (head.seq > covered).then_some(Beyond { log, covered, batches })
            });
        Ok(beyond.collect())
    }
}

/// Reads events by position for one walk, remembering the batch it is in.
pub(crate) struct EventReader {
    access: Arc<Access>,
    single: EventBuffer,
    scratch: DecodeScratch,
    frame: Vec<u8>,
    bytes: Vec<u8>,
    batch: Option<LoadedBatch>,
}

#[derive(Debug, Clone, Copy)]
struct LoadedBatch {
    first: Position,
    count: u64,
    arrival: Hlc,
}

impl Drop for EventReader {
    fn drop(&mut self) {
        self.access.inner.give_back(std::mem::take(&mut self.single));
    }
}

impl EventReader {
    pub(crate) fn new(access: Arc<Access>) -> Self {
        let single = access.inner.take_buffer();
        Self {
            access,
            single,
            scratch: DecodeScratch::default(),
            frame: Vec::new(),
            bytes: Vec::new(),
            batch: None,
        }
    }

    /// Reads up to `count` events from `first` on, as far as their batch goes, until `take` breaks.
    /// Those of which `want` wants nothing may be left out. Answers how many are done with, and
    /// whether it broke.
    pub(crate) fn run(
        &mut self,
        first: Position,
        count: u64,
        want: impl Fn(&EnvelopeView<'_>) -> Want,
        mut take: impl FnMut(&EventView<'_>, Position, Hlc) -> ControlFlow<()>,
    ) -> Result<(u64, ControlFlow<()>), ReadError> {
        if count < RUN_MIN {
            return self.single(first, want, take).map(|flow| (1, flow));
        }
        let batch = self.load(first)?;
        let decode = |source| ReadError::Decode { position: first, source };
        let view = BatchView::parse(&self.bytes).map_err(decode)?;
        let skip = first.as_u64() - batch.first.as_u64();
        let mut events = view.events_from(&mut self.scratch, skip as u32).map_err(decode)?;
        let mut done = 0;
        while done < count
            && let Some(event) = events.next().map_err(decode)?
        {
            let position = Position::new(first.as_u64() + done);
            done += 1;
            if take(&event, position, batch.arrival).is_break() {
                return Ok((done, ControlFlow::Break(())));
            }
        }
        Ok((done, ControlFlow::Continue(())))
    }

    /// Hands out the events after `after` up to `upto` that a filter may admit by root and type,
    /// straight from the log, until `take` breaks.
    pub(crate) fn scan(
        &mut self,
        (after, upto): (Position, Position),
        filter: &Filter,
        mut take: impl FnMut(&EventView<'_>, Position, Hlc) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, ReadError> {
        let inner = &self.access.inner;
        inner.ensure_readable(upto);
        let mut scan = inner.reader.scan(after, upto);
        while let Some(batch) = scan.next()? {
            let first = batch.first_position.as_u64();
            let decode = |source| ReadError::Decode { position: batch.first_position, source };
            let view = BatchView::parse(batch.bytes).map_err(decode)?;
            if !filter.admits_root(view.header().root.as_str()) {
                continue;
            }
            let skip = (after.as_u64() + 1).saturating_sub(first) as u32;
            let wants = |type_name: &str| filter.admits_type(type_name);
            let mut events =
                view.events_of_types(&mut self.scratch, skip, wants).map_err(decode)?;
            while let Some(event) = events.next().map_err(decode)? {
                let position = first + u64::from(event.index());
                if position > upto.as_u64() {
                    break;
                }
                if take(&event, Position::new(position), batch.arrival).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Hands out the events at ascending positions from number `done` on, until `take` breaks;
    /// counts `done` up. Where several stand close together, their batch is read once.
    #[cfg(feature = "query")]
    pub(crate) fn at(
        &mut self,
        positions: &[Position],
        done: &mut usize,
        want: impl Fn(&EnvelopeView<'_>) -> Want,
        mut take: impl FnMut(&EventView<'_>, Position, Hlc) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, ReadError> {
        while let Some((first, rest)) = positions.get(*done..).and_then(<[Position]>::split_first) {
            let near = rest.get(CLOSE_MIN - 2);
            let is_close = near.is_some_and(|it| it.as_u64() - first.as_u64() < CLOSE_SPAN);
            let flow = if is_close {
                self.of_batch(positions, done, &mut take)?
            } else {
                *done += 1;
                self.single(*first, &want, &mut take)?
            };
            if flow.is_break() {
                return Ok(flow);
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Hands out those of ascending positions that stand in the batch of the next one.
    #[cfg(feature = "query")]
    fn of_batch(
        &mut self,
        positions: &[Position],
        done: &mut usize,
        take: &mut impl FnMut(&EventView<'_>, Position, Hlc) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, ReadError> {
        let Some(first) = positions.get(*done).copied() else {
            return Ok(ControlFlow::Continue(()));
        };
        let batch = self.load(first)?;
        let decode = |source| ReadError::Decode { position: first, source };
        let view = BatchView::parse(&self.bytes).map_err(decode)?;
        let skip = first.as_u64() - batch.first.as_u64();
        let mut events = view.events_from(&mut self.scratch, skip as u32).map_err(decode)?;
        let mut at = first.as_u64();
        // What stands further away is not worth decoding all that is between.
        while let Some(wanted) = positions.get(*done).copied()
            && wanted.as_u64() - at < CLOSE_SPAN
            && let Some(event) = events.next().map_err(decode)?
        {
            if at == wanted.as_u64() {
                *done += 1;
                if take(&event, wanted, batch.arrival).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
            at += 1;
        }
        Ok(ControlFlow::Continue(()))
    }

    fn single(
        &mut self,
        position: Position,
        want: impl FnOnce(&EnvelopeView<'_>) -> Want,
        mut take: impl FnMut(&EventView<'_>, Position, Hlc) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, ReadError> {
        let inner = &self.access.inner;
        inner.ensure_readable(position);
        let found = inner.reader.get_wanted(position, &mut self.single, want)?;
        Ok(match found {
            Some((event, arrival)) => take(&event, position, arrival),
            None => ControlFlow::Continue(()),
        })
    }

    fn load(&mut self, position: Position) -> Result<LoadedBatch, ReadError> {
        let holds = |batch: &LoadedBatch| {
            let at = position.as_u64().checked_sub(batch.first.as_u64());
            at.is_some_and(|at| at < batch.count)
        };
        if let Some(batch) = self.batch.filter(holds) {
            return Ok(batch);
        }
        self.batch = None;
        let inner = &self.access.inner;
        inner.ensure_readable(position);
        let stored = inner.reader.batch(position, &mut self.frame)?;
        self.bytes.clear();
        self.bytes.extend_from_slice(stored.bytes);
        let batch = LoadedBatch {
            first: stored.first_position,
            count: u64::from(stored.event_count),
            arrival: stored.arrival,
        };
        self.batch = Some(batch);
        Ok(batch)
    }
}
