//! Waiting for news: that something was flushed, by whomever.

use std::time::{Duration, Instant};

use laterbase_event::Position;

use crate::database::Database;
use crate::progress::Listener;

impl Database {
    /// Waits until something behind `after` is on the device, for up to `timeout`; answers with the
    /// last position that is. [`Position::NONE`] waits for the first event.
    ///
    /// Cheaper than a subscription where only the fact matters. Returns early when the database is
    /// being closed.
    #[must_use]
    pub fn wait_for_flushed(&self, after: Position, timeout: Duration) -> Position {
        let inner = self.inner();
        let deadline = deadline_after(timeout);
        loop {
            let flushed = inner.progress.flushed();
            let left = left_until(deadline);
            if flushed > after || left.is_zero() || inner.is_closing() {
                return flushed;
            }
            let listener = Listener::Thread(std::thread::current());
            let registration = inner.progress.follow(listener);
            if inner.progress.flushed() <= after && !inner.is_closing() {
                std::thread::park_timeout(left);
            }
            inner.progress.forget(registration);
        }
    }
}

/// The end of a timeout; `None` if it is so far away that it never comes.
pub(crate) fn deadline_after(timeout: Duration) -> Option<Instant> {
    Instant::now().checked_add(timeout)
}

/// How long it is until then.
pub(crate) fn left_until(deadline: Option<Instant>) -> Duration {
    deadline.map_or(Duration::MAX, |deadline| deadline.saturating_duration_since(Instant::now()))
}
