//! Numbers in the files of folds, in and out.
//!
//! Unsigned ones in LEB128, lowest seven bits first; differences zigzagged before. Reading never
//! panics, and allocates nothing.

/// Something that cannot have been written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

pub(super) fn put(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push((value as u8) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// The difference of two numbers that wraps, small if they are close.
pub(super) fn put_difference(value: u64, from: u64, out: &mut Vec<u8>) {
    let difference = value.wrapping_sub(from).cast_signed();
    put(((difference << 1) ^ (difference >> 63)).cast_unsigned(), out);
}

pub(super) fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    put(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// Bytes that are read from the front.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

impl<'a> Bytes<'a> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn left(&self) -> usize {
        self.0.len()
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.0.split_first_chunk::<N>().ok_or(Malformed)?;
        self.0 = rest;
        Ok(*taken)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Malformed> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    pub(super) fn fixed_u32(&mut self) -> Result<u32, Malformed> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(super) fn fixed_u64(&mut self) -> Result<u64, Malformed> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub(super) fn number(&mut self) -> Result<u64, Malformed> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(Malformed);
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Malformed)
    }

    pub(super) fn small(&mut self) -> Result<u32, Malformed> {
        u32::try_from(self.number()?).map_err(|_| Malformed)
    }

    /// How many things follow that take at least `least` bytes each: no more than there is room
    /// for, so that nobody makes room for others.
    pub(super) fn count(&mut self, least: usize) -> Result<usize, Malformed> {
        let count = usize::try_from(self.number()?).map_err(|_| Malformed)?;
        if count > self.left() / least.max(1) {
            return Err(Malformed);
        }
        Ok(count)
    }

    pub(super) fn difference(&mut self, from: u64) -> Result<u64, Malformed> {
        let zigzag = self.number()?;
        let difference = (zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed();
        Ok(from.wrapping_add(difference.cast_unsigned()))
    }

    pub(super) fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.count(1)?;
        self.take(length)
    }

    pub(super) fn text(&mut self) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_differences_come_back() {
        let mut out = Vec::new();
        let numbers = [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX - 1, u64::MAX];
        for number in numbers {
            put(number, &mut out);
            put_difference(number, 1 << 40, &mut out);
        }
        let mut bytes = Bytes(&out);
        for number in numbers {
            assert_eq!(bytes.number(), Ok(number));
            assert_eq!(bytes.difference(1 << 40), Ok(number));
        }
        assert!(bytes.is_empty());
        assert_eq!(bytes.number(), Err(Malformed));
        assert_eq!(Bytes(&[0xff; 11]).number(), Err(Malformed));
        assert_eq!(Bytes(&[200, 1, 0]).bytes(), Err(Malformed), "longer than what there is");
    }
}
