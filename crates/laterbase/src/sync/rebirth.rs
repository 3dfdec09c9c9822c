//! A new replica id for a copy that others know further than it knows itself, and what `_sys`
//! records of new ids and of forks.
//!
//! ```text
//!   own log comes back ─▶ identity: new id, on the device ─▶ front writes under it ─▶ batch stored
//!                                                                └─▶ `_sys`: reincarnated
//! ```
//! The identity comes first: after a crash at any point the copy never writes under the old id
//! again. The record in `_sys` is made when the database syncs next: a copy that is only opened
//! stays as it is.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use laterbase_event::{BatchView, EventId, Position, ReplicaId};
use laterbase_sync::{LogId, Outcome};
use serde_json::json;

use crate::append::AppendError;
use crate::commit::Commit;
use crate::inner::{Inner, Writer, lock};
use crate::new_event::NewEvent;
use crate::open::Reincarnation;
use crate::progress::Durability;
use crate::read::ReadError;
use crate::validator::Validators;

/// The root of what a database records about itself.
pub(crate) const SYSTEM_ROOT: &str = "_sys";

impl Inner {
    /// Takes a new replica id, durably, before anything else is written.
    pub(crate) fn reincarnate(&self, writer: &Writer) -> Result<(), AppendError> {
        let mut identity = lock(&writer.identity);
        let mut next = identity.clone();
        let reason = Reincarnation::KnownToPeer;
        next.reincarnate(self.environment.as_ref(), reason).map_err(AppendError::Identity)?;
        next.write(self.storage.as_ref()).map_err(AppendError::Identity)?;
        *identity = next;
        let mut front = lock(&writer.front);
        front.clock.reincarnate(identity.replica);
        self.replica.store(identity.replica.as_u64(), Ordering::Release);
        drop(front);
        writer.is_unrecorded.store(true, Ordering::Release);
        Ok(())
    }

    /// Records all reincarnations in `_sys` that are not there.
    pub(crate) fn record_reincarnations(self: &Arc<Self>) -> Result<(), AppendError> {
        let Some(writer) = self.writer() else { return Ok(()) };
        if !writer.is_unrecorded.load(Ordering::Acquire) {
            return Ok(());
        }
        let (replica, former) = {
            let identity = lock(&writer.identity);
            (identity.replica, identity.former.clone())
        };
        let next = former.iter().skip(1).map(|former| former.replica).chain([replica]);
        for (former, to) in former.iter().zip(next) {
            let key = format!("reincarnated/{to}");
            let content = json!({ "from": former.replica.to_string(), "to": to.to_string(),
                "reason": reason_text(former.reason) });
            self.record_in_system(&to.to_string(), "reincarnated", &key, &content)?;
        }
        // Another one may have come meanwhile.
        let identity = lock(&writer.identity);
        if identity.replica == replica {
            writer.is_unrecorded.store(false, Ordering::Release);
        }
        Ok(())
    }

    /// Records what a session reports.
    pub(crate) fn record_outcome(self: &Arc<Self>, outcome: &Outcome) -> Result<(), AppendError> {
        let Outcome::Forked { log, writer, seq, ours, theirs, via, signed } = outcome else {
            return Ok(());
        };
        let (of, seq, branches) = (*writer, *seq, [*ours, *theirs]);
        let record = ForkRecord { log: *log, of, seq, branches, via: *via, signed: *signed };
        let recorded = self.record_fork(&record);
        if let (Err(_), Some(writer)) = (&recorded, self.writer()) {
            writer.may_lack_forks.store(true, Ordering::Release);
        }
        recorded
    }

    /// Records the forks that are held and that `_sys` does not name: a session may have ended
    /// between the two. Looks at them once for each time that the database is opened.
    pub(crate) fn record_forks(self: &Arc<Self>) -> Result<(), AppendError> {
        let Some(writer) = self.writer() else { return Ok(()) };
        if !writer.may_lack_forks.swap(false, Ordering::AcqRel) {
            return Ok(());
        }
        let recorded = self.record_forks_held();
        if recorded.is_err() {
            writer.may_lack_forks.store(true, Ordering::Release);
        }
        recorded
    }

    fn record_forks_held(self: &Arc<Self>) -> Result<(), AppendError> {
        for fork in self.forks()? {
            let names: Vec<LogId> =
                fork.branches.iter().map(|(name, _)| LogId::new(fork.root, *name)).collect();
            for branch in &names {
                let mut others = names.iter().filter(|other| *other != branch).copied();
                let Some(other) = others.clone().next() else { continue };
                let mut is_recorded = false;
                while !is_recorded && let Some(other) = others.next() {
                    is_recorded = self.is_recorded(&fork_key(&[*branch, other]))?;
                }
                if !is_recorded {
                    self.record_fork(&ForkRecord {
                        log: fork.log,
                        of: fork.replica,
                        seq: fork.seq,
                        branches: [other, *branch],
                        via: None,
                        signed: self.is_signed(branch)?,
                    })?;
                }
            }
        }
        Ok(())
    }

    /// Whether the first batch of a branch carries a signature.
    fn is_signed(&self, branch: &LogId) -> Result<bool, ReadError> {
        let first = {
            let catalog = self.catalog()?;
            catalog.with_log(branch).and_then(|(_, chains)| chains.proof(branch))
        };
        let Some((first, _)) = first else { return Ok(false) };
        let mut frame = Vec::new();
        let view = BatchView::parse(self.batch_bytes(first, &mut frame)?)
            .map_err(|source| ReadError::Decode { position: Position::NONE, source })?;
        Ok(view.signature().is_some())
    }

    fn record_fork(self: &Arc<Self>, record: &ForkRecord) -> Result<(), AppendError> {
        let writer = record.of.to_string();
        let content = json!({
            "root": record.log.root.as_str(), "replica": writer, "seq": record.seq,
            "branches": branch_names(&record.branches),
            "brought_by": record.via.map(|via| via.to_string()), "signed": record.signed,
        });
        self.record_in_system(&writer, "forked", &fork_key(&record.branches), &content)
    }

    /// Whether `_sys` has an event with this idempotency key.
    fn is_recorded(self: &Arc<Self>, idempotency_key: &str) -> Result<bool, ReadError> {
        let term = self.hasher.idempotency(SYSTEM_ROOT, idempotency_key.as_bytes());
        let named = (SYSTEM_ROOT, idempotency_key.as_bytes());
        Ok(crate::decide::find_keyed_with(&self.view()?, term, named, |_, _| ())?.is_some())
    }

    /// Appends an event to `_sys`, once per idempotency key.
    fn record_in_system(
        self: &Arc<Self>,
        key: &str,
        type_name: &str,
        idempotency_key: &str,
        content: &serde_json::Value,
    ) -> Result<(), AppendError> {
        if self.is_recorded(idempotency_key)? {
            return Ok(());
        }
        match self.append_to_system(key, type_name, Some(idempotency_key), content) {
            // Another replica's record of it is here already, and not visible yet.
            Ok(_) | Err(AppendError::IdempotencyConflict { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Appends an event to `_sys`; answers its id once it is flushed.
    pub(crate) fn append_to_system(
        self: &Arc<Self>,
        key: &str,
        type_name: &str,
        idempotency_key: Option<&str>,
        content: &serde_json::Value,
    ) -> Result<Option<EventId>, AppendError> {
        let limits = laterbase_event::Limits::default();
        let validators = Validators::default();
        let mut commit = Commit::new(self.hasher, limits, validators, Durability::Flushed);
        let mut event = NewEvent::new(SYSTEM_ROOT, key, type_name)
            .bytes(crate::CONTENT_TYPE_JSON, content.to_string());
        if let Some(idempotency_key) = idempotency_key {
            event = event.idempotency_key(idempotency_key);
        }
        // Its parts are names and numbers of ours, which keep to every limit. If one did not, the
        // commit would be empty, which is refused.
        let _ = commit.push_own(&event);
        self.append(&mut commit)?.wait().map(|appended| appended.id(0))
    }
}

/// What is recorded of two branches of a fork.
struct ForkRecord {
    log: LogId,
    of: ReplicaId,
    seq: u64,
    branches: [LogId; 2],
    via: Option<ReplicaId>,
    signed: bool,
}

fn branch_names(branches: &[LogId; 2]) -> [String; 2] {
    let mut names = branches.map(|branch| branch.replica.to_string());
    names.sort_unstable();
    names
}

fn fork_key(branches: &[LogId; 2]) -> String {
    let [one, _] = branches;
    format!("forked/{}/{}", one.root.as_str(), branch_names(branches).join("/"))
}

fn reason_text(reason: Option<Reincarnation>) -> &'static str {
    match reason {
        Some(Reincarnation::Copied) => "copied",
        Some(Reincarnation::ClockAhead) => "clock_ahead",
        Some(Reincarnation::KnownToPeer) => "known_to_peer",
        None => "unknown",
    }
}
