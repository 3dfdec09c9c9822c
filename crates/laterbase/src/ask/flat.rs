//! Fields of a flat object of JSON, read in one pass and without a visitor between.
//!
//! ```text
//!   {"port":"NLRTM","weight_kg":17.5,"gate":4}
//!    ▲ name         ▲ value, handed out where it stands, or stepped over
//! ```
//! What most payloads are is read here: names and texts without escapes, numbers that are exactly
//! what they say, no nested value that is wanted. At anything else [`read`] says so, and
//! `serde_json` reads the payload instead: what is malformed, ends early or is no object never gets
//! an answer of its own here, so that there is one place that says what becomes of it.
//!
//! Once all that is wanted was found, the rest matters only if one of the names comes again: of two
//! members with one name the later one counts. That there are no escapes in it, and nowhere such a
//! name between quotes, is found much faster than by reading it.
//!
//! Numbers with a fraction are doubles to `serde_json`, and are read back as the shortest text that
//! is the same double. Two numbers of at most fifteen digits are never the same double, so of these
//! that text is the number itself, and no double is needed to find it.

use laterbase_lang::{Decimal, Value};
use memchr::memchr;
use serde::de::IgnoredAny;

use super::payload::{Cell, Wanted, cell_for};

/// Every number below is what its double is read back as.
const EXACT_BELOW: u64 = 1_000_000_000_000_000;

/// Digits that a number has at the most; so many fit 64 bits, and are no more behind the point
/// than a [`Decimal`] takes.
const DIGITS_MAX: usize = 18;

/// Reads the fields of some names into their cells. `false` if it takes `serde_json` to read this
/// payload; what the cells hold then means nothing.
pub(super) fn read<'a>(payload: &'a [u8], names: &[Wanted], cells: &mut [Cell<'a>]) -> bool {
    Scanner { rest: payload }.object(names, cells).is_some()
}

/// What is left of a payload. Nothing of anything that is not read here.
struct Scanner<'a> {
    rest: &'a [u8],
}

/// Which names of today were not found yet, as bits by their places.
#[derive(Clone, Copy)]
struct Missing(u64);

impl Missing {
    /// Of so many names that they have no bits, or when it is of no use any more: some, for ever.
    const UNKNOWN: Self = Self(u64::MAX);

    fn of(names: &[Wanted]) -> Self {
        if names.len() >= 64 {
            return Self::UNKNOWN;
        }
        let bit = |(place, wanted): (usize, &Wanted)| u64::from(!wanted.is_former) << place;
        Self(names.iter().enumerate().map(bit).sum())
    }

    /// Notes what was read for a name; whether none is missing now.
    fn has_changed(&mut self, place: usize, is_absent: bool) -> bool {
        if self.0 == u64::MAX {
            return false;
        }
        self.0 = if is_absent { self.0 | 1 << place } else { self.0 & !(1 << place) };
        self.0 == 0
    }
}

/// A number as it is written.
#[derive(Default)]
struct Number {
    is_negative: bool,
    /// All its digits, without the point; only if there are few enough.
    digits: u64,
    digits_len: usize,
    fraction_len: usize,
    has_exponent: bool,
}

impl<'a> Scanner<'a> {
    fn object(&mut self, names: &[Wanted], cells: &mut [Cell<'a>]) -> Option<()> {
        self.expect(b'{')?;
        if self.peek()? == b'}' {
            return Some(());
        }
        let mut missing = Missing::of(names);
        loop {
            self.expect(b'"')?;
            let name = self.name()?;
            self.expect(b':')?;
            let first = self.peek()?;
            let place = names.iter().position(|wanted| wanted.name.as_bytes() == name);
            let wanted = place.and_then(|place| Some((place, names.get(place)?)));
            let cell = wanted.and_then(|(_, wanted)| cell_for(wanted, cells));
            if let (Some((place, wanted)), Some(cell)) = (wanted, cell) {
                self.value(first, cell)?;
                let is_absent = matches!(cell, Cell::Absent);
                if !wanted.is_former && missing.has_changed(place, is_absent) {
                    if self.has_none_of(names) {
                        return Some(());
                    }
                    missing = Missing::UNKNOWN;
                }
            } else {
                self.skip(first)?;
            }
            match self.next()? {
                b',' => {}
                b'}' => return Some(()),
                _ => return None,
            }
        }
    }

    /// Whether what is left can change nothing of fields that were all found by today's names.
    fn has_none_of(&self, names: &[Wanted]) -> bool {
        let mut todays = names.iter().filter(|wanted| !wanted.is_former);
        // Escapes may spell any name.
        memchr(b'\\', self.rest).is_none() && todays.all(|wanted| wanted.is_missing_in(self.rest))
    }

    /// Reads the value that begins with `first` into its cell.
    #[inline]
    fn value(&mut self, first: u8, cell: &mut Cell<'a>) -> Option<()> {
        *cell = match first {
            b'"' => {
                self.step();
                Cell::Text(self.text()?)
            }
            b'-' | b'0'..=b'9' => Cell::Value(self.number()?.value()?),
            b't' => {
                self.word(b"true")?;
                Cell::Value(Value::Bool(true))
            }
            b'f' => {
                self.word(b"false")?;
                Cell::Value(Value::Bool(false))
            }
            b'n' => {
                self.word(b"null")?;
                Cell::Absent
            }
            _ => return None,
        };
        Some(())
    }

    #[inline]
    fn skip(&mut self, first: u8) -> Option<()> {
        match first {
            b'"' => {
                self.step();
                // Not even that it is text is looked at: `serde_json` does not either.
                self.quoted().map(|_| ())
            }
            b'-' | b'0'..=b'9' => self.number().map(|_| ()),
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            b'n' => self.word(b"null"),
            b'{' | b'[' => self.skip_nested(),
            _ => None,
        }
    }

    /// Steps over a list or an object as `serde_json` does.
    #[cold]
    fn skip_nested(&mut self) -> Option<()> {
        let mut values = serde_json::Deserializer::from_slice(self.rest).into_iter::<IgnoredAny>();
        values.next()?.ok()?;
        self.rest = self.rest.get(values.byte_offset()..)?;
        Some(())
    }

    /// The number that comes next.
    #[inline]
    fn number(&mut self) -> Option<Number> {
        let mut number = Number { is_negative: self.take(b'-'), ..Number::default() };
        let starts_with_zero = self.rest.first() == Some(&b'0');
        let whole_len = self.digits(&mut number)?;
        if starts_with_zero && whole_len > 1 {
            return None;
        }
        if self.take(b'.') {
            number.fraction_len = self.digits(&mut number)?;
        }
        if let Some(b'e' | b'E') = self.rest.first() {
            self.step();
            let _ = self.take(b'+') || self.take(b'-');
            self.digits(&mut Number::default())?;
            number.has_exponent = true;
        }
        Some(number)
    }

    /// The digits that come next, and how many there are; nothing if there are none.
    #[inline]
    fn digits(&mut self, number: &mut Number) -> Option<usize> {
        let mut len = 0;
        while let Some(digit @ b'0'..=b'9') = self.rest.get(len) {
            number.digits = number.digits.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
            len += 1;
        }
        number.digits_len += len;
        self.rest = self.rest.get(len..)?;
        (len > 0).then_some(len)
    }

    /// The text whose first quote was taken.
    #[inline]
    fn text(&mut self) -> Option<&'a str> {
        let (bytes, _) = self.quoted()?;
        str::from_utf8(bytes).ok()
    }

    /// The name whose first quote was taken, as bytes that are text.
    #[inline]
    fn name(&mut self) -> Option<&'a [u8]> {
        let (bytes, is_ascii) = self.quoted()?;
        (is_ascii || str::from_utf8(bytes).is_ok()).then_some(bytes)
    }

    /// What stands before the next quote, and whether it is ASCII. Steps over the quote.
    #[inline]
    fn quoted(&mut self) -> Option<(&'a [u8], bool)> {
        let bytes = self.rest;
        let (mut len, mut seen) = (0, 0);
        let end = loop {
            let Some(chunk) = bytes.get(len..)?.first_chunk() else {
                let last = *bytes.get(len)?;
                if is_end(last) {
                    break last;
                }
                seen |= u64::from(last);
                len += 1;
                continue;
            };
            let word = u64::from_le_bytes(*chunk);
            let before = ends(word).trailing_zeros() / 8;
            if before < 8 {
                seen |= word & !(u64::MAX << (8 * before));
                len += before as usize;
                break *bytes.get(len)?;
            }
            seen |= word;
            len += 8;
        };
        let (text, rest) = bytes.split_at_checked(len)?;
        self.rest = rest;
        self.step();
        (end == b'"').then_some((text, seen & HIGH_BITS == 0))
    }

    #[inline]
    fn word(&mut self, word: &[u8]) -> Option<()> {
        self.rest = self.rest.strip_prefix(word)?;
        Some(())
    }

    #[inline]
    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }

    /// The next byte that is no space, taken.
    #[inline]
    fn next(&mut self) -> Option<u8> {
        let byte = self.peek();
        self.step();
        byte
    }

    /// The next byte that is no space.
    #[inline]
    fn peek(&mut self) -> Option<u8> {
        loop {
            match *self.rest.first()? {
                b' ' | b'\n' | b'\t' | b'\r' => self.step(),
                byte => return Some(byte),
            }
        }
    }

    #[inline]
    fn take(&mut self, byte: u8) -> bool {
        let is_it = self.rest.first() == Some(&byte);
        if is_it {
            self.step();
        }
        is_it
    }

    #[inline]
    fn step(&mut self) {
        self.rest = self.rest.get(1..).unwrap_or_default();
    }
}

impl Number {
    /// The value, if it is sure to be what `serde_json` makes of it.
    #[inline]
    fn value(&self) -> Option<Value> {
        if self.digits_len > DIGITS_MAX || self.has_exponent {
            return None;
        }
        let (mut digits, mut scale) = (self.digits, self.fraction_len);
        if scale > 0 && digits >= EXACT_BELOW {
            return None;
        }
        while scale > 0 && digits.is_multiple_of(10) {
            digits /= 10;
            scale -= 1;
        }
        let digits = i64::try_from(digits).ok()?;
        let digits = if self.is_negative { -digits } else { digits };
        if scale == 0 {
            return Some(Value::Int(digits));
        }
        Decimal::try_new(digits, u32::try_from(scale).ok()?).ok().map(Value::Decimal)
    }
}

const LOW_BITS: u64 = u64::from_le_bytes([0x01; 8]);
const HIGH_BITS: u64 = u64::from_le_bytes([0x80; 8]);

/// Whether a byte cannot stand in a text without an escape.
#[inline]
const fn is_end(byte: u8) -> bool {
    matches!(byte, b'"' | b'\\' | 0..0x20)
}

/// The high bits of those bytes that [`is_end`] is true of. Bytes behind the first one of these may
/// be marked though they are none: a subtraction borrows from them.
#[inline]
const fn ends(word: u64) -> u64 {
    let quotes = word ^ (LOW_BITS * b'"' as u64);
    let escapes = word ^ (LOW_BITS * b'\\' as u64);
    let controls = word.wrapping_sub(LOW_BITS * 0x20) & !word;
    let quotes = quotes.wrapping_sub(LOW_BITS) & !quotes;
    let escapes = escapes.wrapping_sub(LOW_BITS) & !escapes;
    (quotes | escapes | controls) & HIGH_BITS
}

#[cfg(test)]
mod tests;
