//! A piece of maintenance, taken out of the index so that it can be done beside it.
//!
//! ```text
//!   IndexWriter::begin_work ──▶ IndexWork::run ──▶ IndexWriter::finish_work
//!   decides, no I/O             all the I/O,        takes the outcome over,
//!                               holds no lock       no I/O
//! ```
//! A host whose threads share the writer under a lock holds it for the first and the last step
//! only, so that nobody waits for a sync who wants entries absorbed. One piece is out at a time;
//! meanwhile the writer changes neither its runs nor its manifest.

use crate::build::Build;
use crate::chunk::Chunk;
use crate::error::ReadError;
use crate::manifest::{Manifest, ManifestRun};
use crate::run::{Run, RunParts};
use crate::run_file::RunSpan;
use crate::snapshot::RunSet;
use laterbase_log::storage::{Storage, StorageError};
use std::sync::Arc;

/// A run to be built and made part of the index; see [`IndexWriter::begin_work`].
///
/// Dropping it gives the work up; the next piece begins anew.
///
/// [`IndexWriter::begin_work`]: crate::IndexWriter::begin_work
#[derive(Debug)]
pub struct IndexWork {
    pub(crate) job: Job,
    pub(crate) place: Place,
    pub(crate) outcome: Outcome,
    /// Tells the writer that the work is out, for as long as it lives.
    pub(crate) _token: Arc<()>,
}

/// A run that is to be built, or is being built.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) span: RunSpan,
    /// The watermark once the run is part of the index.
    pub(crate) watermark: u64,
    pub(crate) stage: Stage,
}

#[derive(Debug)]
pub(crate) enum Stage {
    /// The memtable's frozen chunks are to be written.
    Chunks(Vec<Arc<Chunk>>),
    /// Runs are to be merged.
    Runs(Vec<Arc<Run>>),
    Building(Box<Build>),
    /// Built, for better or worse.
    Over,
}

/// Where the run is to go: the index as it is while the work is out.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) dir: String,
    pub(crate) buffer_bytes: usize,
    pub(crate) runs: Arc<RunSet>,
    pub(crate) manifest: Manifest,
    pub(crate) next_run: u64,
}

/// How far the work has come.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// There is more to build.
    Unfinished,
    /// The manifest on the device is this one, of these runs.
    Installed { runs: Vec<Arc<Run>>, manifest: Manifest },
    /// It failed; the device holds the manifest it held.
    Abandoned(ReadError),
    /// It failed where it is unknown which manifest the device holds.
    Torn(StorageError),
}

impl IndexWork {
    /// Handles about `budget` entries, of which it is reduced by as many. When all are written it
    /// syncs the run and replaces the manifest, which takes its time on top.
    ///
    /// What fails is told by [`IndexWriter::finish_work`](crate::IndexWriter::finish_work).
    pub fn run(&mut self, budget: &mut usize) {
        if matches!(self.outcome, Outcome::Unfinished) {
            self.outcome = match self.build(budget) {
                Ok(None) => Outcome::Unfinished,
                Ok(Some(parts)) => self.install(parts),
                Err(error) => Outcome::Abandoned(error),
            };
        }
    }

    /// Goes on building; the run's parts once it is synced.
    fn build(&mut self, budget: &mut usize) -> Result<Option<RunParts>, ReadError> {
        let Place { storage, dir, buffer_bytes, .. } = &self.place;
        let (storage, bytes, span) = (&**storage, *buffer_bytes, self.job.span);
        let mut build = match std::mem::replace(&mut self.job.stage, Stage::Over) {
            Stage::Chunks(chunks) => Box::new(Build::of_chunks(storage, dir, span, bytes, chunks)?),
            Stage::Runs(runs) => Box::new(Build::of_runs(storage, dir, span, bytes, &runs)?),
            Stage::Building(build) => build,
            Stage::Over => return Ok(None),
        };
        if build.step(budget)? {
            return Ok(Some(build.finish()?));
        }
        self.job.stage = Stage::Building(build);
        Ok(None)
    }

    /// Makes a synced run part of the index, in the place of those whose positions it covers.
    fn install(&self, parts: RunParts) -> Outcome {
        let Place { storage, dir, runs, manifest, next_run, .. } = &self.place;
        let span = self.job.span;
        for old in runs.runs.iter().filter(|old| replaces(&span, old)) {
            old.retire();
        }
        let run = Arc::new(Run::from_parts(parts, &runs.cache));
        let place = runs.runs.partition_point(|old| old.span().lowest < span.lowest);
        let kept = runs.runs.iter().filter(|old| !replaces(&span, old));
        let mut runs: Vec<_> = kept.cloned().collect();
        runs.insert(place.min(runs.len()), run);
        let manifest = Manifest {
            generation: manifest.generation + 1,
            watermark: self.job.watermark.max(manifest.watermark),
            next_run: *next_run,
            owner: manifest.owner,
            runs: runs.iter().map(|run| ManifestRun::of(run)).collect(),
        };
        if let Err(error) = manifest.prepare(&**storage, dir) {
            return Outcome::Abandoned(error.into());
        }
        match Manifest::switch(&**storage, dir) {
            Ok(()) => Outcome::Installed { runs, manifest },
            Err(cause) => Outcome::Torn(cause),
        }
    }
}

/// Does a run of this span take the place of another?
pub(crate) fn replaces(span: &RunSpan, old: &Run) -> bool {
    old.span().lowest >= span.lowest && old.span().highest <= span.highest
}
