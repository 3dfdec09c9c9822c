//! What folds keep in memory.

/// What each aggregate keeps in memory. A view keeps all of its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoldConfig {
    /// Streams whose states are kept after they were asked for; up to twice as many at times.
    pub streams_max: usize,
    /// Events of these streams whose places are kept, 32 bytes each; up to twice as many at times.
    /// What lies further back in a stream that is longer by itself is read by way of the index.
    pub places_max: usize,
}

impl Default for FoldConfig {
    fn default() -> Self {
        Self { streams_max: 4096, places_max: 1024 * 1024 }
    }
}

impl FoldConfig {
    /// For a device with little memory.
    #[must_use]
    pub fn small_device() -> Self {
        Self { streams_max: 64, places_max: 16 * 1024 }
    }
}
