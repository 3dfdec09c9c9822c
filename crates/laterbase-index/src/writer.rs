//! The index of the one process that writes: absorbs entries, writes runs, merges them.
//!
//! ```text
//!   absorb ──▶ memtable ──flush──▶ run ─┐
//!                                  run ─┼─merge──▶ run          manifest: these runs, complete
//!                                  run ─┘                       up to the watermark
//! ```
//! Single-threaded and stepped: nothing happens but in a call. The host decides when, from which
//! thread, and up to which position entries may be written down.
//!
//! Order on the device: a run is synced, then the new manifest beside the old one, then the
//! directory; only then is the new manifest renamed over the old one, and the directory synced
//! again. So the manifest that a crash leaves names runs that are whole, and its watermark is never
//! ahead of them. A run never holds an entry above the flushed position that the host gave.

use crate::cache::PartCache;
use crate::config::IndexConfig;
use crate::error::{AbsorbError, MaintainError, OpenError};
use crate::manifest::{MANIFEST, MANIFEST_NEW, Manifest, ManifestRun};
use crate::memtable::Memtable;
use crate::pending::PendingEntries;
use crate::run::Run;
use crate::run_file::{RunSpan, run_name, run_number};
use crate::snapshot::{IndexReader, IndexSnapshot, Publisher, RunSet};
use crate::statistics::IndexStatistics;
use crate::tiers;
use crate::work::{IndexWork, Job, Outcome, Place, Stage, replaces};
use laterbase_event::Position;
use laterbase_log::storage::{Storage, StorageError};
use std::ops::Range;
use std::sync::Arc;

/// An index that can be written; one process at a time may have it.
#[derive(Debug)]
pub struct IndexWriter {
    storage: Arc<dyn Storage>,
    dir: String,
    config: IndexConfig,
    memtable: Memtable,
    /// The runs that the manifest names.
    runs: Arc<RunSet>,
    /// What the device holds, as far as is known.
    manifest: Manifest,
    publisher: Publisher,
    /// The number of the next run's file, which none has had.
    next_run: u64,
    /// The run that the memtable's frozen chunks are being written to.
    flush: Option<Job>,
    /// The run that runs are being merged into.
    merge: Option<Job>,
    /// Which runs are to be merged next.
    mergeable: Option<Range<usize>>,
    /// Shared with the piece of work that is out, if one is.
    token: Arc<()>,
    retired: Vec<RetiredRun>,
    /// Why nothing is written any more.
    stopped: Option<StorageError>,
}

/// A run's file that no manifest names any more, or that never got into one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetiredRun {
    /// Its name in the directory of the index.
    pub name: String,
    /// Its length in bytes, as far as it is known; 0 if not.
    pub bytes: u64,
}

/// Is there more to maintain?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Not before more is absorbed or flushed.
    Idle,
    /// Call again.
    More,
}

impl IndexWriter {
    /// Creates an empty index in `dir`, which is made if need be; its parent must exist.
    ///
    /// Durable once it returns.
    ///
    /// # Errors
    /// An index that is there already, or a storage that fails.
    pub fn create(
        storage: Arc<dyn Storage>,
        dir: &str,
        config: IndexConfig,
    ) -> Result<Self, OpenError> {
        storage.create_dir(dir)?;
        if storage.exists(&format!("{dir}/{MANIFEST}"))? {
            return Err(OpenError::Exists { dir: dir.to_owned() });
        }
        let manifest = Manifest::empty(config.owner, numbers_end(&*storage, dir)?);
        manifest.prepare(&*storage, dir)?;
        Manifest::switch(&*storage, dir)?;
        storage.sync_dir(dir.rsplit_once('/').map_or("", |(parent, _)| parent))?;
        Self::open(storage, dir, config)
    }

    /// Opens the index in `dir`. Entries above its [watermark](Self::watermark) are missing until
    /// the host has read them from the log and absorbed them.
    ///
    /// # Errors
    /// No index, one of a newer format or another owner, a damaged one, or a storage that fails.
    /// A damaged index, or one whose watermark is beyond the end of the log, is to be
    /// [destroyed](Self::destroy), created and filled from the log.
    pub fn open(
        storage: Arc<dyn Storage>,
        dir: &str,
        config: IndexConfig,
    ) -> Result<Self, OpenError> {
        let cache = Arc::new(PartCache::new(config.cache_bytes));
        let manifest = load_manifest(&*storage, dir, &config)?;
        let runs = open_runs(&*storage, dir, &manifest, &[], &cache)?;
        // The manifest may have been renamed and not synced by a process that was killed. Before
        // anything is removed that an older one names, this one must be what the device holds.
        storage.sync_dir(dir)?;
        let next_run = manifest.next_run.max(numbers_end(&*storage, dir)?);
        let retired = orphans(&*storage, dir, &manifest)?;
        let mergeable = choose_merge(&runs, &config);
        let runs = Arc::new(RunSet { runs, cache });
        let watermark = manifest.watermark;
        Ok(Self {
            memtable: new_memtable(watermark, &config),
            publisher: Publisher::new(&runs, Position::new(watermark)),
            storage,
            dir: dir.to_owned(),
            config,
            runs,
            manifest,
            next_run,
            flush: None,
            merge: None,
            mergeable,
            token: Arc::new(()),
            retired,
            stopped: None,
        })
    }

    /// Opens the index in `dir`, or creates it if there is none.
    ///
    /// # Errors
    /// As [`Self::open`] and [`Self::create`].
    pub fn open_or_create(
        storage: Arc<dyn Storage>,
        dir: &str,
        config: IndexConfig,
    ) -> Result<Self, OpenError> {
        match Self::open(Arc::clone(&storage), dir, config) {
            Err(OpenError::Missing { .. }) => Self::create(storage, dir, config),
            opened => opened,
        }
    }

    /// Removes every file of the index in `dir`, if there is one. Whatever is left by a crash on
    /// the way is no index.
    ///
    /// # Errors
    /// A storage that fails.
    pub fn destroy(storage: &dyn Storage, dir: &str) -> Result<(), StorageError> {
        if !storage.exists(dir)? {
            return Ok(());
        }
        let manifest = format!("{dir}/{MANIFEST}");
        if storage.exists(&manifest)? {
            storage.remove(&manifest)?;
        }
        storage.sync_dir(dir)?;
        for name in storage.list(dir)? {
            if name == MANIFEST_NEW || run_number(&name).is_some() {
                storage.remove(&format!("{dir}/{name}"))?;
            }
        }
        storage.sync_dir(dir)
    }

    /// The runs on the device are complete up to this position: where the log is to be read from
    /// again, less one.
    #[must_use]
    pub fn watermark(&self) -> Position {
        Position::new(self.manifest.watermark)
    }

    /// The index is complete up to this position.
    #[must_use]
    pub fn complete_to(&self) -> Position {
        Position::new(self.memtable.complete_to())
    }

    /// Takes entries in; the next snapshot has them. Reads and writes no file.
    ///
    /// They must be all entries of the positions after [`Self::complete_to`] up to
    /// [`PendingEntries::upto`]. Those of earlier positions are left out: they are here already.
    /// `pending` is emptied.
    ///
    /// # Errors
    /// An entry of a position beyond what the entries are complete to; nothing is changed then.
    pub fn absorb(&mut self, pending: &mut PendingEntries) -> Result<(), AbsorbError> {
        if self.memtable.absorb(pending)? {
            self.publish();
        }
        Ok(())
    }

    /// Goes on with what is to be done: writes the memtable out as a run once it is half full, and
    /// merges runs. Handles about `budget` entries; syncing files takes its time on top.
    ///
    /// No entry of a position above `flushed` is written. It is [`Self::begin_work`],
    /// [`IndexWork::run`] and [`Self::finish_work`] in one.
    ///
    /// # Errors
    /// A damaged run, or a storage that fails: see [`MaintainError`].
    pub fn maintain(
        &mut self,
        budget: usize,
        flushed: Position,
    ) -> Result<Progress, MaintainError> {
        let mut left = budget;
        while left > 0 {
            let Some(mut work) = self.begin_work(flushed)? else { return Ok(Progress::Idle) };
            work.run(&mut left);
            self.finish_work(work)?;
        }
        Ok(if self.has_work(flushed) { Progress::More } else { Progress::Idle })
    }

    /// Takes out the next piece of what [`Self::maintain`] does; `None` if there is nothing to do,
    /// or one is out. Reads and writes no file.
    ///
    /// Once it has [run](IndexWork::run) for a while it is to be given to [`Self::finish_work`],
    /// whether it is done or not. Meanwhile the index absorbs and is read as ever.
    ///
    /// # Errors
    /// [`MaintainError::Stopped`].
    pub fn begin_work(&mut self, flushed: Position) -> Result<Option<IndexWork>, MaintainError> {
        self.begin(flushed, self.config.memtable_bytes / 2, true)
    }

    /// Takes over what a piece of work has come to. Reads and writes no file.
    ///
    /// # Errors
    /// What failed in it: see [`MaintainError`].
    pub fn finish_work(&mut self, work: IndexWork) -> Result<(), MaintainError> {
        let IndexWork { job, outcome, .. } = work;
        // A merge does not move the watermark.
        let is_flush = job.watermark > self.manifest.watermark;
        match outcome {
            Outcome::Unfinished if is_flush => self.flush = Some(job),
            Outcome::Unfinished => self.merge = Some(job),
            Outcome::Installed { runs, manifest } => {
                for old in self.runs.runs.iter().filter(|old| replaces(&job.span, old)) {
                    let name = run_name(old.span().number);
                    self.retired.push(RetiredRun { name, bytes: old.file_bytes() });
                }
                self.mergeable = choose_merge(&runs, &self.config);
                self.runs = Arc::new(RunSet { runs, cache: Arc::clone(&self.runs.cache) });
                self.manifest = manifest;
                if is_flush {
                    self.memtable.release();
                }
                self.publish();
            }
            Outcome::Abandoned(error) => {
                if is_flush {
                    self.memtable.thaw();
                }
                let name = run_name(job.span.number);
                self.retired.push(RetiredRun { name, bytes: 0 });
                return Err(error.into());
            }
            Outcome::Torn(cause) => {
                if is_flush {
                    self.memtable.thaw();
                }
                self.stopped = Some(cause.clone());
                return Err(MaintainError::Stopped { cause });
            }
        }
        Ok(())
    }

    /// Writes all entries of positions up to `flushed` out as runs, however few they are: what a
    /// clean close does, so that nothing is read from the log again.
    ///
    /// # Errors
    /// As [`Self::maintain`].
    pub fn write_out(&mut self, flushed: Position) -> Result<(), MaintainError> {
        while let Some(mut work) = self.begin(flushed, 1, false)? {
            let mut unbounded = usize::MAX;
            work.run(&mut unbounded);
            self.finish_work(work)?;
        }
        Ok(())
    }

    /// Memory that entries in no run take, in bytes.
    #[must_use]
    pub fn memtable_bytes(&self) -> usize {
        self.memtable.bytes()
    }

    /// Has the memtable reached its limit? Then the host is to flush the log and to call
    /// [`Self::maintain`] before it absorbs more.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.memtable.bytes() >= self.config.memtable_bytes
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

    /// Files that the index no longer needs; other processes may have them open.
    #[must_use]
    pub fn retired(&self) -> &[RetiredRun] {
        &self.retired
    }

    /// Removes those retired files of which `may_remove` says so, and returns how many.
    ///
    /// # Errors
    /// A storage that fails; what could not be removed stays retired.
    pub fn reclaim(
        &mut self,
        mut may_remove: impl FnMut(&RetiredRun) -> bool,
    ) -> Result<usize, StorageError> {
        let (mut removed, mut failure) = (0, None);
        self.retired.retain(|retired| {
            if failure.is_some() || !may_remove(retired) {
                return true;
            }
            match self.storage.remove(&format!("{}/{}", self.dir, retired.name)) {
                Err(error) if !error.is_not_found() => failure = Some(error),
                Ok(()) | Err(_) => removed += 1,
            }
            failure.is_some()
        });
        failure.map_or(Ok(removed), Err)
    }

    /// What the index holds and takes.
    #[must_use]
    pub fn statistics(&self) -> IndexStatistics {
        self.snapshot().statistics()
    }

    fn publish(&mut self) {
        let watermark = self.watermark();
        let complete_to = Position::new(self.memtable.complete_to());
        self.publisher.publish(self.memtable.chunks(), &self.runs, complete_to, watermark);
    }

    fn refuse_if_stopped(&self) -> Result<(), MaintainError> {
        match &self.stopped {
            Some(cause) => Err(MaintainError::Stopped { cause: cause.clone() }),
            None => Ok(()),
        }
    }

    /// Takes out the next piece of work: a flush once `least_bytes` are ready, then merges.
    fn begin(
        &mut self,
        flushed: Position,
        least_bytes: usize,
        merges: bool,
    ) -> Result<Option<IndexWork>, MaintainError> {
        self.refuse_if_stopped()?;
        if Arc::strong_count(&self.token) > 1 {
            return Ok(None);
        }
        let mut job = self.flush.take().or_else(|| self.new_flush(flushed, least_bytes));
        if job.is_none() && merges {
            job = self.merge.take().or_else(|| self.new_merge());
        }
        let Some(job) = job else { return Ok(None) };
        let place = Place {
            storage: Arc::clone(&self.storage),
            dir: self.dir.clone(),
            buffer_bytes: self.config.merge_bytes,
            runs: Arc::clone(&self.runs),
            manifest: self.manifest.clone(),
            next_run: self.next_run,
        };
        let token = Arc::clone(&self.token);
        Ok(Some(IndexWork { job, place, outcome: Outcome::Unfinished, _token: token }))
    }

    /// Is there a piece of work to take out?
    fn has_work(&self, flushed: Position) -> bool {
        let ready = self.memtable.ready_bytes(flushed.as_u64());
        self.flush.is_some()
            || self.merge.is_some()
            || self.mergeable.is_some()
            || ready >= (self.config.memtable_bytes / 2).max(1)
    }

    fn new_flush(&mut self, flushed: Position, least_bytes: usize) -> Option<Job> {
        if self.memtable.ready_bytes(flushed.as_u64()) < least_bytes.max(1) {
            return None;
        }
        let chunks = self.memtable.freeze(flushed.as_u64());
        let highest = chunks.last()?.highest();
        let lowest = self.manifest.watermark + 1;
        let span = RunSpan { number: self.take_number(), lowest, highest };
        Some(Job { span, watermark: highest, stage: Stage::Chunks(chunks) })
    }

    fn new_merge(&mut self) -> Option<Job> {
        let inputs = self.runs.runs.get(self.mergeable.clone()?)?.to_vec();
        let lowest = inputs.first()?.span().lowest;
        let highest = inputs.last()?.span().highest;
        let span = RunSpan { number: self.take_number(), lowest, highest };
        Some(Job { span, watermark: 0, stage: Stage::Runs(inputs) })
    }

    fn take_number(&mut self) -> u64 {
        let number = self.next_run;
        self.next_run += 1;
        number
    }
}

/// The place of the runs that are to be merged next.
fn choose_merge(runs: &[Arc<Run>], config: &IndexConfig) -> Option<Range<usize>> {
    let entries: Vec<u64> = runs.iter().map(|run| run.entries()).collect();
    tiers::choose(&entries, config.fan_out())
}

pub(crate) fn new_memtable(watermark: u64, config: &IndexConfig) -> Memtable {
    Memtable::new(watermark, config.memtable_bytes / 2)
}

pub(crate) fn load_manifest(
    storage: &dyn Storage,
    dir: &str,
    config: &IndexConfig,
) -> Result<Manifest, OpenError> {
    let manifest = Manifest::load(storage, dir)?;
    let manifest = manifest.ok_or_else(|| OpenError::Missing { dir: dir.to_owned() })?;
    if manifest.owner == config.owner {
        Ok(manifest)
    } else {
        Err(OpenError::Foreign { dir: dir.to_owned() })
    }
}

/// Opens the runs of a manifest, taking over those of `open` that are the same.
pub(crate) fn open_runs(
    storage: &dyn Storage,
    dir: &str,
    manifest: &Manifest,
    open: &[Arc<Run>],
    cache: &Arc<PartCache>,
) -> Result<Vec<Arc<Run>>, OpenError> {
    let open_run = |wanted: &ManifestRun| {
        if let Some(run) = open.iter().find(|run| ManifestRun::of(run) == *wanted) {
            return Ok(Arc::clone(run));
        }
        let number = wanted.span.number;
        let run = Run::open(storage, dir, number, Some(wanted.foot_crc), cache)?;
        if ManifestRun::of(&run) != *wanted {
            return Err(run.damage(0, crate::error::DamageKind::Content).into());
        }
        Ok(Arc::new(run))
    };
    manifest.runs.iter().map(open_run).collect()
}

/// Runs' files that the manifest does not name.
fn orphans(
    storage: &dyn Storage,
    dir: &str,
    manifest: &Manifest,
) -> Result<Vec<RetiredRun>, StorageError> {
    let named = |number| manifest.runs.iter().any(|run| run.span.number == number);
    let names = storage.list(dir)?.into_iter();
    let orphans = names.filter(|name| run_number(name).is_some_and(|number| !named(number)));
    Ok(orphans.map(|name| RetiredRun { name, bytes: 0 }).collect())
}

/// One more than the highest number of a run's file.
fn numbers_end(storage: &dyn Storage, dir: &str) -> Result<u64, StorageError> {
    let names = storage.list(dir)?;
    let highest = names.iter().filter_map(|name| run_number(name)).max();
    Ok(highest.map_or(1, |highest| highest.saturating_add(1)))
}
