//! The file of a consumer: `consumers/NAME.json`.
//!
//! ```text
//! {"format": 1, "copy": "<16 hex digits>", "state": {"config": {…}, "looked_to": 41,
//!  "open": {"40": {"attempts": 1, "due_us": …, "reason": null}}, "dead": {…}}}
//! ```
//! Replaced as a whole: written beside, synced, renamed. A reader may look at it; nobody else may
//! write it.
//!
//! Invariant: what is written can be read back. The state's bounds see to it, and the length is
//! looked at once more before anything is written:
//!
//! ```text
//!   OPEN_MAX + DEAD_MAX entries × ENTRY_BYTES_MAX + CONFIG_BYTES_MAX ≤ FILE_BYTES_MAX
//! ```

use std::sync::Arc;

use laterbase_log::storage::{OpenMode, Storage, StorageError};
use serde::{Deserialize, Serialize};

use super::state::{DEAD_MAX, OPEN_MAX, REASON_BYTES_MAX, State};

/// The directory of the consumers.
pub(super) const CONSUMERS_DIR: &str = "consumers";

const FORMAT: u32 = 1;
const SUFFIX: &str = ".json";

/// The longest file that is written or read, in bytes.
const FILE_BYTES_MAX: usize = 256 << 20;

/// An open or dead event in the file, in bytes: each byte of its reason may take two.
const ENTRY_BYTES_MAX: usize = 2 * REASON_BYTES_MAX + 128;

/// The configuration in the file, in bytes: 1,000 types and 1,000 tags.
const CONFIG_BYTES_MAX: usize = 16 << 20;

const _: () = assert!((OPEN_MAX + DEAD_MAX) * ENTRY_BYTES_MAX + CONFIG_BYTES_MAX <= FILE_BYTES_MAX);

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
    /// It would be too long to be read back. What it is to say is not written.
    #[error(
        "{path} would have {bytes} bytes, and at most {max} are read: acknowledge more at once, \
         or discard dead events"
    )]
    TooLong {
        /// Which file.
        path: String,
        /// How long it would be.
        bytes: usize,
        /// How long it may be.
        max: usize,
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
    let file = storage.open(&path, OpenMode::READ)?;
    let bytes = usize::try_from(file.len()?).unwrap_or(usize::MAX);
    if bytes > FILE_BYTES_MAX {
        return Err(ConsumerFileError::Damaged { path, reason: "it is too long".to_owned() });
    }
    let mut text = vec![0; bytes];
    let read = file.read_at(0, &mut text)?;
    text.truncate(read);
    decode(path, &text).map(Some)
}

/// Makes the directory of the consumers; it is on the device when this returns.
pub(super) fn make_directory(storage: &dyn Storage) -> Result<(), StorageError> {
    if !storage.exists(CONSUMERS_DIR)? {
        storage.create_dir(CONSUMERS_DIR)?;
    }
    // Also if it was there: whoever made it may have failed here.
    storage.sync_dir("")
}

/// Replaces a consumer's file; it is on the device when this returns.
pub(super) fn write(
    storage: &Arc<dyn Storage>,
    name: &str,
    copy: u64,
    state: &State,
) -> Result<(), ConsumerFileError> {
    debug_assert_eq!(state.check(), Ok(()), "consumer {name}");
    let path = path_of(name);
    let text = encode(&path, copy, state, FILE_BYTES_MAX)?;
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

/// Removes a consumer's file, and says whether there was one. It is gone from the device when this
/// returns.
pub(super) fn remove(storage: &Arc<dyn Storage>, name: &str) -> Result<bool, StorageError> {
    let path = path_of(name);
    if !storage.exists(CONSUMERS_DIR)? {
        return Ok(false);
    }
    let is_there = storage.exists(&path)?;
    if is_there {
        storage.remove(&path)?;
    }
    // Also if it was gone: whoever removed it may have failed here.
    storage.sync_dir(CONSUMERS_DIR)?;
    Ok(is_there)
}

fn decode(path: String, text: &[u8]) -> Result<(u64, State), ConsumerFileError> {
    let damaged = |reason: &dyn ToString| ConsumerFileError::Damaged {
        path: path.clone(),
        reason: reason.to_string(),
    };
    let value: serde_json::Value = serde_json::from_slice(text).map_err(|error| damaged(&error))?;
    match value.get("format").and_then(serde_json::Value::as_u64) {
        Some(format) if format == u64::from(FORMAT) => {}
        Some(format) => {
            let format = u32::try_from(format).unwrap_or(u32::MAX);
            return Err(ConsumerFileError::Format { path, format });
        }
        None => return Err(damaged(&"it names no format")),
    }
    let content: Content = serde_json::from_value(value).map_err(|error| damaged(&error))?;
    let copy = u64::from_str_radix(&content.copy, 16).map_err(|error| damaged(&error))?;
    let mut state = content.state;
    state.check().map_err(|reason| damaged(&reason))?;
    state.cut_reasons();
    Ok((copy, state))
}

fn encode(
    path: &str,
    copy: u64,
    state: &State,
    bytes_max: usize,
) -> Result<Vec<u8>, ConsumerFileError> {
    let content = Content { format: FORMAT, copy: format!("{copy:016x}"), state: state.clone() };
    let text = serde_json::to_vec(&content).map_err(|error| ConsumerFileError::Damaged {
        path: path.to_owned(),
        reason: error.to_string(),
    })?;
    if text.len() > bytes_max {
        let (path, bytes) = (path.to_owned(), text.len());
        return Err(ConsumerFileError::TooLong { path, bytes, max: bytes_max });
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use laterbase_event::Position;

    use super::super::config::ConsumerConfig;
    use super::super::settlement::{Rejection, Settlement};
    use super::*;

    /// A state of one event, rejected with the reason that takes the most bytes in the file.
    fn largest_entry(attempts_max: u32) -> State {
        let config = ConsumerConfig { attempts_max, ..ConsumerConfig::default() };
        let position = Position::new(u64::MAX);
        let mut state = State::new(config, position);
        state.give([position], position, i64::MIN);
        let reason = "\\\n\u{1}".repeat(REASON_BYTES_MAX);
        let reject = vec![Rejection { position, reason }];
        let settlement = Settlement { reject, ..Settlement::default() };
        assert_eq!(state.settle(&settlement, i64::MIN).rejected, 1);
        state
    }

    #[test]
    fn an_entry_takes_no_more_than_the_bound_of_the_file_counts_with() {
        for (attempts_max, is_dead) in [(1, true), (2, false)] {
            let state = largest_entry(attempts_max);
            assert_eq!(state.dead.len(), usize::from(is_dead));
            let text = encode("x", 0, &state, FILE_BYTES_MAX).unwrap();
            let empty = State::new(state.config, Position::NONE);
            let empty = encode("x", 0, &empty, FILE_BYTES_MAX).unwrap();
            let entry = text.len() - empty.len();
            // The widest number of attempts has nine digits more than this one.
            assert!(entry + 9 <= ENTRY_BYTES_MAX, "{entry} bytes");
        }
    }

    #[test]
    fn what_could_not_be_read_back_is_not_written() {
        let state = largest_entry(1);
        let bytes = encode("x", 0, &state, FILE_BYTES_MAX).unwrap().len();
        assert!(encode("x", 0, &state, bytes).is_ok());
        let refused = encode("consumers/x.json", 0, &state, bytes - 1).unwrap_err().to_string();
        let begin = format!("consumers/x.json would have {bytes} bytes");
        assert!(refused.starts_with(&begin), "{refused}");
    }
}
