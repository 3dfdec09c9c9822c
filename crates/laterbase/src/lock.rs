//! One process writes, others may read: the file `LOCK` and the directory `leases`.
//!
//! ```text
//! LOCK: 0   last flushed position   u64 LE      64  text: "pid 4711\n", and where the database
//!       8   the same, inverted                      is served "url http://127.0.0.1:7410\n"
//!      16   "closed" and two zeroes once the writer has closed properly
//! leases/<random>.lease: one per reading process, locked for as long as it reads
//! ```
//! The writer holds an exclusive lock on `LOCK` and publishes there, after each flush, how far
//! other processes may read: what lies behind in the files may not be on the device yet. What
//! counts when nobody holds the lock is told in `follow.rs`. The writer recycles and removes files
//! only while no lease is held that is older than the file's retirement; a lease is renewed
//! whenever its reader has let go of older files.

use std::sync::Arc;

use laterbase_event::Position;
use laterbase_log::storage::{LockMode, OpenMode, Storage, StorageError, StorageFile, StorageLock};

use crate::environment::Environment;

/// The lock's name.
pub(crate) const LOCK_FILE: &str = "LOCK";
const LEASES_DIR: &str = "leases";
/// Published while a writer recovers the log.
const STARTING: Position = Position::new(u64::MAX);
const CLOSED_AT: u64 = 16;
const CLOSED: &[u8; 8] = b"closed\0\0";
const TEXT_AT: u64 = 64;
const TEXT_BYTES: usize = 448;
const URL: &str = "url ";
/// The longest address that has room in the text, beside a process id.
pub(crate) const URL_BYTES_MAX: usize = 400;

/// The right to write, held until dropped.
#[derive(Debug)]
pub(crate) struct WriterLock {
    file: Arc<dyn StorageFile>,
    _lock: Box<dyn StorageLock>,
}

impl WriterLock {
    /// Takes the lock; `None` when another process or handle has it.
    pub(crate) fn try_take(storage: &dyn Storage) -> Result<Option<Self>, StorageError> {
        let Some(lock) = storage.try_lock(LOCK_FILE, LockMode::Exclusive)? else {
            return Ok(None);
        };
        let file = storage.open(LOCK_FILE, OpenMode::READ_WRITE)?;
        let taken = Self { file, _lock: lock };
        taken.write_text("")?;
        // What an earlier holder published may be older than what it flushed.
        taken.publish(STARTING)?;
        taken.file.write_at(CLOSED_AT, &[0; CLOSED.len()])?;
        Ok(Some(taken))
    }

    /// Tells other processes where they can have this one write for them.
    pub(crate) fn publish_address(&self, url: &str) -> Result<(), StorageError> {
        self.write_text(&format!("{URL}{url}\n"))
    }

    fn write_text(&self, more: &str) -> Result<(), StorageError> {
        let mut text = format!("pid {}\n{more}", std::process::id()).into_bytes();
        text.resize(TEXT_BYTES, b'\n');
        self.file.write_at(TEXT_AT, &text)
    }

    /// Tells other processes that everything in the log is on the device, and that this is the end.
    pub(crate) fn publish_closed(&self) -> Result<(), StorageError> {
        self.file.write_at(CLOSED_AT, CLOSED)
    }

    /// Tells other processes how far they may read.
    pub(crate) fn publish(&self, flushed: Position) -> Result<(), StorageError> {
        let mut bytes = [0; 16];
        let (plain, inverted) = bytes.split_at_mut(8);
        plain.copy_from_slice(&flushed.as_u64().to_le_bytes());
        inverted.copy_from_slice(&(!flushed.as_u64()).to_le_bytes());
        self.file.write_at(0, &bytes)
    }
}

/// What the `LOCK` of a database says to one that may not write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum WriterState {
    /// Nobody writes, and the last one who did may have been killed.
    Absent,
    /// Nobody writes, and the last one who did closed properly.
    Closed,
    /// Another process recovers the log and has not published yet how far it goes.
    Starting,
    /// Another process writes and has flushed this far.
    Flushed(Position),
}

/// Looks at the lock without taking it.
pub(crate) fn look(storage: &dyn Storage) -> Result<WriterState, StorageError> {
    if !storage.exists(LOCK_FILE)? {
        return Ok(WriterState::Absent);
    }
    let held = match storage.try_lock(LOCK_FILE, LockMode::Shared) {
        Ok(lock) => lock.is_none(),
        // A read-only file system: nobody writes there.
        Err(error) if error.is_not_permitted() => false,
        Err(error) => return Err(error),
    };
    let file = storage.open(LOCK_FILE, OpenMode::READ)?;
    if !held {
        let mut mark = [0; CLOSED.len()];
        let read = file.read_at(CLOSED_AT, &mut mark)?;
        let closed = read == mark.len() && mark == *CLOSED;
        return Ok(if closed { WriterState::Closed } else { WriterState::Absent });
    }
    loop {
        let mut bytes = [0; 16];
        if file.read_at(0, &mut bytes)? < bytes.len() {
            return Ok(WriterState::Starting);
        }
        let (plain, inverted) = bytes.split_at(8);
        let plain = plain.try_into().map_or(0, u64::from_le_bytes);
        let inverted = inverted.try_into().map_or(0, u64::from_le_bytes);
        if plain == !inverted {
            let position = Position::new(plain);
            return Ok(if position == STARTING {
                WriterState::Starting
            } else {
                WriterState::Flushed(position)
            });
        }
        std::hint::spin_loop();
    }
}

/// Who holds the lock, as far as it says.
#[derive(Debug, Default)]
pub(crate) struct Holder {
    /// `pid 4711`.
    pub(crate) name: String,
    /// Where it serves the database, if it does.
    pub(crate) url: Option<String>,
}

/// Who holds the lock, as it says of itself.
pub(crate) fn holder(storage: &dyn Storage) -> Holder {
    let mut text = [0; TEXT_BYTES];
    let read = storage
        .open(LOCK_FILE, OpenMode::READ)
        .and_then(|file| file.read_at(TEXT_AT, &mut text))
        .unwrap_or(0);
    let text = String::from_utf8_lossy(text.get(..read).unwrap_or_default()).into_owned();
    let (urls, lines): (Vec<&str>, Vec<&str>) =
        text.lines().filter(|line| !line.is_empty()).partition(|line| line.starts_with(URL));
    let url = urls.first().and_then(|line| line.strip_prefix(URL));
    Holder { name: lines.join(", "), url: url.map(str::to_owned) }
}

/// A reading process's claim on the files it has seen; held until dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    storage: Arc<dyn Storage>,
    path: String,
    _lock: Box<dyn StorageLock>,
}

impl Lease {
    /// Takes a lease; `None` where the database cannot be written to at all, so that none is
    /// needed.
    pub(crate) fn take(
        storage: &Arc<dyn Storage>,
        environment: &dyn Environment,
    ) -> Result<Option<Self>, StorageError> {
        loop {
            let name = environment.random_u64().unwrap_or(u64::from(std::process::id()));
            let path = format!("{LEASES_DIR}/{name:016x}.lease");
            let taken = storage
                .create_dir(LEASES_DIR)
                .and_then(|()| storage.try_lock(&path, LockMode::Exclusive));
            match taken {
                // Between its creation and its lock the writer may have taken it for an old one.
                Ok(Some(lock)) if storage.exists(&path)? => {
                    return Ok(Some(Self { storage: Arc::clone(storage), path, _lock: lock }));
                }
                Ok(Some(_) | None) => {}
                Err(error) if error.is_not_permitted() => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // A lease file that stays is removed by the next writer that finds it unlocked.
        let _ = self.storage.remove(&self.path);
    }
}

/// The names of the leases that are held; files of leases that ended are removed.
pub(crate) fn held_leases(storage: &dyn Storage) -> Result<Vec<String>, StorageError> {
    if !storage.exists(LEASES_DIR)? {
        return Ok(Vec::new());
    }
    let mut held = Vec::new();
    for name in storage.list(LEASES_DIR)? {
        let path = format!("{LEASES_DIR}/{name}");
        match storage.try_lock(&path, LockMode::Exclusive) {
            Ok(Some(_)) => storage.remove(&path)?,
            Ok(None) => held.push(name),
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(held)
}
