//! Which logs are forked, and into what.

use laterbase_event::{EventId, Position, ReplicaId, RootName};
use laterbase_sync::{Head, Heads, LogId};

use crate::database::Database;
use crate::inner::Inner;
use crate::read::ReadError;

/// A place at which one replica id wrote two different batches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fork {
    /// The root.
    pub root: RootName,
    /// The replica id that both carry.
    pub replica: ReplicaId,
    /// The log that ends there: the replica's own, or a branch that forked again.
    pub log: LogId,
    /// The number of the first event that there is twice.
    pub seq: u64,
    /// The logs that go on from there: their names, and the number of their last event here.
    pub branches: Vec<(ReplicaId, u64)>,
}

/// How many events a log has; those before a branch are of the log that it comes from.
pub(crate) fn own_events(head: &Head) -> u64 {
    let before = head.branch.map_or(0, |branch| branch.first_seq.saturating_sub(1));
    head.seq.saturating_sub(before)
}

impl Database {
    /// The forks of all logs, by root, replica and number. Every branch is held and forwarded.
    ///
    /// # Errors
    /// [`ReadError`] if the logs cannot be read.
    pub fn forks(&self) -> Result<Vec<Fork>, ReadError> {
        self.inner().forks()
    }

    /// How far each log is held, branches of forks among them: what sync compares.
    ///
    /// # Errors
    /// [`ReadError`] if the logs cannot be read.
    pub fn log_heads(&self) -> Result<Heads, ReadError> {
        Ok(Heads::clone(&self.inner().heads_at()?.heads))
    }

    /// How many events all logs hold together, each once: those before a branch are of the log
    /// that it comes from. Without what is in quarantine.
    ///
    /// # Errors
    /// [`ReadError`] if the logs cannot be read.
    pub fn event_count(&self) -> Result<u64, ReadError> {
        Ok(self.inner().heads_at()?.heads.values().map(own_events).sum())
    }

    /// The log that holds an event: its writer's own, or a branch of a fork; `None` if it is not
    /// held.
    ///
    /// # Errors
    /// [`ReadError`] if the event or the logs cannot be read.
    pub fn log_of(&self, id: EventId) -> Result<Option<LogId>, ReadError> {
        let Some(recorded) = self.get(id)? else { return Ok(None) };
        let Ok(root) = RootName::try_from(recorded.event.root.as_str()) else { return Ok(None) };
        let (seq, position) = (recorded.event.seq, recorded.position.as_u64());
        let holds = |(first_seq, count, first): (u64, u64, Position)| {
            // The events of a batch lie side by side.
            let offset = seq.checked_sub(first_seq).filter(|offset| *offset < count);
            offset.is_some_and(|offset| first.as_u64() + offset == position)
        };
        let catalog = self.inner().catalog()?;
        let branch = catalog.of(&root, id.replica()).and_then(|chains| {
            let mut names = chains.branches().map(|(name, _, _)| name);
            names.find(|name| chains.visible(name).into_iter().any(holds))
        });
        Ok(Some(branch.unwrap_or(LogId::new(root, id.replica()))))
    }
}

impl Inner {
    /// The forks of all logs, by root, replica and number.
    pub(crate) fn forks(&self) -> Result<Vec<Fork>, ReadError> {
        let catalog = self.catalog()?;
        let mut forks: Vec<Fork> = Vec::new();
        for (root, replica, chains) in catalog.iter() {
            let heads: Heads = chains.heads().collect();
            let mut branches: Vec<_> = chains.branches().collect();
            branches.sort_by_key(|(name, from, seq)| (*seq, *from, *name));
            for (name, log, seq) in branches {
                let end = heads.get(&name).map_or(seq, |head| head.seq);
                match forks.last_mut().filter(|fork| fork.log == log && fork.seq == seq) {
                    Some(fork) => fork.branches.push((name.replica, end)),
                    None => forks.push(Fork {
                        root: *root,
                        replica,
                        log,
                        seq,
                        branches: vec![(name.replica, end)],
                    }),
                }
            }
        }
        Ok(forks)
    }
}
