//! How far a process that only reads may read, and making sure of it.
//!
//! Beside a living writer: up to what it has published as flushed. After a writer that closed
//! properly: everything. After one that was killed, or whose sync failed, the end of the log may be
//! in the page cache alone, and showing it would promise what a power cut can take back. So the
//! reader takes the lock for a moment and recovers the log as the next writer would: the tail is
//! written again and synced before anything of it is shown. Only where the database cannot be
//! written to does every intact commit count.

use std::sync::Arc;
use std::time::Duration;

use laterbase_event::{DatabaseId, Position};
use laterbase_log::storage::{Storage, StorageError};
use laterbase_log::{CommitError, Log, LogConfig};

use crate::lock::{WriterLock, WriterState, holder, look};
use crate::open::LOG_DIR;

/// More than any log holds.
pub(crate) const EVERYTHING: Position = Position::new(u64::MAX);

/// How often a reader looks for another process's recovery to end, and how long it waits in
/// between.
const ATTEMPTS: u32 = 3_000;
const PAUSE: Duration = Duration::from_millis(10);

/// How far may be read cannot be told.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FollowError {
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The log could not be recovered.
    #[error(transparent)]
    Log(#[from] laterbase_log::OpenError),
    /// The log could not be closed again.
    #[error(transparent)]
    Close(#[from] CommitError),
    /// Another process has been starting for a long time.
    #[error("another process ({holder}) has been opening the database for a long time: try again")]
    Starting {
        /// Who, as far as it says.
        holder: String,
    },
}

/// How far the database may be read now.
pub(crate) fn readable_to(
    storage: &Arc<dyn Storage>,
    database: DatabaseId,
    config: &LogConfig,
    entropy: u64,
) -> Result<Position, FollowError> {
    for _ in 0..ATTEMPTS {
        match look(storage.as_ref())? {
            WriterState::Flushed(position) => return Ok(position),
            WriterState::Closed => return Ok(EVERYTHING),
            WriterState::Starting => std::thread::sleep(PAUSE),
            WriterState::Absent => match WriterLock::try_take(storage.as_ref()) {
                Ok(Some(lock)) => {
                    recover(storage, database, config, entropy)?;
                    lock.publish_closed()?;
                    return Ok(EVERYTHING);
                }
                // Another process was quicker.
                Ok(None) => std::thread::sleep(PAUSE),
                Err(error) if error.is_not_permitted() => return Ok(EVERYTHING),
                Err(error) => return Err(error.into()),
            },
        }
    }
    Err(FollowError::Starting { holder: holder(storage.as_ref()).name })
}

fn recover(
    storage: &Arc<dyn Storage>,
    database: DatabaseId,
    config: &LogConfig,
    entropy: u64,
) -> Result<(), FollowError> {
    let log = Log::open(Arc::clone(storage), LOG_DIR, database, config.clone(), entropy)?;
    Ok(log.writer.close(log.front)?)
}
