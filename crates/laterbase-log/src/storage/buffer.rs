//! Byte buffers whose address suits direct I/O, without `unsafe`: over-allocated by one block, and
//! used from the first aligned byte on.
//!
//! Invariant: `bytes[start..]` is the content, `start` is chosen when memory is allocated so that
//! the content begins at a multiple of [`BLOCK_BYTES`], and the memory is never moved by `Vec`
//! itself, because it is never asked for more than it has.

use super::error::{StorageError, StorageOp};
use std::fmt;
use std::io;
use std::ops::{Deref, DerefMut};

/// What direct I/O is aligned to: the largest block of a usual disk, 4 KiB.
pub const BLOCK_BYTES: usize = 4096;

/// A growable byte buffer that begins at a multiple of [`BLOCK_BYTES`]; clearing keeps its memory.
///
/// ```
/// use laterbase_log::storage::{AlignedBuffer, BLOCK_BYTES};
///
/// let mut buffer = AlignedBuffer::with_capacity(2 * BLOCK_BYTES);
/// buffer.extend_from_slice(b"frame");
/// buffer.pad_to(BLOCK_BYTES);
/// assert_eq!(buffer.len(), BLOCK_BYTES);
/// assert_eq!(buffer.as_ptr().addr() % BLOCK_BYTES, 0);
/// ```
#[derive(Default)]
pub struct AlignedBuffer {
    bytes: Vec<u8>,
    start: usize,
}

impl AlignedBuffer {
    /// An empty buffer without memory.
    #[must_use]
    pub const fn new() -> Self {
        Self { bytes: Vec::new(), start: 0 }
    }

    /// An empty buffer with room for `capacity` bytes.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        let mut bytes: Vec<u8> = Vec::with_capacity(capacity + BLOCK_BYTES);
        let misaligned_by = bytes.as_ptr().addr() % BLOCK_BYTES;
        let start = if misaligned_by == 0 { 0 } else { BLOCK_BYTES - misaligned_by };
        bytes.resize(start, 0);
        Self { bytes, start }
    }

    /// How many bytes fit before memory is allocated.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.bytes.capacity() - self.start
    }

    /// Forgets the content and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.truncate(self.start);
    }

    /// Shortens the content to `len` bytes; does nothing if it is not longer.
    pub fn truncate(&mut self, len: usize) {
        self.bytes.truncate(self.start + len);
    }

    /// Makes room for `additional` more bytes.
    pub fn reserve(&mut self, additional: usize) {
        if self.bytes.capacity() - self.bytes.len() >= additional {
            return;
        }
        let needed = self.len() + additional;
        let mut grown = Self::with_capacity(needed.max(2 * self.capacity()));
        grown.bytes.extend_from_slice(self);
        *self = grown;
    }

    /// Appends `bytes`.
    pub fn extend_from_slice(&mut self, bytes: &[u8]) {
        self.reserve(bytes.len());
        self.bytes.extend_from_slice(bytes);
    }

    /// Sets the length; new bytes are zero.
    pub fn resize(&mut self, len: usize) {
        self.reserve(len.saturating_sub(self.len()));
        self.bytes.resize(self.start + len, 0);
    }

    /// Appends zeroes until the length is a multiple of `block_bytes`.
    pub fn pad_to(&mut self, block_bytes: usize) {
        self.resize(self.len().next_multiple_of(block_bytes));
    }
}

impl Deref for AlignedBuffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }
}

impl DerefMut for AlignedBuffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.start..).unwrap_or_default()
    }
}

impl fmt::Debug for AlignedBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AlignedBuffer")
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .finish()
    }
}

/// Refuses a request that direct I/O on blocks of `block_bytes` cannot serve.
pub(super) fn check_alignment(
    op: StorageOp,
    path: &str,
    offset: u64,
    bytes: &[u8],
    block_bytes: usize,
) -> Result<(), StorageError> {
    let aligned = offset.is_multiple_of(block_bytes as u64)
        && bytes.len().is_multiple_of(block_bytes)
        && bytes.as_ptr().addr().is_multiple_of(block_bytes);
    if aligned {
        return Ok(());
    }
    let reason = format!(
        "direct I/O needs an offset, a length and a buffer aligned to {block_bytes} bytes, got \
         offset {offset} and {} bytes at {:p}",
        bytes.len(),
        bytes.as_ptr()
    );
    Err(StorageError::new(op, path, io::Error::new(io::ErrorKind::InvalidInput, reason)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_aligned(buffer: &AlignedBuffer) -> bool {
        buffer.as_ptr().addr().is_multiple_of(BLOCK_BYTES)
    }

    #[test]
    fn buffer_stays_aligned_and_keeps_its_content_while_growing() {
        let mut buffer = AlignedBuffer::new();
        let mut model = Vec::new();
        for round in 0..2_000_u32 {
            let bytes = round.to_le_bytes();
            buffer.extend_from_slice(&bytes);
            model.extend_from_slice(&bytes);
            assert!(is_aligned(&buffer));
        }
        assert_eq!(&*buffer, &*model);
    }

    #[test]
    fn clearing_keeps_memory_and_alignment() {
        let mut buffer = AlignedBuffer::with_capacity(10_000);
        buffer.extend_from_slice(&[1; 10_000]);
        let (address, capacity) = (buffer.as_ptr().addr(), buffer.capacity());
        buffer.clear();
        assert!(buffer.is_empty());
        buffer.resize(10_000);
        assert_eq!((buffer.as_ptr().addr(), buffer.capacity()), (address, capacity));
        assert!(buffer.iter().all(|byte| *byte == 0), "resizing shows zeroes, not old bytes");
    }

    #[test]
    fn padding_fills_the_block_with_zeroes_and_leaves_a_full_one() {
        let mut buffer = AlignedBuffer::new();
        buffer.extend_from_slice(&[7; 3]);
        buffer.pad_to(8);
        assert_eq!(&*buffer, [7, 7, 7, 0, 0, 0, 0, 0]);
        buffer.pad_to(8);
        assert_eq!(buffer.len(), 8);
    }
}
