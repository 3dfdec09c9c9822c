//! How up to 128 sorted entries become a few bytes each, and back.
//!
//! ```text
//! count-1 u8 | widths: a, high, low, extra, position, 5 × u8
//! base: a u64 | high u48 | low u16 | extra u16 | position u48
//! bits: entry 0, entry 1, …
//! ```
//! `b` is coded as its high 48 and its low 16 bits, the milliseconds and the counter of a hybrid
//! logical clock: both are small most of the time, while the number they make is not.
//!
//! An entry is coded in one of two ways, told apart by a bit (the first entry has neither the bit
//! nor the `a`):
//! - a *new* `a`: 1, the distance to the `a` before it less one, then high, low, extra and position
//!   above their base, each in the width that the block gives it. Hashed terms are as random as
//!   they look, so a fixed width loses next to nothing.
//! - the *same* `a`: 0; one bit whether the extra bits differ, and if so they, as above; then
//!   three lengths in nibbles, and as many bits each: the distance to the high part before it; the
//!   distance to the low part, or the whole low part if the high part moved; the distance to the
//!   position, folded so that small negative ones are small too.
//!
//! Each number is stored in the fewest bits, but nothing makes this the only encoding of its
//! entries; that it is undamaged is the checksum's to say. Decoding checks what a reader relies on:
//! the entries rise strictly, and nothing is read or left beyond the end.

use crate::bits::{BitReader, BitWriter, PAD_BYTES, low_bits, width_of};
use crate::entry::Entry;
use std::hint::select_unpredictable;

/// The most entries in a block.
pub(crate) const BLOCK_ENTRIES_MAX: usize = 128;

/// Room for the entries of a block.
pub(crate) type BlockBuffer = [Entry; BLOCK_ENTRIES_MAX];

/// What precedes the bits.
const HEAD_BYTES: usize = 6 + 24;

/// The most bytes that a block takes.
pub(crate) const BLOCK_BYTES_MAX: usize = HEAD_BYTES + BLOCK_ENTRIES_MAX * 26;

/// What is wrong with the bytes of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BadBlock;

/// A number of each part of an entry: least values, or widths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Parts<T> {
    high: T,
    low: T,
    extra: T,
    position: T,
}

impl Parts<u64> {
    #[inline]
    const fn of(entry: &Entry) -> Self {
        Self {
            high: entry.b >> 16,
            low: entry.b & 0xffff,
            extra: entry.extra() as u64,
            position: entry.position(),
        }
    }
}

/// The base and the widths of a block.
#[derive(Debug, Clone, Copy)]
struct Frame {
    base_a: u64,
    base: Parts<u64>,
    a_width: u32,
    widths: Parts<u32>,
}

impl Frame {
    /// The tightest frame around the entries.
    fn around(first: &Entry, entries: &[Entry]) -> Self {
        let begin = Parts::of(first);
        let (mut least, mut most) = (begin, begin);
        let mut step = 0;
        let mut previous = first.a;
        for entry in entries {
            let parts = Parts::of(entry);
            // Whether an `a` is new is hard to predict, so it decides a value and no branch.
            let new = entry.a != previous;
            let counted = |part, otherwise| select_unpredictable(new, part, otherwise);
            step = step.max((entry.a - previous).saturating_sub(1));
            previous = entry.a;
            least.extra = least.extra.min(parts.extra);
            most.extra = most.extra.max(parts.extra);
            let high = counted(parts.high, begin.high);
            least.high = least.high.min(high);
            most.high = most.high.max(high);
            let low = counted(parts.low, begin.low);
            least.low = least.low.min(low);
            most.low = most.low.max(low);
            let position = counted(parts.position, begin.position);
            least.position = least.position.min(position);
            most.position = most.position.max(position);
        }
        Self {
            base_a: first.a,
            base: least,
            a_width: width_of(step),
            widths: Parts {
                high: width_of(most.high - least.high),
                low: width_of(most.low - least.low),
                extra: width_of(most.extra - least.extra),
                position: width_of(most.position - least.position),
            },
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "widths are at most 64")]
    fn write(&self, count: u8, out: &mut Vec<u8>) {
        let widths = &self.widths;
        out.push(count);
        out.push(self.a_width as u8);
        out.push(widths.high as u8);
        out.push(widths.low as u8);
        out.push(widths.extra as u8);
        out.push(widths.position as u8);
        out.extend_from_slice(&self.base_a.to_le_bytes());
        out.extend_from_slice(&(self.base.high | self.base.low << 48).to_le_bytes());
        out.extend_from_slice(&(self.base.position | self.base.extra << 48).to_le_bytes());
    }

    /// The frame and how many entries follow.
    fn read(bytes: &[u8]) -> Option<(Self, usize)> {
        let (&[count, a, high, low, extra, position], rest) = bytes.split_first_chunk()?;
        let (base_a, rest) = rest.split_first_chunk()?;
        let (base_b, rest) = rest.split_first_chunk()?;
        let (base_c, _) = rest.split_first_chunk()?;
        let base = Entry {
            a: u64::from_le_bytes(*base_a),
            b: u64::from_le_bytes(*base_b).rotate_left(16),
            c: u64::from_le_bytes(*base_c),
        };
        if a > 64 || high > 48 || low > 16 || extra > 16 || position > 48 {
            return None;
        }
        let frame = Self {
            base_a: base.a,
            base: Parts::of(&base),
            a_width: u32::from(a),
            widths: Parts {
                high: u32::from(high),
                low: u32::from(low),
                extra: u32::from(extra),
                position: u32::from(position),
            },
        };
        Some((frame, usize::from(count) + 1))
    }

    /// Two numbers at a time: together they have at most 64 bits.
    #[inline]
    fn put_new(&self, bits: &mut BitWriter<'_>, parts: &Parts<u64>) {
        let Parts { high, low, extra, position } = self.widths;
        let b = (parts.high - self.base.high) | (parts.low - self.base.low) << high;
        let c = (parts.extra - self.base.extra) | (parts.position - self.base.position) << extra;
        bits.put(b, high + low);
        bits.put(c, extra + position);
    }

    #[inline]
    fn take_new(&self, bits: &mut BitReader<'_>) -> Parts<u64> {
        let Parts { high, low, extra, position } = self.widths;
        let (b, c) = (bits.take(high + low), bits.take(extra + position));
        Parts {
            high: self.base.high.wrapping_add(low_bits(b, high)),
            low: self.base.low.wrapping_add(b >> high),
            extra: self.base.extra.wrapping_add(low_bits(c, extra)),
            position: self.base.position.wrapping_add(c >> extra),
        }
    }
}

/// Appends the encoding of 1 to 128 strictly rising entries.
pub(crate) fn encode(entries: &[Entry], out: &mut Vec<u8>) {
    let Some((first, rest)) = entries.split_first() else { return };
    debug_assert!(entries.len() <= BLOCK_ENTRIES_MAX, "{} entries", entries.len());
    debug_assert!(entries.is_sorted_by(|one, next| one < next), "entries rise strictly");
    let frame = Frame::around(first, rest);
    #[expect(clippy::cast_possible_truncation, reason = "at most 127 entries follow the first")]
    frame.write(rest.len() as u8, out);
    let begin = out.len();
    out.resize(begin + BLOCK_BYTES_MAX - HEAD_BYTES + PAD_BYTES, 0);
    let mut bits = BitWriter::new(out.get_mut(begin..).unwrap_or_default());
    let mut before = Parts::of(first);
    let mut before_a = first.a;
    frame.put_new(&mut bits, &before);
    for entry in rest {
        let parts = Parts::of(entry);
        if entry.a == before_a {
            put_same(&mut bits, &frame, &before, &parts);
        } else {
            let step = entry.a - before_a - 1;
            if frame.a_width < 64 {
                bits.put(1 | step << 1, 1 + frame.a_width);
            } else {
                bits.put(1, 1);
                bits.put(step, 64);
            }
            frame.put_new(&mut bits, &parts);
            before_a = entry.a;
        }
        before = parts;
    }
    let length = bits.finish();
    out.truncate(begin + length);
}

#[inline]
fn put_same(bits: &mut BitWriter<'_>, frame: &Frame, before: &Parts<u64>, parts: &Parts<u64>) {
    if parts.extra == before.extra {
        bits.put(0b00, 2);
    } else {
        bits.put(0b10, 2);
        bits.put(parts.extra - frame.base.extra, frame.widths.extra);
    }
    let high = parts.high - before.high;
    let low = if high == 0 { parts.low - before.low } else { parts.low };
    let position = fold(parts.position, before.position);
    let high_nibbles = width_of(high).div_ceil(4);
    let low_nibbles = width_of(low).div_ceil(4);
    let position_nibbles = width_of(position).div_ceil(4);
    bits.put(u64::from(high_nibbles | low_nibbles << 4 | position_nibbles << 8), 12);
    // High and low have at most 64 bits, as `b` has them.
    bits.put(high | low << (high_nibbles * 4), (high_nibbles + low_nibbles) * 4);
    bits.put(position, position_nibbles * 4);
}

/// Decodes a block that is followed by [`PAD_BYTES`] of anything, and says
/// how many entries it has.
pub(crate) fn decode(padded: &[u8], out: &mut BlockBuffer) -> Result<usize, BadBlock> {
    let (frame, count) = Frame::read(padded).ok_or(BadBlock)?;
    let (first, rest) = out.split_first_mut().ok_or(BadBlock)?;
    let rest = rest.get_mut(..count - 1).ok_or(BadBlock)?;
    let mut bits = BitReader::new(padded.get(HEAD_BYTES..).unwrap_or_default());
    let mut parts = frame.take_new(&mut bits);
    let mut entry = entry_of(frame.base_a, &parts).ok_or(BadBlock)?;
    *first = entry;
    for slot in rest {
        let mut a = entry.a;
        let word = bits.peek();
        if word & 1 == 1 {
            bits.skip(1);
            let step = if frame.a_width < BitReader::SHORT {
                bits.skip(frame.a_width);
                low_bits(word >> 1, frame.a_width)
            } else {
                bits.take(frame.a_width)
            };
            a = a.checked_add(step).and_then(|a| a.checked_add(1)).ok_or(BadBlock)?;
            parts = frame.take_new(&mut bits);
        } else {
            parts = take_same(word, &mut bits, &frame, &parts);
        }
        let next = entry_of(a, &parts).ok_or(BadBlock)?;
        if next <= entry {
            return Err(BadBlock);
        }
        entry = next;
        *slot = entry;
    }
    if bits.overran() || bits.bytes_left() > 0 { Err(BadBlock) } else { Ok(count) }
}

/// Takes an entry of the same `a`, given the next bits.
#[inline]
fn take_same(
    word: u64,
    bits: &mut BitReader<'_>,
    frame: &Frame,
    before: &Parts<u64>,
) -> Parts<u64> {
    let (extra, lengths) = if word & 2 == 0 {
        bits.skip(2 + 12);
        (before.extra, word >> 2)
    } else {
        bits.skip(2);
        let extra = frame.base.extra.wrapping_add(bits.take_short(frame.widths.extra));
        (extra, bits.take_short(12))
    };
    let width = |shift: u32| ((lengths >> shift & 15) * 4) as u32;
    let (high_width, low_width, position_width) = (width(0), width(4), width(8));
    let (high, low, position) = if high_width + low_width + position_width <= BitReader::SHORT {
        let word = bits.take_short(high_width + low_width + position_width);
        let rest = word >> high_width;
        (low_bits(word, high_width), low_bits(rest, low_width), rest >> low_width)
    } else {
        (bits.take(high_width), bits.take(low_width), bits.take(position_width))
    };
    Parts {
        high: before.high.wrapping_add(high),
        low: if high == 0 { before.low.wrapping_add(low) } else { low },
        extra,
        position: unfold(position, before.position),
    }
}

/// The entry of these parts, if each of them fits.
#[inline]
fn entry_of(a: u64, parts: &Parts<u64>) -> Option<Entry> {
    let fits = parts.high >> 48 | parts.low >> 16 | parts.extra >> 16 | parts.position >> 48;
    (fits == 0).then_some(Entry {
        a,
        b: parts.high << 16 | parts.low,
        c: parts.extra << 48 | parts.position,
    })
}

/// The distance between two positions: even for a later one, odd for an earlier one.
#[inline]
const fn fold(position: u64, before: u64) -> u64 {
    let distance = position.wrapping_sub(before).cast_signed();
    ((distance << 1) ^ (distance >> 63)).cast_unsigned()
}

#[inline]
const fn unfold(folded: u64, before: u64) -> u64 {
    before.wrapping_add(folded >> 1 ^ (folded & 1).wrapping_neg())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::POSITION_MAX;
    use proptest::prelude::*;

    const EMPTY: BlockBuffer = [Entry::MIN; BLOCK_ENTRIES_MAX];

    fn check(mut entries: Vec<Entry>) -> usize {
        entries.sort_unstable();
        entries.dedup();
        entries.truncate(BLOCK_ENTRIES_MAX);
        let mut bytes = Vec::new();
        encode(&entries, &mut bytes);
        let length = bytes.len();
        assert!(length <= BLOCK_BYTES_MAX, "{length} bytes");
        bytes.extend([0xa5; PAD_BYTES]);
        let mut decoded = EMPTY;
        let count = decode(&bytes, &mut decoded).expect("what was encoded can be decoded");
        assert_eq!(decoded[..count], entries);
        length
    }

    fn mixed(seed: u64) -> u64 {
        (seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29).wrapping_mul(0xbf58_476d)
    }

    #[test]
    fn extremes_come_back() {
        check(vec![Entry::MIN]);
        check(vec![Entry::MAX]);
        check(vec![Entry::MIN, Entry::MAX]);
        check(vec![Entry::MIN, Entry::floor(0, u64::MAX), Entry::ceiling(0, u64::MAX), Entry::MAX]);
        check((0..128).map(|i| Entry::new(5, 7, i as u16, POSITION_MAX - i)).collect());
        check(
            (0..128).map(|i| Entry { a: mixed(i), b: mixed(i + 999), c: mixed(i * 3) }).collect(),
        );
    }

    #[test]
    fn a_unique_term_takes_at_most_fourteen_bytes() {
        // A run of a million terms, 50,000 events a second in batches of 100: a block's worth.
        let step = u64::MAX / 1_000_000;
        let entries = (0..128).map(|i| {
            let position = mixed(i) % 250_000;
            let hlc = (1_700_000_000_000 + position / 50) << 16 | (position % 100);
            Entry::new(i * step + mixed(i) % step, hlc, mixed(i) as u16, position + 10_000_000)
        });
        let bytes = check(entries.collect());
        assert!(bytes <= 14 * 128, "{} bytes each", bytes as f64 / 128.0);
    }

    #[test]
    fn a_repeated_term_takes_at_most_five_bytes() {
        let entries = (0..128).map(|i| {
            let position = 10_000_000 + i * 100 + mixed(i) % 100;
            let hlc = (1_700_000_000_000 + position / 50) << 16 | (position % 100);
            Entry::new(77, hlc, 0xbeef, position)
        });
        let bytes = check(entries.collect());
        assert!(bytes <= 5 * 128, "{} bytes each", bytes as f64 / 128.0);
    }

    #[test]
    fn cut_and_extended_blocks_are_refused() {
        let entries: Vec<Entry> = (0..50).map(|i| Entry::new(i / 3, i * i, 1, i + 1)).collect();
        let mut bytes = Vec::new();
        encode(&entries, &mut bytes);
        let mut longer = bytes.clone();
        longer.extend([0; PAD_BYTES + 1]);
        assert_eq!(decode(&longer, &mut { EMPTY }), Err(BadBlock));
        for length in 0..bytes.len() {
            let mut cut = bytes.get(..length).unwrap_or_default().to_vec();
            cut.extend([0; PAD_BYTES]);
            assert_eq!(decode(&cut, &mut { EMPTY }), Err(BadBlock), "{length} bytes");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_encoded_comes_back(
            entries in proptest::collection::vec(
                (0..8_u64, any::<u64>(), 0..3_u8, any::<u64>()).prop_map(|(a, b, shape, c)| {
                    match shape {
                        0 => Entry { a: a.wrapping_mul(0x1234_5678_9abc_def1), b, c },
                        1 => Entry { a, b: b >> 40, c: c >> 40 },
                        _ => Entry { a: 3, b: b >> 60, c: c & 0x0003_0000_0000_00ff },
                    }
                }),
                1..300,
            )
        ) {
            check(entries);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let mut entries = EMPTY;
            if let Ok(count) = decode(&bytes, &mut entries) {
                prop_assert!(entries[..count].is_sorted_by(|one, next| one < next));
            }
        }
    }
}
