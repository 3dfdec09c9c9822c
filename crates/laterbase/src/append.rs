//! Appending: from a commit to a staged place in the log.
//!
//! ```text
//!   finish bodies (hash) ─▶ decide conditions on a snapshot ─▶ front lock:
//!     anything relevant staged since the snapshot? ─yes─▶ decide again
//!     clock stamps ─▶ headers, chain ─▶ log stages ─▶ index entries wait ─▶ ticket
//! ```
//! What costs time happens before the lock: encoding and hashing on the caller's thread, conditions
//! against a snapshot that is complete up to a position. Under the lock only what was staged after
//! that position is looked at, so the decision is exact and the serial part stays small.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use laterbase_event::{
    BatchBody, BatchBuilder, ClockError, EventId, Hash, Hlc, Key, Position, RootName, Stamp,
    StampError,
};
use laterbase_log::{
    BatchRole, BatchStatus, CommitError, Poisoned, StageError, Staged, StagedBatch,
};

use crate::commit::{Commit, Demands, Slot};
use crate::condition::Expected;
use crate::cursor::CursorError;
use crate::decide::{Decision, decide, is_touched};
use crate::inner::{Front, Inner, Writer, lock};
use crate::progress::Durability;
use crate::read::ReadError;
use crate::terms::{BatchTerms, Place};
use crate::ticket::{Appended, AppendedPart, Ids, Outcome, Ticket};

/// Entries that wait before the index thread is woken.
const INDEX_RING_ENTRIES: usize = 8 * 1024;

/// An append was refused, or failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// The commit has no events.
    #[error("the commit has no events: push at least one")]
    Empty,
    /// The database was opened to read only.
    #[error("this handle only reads: open the database with `Database::open` to write")]
    ReadOnly,
    /// The database was closed.
    #[error("the database is closed: open it again")]
    Closed,
    /// A stream has another version than expected. Nothing was written.
    #[error(
        "`{root}/{key}` has {actual} events, but {expected} was expected: read it and decide anew"
    )]
    VersionMismatch {
        /// The stream's root.
        root: RootName,
        /// The stream's key.
        key: Key,
        /// What was expected.
        expected: Expected,
        /// How many events it has.
        actual: u64,
    },
    /// An event that matches an append condition became visible. Nothing was written.
    #[error("event {id} matches condition {condition}: read what changed and decide anew")]
    ConditionFailed {
        /// Which condition, from 0.
        condition: usize,
        /// The first event that matches.
        id: EventId,
        /// Where it stands.
        position: Position,
    },
    /// An idempotency key was used before for another content. Nothing was written.
    #[error(
        "the idempotency key of event {index} was used for another content, by {existing}: use \
         a new key"
    )]
    IdempotencyConflict {
        /// The event's index in the commit.
        index: usize,
        /// The event that has the key.
        existing: EventId,
    },
    /// Some events of the commit were recorded before, others not. Nothing was written.
    #[error(
        "{} of the commit's {events} events were recorded before: leave those out", applied.len()
    )]
    PartlyApplied {
        /// Which, by index in the commit, and their ids.
        applied: Vec<(usize, EventId)>,
        /// How many events the commit has.
        events: usize,
    },
    /// An idempotency key stands twice in the commit. Nothing was written.
    #[error(
        "events {first} and {second} of the commit have the same idempotency key: leave one out"
    )]
    RepeatedKey {
        /// The first event with the key, by index in the commit.
        first: usize,
        /// The second.
        second: usize,
    },
    /// A cause is not an earlier event. Nothing was written.
    #[error("a cause cannot be recorded: {0}")]
    Stamp(#[from] StampError),
    /// The commit is larger than the log takes. Nothing was written.
    #[error("{0}")]
    TooLarge(StageError),
    /// A cursor of a condition does not fit. Nothing was written.
    #[error("a condition's cursor does not fit: {0}")]
    Cursor(#[from] CursorError),
    /// The clock has no more ids. Nothing was written.
    #[error(transparent)]
    Clock(#[from] ClockError),
    /// What a condition is decided on cannot be read. Nothing was written.
    #[error("the append could not be decided: {0}")]
    Read(#[from] ReadError),
    /// The log failed. Whether the events are recorded is known after opening again.
    #[error(
        "{cause}; whether this append is recorded shows after opening again: retry it with an \
         idempotency key"
    )]
    Failed {
        /// Why.
        cause: Arc<Poisoned>,
    },
    /// The indexes cannot be written and hold all the memory that they may. Nothing was written.
    #[error(
        "the indexes hold {bytes} bytes in memory that cannot be written ({cause}): make room or \
         mend the disk, then try again, or open the database again"
    )]
    IndexesFull {
        /// What they hold, in bytes.
        bytes: usize,
        /// Why it cannot be written.
        cause: Arc<laterbase_index::MaintainError>,
    },
    /// The schema was changed since events were pushed. Nothing was written.
    #[error("the schema was changed meanwhile: clear the commit, and push its events again")]
    SchemaChanged,
    /// The ticket gave its answer before.
    #[error("this ticket has given its answer already")]
    TicketUsed,
    /// A new replica id could not be written. Nothing else was written.
    #[error("a new replica id could not be written: {0}")]
    Identity(crate::identity::IdentityError),
    /// A broken invariant of this library.
    #[error("internal: {0}; please report this")]
    Internal(CommitError),
    /// A broken invariant of this library.
    #[error("internal: {0}; please report this")]
    InternalStage(StageError),
}

/// The encoded parts of a commit. One part needs no list, hence no allocation.
enum Bodies<'a> {
    One(BatchBody<'a>),
    Many(Vec<BatchBody<'a>>),
}

impl<'a> Bodies<'a> {
    fn finish(builders: &'a mut [BatchBuilder]) -> Self {
        match builders {
            [builder] => Self::One(builder.finish()),
            builders => Self::Many(builders.iter_mut().map(BatchBuilder::finish).collect()),
        }
    }

    fn as_slice(&self) -> &[BatchBody<'a>] {
        match self {
            Self::One(body) => std::slice::from_ref(body),
            Self::Many(bodies) => bodies,
        }
    }
}

/// A commit that is being appended.
struct Attempted<'a> {
    bodies: Bodies<'a>,
    terms: &'a [BatchTerms],
    order: &'a [Slot],
    demands: &'a Demands,
    durability: Durability,
    /// Up to where `_sys` was looked at, and by which schema events were checked.
    #[cfg(feature = "query")]
    passed: Option<(Position, crate::declared::Checked)>,
}

impl Inner {
    /// Decides and stages a commit.
    pub(crate) fn append(self: &Arc<Self>, commit: &mut Commit) -> Result<Ticket, AppendError> {
        #[cfg_attr(not(feature = "query"), expect(unused_mut, reason = "there is no schema"))]
        let (writer, mut commit) = self.attempted(commit)?;
        self.check_backlog(writer)?;
        loop {
            let decided_to = match self.decide_on(writer, &commit)? {
                Decided::Unconditional => None,
                Decided::UpTo(position) => Some(position),
                Decided::AlreadyApplied(ticket) => return Ok(ticket),
            };
            match self.try_stage(writer, &commit, decided_to)? {
                Attempt::Staged(ticket) => return Ok(ticket),
                Attempt::DecideAgain => {}
                #[cfg(feature = "query")]
                Attempt::SchemaGrew => {
                    if let Some((upto, checked)) = &mut commit.passed {
                        *upto = self.check_schema_again(writer, *checked)?;
                    }
                }
                Attempt::IndexesBehind => self.relieve_indexes(writer)?,
                Attempt::BuffersFull => self.drain(writer)?,
            }
        }
    }

    /// Stages a commit if nothing must be read or waited for; `None`: nothing was done.
    pub(crate) fn append_now(
        self: &Arc<Self>,
        commit: &mut Commit,
    ) -> Result<Option<Ticket>, AppendError> {
        // While indexes cannot be written, whoever appends has work to do.
        if !commit.demands.is_empty() || self.index_failed.load(Ordering::Acquire) {
            return Ok(None);
        }
        let (writer, commit) = self.attempted(commit)?;
        match self.try_stage(writer, &commit, None)? {
            Attempt::Staged(ticket) => Ok(Some(ticket)),
            #[cfg(feature = "query")]
            Attempt::SchemaGrew => Ok(None),
            Attempt::DecideAgain | Attempt::IndexesBehind | Attempt::BuffersFull => Ok(None),
        }
    }

    /// What is to be staged, and where.
    fn attempted<'a>(
        &'a self,
        commit: &'a mut Commit,
    ) -> Result<(&'a Writer, Attempted<'a>), AppendError> {
        let Some(writer) = self.writer() else { return Err(AppendError::ReadOnly) };
        if commit.is_empty() {
            return Err(AppendError::Empty);
        }
        self.check_failure()?;
        let used = commit.parts_used;
        #[cfg(feature = "query")]
        let passed = commit.gate.as_ref().map(crate::declared::SchemaGate::passed);
        let attempted = Attempted {
            bodies: Bodies::finish(commit.builders.get_mut(..used).unwrap_or_default()),
            terms: commit.terms.get(..used).unwrap_or_default(),
            order: &commit.order,
            demands: &commit.demands,
            durability: commit.durability,
            #[cfg(feature = "query")]
            passed,
        };
        Ok((writer, attempted))
    }

    fn decide_on(
        self: &Arc<Self>,
        writer: &Writer,
        commit: &Attempted<'_>,
    ) -> Result<Decided, AppendError> {
        if commit.demands.is_empty() {
            return Ok(Decided::Unconditional);
        }
        let decided_to = self.staged_to(writer);
        match decide(self, commit.demands, decided_to) {
            Ok(Decision::Append) => Ok(Decided::UpTo(decided_to)),
            Ok(Decision::AlreadyApplied(ids)) => {
                let ticket = self.already_applied(writer, commit.durability, ids, decided_to);
                Ok(Decided::AlreadyApplied(ticket))
            }
            Err(error) => {
                // What the refusal is based on is as durable as what was asked for.
                self.settle(writer, commit.durability)?;
                Err(error)
            }
        }
    }

    /// Waits until the buffers have room again.
    fn drain(&self, writer: &Writer) -> Result<(), AppendError> {
        let commit = lock(&writer.front).log.as_ref().map(last_commit);
        self.wait_for(commit.unwrap_or(0), Durability::Flushed)
    }

    /// The last position that was given out.
    fn staged_to(&self, writer: &Writer) -> Position {
        let front = lock(&writer.front);
        front.log.as_ref().map_or(Position::NONE, laterbase_log::LogFront::last_position)
    }

    /// Makes everything staged so far as durable as asked for.
    pub(crate) fn settle(
        &self,
        writer: &Writer,
        durability: Durability,
    ) -> Result<(), AppendError> {
        let commit = lock(&writer.front).log.as_ref().map(last_commit);
        self.wait_for(commit.unwrap_or(0), durability)
    }

    fn already_applied(
        self: &Arc<Self>,
        writer: &Writer,
        durability: Durability,
        ids: Vec<EventId>,
        decided_to: Position,
    ) -> Ticket {
        let waits_for = lock(&writer.front).log.as_ref().map_or(0, last_commit);
        let first = ids.first().copied().unwrap_or(EventId::new(Hlc::ZERO, self.replica()));
        let appended = Appended {
            outcome: Outcome::AlreadyApplied,
            commit: first,
            position: decided_to,
            durability,
            replica: self.replica(),
            ids: Ids::Earlier(ids),
        };
        self.ticket(waits_for, appended)
    }

    fn ticket(self: &Arc<Self>, commit: u64, appended: Appended) -> Ticket {
        Ticket { inner: Arc::clone(self), commit, appended: Some(appended), registration: None }
    }

    fn try_stage(
        self: &Arc<Self>,
        writer: &Writer,
        commit: &Attempted<'_>,
        decided_to: Option<Position>,
    ) -> Result<Attempt, AppendError> {
        let now_ms = self.environment.now_us().max(0).unsigned_abs() / 1000;
        let events = commit.order.len();
        let entries: usize = commit.terms.iter().map(BatchTerms::entries).sum();
        let mut guard = lock(&writer.front);
        let front = &mut *guard;
        let waiting = front.pending.len();
        if waiting > 0 && waiting + entries > self.options.pending_entries_max {
            return Ok(Attempt::IndexesBehind);
        }
        #[cfg(feature = "query")]
        if commit.passed.is_some_and(|(upto, _)| self.schema.system_upto() > upto) {
            return Ok(Attempt::SchemaGrew);
        }
        if decided_to.is_some_and(|to| is_touched(&self.hasher, commit.demands, &front.pending, to))
        {
            return Ok(Attempt::DecideAgain);
        }
        let first_hlc = front.clock.tick(now_ms, events as u32)?;
        let last_hlc = Hlc::from_u64(first_hlc.as_u64() + events as u64 - 1);
        // Arrival never falls, even when a clock that ran ahead was given up.
        let arrived = front.log.as_ref().map_or(Hlc::ZERO, laterbase_log::LogFront::last_arrival);
        let arrival = last_hlc.max(arrived);
        let staged = match self.stage(front, commit.bodies.as_slice(), first_hlc, arrival) {
            Ok(staged) => staged,
            Err(StageFailure::Full) => return Ok(Attempt::BuffersFull),
            Err(StageFailure::Refused(error)) => return Err(error),
        };
        let appended = self.record(front, commit, first_hlc, &staged);
        let indexes_wait = self.indexes_should_be_rung(front.pending.len());
        drop(guard);
        if indexes_wait {
            self.bell.ring_index();
        }
        if commit.durability == Durability::Relaxed {
            self.progress.reveal(appended.position);
        }
        Ok(Attempt::Staged(self.ticket(staged.commit.as_u64(), appended)))
    }

    /// Whether so many entries wait that the index thread is woken.
    pub(crate) fn indexes_should_be_rung(&self, waiting: usize) -> bool {
        waiting >= INDEX_RING_ENTRIES
    }

    /// Writes the headers and hands the batches to the log.
    fn stage(
        &self,
        front: &mut Front,
        bodies: &[BatchBody<'_>],
        commit_hlc: Hlc,
        arrival: Hlc,
    ) -> Result<Staged, StageFailure> {
        let Some(log) = &mut front.log else {
            return Err(StageFailure::Refused(AppendError::Closed));
        };
        front.headers.clear();
        if let [body] = bodies {
            // The common case, without a list of batches.
            let stamp = self.stamp(log, body, commit_hlc, commit_hlc, (0, 1));
            let batch = self.batch(body, &stamp, &mut front.headers)?;
            let pieces = [front.headers.as_slice(), body.envelopes, body.payloads, &[]];
            return Ok(log.stage(arrival, &[StagedBatch { pieces, ..batch }])?);
        }
        let mut first_hlc = commit_hlc;
        let mut batches = Vec::with_capacity(bodies.len());
        for (index, body) in bodies.iter().enumerate() {
            let numbers = (index as u32, bodies.len() as u32);
            let stamp = self.stamp(log, body, first_hlc, commit_hlc, numbers);
            first_hlc = Hlc::from_u64(first_hlc.as_u64() + u64::from(body.count));
            let from = front.headers.len();
            let batch = self.batch(body, &stamp, &mut front.headers)?;
            batches.push((batch, from..front.headers.len()));
        }
        let staged: Vec<StagedBatch<'_>> = batches
            .iter()
            .zip(bodies)
            .map(|((batch, header), body)| {
                let header = front.headers.get(header.clone()).unwrap_or_default();
                StagedBatch { pieces: [header, body.envelopes, body.payloads, &[]], ..*batch }
            })
            .collect();
        Ok(log.stage(arrival, &staged)?)
    }

    fn stamp(
        &self,
        log: &laterbase_log::LogFront,
        body: &BatchBody<'_>,
        first_hlc: Hlc,
        commit_hlc: Hlc,
        (part, parts): (u32, u32),
    ) -> Stamp {
        let head = log.heads().get(&self.replica(), body.root.as_str());
        Stamp {
            database: self.database,
            replica: self.replica(),
            first_seq: head.map_or(1, |head| head.seq + 1),
            first_hlc,
            commit_hlc,
            part,
            parts,
            previous: head.map_or(Hash::ZERO, |head| head.hash),
        }
    }

    /// Appends the batch's front to `headers`; the pieces are for the caller to fill in.
    fn batch<'b>(
        &self,
        body: &'b BatchBody<'b>,
        stamp: &Stamp,
        headers: &mut Vec<u8>,
    ) -> Result<StagedBatch<'b>, StageFailure> {
        let header = body.stamp(stamp).map_err(|error| StageFailure::Refused(error.into()))?;
        let hash = body.write_front(&header, headers);
        Ok(StagedBatch {
            replica: self.replica(),
            root: body.root.as_str(),
            first_seq: stamp.first_seq,
            event_count: body.count as u16,
            last_hlc: header.last_hlc(),
            previous: stamp.previous,
            hash,
            status: BatchStatus::Admitted,
            role: BatchRole::Continues,
            pieces: [&[]; 4],
        })
    }

    /// Notes the index entries of what was staged, and what to answer.
    fn record(
        &self,
        front: &mut Front,
        commit: &Attempted<'_>,
        commit_hlc: Hlc,
        staged: &Staged,
    ) -> Appended {
        let mut first_hlc = commit_hlc;
        let mut position = staged.first_position;
        let mut recorded = Vec::new();
        let mut consecutive = None;
        for (body, terms) in commit.bodies.as_slice().iter().zip(commit.terms) {
            let count = u64::from(terms.count());
            let root = &body.root;
            let head =
                front.log.as_ref().and_then(|log| log.heads().get(&self.replica(), root.as_str()));
            let first_seq = head.map_or(1, |head| head.seq + 1 - count);
            let place = Place {
                replica: self.replica(),
                root: root.as_str(),
                first_seq,
                first_hlc,
                first_position: position,
            };
            terms.write_entries(&self.hasher, &place, &mut front.pending);
            #[cfg(feature = "query")]
            self.schema.note_staged(root.as_str(), Position::new(position.as_u64() + count - 1));
            let appended = AppendedPart { first_seq, first_hlc, count: count as u32 };
            if commit.terms.len() == 1 {
                consecutive = Some(appended);
            } else {
                recorded.push(appended);
            }
            first_hlc = Hlc::from_u64(first_hlc.as_u64() + count);
            position = Position::new(position.as_u64() + count);
        }
        let last = Position::new(position.as_u64() - 1);
        front.pending.set_upto(last);
        Appended {
            outcome: Outcome::Recorded,
            commit: EventId::new(commit_hlc, self.replica()),
            position: last,
            durability: commit.durability,
            replica: self.replica(),
            ids: match consecutive {
                Some(part) => Ids::Consecutive(part),
                None => Ids::Parts { parts: recorded, order: commit.order.to_vec() },
            },
        }
    }
}

/// What was decided before staging.
enum Decided {
    Unconditional,
    /// The demands hold on everything up to this position.
    UpTo(Position),
    AlreadyApplied(Ticket),
}

/// What came of an attempt to stage.
enum Attempt {
    Staged(Ticket),
    DecideAgain,
    /// The schema may have changed since events were checked.
    #[cfg(feature = "query")]
    SchemaGrew,
    IndexesBehind,
    BuffersFull,
}

/// Why the log did not take a commit.
enum StageFailure {
    Full,
    Refused(AppendError),
}

impl From<StageError> for StageFailure {
    fn from(error: StageError) -> Self {
        match error {
            StageError::Full => Self::Full,
            StageError::Poisoned(cause) => {
                Self::Refused(AppendError::Failed { cause: Arc::new(cause) })
            }
            StageError::TooLarge { .. } => Self::Refused(AppendError::TooLarge(error)),
            StageError::BatchCount { .. }
            | StageError::OutOfSequence { .. }
            | StageError::ArrivalFell { .. } => Self::Refused(AppendError::InternalStage(error)),
        }
    }
}

/// The number of the last commit that was staged.
fn last_commit(log: &laterbase_log::LogFront) -> u64 {
    log.next_commit().as_u64().saturating_sub(1)
}
