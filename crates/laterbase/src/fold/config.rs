//! What folds keep in memory, and when they write what is kept on disk.

/// What each aggregate keeps in memory, a view keeping all of its rows; and how often rows are
/// written that are [kept](crate::Projection::kept).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoldConfig {
    /// Streams whose states are kept after they were asked for; up to twice as many at times.
    pub streams_max: usize,
    /// Events of these streams whose places are kept, 32 bytes each; up to twice as many at times.
    /// What lies further back in a stream that is longer by itself is read by way of the index.
    pub places_max: usize,
    /// Events of the log after which rows that are kept on disk are written again, if these are an
    /// eighth more than they were written with: so many are folded again after a crash.
    pub keep_every: u64,
}

impl Default for FoldConfig {
    fn default() -> Self {
        Self { streams_max: 4096, places_max: 1024 * 1024, keep_every: 100_000 }
    }
}

impl FoldConfig {
    /// For a device with little memory.
    #[must_use]
    pub fn small_device() -> Self {
        Self { streams_max: 64, places_max: 16 * 1024, keep_every: 10_000 }
    }
}
