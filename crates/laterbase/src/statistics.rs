//! Numbers about an open database.

use std::collections::BTreeMap;

use laterbase_event::{DatabaseId, Hlc, Position, ReplicaId};
use laterbase_index::IndexStatistics;
use laterbase_log::SegmentInfo;

use crate::database::Database;
use crate::flush_times::FlushTimes;
use crate::inner::{FollowerIndex, Role, lock};
use crate::read::ReadError;
use crate::sync::own_events;

/// Numbers about an open database, all of one moment.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Statistics {
    /// The database's id.
    pub database: DatabaseId,
    /// The id under which this copy writes.
    pub replica: ReplicaId,
    /// The last position that local reads can see.
    pub events: u64,
    /// The last position on the device.
    pub flushed: Position,
    /// Every event up to here is in files of the indexes; those behind it are read again when the
    /// database is opened.
    pub indexed: Position,
    /// Groups of commits that were made durable since the database was opened: one sync of the
    /// device each.
    pub flushes: u64,
    /// How long the device took for these syncs.
    pub flush_times: FlushTimes,
    /// The latest time that this replica gave out; `None` in a process that only reads.
    pub clock: Option<Hlc>,
    /// Per root: its logs and their events.
    pub roots: BTreeMap<String, RootStatistics>,
    /// The segments of the log, oldest first.
    pub segments: Vec<SegmentInfo>,
    /// Runs, entries and bytes of the indexes.
    pub index: IndexStatistics,
}

/// Numbers about one root.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RootStatistics {
    /// Replicas that recorded events under it.
    pub logs: u64,
    /// Events, of all of them.
    pub events: u64,
}

impl Database {
    /// Numbers about this database.
    ///
    /// # Errors
    /// [`ReadError`] if the files cannot be looked at.
    pub fn statistics(&self) -> Result<Statistics, ReadError> {
        let inner = self.inner();
        let mut roots: BTreeMap<String, RootStatistics> = BTreeMap::new();
        for (log, head) in inner.heads_at()?.heads.iter() {
            let numbers = roots.entry(log.root.as_str().to_owned()).or_default();
            numbers.logs += 1;
            numbers.events += own_events(head);
        }
        let (index, clock) = match &inner.role {
            Role::Writer(writer) => {
                let index = lock(&writer.indexer).index.statistics();
                (index, Some(lock(&writer.front).clock.last()))
            }
            Role::Follower(follower) => match &*lock(&follower.index) {
                FollowerIndex::Files(index) => (index.statistics(), None),
                FollowerIndex::Memory(index) => (index.statistics(), None),
            },
        };
        Ok(Statistics {
            database: inner.database,
            replica: inner.replica(),
            events: inner.progress.visible().as_u64(),
            flushed: inner.progress.flushed(),
            indexed: inner.index_reader.snapshot().watermark(),
            flushes: inner.progress.flushes(),
            flush_times: inner.progress.flush_counts.times(),
            clock,
            roots,
            segments: inner.reader.segments()?,
            index,
        })
    }
}
