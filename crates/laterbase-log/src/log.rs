//! Creating and opening a log: the parts it falls into, for a host to lock apart.

use crate::config::LogConfig;
use crate::error::OpenError;
use crate::front::LogFront;
use crate::maintenance::Maintenance;
use crate::reader::LogReader;
use crate::recovery::{self, Opened, Recovery};
use crate::segment_header::{BLOCK_BYTES, Epochs};
use crate::shared::Shared;
use crate::storage::Storage;
use crate::writer::LogWriter;
use laterbase_event::DatabaseId;
use std::sync::Arc;

/// An open log, in the parts that a host may lock apart. See the crate's documentation.
#[derive(Debug)]
pub struct Log {
    /// Takes commits into memory.
    pub front: LogFront,
    /// Writes them.
    pub writer: LogWriter,
    /// Reads them.
    pub reader: LogReader,
    /// Keeps the files small and ready.
    pub maintenance: Maintenance,
    /// What opening found.
    pub recovery: Recovery,
}

impl Log {
    /// Creates an empty log in the directory `dir` of the storage, which may exist and then must
    /// not hold a log.
    ///
    /// `entropy` must be random: segments' epochs are drawn from it. When this returns, the empty
    /// log survives a power cut.
    ///
    /// # Errors
    /// [`OpenError::Exists`], [`OpenError::BadConfig`], or the storage's reason.
    pub fn create(
        storage: Arc<dyn Storage>,
        dir: &str,
        database: DatabaseId,
        config: LogConfig,
        entropy: u64,
    ) -> Result<Self, OpenError> {
        check_config(&config)?;
        let shared = Arc::new(Shared::new(storage, dir, database, config));
        let epochs = Epochs::new(entropy);
        let opened = recovery::create(&shared, epochs)?;
        Self::assemble(shared, epochs, opened)
    }

    /// Opens the log in the directory `dir` of the storage.
    ///
    /// Only what has no footer is scanned: usually one segment. When this returns, everything that
    /// can be read is durable. No other process may write the log at the same time: the host locks.
    ///
    /// `entropy` must be random, and new each time.
    ///
    /// # Errors
    /// [`OpenError::Damaged`] if something durable was lost, unless the configuration accepts it;
    /// nothing was changed then. Otherwise see each variant.
    pub fn open(
        storage: Arc<dyn Storage>,
        dir: &str,
        database: DatabaseId,
        config: LogConfig,
        entropy: u64,
    ) -> Result<Self, OpenError> {
        check_config(&config)?;
        let shared = Arc::new(Shared::new(storage, dir, database, config));
        let epochs = Epochs::new(entropy);
        let opened = recovery::open(&shared, epochs)?;
        Self::assemble(shared, epochs, opened)
    }

    fn assemble(shared: Arc<Shared>, epochs: Epochs, opened: Opened) -> Result<Self, OpenError> {
        let Opened { active, filled, state, recovery } = opened;
        let end = active.end();
        let (number, epoch) = (active.number(), active.header.epoch);
        let writer = LogWriter::new(Arc::clone(&shared), epochs, active, filled)?;
        let front = LogFront::new(Arc::clone(&shared), epochs, number, epoch, end, state);
        let reader = LogReader::new(Arc::clone(&shared));
        let maintenance = Maintenance::new(shared, epochs);
        Ok(Self { front, writer, reader, maintenance, recovery })
    }
}

fn check_config(config: &LogConfig) -> Result<(), OpenError> {
    let blocks = |bytes: u64| bytes > 0 && bytes.is_multiple_of(BLOCK_BYTES);
    let rules = [
        (
            blocks(config.segment_bytes) && config.segment_bytes >= 16 * BLOCK_BYTES,
            "segment_bytes must be a multiple of 4096 and at least 65536",
        ),
        (
            blocks(config.chunk_bytes as u64) && config.chunk_bytes as u64 >= 2 * BLOCK_BYTES,
            "chunk_bytes must be a multiple of 4096 and at least 8192",
        ),
        (config.commit_bytes_max > 0, "commit_bytes_max must not be 0"),
        (config.read_ahead_bytes >= 4096, "read_ahead_bytes must be at least 4096"),
    ];
    for (holds, what) in rules {
        if !holds {
            return Err(OpenError::BadConfig { what });
        }
    }
    Ok(())
}
