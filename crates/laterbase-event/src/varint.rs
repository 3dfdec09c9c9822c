//! Canonical LEB128: seven bits a byte, lowest first, the high bit says that more follow.
//!
//! Only the shortest form is ever written or taken, so a number has one encoding.

use alloc::vec::Vec;

/// Longest encoding of a 64-bit number.
pub(crate) const BYTES_MAX: usize = 10;

pub(crate) fn write(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push((value as u8) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Maps small magnitudes of either sign to small numbers.
pub(crate) fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

/// Inverse of [`zigzag`].
pub(crate) fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}
