//! What really happened in a run: faults that fired, and what the copies went through.

use std::collections::BTreeMap;
use std::fmt;

/// What a run may meet. Each counts when it has happened, not when it was planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Happening {
    /// A message was lost.
    Lost,
    /// A message arrived twice.
    Duplicated,
    /// A message overtook another one on its link.
    Reordered,
    /// A message was damaged.
    Corrupted,
    /// The network fell into two parts.
    Partition,
    /// A link carried one way only.
    OneWay,
    /// A session was cut.
    Cut,
    /// The power was cut.
    Crash,
    /// The power was cut while sessions were open.
    CrashInSync,
    /// A process was killed.
    Kill,
    /// Recovery cut off a torn tail.
    TornTail,
    /// A backup was put back where it came from.
    RestoreInPlace,
    /// A backup was put elsewhere.
    RestoreElsewhere,
    /// A copy was cloned with everything that tells it from others.
    CloneUnnoticed,
    /// A directory was copied, and both went on.
    CloneElsewhere,
    /// A clock was set by up to a day.
    ClockJump,
    /// A clock was set to 1970.
    Clock1970,
    /// A clock was set to 2090.
    Clock2090,
    /// A copy slept for a year.
    YearAsleep,
    /// A disk was full.
    DiskFull,
    /// A disk failed to write or to sync.
    DiskFailed,
    /// A stranger spoke up, and lied.
    Liar,
}

/// What the copies went through, besides faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Passage {
    /// An event was acknowledged.
    Event,
    /// A batch was back-dated.
    BackDated,
    /// A commit over several roots.
    Multi,
    /// A commit that was not flushed.
    Relaxed,
    /// A session was begun.
    Session,
    /// A session ended with both sides holding the same.
    Settled,
    /// A batch came in.
    Received,
    /// A batch came in whose clock is not believed.
    Suspect,
    /// A fork was found in a session.
    Fork,
    /// A copy took a new id.
    Reincarnation,
    /// A copy took a new id because its clock had run ahead.
    ClockAhead,
    /// A batch was quarantined.
    Quarantined,
    /// Gossip was sent.
    Gossip,
    /// A batch came in by gossip.
    Gossiped,
    /// A copy was opened again.
    Reopened,
    /// A round of healing.
    Round,
}

/// Counts of one run, or of many.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    faults: BTreeMap<Happening, u64>,
    passages: BTreeMap<Passage, u64>,
}

impl Coverage {
    /// A fault has fired.
    pub fn fault(&mut self, happening: Happening) {
        *self.faults.entry(happening).or_default() += 1;
    }

    /// Something was gone through.
    pub fn passage(&mut self, passage: Passage) {
        *self.passages.entry(passage).or_default() += 1;
    }

    /// How often a fault has fired.
    #[must_use]
    pub fn of(&self, happening: Happening) -> u64 {
        self.faults.get(&happening).copied().unwrap_or(0)
    }

    /// How often something was gone through.
    #[must_use]
    pub fn times(&self, passage: Passage) -> u64 {
        self.passages.get(&passage).copied().unwrap_or(0)
    }

    /// How many kinds of fault have fired.
    #[must_use]
    pub fn kinds(&self) -> usize {
        self.faults.len()
    }

    /// Adds the counts of another run.
    pub fn merge(&mut self, other: &Self) {
        for (happening, count) in &other.faults {
            *self.faults.entry(*happening).or_default() += count;
        }
        for (passage, count) in &other.passages {
            *self.passages.entry(*passage).or_default() += count;
        }
    }

    /// In one line, without what never happened.
    #[must_use]
    pub fn line(&self) -> String {
        let faults = self.faults.iter().map(|(what, count)| format!("{what:?} {count}"));
        let passages = self.passages.iter().map(|(what, count)| format!("{what:?} {count}"));
        faults.chain(passages).collect::<Vec<_>>().join(", ")
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "faults that fired, {} kinds:", self.kinds())?;
        for (happening, count) in &self.faults {
            writeln!(f, "{count:>10}  {happening:?}")?;
        }
        writeln!(f, "gone through:")?;
        for (passage, count) in &self.passages {
            writeln!(f, "{count:>10}  {passage:?}")?;
        }
        Ok(())
    }
}
