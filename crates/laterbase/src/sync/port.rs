//! The database as sync sessions see it: [`laterbase_sync::Replica`] over log and indexes.
//!
//! Batches that are offered are staged; [`Replica::flush`] makes them durable together, and takes
//! the heads that the session works with until the next flush. So what a session offers, reads out
//! and acknowledges is always on the device.

use std::cell::Cell;
use std::sync::Arc;

use laterbase_event::{DatabaseId, Hash, Hlc, ReplicaId, RootName};
use laterbase_log::BatchRole;
use laterbase_sync::frame::Codec;
use laterbase_sync::mutant::{self, Mutant};
use laterbase_sync::{
    BatchEnd, Checked, Found, Heads, LogId, Offer, Outcome, PeerMemory, Replica, Split, StoreError,
};

use super::admit::{Admission, AdmitError};
use super::catalog::HeadsAt;
use super::chains::{Belongs, Place};
use super::codec::Zstd;
use crate::append::AppendError;
use crate::database::Database;
use crate::inner::Inner;
use crate::progress::Durability;
use crate::read::ReadError;

/// The first batches of two branches of one fork.
type Proof = (Vec<u8>, Vec<u8>);

/// A database as one sync session sees it. Made by [`Database::sync_port`]; cheap.
#[derive(Debug)]
pub struct SyncPort {
    inner: Arc<Inner>,
    heads: HeadsAt,
    /// A look-up failed: nothing that was decided since may leave.
    failed: Cell<bool>,
}

impl Database {
    /// This database as a session of [`sync`](crate::sync) sees it: one port per session, as many
    /// at a time as there are peers.
    ///
    /// Everything that a peer sends is checked, stored and forwarded; what a validator refuses is
    /// quarantined. When a peer turns out to know this copy's own log further than the copy itself,
    /// the copy was restored or cloned: it takes a new replica id before it stores anything of
    /// that, so [`Database::replica`] may change.
    ///
    /// # Errors
    /// [`AppendError::ReadOnly`] if the handle only reads; [`AppendError::Read`] if the log or the
    /// indexes cannot be read.
    pub fn sync_port(&self) -> Result<SyncPort, AppendError> {
        let inner = Arc::clone(self.inner());
        if inner.writer().is_none() {
            return Err(AppendError::ReadOnly);
        }
        inner.record_reincarnations()?;
        inner.record_forks()?;
        // In this order: what is appended meanwhile is not in these heads.
        let heads = inner.heads_at()?;
        inner.wait_for(heads.commit.saturating_sub(1), Durability::Flushed)?;
        Ok(SyncPort { inner, heads, failed: Cell::new(false) })
    }

    /// A port to send from, of a database that may be open for reading alone: what another process
    /// has flushed so far. It takes nothing in.
    ///
    /// # Errors
    /// [`AppendError`] if what is held cannot be read, or cannot be made durable.
    pub fn export_port(&self) -> Result<SyncPort, AppendError> {
        if self.inner().writer().is_some() {
            return self.sync_port();
        }
        let inner = Arc::clone(self.inner());
        let heads = inner.heads_at()?;
        Ok(SyncPort { inner, heads, failed: Cell::new(false) })
    }
}

impl SyncPort {
    /// Keeps what a session has learnt of its peer, so that the next one sends changes only. Asked
    /// of [`Session::memory`](laterbase_sync::Session::memory) at the end, or whenever it is cut.
    pub fn remember(&mut self, memory: &PeerMemory) {
        self.inner.remember(memory);
    }

    /// Records what a session reports and what must outlast it: forks go to `_sys`, with the peer
    /// that brought them.
    ///
    /// # Errors
    /// [`AppendError`] if it cannot be recorded. The fork itself is kept all the same.
    pub fn record(&mut self, outcome: &Outcome) -> Result<(), AppendError> {
        self.inner.record_outcome(outcome)
    }

    /// The answer, or nothing, and then the session ends at the next flush.
    fn noted<T>(&self, answer: Result<Option<T>, ReadError>) -> Option<T> {
        answer.unwrap_or_else(|_| {
            self.failed.set(true);
            None
        })
    }

    fn try_end_before(&self, log: &LogId, seq: u64) -> Result<Option<BatchEnd>, ReadError> {
        let catalog = self.inner.catalog()?;
        let writer = match catalog.with_log(log) {
            Some((_, chains)) if seq >= chains.trunk_seq() => {
                return Ok(chains.end_before(log, seq));
            }
            Some((writer, _)) => writer,
            None => {
                // The log as it is now, which may go further than the heads of this port.
                if let Some(head) = self.inner.log_end(log)
                    && head.seq <= seq
                {
                    return Ok(Some(head));
                }
                log.replica
            }
        };
        drop(catalog);
        self.inner.plain_end_before(&log.root, writer, seq)
    }

    fn try_find(
        &self,
        writer: ReplicaId,
        root: &RootName,
        last_seq: u64,
        hash: &Hash,
    ) -> Result<Option<Found>, ReadError> {
        let catalog = self.inner.catalog()?;
        self.inner.find_batch(&catalog, writer, root, last_seq, hash)
    }

    fn try_read(
        &self,
        log: &LogId,
        after: u64,
        bytes_max: u64,
        out: &mut Vec<Vec<u8>>,
    ) -> Result<(), ReadError> {
        let inner = &self.inner;
        let (writer, upto, behind) = {
            let catalog = inner.catalog()?;
            match catalog.with_log(log) {
                Some((writer, chains)) => (writer, chains.trunk_seq(), chains.way(log, after)),
                None => (log.replica, u64::MAX, Vec::new()),
            }
        };
        let mut frame = Vec::new();
        let mut left = bytes_max;
        let mut take = |place: Place| -> Result<bool, ReadError> {
            let bytes = inner.batch_bytes(place, &mut frame)?;
            let size = bytes.len() as u64;
            if size > left && !out.is_empty() {
                return Ok(false);
            }
            left = left.saturating_sub(size);
            out.push(bytes.to_vec());
            Ok(true)
        };
        let mut is_over = false;
        if after < upto {
            let mut next = None;
            inner.shelved_after(&log.root, writer, after, |batch| {
                if batch.first_seq > upto {
                    return Ok(false);
                }
                // The log may have been forked, or a batch released, since it was looked at: what
                // goes out in one answer is one chain.
                let follows = next.is_none_or(|next| batch.first_seq == next);
                is_over = !follows || !take(batch.place)?;
                next = Some(batch.last_seq().saturating_add(1));
                Ok(!is_over)
            })?;
        }
        for held in behind {
            if is_over {
                break;
            }
            is_over = !take(held.place)?;
        }
        Ok(())
    }

    fn try_offer(&self, batch: &Checked<'_>) -> Result<Offer, AdmitError> {
        let inner = &self.inner;
        let writer = inner.writer().ok_or(AppendError::ReadOnly)?;
        let admission = Admission::prepare(inner, batch).map_err(AppendError::Read)?;
        loop {
            let mut catalog = inner.catalog().map_err(AppendError::Read)?;
            let place = inner.place_of(&mut catalog, batch).map_err(AppendError::Read)?;
            let (log, role) = match place {
                Belongs::Held if mutant::is_active(Mutant::NoDuplicateCheck) => {
                    (LogId::new(batch.header.root, batch.header.replica), BatchRole::Branch)
                }
                Belongs::Held => return Ok(Offer::AlreadyHeld),
                Belongs::Elsewhere if mutant::is_active(Mutant::AcceptGap) => {
                    (LogId::new(batch.header.root, batch.header.replica), BatchRole::Branch)
                }
                Belongs::Elsewhere => return Ok(Offer::Gap),
                Belongs::Fork { log, ours } => {
                    let mut frame = Vec::new();
                    let ours = inner.batch_bytes(ours, &mut frame).map_err(AppendError::Read)?;
                    return Ok(Offer::Fork { log, ours: ours.to_vec() });
                }
                Belongs::EndOf(log) => (log, inner.role_of(batch)),
            };
            if self.is_of_another_copy(batch) {
                inner.reincarnate(writer)?;
            }
            match inner.admit(writer, &admission, role) {
                Ok(place) => {
                    let root = &batch.header.root;
                    if let Some(chains) = catalog.of_mut(root, batch.header.replica) {
                        chains.push(log, admission.held(place));
                    }
                    return Ok(Offer::Stored { log });
                }
                // A local append came between: look again.
                Err(AdmitError::Own | AdmitError::Moved) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether another copy wrote a batch that is to be stored under this copy's own id.
    fn is_of_another_copy(&self, batch: &Checked<'_>) -> bool {
        batch.header.replica == self.inner.replica() && !mutant::is_active(Mutant::NoNewId)
    }

    fn try_split(&self, split: &Split, batch: &Checked<'_>) -> Result<(), AdmitError> {
        let inner = &self.inner;
        let writer = inner.writer().ok_or(AppendError::ReadOnly)?;
        let admission = Admission::prepare(inner, batch).map_err(AppendError::Read)?;
        let (root, of) = (batch.header.root, batch.header.replica);
        let mut catalog = inner.catalog().map_err(AppendError::Read)?;
        let found = inner
            .find_batch(&catalog, of, &root, batch.header.last_seq(), &batch.hash)
            .map_err(AppendError::Read)?;
        if found.is_some() {
            return Ok(());
        }
        if self.is_of_another_copy(batch) {
            inner.reincarnate(writer)?;
        }
        let place = inner.admit(writer, &admission, BatchRole::Branch)?;
        // Only now: a log whose other branch could not be stored is none that is forked.
        if let Err(error) = inner.grow_chains(&mut catalog, &root, of, split) {
            catalog.forget(&root, of);
            return Err(AppendError::Read(error).into());
        }
        // Where it belongs now: another session may have split the log since it was asked.
        if let Some(chains) = catalog.of_mut(&root, of)
            && !chains.add(admission.held(place))
        {
            catalog.forget(&root, of);
        }
        Ok(())
    }

    fn try_proof(&self, branch: &LogId) -> Result<Option<Proof>, ReadError> {
        let proof = {
            let catalog = self.inner.catalog()?;
            catalog.with_log(branch).and_then(|(_, chains)| chains.proof(branch))
        };
        let Some((one, other)) = proof else { return Ok(None) };
        let mut frame = Vec::new();
        let one = self.inner.batch_bytes(one, &mut frame)?.to_vec();
        let other = self.inner.batch_bytes(other, &mut frame)?.to_vec();
        Ok(Some((one, other)))
    }

    fn try_flush(&mut self) -> Result<(), AppendError> {
        let inner = &self.inner;
        if inner.writer().is_none() {
            // Nothing was taken in, and what is sent is what was there when it began.
            return Ok(());
        }
        inner.record_reincarnations()?;
        if self.heads.commit == inner.next_commit() {
            return inner.check_failure();
        }
        let heads = inner.heads_at()?;
        if mutant::is_active(Mutant::EarlyAck) {
            self.heads = heads;
            return Ok(());
        }
        inner.wait_for(heads.commit.saturating_sub(1), Durability::Flushed)?;
        self.heads = heads;
        Ok(())
    }
}

impl Drop for SyncPort {
    fn drop(&mut self) {
        // A connection that was cut may have left something staged: nobody was told of it, and
        // readers need not wait for the next append to see it.
        if self.inner.options.threads && self.heads.commit != self.inner.next_commit() {
            self.inner.bell.ring_commit();
        }
    }
}

impl Replica for SyncPort {
    fn database(&self) -> DatabaseId {
        self.inner.database
    }

    fn replica(&self) -> ReplicaId {
        self.inner.replica()
    }

    fn clock(&self) -> Hlc {
        self.inner.clock_value()
    }

    fn wall_ms(&self) -> u64 {
        self.inner.environment.now_us().max(0).unsigned_abs() / 1000
    }

    fn change_count(&self) -> u64 {
        self.heads.commit
    }

    fn heads(&self) -> Heads {
        Heads::clone(&self.heads.heads)
    }

    fn end_before(&self, log: &LogId, seq: u64) -> Option<BatchEnd> {
        let end = self.noted(self.try_end_before(log, seq));
        if mutant::is_active(Mutant::BelieveHeads)
            && log.replica == self.replica()
            && seq != u64::MAX
            && end.is_some_and(|end| end.seq < seq)
            && let Some(writer) = self.inner.writer()
        {
            let _ = self.inner.reincarnate(writer);
        }
        end
    }

    fn find(
        &self,
        writer: ReplicaId,
        root: &RootName,
        last_seq: u64,
        hash: &Hash,
    ) -> Option<Found> {
        self.noted(self.try_find(writer, root, last_seq, hash))
    }

    fn read(
        &self,
        log: &LogId,
        after: u64,
        bytes_max: u64,
        out: &mut Vec<Vec<u8>>,
    ) -> Result<(), StoreError> {
        self.try_read(log, after, bytes_max, out).map_err(|_| StoreError::Failed)
    }

    fn offer(&mut self, batch: &Checked<'_>) -> Offer {
        match self.try_offer(batch) {
            Ok(offer) => offer,
            Err(AdmitError::TooLarge) => Offer::Refused,
            Err(error) => Offer::Failed(store_error(&error)),
        }
    }

    fn split(&mut self, split: &Split, batch: &Checked<'_>) -> Result<(), StoreError> {
        self.try_split(split, batch).map_err(|error| store_error(&error))
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        if self.failed.get() {
            return Err(StoreError::Failed);
        }
        self.try_flush().map_err(|error| store_error(&AdmitError::Append(error)))
    }

    fn proof(&self, branch: &LogId) -> Option<(Vec<u8>, Vec<u8>)> {
        self.noted(self.try_proof(branch))
    }

    fn recall(&self, peer: ReplicaId) -> Option<PeerMemory> {
        self.inner.recall(peer)
    }

    fn remember(&mut self, memory: &PeerMemory) {
        Self::remember(self, memory);
    }

    fn record(&mut self, outcome: &Outcome) {
        if Self::record(self, outcome).is_err() {
            self.failed.set(true);
        }
    }

    fn validators(&self) -> Option<[u8; 8]> {
        self.inner.validators().fingerprint()
    }

    fn codec(&self) -> Option<&dyn Codec> {
        Some(&Zstd)
    }
}

impl Inner {
    /// The highest clock value given out or taken.
    fn clock_value(&self) -> Hlc {
        let front = self.writer().map(|parts| crate::inner::lock(&parts.front).clock.last());
        front.unwrap_or(Hlc::ZERO)
    }
}

fn store_error(error: &AdmitError) -> StoreError {
    match error {
        AdmitError::Append(AppendError::Failed { cause }) if cause.cause.is_full() => {
            StoreError::Full
        }
        AdmitError::Append(AppendError::IndexesFull { .. }) => StoreError::Full,
        AdmitError::Append(_) | AdmitError::Own | AdmitError::Moved | AdmitError::TooLarge => {
            StoreError::Failed
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use laterbase_event::EventDraft;
    use laterbase_sync::frame::Reason;
    use laterbase_sync::{MemoryReplica, Session, SessionConfig, Status};

    use super::*;
    use crate::new_event::NewEvent;
    use crate::options::Options;

    fn write(copy: &mut MemoryReplica, key: &str, count: usize) {
        let draft = EventDraft {
            content_type: "application/json",
            payload: b"{}",
            ..EventDraft::new(key, "seen")
        };
        assert!(copy.append(&"truck".try_into().unwrap(), 1000, &vec![draft; count]));
    }

    /// A session in which a database takes what a copy holds: how it ended.
    fn bring(mut copy: MemoryReplica, db: &Database) -> Status {
        let mut port = db.sync_port().unwrap();
        let mut asks = Session::initiator(SessionConfig::default(), None);
        let mut answers = Session::responder(SessionConfig::default());
        for _ in 0..9 {
            let up = asks.poll_flight(0, &mut copy);
            answers.handle_flight(&up, 0, &mut port);
            let down = answers.poll_flight(0, &mut port);
            asks.handle_flight(&down, 0, &mut copy);
        }
        answers.status()
    }

    #[test]
    fn a_split_that_cannot_be_stored_leaves_no_chains() {
        let dir = tempfile::tempdir().unwrap();
        let mut options = Options::small_device();
        options.log.commit_bytes_max = 4096;
        let db = Database::create(dir.path(), options).unwrap();
        let mut one = MemoryReplica::new(db.id(), ReplicaId::from_u64(7));
        let mut other = one.clone();
        write(&mut one, "one", 1);
        write(&mut other, "other", 2000);
        assert_eq!(bring(one.clone(), &db), Status::Closed(Reason::Done));
        assert_eq!(bring(other, &db), Status::Closed(Reason::Storage));
        assert_eq!(db.inner().catalog().unwrap().iter().count(), 0);
        write(&mut one, "one", 1);
        assert_eq!(bring(one, &db), Status::Closed(Reason::Done));
    }

    /// One log and nothing else: an event's number is its position.
    #[test]
    fn a_port_begins_with_heads_that_are_on_the_device() {
        let dir = tempfile::tempdir().unwrap();
        let mut options = Options::small_device();
        options.threads = false;
        let db = Database::create(dir.path(), options).unwrap();
        let log = LogId::new("truck".try_into().unwrap(), db.replica());
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let mut commit = db.commit();
                    commit.durability(Durability::Relaxed);
                    commit.push(&NewEvent::new("truck", "7", "seen")).unwrap();
                    drop(db.append(&mut commit).unwrap());
                    std::thread::yield_now();
                }
            });
            let (mut behind, mut last, mut rounds) = (None, 0, 0);
            while rounds < 500 && behind.is_none() {
                let port = db.sync_port().unwrap();
                let offered = port.heads().get(&log).map_or(0, |head| head.seq);
                let flushed = db.inner().progress.flushed().as_u64();
                behind = (offered > flushed).then_some((offered, flushed));
                rounds += u64::from(offered > last);
                last = offered;
            }
            is_over.store(true, Ordering::Relaxed);
            assert_eq!(behind, None, "offered and flushed");
        });
    }
}
