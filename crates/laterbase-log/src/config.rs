//! What a host may set: sizes, memory limits and how eagerly segments are compressed.
//!
//! All memory that the log holds for long is bounded here. [`LogConfig::memory_bytes_max`] adds it
//! up. Nothing in here is part of the format: a log may be opened with another configuration than
//! the one it was written with.

/// How rolled segments are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sealing {
    /// Never: segments stay as they were written.
    Off,
    /// With zstd at this level, 1 (fast) to 19 (small). On JSON events level 9 is an eighth smaller
    /// than level 3, and takes seven times as long, 40 MB/s on one core: for a database that is not
    /// written at full speed for long.
    Zstd(i32),
}

/// The sizes and limits of one open log.
///
/// ```
/// use laterbase_log::LogConfig;
///
/// let config = LogConfig { segment_bytes: 16 << 20, ..LogConfig::default() };
/// assert!(LogConfig::small_device().memory_bytes_max() < config.memory_bytes_max());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// The size of a hot segment's file, in bytes; a multiple of 4 KiB, at least 64 KiB.
    ///
    /// It bounds what opening after a crash has to scan. A commit that is larger gets a segment of
    /// its own size.
    pub segment_bytes: u64,
    /// The size of one append buffer, in bytes; a multiple of 4 KiB, at least 8 KiB.
    ///
    /// A commit that is larger gets a buffer of its own for as long as it is being written.
    pub chunk_bytes: usize,
    /// The memory of all append buffers together, in bytes: what waits for the disk, and the newest
    /// part of the log, which is read from here. At least four chunks are used. Commits that are
    /// larger than a chunk may take as much again, and more if a single one does.
    pub ring_bytes: usize,
    /// The largest commit, header and batches together, in bytes.
    pub commit_bytes_max: usize,
    /// The memory of the read caches together, in bytes: batch directories, decompressed blocks,
    /// and the tables and dictionaries of segments. No dictionary is larger than a 32nd of it.
    pub cache_bytes: usize,
    /// How many bytes one read-ahead of a scan takes; a scan holds one such buffer.
    pub read_ahead_bytes: usize,
    /// Write groups past the page cache where the file system allows it.
    pub direct: bool,
    /// How rolled segments are compressed.
    pub sealing: Sealing,
    /// How many bytes of rolled segments stay as they were written, for fast reads; what is older
    /// is sealed by [`Maintenance`](crate::Maintenance).
    pub hot_bytes_max: u64,
    /// How many retired or zero-filled segment files are kept ready to be written.
    pub spares: usize,
    /// Open a log that has damage in it, and leave the damaged stretches out of every read, instead
    /// of failing with [`OpenError::Damaged`](crate::OpenError::Damaged).
    pub accept_damage: bool,
}

impl LogConfig {
    /// The configuration for a device with little memory and a small disk.
    #[must_use]
    pub fn small_device() -> Self {
        Self {
            segment_bytes: 4 << 20,
            chunk_bytes: 64 << 10,
            ring_bytes: 512 << 10,
            commit_bytes_max: 64 << 20,
            cache_bytes: 512 << 10,
            read_ahead_bytes: 64 << 10,
            direct: false,
            sealing: Sealing::Zstd(3),
            hot_bytes_max: 8 << 20,
            spares: 1,
            accept_damage: false,
        }
    }

    /// The memory that an open log holds for long at most, in bytes, without what grows with the
    /// number of logs and segments (about 120 bytes each), without the buffers of scans, and
    /// without the compressor, which takes 1 to 4 MiB while a segment is being sealed.
    #[must_use]
    pub fn memory_bytes_max(&self) -> usize {
        self.ring_bytes.max(4 * self.chunk_bytes) + self.cache_bytes
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            segment_bytes: 64 << 20,
            chunk_bytes: 1 << 20,
            ring_bytes: 8 << 20,
            commit_bytes_max: 256 << 20,
            cache_bytes: 48 << 20,
            read_ahead_bytes: 256 << 10,
            direct: true,
            sealing: Sealing::Zstd(3),
            hot_bytes_max: 4 << 30,
            spares: 2,
            accept_damage: false,
        }
    }
}
