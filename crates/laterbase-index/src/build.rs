//! Builds one run out of sorted sources, a budget of entries at a time.
//!
//! Writing the memtable out and merging runs are the same work on different sources.

use crate::chunk::Chunk;
use crate::entry::{Entry, Family};
use crate::error::{DamageKind, ReadError};
use crate::heads::Heads;
use crate::run::{Run, RunParts};
use crate::run_file::RunSpan;
use crate::run_scan::RunScan;
use crate::run_writer::RunWriter;
use laterbase_log::storage::{Storage, StorageError};
use std::sync::Arc;

/// A run that is being built.
#[derive(Debug)]
pub(crate) struct Build {
    writer: RunWriter,
    sources: Vec<Source>,
    heads: Heads,
    /// The families that have not been begun.
    families: std::slice::Iter<'static, Family>,
    /// The last entry of the family.
    last: Option<Entry>,
}

#[derive(Debug)]
enum Source {
    Chunk { chunk: Arc<Chunk>, family: Family, index: usize },
    Run(Box<RunScan>),
}

impl Build {
    /// Begins the run of these chunks.
    pub(crate) fn of_chunks(
        storage: &dyn Storage,
        dir: &str,
        span: RunSpan,
        buffer_bytes: usize,
        chunks: Vec<Arc<Chunk>>,
    ) -> Result<Self, StorageError> {
        let source = |chunk| Source::Chunk { chunk, family: Family::Posting, index: 0 };
        let sources = chunks.into_iter().map(source).collect();
        Ok(Self::new(RunWriter::create(storage, dir, span, buffer_bytes)?, sources))
    }

    /// Begins the run of these runs: half of the buffers' bytes to write, half to read.
    pub(crate) fn of_runs(
        storage: &dyn Storage,
        dir: &str,
        span: RunSpan,
        buffer_bytes: usize,
        runs: &[Arc<Run>],
    ) -> Result<Self, StorageError> {
        let read_bytes = buffer_bytes / 2 / runs.len().max(1);
        let sources = runs.iter().map(|run| {
            Source::Run(Box::new(RunScan::new(Arc::clone(run), Family::Posting, read_bytes)))
        });
        let sources = sources.collect();
        Ok(Self::new(RunWriter::create(storage, dir, span, buffer_bytes / 2)?, sources))
    }

    fn new(writer: RunWriter, sources: Vec<Source>) -> Self {
        Self {
            writer,
            sources,
            heads: Heads::new(),
            families: Family::ALL_STATIC.iter(),
            last: None,
        }
    }

    /// Writes up to `budget` entries, or a few more; `true` once there are none left.
    pub(crate) fn step(&mut self, budget: &mut usize) -> Result<bool, ReadError> {
        while *budget > 0 {
            let Some(top) = self.heads.top().copied() else {
                if !self.begin_family()? {
                    return Ok(true);
                }
                continue;
            };
            let Some(source) = self.sources.get_mut(top.source as usize) else { return Ok(true) };
            if self.last.is_some_and(|last| last >= top.entry) {
                // Sources have no positions in common, so one of them is not what was written.
                return Err(source.damage());
            }
            self.last = Some(top.entry);
            self.writer.push(top.entry)?;
            self.heads.advance(source.next()?);
            *budget -= 1;
        }
        Ok(false)
    }

    /// Syncs the run's file.
    pub(crate) fn finish(self) -> Result<RunParts, StorageError> {
        self.writer.finish()
    }

    /// Turns to the next family; `false` behind the last one.
    fn begin_family(&mut self) -> Result<bool, ReadError> {
        let Some(&family) = self.families.next() else { return Ok(false) };
        self.writer.begin_family(family)?;
        self.heads.clear();
        self.last = None;
        for (number, source) in (0..).zip(&mut self.sources) {
            source.begin_family(family);
            if let Some(entry) = source.next()? {
                self.heads.push(entry, number);
            }
        }
        Ok(true)
    }
}

impl Source {
    fn begin_family(&mut self, next: Family) {
        match self {
            Self::Chunk { family, index, .. } => {
                *family = next;
                *index = 0;
            }
            Self::Run(scan) => scan.begin_family(next),
        }
    }

    #[inline]
    fn next(&mut self) -> Result<Option<Entry>, ReadError> {
        match self {
            Self::Chunk { chunk, family, index } => {
                let entry = chunk.family(*family).get(*index).copied();
                *index += 1;
                Ok(entry)
            }
            Self::Run(scan) => scan.next(),
        }
    }

    fn damage(&self) -> ReadError {
        match self {
            Self::Run(scan) => scan.run().damage(0, DamageKind::Content),
            Self::Chunk { .. } => crate::error::Damage {
                file: "memory".to_owned(),
                offset: 0,
                kind: DamageKind::Content,
            }
            .into(),
        }
    }
}
