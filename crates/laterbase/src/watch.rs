//! Waiting for news: that something was flushed, by whomever.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use laterbase_event::Position;

use crate::database::Database;
use crate::inner::Inner;
use crate::progress::{Listener, Registration};

/// Tells when something was flushed, for an executor. Does not keep the database open.
#[derive(Debug)]
pub struct FlushedWatch {
    inner: Arc<Inner>,
    registration: Option<Registration>,
}

impl Database {
    /// Waits until something behind `after` is on the device, for up to `timeout`; answers with the
    /// last position that is, and `None` when the database is being closed and nothing more comes.
    /// [`Position::NONE`] waits for the first event.
    ///
    /// Cheaper than a subscription where only the fact matters.
    #[must_use]
    pub fn wait_for_flushed(&self, after: Position, timeout: Duration) -> Option<Position> {
        let inner = self.inner();
        let deadline = deadline_after(timeout);
        loop {
            let flushed = inner.progress.flushed();
            if flushed > after {
                return Some(flushed);
            }
            if inner.is_closing() {
                return None;
            }
            let left = left_until(deadline);
            if left.is_zero() {
                return Some(flushed);
            }
            let listener = Listener::Thread(std::thread::current());
            let registration = inner.progress.follow(listener);
            if inner.progress.flushed() <= after && !inner.is_closing() {
                std::thread::park_timeout(left);
            }
            inner.progress.forget(registration);
        }
    }

    /// What [`Database::wait_for_flushed`] tells, for an executor and without a timeout.
    #[must_use]
    pub fn watch_flushed(&self) -> FlushedWatch {
        FlushedWatch { inner: Arc::clone(self.inner()), registration: None }
    }
}

impl FlushedWatch {
    /// The last position on the device, once it is behind `after`; `None` when the database is
    /// being closed. Wakes the task when that may have come.
    pub fn poll_flushed(
        &mut self,
        after: Position,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Position>> {
        self.unregister();
        loop {
            let flushed = self.inner.progress.flushed();
            if flushed > after {
                self.unregister();
                return Poll::Ready(Some(flushed));
            }
            if self.inner.is_closing() {
                self.unregister();
                return Poll::Ready(None);
            }
            if self.registration.is_some() {
                return Poll::Pending;
            }
            let listener = Listener::Task(cx.waker().clone());
            self.registration = Some(self.inner.progress.follow(listener));
        }
    }

    fn unregister(&mut self) {
        if let Some(registration) = self.registration.take() {
            self.inner.progress.forget(registration);
        }
    }
}

impl Drop for FlushedWatch {
    fn drop(&mut self) {
        self.unregister();
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

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;
    use crate::{NewEvent, Options};

    #[test]
    fn a_watch_tells_of_a_flush_and_of_the_end() {
        let directory = tempfile::tempdir().unwrap();
        let database = Database::create(directory.path(), Options::default()).unwrap();
        let mut watch = database.watch_flushed();
        let mut cx = Context::from_waker(Waker::noop());
        assert_eq!(watch.poll_flushed(Position::NONE, &mut cx), Poll::Pending);
        let mut commit = database.commit();
        commit.push(&NewEvent::new("truck", "7", "seen")).unwrap();
        database.append(&mut commit).unwrap().wait().unwrap();
        let first = Position::new(1);
        assert_eq!(watch.poll_flushed(Position::NONE, &mut cx), Poll::Ready(Some(first)));
        assert_eq!(watch.poll_flushed(first, &mut cx), Poll::Pending);
        database.close().unwrap();
        assert_eq!(watch.poll_flushed(first, &mut cx), Poll::Ready(None));
    }

    #[test]
    fn whoever_waits_is_told_of_a_flush_of_none_in_time_and_of_the_end() {
        let directory = tempfile::tempdir().unwrap();
        let database = Database::create(directory.path(), Options::default()).unwrap();
        let moment = Duration::from_millis(1);
        assert_eq!(database.wait_for_flushed(Position::NONE, moment), Some(Position::NONE));
        let mut commit = database.commit();
        commit.push(&NewEvent::new("truck", "7", "seen")).unwrap();
        database.append(&mut commit).unwrap().wait().unwrap();
        let first = Position::new(1);
        let waiting = database.clone();
        assert_eq!(waiting.wait_for_flushed(Position::NONE, moment), Some(first));
        let long = Duration::from_secs(3600);
        let waiter = std::thread::spawn(move || waiting.wait_for_flushed(first, long));
        database.close().unwrap();
        assert_eq!(waiter.join().unwrap(), None);
    }
}
