//! The consumers of a database: made, found, listed, removed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use laterbase_event::{NameError, ParseTagError, Position, TypeName};

use super::error::ConsumerError;
use super::file::{self, ConsumerFileError};
use super::handle::Consumer;
use super::state::{ConsumerConfig, State};
use crate::database::Database;
use crate::inner::lock;
use crate::query::{Order, Query};
use crate::read::ReadError;
use crate::subscription::Start;

/// The longest name of a consumer, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// The consumers that are in use, by name.
pub(crate) type Consumers = Mutex<BTreeMap<String, Arc<Mutex<State>>>>;

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
