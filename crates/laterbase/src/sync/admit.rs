//! Taking a batch of another replica into the log.
//!
//! ```text
//!   validators ─▶ terms ─▶ front lock: clock observes ─▶ log stages ─▶ index entries wait
//! ```
//! The same walk as an append's, without ids to stamp: the batch has its own. What a validator
//! refuses is stored all the same, in quarantine.

use laterbase_event::{BatchView, DecodeScratch, Hlc, Position, ReplicaId, RootName};
use laterbase_log::{BatchRole, BatchStatus, StageError, StagedBatch};
use laterbase_sync::Checked;
use laterbase_sync::mutant::{self, Mutant};

use super::chains::{Held, Place};
use crate::append::AppendError;
use crate::inner::{Front, Inner, Writer, lock};
use crate::progress::Durability;
use crate::read::ReadError;
use crate::terms::{self, BatchTerms};
use crate::validator::refusal;

/// A batch that is ready to be staged.
pub(crate) struct Admission<'a> {
    batch: &'a Checked<'a>,
    terms: BatchTerms,
    pub(crate) status: BatchStatus,
}

/// What became of an attempt to stage.
enum Attempt {
    Staged(Place),
    IndexesBehind,
    BuffersFull,
}

/// A batch was not taken in.
#[derive(Debug)]
pub(crate) enum AdmitError {
    /// It is of this copy's own log: a new id must be minted first.
    Own,
    /// Something was appended to its log meanwhile: look again.
    Moved,
    /// It is larger than this log takes.
    TooLarge,
    /// Storing failed.
    Append(AppendError),
}

impl From<AppendError> for AdmitError {
    fn from(error: AppendError) -> Self {
        Self::Append(error)
    }
}

impl<'a> Admission<'a> {
    /// Looks at every event: what it is found by, and whether the validators take it.
    pub(crate) fn prepare(inner: &Inner, batch: &'a Checked<'a>) -> Result<Self, ReadError> {
        let decode = |source| ReadError::Decode { position: Position::NONE, source };
        let view = BatchView::parse(batch.bytes).map_err(decode)?;
        let mut terms = BatchTerms::default();
        let mut scratch = DecodeScratch::default();
        let mut events = view.events(&mut scratch).map_err(decode)?;
        let mut status = BatchStatus::Admitted;
        let validators = inner.validators();
        while let Some(event) = events.next().map_err(decode)? {
            if status == BatchStatus::Admitted && refusal(&validators, &event).is_some() {
                status = BatchStatus::Quarantined;
            }
            terms.add_view(&inner.hasher, &event);
        }
        Ok(Self { batch, terms, status })
    }

    /// Its root.
    pub(crate) fn root(&self) -> RootName {
        self.batch.header.root
    }

    /// The batch as it is held once it stands there.
    pub(crate) fn held(&self, place: Place) -> Held {
        let header = self.batch.header;
        Held {
            first_seq: header.first_seq,
            last_seq: header.last_seq(),
            hash: self.batch.hash,
            previous: header.previous,
            last_hlc: header.last_hlc(),
            place,
        }
    }
}

impl Inner {
    /// Stages a batch; it is durable after the next flush.
    pub(crate) fn admit(
        &self,
        writer: &Writer,
        admission: &Admission<'_>,
        role: BatchRole,
    ) -> Result<Place, AdmitError> {
        self.check_failure()?;
        self.check_backlog(writer)?;
        loop {
            match self.try_admit(writer, admission, role)? {
                Attempt::Staged(place) => return Ok(place),
                Attempt::IndexesBehind => self.relieve_indexes(writer)?,
                Attempt::BuffersFull => self.settle(writer, Durability::Flushed)?,
            }
        }
    }

    fn try_admit(
        &self,
        writer: &Writer,
        admission: &Admission<'_>,
        role: BatchRole,
    ) -> Result<Attempt, AdmitError> {
        let now_ms = self.environment.now_us().max(0).unsigned_abs() / 1000;
        let (header, hash) = (admission.batch.header, admission.batch.hash);
        let mut guard = lock(&writer.front);
        let front = &mut *guard;
        let keeps_id = mutant::is_active(Mutant::NoNewId);
        if header.replica == self.replica() && role != BatchRole::Release && !keeps_id {
            return Err(AdmitError::Own);
        }
        let waiting = front.pending.len();
        let entries = admission.terms.entries();
        if waiting > 0 && waiting + entries > self.options.pending_entries_max {
            return Ok(Attempt::IndexesBehind);
        }
        let Front { clock, log, pending, .. } = front;
        let Some(log) = log else { return Err(AppendError::Closed.into()) };
        // A time that is not believed moves nothing; its events are stored all the same.
        let is_mutant = mutant::is_active(Mutant::ClockTooFar);
        let believed_ms = if is_mutant { header.last_hlc().millis() } else { now_ms };
        let _ = clock.observe(header.last_hlc(), believed_ms);
        let arrival: Hlc = clock.read(now_ms).max(log.last_arrival());
        let staged = log.stage(
            arrival,
            &[StagedBatch::of(header, hash, admission.status, role, admission.batch.bytes)],
        );
        let staged = match staged {
            Ok(staged) => staged,
            Err(StageError::Full) => return Ok(Attempt::BuffersFull),
            Err(StageError::OutOfSequence { .. }) => return Err(AdmitError::Moved),
            Err(StageError::TooLarge { .. }) => return Err(AdmitError::TooLarge),
            Err(error) => return Err(AppendError::InternalStage(error).into()),
        };
        let place = match admission.status {
            BatchStatus::Quarantined => Place::Quarantined(staged.commit, 0),
            BatchStatus::Admitted => {
                let place = terms::Place {
                    replica: header.replica,
                    root: header.root.as_str(),
                    first_seq: header.first_seq,
                    first_hlc: header.first_hlc,
                    first_position: staged.first_position,
                };
                admission.terms.write_entries(&self.hasher, &place, pending);
                pending.set_upto(log.last_position());
                #[cfg(feature = "query")]
                self.schema.note_staged(header.root.as_str(), log.last_position());
                Place::At(staged.first_position)
            }
        };
        let indexes_wait = self.indexes_should_be_rung(pending.len());
        drop(guard);
        if indexes_wait {
            self.bell.ring_index();
        }
        Ok(Attempt::Staged(place))
    }

    /// The id under which this copy writes now.
    pub(crate) fn replica(&self) -> ReplicaId {
        ReplicaId::from_u64(self.replica.load(std::sync::atomic::Ordering::Acquire))
    }
}
