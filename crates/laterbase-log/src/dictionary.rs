//! The dictionary of a sealed segment: what its blocks have in common, stored once.
//!
//! ```text
//!   hot segment   ┆ spot     ┆     spot ┆  spot    ┆ …      one spot in each equal part
//!                   └piece┘        └piece┘ └piece┘          zeroes between groups left out
//!   dictionary      piece │ piece │ piece │ …               at most a 16th of the stream
//! ```
//! A block of 16 KiB is too short to learn from; with a dictionary it begins with what the segment
//! repeats. The dictionary is raw content, pieces of the stream, and not trained: on the events of
//! `laterbase sample` training gains one part in a hundred, for half a second of a core and for
//! memory in which the samples stand.
//!
//! Cost: 32 small reads, and a few blocks compressed twice to see whether it pays. Where in its
//! part a spot stands differs from part to part, or batches of equal length would all be sampled
//! at the same place.

use crate::blocks::RAW_BYTES;
use crate::segment::Segment;
use crate::segment_header::BLOCK_BYTES;
use crate::storage::StorageError;
use std::sync::Arc;
use zstd::zstd_safe::{CCtx, DDict, ErrorCode, compress_bound};

/// No dictionary is longer.
pub(crate) const DICTIONARY_BYTES_MAX: usize = 64 << 10;
/// What a prepared dictionary takes beside its content.
const PREPARED_BYTES: usize = 28 << 10;
const PIECE_BYTES: usize = 2 << 10;
const SPOT_BYTES: usize = 32 << 10;
/// The dictionary is at most this part of the stream.
const STREAM_PART: u64 = 16;
/// It must save so many times what it takes.
const GAIN: u64 = 2;
/// Every which spot also gives a block to try the dictionary on.
const TRIAL_STEP: usize = 8;
/// What a trained dictionary begins with; raw content must not.
const TRAINED_MAGIC: [u8; 4] = 0xec30_a437_u32.to_le_bytes();
/// A longer run of zeroes is padding.
const PADDING_BYTES: usize = 16;

/// A dictionary, ready to decompress with.
#[derive(Clone)]
pub(crate) struct Dictionary(Arc<DDict<'static>>);

impl Dictionary {
    /// Prepares the content; `None` if it is none.
    pub(crate) fn prepare(content: &[u8]) -> Option<Self> {
        if content.starts_with(&TRAINED_MAGIC) {
            return None;
        }
        let dictionary = Self(Arc::new(DDict::try_create(content)?));
        debug_assert!(dictionary.0.sizeof() <= Self::memory_bytes(content.len()));
        Some(dictionary)
    }

    /// The memory that a prepared dictionary of this length takes.
    pub(crate) const fn memory_bytes(content_len: usize) -> usize {
        content_len + PREPARED_BYTES
    }

    pub(crate) fn get(&self) -> &DDict<'static> {
        &self.0
    }
}

impl std::fmt::Debug for Dictionary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dictionary").finish_non_exhaustive()
    }
}

/// The bytes of a dictionary, as they are and compressed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) bytes: Vec<u8>,
    pub(crate) compressed: Vec<u8>,
}

/// What was read of a segment to make its dictionary.
#[derive(Debug, Default)]
pub(crate) struct Sample {
    content: Vec<u8>,
    trials: Vec<Vec<u8>>,
    stream_bytes: u64,
}

impl Sample {
    /// Reads a complete hot segment whose frames end at `end`, for a dictionary that is not longer
    /// than `bytes_max`.
    pub(crate) fn read(
        segment: &Segment,
        end: u64,
        bytes_max: usize,
    ) -> Result<Self, StorageError> {
        let len = end.saturating_sub(BLOCK_BYTES);
        let most = bytes_max.min(DICTIONARY_BYTES_MAX) / PIECE_BYTES;
        let count = usize::try_from(len / SPOT_BYTES as u64).map_or(most, |spots| spots.min(most));
        if count == 0 {
            return Ok(Self::default());
        }
        let part = len / count as u64;
        let mut pieces: Vec<Vec<u8>> = Vec::with_capacity(count);
        let mut trials = Vec::new();
        let mut spot = vec![0; SPOT_BYTES];
        let mut kept = 0;
        for index in 0..count {
            let shift = scatter(index as u64) % (part - SPOT_BYTES as u64 + 1);
            let offset = BLOCK_BYTES + part * index as u64 + shift;
            let read = segment.file.read_at(offset, &mut spot)?;
            let mut bytes = without_padding(spot.get(..read).unwrap_or_default());
            kept += bytes.len() as u64;
            let rest = bytes.split_off(bytes.len().min(PIECE_BYTES));
            if index % TRIAL_STEP == 0 {
                trials.push(rest.get(..RAW_BYTES).unwrap_or(&rest).to_vec());
            }
            pieces.push(bytes);
        }
        let stream_bytes = len / (count * SPOT_BYTES) as u64 * kept;
        let piece_bytes = usize::try_from(stream_bytes / STREAM_PART).unwrap_or(usize::MAX) / count;
        let mut content = Vec::with_capacity(count * PIECE_BYTES);
        for piece in &pieces {
            content.extend_from_slice(piece.get(..piece_bytes).unwrap_or(piece));
        }
        Ok(Self { content, trials, stream_bytes })
    }

    /// Gives the context the dictionary if it pays, and answers with it.
    pub(crate) fn load(self, context: &mut CCtx<'static>) -> Result<Option<Content>, ErrorCode> {
        let Self { content, trials, stream_bytes } = self;
        if content.is_empty() || content.starts_with(&TRAINED_MAGIC) {
            return Ok(None);
        }
        let compressed = compress(context, &content)?;
        let without = compress_all(context, &trials)?;
        context.load_dictionary(&content)?;
        let with = compress_all(context, &trials)?;
        let tried: u64 = trials.iter().map(|trial| trial.len() as u64).sum();
        let saved = without.saturating_sub(with).saturating_mul(stream_bytes);
        if saved > GAIN * compressed.len() as u64 * tried {
            return Ok(Some(Content { bytes: content, compressed }));
        }
        context.disable_dictionary()?;
        Ok(None)
    }
}

fn compress(context: &mut CCtx<'static>, bytes: &[u8]) -> Result<Vec<u8>, ErrorCode> {
    let mut out = Vec::with_capacity(compress_bound(bytes.len()));
    context.compress2(&mut out, bytes)?;
    Ok(out)
}

fn compress_all(context: &mut CCtx<'static>, blocks: &[Vec<u8>]) -> Result<u64, ErrorCode> {
    blocks.iter().map(|block| Ok(compress(context, block)?.len() as u64)).sum()
}

fn without_padding(bytes: &[u8]) -> Vec<u8> {
    let chunks = bytes.chunks(PADDING_BYTES).filter(|chunk| chunk.iter().any(|byte| *byte != 0));
    chunks.flatten().copied().collect()
}

/// Another large number for each index.
const fn scatter(index: u64) -> u64 {
    index.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn prepared_dictionary_takes_no_more_memory_than_is_counted() {
        for len in [0, 1, 8, 4096, DICTIONARY_BYTES_MAX] {
            let dictionary = Dictionary::prepare(&vec![7; len]).expect("content");
            assert!(dictionary.get().sizeof() <= Dictionary::memory_bytes(len), "{len}");
        }
    }

    #[test]
    fn content_that_looks_trained_is_refused() {
        let mut content = TRAINED_MAGIC.to_vec();
        content.resize(4096, 1);
        assert!(Dictionary::prepare(&content).is_none());
        let trials = vec![content.clone()];
        let sample = Sample { content, trials, stream_bytes: 1 << 20 };
        assert_eq!(sample.load(&mut CCtx::create()), Ok(None));
    }

    #[test]
    fn dictionary_of_what_never_repeats_does_not_pay() {
        let noise = |seed: u64| -> Vec<u8> {
            (0..RAW_BYTES as u64).map(|i| (scatter(i ^ seed) ^ scatter(seed * i)) as u8).collect()
        };
        let text = b"{\"temperature\":21.5,\"device\":\"scanner-0327\"}".repeat(40);
        let repeats = Sample { content: text.clone(), trials: vec![text], stream_bytes: 1 << 20 };
        assert!(repeats.load(&mut CCtx::create()).expect("compresses").is_some());
        let content = noise(1)[..4096].to_vec();
        let never = Sample { content, trials: vec![noise(77)], stream_bytes: 1 << 20 };
        assert_eq!(never.load(&mut CCtx::create()), Ok(None));
    }

    proptest! {
        #[test]
        fn padding_is_left_out_and_nothing_else(lens in prop::collection::vec(1_usize..40, 1..9)) {
            let mut bytes = Vec::new();
            let mut expected = Vec::new();
            for len in lens {
                let content = vec![1; len * PADDING_BYTES];
                bytes.extend_from_slice(&content);
                expected.extend_from_slice(&content);
                bytes.resize(bytes.len().next_multiple_of(4096), 0);
            }
            prop_assert_eq!(without_padding(&bytes), expected);
        }
    }
}
