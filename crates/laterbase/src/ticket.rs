//! Tickets: the answer to an append, to be waited for or awaited.
//!
//! An append is staged when [`Database::append`](crate::Database::append) returns; it is written by
//! whoever waits first. So the plain `append(…)?.wait()` runs on the caller's own thread, without a
//! hand-over, unless another thread is writing already; then one write serves all who wait.
//! A ticket that is dropped, or awaited, leaves the work to the background thread.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use laterbase_event::{EventId, Hlc, Position, ReplicaId};

use crate::append::AppendError;
use crate::inner::Inner;
use crate::progress::{Durability, Listener, Registration};

/// Whether an append recorded something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The events were recorded.
    Recorded,
    /// Events with the same idempotency keys and the same content had been recorded before; nothing
    /// was written, and the ids are those of the first time.
    AlreadyApplied,
}

/// The events of one root in an [`Appended`] commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AppendedPart {
    /// Its first event's place in its log, from 1.
    pub first_seq: u64,
    /// Its first event's time.
    pub first_hlc: Hlc,
    /// How many events it has.
    pub count: u32,
}

/// What an append did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// Whether anything was recorded.
    pub outcome: Outcome,
    /// The commit: the id of its first event.
    pub commit: EventId,
    /// The position of the last event.
    pub position: Position,
    /// What it promises.
    pub durability: Durability,
    pub(crate) replica: ReplicaId,
    pub(crate) ids: Ids,
}

/// Which ids the events got, in the order in which they were pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ids {
    /// One root: its ids follow each other.
    Consecutive(AppendedPart),
    /// Several roots: per event, its part and index.
    Parts { parts: Vec<AppendedPart>, order: Vec<crate::commit::Slot> },
    /// The ids of the first time.
    Earlier(Vec<EventId>),
}

impl Appended {
    /// How many events the commit has.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.ids {
            Ids::Consecutive(part) => part.count as usize,
            Ids::Parts { order, .. } => order.len(),
            Ids::Earlier(ids) => ids.len(),
        }
    }

    /// Whether the commit has no events. It always has.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The id of the event that was pushed at `index`.
    #[must_use]
    pub fn id(&self, index: usize) -> Option<EventId> {
        let (first, at) = match &self.ids {
            Ids::Consecutive(part) => (part.first_hlc, u64::try_from(index).ok()?),
            Ids::Parts { parts, order } => {
                let slot = order.get(index)?;
                (parts.get(usize::from(slot.part))?.first_hlc, u64::from(slot.index))
            }
            Ids::Earlier(ids) => return ids.get(index).copied(),
        };
        (index < self.len()).then(|| EventId::new(Hlc::from_u64(first.as_u64() + at), self.replica))
    }

    /// The events' ids, in the order in which they were pushed.
    pub fn ids(&self) -> impl Iterator<Item = EventId> + '_ {
        (0..self.len()).filter_map(|index| self.id(index))
    }

    /// The event's place in its log, from 1; `None` for one that was recorded before.
    #[must_use]
    pub fn seq(&self, index: usize) -> Option<u64> {
        match &self.ids {
            Ids::Consecutive(part) => (index < self.len()).then(|| part.first_seq + index as u64),
            Ids::Parts { parts, order } => {
                let slot = order.get(index)?;
                Some(parts.get(usize::from(slot.part))?.first_seq + u64::from(slot.index))
            }
            Ids::Earlier(_) => None,
        }
    }
}

/// A staged append: wait for it, await it, or drop it.
///
/// # Ordering
/// Appends become visible and durable in the order in which they were staged.
#[derive(Debug)]
#[must_use = "an append is not durable until its ticket has been waited for"]
pub struct Ticket {
    pub(crate) inner: Arc<Inner>,
    pub(crate) commit: u64,
    pub(crate) appended: Option<Appended>,
    pub(crate) registration: Option<Registration>,
}

impl Ticket {
    /// Waits until the append is as durable as it promised.
    ///
    /// # Errors
    /// [`AppendError::Failed`] when the log failed meanwhile: whether the events are recorded is
    /// then known only after opening again; an idempotency key makes the retry safe.
    pub fn wait(mut self) -> Result<Appended, AppendError> {
        let durability = self.durability();
        self.inner.wait_for(self.commit, durability)?;
        self.finish()
    }

    /// What the append was when it was staged, before it is durable.
    #[must_use]
    pub fn staged(&self) -> Option<&Appended> {
        self.appended.as_ref()
    }

    fn durability(&self) -> Durability {
        self.appended.as_ref().map_or(Durability::Flushed, |appended| appended.durability)
    }

    fn finish(&mut self) -> Result<Appended, AppendError> {
        let appended = self.appended.take().ok_or(AppendError::TicketUsed)?;
        self.inner.progress.reveal(appended.position);
        Ok(appended)
    }
}

impl Future for Ticket {
    type Output = Result<Appended, AppendError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let (commit, durability) = (self.commit, self.durability());
        if let Some(registration) = self.registration.take() {
            self.inner.progress.forget(registration);
        }
        if let Some(done) = self.inner.poll_for(commit, durability) {
            return Poll::Ready(done.and_then(|()| self.finish()));
        }
        let listener = Listener::Task(cx.waker().clone());
        self.registration = Some(self.inner.progress.register(commit, durability, listener));
        // It may have happened between the look and the registration.
        if let Some(done) = self.inner.poll_for(commit, durability) {
            return Poll::Ready(done.and_then(|()| self.finish()));
        }
        self.inner.request_work();
        Poll::Pending
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(registration) = self.registration.take() {
            self.inner.progress.forget(registration);
        }
        if self.appended.is_some() {
            self.inner.request_work();
        }
    }
}
