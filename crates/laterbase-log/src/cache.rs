//! What readers keep in memory: batch directories, decompressed blocks, and segments' tables with
//! their dictionaries, each within its part of the configured budget.
//!
//! Everything in here is derived and may be dropped at any time. Values are shared out, so that no
//! lock is held while one is used.

use crate::clock_cache::ClockCache;
use crate::number::SegmentNumber;
use crate::segment::Segment;
use laterbase_event::{BatchDirectory, Hlc, Position};
use std::collections::VecDeque;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// How many parts a cache has, each with a lock of its own.
const SHARDS: usize = 8;
/// Positions of this many consecutive batches' worth go to the same shard.
const SHARD_SHIFT: u32 = 16;

/// A batch whose front was read: any event of it takes two small reads from here.
#[derive(Debug)]
pub(crate) struct CachedBatch {
    pub(crate) segment: SegmentNumber,
    /// Tells the hot form of a segment from the sealed one, whose offsets are others.
    pub(crate) epoch: u64,
    /// Where its frame starts in the segment's stream.
    pub(crate) frame: u64,
    /// The frame in the file was compared with its checksum.
    pub(crate) is_checked: AtomicBool,
    /// Where the batch's bytes start in the segment's stream.
    pub(crate) offset: u64,
    pub(crate) arrival: Hlc,
    pub(crate) first_position: Position,
    pub(crate) event_count: u32,
    pub(crate) directory: BatchDirectory,
}

/// A decompressed block.
pub(crate) type Block = Arc<Vec<u8>>;

type Sharded<K, V> = [Mutex<ClockCache<K, V>>; SHARDS];

/// All read caches of one log.
pub(crate) struct ReadCache {
    batches: Sharded<Position, Arc<CachedBatch>>,
    blocks: Sharded<(SegmentNumber, u64), Block>,
    indexes: Mutex<Indexes>,
}

#[derive(Debug, Default)]
struct Indexes {
    loaded: VecDeque<(Weak<Segment>, usize)>,
    bytes: usize,
    bytes_max: usize,
}

impl ReadCache {
    pub(crate) fn new(bytes_max: usize) -> Self {
        let sharded = bytes_max * 3 / 8 / SHARDS;
        Self {
            batches: std::array::from_fn(|_| Mutex::new(ClockCache::new(sharded))),
            blocks: std::array::from_fn(|_| Mutex::new(ClockCache::new(sharded))),
            indexes: Mutex::new(Indexes { bytes_max: bytes_max / 4, ..Indexes::default() }),
        }
    }

    /// The batch that holds this position, if its front is known.
    pub(crate) fn batch(&self, position: Position) -> Option<Arc<CachedBatch>> {
        let shard = self.batches.get(position_shard(position))?;
        let batch = lock(shard).get_at_or_before(&position)?;
        let index = position.as_u64() - batch.first_position.as_u64();
        (index < u64::from(batch.event_count)).then_some(batch)
    }

    /// Keeps a batch for the position that it was found by.
    pub(crate) fn add_batch(&self, found_by: Position, batch: &Arc<CachedBatch>) {
        // A batch that spans shards is kept in the one where it was asked for, under the first of
        // its positions there.
        let shard_start = found_by.as_u64() >> SHARD_SHIFT << SHARD_SHIFT;
        let key = Position::new(batch.first_position.as_u64().max(shard_start));
        if let Some(shard) = self.batches.get(position_shard(found_by)) {
            let bytes = size_of::<CachedBatch>() + batch.directory.memory_bytes();
            lock(shard).insert(key, Arc::clone(batch), bytes);
        }
    }

    pub(crate) fn block(&self, segment: SegmentNumber, block: u64) -> Option<Block> {
        lock(self.blocks.get(block_shard(block))?).get(&(segment, block))
    }

    pub(crate) fn add_block(&self, segment: SegmentNumber, block: u64, content: &Block) {
        if let Some(shard) = self.blocks.get(block_shard(block)) {
            lock(shard).insert((segment, block), Arc::clone(content), content.capacity());
        }
    }

    /// A segment's index was loaded: others give way if need be.
    pub(crate) fn note_index(&self, segment: &Arc<Segment>, bytes: usize) {
        let mut indexes = lock(&self.indexes);
        indexes.loaded.push_back((Arc::downgrade(segment), bytes));
        indexes.bytes += bytes;
        // Twice around at most: the first time all may have been used.
        let mut tries = 2 * indexes.loaded.len();
        while indexes.bytes > indexes.bytes_max && tries > 0 {
            tries -= 1;
            let Some((oldest, bytes)) = indexes.loaded.pop_front() else { return };
            let gone = oldest.upgrade().is_none_or(|segment| segment.drop_index_unless_used());
            if gone {
                indexes.bytes -= bytes;
            } else {
                indexes.loaded.push_back((oldest, bytes));
            }
        }
    }
}

impl std::fmt::Debug for ReadCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReadCache").finish_non_exhaustive()
    }
}

fn position_shard(position: Position) -> usize {
    usize::try_from((position.as_u64() >> SHARD_SHIFT) % SHARDS as u64).unwrap_or(0)
}

fn block_shard(block: u64) -> usize {
    usize::try_from(block % SHARDS as u64).unwrap_or(0)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
