//! Online backups: consistent, incremental, and restored under a new replica id.
//!
//! ```text
//! <backup>/
//!   backup.json     what belongs to it: written last, under a temporary name first
//!   log/…           segments; a hot one up to what was flushed
//! ```
//! Sealed segments never change, so a backup into a folder that holds an earlier one copies only
//! what is new. Files of the earlier backup that the new one does not name are removed after the
//! new `backup.json` is durable: an interrupted backup leaves the earlier one usable.
//! Indexes are left out: they are derived. The identity is left out too: a restored copy is a new
//! replica, which is what keeps its events from colliding with those of the original.

use std::path::Path;
use std::sync::Arc;

use laterbase_event::{DatabaseId, Position, ReplicaId};
use laterbase_log::storage::{FileStorage, OpenMode, Storage, StorageError};
use serde::{Deserialize, Serialize};

use crate::database::Database;
use crate::environment::{Environment, SystemEnvironment};
use crate::identity::{Former, IDENTITY_FILE, Identity, IdentityError, State};
use crate::inner::{Inner, lock};
use crate::open::{LOG_DIR, Reincarnation};
use crate::read::ReadError;

const MANIFEST: &str = "backup.json";
const MANIFEST_NEW: &str = "backup.json.new";
const VERSION: u32 = 1;
const COPY_BYTES: usize = 256 * 1024;
const MANIFEST_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// A backup could not be made or restored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// The folder holds something else.
    #[error(
        "the folder holds something that is no backup of database {database}: choose an empty one"
    )]
    OtherContent {
        /// The database that was to be backed up.
        database: DatabaseId,
    },
    /// There is no backup.
    #[error(
        "there is no backup in this folder (no `{MANIFEST}`): name the folder that `laterbase \
         backup` wrote"
    )]
    Missing,
    /// Written by a newer build.
    #[error(
        "the backup has format {version} and this build reads up to {VERSION}: upgrade, nothing \
         was touched"
    )]
    Newer {
        /// The format found.
        version: u32,
    },
    /// The manifest is damaged.
    #[error("`{MANIFEST}` is damaged ({reason}): use another backup")]
    Manifest {
        /// What is wrong with it.
        reason: String,
    },
    /// A file of the backup is not what it was.
    #[error("`{path}` of the backup is damaged or cut short: use another backup")]
    Damaged {
        /// The file.
        path: String,
    },
    /// The target of a restore is not empty.
    #[error("the folder to restore into is not empty: choose a new one")]
    NotEmpty,
    /// Who the copy is could not be written.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The database cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// What a backup holds, and what making it took.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackupReport {
    /// The last position in it.
    pub position: Position,
    /// Files that were copied.
    pub files_copied: u64,
    /// Files that an earlier backup in the folder had already.
    pub files_kept: u64,
    /// Bytes that were copied.
    pub bytes_copied: u64,
}

/// What was restored.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RestoreReport {
    /// The database.
    pub database: DatabaseId,
    /// The id that the restored copy writes under.
    pub replica: ReplicaId,
    /// The last position in the backup.
    pub position: Position,
    /// Bytes that were copied.
    pub bytes_copied: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Manifest {
    version: u32,
    database: String,
    replica: String,
    position: u64,
    files: Vec<FileEntry>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct FileEntry {
    path: String,
    bytes: u64,
    /// Tells the file from others of the same name that came before or after.
    epoch: u64,
    crc32c: u32,
    immutable: bool,
}

impl Database {
    /// Copies everything flushed into a folder, while appends go on. Into the folder of an earlier
    /// backup of this database, only what is new is copied.
    ///
    /// # Errors
    /// [`BackupError`]; an earlier backup in the folder is still usable then.
    ///
    /// # Durability
    /// When this returns, the backup is on the device.
    pub fn backup(&self, to: impl AsRef<Path>) -> Result<BackupReport, BackupError> {
        back_up(self.inner(), &FileStorage::create(to.as_ref())?)
    }

    /// Restores a backup into a new folder, as a new replica.
    ///
    /// # Errors
    /// [`BackupError`]; the folder then holds no database.
    pub fn restore(
        from: impl AsRef<Path>,
        to: impl AsRef<Path>,
    ) -> Result<RestoreReport, BackupError> {
        let from = FileStorage::open(from.as_ref())?;
        restore(&from, &FileStorage::create(to.as_ref())?, &SystemEnvironment)
    }
}

fn back_up(inner: &Arc<Inner>, to: &dyn Storage) -> Result<BackupReport, BackupError> {
    let earlier = match read_manifest(to) {
        Ok(manifest) if manifest.database == inner.database.to_string() => manifest.files,
        Ok(_) => return Err(BackupError::OtherContent { database: inner.database }),
        Err(BackupError::Missing) if to.list("")?.is_empty() => Vec::new(),
        // A first backup that was interrupted left its log folder and nothing else.
        Err(BackupError::Missing) if to.list("")?.iter().all(|name| is_ours(name)) => Vec::new(),
        Err(BackupError::Missing) => {
            return Err(BackupError::OtherContent { database: inner.database });
        }
        Err(error) => return Err(error),
    };
    // Segments are neither sealed nor reclaimed while they are copied; appends go on.
    let _still = inner.writer().map(|writer| lock(&writer.maintenance));
    let snapshot = inner.reader.snapshot().map_err(ReadError::from)?;
    let position = snapshot.position;
    let mut report = BackupReport { position, files_copied: 0, files_kept: 0, bytes_copied: 0 };
    let mut files = Vec::new();
    to.create_dir(LOG_DIR)?;
    for file in snapshot.files {
        let kept = earlier.iter().find(|entry| {
            entry.immutable
                && entry.path == file.path
                && entry.bytes == file.bytes
                && entry.epoch == file.epoch
        });
        if let Some(entry) = kept
            && to.exists(&file.path)?
        {
            report.files_kept += 1;
            files.push(entry.clone());
            continue;
        }
        let crc32c = copy(inner.storage.as_ref(), to, &file.path, file.bytes)?;
        report.files_copied += 1;
        report.bytes_copied += file.bytes;
        let (bytes, epoch, immutable) = (file.bytes, file.epoch, file.immutable);
        files.push(FileEntry { path: file.path, bytes, epoch, crc32c, immutable });
    }
    to.sync_dir(LOG_DIR)?;
    let manifest = Manifest {
        version: VERSION,
        database: inner.database.to_string(),
        replica: inner.replica().to_string(),
        position: position.as_u64(),
        files,
    };
    write_manifest(to, &manifest)?;
    for name in to.list(LOG_DIR)? {
        let path = format!("{LOG_DIR}/{name}");
        if !manifest.files.iter().any(|entry| entry.path == path) {
            to.remove(&path)?;
        }
    }
    Ok(report)
}

fn is_ours(name: &str) -> bool {
    name == LOG_DIR || name == MANIFEST_NEW
}

fn restore(
    from: &dyn Storage,
    to: &dyn Storage,
    environment: &dyn Environment,
) -> Result<RestoreReport, BackupError> {
    let manifest = read_manifest(from)?;
    let malformed = |reason: &str| BackupError::Manifest { reason: reason.to_owned() };
    let database: DatabaseId =
        manifest.database.parse().map_err(|_| malformed("its database id is none"))?;
    let former: ReplicaId =
        manifest.replica.parse().map_err(|_| malformed("its replica id is none"))?;
    if !to.list("")?.is_empty() {
        return Err(BackupError::NotEmpty);
    }
    to.create_dir(LOG_DIR)?;
    let mut bytes_copied = 0;
    for entry in &manifest.files {
        let name = entry.path.strip_prefix(&format!("{LOG_DIR}/"));
        if name.is_none_or(|name| name.is_empty() || name.contains(['/', '\\'])) {
            return Err(malformed("it names a file outside the log"));
        }
        if copy(from, to, &entry.path, entry.bytes)? != entry.crc32c {
            return Err(BackupError::Damaged { path: entry.path.clone() });
        }
        bytes_copied += entry.bytes;
    }
    to.sync_dir(LOG_DIR)?;
    to.sync_dir("")?;
    let mut identity = Identity::mint(environment, Some(database))?;
    identity.state = State::Complete;
    // The backup's events carry the id of the copy that it was made of: this one goes on for it.
    identity.former.push(Former { replica: former, reason: Some(Reincarnation::Copied) });
    identity.write(to)?;
    debug_assert!(to.exists(IDENTITY_FILE).unwrap_or(true), "the identity was just written");
    Ok(RestoreReport {
        database,
        replica: identity.replica,
        position: Position::new(manifest.position),
        bytes_copied,
    })
}

/// Copies the first `bytes` of a file, syncs the copy, and answers the checksum of what was copied.
fn copy(from: &dyn Storage, to: &dyn Storage, path: &str, bytes: u64) -> Result<u32, BackupError> {
    let source = from.open(path, OpenMode::READ)?;
    if to.exists(path)? {
        to.remove(path)?;
    }
    let target = to.open(path, OpenMode::CREATE)?;
    let mut buffer = vec![0; COPY_BYTES];
    let mut sum = 0;
    let mut at = 0;
    while at < bytes {
        let wanted = usize::try_from(bytes - at).unwrap_or(usize::MAX).min(buffer.len());
        let piece = buffer.get_mut(..wanted).unwrap_or_default();
        let read = source.read_at(at, piece)?;
        let piece = piece.get(..read).unwrap_or_default();
        if piece.is_empty() {
            return Err(BackupError::Damaged { path: path.to_owned() });
        }
        sum = crc32c::crc32c_append(sum, piece);
        target.write_at(at, piece)?;
        at += read as u64;
    }
    target.sync()?;
    Ok(sum)
}

fn read_manifest(storage: &dyn Storage) -> Result<Manifest, BackupError> {
    if !storage.exists(MANIFEST)? {
        return Err(BackupError::Missing);
    }
    let malformed = |reason: String| BackupError::Manifest { reason };
    let file = storage.open(MANIFEST, OpenMode::READ)?;
    let bytes = file.len()?;
    if bytes > MANIFEST_BYTES_MAX {
        return Err(malformed(format!("it has {bytes} bytes")));
    }
    let mut text = vec![0; usize::try_from(bytes).unwrap_or(0)];
    let read = file.read_at(0, &mut text)?;
    text.truncate(read);
    let value: serde_json::Value =
        serde_json::from_slice(&text).map_err(|error| malformed(error.to_string()))?;
    let version = value.get("version").and_then(serde_json::Value::as_u64).unwrap_or(0);
    if version > u64::from(VERSION) {
        return Err(BackupError::Newer { version: u32::try_from(version).unwrap_or(u32::MAX) });
    }
    serde_json::from_value(value).map_err(|error| malformed(error.to_string()))
}

fn write_manifest(storage: &dyn Storage, manifest: &Manifest) -> Result<(), BackupError> {
    let text = serde_json::to_vec_pretty(manifest)
        .map_err(|error| BackupError::Manifest { reason: error.to_string() })?;
    if storage.exists(MANIFEST_NEW)? {
        storage.remove(MANIFEST_NEW)?;
    }
    let file = storage.open(MANIFEST_NEW, OpenMode::CREATE)?;
    file.write_at(0, &text)?;
    file.sync()?;
    storage.rename(MANIFEST_NEW, MANIFEST)?;
    storage.sync_dir("")?;
    Ok(())
}
