//! Batches that a validator refused: listing them, and letting them in after all.

use laterbase_event::{
    BatchHeader, BatchView, DecodeScratch, EventId, Hash, Position, ReplicaId, RootName,
};
use laterbase_log::{BatchRole, BatchStatus, Quarantined};
use laterbase_sync::Checked;

use super::admit::{Admission, AdmitError};
use super::chains::Place;
use crate::append::AppendError;
use crate::database::Database;
use crate::inner::{Inner, Writer};
use crate::progress::Durability;
use crate::read::ReadError;
use crate::validator::refusal;

/// A batch in quarantine: held, forwarded, and left out of reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuarantinedBatch {
    /// Who wrote it.
    pub replica: ReplicaId,
    /// Its root.
    pub root: RootName,
    /// The number of its first event in its log.
    pub first_seq: u64,
    /// The ids of its events.
    pub events: Vec<EventId>,
    /// The event that a validator of this process refuses, and its message; `None` if the
    /// validators that refused it are not registered here.
    pub refusal: Option<(EventId, String)>,
}

/// What came of looking at the quarantine again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retried {
    /// Batches that are visible now.
    pub admitted: u64,
    /// Their events.
    pub admitted_events: u64,
    /// Batches that stay in quarantine.
    pub refused: u64,
}

impl Database {
    /// The batches that a validator refused when they arrived, in the order of arrival.
    ///
    /// # Errors
    /// [`ReadError`] if one cannot be read.
    pub fn quarantined(&self) -> Result<Vec<QuarantinedBatch>, ReadError> {
        let inner = self.inner();
        let mut frame = Vec::new();
        let all = inner.in_quarantine()?;
        all.iter().map(|batch| inner.describe(batch, &mut frame)).collect()
    }

    /// Has the validators of this process look at the quarantine again. What they take becomes
    /// visible, at new positions, and is durable when this returns.
    ///
    /// # Errors
    /// [`AppendError`]; what was admitted before it stays so, and is durable unless the log failed.
    pub fn retry_quarantine(&self) -> Result<Retried, AppendError> {
        self.inner().retry_quarantine()
    }
}

impl Inner {
    fn describe(
        &self,
        batch: &Quarantined,
        frame: &mut Vec<u8>,
    ) -> Result<QuarantinedBatch, ReadError> {
        let decode = |source| ReadError::Decode { position: Position::NONE, source };
        let place = Place::Quarantined(batch.commit, batch.index_in_commit);
        let view = BatchView::parse(self.batch_bytes(place, frame)?).map_err(decode)?;
        let mut scratch = DecodeScratch::default();
        let mut events = view.events(&mut scratch).map_err(decode)?;
        let (mut ids, mut refused) = (Vec::new(), None);
        let validators = self.validators();
        while let Some(event) = events.next().map_err(decode)? {
            ids.push(event.id());
            if refused.is_none() {
                refused = refusal(&validators, &event).map(|text| (event.id(), text));
            }
        }
        Ok(QuarantinedBatch {
            replica: batch.replica,
            root: view.header().root,
            first_seq: batch.first_seq,
            events: ids,
            refusal: refused,
        })
    }

    fn retry_quarantine(&self) -> Result<Retried, AppendError> {
        let writer = self.writer().ok_or(AppendError::ReadOnly)?;
        let mut retried = Retried::default();
        let mut all = self.in_quarantine()?;
        // Batches of one address leave together or not at all: the log tells them by it.
        all.sort_by(|a, b| address(a).cmp(&address(b)));
        let mut groups = all.chunk_by(|a, b| address(a) == address(b));
        let looked = groups.try_for_each(|group| self.retry_group(writer, group, &mut retried));
        // What was admitted before an error is durable, too.
        self.settle(writer, Durability::Flushed)?;
        looked.map(|()| retried)
    }

    /// Has the validators look at the batches of one address, and lets them in if they may.
    fn retry_group(
        &self,
        writer: &Writer,
        group: &[Quarantined],
        retried: &mut Retried,
    ) -> Result<(), AppendError> {
        let decode = |source| ReadError::Decode { position: Position::NONE, source };
        let mut batches: Vec<(BatchHeader, Hash, Vec<u8>)> = Vec::new();
        for batch in group {
            let place = Place::Quarantined(batch.commit, batch.index_in_commit);
            let bytes = self.batch_bytes(place, &mut Vec::new())?.to_vec();
            let view = BatchView::parse(&bytes).map_err(decode)?;
            batches.push((view.header().clone(), view.hash(), bytes));
        }
        let checked: Vec<Checked<'_>> = batches
            .iter()
            .map(|(header, hash, bytes)| Checked { header, hash: *hash, bytes })
            .collect();
        // Without any lock: a validator may ask the database.
        let prepared: Vec<Admission<'_>> = checked
            .iter()
            .map(|batch| Admission::prepare(self, batch))
            .collect::<Result<_, _>>()?;
        if prepared.iter().any(|admission| admission.status == BatchStatus::Quarantined) {
            retried.refused += group.len() as u64;
            return Ok(());
        }
        // Whoever takes batches in waits, so that the list stays what it is.
        let mut catalog = self.catalog()?;
        let is_of_group =
            |batch: &Quarantined| group.first().is_some_and(|one| address(one) == address(batch));
        let still = self.in_quarantine_where(is_of_group)?;
        if still != group {
            // Some came or left meanwhile: the next retry looks at those that are here.
            retried.refused += still.len() as u64;
            return Ok(());
        }
        for (admission, batch) in prepared.iter().zip(group) {
            match self.admit(writer, admission, BatchRole::Release) {
                Ok(place) => {
                    let released = admission.held(place);
                    if let Some(chains) = catalog.of_mut(&admission.root(), batch.replica) {
                        chains.release(&released);
                    }
                    retried.admitted += 1;
                    retried.admitted_events += u64::from(batch.event_count);
                }
                Err(AdmitError::Append(error)) => return Err(error),
                // It stood in the log before, and belongs nowhere else.
                Err(AdmitError::Own | AdmitError::Moved | AdmitError::TooLarge) => {
                    retried.refused += 1;
                }
            }
        }
        Ok(())
    }
}

fn address(batch: &Quarantined) -> (&str, ReplicaId, u64, u16) {
    (&batch.root, batch.replica, batch.first_seq, batch.event_count)
}
