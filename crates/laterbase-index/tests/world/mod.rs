//! A log to index, and the plainest index of it: what the tests compare with.
//!
//! [`Log`] says which entries each position has, as a function of a seed, so that any part of it
//! can be read again. [`Model`] keeps every entry of a prefix in a sorted set per family.

#![allow(dead_code, reason = "each test uses its part")]
#![allow(clippy::indexing_slicing, clippy::expect_used, reason = "a test may panic")]

mod mixed;

pub(crate) use mixed::mixed;

use laterbase_event::Position;
use laterbase_index::{
    Direction, Entry, Family, IndexConfig, IndexSnapshot, PendingEntries, Range, ReadError,
};
use laterbase_log::storage::Random;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Entries as a function of a seed and a position.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Log {
    pub(crate) seed: u64,
}

impl Log {
    pub(crate) fn hlc(self, position: u64) -> u64 {
        ((1_700_000_000_000 + position / 7 * 3) << 16) | (position % 7)
    }

    /// Calls `add` with each entry of a position.
    pub(crate) fn entries(self, position: u64, mut add: impl FnMut(Family, Entry)) {
        let hlc = self.hlc(position);
        let draw = |what: u64| mixed(self.seed ^ what << 56, position);
        let mut posting = |term: u64| {
            let hash = mixed(term, 0x7e44);
            // Now and then two terms share 64 bits and not the other sixteen.
            let extra = if term % 97 == 3 { position as u16 & 1 } else { (hash >> 7) as u16 };
            add(Family::Posting, Entry::new(hash, hlc, extra, position));
        };
        posting(draw(1) % 20);
        posting(1_000 + draw(2) % 200);
        posting(1_000_000 + draw(3));
        if draw(4).is_multiple_of(3) {
            posting(3);
        }
        if position.is_multiple_of(7) {
            let replica = mixed(draw(5) % 3, 1);
            let count = (draw(6) % 7 + 1) as u16;
            add(Family::Id, Entry::new(replica, hlc, count, position));
            add(Family::Hlc, Entry::new(hlc, replica, count, position));
            add(Family::Address, Entry::new(mixed(draw(7) % 5, 2), position / 7, count, position));
        }
        if draw(8).is_multiple_of(5) {
            let valid = hlc.wrapping_sub(draw(9) % 1_000_000_000);
            add(Family::Valid, Entry::new(valid, hlc, 0, position));
        }
    }

    /// Adds the entries of the positions after `from` up to `upto`.
    pub(crate) fn fill(self, pending: &mut PendingEntries, from: Position, upto: Position) {
        for position in from.as_u64() + 1..=upto.as_u64() {
            self.entries(position, |family, entry| pending.push(family, entry));
        }
        pending.set_upto(upto);
    }
}

/// Every entry of the positions up to `upto`.
#[derive(Debug, Clone)]
pub(crate) struct Model {
    log: Log,
    families: [BTreeSet<Entry>; 5],
    upto: u64,
}

impl Model {
    pub(crate) fn new(log: Log) -> Self {
        Self { log, families: Default::default(), upto: 0 }
    }

    pub(crate) fn upto(log: Log, upto: Position) -> Self {
        let mut model = Self::new(log);
        model.grow(upto);
        model
    }

    pub(crate) fn grow(&mut self, upto: Position) {
        for position in self.upto + 1..=upto.as_u64() {
            self.log.entries(position, |family, entry| {
                self.families[family as usize].insert(entry);
            });
        }
        self.upto = self.upto.max(upto.as_u64());
    }

    /// The wanted entries of a range, of positions up to `complete_to`, in its direction.
    pub(crate) fn read(&self, range: &Range, complete_to: Position) -> Vec<Entry> {
        if range.lo > range.hi {
            return Vec::new();
        }
        let wanted = self.families[range.family as usize].range(range.lo..=range.hi).filter(|it| {
            let position = it.position();
            position > range.after.as_u64()
                && position <= range.upto.as_u64()
                && position <= complete_to.as_u64()
                && range.extra.is_none_or(|extra| extra == it.extra())
        });
        match range.direction {
            Direction::Ascending => wanted.copied().collect(),
            Direction::Descending => wanted.rev().copied().collect(),
        }
    }

    /// A range that somebody might ask for.
    pub(crate) fn random_range(&self, random: &mut Random) -> Range {
        let family = Family::ALL[random.index(5)];
        let mut some = || {
            let entries = &self.families[family as usize];
            let probe = Entry { a: random.next_u64(), b: 0, c: 0 };
            let found = entries.range(probe..).next().or(entries.first()).copied();
            let mut entry = found.unwrap_or(probe);
            match random.index(6) {
                0 => entry.c = entry.c.wrapping_sub(1),
                1 => entry.b = entry.b.wrapping_add(1),
                2 => entry.a = entry.a.wrapping_add(1),
                _ => {}
            }
            entry
        };
        let (one, other) = (some(), some());
        let range = match random.index(6) {
            0 => Range::all(family),
            1 => Range::prefix(family, one.a, one.b),
            2 => Range::new(family, one.min(other), one.max(other)),
            3 => Range::new(family, Entry::floor(one.a, one.b), Entry::ceiling(one.a, u64::MAX)),
            _ => Range::term(family, one.a),
        };
        let range = if random.chance(1, 3) { range.with_extra(one.extra()) } else { range };
        let range = if random.chance(1, 3) {
            range.upto(Position::new(random.below(self.upto + 3)))
        } else {
            range
        };
        let range = if random.chance(1, 3) {
            range.after(Position::new(random.below(self.upto + 3)))
        } else {
            range
        };
        if random.flip() { range.descending() } else { range }
    }
}

/// Is the answer to every question about this range the model's?
pub(crate) fn check_range(
    snapshot: &Arc<IndexSnapshot>,
    model: &Model,
    range: &Range,
    random: &mut Random,
) -> Result<(), ReadError> {
    let expected = model.read(range, snapshot.complete_to());
    let ascending = range.direction == Direction::Ascending;
    let (first, last) = (expected.first().copied(), expected.last().copied());
    let (least, most) = if ascending { (first, last) } else { (last, first) };
    assert_eq!(snapshot.first(range)?, least, "first of {range:?}");
    assert_eq!(snapshot.last(range)?, most, "last of {range:?}");
    assert_eq!(snapshot.contains(range)?, !expected.is_empty(), "contains {range:?}");
    assert_eq!(snapshot.count(range)?, expected.len() as u64, "count of {range:?}");
    let mut cursor = snapshot.cursor(range);
    let mut rest = expected.as_slice();
    let jumps = random.flip();
    loop {
        if jumps && !rest.is_empty() && random.chance(1, 8) {
            let to = random.index(rest.len());
            let mut target = rest[to];
            if random.flip() {
                // Just before it: nothing lies between, or something that is then found.
                target.c = if ascending { target.c.max(1) - 1 } else { target.c | 1 };
            }
            cursor.seek(target)?;
            let passed = |it: &&Entry| if ascending { **it < target } else { **it > target };
            rest = &rest[rest.iter().take_while(passed).count()..];
        }
        if jumps && random.chance(1, 8) {
            // What has been passed stays passed.
            cursor.seek(if ascending { Entry::MIN } else { Entry::MAX })?;
        }
        let next = cursor.next()?;
        assert_eq!(next, rest.first().copied(), "cursor over {range:?}");
        if next.is_none() {
            assert_eq!(cursor.next()?, None);
            return Ok(());
        }
        rest = &rest[1..];
    }
}

/// Are all of its entries the model's, and the answers to some questions?
pub(crate) fn check_snapshot(
    snapshot: &Arc<IndexSnapshot>,
    model: &Model,
    random: &mut Random,
    questions: usize,
) -> Result<(), ReadError> {
    for family in Family::ALL {
        check_range(snapshot, model, &Range::all(family), random)?;
    }
    for _ in 0..questions {
        check_range(snapshot, model, &model.random_range(random), random)?;
    }
    check_each(snapshot, model, random)
}

/// Are the entries of many terms the model's, of those that there are and of some that there are
/// not?
fn check_each(
    snapshot: &Arc<IndexSnapshot>,
    model: &Model,
    random: &mut Random,
) -> Result<(), ReadError> {
    let mut ranges = Vec::new();
    for _ in 0..random.index(300) {
        let range = Range { direction: Direction::Ascending, ..model.random_range(random) };
        if range.lo.a == range.hi.a {
            let absent = range.lo.a.wrapping_add(1);
            ranges.push(Range::term(range.family, absent));
            ranges.push(range);
        }
    }
    let mut expected = Vec::new();
    for range in &ranges {
        expected.extend(model.read(range, snapshot.complete_to()));
    }
    let mut found = Vec::new();
    snapshot.each(&ranges, |entry| found.push(entry))?;
    expected.sort_unstable();
    found.sort_unstable();
    assert!(found == expected, "{} of {} entries", found.len(), expected.len());
    Ok(())
}

/// Limits so low that everything happens soon.
pub(crate) fn tiny_config() -> IndexConfig {
    IndexConfig {
        memtable_bytes: 24 * 1_500,
        cache_bytes: 64 << 10,
        merge_bytes: 16 << 10,
        fan_out: 3,
        owner: *b"the tests' index",
    }
}
