//! The projections of a database that are kept, by name.
//!
//! They are known by weak handles: a projection ends when its program drops it. Whoever works on
//! one holds it for a piece of work.
//!
//! Invariant: no file is written once the database is closed, when another process may. Whoever
//! writes holds the projection's own lock and looks whether it is closed; closing raises the flag
//! first, and then waits for that lock.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, Weak};

use super::error::KeepError;
use crate::inner::{Inner, lock};

/// The longest name, in bytes.
const NAME_BYTES_MAX: usize = 80;

/// A projection that is kept, whatever is folded.
pub(super) trait Kept: Debug + Send + Sync {
    /// Does a piece of what nobody waits for; `true` while there is more.
    fn work(&self) -> bool;

    /// Writes what is not written, before the database is closed.
    fn close(&self);
}

/// The projections that are kept, by name.
#[derive(Debug, Default)]
pub(crate) struct KeptFolds {
    by_name: Mutex<BTreeMap<String, Weak<dyn Kept>>>,
}

impl KeptFolds {
    /// Takes a name; one at a time may have it.
    pub(super) fn add(&self, name: &str, kept: Weak<dyn Kept>) -> Result<(), KeepError> {
        let allowed =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_.-".contains(&byte);
        if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(allowed) {
            return Err(KeepError::Name { name: name.to_owned() });
        }
        let mut by_name = lock(&self.by_name);
        if by_name.contains_key(name) {
            return Err(KeepError::Taken { name: name.to_owned() });
        }
        by_name.insert(name.to_owned(), kept);
        Ok(())
    }

    /// Gives a name back.
    pub(super) fn remove(&self, name: &str) {
        lock(&self.by_name).remove(name);
    }

    fn all(&self) -> Vec<Arc<dyn Kept>> {
        lock(&self.by_name).values().filter_map(Weak::upgrade).collect()
    }
}

impl Inner {
    /// One step of each projection that is kept; `true` while there is more to do.
    pub(crate) fn step_folds(&self) -> bool {
        let mut more = false;
        for kept in self.folds.all() {
            more |= kept.work();
        }
        more
    }

    /// Writes what is kept, before the database is closed.
    pub(crate) fn close_folds(&self) {
        self.folds.all().iter().for_each(|kept| kept.close());
    }
}
