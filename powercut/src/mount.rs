//! A mounted power cut file system, and the handle that cuts its power.

use crate::filesystem::CutFilesystem;
use fuser::BackgroundSession;
use laterbase_log::storage::{Disk, FaultyDisk, Random};
use std::fmt;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The file system could not be mounted; where that is so, its tests are skipped.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot mount a FUSE file system on {dir:?}: {source}; it takes /dev/fuse and either root \
         or the program fusermount3"
)]
pub struct MountError {
    /// Where it was to be mounted.
    pub dir: PathBuf,
    /// The system's reason.
    pub source: io::Error,
}

/// An empty file system whose power can be cut; unmounted when dropped.
#[derive(Debug)]
pub struct CutMount {
    disk: Arc<FaultyDisk>,
    dir: PathBuf,
    _session: BackgroundSession,
}

impl CutMount {
    /// Mounts an empty disk on the empty directory `dir`; `seed` decides what is left to chance.
    ///
    /// # Errors
    /// No FUSE here, or no permission to mount.
    pub fn new(dir: &Path, seed: u64) -> Result<Self, MountError> {
        let disk = Arc::new(FaultyDisk::new(Disk::new(), Random::new(seed)));
        let filesystem = CutFilesystem::new(Arc::clone(&disk));
        let session = fuser::spawn_mount(filesystem, dir, &CutFilesystem::config())
            .map_err(|source| MountError { dir: dir.to_owned(), source })?;
        Ok(Self { disk, dir: dir.to_owned(), _session: session })
    }

    /// Where it is mounted.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The disk: to cut its power, restart it, have it fail, and look at it.
    #[must_use]
    pub fn disk(&self) -> &FaultyDisk {
        &self.disk
    }
}

/// Says something on standard error, also where the test harness captures what tests print.
pub fn say(line: impl fmt::Display) {
    // Who cannot even say so has nobody to tell.
    let _ = writeln!(io::stderr(), "{line}");
}

/// Says that a test is skipped, and why.
pub fn skip(reason: &str) {
    say(format_args!("SKIPPED: {reason}"));
}
