//! A consumer's handle: how it stands, and what it is told became of events.
//!
//! Invariant: the state in memory is what the file says, but for what was given since, which is
//! given again when it is forgotten. So each change is made to a copy, which takes the state's
//! place when it is written.

use std::sync::{Arc, Mutex};

use laterbase_event::{EventId, Position, Timestamp};
use laterbase_sync::mutant::{self, Mutant};

use super::config::ConsumerConfig;
use super::error::ConsumerError;
use super::file;
use super::settlement::{Rejection, Settled, Settlement};
use super::state::State;
use crate::cursor::{Cursor, CursorPlace};
use crate::inner::{Inner, lock};
use crate::query::Query;

/// An event that was given too often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Where it stands.
    pub position: Position,
    /// Its id; `None` if the event cannot be read.
    pub id: Option<EventId>,
    /// Why the event cannot be read; `None` if it can.
    pub unreadable: Option<String>,
    /// How often it was given.
    pub attempts: u32,
    /// When it was given up.
    pub since: Timestamp,
    /// Why it was rejected the last time; `None` if it was never acknowledged at all.
    pub reason: Option<String>,
}

/// How a consumer stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerStatus {
    /// Everything up to here was acknowledged, is dead or does not match.
    pub cursor: Cursor,
    /// Flushed positions that were not looked at yet.
    pub lag: u64,
    /// Events that were given and not acknowledged.
    pub open: usize,
    /// Events that are dead; at most 10,000.
    pub dead: usize,
    /// What it is given, and how it deals with what is not acknowledged.
    pub config: ConsumerConfig,
}

/// A named consumer. Several handles of one name share what they give.
///
/// ```
/// use laterbase::{ConsumerConfig, Database, NewEvent, Options, Start};
///
/// # let dir = tempfile::tempdir()?;
/// let db = Database::create(dir.path(), Options::default())?;
/// db.create_consumer("billing", ConsumerConfig::default(), Start::Beginning)?;
/// let mut commit = db.commit();
/// commit.push(&NewEvent::new("shipment", "4711", "delivered"))?;
/// db.append(&mut commit)?.wait()?;
///
/// let billing = db.consumer("billing")?;
/// for delivery in billing.fetch(100)? {
///     // … send the invoice, then:
///     billing.acknowledge(&[delivery.recorded.position])?;
/// }
/// assert!(billing.fetch(100)?.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Consumer {
    pub(super) inner: Arc<Inner>,
    pub(super) name: String,
    pub(super) filter: Query,
    pub(super) shared: Arc<Shared>,
}

/// What all handles of a consumer share.
#[derive(Debug)]
pub(crate) struct Shared {
    /// Held by whoever fetches. Locked before the state.
    pub(super) turn: Mutex<()>,
    /// `None` once the consumer is removed or the database closed.
    pub(super) state: Mutex<Option<State>>,
}

impl Shared {
    pub(super) fn new(state: State) -> Self {
        Self { turn: Mutex::new(()), state: Mutex::new(Some(state)) }
    }
}

impl Consumer {
    /// Says what became of events; of how many. All of it is on the device when this returns, in
    /// one replacement of the consumer's file, or nothing of it is done. What changes nothing
    /// writes nothing.
    ///
    /// A rejected event is given again after a pause that doubles each time, or is dead if it was
    /// given often enough. While the list of the dead is full it stays open, and is not given.
    ///
    /// # Errors
    /// [`ConsumerError::File`] if that cannot be written: nothing was settled, and it may be said
    /// again. [`ConsumerError::Unknown`] if the consumer was removed, [`ConsumerError::Closed`] if
    /// the database was closed.
    pub fn settle(&self, settlement: &Settlement) -> Result<Settled, ConsumerError> {
        let now_us = self.inner.environment.now_us();
        self.change(|state| state.settle(settlement, now_us))
    }

    /// Says that events were dealt with; how many of them had been given. It is on the device when
    /// this returns.
    ///
    /// # Errors
    /// As [`Consumer::settle`]; they will be given again if they are not acknowledged again.
    pub fn acknowledge(&self, positions: &[Position]) -> Result<usize, ConsumerError> {
        let acknowledge = positions.to_vec();
        Ok(self.settle(&Settlement { acknowledge, ..Settlement::default() })?.acknowledged)
    }

    /// Says that an event could not be dealt with, and why; whether it had been given. See
    /// [`Consumer::settle`], and [`Rejection::reason`] for what is kept of the reason.
    ///
    /// # Errors
    /// As [`Consumer::settle`].
    pub fn reject(&self, position: Position, reason: &str) -> Result<bool, ConsumerError> {
        let reject = vec![Rejection { position, reason: reason.to_owned() }];
        Ok(self.settle(&Settlement { reject, ..Settlement::default() })?.rejected > 0)
    }

    /// The events that were given too often, in order of arrival. Those that cannot be read are
    /// listed as well, and say why.
    ///
    /// # Errors
    /// [`ConsumerError::Unknown`] if the consumer was removed, [`ConsumerError::Closed`] if the
    /// database was closed.
    pub fn dead_letters(&self) -> Result<Vec<DeadLetter>, ConsumerError> {
        let dead = self.with_state(|state| state.dead.clone())?;
        let letters = dead.into_iter().map(|(position, dead)| {
            let position = Position::new(position);
            let (id, unreadable) = match self.inner.with_event(position, |event| event.id()) {
                Ok(id) => (Some(id), None),
                Err(error) => (None, Some(error.to_string())),
            };
            let since = Timestamp::from_micros(dead.since_us);
            let (attempts, reason) = (dead.attempts, dead.reason);
            DeadLetter { position, id, unreadable, attempts, since, reason }
        });
        Ok(letters.collect())
    }

    /// Has dead events given again, with all their attempts; how many.
    ///
    /// # Errors
    /// As [`Consumer::settle`].
    pub fn retry(&self, positions: &[Position]) -> Result<usize, ConsumerError> {
        let retry = positions.to_vec();
        Ok(self.settle(&Settlement { retry, ..Settlement::default() })?.retried)
    }

    /// Drops dead events from the list for good; how many. The events themselves stay.
    ///
    /// # Errors
    /// As [`Consumer::settle`].
    pub fn discard(&self, positions: &[Position]) -> Result<usize, ConsumerError> {
        let discard = positions.to_vec();
        Ok(self.settle(&Settlement { discard, ..Settlement::default() })?.discarded)
    }

    /// How the consumer stands.
    ///
    /// # Errors
    /// [`ConsumerError::Unknown`] if it was removed, [`ConsumerError::Closed`] if the database was
    /// closed.
    pub fn status(&self) -> Result<ConsumerStatus, ConsumerError> {
        let flushed = self.inner.progress.flushed().as_u64();
        let copy = self.inner.copy;
        self.with_state(|state| ConsumerStatus {
            cursor: Cursor { copy, place: CursorPlace::Arrival(state.settled()) },
            lag: flushed.saturating_sub(state.looked_to),
            open: state.open.len(),
            dead: state.dead.len(),
            config: state.config.clone(),
        })
    }

    /// Looks at the state, or notes what was given.
    pub(super) fn with_state<R>(
        &self,
        act: impl FnOnce(&mut State) -> R,
    ) -> Result<R, ConsumerError> {
        match &mut *lock(&self.shared.state) {
            Some(state) => Ok(act(state)),
            None if self.inner.is_closing() => Err(ConsumerError::Closed),
            None => Err(ConsumerError::Unknown { name: self.name.clone() }),
        }
    }

    /// Changes the state and its file; neither, if that fails.
    pub(super) fn change<R>(&self, act: impl FnOnce(&mut State) -> R) -> Result<R, ConsumerError> {
        self.with_state(|state| {
            let mut changed = state.clone();
            let answer = act(&mut changed);
            if changed != *state {
                if !mutant::is_active(Mutant::SettleUnwritten) {
                    file::write(&self.inner.storage, &self.name, self.inner.copy, &changed)?;
                }
                *state = changed;
            }
            Ok(answer)
        })?
    }
}
