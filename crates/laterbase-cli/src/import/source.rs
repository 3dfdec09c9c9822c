//! Where records come from: a file or standard input, with its fingerprint and its progress.
//!
//! The fingerprint is the hash of the whole file, so a file is read twice: once to hash it, once
//! to import it. What cannot be read twice (standard input, a pipe) is first copied to a
//! temporary file that has no name by the time it is read.

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
    fingerprint: Fingerprint,
    bytes: u64,
    reader: BufReader<Counted>,
}

/// A file that tells how far it has been read.
#[derive(Debug)]
struct Counted {
    file: File,
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
    /// that says nothing, the first bytes. What is read is added to `count`.
    ///
    /// # Errors
    /// What the system says when opening, reading or copying.
    pub fn open(
        path: &Path,
        format: Option<Format>,
        each: Option<&Pointer>,
        count: &Arc<AtomicU64>,
    ) -> Result<Self, SourceError> {
        let stdin = path == Path::new("-");
        let name = if stdin { "standard input".to_owned() } else { path.display().to_string() };
        let read_error = |source| SourceError::Read { name: name.clone(), source };
        let mut file = if stdin {
            spool(&name, &mut io::stdin().lock())?
        } else {
            let open_error = |source| SourceError::Open { path: path.to_owned(), source };
            let mut file = File::open(path).map_err(open_error)?;
            let kind = file.metadata().map_err(read_error)?;
            if kind.is_dir() {
                return Err(open_error(io::ErrorKind::IsADirectory.into()));
            }
            if kind.is_file() { file } else { spool(&name, &mut file)? }
        };
        let (fingerprint, bytes) = fingerprint(&mut file, each).map_err(read_error)?;
        file.seek(SeekFrom::Start(0)).map_err(read_error)?;
        let mut reader =
            BufReader::with_capacity(BUFFER_BYTES, Counted { file, count: Arc::clone(count) });
        let format = match format.or_else(|| Format::of_name(path)) {
            Some(format) => format,
            None => Format::of_bytes(reader.fill_buf().map_err(read_error)?),
        };
        Ok(Self { name, format, fingerprint, bytes, reader })
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

    /// Its hash.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// Its length.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The bytes, from the beginning.
    pub fn reader(&mut self) -> &mut dyn BufRead {
        &mut self.reader
    }
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.count.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

impl Fingerprint {
    /// The idempotency key of a file's record: the fingerprint and the record's number.
    #[must_use]
    pub fn record_key(&self, number: u64) -> String {
        format!("{self}#{number}")
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

/// Hashes the file from where it stands to its end.
fn fingerprint(file: &mut File, each: Option<&Pointer>) -> io::Result<(Fingerprint, u64)> {
    file.seek(SeekFrom::Start(0))?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut bytes = 0_u64;
    loop {
        let count = match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        hasher.update(buffer.get(..count).unwrap_or_default());
        bytes = bytes.saturating_add(count as u64);
    }
    if let Some(each) = each {
        hasher.update(each.as_str().as_bytes());
    }
    let mut first = [0; 16];
    first.copy_from_slice(hasher.finalize().as_bytes().first_chunk::<16>().unwrap_or(&[0; 16]));
    Ok((Fingerprint(first), bytes))
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
