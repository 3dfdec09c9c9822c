//! What is measured. Each area builds its databases in a folder of its own, lets the stores take
//! turns and adds its samples to the report.

mod append;
mod beside;
mod folds;
mod growth;
mod load;
mod memory;
mod opening;
#[cfg(feature = "peers")]
mod questions;
mod reads;
mod sample_size;
mod size;
#[cfg(feature = "sync")]
mod sync;

use std::path::{Path, PathBuf};

#[cfg(feature = "peers")]
pub(crate) use questions::{answer_graph, answer_stored, make_all};

use crate::arguments::Arguments;
use crate::engine::Engine;
use crate::error::BenchError;
use crate::report::Report;
use crate::store::EventStore;
use crate::workload::Event;

/// The seed of every workload.
pub(crate) const SEED: u64 = 1;

/// One area.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Area {
    Append,
    Growth,
    Reads,
    Beside,
    Opening,
    Size,
    Memory,
    Folds,
    Load,
    #[cfg(feature = "peers")]
    Questions,
    #[cfg(feature = "peers")]
    Stored,
    #[cfg(feature = "sync")]
    Sync,
}

impl Area {
    pub(crate) const ALL: &[Self] = &[
        Self::Append,
        Self::Growth,
        Self::Reads,
        Self::Beside,
        Self::Opening,
        Self::Size,
        Self::Memory,
        Self::Folds,
        Self::Load,
        #[cfg(feature = "peers")]
        Self::Questions,
        #[cfg(feature = "peers")]
        Self::Stored,
        #[cfg(feature = "sync")]
        Self::Sync,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Append => "append",
            Self::Growth => "growth",
            Self::Reads => "reads",
            Self::Beside => "beside",
            Self::Opening => "opening",
            Self::Size => "size",
            Self::Memory => "memory",
            Self::Folds => "folds",
            Self::Load => "load",
            #[cfg(feature = "peers")]
            Self::Questions => "questions",
            #[cfg(feature = "peers")]
            Self::Stored => "stored",
            #[cfg(feature = "sync")]
            Self::Sync => "sync",
        }
    }

    /// Measures it.
    ///
    /// # Errors
    ///
    /// When a store fails or answers wrongly.
    pub(crate) fn run(self, context: &Context, report: &mut Report) -> Result<(), BenchError> {
        eprintln!("measuring {} …", self.name());
        match self {
            Self::Append => append::run(context, report),
            Self::Growth => growth::run(context, report),
            Self::Reads => reads::run(context, report),
            Self::Beside => beside::run(context, report),
            Self::Opening => opening::run(context, report),
            Self::Size => size::run(context, report),
            Self::Memory => memory::run(context, report),
            Self::Folds => folds::run(context, report),
            Self::Load => load::run(context, report),
            #[cfg(feature = "peers")]
            Self::Questions => questions::run(context, report),
            #[cfg(feature = "peers")]
            Self::Stored => questions::run_stored(context, report),
            #[cfg(feature = "sync")]
            Self::Sync => sync::run(context, report),
        }
    }
}

/// How a run was asked for.
pub(crate) struct Context {
    pub(crate) quick: bool,
    pub(crate) rounds: usize,
    /// How many events the databases of `reads` hold, if that was said.
    pub(crate) events: Option<usize>,
    /// Only the cases of `append` with such batches, if that was said.
    pub(crate) batch: Option<usize>,
    pub(crate) engines: Vec<Engine>,
    pub(crate) folder: PathBuf,
}

impl Context {
    /// Makes the folder; `bench-data` beside the program unless another was named.
    ///
    /// # Errors
    ///
    /// When the folder cannot be made.
    pub(crate) fn new(arguments: &Arguments) -> Result<Self, BenchError> {
        let folder = arguments.folder.clone().unwrap_or_else(|| {
            let program = std::env::current_exe().unwrap_or_default();
            program.parent().unwrap_or(Path::new(".")).join("bench-data")
        });
        let wrap = |source| BenchError::File { path: folder.clone(), source };
        std::fs::create_dir_all(&folder).map_err(wrap)?;
        let folder = folder.canonicalize().map_err(wrap)?;
        Ok(Self {
            quick: arguments.quick,
            rounds: arguments.rounds,
            events: arguments.events,
            batch: arguments.batch,
            engines: arguments.engines.clone(),
            folder,
        })
    }

    /// One of two counts.
    pub(crate) fn scaled(&self, quick: usize, full: usize) -> usize {
        if self.quick { quick } else { full }
    }

    /// The stores in the order of a round: each begins once, so that none always runs first.
    pub(crate) fn turn(&self, round: usize) -> Vec<Engine> {
        let mut engines = self.engines.clone();
        let count = engines.len().max(1);
        engines.rotate_left(round % count);
        engines
    }

    /// An empty folder, which is removed when dropped.
    ///
    /// # Errors
    ///
    /// When it cannot be made.
    pub(crate) fn scratch(&self, name: &str) -> Result<Scratch, BenchError> {
        let path = self.folder.join(name);
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path)
            .map_err(|source| BenchError::File { path: path.clone(), source })?;
        Ok(Scratch(path))
    }
}

/// A folder for one database.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Names the store in its error.
pub(crate) fn blame<T>(
    engine: Engine,
    result: Result<T, crate::error::StoreError>,
) -> Result<T, BenchError> {
    result.map_err(|source| BenchError::Store { engine, source })
}

/// Appends in batches; the ids in order.
pub(crate) fn fill(
    engine: Engine,
    store: &dyn EventStore,
    events: &[Event],
    batch: usize,
) -> Result<Vec<crate::store::Id>, BenchError> {
    let mut ids = Vec::with_capacity(events.len());
    for batch in events.chunks(batch) {
        blame(engine, store.append(batch, &mut ids))?;
    }
    Ok(ids)
}
