//! What an index holds and what it takes; and a check of all its bytes.

use crate::chunk::Chunk;
use crate::entry::Family;
use crate::error::{DamageKind, ReadError};
use crate::run::Run;
use crate::run_scan::RunScan;
use crate::snapshot::IndexSnapshot;
use laterbase_event::Position;
use std::sync::Arc;

/// Sizes of an index at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct IndexStatistics {
    /// How many runs there are.
    pub runs: usize,
    /// Entries in runs.
    pub run_entries: u64,
    /// The length of the runs' files, in bytes.
    pub run_bytes: u64,
    /// How many chunks are in memory.
    pub chunks: usize,
    /// Entries that are in no run.
    pub memtable_entries: u64,
    /// Memory that the runs' tables take, in bytes.
    pub table_bytes: usize,
    /// Memory that decoded parts of runs take, in bytes.
    pub cache_bytes: usize,
}

/// How far a verification is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunProgress {
    /// The run's file, as the storage names it.
    pub file: String,
    /// The positions that it is complete for: the lowest and the highest.
    pub positions: (Position, Position),
    /// Its entries.
    pub entries: u64,
    /// Its length in bytes.
    pub bytes: u64,
}

/// Bytes that a verification reads at once.
const VERIFY_BYTES: usize = 256 << 10;

impl IndexSnapshot {
    /// What the index holds and takes.
    #[must_use]
    pub fn statistics(&self) -> IndexStatistics {
        let (chunks, runs) = (self.chunks(), self.runs());
        let page_bytes: usize = runs.iter().map(|run| run.page_bytes()).sum();
        IndexStatistics {
            runs: runs.len(),
            run_entries: runs.iter().map(|run| run.entries()).sum(),
            run_bytes: runs.iter().map(|run| run.file_bytes()).sum(),
            chunks: chunks.len(),
            memtable_entries: chunks.iter().map(|chunk: &Arc<Chunk>| chunk.len() as u64).sum(),
            table_bytes: runs.iter().map(|run| run.memory_bytes()).sum(),
            cache_bytes: self.cache().bytes() + page_bytes,
        }
    }

    /// Reads every byte of every run, past the cache, and checks it; tells `progress` of each run
    /// that is in order.
    ///
    /// # Errors
    /// The first damage that is found, or a storage that fails.
    pub fn verify(&self, progress: &mut dyn FnMut(&RunProgress)) -> Result<(), ReadError> {
        for run in self.runs() {
            verify(run)?;
            let span = run.span();
            progress(&RunProgress {
                file: run.path().to_owned(),
                positions: (Position::new(span.lowest), Position::new(span.highest)),
                entries: run.entries(),
                bytes: run.file_bytes(),
            });
        }
        Ok(())
    }
}

fn verify(run: &Arc<Run>) -> Result<(), ReadError> {
    run.verify_head()?;
    let span = run.span();
    let mut scan = RunScan::new(Arc::clone(run), Family::Posting, VERIFY_BYTES);
    for family in Family::ALL {
        scan.begin_family(family);
        let mut last = None;
        while let Some(entry) = scan.next()? {
            if entry.position() < span.lowest || entry.position() > span.highest {
                return Err(run.damage(0, DamageKind::Content));
            }
            last = Some(entry);
        }
        if last.is_some_and(|last| last != run.last(family)) {
            return Err(run.damage(0, DamageKind::Content));
        }
    }
    Ok(())
}
