//! Where records come from: a file or standard input, with its fingerprint and its progress.
//!
//! The fingerprint is the hash of the whole file, so a file is read twice: once to hash it, once
//! to import it. What cannot be read twice (standard input, a pipe) is first copied to a
//! temporary file that has no name by the time it is read; unless the records bring keys of their
//! own: then it is read as it comes, and the few that have none are known by what came before.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::format::Format;
use crate::pointer::Pointer;

const BUFFER_BYTES: usize = 256 << 10;

/// An input that is ready to be read.
#[derive(Debug)]
pub struct Source {
    name: String,
    format: Format,
    keys: Keys,
    reader: BufReader<Counted>,
}

/// What a record without a key of its own is known by, together with its number.
#[derive(Clone, Debug)]
pub enum Keys {
    /// The file that it is in.
    Whole(Fingerprint),
    /// Everything that came up to and with it.
    SoFar(Box<blake3::Hasher>),
}

/// An input that tells how far it has been read.
struct Counted {
    input: Box<dyn Read + Send>,
    count: Arc<AtomicU64>,
}

/// The first 16 bytes of the BLAKE3 hash of a file, and of the pointer that picks its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint([u8; 16]);

/// Why an input cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// It cannot be opened.
    #[error("cannot open {}: {source}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// It cannot be read.
    #[error("cannot read {name}: {source}")]
    Read {
        /// The file's name, or `standard input`.
        name: String,
        /// The system's words.
        source: io::Error,
    },
    /// Standard input or a pipe could not be copied to a temporary file.
    #[error("cannot copy {name} to a temporary file in {}: {source}", directory.display())]
    Spool {
        /// What was to be copied.
        name: String,
        /// The directory for temporary files; `TMPDIR` names another.
        directory: PathBuf,
        /// The system's words.
        source: io::Error,
    },
}

impl Source {
    /// Opens `path`, or standard input for `-`. Without `format` the name decides, and where
    /// that says nothing, the first bytes. What is read is added to `count`. `keyed` says that
    /// records bring keys of their own.
    ///
    /// # Errors
    /// What the system says when opening, reading or copying.
    pub fn open(
        path: &Path,
        format: Option<Format>,
        each: Option<&Pointer>,
        keyed: bool,
        count: &Arc<AtomicU64>,
    ) -> Result<Self, SourceError> {
        let stdin = path == Path::new("-");
        let name = if stdin { "standard input".to_owned() } else { path.display().to_string() };
        let mut file = if stdin { None } else { Some(open(path)?) };
        let is_file = |file: &File| file.metadata().is_ok_and(|kind| kind.is_file());
        let once = !file.as_ref().is_some_and(is_file);
        let mut whole: Box<dyn Read + Send> = match file.take() {
            Some(file) if !once => return Self::of_file(name, path, file, format, each, count),
            Some(pipe) => Box::new(pipe),
            None => Box::new(io::stdin()),
        };
        if !keyed {
            let file = spool(&name, &mut whole)?;
            return Self::of_file(name, path, file, format, each, count);
        }
        let keys = Keys::SoFar(Box::default());
        Self::of_input(name, path, whole, keys, format, count)
    }

    /// What can be read twice.
    fn of_file(
        name: String,
        path: &Path,
        mut file: File,
        format: Option<Format>,
        each: Option<&Pointer>,
        count: &Arc<AtomicU64>,
    ) -> Result<Self, SourceError> {
        let read_error = |source| SourceError::Read { name: name.clone(), source };
        let fingerprint = fingerprint(&mut file, each).map_err(read_error)?;
        file.seek(SeekFrom::Start(0)).map_err(read_error)?;
        Self::of_input(name, path, Box::new(file), Keys::Whole(fingerprint), format, count)
    }

    fn of_input(
        name: String,
        path: &Path,
        input: Box<dyn Read + Send>,
        keys: Keys,
        format: Option<Format>,
        count: &Arc<AtomicU64>,
    ) -> Result<Self, SourceError> {
        let read_error = |source| SourceError::Read { name: name.clone(), source };
        let input = Counted { input, count: Arc::clone(count) };
        let mut reader = BufReader::with_capacity(BUFFER_BYTES, input);
        let format = match format.or_else(|| Format::of_name(path)) {
            Some(format) => format,
            None => Format::of_bytes(reader.fill_buf().map_err(read_error)?),
        };
        Ok(Self { name, format, keys, reader })
    }

    /// The file's name as messages show it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How its records stand in it.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// What its records are known by.
    #[must_use]
    pub fn keys(&self) -> Keys {
        self.keys.clone()
    }

    /// The bytes, from the beginning.
    pub fn reader(&mut self) -> &mut dyn BufRead {
        &mut self.reader
    }
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.count.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

impl Keys {
    /// The idempotency key of a record that has none: a hash and the record's number.
    #[must_use]
    pub fn of_record(&mut self, number: u64, text: &str) -> String {
        let fingerprint = match self {
            Self::Whole(fingerprint) => *fingerprint,
            Self::SoFar(hasher) => {
                hasher.update(text.as_bytes());
                Fingerprint::of(hasher)
            }
        };
        format!("{fingerprint}#{number}")
    }
}

impl Fingerprint {
    fn of(hasher: &blake3::Hasher) -> Self {
        let hash = hasher.finalize();
        Self(hash.as_bytes().first_chunk().copied().unwrap_or_default())
    }
}

impl fmt::Debug for Counted {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Counted").field("count", &self.count).finish_non_exhaustive()
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

/// Hashes the file from where it stands to its end.
fn fingerprint(file: &mut File, each: Option<&Pointer>) -> io::Result<Fingerprint> {
    file.seek(SeekFrom::Start(0))?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let count = match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        hasher.update(buffer.get(..count).unwrap_or_default());
    }
    if let Some(each) = each {
        hasher.update(each.as_str().as_bytes());
    }
    Ok(Fingerprint::of(&hasher))
}

fn open(path: &Path) -> Result<File, SourceError> {
    let open_error = |source| SourceError::Open { path: path.to_owned(), source };
    let file = File::open(path).map_err(open_error)?;
    if file.metadata().map_err(open_error)?.is_dir() {
        return Err(open_error(io::ErrorKind::IsADirectory.into()));
    }
    Ok(file)
}

/// Copies `input` to a temporary file whose name is gone when this returns.
fn spool(name: &str, input: &mut dyn Read) -> Result<File, SourceError> {
    let directory = std::env::temp_dir();
    let spool_error =
        |source| SourceError::Spool { name: name.to_owned(), directory: directory.clone(), source };
    let path = directory.join(format!("laterbase-import-{}-{:x}", std::process::id(), moment()));
    let mut file =
        File::options().read(true).write(true).create_new(true).open(&path).map_err(spool_error)?;
    // Where an open file cannot be removed, the system's cleaning of temporary files does it.
    let _ = std::fs::remove_file(&path);
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let count = match input.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(source) => return Err(SourceError::Read { name: name.to_owned(), source }),
        };
        file.write_all(buffer.get(..count).unwrap_or_default()).map_err(spool_error)?;
    }
    Ok(file)
}

/// Something that differs from one call to the next, for a file's name.
fn moment() -> u128 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_nanos())
}
