//! How far the log has come, who waits for it, and why it stopped if it did.
//!
//! ```text
//!   staged ──write──▶ written ──sync──▶ flushed      (commit numbers; each only rises)
//!   visible: the last position that local reads may see
//! ```
//! Whoever waits first tries to do the work itself (see `lead.rs`); only if another is at it does
//! it register here and park. The worker wakes exactly those whose commit has got there, plus one
//! that has not, which goes on with the work. A registration never outlives its wait.
//! Waiting allocates nothing once the list of waiters has grown to the number of threads.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::thread::Thread;

use laterbase_event::Position;
use laterbase_log::Poisoned;

use crate::flush_times::FlushCounts;

/// What an acknowledgement promises about power cuts and crashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Durability {
    /// In memory: lost with the process, until a stronger append or [`Database::flush`] comes.
    ///
    /// [`Database::flush`]: crate::Database::flush
    Relaxed,
    /// With the operating system: survives the process; flushed within
    /// [`Options::flush_interval_ms`](crate::Options::flush_interval_ms).
    Buffered,
    /// On the device: survives everything that the device survives.
    #[default]
    Flushed,
}

/// Who waits to be told.
#[derive(Debug)]
pub(crate) enum Listener {
    Thread(Thread),
    Task(Waker),
}

impl Listener {
    fn wake(self) {
        match self {
            Self::Thread(thread) => thread.unpark(),
            Self::Task(waker) => waker.wake(),
        }
    }
}

#[derive(Debug)]
struct Waiter {
    id: u64,
    commit: u64,
    durability: Durability,
    listener: Listener,
}

#[derive(Debug, Default)]
struct Waiters {
    commits: Vec<Waiter>,
    /// Subscriptions: woken whenever the flushed position rises.
    followers: Vec<(u64, Listener)>,
    next_id: u64,
    /// Reused while waking.
    woken: Vec<Listener>,
    failure: Option<Arc<Poisoned>>,
}

/// How far the log has come.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    written_commit: AtomicU64,
    flushed_commit: AtomicU64,
    flushed_position: AtomicU64,
    visible_position: AtomicU64,
    /// Groups that were made durable since the log was opened.
    flushes: AtomicU64,
    /// How long the device took for them.
    pub(crate) flush_counts: FlushCounts,
    failed: std::sync::atomic::AtomicBool,
    waiters: Mutex<Waiters>,
}

/// A registration, to be taken back by [`Progress::forget`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Registration(u64);

impl Progress {
    /// Everything up to this commit and position is durable: where an opened log stands.
    pub(crate) fn starting_at(commit: u64, position: Position) -> Self {
        Self {
            written_commit: AtomicU64::new(commit),
            flushed_commit: AtomicU64::new(commit),
            flushed_position: AtomicU64::new(position.as_u64()),
            visible_position: AtomicU64::new(position.as_u64()),
            ..Self::default()
        }
    }

    /// The last position that is on the device.
    pub(crate) fn flushed(&self) -> Position {
        Position::new(self.flushed_position.load(Ordering::Acquire))
    }

    /// The last position that local reads may see.
    pub(crate) fn visible(&self) -> Position {
        Position::new(self.visible_position.load(Ordering::Acquire))
    }

    /// Whether a commit has the durability.
    pub(crate) fn has_reached(&self, commit: u64, durability: Durability) -> bool {
        match durability {
            Durability::Relaxed => true,
            Durability::Buffered => self.written_commit.load(Ordering::Acquire) >= commit,
            Durability::Flushed => self.flushed_commit.load(Ordering::Acquire) >= commit,
        }
    }

    /// Why the log stopped, if it did.
    pub(crate) fn failure(&self) -> Option<Arc<Poisoned>> {
        if !self.failed.load(Ordering::Acquire) {
            return None;
        }
        self.lock().failure.clone()
    }

    /// Local reads may see everything up to `position`.
    pub(crate) fn reveal(&self, position: Position) {
        self.visible_position.fetch_max(position.as_u64(), Ordering::AcqRel);
    }

    /// Everything up to `commit` is with the operating system. Wakes nobody.
    pub(crate) fn record_written(&self, commit: u64, position: Position) {
        self.written_commit.fetch_max(commit, Ordering::AcqRel);
        self.reveal(position);
    }

    /// Everything up to `commit` is on the device. Wakes nobody.
    pub(crate) fn record_flushed(&self, commit: u64, position: Position) {
        self.record_written(commit, position);
        self.flushed_position.fetch_max(position.as_u64(), Ordering::AcqRel);
        self.flushed_commit.fetch_max(commit, Ordering::AcqRel);
        self.flushes.fetch_add(1, Ordering::Relaxed);
    }

    /// How many groups were made durable since the log was opened.
    pub(crate) fn flushes(&self) -> u64 {
        self.flushes.load(Ordering::Relaxed)
    }

    /// The log has failed for good. Wakes everybody.
    pub(crate) fn record_failure(&self, failure: Poisoned) {
        let mut waiters = self.lock();
        if waiters.failure.is_none() {
            waiters.failure = Some(Arc::new(failure));
        }
        self.failed.store(true, Ordering::Release);
        drop(waiters);
        self.wake();
    }

    /// Registers one who waits for a commit.
    pub(crate) fn register(
        &self,
        commit: u64,
        durability: Durability,
        listener: Listener,
    ) -> Registration {
        let mut waiters = self.lock();
        let id = waiters.next_id;
        waiters.next_id += 1;
        waiters.commits.push(Waiter { id, commit, durability, listener });
        Registration(id)
    }

    /// Registers one who waits for new flushed events.
    pub(crate) fn follow(&self, listener: Listener) -> Registration {
        let mut waiters = self.lock();
        let id = waiters.next_id;
        waiters.next_id += 1;
        waiters.followers.push((id, listener));
        Registration(id)
    }

    /// Takes back a registration that may have been woken already.
    pub(crate) fn forget(&self, registration: Registration) {
        let mut waiters = self.lock();
        waiters.commits.retain(|waiter| waiter.id != registration.0);
        waiters.followers.retain(|(id, _)| *id != registration.0);
    }

    /// Wakes all who got what they wait for, and one who did not, to go on with the work.
    ///
    /// Called by whoever did the work, after it let go of the writer.
    pub(crate) fn wake(&self) {
        let mut waiters = self.lock();
        let failed = waiters.failure.is_some();
        let mut woken = std::mem::take(&mut waiters.woken);
        let mut successor_found = false;
        let mut at = 0;
        while let Some(waiter) = waiters.commits.get(at) {
            let done = failed || self.has_reached(waiter.commit, waiter.durability);
            if done || !successor_found {
                successor_found |= !done;
                woken.push(waiters.commits.swap_remove(at).listener);
            } else {
                at += 1;
            }
        }
        woken.extend(waiters.followers.drain(..).map(|(_, listener)| listener));
        drop(waiters);
        for listener in woken.drain(..) {
            listener.wake();
        }
        let mut waiters = self.lock();
        if waiters.woken.capacity() < woken.capacity() {
            waiters.woken = woken;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiters> {
        // The lists stay whole at every point where a panic could start.
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_is_reached_level_by_level() {
        let progress = Progress::starting_at(3, Position::new(30));
        assert!(progress.has_reached(3, Durability::Flushed));
        assert!(!progress.has_reached(4, Durability::Buffered));
        progress.record_written(4, Position::new(40));
        assert!(progress.has_reached(4, Durability::Buffered));
        assert!(!progress.has_reached(4, Durability::Flushed));
        assert_eq!(progress.flushed(), Position::new(30));
        progress.record_flushed(4, Position::new(40));
        assert!(progress.has_reached(4, Durability::Flushed));
        assert_eq!(progress.flushed(), Position::new(40));
    }

    #[test]
    fn the_done_and_one_successor_are_woken() {
        let progress = Progress::default();
        let me = || Listener::Thread(std::thread::current());
        for commit in 1..=4 {
            progress.register(commit, Durability::Flushed, me());
        }
        progress.record_flushed(2, Position::new(2));
        progress.wake();
        assert_eq!(progress.lock().commits.len(), 1, "1 and 2 are done, 3 goes on, 4 waits");
    }
}
