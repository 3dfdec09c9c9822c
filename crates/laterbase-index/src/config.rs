//! How much memory an index may use, and when it merges.

/// Limits of an index, and whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexConfig {
    /// Memory for entries that are in no run yet, in bytes; a run is begun at half of it.
    /// Entries whose positions are not flushed stay in memory whatever this says: see
    /// [`IndexWriter::is_full`](crate::IndexWriter::is_full).
    pub memtable_bytes: usize,
    /// Memory for decoded blocks of runs, shared by all snapshots, in bytes.
    pub cache_bytes: usize,
    /// Memory for the buffers of a merge of runs, in bytes.
    pub merge_bytes: usize,
    /// How many runs of about one size are merged into one; from 2 to 64.
    pub fan_out: usize,
    /// Whose index this is: any 16 bytes, such as a hash of the database's and the replica's id.
    /// An index with another owner's positions is refused.
    pub owner: [u8; 16],
}

impl Default for IndexConfig {
    fn default() -> Self {
        Self {
            memtable_bytes: 8 << 20,
            cache_bytes: 16 << 20,
            merge_bytes: 2 << 20,
            fan_out: 8,
            owner: [0; 16],
        }
    }
}

impl IndexConfig {
    /// Limits for a device with little memory: about 3 MiB in total, and about 100 bytes for each
    /// 2,048 entries in runs.
    #[must_use]
    pub fn small_device() -> Self {
        Self {
            memtable_bytes: 1 << 20,
            cache_bytes: 1 << 20,
            merge_bytes: 256 << 10,
            ..Self::default()
        }
    }

    /// The same for another owner.
    #[must_use]
    pub fn with_owner(self, owner: [u8; 16]) -> Self {
        Self { owner, ..self }
    }

    pub(crate) fn fan_out(&self) -> usize {
        self.fan_out.clamp(2, 64)
    }
}
