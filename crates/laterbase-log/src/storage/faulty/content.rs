//! What a simulated file holds: what readers see, what is durable, and the changes in between.
//!
//! Invariant: the durable bytes with all unsynced changes applied in order are the seen bytes,
//! unless a sync has failed, after which bytes may be seen that no sync will ever make durable.

use super::Random;
use super::sparse::SparseBytes;
use std::collections::HashSet;

/// What a disk writes whole or not at all, in bytes.
pub const SECTOR_BYTES: u64 = 512;

/// What happens to unsynced changes at one power cut.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fate {
    /// All are lost.
    Lost,
    /// All survive.
    Kept,
    /// Those numbered below survive; the one of this number is torn at a sector.
    OrderedBelow(u64),
    /// Each sector, and the length, survives each of its changes with this probability, in order.
    Scattered { percent: u64 },
}

/// The bytes of one file.
#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    seen: SparseBytes,
    durable: SparseBytes,
    unsynced: Vec<Change>,
}

#[derive(Clone, Debug)]
struct Change {
    /// Rises over all changes of a disk.
    number: u64,
    kind: ChangeKind,
}

#[derive(Clone, Debug)]
enum ChangeKind {
    Write { offset: u64, bytes: Vec<u8> },
    SetLen { from: u64, to: u64 },
}

impl Content {
    pub(super) fn len(&self) -> u64 {
        self.seen.len()
    }

    pub(super) fn read(&self, offset: u64, buf: &mut [u8]) -> usize {
        self.seen.read(offset, buf)
    }

    pub(super) fn write(&mut self, number: u64, offset: u64, bytes: &[u8]) {
        self.seen.write(offset, bytes);
        let kind = ChangeKind::Write { offset, bytes: bytes.to_vec() };
        self.unsynced.push(Change { number, kind });
    }

    pub(super) fn set_len(&mut self, number: u64, to: u64) {
        let kind = ChangeKind::SetLen { from: self.seen.len(), to };
        self.seen.set_len(to);
        self.unsynced.push(Change { number, kind });
    }

    /// Makes all changes durable.
    pub(super) fn sync(&mut self) {
        for change in self.unsynced.drain(..) {
            change.kind.apply(&mut self.durable);
        }
    }

    /// Makes some sectors durable, drops the other changes, and goes on showing them.
    pub(super) fn fail_sync(&mut self, random: &mut Random) {
        self.durable = self.survivor(Fate::Scattered { percent: 50 }, random).durable;
        self.unsynced.clear();
    }

    /// Makes what is seen durable, whatever syncs have failed before.
    pub(super) fn settle(&mut self) {
        self.durable = self.seen.clone();
        self.unsynced.clear();
    }

    /// Flips one bit, in what is seen and in what is durable.
    pub(super) fn flip_bit(&mut self, offset: u64, bit: u32) {
        for bytes in [&mut self.seen, &mut self.durable] {
            let mut byte = [0];
            if bytes.read(offset, &mut byte) == 1 {
                bytes.write(offset, &byte.map(|value| value ^ (1 << (bit % 8))));
            }
        }
    }

    /// The numbers of the changes that are not durable, in order.
    pub(super) fn unsynced(&self) -> impl Iterator<Item = u64> {
        self.unsynced.iter().map(|change| change.number)
    }

    /// What is found after a power cut.
    pub(super) fn survivor(&self, fate: Fate, random: &mut Random) -> Self {
        let durable = match fate {
            Fate::Lost => self.durable.clone(),
            Fate::Kept => {
                let mut durable = self.durable.clone();
                self.unsynced.iter().for_each(|change| change.kind.apply(&mut durable));
                durable
            }
            Fate::OrderedBelow(number) => self.ordered(number, random),
            Fate::Scattered { percent } => self.scattered(percent, random),
        };
        Self { seen: durable.clone(), durable, unsynced: Vec::new() }
    }

    fn ordered(&self, number: u64, random: &mut Random) -> SparseBytes {
        let mut durable = self.durable.clone();
        for change in self.unsynced.iter().take_while(|change| change.number <= number) {
            if change.number < number {
                change.kind.apply(&mut durable);
                continue;
            }
            let sectors = change.kind.sectors();
            let survive = random.below(sectors.end - sectors.start + 1);
            for sector in sectors.start..sectors.start + survive {
                change.kind.apply_sector(&mut durable, sector);
            }
        }
        durable
    }

    /// A sector that has missed one change misses the later ones, too: a disk writes a sector as it
    /// was at some moment.
    fn scattered(&self, percent: u64, random: &mut Random) -> SparseBytes {
        let mut durable = self.durable.clone();
        let mut len = durable.len();
        let mut len_is_stuck = false;
        let mut stuck = HashSet::new();
        for change in &self.unsynced {
            for sector in change.kind.sectors() {
                if stuck.contains(&sector) {
                    continue;
                }
                if random.chance(percent, 100) {
                    change.kind.apply_sector(&mut durable, sector);
                } else {
                    stuck.insert(sector);
                }
            }
            len_is_stuck = len_is_stuck || !random.chance(percent, 100);
            if !len_is_stuck {
                len = change.kind.len_after(len);
            }
        }
        durable.set_len(len);
        durable
    }
}

impl ChangeKind {
    fn apply(&self, to: &mut SparseBytes) {
        match self {
            Self::Write { offset, bytes } => to.write(*offset, bytes),
            Self::SetLen { to: len, .. } => to.set_len(*len),
        }
    }

    fn len_after(&self, before: u64) -> u64 {
        match self {
            Self::Write { offset, bytes } => before.max(offset + bytes.len() as u64),
            Self::SetLen { to, .. } => *to,
        }
    }

    /// The sectors whose bytes this changes.
    fn sectors(&self) -> std::ops::Range<u64> {
        let (start, end) = match self {
            Self::Write { offset, bytes } => (*offset, offset + bytes.len() as u64),
            Self::SetLen { from, to } => (*to, *from),
        };
        start / SECTOR_BYTES..end.div_ceil(SECTOR_BYTES).max(start / SECTOR_BYTES)
    }

    /// Applies what this changes in one sector; bytes that are cut off become zero.
    fn apply_sector(&self, to: &mut SparseBytes, sector: u64) {
        let sector = sector * SECTOR_BYTES..(sector + 1) * SECTOR_BYTES;
        match self {
            Self::Write { offset, bytes } => {
                let end = sector.end.min(offset + bytes.len() as u64);
                let start = sector.start.max(*offset);
                let inside = |at: u64| usize::try_from(at - offset).unwrap_or(usize::MAX);
                if let Some(part) = bytes.get(inside(start)..inside(end)) {
                    to.write(start, part);
                }
            }
            Self::SetLen { from, to: len } => {
                let end = sector.end.min(*from).min(to.len());
                let start = sector.start.max(*len);
                let zeroes = usize::try_from(end.saturating_sub(start)).unwrap_or(0);
                to.write(start, &vec![0; zeroes]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(content: &Content) -> Vec<u8> {
        let mut buf = vec![0; usize::try_from(content.len()).unwrap()];
        content.read(0, &mut buf);
        buf
    }

    /// A synced sector run of `a`, then an unsynced one of `b` over it and beyond it.
    fn half_synced() -> Content {
        let mut content = Content::default();
        content.write(1, 0, &[b'a'; 2048]);
        content.sync();
        content.write(2, 1024, &[b'b'; 2048]);
        content
    }

    #[test]
    fn unsynced_changes_are_seen_and_lost() {
        let content = half_synced();
        assert_eq!(bytes(&content)[1024..], [b'b'; 2048]);
        let survivor = content.survivor(Fate::Lost, &mut Random::new(1));
        assert_eq!(bytes(&survivor), [b'a'; 2048]);
        let survivor = content.survivor(Fate::Kept, &mut Random::new(1));
        assert_eq!(bytes(&survivor), bytes(&content));
    }

    #[test]
    fn ordered_survivors_hold_a_prefix_torn_at_a_sector() {
        let content = half_synced();
        let mut tears = HashSet::new();
        for seed in 0..64 {
            let found = bytes(&content.survivor(Fate::OrderedBelow(2), &mut Random::new(seed)));
            let survived = found.iter().filter(|byte| **byte == b'b').count();
            assert_eq!(survived % 512, 0);
            assert!(found[1024..1024 + survived].iter().all(|byte| *byte == b'b'));
            tears.insert(survived);
        }
        assert_eq!(tears.len(), 5, "from no sector to all four");
    }

    #[test]
    fn scattered_survivors_keep_and_lose_sectors_in_any_combination() {
        let content = half_synced();
        let mut combinations = HashSet::new();
        for seed in 0..512 {
            let fate = Fate::Scattered { percent: 50 };
            let survivor = content.survivor(fate, &mut Random::new(seed));
            let found = bytes(&survivor);
            assert!(found.len() == 2048 || found.len() == 3072);
            assert!(found[..1024].iter().all(|byte| *byte == b'a'), "what is synced stays");
            for sector in found.chunks(512) {
                assert!(sector.iter().all(|byte| *byte == sector[0]), "a sector is whole");
            }
            combinations.insert(found);
        }
        // Two sectors of `a` or `b`; and, if the length survived, two of `b` or zero.
        assert_eq!(combinations.len(), 4 + 16);
    }

    #[test]
    fn sector_written_twice_shows_a_state_it_once_had() {
        let mut content = Content::default();
        content.write(1, 0, b"aaaa");
        content.sync();
        content.write(2, 0, b"b");
        content.write(3, 1, b"c");
        let states: HashSet<Vec<u8>> = (0..200)
            .map(|seed| {
                let fate = Fate::Scattered { percent: 50 };
                bytes(&content.survivor(fate, &mut Random::new(seed)))
            })
            .collect();
        let expected = [b"aaaa".to_vec(), b"baaa".to_vec(), b"bcaa".to_vec()];
        assert_eq!(states, HashSet::from(expected));
    }

    #[test]
    fn cut_that_was_not_synced_may_be_undone_in_part() {
        let mut content = Content::default();
        content.write(1, 0, &[b'a'; 2048]);
        content.sync();
        content.set_len(2, 600);
        let survivor = content.survivor(Fate::Lost, &mut Random::new(1));
        assert_eq!(bytes(&survivor), [b'a'; 2048]);
        content.sync();
        let survivor = content.survivor(Fate::Lost, &mut Random::new(1));
        assert_eq!(bytes(&survivor), [b'a'; 600]);
    }

    #[test]
    fn after_a_failed_sync_the_next_one_proves_nothing() {
        let mut content = half_synced();
        let seen = bytes(&content);
        content.fail_sync(&mut Random::new(4));
        content.sync();
        assert_eq!(bytes(&content), seen, "reads show what was written");
        let survivor = content.survivor(Fate::Lost, &mut Random::new(1));
        assert_ne!(bytes(&survivor), seen, "the disk does not have it");
    }
}
