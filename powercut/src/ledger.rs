//! What was asked for, what was acknowledged, and what must therefore be found.
//!
//! Records are numbered from 0 and sent in groups of equal size, each group one atomic batch. An
//! acknowledgement names the ids of a batch, a session that ended well acknowledges all it was
//! given, and what was once read after a restart has been promised by being shown. Pure: the
//! campaign tells it everything, and it judges.
//!
//! What each durability promises (see [`Durability`]) is checked here and nowhere else.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// How durable an acknowledged batch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Durability {
    /// It survives a power cut.
    Flushed,
    /// It survives the end of its process, and a power cut a moment later.
    Buffered,
    /// It survives nothing; but of what was sent, a prefix is found.
    Relaxed,
}

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The process ended, by itself or killed; the power stayed on.
    ProcessOnly,
    /// The power was cut then.
    PowerCut(Instant),
}

/// An acknowledged batch: the lowest and highest of its ids, all of which are its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledged {
    /// Its lowest id, as text.
    pub first: String,
    /// Its highest id, as text.
    pub last: String,
    /// How many events it has.
    pub count: usize,
    /// When the driver read of it.
    pub at: Instant,
}

/// An event that was found after a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its id, as text.
    pub id: String,
    /// The number of its record.
    pub number: usize,
}

/// How a record was promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// The import that was given it ended well.
    ByImport,
    /// A process that was started after the import's end has shown it.
    ByReading,
}

/// A promise that was not kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A batch that was acknowledged is not there, or not all of it.
    #[error("batch {first}..={last} of {count} events was acknowledged, and {found} are there")]
    AcknowledgedLost {
        /// Its lowest id.
        first: String,
        /// Its highest id.
        last: String,
        /// How many events it has.
        count: usize,
        /// How many of them are there.
        found: usize,
    },
    /// A record that a successful import or an earlier read promised is not there.
    #[error("record {number} was promised {promise:?}, and is not there")]
    PromisedLost {
        /// Its number.
        number: usize,
        /// How it was promised first.
        promise: Promise,
    },
    /// A record is there more than once.
    #[error("record {number} is there more than once")]
    Twice {
        /// Its number.
        number: usize,
    },
    /// A record is there that was never sent.
    #[error("record {number} is there, and was never sent")]
    Stranger {
        /// Its number.
        number: usize,
    },
    /// A batch is there in part.
    #[error("of the {count} records from {first}, sent as one batch, {found} are there")]
    Torn {
        /// The number of its first record.
        first: usize,
        /// How many records it has.
        count: usize,
        /// How many of them are there.
        found: usize,
    },
    /// A batch is there, and one sent before it is not.
    #[error(
        "the batch from record {present} is there, and the one from {missing} before it is not"
    )]
    Gap {
        /// The number of the missing batch's first record.
        missing: usize,
        /// The number of the later batch's first record.
        present: usize,
    },
}

/// Everything sent to one database, and what must be found in it.
#[derive(Clone, Debug)]
pub struct Ledger {
    group_records: usize,
    /// The number of the first group, and of the one behind the last.
    first_group: usize,
    groups: usize,
    promised: BTreeMap<usize, Promise>,
    /// The groups of the session under way, in the order of sending.
    session: Vec<usize>,
    acknowledged: Vec<Acknowledged>,
}

impl Ledger {
    /// The ledger of an empty database to which groups of `group_records` are going to be sent.
    #[must_use]
    pub fn new(group_records: usize) -> Self {
        Self::from_group(group_records, 0)
    }

    /// The same, of which the first group has this number.
    #[must_use]
    pub fn from_group(group_records: usize, first_group: usize) -> Self {
        Self {
            group_records,
            first_group,
            groups: first_group,
            promised: BTreeMap::new(),
            session: Vec::new(),
            acknowledged: Vec::new(),
        }
    }

    /// Begins a session: sends again what may have been lost, and `fresh` new groups; returns the
    /// numbers of the records to send, in order.
    pub fn begin(&mut self, fresh: usize) -> Vec<usize> {
        let unknown = (self.first_group..self.groups).filter(|group| !self.is_promised(*group));
        self.session = unknown.chain(self.groups..self.groups + fresh).collect();
        self.groups += fresh;
        self.session.iter().flat_map(|group| self.records(*group)).collect()
    }

    /// Notes what the session acknowledged.
    pub fn acknowledge(&mut self, acknowledged: impl IntoIterator<Item = Acknowledged>) {
        self.acknowledged.extend(acknowledged);
    }

    /// Notes that the session ended well: all that it was given is promised.
    pub fn settle(&mut self) {
        let records: Vec<usize> =
            self.session.iter().flat_map(|group| self.records(*group)).collect();
        self.promise(records, Promise::ByImport);
    }

    /// How many events have been acknowledged or promised since the last judgement, or before.
    #[must_use]
    pub fn owed(&self) -> usize {
        let acknowledged: usize = self.acknowledged.iter().map(|batch| batch.count).sum();
        self.promised.len() + acknowledged
    }

    /// Judges what was found after the session. What was found is promised from now on.
    ///
    /// `grace` is how long before a power cut a buffered batch may have been acknowledged and yet
    /// be lost.
    ///
    /// # Errors
    /// The first promise found broken.
    pub fn judge(
        &mut self,
        found: &[Found],
        durability: Durability,
        ending: Ending,
        grace: Duration,
    ) -> Result<(), Violation> {
        let ids: BTreeSet<&str> = found.iter().map(|event| event.id.as_str()).collect();
        let known = self.first_group * self.group_records..self.groups * self.group_records;
        let mut numbers = BTreeMap::new();
        for event in found {
            if !known.contains(&event.number) {
                return Err(Violation::Stranger { number: event.number });
            }
            if numbers.insert(event.number, ()).is_some() {
                return Err(Violation::Twice { number: event.number });
            }
        }
        let mut promised = self.promised.iter();
        if let Some((number, promise)) = promised.find(|(number, _)| !numbers.contains_key(number))
        {
            return Err(Violation::PromisedLost { number: *number, promise: *promise });
        }
        for batch in self.acknowledged.drain(..) {
            let there = ids.range(batch.first.as_str()..=batch.last.as_str()).count();
            if there != batch.count && must_be_there(durability, ending, batch.at, grace) {
                let Acknowledged { first, last, count, .. } = batch;
                return Err(Violation::AcknowledgedLost { first, last, count, found: there });
            }
        }
        self.check_groups(&numbers)?;
        self.promise(numbers.into_keys(), Promise::ByReading);
        self.session.clear();
        Ok(())
    }

    /// Groups are whole or missing, and those of one session are there up to some group.
    fn check_groups(&self, numbers: &BTreeMap<usize, ()>) -> Result<(), Violation> {
        let count = self.group_records;
        for group in self.first_group..self.groups {
            let found = numbers.range(self.records(group)).count();
            if found != 0 && found != count {
                return Err(Violation::Torn { first: group * count, count, found });
            }
        }
        let is_there = |group: &usize| numbers.contains_key(&(group * count));
        let missing = self.session.iter().position(|group| !is_there(group));
        let rest = missing.and_then(|at| self.session.get(at..)).unwrap_or_default();
        match (rest.first(), rest.iter().find(|group| is_there(group))) {
            (Some(missing), Some(present)) => {
                Err(Violation::Gap { missing: missing * count, present: present * count })
            }
            (None | Some(_), None) | (None, Some(_)) => Ok(()),
        }
    }

    fn promise(&mut self, numbers: impl IntoIterator<Item = usize>, promise: Promise) {
        for number in numbers {
            self.promised.entry(number).or_insert(promise);
        }
    }

    fn records(&self, group: usize) -> std::ops::Range<usize> {
        group * self.group_records..(group + 1) * self.group_records
    }

    fn is_promised(&self, group: usize) -> bool {
        self.promised.contains_key(&(group * self.group_records))
    }
}

fn must_be_there(
    durability: Durability,
    ending: Ending,
    acknowledged_at: Instant,
    grace: Duration,
) -> bool {
    match (durability, ending) {
        (Durability::Flushed, _) | (Durability::Buffered, Ending::ProcessOnly) => true,
        (Durability::Buffered, Ending::PowerCut(at)) => {
            at.saturating_duration_since(acknowledged_at) > grace
        }
        (Durability::Relaxed, _) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(1);

    /// Event ids rise with record numbers here.
    fn found(numbers: impl IntoIterator<Item = usize>) -> Vec<Found> {
        numbers.into_iter().map(|number| Found { id: format!("{number:04}"), number }).collect()
    }

    fn batch(first: usize, last: usize) -> Acknowledged {
        Acknowledged {
            first: format!("{first:04}"),
            last: format!("{last:04}"),
            count: last + 1 - first,
            at: Instant::now(),
        }
    }

    /// Three groups of ten were sent, the first of them acknowledged.
    fn ledger() -> Ledger {
        let mut ledger = Ledger::new(10);
        assert_eq!(ledger.begin(3), (0..30).collect::<Vec<_>>());
        ledger.acknowledge([batch(0, 9)]);
        ledger
    }

    fn judge(ledger: &mut Ledger, numbers: impl IntoIterator<Item = usize>) -> Option<Violation> {
        let cut = Ending::PowerCut(Instant::now());
        ledger.judge(&found(numbers), Durability::Flushed, cut, GRACE).err()
    }

    #[test]
    fn acknowledged_batch_must_be_there_and_others_may_be() {
        assert_eq!(judge(&mut ledger(), 0..10), None);
        assert_eq!(judge(&mut ledger(), 0..20), None);
        let lost = judge(&mut ledger(), []).unwrap();
        assert!(matches!(lost, Violation::AcknowledgedLost { count: 10, found: 0, .. }), "{lost}");
    }

    #[test]
    fn what_was_found_once_is_promised_and_the_rest_is_sent_again() {
        let mut ledger = ledger();
        assert_eq!(judge(&mut ledger, 0..20), None);
        assert_eq!(ledger.begin(1), (20..40).collect::<Vec<_>>());
        let lost = judge(&mut ledger, 0..10);
        assert_eq!(lost, Some(Violation::PromisedLost { number: 10, promise: Promise::ByReading }));
    }

    #[test]
    fn session_that_ended_well_promises_all_it_was_given() {
        let mut ledger = ledger();
        ledger.settle();
        assert_eq!(ledger.owed(), 40, "ten of them twice");
        assert_eq!(
            judge(&mut ledger, 0..20),
            Some(Violation::PromisedLost { number: 20, promise: Promise::ByImport })
        );
    }

    #[test]
    fn batches_are_whole_in_order_and_known() {
        let torn = judge(&mut ledger(), 0..15);
        assert_eq!(torn, Some(Violation::Torn { first: 10, count: 10, found: 5 }));
        let gap = judge(&mut ledger(), (0..10).chain(20..30));
        assert_eq!(gap, Some(Violation::Gap { missing: 10, present: 20 }));
        assert_eq!(judge(&mut ledger(), 0..31), Some(Violation::Stranger { number: 30 }));
        let twice = judge(&mut ledger(), (0..10).chain(9..10));
        assert_eq!(twice, Some(Violation::Twice { number: 9 }));
    }

    #[test]
    fn weaker_durabilities_promise_less_and_no_less_than_that() {
        let judge =
            |durability, ending, grace| ledger().judge(&[], durability, ending, grace).is_ok();
        let cut = Ending::PowerCut(Instant::now() + Duration::from_secs(2));
        assert!(!judge(Durability::Buffered, Ending::ProcessOnly, GRACE));
        assert!(!judge(Durability::Buffered, cut, GRACE));
        assert!(judge(Durability::Buffered, cut, Duration::from_secs(10)));
        assert!(judge(Durability::Relaxed, Ending::ProcessOnly, GRACE));
        assert!(judge(Durability::Relaxed, cut, GRACE));
    }
}
