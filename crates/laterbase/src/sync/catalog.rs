//! What sessions share: the forked logs, and the heads of all logs at one moment.

use std::collections::BTreeMap;
use std::sync::{Arc, MutexGuard};

use laterbase_event::{ReplicaId, RootName};
use laterbase_sync::{BatchEnd, Head, Heads, LogId};

use super::chains::{Chains, Held};
use super::shelf::Shelved;
use crate::inner::{Inner, lock};
use crate::read::ReadError;

/// The forked logs of a database and the last heads that were made.
///
/// Whoever takes a batch in holds it until the batch is staged, so that of two sessions that bring
/// the same batch one finds it held.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    /// By root and writer.
    chains: BTreeMap<(RootName, ReplicaId), Chains>,
    heads: Option<HeadsAt>,
}

/// The heads of all logs, and a number that rises whenever they change.
#[derive(Debug, Clone, Default)]
pub(crate) struct HeadsAt {
    pub(crate) commit: u64,
    pub(crate) heads: Arc<Heads>,
}

impl Inner {
    /// The catalog, with the chains of all logs that are forked by now.
    pub(crate) fn catalog(&self) -> Result<MutexGuard<'_, Catalog>, ReadError> {
        let mut catalog = lock(&self.catalog);
        for (root, writer) in self.forked_logs()? {
            if catalog.of(&root, writer).is_none() {
                let from = self.first_fork(&root, writer)?;
                let chains = self.build_chains(&root, writer, from)?;
                catalog.set(root, writer, chains);
            }
        }
        Ok(catalog)
    }

    /// The number of the first event at which two batches of the log begin.
    fn first_fork(&self, root: &RootName, writer: ReplicaId) -> Result<u64, ReadError> {
        let (mut last, mut fork) = (0, None);
        self.shelved_after(root, writer, 0, |batch| {
            if batch.first_seq == last {
                fork = Some(last);
            }
            last = batch.first_seq;
            Ok(fork.is_none())
        })?;
        // One of the two may be lost to damage; then all of the log is looked at.
        Ok(fork.unwrap_or(1))
    }

    /// The tree of a writer's batches from an event on. What follows nothing that is held, as after
    /// damage that was accepted, is in no log; [`Inner::loose_batches`] names it.
    pub(crate) fn build_chains(
        &self,
        root: &RootName,
        writer: ReplicaId,
        from: u64,
    ) -> Result<Chains, ReadError> {
        self.build_chains_with(root, writer, from, |_| {})
    }

    /// The batches of forked logs that follow nothing that is held: root, writer and first number.
    pub(crate) fn loose_batches(&self) -> Result<Vec<(RootName, ReplicaId, u64)>, ReadError> {
        // Held, so that no batch comes without the one before it.
        let _still = lock(&self.catalog);
        let mut loose = Vec::new();
        for (root, writer) in self.forked_logs()? {
            self.build_chains_with(&root, writer, 1, |held| {
                loose.push((root, writer, held.first_seq));
            })?;
        }
        Ok(loose)
    }

    fn build_chains_with(
        &self,
        root: &RootName,
        writer: ReplicaId,
        from: u64,
        mut loose: impl FnMut(&Held),
    ) -> Result<Chains, ReadError> {
        let mut frame = Vec::new();
        let trunk = match from.checked_sub(1).filter(|seq| *seq > 0) {
            Some(before) => self.plain_end_before(root, writer, before)?,
            None => None,
        };
        let mut chains = Chains::new(*root, writer, trunk);
        let mut places: Vec<Shelved> = Vec::new();
        self.shelved_after(root, writer, from.saturating_sub(1), |batch| {
            places.push(batch);
            Ok(true)
        })?;
        // By number, so that each comes behind the one it follows.
        for batch in places {
            let held = self.held(batch.place, &mut frame)?;
            if !chains.add(held) {
                loose(&held);
            }
        }
        Ok(chains)
    }

    /// The last batch that ends at or before `seq` in a log, or in the part of it that is not
    /// forked.
    pub(crate) fn plain_end_before(
        &self,
        root: &RootName,
        writer: ReplicaId,
        seq: u64,
    ) -> Result<Option<BatchEnd>, ReadError> {
        let Some(batch) = self.shelved(root, writer, seq)? else { return Ok(None) };
        let (header, hash) = self.batch_front(batch.place, &mut Vec::new())?;
        if header.replica != writer || header.root != *root {
            return Ok(None);
        }
        if header.last_seq() == seq {
            return Ok(Some(BatchEnd { seq, hash }));
        }
        let before = header.first_seq.saturating_sub(1);
        Ok((before > 0).then_some(BatchEnd { seq: before, hash: header.previous }))
    }

    /// The heads of all logs, branches among them.
    pub(crate) fn heads_at(&self) -> Result<HeadsAt, ReadError> {
        let mut catalog = self.catalog()?;
        self.heads_in(&mut catalog)
    }

    /// The heads of all logs, by a catalog that is held.
    pub(crate) fn heads_in(&self, catalog: &mut Catalog) -> Result<HeadsAt, ReadError> {
        if let Some(made) = &catalog.heads
            && made.commit == self.next_commit()
        {
            return Ok(made.clone());
        }
        let logs = self.logs_at()?;
        let mut heads = Heads::new();
        for (root, replica, head) in logs.heads.iter() {
            if let Ok(root) = RootName::try_from(root)
                && !catalog.chains.contains_key(&(root, replica))
            {
                heads.insert(LogId::new(root, replica), Head::plain(head.seq, &head.hash));
            }
        }
        heads.extend(catalog.chains.values().flat_map(Chains::heads));
        let made = HeadsAt { commit: logs.commit, heads: Arc::new(heads) };
        catalog.heads = Some(made.clone());
        Ok(made)
    }
}

impl Catalog {
    /// The chains of a writer, if its log is forked.
    pub(crate) fn of(&self, root: &RootName, writer: ReplicaId) -> Option<&Chains> {
        self.chains.get(&(*root, writer))
    }

    /// The same, to change.
    pub(crate) fn of_mut(&mut self, root: &RootName, writer: ReplicaId) -> Option<&mut Chains> {
        self.chains.get_mut(&(*root, writer))
    }

    /// Sets the chains of a writer.
    pub(crate) fn set(&mut self, root: RootName, writer: ReplicaId, chains: Chains) {
        self.chains.insert((root, writer), chains);
    }

    /// Drops the chains of a writer; whoever takes the catalog next builds them anew.
    pub(crate) fn forget(&mut self, root: &RootName, writer: ReplicaId) {
        self.chains.remove(&(*root, writer));
    }

    /// All chains, with their root and writer.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&RootName, ReplicaId, &Chains)> {
        self.chains.iter().map(|((root, writer), chains)| (root, *writer, chains))
    }

    /// The chains that have a log of this name.
    pub(crate) fn with_log(&self, log: &LogId) -> Option<(ReplicaId, &Chains)> {
        let chains = self.chains.iter().filter(|((root, _), _)| *root == log.root);
        let mut named = chains.filter(|(_, chains)| chains.has(log));
        named.next().map(|((_, writer), chains)| (*writer, chains))
    }
}

#[cfg(test)]
mod tests {
    use laterbase_event::{BatchView, EventDraft, ReplicaId};
    use laterbase_log::BatchRole;
    use laterbase_sync::{Checked, MemoryReplica};

    use crate::database::Database;
    use crate::options::Options;
    use crate::sync::admit::Admission;
    use crate::verify::Problem;

    #[test]
    fn a_branch_that_follows_nothing_is_found_by_verify() {
        let dir = tempfile::tempdir().unwrap();
        let db = Database::create(dir.path(), Options::small_device()).unwrap();
        let mut copy = MemoryReplica::new(db.id(), ReplicaId::from_u64(7));
        let draft = EventDraft {
            content_type: "application/json",
            payload: b"{}",
            ..EventDraft::new("7", "seen")
        };
        for _ in 0..2 {
            assert!(copy.append(&"truck".try_into().unwrap(), 1000, &[draft]));
        }
        let inner = db.inner();
        for bytes in copy.batches().into_values() {
            let view = BatchView::parse(bytes).unwrap();
            if view.header().first_seq == 2 {
                let checked = Checked { header: view.header(), hash: view.hash(), bytes };
                let admission = Admission::prepare(inner, &checked).unwrap();
                inner.admit(inner.writer().unwrap(), &admission, BatchRole::Branch).unwrap();
            }
        }
        db.flush().unwrap();
        let problems = db.verify(&mut |_| {}).unwrap().problems;
        let found = problems.iter().map(|problem| match problem {
            Problem::Branch { replica, seq, .. } => Some((*replica, *seq)),
            Problem::Log(_) | Problem::IndexFiles { .. } | Problem::IndexContent { .. } => None,
        });
        assert_eq!(found.collect::<Vec<_>>(), [Some((ReplicaId::from_u64(7), 2))]);
    }
}
