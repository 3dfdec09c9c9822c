//! Durable named consumers: projections outside, which are given each event at least once.
//!
//! A consumer is a cursor that the database keeps, and what was given and not acknowledged. It
//! goes through events in arrival order, so that what comes late is given as well; an event that
//! is not acknowledged in time is given again, and after so many attempts put on a list of its
//! own, where it waits for a person. Acknowledgements are on the device when they return.
//!
//! Left out: sharing one consumer between copies. Each copy gives what arrives at it.

mod file;
mod state;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};

use laterbase_event::{Event, EventId, NameError, ParseTagError, Position, Timestamp, TypeName};

pub use file::ConsumerFileError;
pub use state::ConsumerConfig;
use state::State;

use crate::cursor::{Cursor, CursorPlace};
use crate::database::Database;
use crate::inner::{Inner, lock};
use crate::query::{Order, Query};
use crate::read::ReadError;
use crate::recorded::Recorded;
use crate::subscription::Start;
use crate::walk::plan_scan;

/// How many positions one look goes through before it gives what it found.
const LOOK_MAX: u64 = 64 * 1024;

/// The longest name of a consumer, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// The consumers that are in use, by name.
pub(crate) type Consumers = Mutex<BTreeMap<String, Arc<Mutex<State>>>>;

/// A consumer could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConsumerError {
    /// The name is not one.
    #[error("`{name}` cannot name a consumer: use 1 to 64 of a-z 0-9 _ -")]
    Name {
        /// The name.
        name: String,
    },
    /// A root, type or tag is not one.
    #[error("a consumer cannot be given events of `{text}`: {reason}")]
    Filter {
        /// What was named.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no such consumer.
    #[error("there is no consumer `{name}`: create it first")]
    Unknown {
        /// Its name.
        name: String,
    },
    /// This process only reads.
    #[error(
        "this process only reads, and a consumer has to be written: open the database to write"
    )]
    ReadOnly,
    /// The consumer counts on another copy, or on more than there is.
    #[error(
        "consumer `{name}` counts arrivals on another copy of the database, or on one that was \
         restored from before position {position}: remove it and create it again"
    )]
    OtherCopy {
        /// Its name.
        name: String,
        /// How far it had come.
        position: Position,
    },
    /// Its file cannot be used.
    #[error(transparent)]
    File(#[from] ConsumerFileError),
    /// Events cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

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
    inner: Arc<Inner>,
    name: String,
    filter: Query,
    state: Arc<Mutex<State>>,
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

impl Database {
    /// Creates a consumer that begins where `start` says; `false`, and nothing happens, if it is
    /// there already.
    ///
    /// # Errors
    /// [`ConsumerError`] for a name that is none, and whatever keeps it from being written.
    pub fn create_consumer(
        &self,
        name: &str,
        config: ConsumerConfig,
        start: Start,
    ) -> Result<bool, ConsumerError> {
        let inner = self.inner();
        check_name(name)?;
        if inner.writer().is_none() {
            return Err(ConsumerError::ReadOnly);
        }
        filter_of(&config)?;
        let mut consumers = lock(&inner.consumers);
        if consumers.contains_key(name) || file::read(&inner.storage, name)?.is_some() {
            return Ok(false);
        }
        let flushed = inner.progress.flushed();
        let from = match start {
            Start::Beginning => Position::NONE,
            Start::Now => flushed,
            Start::After(cursor) => inner.arrival_of(&cursor, flushed).map_err(ReadError::from)?,
        };
        let state = State::new(config, from);
        file::write(&inner.storage, name, inner.copy, &state)?;
        consumers.insert(name.to_owned(), Arc::new(Mutex::new(state)));
        Ok(true)
    }

    /// A consumer by name.
    ///
    /// # Errors
    /// [`ConsumerError::Unknown`] if there is none; [`ConsumerError::OtherCopy`] if it was made on
    /// another copy of the database.
    pub fn consumer(&self, name: &str) -> Result<Consumer, ConsumerError> {
        let inner = Arc::clone(self.inner());
        check_name(name)?;
        if inner.writer().is_none() {
            return Err(ConsumerError::ReadOnly);
        }
        let mut consumers = lock(&inner.consumers);
        let state = match consumers.get(name) {
            Some(state) => Arc::clone(state),
            None => {
                let found = file::read(&inner.storage, name)?;
                let Some((copy, state)) = found else {
                    return Err(ConsumerError::Unknown { name: name.to_owned() });
                };
                let position = Position::new(state.looked_to);
                if copy != inner.copy || position > inner.progress.flushed() {
                    return Err(ConsumerError::OtherCopy { name: name.to_owned(), position });
                }
                let state = Arc::new(Mutex::new(state));
                consumers.insert(name.to_owned(), Arc::clone(&state));
                state
            }
        };
        drop(consumers);
        let filter = filter_of(&lock(&state).config)?;
        Ok(Consumer { inner, name: name.to_owned(), filter, state })
    }

    /// The names of all consumers, in order.
    ///
    /// # Errors
    /// [`ConsumerError::File`] if they cannot be listed.
    pub fn consumers(&self) -> Result<Vec<String>, ConsumerError> {
        file::names(self.inner().storage.as_ref())
            .map_err(|error| ConsumerFileError::from(error).into())
    }

    /// Removes a consumer with all that it knows; `false` if there was none.
    ///
    /// # Errors
    /// [`ConsumerError::File`] if it cannot be removed.
    pub fn remove_consumer(&self, name: &str) -> Result<bool, ConsumerError> {
        check_name(name)?;
        let inner = self.inner();
        let mut consumers = lock(&inner.consumers);
        consumers.remove(name);
        file::remove(&inner.storage, name).map_err(|error| ConsumerFileError::from(error).into())
    }
}

/// The events that a consumer is given.
fn filter_of(config: &ConsumerConfig) -> Result<Query, ConsumerError> {
    let refused = |text: &str, error: &dyn ToString| ConsumerError::Filter {
        text: text.to_owned(),
        reason: error.to_string(),
    };
    let mut filter = Query::all().order(Order::Arrival);
    if let Some(root) = &config.root {
        filter.root = Some(root.parse().map_err(|error: NameError| refused(root, &error))?);
    }
    for name in &config.types {
        let type_name = TypeName::try_from(name.as_str()).map_err(|error| refused(name, &error))?;
        filter = filter.of_type(type_name);
    }
    for tag in &config.tags {
        filter = filter.with_tag(tag.parse().map_err(|error: ParseTagError| refused(tag, &error))?);
    }
    Ok(filter)
}

fn check_name(name: &str) -> Result<(), ConsumerError> {
    let allowed =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(allowed) {
        return Err(ConsumerError::Name { name: name.to_owned() });
    }
    Ok(())
}
