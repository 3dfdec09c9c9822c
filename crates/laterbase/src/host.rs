//! The threads of an open database: a thin host around the stepped cores.
//!
//! | thread | does | is rung by |
//! |---|---|---|
//! | commit | writes what nobody waits for, flushes in time | dropped tickets, buffered writes |
//! | index | sorts what was staged, writes and merges runs | appends, when enough waits |
//! | tidy | prepares and seals segments, reclaims files | commits |
//! | folds | makes and writes the rows of folds that are kept; begins with the first | reads |
//!
//! Everything they do can also be done by `Database::step`, which is how a simulation runs. Nothing
//! here decides anything; an idle database wakes nobody.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use laterbase_log::storage::lower_priority;

use crate::inner::{INDEX_STEP_ENTRIES, Inner, LOG_STEP_BYTES, Writer, lock};
use crate::progress::Durability;
use crate::reclaim::Reclaimer;

/// Maintenance looks at most this often.
const MAINTENANCE_PAUSE: Duration = Duration::from_millis(20);

/// How long an append waits for the indexes at a time.
const ROOM_TIMEOUT: Duration = Duration::from_millis(100);

/// One thread's reason to wake up.
#[derive(Debug, Default)]
struct Wish {
    rung: AtomicBool,
    mutex: Mutex<()>,
    condvar: Condvar,
}

impl Wish {
    fn ring(&self) {
        if !self.rung.swap(true, Ordering::AcqRel) {
            // The lock orders the ring after a check that found nothing.
            drop(self.mutex.lock().unwrap_or_else(PoisonError::into_inner));
            self.condvar.notify_all();
        }
    }

    /// Waits until rung.
    fn wait(&self) {
        let mut guard = self.mutex.lock().unwrap_or_else(PoisonError::into_inner);
        while !self.rung.swap(false, Ordering::AcqRel) {
            guard = self.condvar.wait(guard).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits until rung, or for a time.
    fn wait_for(&self, time: Duration) {
        let guard = self.mutex.lock().unwrap_or_else(PoisonError::into_inner);
        if self.rung.swap(false, Ordering::AcqRel) {
            return;
        }
        let _ = self.condvar.wait_timeout(guard, time);
        self.rung.store(false, Ordering::Release);
    }
}

/// Wakes the threads.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    commit: Wish,
    index: Wish,
    maintenance: Wish,
    folds: Wish,
    /// A write was not flushed yet.
    flush_due: AtomicBool,
    write_now: AtomicBool,
    stopping: AtomicBool,
    stop: Wish,
    room: Mutex<()>,
    room_made: Condvar,
}

impl Bell {
    /// Somebody wants what is staged to be written.
    pub(crate) fn ring_commit(&self) {
        self.write_now.store(true, Ordering::Release);
        self.commit.ring();
    }

    /// Something was written and not flushed.
    pub(crate) fn ring_flush(&self) {
        if !self.flush_due.swap(true, Ordering::AcqRel) {
            self.commit.ring();
        }
    }

    /// Enough waits for the indexes.
    pub(crate) fn ring_index(&self) {
        self.index.ring();
    }

    /// A commit was written.
    pub(crate) fn ring_maintenance(&self) {
        self.maintenance.ring();
    }

    /// Rows that are kept are to be made or written.
    pub(crate) fn ring_folds(&self) {
        self.folds.ring();
    }

    /// The indexes have taken what waited for them.
    pub(crate) fn announce_room(&self) {
        drop(self.room.lock().unwrap_or_else(PoisonError::into_inner));
        self.room_made.notify_all();
    }

    /// Lets the index thread work until there is room; `false` if it does not get there in time.
    pub(crate) fn wait_for_room(&self, has_room: impl Fn() -> bool) -> bool {
        self.ring_index();
        let mut guard = self.room.lock().unwrap_or_else(PoisonError::into_inner);
        while !has_room() && !self.is_stopping() {
            let waited = self.room_made.wait_timeout(guard, ROOM_TIMEOUT);
            let (next, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            guard = next;
            if timeout.timed_out() {
                return has_room();
            }
            self.ring_index();
        }
        true
    }

    fn ring_stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.commit.ring();
        self.index.ring();
        self.maintenance.ring();
        self.folds.ring();
        self.stop.ring();
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }
}

/// What a thread does until it is stopped.
type Body = fn(&Inner, &Writer);

/// The running threads.
#[derive(Debug, Default)]
pub(crate) struct Threads {
    handles: Vec<JoinHandle<()>>,
    has_folds: bool,
}

impl Threads {
    /// Starts the threads of a writing process.
    pub(crate) fn start(inner: &Arc<Inner>) -> std::io::Result<Self> {
        let mut handles = Vec::new();
        let bodies: [(&str, Body); 3] = [
            ("laterbase-commit", run_commits),
            ("laterbase-index", run_indexes),
            ("laterbase-tidy", run_maintenance),
        ];
        for (name, body) in bodies {
            handles.push(spawn(inner, name, body)?);
        }
        Ok(Self { handles, has_folds: false })
    }

    /// Starts the thread of the folds that are kept, if it does not run.
    pub(crate) fn start_folds(&mut self, inner: &Arc<Inner>) {
        // Whoever closes has locked the threads behind the flag.
        if !self.has_folds && !inner.is_closing() {
            let spawned = spawn(inner, "laterbase-folds", run_folds);
            // Without it, whoever reads does its work.
            self.has_folds = spawned.is_ok();
            self.handles.extend(spawned);
        }
        inner.bell.ring_folds();
    }

    /// Ends the threads and waits for them.
    pub(crate) fn stop(&mut self, inner: &Inner) {
        inner.bell.ring_stop();
        for handle in self.handles.drain(..) {
            // A thread that panicked has told so on standard error; the cores refuse to go on.
            let _ = handle.join();
        }
    }
}

fn spawn(inner: &Arc<Inner>, name: &str, body: Body) -> std::io::Result<JoinHandle<()>> {
    let inner = Arc::clone(inner);
    std::thread::Builder::new().name(name.into()).spawn(move || {
        if let Some(writer) = inner.writer() {
            body(&inner, writer);
        }
    })
}

fn run_commits(inner: &Inner, writer: &Writer) {
    let bell = &inner.bell;
    loop {
        bell.commit.wait();
        if bell.is_stopping() {
            return;
        }
        if bell.write_now.swap(false, Ordering::AcqRel) {
            // A failure is recorded in the progress, where all who wait find it.
            let _ = inner.lead_blocking(writer, Durability::Flushed);
        }
        if bell.flush_due.swap(false, Ordering::AcqRel) {
            bell.stop.wait_for(Duration::from_millis(inner.options.flush_interval_ms));
            let _ = inner.lead_blocking(writer, Durability::Flushed);
            if bell.is_stopping() {
                return;
            }
        }
    }
}

fn run_indexes(inner: &Inner, writer: &Writer) {
    // Appends and reads wait for a processor before this does.
    lower_priority();
    loop {
        inner.bell.index.wait();
        if inner.bell.is_stopping() {
            return;
        }
        // A failure leaves the entries where readers find it again and report it.
        while inner.step_indexes(writer).unwrap_or(false) && !inner.bell.is_stopping() {
            std::thread::yield_now();
        }
    }
}

fn run_maintenance(inner: &Inner, writer: &Writer) {
    lower_priority();
    let mut reclaimer = Reclaimer::default();
    loop {
        inner.bell.maintenance.wait();
        while !inner.bell.is_stopping()
            && inner.step_maintenance(writer, &mut reclaimer).unwrap_or(false)
        {}
        if inner.bell.is_stopping() {
            return;
        }
        inner.bell.stop.wait_for(MAINTENANCE_PAUSE);
        if inner.bell.is_stopping() {
            return;
        }
    }
}

fn run_folds(inner: &Inner, _: &Writer) {
    lower_priority();
    loop {
        inner.bell.folds.wait();
        while !inner.bell.is_stopping() && inner.step_folds() {
            std::thread::yield_now();
        }
        if inner.bell.is_stopping() {
            return;
        }
    }
}

impl Inner {
    /// Writes what is staged, waiting for whoever is writing now.
    pub(crate) fn lead_blocking(
        &self,
        parts: &Writer,
        durability: Durability,
    ) -> Result<(), crate::append::AppendError> {
        let mut guard = lock(&parts.writer);
        let led = self.lead(parts, &mut guard, durability);
        drop(guard);
        self.progress.wake();
        led
    }

    /// One step of the indexes; `true` while there is more to do.
    ///
    /// Files are written without the lock: nobody who wants entries absorbed waits for a sync.
    pub(crate) fn step_indexes(&self, parts: &Writer) -> Result<bool, crate::read::ReadError> {
        let (work, full) = {
            let mut indexer = lock(&parts.indexer);
            // A full memtable is written first; what is staged waits, and then appends do.
            let full = indexer.index.is_full();
            if !full {
                self.absorb(parts, &mut indexer)?;
            }
            (indexer.index.begin_work(self.progress.flushed()), full)
        };
        match work {
            Ok(Some(mut work)) => {
                work.run(&mut { INDEX_STEP_ENTRIES });
                let mut indexer = lock(&parts.indexer);
                let finished = indexer.index.finish_work(work);
                if self.note_written(&mut indexer, finished) {
                    return Ok(true);
                }
            }
            // Nothing of it is on the device yet.
            Ok(None) if full && self.progress.flushed() < self.progress.visible() => {
                if self.lead_blocking(parts, Durability::Flushed).is_ok() {
                    return Ok(true);
                }
            }
            Ok(None) => {}
            Err(error) => {
                self.note_written(&mut lock(&parts.indexer), Err(error));
            }
        }
        // A disk that takes no runs stops no reads, and appends only when memory is used up.
        let mut indexer = lock(&parts.indexer);
        if full && !self.is_overfull(&indexer) {
            self.absorb(parts, &mut indexer)?;
        }
        Ok(false)
    }

    /// One step of the log's housekeeping; `true` while there is more to do.
    pub(crate) fn step_maintenance(
        &self,
        parts: &Writer,
        reclaimer: &mut Reclaimer,
    ) -> Result<bool, laterbase_log::MaintenanceError> {
        reclaimer.look(self.storage.as_ref());
        let more = lock(&parts.maintenance)
            .step(LOG_STEP_BYTES, &mut |retired| reclaimer.may_reclaim(&retired.path))?;
        let mut indexer = lock(&parts.indexer);
        if !indexer.index.retired().is_empty() {
            // What cannot be removed now is tried again.
            let _ = indexer.index.reclaim(|run| reclaimer.may_reclaim(&run.name));
        }
        Ok(more)
    }
}
