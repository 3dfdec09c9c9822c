//! The consumers of a database: made, found, listed, removed.
//!
//! Invariant: a file is made and removed with the list locked, and removed with the state locked as
//! well. So no handle writes the file of a consumer that was removed, or of the next of its name;
//! and none writes at all once the database is closed, when another process may.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use laterbase_event::Position;

use super::config::ConsumerConfig;
use super::error::ConsumerError;
use super::file::{self, ConsumerFileError};
use super::handle::{Consumer, Shared};
use super::state::State;
use crate::database::Database;
use crate::inner::{Inner, lock};
use crate::read::ReadError;
use crate::subscription::Start;

/// The longest name of a consumer, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// How many consumers a database may have.
const CONSUMERS_MAX: usize = 1000;

/// The consumers that are in use, by name. Locked before the state of any.
pub(crate) type Consumers = Mutex<ByName>;

type ByName = BTreeMap<String, Arc<Shared>>;

/// Takes their states from all handles. Whoever is writing one is waited for.
pub(crate) fn close(consumers: &Consumers) {
    for shared in std::mem::take(&mut *lock(consumers)).into_values() {
        *lock(&shared.state) = None;
    }
}

impl Database {
    /// Creates a consumer that begins where `start` says; `false`, and nothing happens, if it is
    /// there already. A database has 1,000 consumers at the most.
    ///
    /// # Errors
    /// [`ConsumerError`] for a name that is none, a configuration beyond its bounds, one consumer
    /// too many, and whatever keeps it from being written.
    pub fn create_consumer(
        &self,
        name: &str,
        config: ConsumerConfig,
        start: Start,
    ) -> Result<bool, ConsumerError> {
        let inner = self.inner();
        check_name(name)?;
        let mut consumers = to_change(inner)?;
        config.check()?;
        if consumers.contains_key(name) || file::read(&inner.storage, name)?.is_some() {
            return Ok(false);
        }
        let storage = inner.storage.as_ref();
        if file::names(storage).map_err(ConsumerFileError::from)?.len() >= CONSUMERS_MAX {
            return Err(ConsumerError::TooMany { max: CONSUMERS_MAX });
        }
        let flushed = inner.progress.flushed();
        let from = match start {
            Start::Beginning => Position::NONE,
            Start::Now => flushed,
            Start::After(cursor) => inner.arrival_of(&cursor, flushed).map_err(ReadError::from)?,
        };
        let state = State::new(config, from);
        file::make_directory(storage).map_err(ConsumerFileError::from)?;
        file::write(&inner.storage, name, inner.copy, &state)?;
        consumers.insert(name.to_owned(), Arc::new(Shared::new(state)));
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
        let mut consumers = to_change(&inner)?;
        let unknown = || ConsumerError::Unknown { name: name.to_owned() };
        let shared = match consumers.get(name) {
            Some(shared) => Arc::clone(shared),
            None => {
                let (copy, state) = file::read(&inner.storage, name)?.ok_or_else(unknown)?;
                let position = Position::new(state.looked_to);
                if copy != inner.copy || position > inner.progress.flushed() {
                    return Err(ConsumerError::OtherCopy { name: name.to_owned(), position });
                }
                let shared = Arc::new(Shared::new(state));
                consumers.insert(name.to_owned(), Arc::clone(&shared));
                shared
            }
        };
        let filter = match &*lock(&shared.state) {
            Some(state) => state.config.filter()?,
            None => return Err(unknown()),
        };
        drop(consumers);
        Ok(Consumer { inner, name: name.to_owned(), filter, shared })
    }

    /// The names of all consumers, in order.
    ///
    /// # Errors
    /// [`ConsumerError::File`] if they cannot be listed.
    pub fn consumers(&self) -> Result<Vec<String>, ConsumerError> {
        file::names(self.inner().storage.as_ref())
            .map_err(|error| ConsumerFileError::from(error).into())
    }

    /// Removes a consumer with all that it knows; `false` if there was none. It is gone from the
    /// device when this returns; handles of it answer [`ConsumerError::Unknown`] from then on, also
    /// when one of the same name is created.
    ///
    /// # Errors
    /// [`ConsumerError::File`] if it cannot be removed, [`ConsumerError::ReadOnly`] if this process
    /// only reads.
    pub fn remove_consumer(&self, name: &str) -> Result<bool, ConsumerError> {
        let inner = self.inner();
        check_name(name)?;
        let mut consumers = to_change(inner)?;
        let remove = || file::remove(&inner.storage, name).map_err(ConsumerFileError::from);
        let Some(shared) = consumers.get(name).cloned() else { return Ok(remove()?) };
        let mut state = lock(&shared.state);
        remove()?;
        *state = None;
        consumers.remove(name);
        Ok(true)
    }
}

/// The consumers in use, if this process may write their files.
fn to_change(inner: &Inner) -> Result<MutexGuard<'_, ByName>, ConsumerError> {
    let consumers = lock(&inner.consumers);
    if inner.writer().is_none() {
        return Err(ConsumerError::ReadOnly);
    }
    if inner.is_closing() { Err(ConsumerError::Closed) } else { Ok(consumers) }
}

fn check_name(name: &str) -> Result<(), ConsumerError> {
    let allowed =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(allowed) {
        return Err(ConsumerError::Name { name: name.to_owned() });
    }
    Ok(())
}
