//! What folds keep in memory.

/// What each aggregate keeps in memory. A view keeps all of its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoldConfig {
    /// Streams whose states are kept after they were asked for; up to twice as many at times.
    pub streams_max: usize,
    /// Events of a stream whose places are kept, 32 bytes each; up to twice as many at times. An
    /// event that comes later than this is folded by way of the index.
    pub places_max: usize,
}

impl Default for FoldConfig {
    fn default() -> Self {
        Self { streams_max: 4096, places_max: 1024 }
    }
}

impl FoldConfig {
    /// For a device with little memory.
    #[must_use]
    pub fn small_device() -> Self {
        Self { streams_max: 64, places_max: 256 }
    }
}
