//! Storage in a directory of the operating system's file system.
//!
//! Direct I/O is a wish that is probed per file: it is switched on, one aligned block is written
//! (a file just created) or read (any other), and where that fails it is switched off again. So no
//! file system is refused, and [`StorageFile::block_bytes`] tells what one got.
//!
//! Short reads and writes and interrupted calls are taken up where they stopped, except for a sync:
//! its outcome is final. What differs between operating systems is in `platform.rs`.

use super::buffer::{AlignedBuffer, BLOCK_BYTES, check_alignment};
use super::error::{StorageError, StorageOp};
use super::port::{Access, Fingerprint, LockMode, OpenMode, Storage, StorageFile, StorageLock};
use super::{path, platform};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How many slices one gathered write takes at once; systems allow 1024 and more.
const SLICES_MAX: usize = 64;

/// A directory as storage.
#[derive(Clone, Debug)]
pub struct FileStorage {
    root: PathBuf,
}

impl FileStorage {
    /// The storage in the existing directory `root`.
    ///
    /// # Errors
    /// A missing path, or one that is no directory.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, StorageError> {
        let root = root.into();
        let fail = |error| StorageError::new(StorageOp::Open, root.display().to_string(), error);
        if !fs::metadata(&root).map_err(fail)?.is_dir() {
            return Err(fail(io::Error::from(io::ErrorKind::NotADirectory)));
        }
        Ok(Self { root })
    }

    /// The storage in the directory `root`, which is created durably, with its parents, if missing.
    ///
    /// # Errors
    /// A file of that name, or the system's reason.
    pub fn create(root: impl Into<PathBuf>) -> Result<Self, StorageError> {
        let root = root.into();
        create_durably(&root).map_err(|error| {
            StorageError::new(StorageOp::CreateDir, root.display().to_string(), error)
        })?;
        Self::open(root)
    }

    /// The directory.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn resolve(&self, op: StorageOp, path: &str) -> Result<PathBuf, StorageError> {
        path::check(op, path)?;
        Ok(if path.is_empty() { self.root.clone() } else { self.root.join(path) })
    }

    /// Resolves `path`, runs `act` on it, and says on failure what was tried on which file.
    fn run<T>(
        &self,
        op: StorageOp,
        path: &str,
        act: impl FnOnce(&Path) -> io::Result<T>,
    ) -> Result<T, StorageError> {
        let full = self.resolve(op, path)?;
        act(&full).map_err(|error| StorageError::new(op, full.display().to_string(), error))
    }
}

impl Storage for FileStorage {
    fn open(&self, path: &str, mode: OpenMode) -> Result<Arc<dyn StorageFile>, StorageError> {
        let (file, block_bytes) = self.run(StorageOp::Open, path, |full| {
            let mut options = OpenOptions::new();
            match mode.access {
                Access::Read => options.read(true),
                Access::ReadWrite => options.read(true).write(true),
                Access::Create => options.read(true).write(true).create_new(true),
            };
            let file = options.open(full)?;
            let block_bytes = if mode.direct { probe_direct(&file, mode.access)? } else { 1 };
            Ok((file, block_bytes))
        })?;
        Ok(Arc::new(OpenFile { file, path: path.to_owned(), block_bytes }))
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), StorageError> {
        let to = self.resolve(StorageOp::Rename, to)?;
        self.run(StorageOp::Rename, from, |from| fs::rename(from, to))
    }

    fn remove(&self, path: &str) -> Result<(), StorageError> {
        self.run(StorageOp::Remove, path, |full| fs::remove_file(full))
    }

    /// Names that are not UTF-8 are left out: no caller can have made them.
    fn list(&self, dir: &str) -> Result<Vec<String>, StorageError> {
        self.run(StorageOp::List, dir, |full| {
            let mut names = Vec::new();
            for entry in fs::read_dir(full)? {
                names.extend(entry?.file_name().into_string());
            }
            names.sort_unstable();
            Ok(names)
        })
    }

    fn create_dir(&self, path: &str) -> Result<(), StorageError> {
        self.run(StorageOp::CreateDir, path, |full| match fs::create_dir(full) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && full.is_dir() => Ok(()),
            outcome => outcome,
        })
    }

    fn remove_dir(&self, path: &str) -> Result<(), StorageError> {
        self.run(StorageOp::Remove, path, |full| fs::remove_dir(full))
    }

    fn sync_dir(&self, path: &str) -> Result<(), StorageError> {
        self.run(StorageOp::SyncDir, path, platform::sync_dir)
    }

    fn exists(&self, path: &str) -> Result<bool, StorageError> {
        self.run(StorageOp::Inspect, path, Path::try_exists)
    }

    fn try_lock(
        &self,
        path: &str,
        mode: LockMode,
    ) -> Result<Option<Box<dyn StorageLock>>, StorageError> {
        self.run(StorageOp::Lock, path, |full| {
            let mut options = OpenOptions::new();
            let file = options.read(true).write(true).create(true).truncate(false).open(full)?;
            let outcome = match mode {
                LockMode::Shared => file.try_lock_shared(),
                LockMode::Exclusive => file.try_lock(),
            };
            match outcome {
                Ok(()) => Ok(Some(Box::new(FileLock { _file: file }) as Box<dyn StorageLock>)),
                Err(TryLockError::WouldBlock) => Ok(None),
                Err(TryLockError::Error(error)) => Err(error),
            }
        })
    }

    fn fingerprint(&self, path: &str) -> Result<Fingerprint, StorageError> {
        let file = self.run(StorageOp::Inspect, path, platform::file_identity)?;
        Ok(Fingerprint::new(format!("machine={} {file}", platform::machine_identity())))
    }
}

#[derive(Debug)]
struct OpenFile {
    file: File,
    path: String,
    block_bytes: usize,
}

impl OpenFile {
    fn fail(&self, op: StorageOp, error: io::Error) -> StorageError {
        StorageError::new(op, self.path.as_str(), error)
    }

    fn check(&self, op: StorageOp, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        check_alignment(op, &self.path, offset, bytes, self.block_bytes)
    }
}

impl StorageFile for OpenFile {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, StorageError> {
        self.check(StorageOp::Read, offset, buf)?;
        read_fully(&self.file, offset, buf, self.block_bytes)
            .map_err(|error| self.fail(StorageOp::Read, error))
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        self.write_vectored_at(offset, &[IoSlice::new(bytes)])
    }

    fn write_vectored_at(&self, offset: u64, slices: &[IoSlice<'_>]) -> Result<(), StorageError> {
        for slice in slices {
            self.check(StorageOp::Write, offset, slice)?;
        }
        let mut write = |window: &[IoSlice<'_>], at| platform::write_at(&self.file, window, at);
        write_fully(&mut write, offset, slices).map_err(|error| self.fail(StorageOp::Write, error))
    }

    fn len(&self) -> Result<u64, StorageError> {
        let metadata = self.file.metadata();
        metadata.map(|known| known.len()).map_err(|error| self.fail(StorageOp::Len, error))
    }

    fn set_len(&self, len: u64) -> Result<(), StorageError> {
        self.file.set_len(len).map_err(|error| self.fail(StorageOp::SetLen, error))
    }

    fn sync(&self) -> Result<(), StorageError> {
        platform::sync_data(&self.file).map_err(|error| self.fail(StorageOp::Sync, error))
    }

    fn block_bytes(&self) -> usize {
        self.block_bytes
    }
}

/// Closing the file ends the lock.
#[derive(Debug)]
struct FileLock {
    _file: File,
}

impl StorageLock for FileLock {}

/// Creates `dir` and its missing parents, and syncs each directory that gained an entry.
fn create_durably(dir: &Path) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    let parent = match dir.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    };
    create_durably(parent)?;
    fs::create_dir(dir)?;
    platform::sync_dir(parent)
}

/// Switches direct I/O on if the file then still reads and writes; returns its block.
fn probe_direct(file: &File, access: Access) -> io::Result<usize> {
    if !platform::enable_direct(file) {
        return Ok(1);
    }
    let mut block = AlignedBuffer::with_capacity(BLOCK_BYTES);
    block.resize(BLOCK_BYTES);
    let works = match access {
        Access::Create => platform::write_at(file, &[IoSlice::new(&block)], 0).is_ok(),
        Access::Read | Access::ReadWrite => platform::read_at(file, &mut block, 0).is_ok(),
    };
    if access == Access::Create {
        file.set_len(0)?;
    }
    if works {
        return Ok(BLOCK_BYTES);
    }
    platform::disable_direct(file)?;
    Ok(1)
}

/// Reads until `buf` is full or the file ends.
fn read_fully(file: &File, offset: u64, buf: &mut [u8], block_bytes: usize) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buf.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match platform::read_at(file, rest, offset + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        // Direct reads stop inside a block at the end of the file only, and cannot go on there.
        if !filled.is_multiple_of(block_bytes) {
            break;
        }
    }
    Ok(filled)
}

/// Calls `write` until all bytes of `slices` are written; a call may take fewer than it is given.
fn write_fully(
    write: &mut dyn FnMut(&[IoSlice<'_>], u64) -> io::Result<usize>,
    offset: u64,
    slices: &[IoSlice<'_>],
) -> io::Result<()> {
    let total: usize = slices.iter().map(|slice| slice.len()).sum();
    let mut written = 0;
    while written < total {
        let mut window = [IoSlice::new(&[]); SLICES_MAX];
        let window = fill_window(&mut window, slices, written);
        match write(window, offset + written as u64) {
            Ok(0) => return Err(io::Error::from(io::ErrorKind::WriteZero)),
            Ok(count) => written += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The slices behind the first `skip` bytes, as many as fit into `window`.
fn fill_window<'w, 'a>(
    window: &'w mut [IoSlice<'a>],
    slices: &'a [IoSlice<'a>],
    mut skip: usize,
) -> &'w [IoSlice<'a>] {
    let mut count = 0;
    let mut places = window.iter_mut();
    for slice in slices {
        let rest = slice.get(skip..).unwrap_or_default();
        skip = skip.saturating_sub(slice.len());
        if rest.is_empty() {
            continue;
        }
        let Some(place) = places.next() else { break };
        *place = IoSlice::new(rest);
        count += 1;
    }
    window.get(..count).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_interrupted_writes_are_taken_up_where_they_stopped() {
        let parts: Vec<Vec<u8>> = (0..200_u8).map(|n| vec![n; usize::from(n % 7)]).collect();
        let slices: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
        let mut written = Vec::new();
        let mut calls = 0_usize;
        let mut write = |window: &[IoSlice<'_>], at: u64| {
            calls += 1;
            if calls.is_multiple_of(5) {
                return Err(io::Error::from(io::ErrorKind::Interrupted));
            }
            assert_eq!(at, 100 + written.len() as u64);
            assert!(window.len() <= SLICES_MAX);
            let bytes: Vec<u8> = window.iter().flat_map(|slice| slice.iter().copied()).collect();
            let taken = bytes.len().min(1 + calls % 11);
            written.extend_from_slice(&bytes[..taken]);
            Ok(taken)
        };
        write_fully(&mut write, 100, &slices).expect("the writer never fails for good");
        assert_eq!(written, parts.concat());
    }

    #[test]
    fn a_write_that_takes_nothing_is_an_error_and_no_endless_loop() {
        let mut write = |_: &[IoSlice<'_>], _: u64| Ok(0);
        let outcome = write_fully(&mut write, 0, &[IoSlice::new(b"x")]);
        assert_eq!(outcome.map_err(|error| error.kind()), Err(io::ErrorKind::WriteZero));
    }

    #[test]
    fn root_is_created_with_its_parents_and_must_be_a_directory() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let deep = dir.path().join("a/b/c");
        assert!(FileStorage::open(&deep).expect_err("it is missing").is_not_found());
        FileStorage::create(&deep).expect("creates it");
        FileStorage::create(&deep).expect("finds it");
        fs::write(dir.path().join("file"), b"").expect("writes");
        let error = FileStorage::create(dir.path().join("file")).expect_err("it is a file");
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        let error = FileStorage::open(dir.path().join("file")).expect_err("it is a file");
        assert_eq!(error.kind(), io::ErrorKind::NotADirectory);
    }
}
