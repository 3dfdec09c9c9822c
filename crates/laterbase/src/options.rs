//! How a database is opened: durability, limits, memory.

use laterbase_index::IndexConfig;
use laterbase_log::LogConfig;

use crate::fold::{FoldConfig, Upcasters};
use crate::progress::Durability;
use crate::validator::Validators;

/// Options of [`Database::open`](crate::Database::open) and its siblings.
///
/// The default suits a server or a workstation; [`Options::small_device`] keeps a process within
/// 16 MiB of resident memory.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// What commits promise unless they say otherwise.
    pub durability: Durability,
    /// How long a buffered append may wait for its flush, in milliseconds.
    pub flush_interval_ms: u64,
    /// How far ahead of the wall clock a time may be and still be believed, in milliseconds.
    pub max_drift_ms: u64,
    /// Largest payload of one event, in bytes; at most
    /// [`Limits::PAYLOAD_BYTES_MAX`](laterbase_event::Limits).
    pub payload_bytes_max: usize,
    /// Index entries that may wait to be sorted before appends help with it.
    pub pending_entries_max: usize,
    /// Look at every event before it is recorded.
    pub validators: Validators,
    /// Bring old events up to today's versions before they are folded.
    pub upcasters: Upcasters,
    /// What folds keep in memory.
    pub folds: FoldConfig,
    /// Run the background threads. Without them nothing happens in the background: appends are
    /// written by whoever waits for them, and [`Database::step`](crate::Database::step) does the
    /// rest.
    pub threads: bool,
    /// Segments, buffers and caches of the log.
    pub log: LogConfig,
    /// Memtables, runs and caches of the indexes. While runs cannot be written, up to four
    /// memtables are held in memory; then appends fail with
    /// [`AppendError::IndexesFull`](crate::AppendError::IndexesFull).
    pub index: IndexConfig,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            durability: Durability::Flushed,
            flush_interval_ms: 50,
            max_drift_ms: 5 * 60 * 1000,
            payload_bytes_max: 16 * 1024 * 1024,
            pending_entries_max: 128 * 1024,
            validators: Validators::default(),
            upcasters: Upcasters::default(),
            folds: FoldConfig::default(),
            threads: true,
            log: LogConfig::default(),
            index: IndexConfig::default(),
        }
    }
}

impl Options {
    /// For a device with little memory: the process stays within 16 MiB of resident memory, with
    /// payloads of at most 1 MiB.
    #[must_use]
    pub fn small_device() -> Self {
        Self {
            payload_bytes_max: 1024 * 1024,
            pending_entries_max: 8 * 1024,
            folds: FoldConfig::small_device(),
            log: LogConfig::small_device(),
            index: IndexConfig::small_device(),
            ..Self::default()
        }
    }

    /// With upcasters.
    #[must_use]
    pub fn upcasters(mut self, upcasters: Upcasters) -> Self {
        self.upcasters = upcasters;
        self
    }

    /// With validators.
    #[must_use]
    pub fn validators(mut self, validators: Validators) -> Self {
        self.validators = validators;
        self
    }
}
