//! Upkeep beside the appends: spare files, sealing, and the reuse of what was sealed.
//!
//! One [`Maintenance::step`] does a bounded piece of work, so that a host can pace it, run it on a
//! thread of its own while commits go on, or step it in a simulation. Nothing in here is needed for
//! correctness: without it segments stay hot, and new ones are filled as they are written.
//!
//! A failed step leaves no trace but a temporary file; it poisons nothing, because it never touches
//! what was acknowledged until its replacement is durable.

use crate::activate;
use crate::config::Sealing;
use crate::error::MaintenanceError;
use crate::names;
use crate::number::SegmentNumber;
use crate::seal::SealJob;
use crate::segment::Segment;
use crate::segment_header::Epochs;
use crate::shared::Shared;
use crate::spare::Spare;
use crate::storage::{OpenMode, StorageFile};
use std::sync::Arc;

/// How many zeroes are written at once.
const ZEROES_BYTES: usize = 256 << 10;
/// A spare is made when the active segment is filled to this part.
const SPARE_PART: u64 = 8;

/// Keeps an open log small and ready. See the crate's documentation.
#[derive(Debug)]
pub struct Maintenance {
    shared: Arc<Shared>,
    epochs: Epochs,
    fill: Option<Fill>,
    seal: Option<SealJob>,
}

/// A segment file that nothing new reads, and that waits to be used again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retired {
    /// The segment, which is sealed now.
    pub segment: SegmentNumber,
    /// The hot file, in the storage's root.
    pub path: String,
}

/// A file that is being filled with zeroes.
#[derive(Debug)]
struct Fill {
    path: String,
    id: u64,
    file: Arc<dyn StorageFile>,
    filled: u64,
}

/// What a step does.
enum Action {
    Fill,
    Seal,
    Nothing,
}

impl Maintenance {
    pub(crate) const fn new(shared: Arc<Shared>, epochs: Epochs) -> Self {
        Self { shared, epochs, fill: None, seal: None }
    }

    /// Does about `budget_bytes` worth of work; `true` if there is more.
    ///
    /// `may_reclaim` is asked before a retired file is used again or removed: it must say no while
    /// a reader in another process may hold it open. Readers of this process are seen here.
    ///
    /// # Errors
    /// The storage's reason, or damage in a segment that was to be sealed. The log goes on; the
    /// next step tries again.
    pub fn step(
        &mut self,
        budget_bytes: usize,
        may_reclaim: &mut dyn FnMut(&Retired) -> bool,
    ) -> Result<bool, MaintenanceError> {
        self.reclaim(may_reclaim)?;
        match self.choose() {
            Action::Fill => self.fill_step(budget_bytes)?,
            Action::Seal => self.seal_step(budget_bytes)?,
            Action::Nothing => return Ok(false),
        }
        Ok(true)
    }

    /// Seals every complete segment, however new; for tests and for packing a log away.
    ///
    /// # Errors
    /// As [`step`](Self::step).
    pub fn seal_all(&mut self) -> Result<(), MaintenanceError> {
        while self.seal_oldest()? {}
        Ok(())
    }

    /// Seals the oldest complete segment that is not sealed, however new; `false` if there is none.
    ///
    /// # Errors
    /// As [`step`](Self::step).
    pub fn seal_oldest(&mut self) -> Result<bool, MaintenanceError> {
        if self.seal.is_none() {
            match self.next_to_seal(0) {
                Some(segment) => self.begin_seal(&segment)?,
                None => return Ok(false),
            }
        }
        while self.seal.is_some() {
            self.seal_step(usize::MAX)?;
        }
        Ok(true)
    }

    fn choose(&self) -> Action {
        if self.fill.is_some() || self.wants_spare() {
            return Action::Fill;
        }
        let hot_bytes_max = self.shared.config.hot_bytes_max;
        if self.seal.is_some() || self.next_to_seal(hot_bytes_max).is_some() {
            return Action::Seal;
        }
        Action::Nothing
    }

    fn wants_spare(&self) -> bool {
        let config = &self.shared.config;
        let table = self.shared.segments();
        let used = table.segments.last().map_or(0, |active| active.end().offset);
        self.shared.spares().len() < config.spares && used >= config.segment_bytes / SPARE_PART
    }

    fn fill_step(&mut self, budget_bytes: usize) -> Result<(), MaintenanceError> {
        let outcome = self.fill_some(budget_bytes);
        if outcome.is_err() {
            self.fill = None;
        }
        outcome
    }

    fn fill_some(&mut self, budget_bytes: usize) -> Result<(), MaintenanceError> {
        let total = self.shared.config.segment_bytes;
        if self.fill.is_none() {
            let id = self.shared.spares().next_id();
            let path = self.shared.path(&(names::spare(id) + names::TEMPORARY_SUFFIX));
            if self.shared.storage.exists(&path)? {
                self.shared.storage.remove(&path)?;
            }
            let file = self.shared.storage.open(&path, OpenMode::CREATE)?;
            self.fill = Some(Fill { path, id, file, filled: 0 });
        }
        let Some(fill) = &mut self.fill else { return Ok(()) };
        let zeroes = vec![0; ZEROES_BYTES];
        let target = total.min(fill.filled.saturating_add(budget_bytes as u64));
        while fill.filled < target {
            let len = usize::try_from(total - fill.filled).unwrap_or(ZEROES_BYTES);
            let piece = zeroes.get(..len.min(ZEROES_BYTES)).unwrap_or(&zeroes);
            fill.file.write_at(fill.filled, piece)?;
            fill.filled += piece.len() as u64;
        }
        // Synced piece by piece: one large sync at the end would hold up the commits' own.
        fill.file.sync()?;
        if fill.filled < total {
            return Ok(());
        }
        let path = self.shared.path(&names::spare(fill.id));
        self.shared.storage.rename(&fill.path, &path)?;
        activate::sync_dir(&self.shared)?;
        self.shared.spares().add(Spare { path, recycled: false });
        self.fill = None;
        Ok(())
    }

    fn seal_step(&mut self, budget_bytes: usize) -> Result<(), MaintenanceError> {
        if self.seal.is_none() {
            match self.next_to_seal(self.shared.config.hot_bytes_max) {
                Some(segment) => self.begin_seal(&segment)?,
                None => return Ok(()),
            }
        }
        let Some(job) = &mut self.seal else { return Ok(()) };
        match job.advance(budget_bytes) {
            Ok(false) => return Ok(()),
            Ok(true) => {}
            Err(error) => {
                self.seal = None;
                return Err(error);
            }
        }
        let Some(job) = self.seal.take() else { return Ok(()) };
        let hot = Arc::clone(job.segment());
        let sealed = job.finish(&self.shared)?;
        self.shared.change_segments(|table| table.with(sealed));
        self.shared.spares().retire(hot);
        Ok(())
    }

    fn begin_seal(&mut self, segment: &Arc<Segment>) -> Result<(), MaintenanceError> {
        let level = match self.shared.config.sealing {
            Sealing::Off => 1,
            Sealing::Zstd(level) => level,
        };
        let epoch = self.epochs.for_sealed(segment.number());
        self.seal = Some(SealJob::begin(&self.shared, segment, epoch, level)?);
        Ok(())
    }

    /// The oldest complete hot segment, if those together exceed the limit.
    fn next_to_seal(&self, hot_bytes_max: u64) -> Option<Arc<Segment>> {
        match self.shared.config.sealing {
            Sealing::Off => return None,
            Sealing::Zstd(_) => {}
        }
        let table = self.shared.segments();
        let hot = table.segments.iter().filter(|s| s.is_complete() && !s.is_sealed());
        let bytes: u64 = hot.clone().map(|segment| segment.end().offset).sum();
        (bytes > hot_bytes_max).then(|| hot.clone().next().map(Arc::clone))?
    }

    /// Makes spares out of retired files, or removes them.
    fn reclaim(
        &self,
        may_reclaim: &mut dyn FnMut(&Retired) -> bool,
    ) -> Result<(), MaintenanceError> {
        let waiting = self.shared.spares().take_retired();
        let mut outcome = Ok(());
        for hot in waiting {
            let retired = Retired { segment: hot.number(), path: hot.path.clone() };
            // Ours is the only handle: no reader of this process has the file, or will get it.
            let is_free = Arc::strong_count(&hot) == 1;
            if outcome.is_err() || !is_free || !may_reclaim(&retired) {
                self.shared.spares().retire(hot);
                continue;
            }
            outcome = self.reclaim_one(&retired);
            if outcome.is_err() {
                self.shared.spares().retire(hot);
            }
        }
        outcome
    }

    fn reclaim_one(&self, retired: &Retired) -> Result<(), MaintenanceError> {
        let config = &self.shared.config;
        let storage = &*self.shared.storage;
        let file = storage.open(&retired.path, OpenMode::READ)?;
        let is_whole = file.len()? == config.segment_bytes;
        if !is_whole || self.shared.spares().len() >= config.spares {
            storage.remove(&retired.path)?;
        } else {
            let id = self.shared.spares().next_id();
            let path = self.shared.path(&names::spare(id));
            storage.rename(&retired.path, &path)?;
            self.shared.spares().add(Spare { path, recycled: true });
        }
        activate::sync_dir(&self.shared)?;
        Ok(())
    }
}
