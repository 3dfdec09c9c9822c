//! What a projection remembers of being kept, and the steps that move it on.

use std::hash::Hasher as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};

use laterbase_event::Position;
use serde::Serialize;
use serde::de::DeserializeOwned;
use siphasher::sip::SipHasher13;

use super::error::{KeepError, KeptFileError, KeptNews, KeptStatus};
use super::file::KeptFile;
use super::head::{Code, Sort};
use super::load::{Found, find};
use super::previous::Previous;
use super::registry::Kept;
use crate::fold::aggregate::Fold;
use crate::fold::engine::Engine;
use crate::fold::moment::Resolved;
use crate::fold::upcast::Upcasters;
use crate::inner::lock;
use crate::read::ReadError;

/// A share of the events by which the log grows before the rows are written again.
const SHARE: u64 = 8;

/// Problems that are remembered.
const UNUSABLE_MAX: usize = 16;

/// Somebody who is told.
pub(crate) type Tell = Arc<dyn Fn(&KeptNews) + Send + Sync>;

/// How a state becomes JSON, and comes back.
pub(super) struct StateForm<S> {
    pub(super) write: fn(&S) -> Result<Vec<u8>, String>,
    pub(super) read: fn(&[u8]) -> Result<S, String>,
}

/// What a projection remembers of being kept.
pub(crate) struct Keeping<S> {
    pub(super) name: String,
    pub(super) code: Code,
    pub(super) form: StateForm<S>,
    /// What the log held when this began: it is ready once it is there.
    target: Position,
    /// The file that is to be loaded before anything else.
    pub(super) pending: Mutex<Option<Arc<KeptFile>>>,
    /// The rows that answer while this one is not ready.
    pub(super) previous: Mutex<Option<Previous>>,
    is_ready: AtomicBool,
    /// The projection was dropped.
    is_let_go: AtomicBool,
    /// Locked by whoever writes the file, before the rows.
    pub(super) writing: Mutex<()>,
    pub(super) written: Written,
    /// When the rows are to be written again: a position.
    pub(super) due_at: AtomicU64,
    /// Streams whose states other code left, to be folded by this one.
    pub(super) to_warm: Mutex<Vec<Arc<str>>>,
    pub(super) told: Mutex<Told>,
}

/// What the file of this version holds.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// Up to which position it counts.
    pub(super) done: AtomicU64,
    /// Whether its rows answered.
    pub(super) is_complete: AtomicBool,
    /// There may be files of other versions.
    pub(super) has_others: AtomicBool,
}

impl Written {
    pub(super) fn done(&self) -> Position {
        Position::new(self.done.load(Ordering::Acquire))
    }

    pub(super) fn is_complete(&self) -> bool {
        self.is_complete.load(Ordering::Acquire)
    }

    pub(super) fn has_others(&self) -> bool {
        self.has_others.load(Ordering::Acquire)
    }

    pub(super) fn set(&self, done: Position, is_complete: bool) {
        self.done.store(done.as_u64(), Ordering::Release);
        self.is_complete.store(is_complete, Ordering::Release);
    }
}

/// What went wrong, and who is told.
#[derive(Default)]
pub(super) struct Told {
    unusable: Vec<Arc<KeptFileError>>,
    failure: Option<Arc<KeepError>>,
    tell: Option<Tell>,
}

impl<S> Keeping<S> {
    pub(super) fn is_ready(&self) -> bool {
        self.is_ready.load(Ordering::Acquire)
    }

    pub(super) fn is_let_go(&self) -> bool {
        self.is_let_go.load(Ordering::Acquire)
    }

    /// The rows are as they were written at a position, or could not be written there.
    pub(super) fn put_off(&self, at: Position, keep_every: u64) {
        let at = at.as_u64();
        let next = at.saturating_add(keep_every.max(at / SHARE).max(1));
        self.due_at.store(next, Ordering::Relaxed);
    }

    fn is_due(&self, at: Position) -> bool {
        at.as_u64() >= self.due_at.load(Ordering::Relaxed)
    }

    /// A file is left aside.
    pub(super) fn leave_aside(&self, error: KeptFileError) {
        let error = Arc::new(error);
        let mut told = lock(&self.told);
        if told.unusable.len() < UNUSABLE_MAX {
            told.unusable.push(Arc::clone(&error));
        }
        let tell = told.tell.clone();
        drop(told);
        tell.into_iter().for_each(|tell| tell(&KeptNews::Unusable(Arc::clone(&error))));
    }

    /// They were written, or could not be.
    pub(super) fn note_written(&self, failure: Option<Arc<KeepError>>) {
        let mut told = lock(&self.told);
        told.failure.clone_from(&failure);
        let tell = told.tell.clone().zip(failure);
        drop(told);
        tell.into_iter().for_each(|(tell, failure)| tell(&KeptNews::Failed(failure)));
    }

    /// The rows cannot be made. Whoever is told is told once.
    fn note_unread(&self, error: ReadError) {
        let is_known = lock(&self.told).failure.is_some();
        if !is_known {
            self.note_written(Some(Arc::new(KeepError::Read(error))));
        }
    }

    /// This version answers from now on.
    fn become_ready(&self) {
        if self.is_ready.swap(true, Ordering::AcqRel) {
            return;
        }
        // Who has them reads on in them; nobody gets them any more.
        lock(&self.previous).take();
        if !self.written.is_complete() || self.written.has_others() {
            self.due_at.store(0, Ordering::Relaxed);
        }
        let mut told = lock(&self.told);
        told.failure = None;
        let tell = told.tell.clone();
        drop(told);
        tell.into_iter().for_each(|tell| tell(&KeptNews::Ready));
    }
}

impl<F: Fold> Engine<F> {
    /// Looks for what is kept under a name, and keeps the rows there from now on.
    pub(in crate::fold) fn begin_to_keep(engine: &Arc<Self>, name: &str) -> Result<(), KeepError>
    where
        F::State: Serialize + DeserializeOwned,
    {
        if engine.keeping.get().is_some() {
            return Err(KeepError::Taken { name: name.to_owned() });
        }
        let inner = &engine.inner;
        let weak: Weak<Self> = Arc::downgrade(engine);
        inner.folds.add(name, weak)?;
        let code = engine.code();
        // Rows that were there before are younger than any file.
        let found = if engine.noted() > Position::NONE {
            Found::default()
        } else {
            find(inner, name, code)
        };
        let keeping = Keeping {
            name: name.to_owned(),
            code,
            form: StateForm { write: write_state::<F::State>, read: read_state::<F::State> },
            target: inner.progress.visible(),
            pending: Mutex::new(found.to_load),
            previous: Mutex::new(found.previous),
            is_ready: AtomicBool::new(false),
            is_let_go: AtomicBool::new(false),
            writing: Mutex::default(),
            written: found.written,
            due_at: AtomicU64::new(0),
            to_warm: Mutex::default(),
            told: Mutex::default(),
        };
        keeping.put_off(found.loads_to, inner.options.folds.keep_every);
        found.unusable.into_iter().for_each(|error| keeping.leave_aside(error));
        // Only one got past the registry.
        let _ = engine.keeping.set(keeping);
        engine.came_to(engine.noted());
        Ok(())
    }

    /// The rows have come to a position.
    pub(in crate::fold) fn came_to(&self, done: Position) {
        let Some(keeping) = self.keeping.get() else { return };
        if !keeping.is_ready() && done >= keeping.target && lock(&keeping.pending).is_none() {
            keeping.become_ready();
        }
        if keeping.is_due(done) {
            self.inner.bell.ring_folds();
        }
    }

    pub(in crate::fold) fn is_ready(&self) -> bool {
        self.keeping.get().is_none_or(Keeping::is_ready)
    }

    pub(in crate::fold) fn lag_until_ready(&self) -> u64 {
        match self.keeping.get() {
            Some(keeping) if !keeping.is_ready() => {
                keeping.target.as_u64().saturating_sub(self.noted().as_u64())
            }
            Some(_) | None => 0,
        }
    }

    pub(in crate::fold) fn previous(&self) -> Option<Previous> {
        let keeping = self.keeping.get()?;
        let previous = lock(&keeping.previous).clone();
        if previous.is_some() {
            // Whoever makes the new rows may have met with what could not be read.
            self.inner.bell.ring_folds();
        }
        previous
    }

    pub(in crate::fold) fn kept_status(&self) -> Option<KeptStatus> {
        let keeping = self.keeping.get()?;
        let done = keeping.written.done();
        let told = lock(&keeping.told);
        Some(KeptStatus {
            name: keeping.name.clone(),
            kept_to: (done > Position::NONE).then(|| self.arrival_cursor(done)),
            unusable: told.unusable.clone(),
            failure: told.failure.clone(),
        })
    }

    pub(in crate::fold) fn tell_kept(&self, tell: Tell) {
        let Some(keeping) = self.keeping.get() else { return };
        let mut told = lock(&keeping.told);
        let (unusable, failure) = (told.unusable.clone(), told.failure.clone());
        told.tell = Some(Arc::clone(&tell));
        drop(told);
        unusable.into_iter().for_each(|error| tell(&KeptNews::Unusable(error)));
        failure.into_iter().for_each(|error| tell(&KeptNews::Failed(error)));
        if keeping.is_ready() {
            tell(&KeptNews::Ready);
        }
    }

    /// The projection is dropped: writes what is not written, and gives its name back.
    pub(in crate::fold) fn let_go(&self) {
        let Some(keeping) = self.keeping.get() else { return };
        keeping.is_let_go.store(true, Ordering::Release);
        // Unwinding is no time to write, and a closed database has written.
        if !std::thread::panicking() && !self.inner.is_closing() && self.inner.writer().is_some() {
            // Nobody is left to be told; what is not kept is made anew.
            let _ = self.keep(&|| false);
        }
        self.inner.folds.remove(&keeping.name);
    }

    fn code(&self) -> Code {
        let sort = if self.fold.root().is_some() { Sort::Streams } else { Sort::View };
        let (version, order) = (self.fold.version(), self.fold.order());
        let events = self.fold.events();
        let mut hasher = SipHasher13::new();
        let mut take = |text: &str| {
            hasher.write(&(text.len() as u64).to_le_bytes());
            hasher.write(text.as_bytes());
        };
        take(events.root.as_ref().map_or("", |root| root.as_str()));
        take(events.key.as_ref().map_or("", |key| key.as_str()));
        take("types");
        events.types.iter().for_each(|name| take(name.as_str()));
        take("tags");
        events.tags.iter().for_each(|tag| take(&tag.to_string()));
        take("upcasters");
        let root = events.root.as_ref().map(|root| root.as_str());
        let upcasters: &Upcasters = self.upcasters();
        upcasters.names(root).iter().for_each(|name| take(name));
        Code { sort, version, order, digest: hasher.finish() }
    }
}

impl<F: Fold> Kept for Engine<F> {
    fn work(&self) -> bool {
        let Some(keeping) = self.keeping.get() else { return false };
        let is_told_to_stop = || keeping.is_let_go() || self.inner.is_closing();
        if is_told_to_stop() {
            return false;
        }
        if !keeping.is_ready() {
            return match self.catch_up_some(keeping.target, &is_told_to_stop) {
                Ok(_) => true,
                // It is tried again when somebody asks.
                Err(error) => {
                    keeping.note_unread(error);
                    false
                }
            };
        }
        let cold = lock(&keeping.to_warm).pop();
        if let Some(key) = cold {
            let _ = self.read(&key, &Resolved::at(self.noted()));
            return true;
        }
        if keeping.is_due(self.noted()) && self.inner.writer().is_some() {
            // A failure is remembered, and when to try again.
            let _ = self.keep(&is_told_to_stop);
        }
        false
    }

    fn close(&self) {
        // A failure is remembered; what is not kept is made anew.
        let _ = self.keep_at_close();
    }
}

impl<F: Fold> std::fmt::Debug for Engine<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("done", &self.noted()).finish_non_exhaustive()
    }
}

fn write_state<S: Serialize>(state: &S) -> Result<Vec<u8>, String> {
    caught(|| serde_json::to_vec(state).map_err(|error| error.to_string()))
}

fn read_state<S: DeserializeOwned>(bytes: &[u8]) -> Result<S, String> {
    caught(|| serde_json::from_slice(bytes).map_err(|error| error.to_string()))
}

/// With a panic of the program's code as what it says.
pub(super) fn caught<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err("it panicked".to_owned()))
}
