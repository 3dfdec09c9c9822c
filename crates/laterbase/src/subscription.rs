//! Subscriptions: what is there, then what comes, in arrival order, without a gap and without a
//! duplicate.
//!
//! A subscription is a position and nothing more: it reads the log from there up to what is
//! flushed, from memory when it is close behind. So a slow reader holds nothing up and fills no
//! queue; it just is further behind. Quarantined and reserved events are left out, as in every
//! read.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use laterbase_event::{Event, Position};

use crate::cursor::{Cursor, CursorPlace};
use crate::inner::{Inner, Role};
use crate::progress::{Listener, Registration};
use crate::query::{Cut, Direction, Order, Query};
use crate::read::ReadError;
use crate::recorded::Recorded;
use crate::walk::plan_scan;
use crate::watch::{deadline_after, left_until};

/// Events read ahead at the most.
const AHEAD_MAX: usize = 256;
/// Bytes of payloads after which no more events are read ahead.
const AHEAD_BYTES_MAX: usize = 1 << 20;
/// How many positions one look goes through before it hands out what it found.
const LOOK_MAX: u64 = 64 * 1024;
/// How often a process that only reads looks for what the writer flushed.
const FOLLOW_INTERVAL: Duration = Duration::from_millis(20);

/// Where a subscription begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// With the first event.
    Beginning,
    /// With the first event that is flushed after the call.
    Now,
    /// After a cursor in arrival order, from an earlier subscription or read of this copy.
    After(Cursor),
}

/// Events from a point on, and each new one as soon as it is flushed.
#[derive(Debug)]
pub struct Subscription {
    inner: Arc<Inner>,
    filter: Query,
    /// Everything up to here was handed out or left out.
    looked_to: Position,
    /// What the cursor says: everything up to here was handed out.
    done_to: Position,
    ready: VecDeque<Recorded>,
    registration: Option<Registration>,
}

impl Subscription {
    pub(crate) fn open(inner: Arc<Inner>, filter: &Query, start: Start) -> Result<Self, ReadError> {
        let flushed = inner.progress.flushed();
        let from = match start {
            Start::Beginning => Position::NONE,
            Start::Now => flushed,
            Start::After(cursor) => inner.arrival_of(&cursor, flushed)?,
        };
        let filter = Query {
            order: Order::Arrival,
            direction: Direction::Forward,
            limit: None,
            after: None,
            cut: Cut::Latest,
            ..filter.clone()
        };
        Ok(Self {
            inner,
            filter,
            looked_to: from,
            done_to: from,
            ready: VecDeque::new(),
            registration: None,
        })
    }

    /// The next event, if one is flushed already.
    ///
    /// # Errors
    /// [`ReadError`] if it cannot be read; the subscription stays where it is.
    pub fn try_next(&mut self) -> Result<Option<Recorded>, ReadError> {
        while self.ready.is_empty() {
            let flushed = self.inner.progress.flushed();
            if self.looked_to >= flushed {
                self.done_to = self.looked_to;
                return Ok(None);
            }
            self.look(flushed)?;
        }
        let next = self.ready.pop_front();
        self.done_to = match (&next, self.ready.is_empty()) {
            (Some(_), true) => self.looked_to,
            (Some(recorded), false) => recorded.position,
            (None, _) => self.done_to,
        };
        Ok(next)
    }

    /// The next event; waits for it for up to `timeout`.
    ///
    /// # Errors
    /// As [`Subscription::try_next`].
    pub fn next(&mut self, timeout: Duration) -> Result<Option<Recorded>, ReadError> {
        let deadline = deadline_after(timeout);
        loop {
            if let Some(recorded) = self.try_next()? {
                return Ok(Some(recorded));
            }
            let left = left_until(deadline);
            if left.is_zero() || self.inner.is_closing() {
                return Ok(None);
            }
            if let Role::Follower(_) = self.inner.role {
                std::thread::park_timeout(left.min(FOLLOW_INTERVAL));
                self.inner.refresh()?;
                continue;
            }
            let listener = Listener::Thread(std::thread::current());
            let registration = self.inner.progress.follow(listener);
            if self.inner.progress.flushed() <= self.looked_to && !self.inner.is_closing() {
                std::thread::park_timeout(left);
            }
            self.inner.progress.forget(registration);
        }
    }

    /// The next event, for an executor: wakes the task when there is one.
    ///
    /// # Errors
    /// As [`Subscription::try_next`].
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Recorded, ReadError>> {
        self.unregister();
        loop {
            match self.try_next() {
                Ok(Some(recorded)) => return Poll::Ready(Ok(recorded)),
                Err(error) => return Poll::Ready(Err(error)),
                Ok(None) => {}
            }
            if self.registration.is_some() {
                return Poll::Pending;
            }
            let listener = Listener::Task(cx.waker().clone());
            self.registration = Some(self.inner.progress.follow(listener));
        }
    }

    /// Where the subscription stands: everything up to here was handed out. Keep it to go on later.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        Cursor { copy: self.inner.copy, place: CursorPlace::Arrival(self.done_to) }
    }

    /// How many flushed events lie between the subscription and the end, whether they match or not.
    #[must_use]
    pub fn lag(&self) -> u64 {
        self.inner.progress.flushed().as_u64().saturating_sub(self.done_to.as_u64())
    }

    /// Reads a piece of the log.
    fn look(&mut self, flushed: Position) -> Result<(), ReadError> {
        let bound = flushed.min(Position::new(self.looked_to.as_u64() + LOOK_MAX));
        let mut walk = plan_scan(&self.inner, &self.filter, self.looked_to, bound)?;
        let (ready, mut bytes) = (&mut self.ready, 0_usize);
        let more = walk.run(|event, position, arrival| {
            let event = Event::from(event);
            bytes = bytes.saturating_add(event.payload.len());
            ready.push_back(Recorded { event, position, arrival });
            if ready.len() < AHEAD_MAX && bytes < AHEAD_BYTES_MAX {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        })?;
        self.looked_to = match self.ready.back() {
            Some(last) if more => last.position,
            Some(_) | None => bound,
        };
        Ok(())
    }

    fn unregister(&mut self) {
        if let Some(registration) = self.registration.take() {
            self.inner.progress.forget(registration);
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.unregister();
    }
}
