//! A run's file: its name, its head and its foot.
//!
//! ```text
//! head (64 bytes)
//! per family: group, group, …            a group is up to 16 blocks and its page
//! per family: table of its groups
//! foot (408 bytes)
//! ```
//! ```text
//! head: magic 8 | version u32 | 0 u32 | number u64 | lowest u64 | highest u64 | 0 × 20 | crc u32
//! foot: number u64 | lowest u64 | highest u64 | file bytes u64 |
//!       5 × (groups begin u64 | table u64 | table bytes u32 | 0 u32 | entries u64 | last entry 24)
//!       0 u32 | version u32 | crc u32 | magic 8
//! ```
//! The foot is all that opening needs besides the tables; the head tells a person and a newer
//! program what the file is. The manifest repeats the foot's checksum, so a run is the very one
//! that was written.

use crate::entry::{Entry, FAMILY_COUNT, Family, PerFamily};
use crate::error::DamageKind;
use crate::fields::{Fields, put_entry, put_u32, put_u64};
use crate::section::checksum;

/// The version of the format of runs and manifests.
pub(crate) const FORMAT_VERSION: u32 = 1;

pub(crate) const HEAD_BYTES: usize = 64;
pub(crate) const FOOT_BYTES: usize = 32 + FAMILY_COUNT * SECTION_BYTES + 20;
const SECTION_BYTES: usize = 56;

const HEAD_MAGIC: [u8; 8] = *b"LBRUN\r\n\0";
const FOOT_MAGIC: [u8; 8] = *b"LBRUNEND";

/// The name of a run's file.
pub(crate) fn run_name(number: u64) -> String {
    format!("{number:08}.run")
}

/// The number in the name of a run's file, if it is one.
pub(crate) fn run_number(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".run")?;
    let plain = digits.len() >= 8 && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten()
}

/// Which run it is, and the positions it is complete for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RunSpan {
    pub(crate) number: u64,
    /// Every entry of the positions from `lowest` to `highest` is in it, and no other.
    pub(crate) lowest: u64,
    pub(crate) highest: u64,
}

/// Where a family lies in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FamilySection {
    /// Where its groups begin; they end where the next family's begin, or the first table.
    pub(crate) begin: u64,
    pub(crate) table: u64,
    /// Without groups 0, and there is no table.
    pub(crate) table_bytes: u32,
    pub(crate) entries: u64,
    pub(crate) last: Entry,
}

impl Default for FamilySection {
    fn default() -> Self {
        Self { begin: 0, table: 0, table_bytes: 0, entries: 0, last: Entry::MIN }
    }
}

/// What a run's foot says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Foot {
    pub(crate) span: RunSpan,
    pub(crate) file_bytes: u64,
    pub(crate) sections: PerFamily<FamilySection>,
}

impl Foot {
    pub(crate) fn entries(&self) -> u64 {
        self.sections.iter().map(|(_, section)| section.entries).sum()
    }

    /// Where the groups end and the tables begin.
    pub(crate) fn tables_begin(&self) -> u64 {
        let bytes = |(_, section): (Family, &FamilySection)| u64::from(section.table_bytes);
        let tables: u64 = self.sections.iter().map(bytes).sum();
        self.file_bytes.saturating_sub(tables).saturating_sub(FOOT_BYTES as u64)
    }

    /// The foot's bytes, and the checksum in them.
    pub(crate) fn encode(&self) -> (Vec<u8>, u32) {
        let mut out = Vec::with_capacity(FOOT_BYTES);
        put_u64(&mut out, self.span.number);
        put_u64(&mut out, self.span.lowest);
        put_u64(&mut out, self.span.highest);
        put_u64(&mut out, self.file_bytes);
        for (_, section) in self.sections.iter() {
            put_u64(&mut out, section.begin);
            put_u64(&mut out, section.table);
            put_u32(&mut out, section.table_bytes);
            put_u32(&mut out, 0);
            put_u64(&mut out, section.entries);
            put_entry(&mut out, &section.last);
        }
        put_u32(&mut out, 0);
        put_u32(&mut out, FORMAT_VERSION);
        let crc = checksum(self.span.number, self.offset(), &out);
        put_u32(&mut out, crc);
        out.extend_from_slice(&FOOT_MAGIC);
        (out, crc)
    }

    fn offset(&self) -> u64 {
        self.file_bytes.saturating_sub(FOOT_BYTES as u64)
    }

    /// The foot of a file of this length, and its checksum.
    pub(crate) fn decode(bytes: &[u8; FOOT_BYTES], length: u64) -> Result<(Self, u32), BadFoot> {
        let (body, magic) = bytes.split_at(FOOT_BYTES - FOOT_MAGIC.len());
        if magic != FOOT_MAGIC {
            return Err(BadFoot::Damaged(DamageKind::Magic));
        }
        let (body, crc) = body.split_at(body.len() - 4);
        let crc = Fields::new(crc).u32().ok_or(BadFoot::Damaged(DamageKind::Content))?;
        let version = Fields::new(body.get(body.len() - 4..).unwrap_or_default()).u32();
        let number = Fields::new(body).u64().unwrap_or_default();
        let offset = length.saturating_sub(FOOT_BYTES as u64);
        if checksum(number, offset, body) != crc {
            return Err(BadFoot::Damaged(DamageKind::Checksum));
        }
        if let Some(found) = version.filter(|&version| version > FORMAT_VERSION) {
            return Err(BadFoot::Newer(found));
        }
        let foot = Self::read(&mut Fields::new(body));
        let foot = foot.ok_or(BadFoot::Damaged(DamageKind::Content))?;
        if foot.file_bytes == length {
            Ok((foot, crc))
        } else {
            Err(BadFoot::Damaged(DamageKind::Length))
        }
    }

    /// The foot that these fields are, its checksum aside.
    pub(crate) fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let span = RunSpan { number: fields.u64()?, lowest: fields.u64()?, highest: fields.u64()? };
        let file_bytes = fields.u64()?;
        let mut sections = PerFamily::new([FamilySection::default(); FAMILY_COUNT]);
        for (_, section) in sections.iter_mut() {
            section.begin = fields.u64()?;
            section.table = fields.u64()?;
            section.table_bytes = fields.u32()?;
            fields.u32()?;
            section.entries = fields.u64()?;
            section.last = fields.entry()?;
        }
        let foot = Self { span, file_bytes, sections };
        (span.lowest <= span.highest && foot.is_gapless()).then_some(foot)
    }

    /// Do the tables lie one behind the other up to the foot, and the groups before them?
    fn is_gapless(&self) -> bool {
        let mut table = self.tables_begin();
        let mut groups = HEAD_BYTES as u64;
        for (_, section) in self.sections.iter() {
            let empty = section.table_bytes == 0;
            if section.table != table
                || section.begin < groups
                || empty != (section.entries == 0)
                || (empty && section.last != Entry::MIN)
            {
                return false;
            }
            groups = section.begin;
            table = table.saturating_add(u64::from(section.table_bytes));
        }
        groups <= self.tables_begin() && table == self.offset()
    }
}

/// Why bytes are no foot of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadFoot {
    Damaged(DamageKind),
    Newer(u32),
}

/// The bytes that a run's file begins with.
pub(crate) fn encode_head(span: &RunSpan) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEAD_BYTES);
    out.extend_from_slice(&HEAD_MAGIC);
    put_u32(&mut out, FORMAT_VERSION);
    put_u32(&mut out, 0);
    put_u64(&mut out, span.number);
    put_u64(&mut out, span.lowest);
    put_u64(&mut out, span.highest);
    out.resize(HEAD_BYTES - 4, 0);
    let crc = checksum(span.number, 0, &out);
    put_u32(&mut out, crc);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_match() {
        for number in [1, 42, 99_999_999, 100_000_000, u64::MAX] {
            assert_eq!(run_number(&run_name(number)), Some(number));
        }
        for name in ["1.run", "0000000x.run", "00000001.ru", "MANIFEST", "+0000001.run"] {
            assert_eq!(run_number(name), None, "{name}");
        }
    }

    #[test]
    fn head_and_foot_have_their_lengths() {
        let span = RunSpan { number: 3, lowest: 1, highest: 9 };
        assert_eq!(encode_head(&span).len(), HEAD_BYTES);
        let mut sections = PerFamily::new([FamilySection::default(); FAMILY_COUNT]);
        for (_, section) in sections.iter_mut() {
            section.begin = HEAD_BYTES as u64;
            section.table = HEAD_BYTES as u64;
        }
        let foot = Foot { span, file_bytes: (HEAD_BYTES + FOOT_BYTES) as u64, sections };
        let (bytes, crc) = foot.encode();
        let bytes: &[u8; FOOT_BYTES] = bytes.as_slice().try_into().expect("the foot's length");
        assert_eq!(Foot::decode(bytes, foot.file_bytes), Ok((foot, crc)));
        let longer = Foot::decode(bytes, foot.file_bytes + 1);
        assert_eq!(longer, Err(BadFoot::Damaged(DamageKind::Checksum)));
    }
}
