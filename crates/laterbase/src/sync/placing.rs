//! Where a batch belongs: held, at the end of a log, or another one in the place of one that is
//! held.
//!
//! Told by what the batch says of itself: writer, root, number and the hash before it. Before the
//! first fork of a log the indexes answer, behind it the [chains](super::chains).

use laterbase_event::{Hash, ReplicaId, RootName};
use laterbase_log::BatchRole;
use laterbase_sync::{BatchEnd, Checked, Found, LogId, Split};

use super::catalog::Catalog;
use super::chains::{Belongs, Held};
use crate::inner::{Inner, lock};
use crate::read::ReadError;

impl Inner {
    /// The end of an unforked log, by the log itself.
    pub(super) fn log_end(&self, log: &LogId) -> Option<BatchEnd> {
        let parts = self.writer()?;
        let front = lock(&parts.front);
        let head = front.log.as_ref()?.heads().get(&log.replica, log.root.as_str())?;
        Some(BatchEnd { seq: head.seq, hash: head.hash })
    }

    /// The held batch with this last number and hash.
    pub(super) fn find_batch(
        &self,
        catalog: &Catalog,
        writer: ReplicaId,
        root: &RootName,
        last_seq: u64,
        hash: &Hash,
    ) -> Result<Option<Found>, ReadError> {
        let plain = LogId::new(*root, writer);
        if let Some(chains) = catalog.of(root, writer)
            && last_seq > chains.trunk_seq()
        {
            let found = chains.find(last_seq, hash);
            return Ok(found.map(|(log, held)| Found { log, last_hlc: held.last_hlc }));
        }
        if let Some(parts) = self.writer()
            && let Some(log) = &lock(&parts.front).log
            && catalog.of(root, writer).is_none()
        {
            match log.heads().get(&writer, root.as_str()) {
                Some(head) if head.seq == last_seq => {
                    let found = Found { log: plain, last_hlc: head.hlc };
                    return Ok((head.hash == *hash).then_some(found));
                }
                Some(head) if head.seq > last_seq => {}
                Some(_) | None => return Ok(None),
            }
        }
        let Some(batch) = self.shelved(root, writer, last_seq)? else { return Ok(None) };
        if batch.last_seq() != last_seq {
            return Ok(None);
        }
        let held: Held = self.held(batch.place, &mut Vec::new())?;
        Ok((held.hash == *hash).then_some(Found { log: plain, last_hlc: held.last_hlc }))
    }

    /// Where a batch belongs.
    pub(super) fn place_of(
        &self,
        catalog: &mut Catalog,
        batch: &Checked<'_>,
    ) -> Result<Belongs, ReadError> {
        let header = batch.header;
        let (writer, root) = (header.replica, header.root);
        let log = LogId::new(root, writer);
        if catalog.of(&root, writer).is_none() && self.role_of(batch) == BatchRole::Continues {
            return Ok(Belongs::EndOf(log));
        }
        if self.find_batch(catalog, writer, &root, header.last_seq(), &batch.hash)?.is_some() {
            return Ok(Belongs::Held);
        }
        if let Some(chains) = catalog.of(&root, writer)
            && header.first_seq > chains.trunk_seq()
        {
            let numbers = (header.first_seq, header.last_seq());
            return Ok(chains.belongs(numbers, &header.previous, &batch.hash));
        }
        let before = header.first_seq.saturating_sub(1);
        if before > 0
            && self.find_batch(catalog, writer, &root, before, &header.previous)?.is_none()
        {
            return Ok(Belongs::Elsewhere);
        }
        // The one before it is here, and is the end of the log or not.
        let next = self.shelved(&root, writer, header.first_seq)?;
        Ok(next.map_or(Belongs::EndOf(log), |next| Belongs::Fork { log, ours: next.place }))
    }

    /// Whether a batch continues its writer's log as the log itself knows it.
    pub(super) fn role_of(&self, batch: &Checked<'_>) -> BatchRole {
        let header = batch.header;
        let end = self.log_end(&LogId::new(header.root, header.replica));
        let (seq, hash) = end.map_or((0, Hash::ZERO), |end| (end.seq, end.hash));
        if header.first_seq == seq + 1 && header.previous == hash {
            BatchRole::Continues
        } else {
            BatchRole::Branch
        }
    }

    /// Has the batches of a writer in the catalog from a fork on.
    pub(super) fn grow_chains(
        &self,
        catalog: &mut Catalog,
        root: &RootName,
        writer: ReplicaId,
        split: &Split,
    ) -> Result<(), ReadError> {
        let is_there =
            catalog.of(root, writer).is_some_and(|chains| split.after >= chains.trunk_seq());
        if !is_there {
            let chains = self.build_chains(root, writer, split.after + 1)?;
            catalog.set(*root, writer, chains);
        }
        Ok(())
    }
}
