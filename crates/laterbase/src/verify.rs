//! Verification: every checksum, every hash, every chain, and the indexes against the log.
//!
//! The log verifies itself. The indexes are compared as sets: the entries that the log's events
//! give are summed up by family, as are the entries that the indexes hold; two equal sums of
//! 128-bit mixtures mean equal sets, up to a chance of 2^-64. No memory grows with the database,
//! and no entry is looked up on its own. What a branch of a forked log follows, the log cannot
//! tell: that is looked at with the indexes, once they are known to be whole.

use std::ops::ControlFlow;
use std::path::Path;

use laterbase_event::{Limits, Position, ReplicaId, RootName};
use laterbase_index::{Entry, Family, IndexWriter, PendingEntries, Range};
use laterbase_log::storage::FileStorage;

use crate::database::Database;
use crate::open::{INDEX_DIR, OpenError};
use crate::options::Options;
use crate::read::ReadError;
use crate::replay::feed;

/// How far a verification has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifyProgress {
    /// What is being looked at.
    pub stage: VerifyStage,
    /// How much of it is done.
    pub done: u64,
    /// How much there is.
    pub total: u64,
}

/// The stages of a verification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerifyStage {
    /// Checksums, hashes and chains of the log; in positions.
    Log,
    /// The indexes against the log; in positions.
    Indexes,
}

/// Something that is not as it was written.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Problem {
    /// In the log: something is lost unless a backup or another replica has it.
    Log(laterbase_log::Problem),
    /// A batch of a forked log follows no batch that is held.
    Branch {
        /// The log's root.
        root: RootName,
        /// The replica id that the branches carry.
        replica: ReplicaId,
        /// The number of its first event.
        seq: u64,
    },
    /// The files of the indexes are damaged: a repair builds them anew.
    IndexFiles {
        /// What is damaged.
        reason: String,
    },
    /// The indexes do not say what the log says: a repair builds them anew.
    IndexContent {
        /// Which family of entries.
        family: Family,
        /// How many entries the log gives.
        expected: u64,
        /// How many the indexes hold.
        actual: u64,
    },
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Log(problem) => write!(f, "log: {problem}"),
            Self::Branch { root, replica, seq } => write!(
                f,
                "log: the batch of {replica} under {root:?} at {seq} follows no batch that is \
                 held: fetch what is before it from a peer or a backup",
                root = root.as_str()
            ),
            Self::IndexFiles { reason } => write!(f, "indexes: {reason}"),
            Self::IndexContent { family, expected, actual } => write!(
                f,
                "indexes: {family:?} entries differ from the log ({expected} expected, {actual} \
                 found)"
            ),
        }
    }
}

/// What a verification found.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct VerifyReport {
    /// Everything that is not as it was written; empty: all is well.
    pub problems: Vec<Problem>,
    /// Events that were looked at.
    pub events: u64,
    /// Index entries that were compared.
    pub index_entries: u64,
}

impl VerifyReport {
    /// Whether everything is as it was written.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }
}

impl Database {
    /// Looks at every byte of the log and the indexes. Appends go on meanwhile; what they add is
    /// not looked at.
    ///
    /// # Errors
    /// [`ReadError`] when something keeps it from looking; damage is no error but a [`Problem`].
    pub fn verify(
        &self,
        progress: &mut dyn FnMut(VerifyProgress),
    ) -> Result<VerifyReport, ReadError> {
        let inner = self.inner();
        let bound = inner.progress.flushed();
        let total = bound.as_u64();
        let mut report = VerifyReport { events: total, ..VerifyReport::default() };
        let limits = Limits { payload_bytes_max: Limits::PAYLOAD_BYTES_MAX };
        let log = inner.reader.verify(limits, &mut |at| {
            progress(VerifyProgress { stage: VerifyStage::Log, done: at.events, total });
            ControlFlow::Continue(())
        });
        let log = log.map_err(laterbase_log::ReadError::Storage)?;
        report.problems.extend(log.problems.into_iter().map(Problem::Log));
        if report.is_sound() {
            self.verify_indexes(bound, progress, &mut report)?;
        }
        // By the indexes: only then are all batches found.
        if report.is_sound() {
            let loose = inner.loose_batches()?.into_iter();
            let problems = loose.map(|(root, replica, seq)| Problem::Branch { root, replica, seq });
            report.problems.extend(problems);
        }
        Ok(report)
    }

    fn verify_indexes(
        &self,
        bound: Position,
        progress: &mut dyn FnMut(VerifyProgress),
        report: &mut VerifyReport,
    ) -> Result<(), ReadError> {
        let inner = self.inner();
        let snapshot = inner.snapshot_to(bound)?;
        if let Err(error) = snapshot.verify(&mut |_| {}) {
            report.problems.push(Problem::IndexFiles { reason: error.to_string() });
            return Ok(());
        }
        let mut expected = Sums::default();
        let total = bound.as_u64();
        feed(&inner.hasher, &inner.reader, Position::NONE, bound, |pending| {
            expected.add_pending(pending);
            let done = pending.upto().as_u64();
            progress(VerifyProgress { stage: VerifyStage::Indexes, done, total });
            pending.clear();
            Ok::<(), ReadError>(())
        })?;
        for family in Family::ALL {
            let mut actual = Sum::default();
            let mut cursor = snapshot.cursor(&Range::all(family).upto(bound));
            loop {
                match cursor.next() {
                    Ok(Some(entry)) => actual.add(entry),
                    Ok(None) => break,
                    Err(error) => {
                        report.problems.push(Problem::IndexFiles { reason: error.to_string() });
                        return Ok(());
                    }
                }
            }
            report.index_entries += actual.count;
            let expected = expected.of(family);
            if expected != actual {
                let (expected, actual) = (expected.count, actual.count);
                report.problems.push(Problem::IndexContent { family, expected, actual });
            }
        }
        Ok(())
    }

    /// Deletes the indexes of a database and builds them anew from the log.
    ///
    /// # Errors
    /// As [`Database::open`].
    pub fn rebuild_indexes(path: impl AsRef<Path>, options: Options) -> Result<Self, OpenError> {
        // Opened first, so that a database in use, or one whose log is damaged, is left alone.
        let options_again = options.clone();
        let database = Self::open(path.as_ref(), options)?;
        database.close().map_err(|error| OpenError::Close(error.to_string()))?;
        IndexWriter::destroy(&FileStorage::open(path.as_ref())?, INDEX_DIR)?;
        Self::open(path, options_again)
    }
}

/// A set of entries, as a sum.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sum {
    count: u64,
    mixed: u128,
}

impl Sum {
    fn add(&mut self, entry: Entry) {
        self.count += 1;
        self.mixed = self.mixed.wrapping_add(mix(entry));
    }
}

/// One sum per family.
#[derive(Debug, Default)]
struct Sums {
    sums: [Sum; Family::ALL.len()],
}

impl Sums {
    fn of(&self, family: Family) -> Sum {
        let at = Family::ALL.iter().position(|of| *of == family);
        at.and_then(|at| self.sums.get(at)).copied().unwrap_or_default()
    }

    fn add_pending(&mut self, pending: &PendingEntries) {
        for (family, sum) in Family::ALL.iter().zip(&mut self.sums) {
            pending.family(*family).iter().for_each(|entry| sum.add(*entry));
        }
    }
}

/// Spreads an entry over 128 bits, so that sums of different sets differ.
fn mix(entry: Entry) -> u128 {
    const ODD: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;
    let mut value = u128::from(entry.a) | (u128::from(entry.b) << 64);
    value = (value ^ u128::from(entry.c)).wrapping_mul(ODD);
    value ^= value >> 64;
    value = (value ^ (u128::from(entry.c) << 64)).wrapping_mul(ODD);
    value ^ (value >> 61)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_tell_sets_apart_and_ignore_order() {
        let entries: Vec<Entry> =
            (0..100).map(|at| Entry::new(at * 7, at, at as u16, at + 1)).collect();
        let sum = |entries: &mut dyn Iterator<Item = &Entry>| {
            let mut sum = Sum::default();
            entries.for_each(|entry| sum.add(*entry));
            sum
        };
        let whole = sum(&mut entries.iter());
        assert_eq!(whole, sum(&mut entries.iter().rev()));
        for left_out in 0..entries.len() {
            let mut changed = entries.clone();
            changed[left_out].c ^= 1;
            assert_ne!(whole, sum(&mut changed.iter()), "entry {left_out}");
        }
    }
}
