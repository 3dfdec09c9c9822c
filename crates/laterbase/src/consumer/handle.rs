//! A consumer's handle: what it is given, and what it says became of that.

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};

use laterbase_event::{Event, EventId, Position, Timestamp};

use super::error::ConsumerError;
use super::file;
use super::state::{ConsumerConfig, State};
use crate::cursor::{Cursor, CursorPlace};
use crate::inner::{Inner, lock};
use crate::query::Query;
use crate::read::ReadError;
use crate::recorded::Recorded;
use crate::walk::plan_scan;

/// How many positions one look goes through before it gives what it found.
const LOOK_MAX: u64 = 64 * 1024;

/// An event that a consumer is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The event; its position is what is acknowledged.
    pub recorded: Recorded,
    /// How often it was given, this time included.
    pub attempt: u32,
}

/// An event that was given too often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Where it stands.
    pub position: Position,
    /// Its id.
    pub id: EventId,
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
    /// Events that are dead.
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
    pub(super) state: Arc<Mutex<State>>,
}

impl Consumer {
    /// The next events, at most `max`: first those whose time to be given again has come, then new
    /// ones, as they were flushed. Empty when there is nothing to give now.
    ///
    /// # Errors
    /// [`ConsumerError`] if events cannot be read, or what was given up cannot be written down.
    pub fn fetch(&self, max: usize) -> Result<Vec<Delivery>, ConsumerError> {
        let now_us = self.inner.environment.now_us();
        let mut state = lock(&self.state);
        let dead = state.dead.len();
        let mut deliveries = Vec::new();
        for (position, attempt) in state.take_due(now_us, max) {
            let recorded = self.read(position)?;
            deliveries.push(Delivery { recorded, attempt });
        }
        let wanted = max.saturating_sub(deliveries.len()).min(state.room());
        for recorded in self.look(&mut state, wanted)? {
            state.give(recorded.position, now_us);
            deliveries.push(Delivery { recorded, attempt: 1 });
        }
        if state.dead.len() > dead {
            self.write(&state)?;
        }
        Ok(deliveries)
    }

    /// Says that events were dealt with; how many of them had been given. It is on the device when
    /// this returns.
    ///
    /// # Errors
    /// [`ConsumerError::File`] if that cannot be written: they will be given again.
    pub fn acknowledge(&self, positions: &[Position]) -> Result<usize, ConsumerError> {
        let mut state = lock(&self.state);
        let done = positions.iter().filter(|position| state.acknowledge(**position)).count();
        self.write(&state)?;
        Ok(done)
    }

    /// Says that an event could not be dealt with, and why; whether it had been given. It is given
    /// again after a pause that doubles each time, or is dead if it was given often enough.
    ///
    /// # Errors
    /// As [`Consumer::acknowledge`].
    pub fn reject(&self, position: Position, reason: &str) -> Result<bool, ConsumerError> {
        let mut state = lock(&self.state);
        let rejected = state.reject(position, reason, self.inner.environment.now_us());
        self.write(&state)?;
        Ok(rejected)
    }

    /// The events that were given too often, in order of arrival.
    ///
    /// # Errors
    /// [`ConsumerError::Read`] if one of them cannot be read.
    pub fn dead_letters(&self) -> Result<Vec<DeadLetter>, ConsumerError> {
        let dead = lock(&self.state).dead.clone();
        dead.into_iter()
            .map(|(position, dead)| {
                let position = Position::new(position);
                let id = self.inner.with_event(position, |event| event.id())?;
                let since = Timestamp::from_micros(dead.since_us);
                let (attempts, reason) = (dead.attempts, dead.reason);
                Ok(DeadLetter { position, id, attempts, since, reason })
            })
            .collect()
    }

    /// Has dead events given again, with all their attempts; how many.
    ///
    /// # Errors
    /// As [`Consumer::acknowledge`].
    pub fn retry(&self, positions: &[Position]) -> Result<usize, ConsumerError> {
        let mut state = lock(&self.state);
        let revived = state.revive(positions, self.inner.environment.now_us());
        self.write(&state)?;
        Ok(revived)
    }

    /// Drops dead events from the list for good; how many. The events themselves stay.
    ///
    /// # Errors
    /// As [`Consumer::acknowledge`].
    pub fn discard(&self, positions: &[Position]) -> Result<usize, ConsumerError> {
        let mut state = lock(&self.state);
        let discarded = state.discard(positions);
        self.write(&state)?;
        Ok(discarded)
    }

    /// How the consumer stands.
    #[must_use]
    pub fn status(&self) -> ConsumerStatus {
        let state = lock(&self.state);
        let flushed = self.inner.progress.flushed().as_u64();
        ConsumerStatus {
            cursor: Cursor { copy: self.inner.copy, place: CursorPlace::Arrival(state.settled()) },
            lag: flushed.saturating_sub(state.looked_to),
            open: state.open.len(),
            dead: state.dead.len(),
            config: state.config.clone(),
        }
    }

    /// The next events that match, and notes how far was looked.
    fn look(&self, state: &mut State, wanted: usize) -> Result<Vec<Recorded>, ReadError> {
        let flushed = self.inner.progress.flushed();
        let mut found = Vec::new();
        while found.len() < wanted && state.looked_to < flushed.as_u64() {
            let after = Position::new(state.looked_to);
            let upto = flushed.min(Position::new(state.looked_to + LOOK_MAX));
            let mut walk = plan_scan(&self.inner, &self.filter, after, upto)?;
            let more = walk.run(|event, position, arrival| {
                found.push(Recorded { event: Event::from(event), position, arrival });
                if found.len() < wanted {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                }
            })?;
            state.looked_to = match found.last() {
                Some(last) if more => last.position.as_u64(),
                Some(_) | None => upto.as_u64(),
            };
        }
        Ok(found)
    }

    fn read(&self, position: Position) -> Result<Recorded, ReadError> {
        self.inner.with_event_at(position, |event, arrival| Recorded {
            event: Event::from(event),
            position,
            arrival,
        })
    }

    fn write(&self, state: &State) -> Result<(), ConsumerError> {
        Ok(file::write(&self.inner.storage, &self.name, self.inner.copy, state)?)
    }
}
