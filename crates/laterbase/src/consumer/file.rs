//! The file of a consumer: `consumers/NAME.json`.
//!
//! ```text
//! {"format": 1, "copy": "<16 hex digits>", "state": {"config": {…}, "looked_to": 41,
//!  "open": {"40": {"attempts": 1, "due_us": …, "reason": null}}, "dead": {…}}}
//! ```
//! Replaced as a whole: written beside, synced, renamed. A reader may look at it; nobody else may
//! write it.

use std::sync::Arc;

use laterbase_log::storage::{OpenMode, Storage, StorageError};
use serde::{Deserialize, Serialize};

use super::state::State;

/// The directory of the consumers.
pub(super) const CONSUMERS_DIR: &str = "consumers";

const FORMAT: u32 = 1;
const SUFFIX: &str = ".json";

/// The longest file that is read back.
const FILE_BYTES_MAX: u64 = 256 << 20;

/// What the file holds.
#[derive(Serialize, Deserialize)]
struct Content {
    format: u32,
    /// The copy of the database on which positions count.
    copy: String,
    state: State,
}

/// A consumer's file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConsumerFileError {
    /// It cannot be read or written.
    #[error("{0}")]
    Storage(#[from] StorageError),
    /// It does not say what a consumer's file says.
    #[error("{path} is damaged ({reason}): remove the consumer and make it again")]
    Damaged {
        /// Which file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// It is of another version.
    #[error("{path} has format {format}, and this build reads 1: upgrade")]
    Format {
        /// Which file.
        path: String,
        /// Its version.
        format: u32,
    },
}

fn path_of(name: &str) -> String {
    format!("{CONSUMERS_DIR}/{name}{SUFFIX}")
}

/// The names of all consumers, in order.
pub(super) fn names(storage: &dyn Storage) -> Result<Vec<String>, StorageError> {
    if !storage.exists(CONSUMERS_DIR)? {
        return Ok(Vec::new());
    }
    let mut names: Vec<String> = storage
        .list(CONSUMERS_DIR)?
        .iter()
        .filter_map(|file| file.strip_suffix(SUFFIX).map(str::to_owned))
        .collect();
    names.sort_unstable();
    Ok(names)
}

/// A consumer's state and the copy that it counts on; `None` if there is no such consumer.
pub(super) fn read(
    storage: &Arc<dyn Storage>,
    name: &str,
) -> Result<Option<(u64, State)>, ConsumerFileError> {
    let path = path_of(name);
    if !storage.exists(CONSUMERS_DIR)? || !storage.exists(&path)? {
        return Ok(None);
    }
    let damaged = |reason: &dyn ToString| ConsumerFileError::Damaged {
        path: path.clone(),
        reason: reason.to_string(),
    };
    let file = storage.open(&path, OpenMode::READ)?;
    let bytes = file.len()?;
    if bytes > FILE_BYTES_MAX {
        return Err(damaged(&"it is too long"));
    }
    let mut text = vec![0; usize::try_from(bytes).unwrap_or(0)];
    let read = file.read_at(0, &mut text)?;
    text.truncate(read);
    let value: serde_json::Value =
        serde_json::from_slice(&text).map_err(|error| damaged(&error))?;
    match value.get("format").and_then(serde_json::Value::as_u64) {
        Some(1) => {}
        Some(format) => {
            let format = u32::try_from(format).unwrap_or(u32::MAX);
            return Err(ConsumerFileError::Format { path, format });
        }
        None => return Err(damaged(&"it names no format")),
    }
    let content: Content = serde_json::from_value(value).map_err(|error| damaged(&error))?;
    let copy = u64::from_str_radix(&content.copy, 16).map_err(|error| damaged(&error))?;
    Ok(Some((copy, content.state)))
}

/// Replaces a consumer's file; it is on the device when this returns.
pub(super) fn write(
    storage: &Arc<dyn Storage>,
    name: &str,
    copy: u64,
    state: &State,
) -> Result<(), ConsumerFileError> {
    if !storage.exists(CONSUMERS_DIR)? {
        storage.create_dir(CONSUMERS_DIR)?;
        storage.sync_dir("")?;
    }
    let path = path_of(name);
    let content = Content { format: FORMAT, copy: format!("{copy:016x}"), state: state.clone() };
    let text = serde_json::to_vec(&content).map_err(|error| ConsumerFileError::Damaged {
        path: path.clone(),
        reason: error.to_string(),
    })?;
    let new = format!("{path}.new");
    if storage.exists(&new)? {
        storage.remove(&new)?;
    }
    let file = storage.open(&new, OpenMode::CREATE)?;
    file.write_at(0, &text)?;
    file.sync()?;
    storage.rename(&new, &path)?;
    storage.sync_dir(CONSUMERS_DIR)?;
    Ok(())
}

/// Removes a consumer's file; `false` if there is none.
pub(super) fn remove(storage: &Arc<dyn Storage>, name: &str) -> Result<bool, StorageError> {
    let path = path_of(name);
    if !storage.exists(CONSUMERS_DIR)? || !storage.exists(&path)? {
        return Ok(false);
    }
    storage.remove(&path)?;
    storage.sync_dir(CONSUMERS_DIR)?;
    Ok(true)
}
