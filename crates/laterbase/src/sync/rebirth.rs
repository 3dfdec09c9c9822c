//! A new replica id for a copy that others know further than it knows itself, and the record of it.
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

use laterbase_sync::{LogId, Outcome};
use serde_json::json;

use crate::append::AppendError;
use crate::commit::Commit;
use crate::inner::{Inner, Writer, lock};
use crate::new_event::NewEvent;
use crate::open::Reincarnation;
use crate::progress::Durability;
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
        let name = |log: &LogId| log.replica.to_string();
        let mut branches = [name(ours), name(theirs)];
        branches.sort_unstable();
        let key = format!("forked/{}/{}", log.root.as_str(), branches.join("/"));
        let content = json!({
            "root": log.root.as_str(), "replica": writer.to_string(), "seq": seq,
            "branches": branches,
            "brought_by": via.map(|via| via.to_string()), "signed": signed,
        });
        self.record_in_system(&writer.to_string(), "forked", &key, &content)
    }

    /// Appends an event to `_sys`, once per idempotency key.
    fn record_in_system(
        self: &Arc<Self>,
        key: &str,
        type_name: &str,
        idempotency_key: &str,
        content: &serde_json::Value,
    ) -> Result<(), AppendError> {
        let term = self.hasher.idempotency(SYSTEM_ROOT, idempotency_key.as_bytes());
        let named = (SYSTEM_ROOT, idempotency_key.as_bytes());
        let view = self.view()?;
        if crate::decide::find_keyed_with(&view, term, named, |_, _| ())?.is_some() {
            return Ok(());
        }
        let limits = laterbase_event::Limits::default();
        let validators = Validators::default();
        let mut commit = Commit::new(self.hasher, limits, validators, Durability::Flushed);
        let event = NewEvent::new(SYSTEM_ROOT, key, type_name)
            .bytes(crate::CONTENT_TYPE_JSON, content.to_string())
            .idempotency_key(idempotency_key);
        // Its parts are names and numbers of ours, which keep to every limit.
        if commit.push(&event).is_err() {
            return Ok(());
        }
        match self.append(&mut commit) {
            Ok(ticket) => ticket.wait().map(drop),
            // Another replica's record of it is here already, and not visible yet.
            Err(AppendError::IdempotencyConflict { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

fn reason_text(reason: Option<Reincarnation>) -> &'static str {
    match reason {
        Some(Reincarnation::Copied) => "copied",
        Some(Reincarnation::ClockAhead) => "clock_ahead",
        Some(Reincarnation::KnownToPeer) => "known_to_peer",
        None => "unknown",
    }
}
