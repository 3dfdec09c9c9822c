//! Numbers of any width, one behind the other, lowest bit first.
//!
//! Reading needs eight bytes of anything behind the last bit, so that every number is one load; the
//! caller pads its buffer instead of the file.

/// Writes numbers of 0 to 64 bits into a buffer.
///
/// Whole words are stored at every byte that is complete, so that no branch depends on where in a
/// byte a number ends.
#[derive(Debug)]
pub(crate) struct BitWriter<'a> {
    out: &'a mut [u8],
    /// Where the next store goes.
    byte: usize,
    /// Bits that are not yet stored for good; those above `filled` are zero.
    pending: u64,
    /// How many, below 8.
    filled: u32,
}

impl<'a> BitWriter<'a> {
    /// A writer into `out`, which has [`PAD_BYTES`] more than will be written.
    pub(crate) const fn new(out: &'a mut [u8]) -> Self {
        Self { out, byte: 0, pending: 0, filled: 0 }
    }

    /// Writes the lowest `width` bits of `value`, which has no others.
    #[inline]
    pub(crate) fn put(&mut self, value: u64, width: u32) {
        debug_assert!(width <= 64 && (width == 64 || value >> width == 0), "{value} in {width}");
        if width <= BitReader::SHORT {
            self.put_short(value, width);
        } else {
            self.put_short(value & 0xffff_ffff, 32);
            self.put_short(value >> 32, width - 32);
        }
    }

    #[inline]
    fn put_short(&mut self, value: u64, width: u32) {
        self.pending |= value << self.filled;
        self.filled += width;
        if let Some(word) = self.out.get_mut(self.byte..).and_then(|out| out.first_chunk_mut()) {
            *word = self.pending.to_le_bytes();
        }
        let complete = self.filled & !7;
        self.byte += (complete / 8) as usize;
        self.pending = self.pending.checked_shr(complete).unwrap_or(0);
        self.filled &= 7;
    }

    /// How many bytes were written, the last one filled up with zeroes.
    pub(crate) const fn finish(self) -> usize {
        self.byte + self.filled.div_ceil(8) as usize
    }
}

/// What [`BitReader::new`] wants behind the last bit, in bytes.
pub(crate) const PAD_BYTES: usize = 8;

/// Reads numbers of 0 to 64 bits.
#[derive(Debug)]
pub(crate) struct BitReader<'a> {
    padded: &'a [u8],
    bit: usize,
    /// Bits beyond this one are padding.
    end: usize,
}

impl<'a> BitReader<'a> {
    /// A reader of `padded` without its last [`PAD_BYTES`].
    pub(crate) const fn new(padded: &'a [u8]) -> Self {
        Self { padded, bit: 0, end: padded.len().saturating_sub(PAD_BYTES) * 8 }
    }

    /// The next `width` bits, or anything once [`Self::overran`].
    #[inline]
    pub(crate) fn take(&mut self, width: u32) -> u64 {
        if width <= Self::SHORT {
            return self.take_short(width);
        }
        let low = self.take_short(32);
        low | (self.take_short(width - 32) << 32)
    }

    /// The same for at most [`Self::SHORT`] bits: one load.
    #[inline]
    pub(crate) fn take_short(&mut self, width: u32) -> u64 {
        let bits = low_bits(self.peek(), width);
        self.skip(width);
        bits
    }

    /// The next [`Self::SHORT`] bits and maybe some more, without taking them.
    #[inline]
    pub(crate) fn peek(&self) -> u64 {
        let byte = self.bit >> 3;
        match self.padded.get(byte..).and_then(|bytes| bytes.first_chunk()) {
            Some(bytes) => u64::from_le_bytes(*bytes) >> (self.bit & 7),
            None => 0,
        }
    }

    /// Passes `width` bits.
    #[inline]
    pub(crate) const fn skip(&mut self, width: u32) {
        self.bit += width as usize;
    }

    /// What one load gives, wherever in a byte it begins.
    pub(crate) const SHORT: u32 = 56;

    /// Has more been taken than there was?
    pub(crate) const fn overran(&self) -> bool {
        self.bit > self.end
    }

    /// How many whole bytes have not been touched.
    pub(crate) const fn bytes_left(&self) -> usize {
        self.end.saturating_sub(self.bit) / 8
    }
}

/// The lowest `width` bits of a word, of which there are at most [`BitReader::SHORT`].
#[inline]
pub(crate) const fn low_bits(word: u64, width: u32) -> u64 {
    debug_assert!(width <= BitReader::SHORT, "more than one load gives");
    word & ((1 << width) - 1)
}

/// How many bits a number needs.
#[inline]
pub(crate) const fn width_of(value: u64) -> u32 {
    64 - value.leading_zeros()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_width_come_back() {
        let mut bytes = vec![0xff; 64 * 65 + PAD_BYTES];
        let mut writer = BitWriter::new(&mut bytes);
        let numbers: Vec<(u64, u32)> = (0..=64)
            .flat_map(|width| {
                let ones = u64::MAX.checked_shr(64 - width).unwrap_or(0);
                [(ones, width), (ones / 3, width), (0, width)]
            })
            .collect();
        for &(number, width) in &numbers {
            writer.put(number, width);
        }
        let length = writer.finish();
        bytes.truncate(length + PAD_BYTES);
        let mut reader = BitReader::new(&bytes);
        for &(number, width) in &numbers {
            assert_eq!(reader.take(width), number, "of {width} bits");
        }
        assert!(!reader.overran());
        assert_eq!(reader.bytes_left(), 0);
        reader.take(9);
        assert!(reader.overran());
    }
}
