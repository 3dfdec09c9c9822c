//! The append buffers, and the newest part of the log in them.
//!
//! ```text
//!   free ──▶ open (front) ──▶ pending, in flight ──▶ settled ──▶ … ──▶ free
//!            not in the ring   └────────── in the ring ─────────┘
//! ```
//! Invariants: the chunks in the ring hold consecutive commits; a chunk leaves the ring only after
//! it was written, the oldest first; all memory together stays within the configured limit, but for
//! a commit that is larger than a chunk, whose buffer lives until it is written.
//!
//! A chunk that was written and is mostly empty is copied behind the one before it, so that single
//! small commits do not each hold a whole chunk. Readers copy out under a read lock and keep
//! nothing.

use crate::chunk::{Chunk, ChunkFrame, Placement};
use crate::number::CommitNumber;
use crate::storage::BLOCK_BYTES;
use laterbase_event::{Hlc, Position};
use std::collections::VecDeque;
use std::sync::Arc;

/// A settled chunk is copied behind another one if it fills at most this part of a chunk.
const COPY_PART: usize = 4;
/// Fewer chunks than this and the writer would wait for its own memory.
const CHUNKS_MIN: usize = 4;

/// The append buffers of one log.
#[derive(Debug)]
pub(crate) struct Ring {
    chunks: VecDeque<Arc<Chunk>>,
    /// So many chunks at the front were written.
    settled: usize,
    free: Vec<Arc<Chunk>>,
    chunk_bytes: usize,
    /// How many chunks may still be made.
    unmade: usize,
    /// The memory of chunks for commits larger than a chunk.
    large_bytes: usize,
    large_bytes_max: usize,
}

impl Ring {
    pub(crate) fn new(chunk_bytes: usize, ring_bytes: usize) -> Self {
        let count = (ring_bytes / chunk_bytes.max(1)).max(CHUNKS_MIN);
        Self {
            chunks: VecDeque::with_capacity(count + 1),
            settled: 0,
            free: Vec::with_capacity(count + 1),
            chunk_bytes,
            unmade: count,
            large_bytes: 0,
            large_bytes_max: ring_bytes,
        }
    }

    /// An empty chunk with room for `bytes`; `None` if all wait for the disk.
    pub(crate) fn take_empty(&mut self, bytes: usize, placement: Placement) -> Option<Arc<Chunk>> {
        if bytes > self.chunk_bytes {
            if self.large_bytes > 0 && self.large_bytes + bytes > self.large_bytes_max {
                return None;
            }
            let mut chunk = Chunk::with_capacity(bytes.max(self.large_from()));
            self.large_bytes += chunk.buffer.capacity();
            chunk.reset(placement);
            return Some(Arc::new(chunk));
        }
        if self.free.is_empty() && self.unmade == 0 {
            self.evict_oldest();
        }
        let mut chunk = match self.free.pop() {
            Some(chunk) => chunk,
            None => {
                self.unmade = self.unmade.checked_sub(1)?;
                Arc::new(Chunk::with_capacity(self.chunk_bytes))
            }
        };
        Arc::get_mut(&mut chunk)?.reset(placement);
        Some(chunk)
    }

    /// Shows a chunk to readers; it holds the commits that follow those of the ring.
    pub(crate) fn publish(&mut self, chunk: Arc<Chunk>) {
        self.chunks.push_back(chunk);
    }

    /// The oldest `count` chunks that were not settled yet have been written, and the writer has
    /// let go of them.
    pub(crate) fn settle(&mut self, count: usize) {
        for _ in 0..count {
            self.settle_one();
        }
    }

    /// Finds the frame that holds `position` and hands its bytes to `read`.
    pub(crate) fn with_frame_of<T>(
        &self,
        position: Position,
        read: impl FnOnce(&[u8]) -> T,
    ) -> Option<T> {
        let (chunk, index) = self.find(position)?;
        chunk.frame_bytes(index).map(read)
    }

    /// Where the frame of `position` is, if it is in memory.
    pub(crate) fn place_of(&self, position: Position) -> Option<ChunkFrame> {
        let (chunk, index) = self.find(position)?;
        chunk.frames.get(index).copied()
    }

    /// The last position that had arrived by then, if the ring knows.
    pub(crate) fn known_at(&self, arrival: Hlc) -> Option<Position> {
        let after = self.chunks.partition_point(|chunk| {
            chunk.frames.first().is_some_and(|frame| frame.arrival <= arrival)
        });
        let chunk = self.chunks.get(after.checked_sub(1)?)?;
        let after = chunk.frames.partition_point(|frame| frame.arrival <= arrival);
        let frame = chunk.frames.get(after.checked_sub(1)?)?;
        Some(Position::new(frame.next_position.as_u64().saturating_sub(1)))
    }

    /// Appends to `out` the frames from `commit` on, at least one if it is here and then as many as
    /// fit into `bytes_max`; returns how many.
    pub(crate) fn copy_frames(
        &self,
        commit: CommitNumber,
        bytes_max: usize,
        out: &mut Vec<u8>,
    ) -> usize {
        let mut copied = 0;
        let start = self
            .chunks
            .partition_point(|chunk| chunk.first_commit().is_some_and(|first| first <= commit));
        let Some(start) = start.checked_sub(1) else { return 0 };
        for chunk in self.chunks.iter().skip(start) {
            let first = chunk.frames.partition_point(|frame| frame.commit < commit);
            for index in first..chunk.frames.len() {
                let Some(bytes) = chunk.frame_bytes(index) else { return copied };
                if copied > 0 && out.len() + bytes.len() > bytes_max {
                    return copied;
                }
                out.extend_from_slice(bytes);
                copied += 1;
            }
        }
        copied
    }

    /// Appends to `out` the frames up to `last`, in rising order: at least that one if it is here,
    /// and as many before it as fit into `bytes_max`; returns the first one's commit.
    pub(crate) fn copy_frames_back(
        &self,
        last: CommitNumber,
        bytes_max: usize,
        out: &mut Vec<u8>,
    ) -> Option<CommitNumber> {
        let mut first = None;
        let mut bytes = 0;
        let frames = self.chunks.iter().rev().flat_map(|chunk| {
            let count = chunk.frames.partition_point(|frame| frame.commit <= last);
            (0..count).rev().filter_map(|index| {
                Some((chunk.frames.get(index)?.commit, chunk.frame_bytes(index)?.len()))
            })
        });
        for (commit, len) in frames {
            bytes += len;
            let is_last = commit == last;
            if !is_last && (first.is_none() || bytes > bytes_max) {
                break;
            }
            first = Some(commit);
        }
        let first = first?;
        for chunk in &self.chunks {
            for (index, frame) in chunk.frames.iter().enumerate() {
                if first <= frame.commit && frame.commit <= last {
                    out.extend_from_slice(chunk.frame_bytes(index)?);
                }
            }
        }
        Some(first)
    }

    /// The newest commit in memory.
    pub(crate) fn last_commit(&self) -> Option<CommitNumber> {
        self.chunks.back().and_then(|chunk| chunk.frames.last()).map(|frame| frame.commit)
    }

    /// The chunk and the index of the frame that holds `position`.
    fn find(&self, position: Position) -> Option<(&Chunk, usize)> {
        let after = self.chunks.partition_point(|chunk| {
            chunk.frames.first().is_some_and(|frame| frame.first_position <= position)
        });
        let chunk = self.chunks.get(after.checked_sub(1)?)?;
        let after = chunk.frames.partition_point(|frame| frame.first_position <= position);
        let index = after.checked_sub(1)?;
        let inside = chunk.frames.get(index).is_some_and(|f| position < f.next_position);
        inside.then_some((chunk, index))
    }

    /// Chunks of this capacity were made for one commit; the usual ones never have so much.
    const fn large_from(&self) -> usize {
        2 * self.chunk_bytes + 2 * BLOCK_BYTES
    }

    fn settle_one(&mut self) {
        let index = self.settled;
        let Some(chunk) = self.chunks.get(index) else { return };
        let len = chunk.frames_end;
        if chunk.buffer.capacity() >= self.large_from() {
            // Larger than the limit allows for long: forget it, and with it all that is older.
            self.settled = 0;
            let large_from = self.large_from();
            for chunk in self.chunks.drain(..=index) {
                let capacity = chunk.buffer.capacity();
                if capacity < large_from {
                    self.free.push(chunk);
                } else {
                    self.large_bytes = self.large_bytes.saturating_sub(capacity);
                }
            }
            return;
        }
        if len <= self.chunk_bytes / COPY_PART && self.copy_back(index) {
            if let Some(chunk) = self.chunks.remove(index) {
                self.free.push(chunk);
            }
            return;
        }
        self.settled += 1;
    }

    /// Copies the chunk at `index` behind the settled one before it; `false` if that cannot be.
    fn copy_back(&mut self, index: usize) -> bool {
        let Some(before) = index.checked_sub(1) else { return false };
        let Some(chunk) = self.chunks.get(index).map(Arc::clone) else { return false };
        let target = self.chunks.get_mut(before).and_then(Arc::get_mut);
        target.is_some_and(|target| target.absorb(&chunk))
    }

    fn evict_oldest(&mut self) {
        if self.settled > 0
            && let Some(chunk) = self.chunks.pop_front()
        {
            self.settled -= 1;
            self.free.push(chunk);
        }
    }
}
