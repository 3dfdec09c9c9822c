//! The index of a process that reads beside the writer: its runs, and an overlay of its own.
//!
//! It never writes. What is above the manifest's watermark it is given by its host, who reads the
//! flushed log; a newer manifest takes the place of what it covers, in one step for readers.

use crate::cache::PartCache;
use crate::config::IndexConfig;
use crate::error::{AbsorbError, DamageKind, OpenError};
use crate::manifest::Manifest;
use crate::memtable::Memtable;
use crate::pending::PendingEntries;
use crate::snapshot::{IndexReader, IndexSnapshot, Publisher, RunSet};
use crate::statistics::IndexStatistics;
use crate::writer::{load_manifest, new_memtable, open_runs};
use laterbase_event::Position;
use laterbase_log::storage::Storage;
use std::sync::Arc;

/// How often a manifest is read again because a run it names was gone by then.
const ATTEMPTS: usize = 8;

/// An index that another process writes.
#[derive(Debug)]
pub struct IndexFollower {
    storage: Arc<dyn Storage>,
    dir: String,
    config: IndexConfig,
    memtable: Memtable,
    manifest: Manifest,
    runs: Arc<RunSet>,
    publisher: Publisher,
}

impl IndexFollower {
    /// Opens the index in `dir` to read it. Entries above its [watermark](Self::watermark) are
    /// missing until the host has read them from the log and absorbed them.
    ///
    /// # Errors
    /// As [`IndexWriter::open`](crate::IndexWriter::open).
    pub fn open(
        storage: Arc<dyn Storage>,
        dir: &str,
        config: IndexConfig,
    ) -> Result<Self, OpenError> {
        let cache = Arc::new(PartCache::new(config.cache_bytes));
        let none = RunSet { runs: Vec::new(), cache };
        let (manifest, runs) = load(&*storage, dir, &config, &none)?;
        let runs = Arc::new(runs);
        Ok(Self {
            memtable: new_memtable(manifest.watermark, &config),
            publisher: Publisher::new(&runs, Position::new(manifest.watermark)),
            storage,
            dir: dir.to_owned(),
            config,
            manifest,
            runs,
        })
    }

    /// The runs are complete up to this position.
    #[must_use]
    pub fn watermark(&self) -> Position {
        Position::new(self.manifest.watermark)
    }

    /// Runs and overlay together are complete up to this position; never falls.
    #[must_use]
    pub fn complete_to(&self) -> Position {
        Position::new(self.memtable.complete_to())
    }

    /// Takes entries into the overlay: see
    /// [`IndexWriter::absorb`](crate::IndexWriter::absorb).
    ///
    /// # Errors
    /// An entry of a position beyond what the entries are complete to; nothing is changed then.
    pub fn absorb(&mut self, pending: &mut PendingEntries) -> Result<(), AbsorbError> {
        if self.memtable.absorb(pending)? {
            self.publish();
        }
        Ok(())
    }

    /// Takes a newer manifest over, if there is one; says whether there was.
    ///
    /// What the overlay has of positions up to the new watermark is dropped in the same step, so no
    /// snapshot has an entry twice or misses one. Snapshots that are held stay as they are. On an
    /// error everything stays as it was.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn refresh(&mut self) -> Result<bool, OpenError> {
        let seen = load_manifest(&*self.storage, &self.dir, &self.config)?;
        // One that was rebuilt may be behind for a while; what is here is as right as ever.
        if seen == self.manifest || seen.watermark < self.manifest.watermark {
            return Ok(false);
        }
        let (manifest, runs) = load(&*self.storage, &self.dir, &self.config, &self.runs)?;
        if manifest.watermark < self.manifest.watermark {
            return Ok(false);
        }
        self.memtable.drop_upto(manifest.watermark);
        self.manifest = manifest;
        self.runs = Arc::new(runs);
        self.publish();
        Ok(true)
    }

    /// The index as it is now.
    #[must_use]
    pub fn snapshot(&self) -> Arc<IndexSnapshot> {
        self.publisher.reader().snapshot()
    }

    /// Takes snapshots from other threads.
    #[must_use]
    pub fn reader(&self) -> IndexReader {
        self.publisher.reader().clone()
    }

    /// Memory that the overlay's entries take, in bytes.
    #[must_use]
    pub fn memtable_bytes(&self) -> usize {
        self.memtable.bytes()
    }

    /// What the index holds and takes.
    #[must_use]
    pub fn statistics(&self) -> IndexStatistics {
        self.snapshot().statistics()
    }

    fn publish(&mut self) {
        let complete_to = Position::new(self.memtable.complete_to());
        let watermark = self.watermark();
        self.publisher.publish(self.memtable.chunks(), &self.runs, complete_to, watermark);
    }
}

/// The current manifest and its runs.
///
/// The writer may replace the manifest and remove runs in between, so a missing run is damage only
/// if the manifest that names it is still there.
fn load(
    storage: &dyn Storage,
    dir: &str,
    config: &IndexConfig,
    open: &RunSet,
) -> Result<(Manifest, RunSet), OpenError> {
    let mut manifest = load_manifest(storage, dir, config)?;
    for _ in 0..ATTEMPTS {
        let cache = Arc::clone(&open.cache);
        match open_runs(storage, dir, &manifest, &open.runs, &cache) {
            Ok(runs) => return Ok((manifest, RunSet { runs, cache })),
            Err(OpenError::Damaged(damage)) if damage.kind == DamageKind::Missing => {
                let again = load_manifest(storage, dir, config)?;
                if again == manifest {
                    return Err(damage.into());
                }
                manifest = again;
            }
            Err(error) => return Err(error),
        }
    }
    let runs = open_runs(storage, dir, &manifest, &open.runs, &open.cache)?;
    Ok((manifest, RunSet { runs, cache: Arc::clone(&open.cache) }))
}
