//! Faults built in on purpose, so that the tests of a safety property can be seen to fail.
//!
//! Without the cargo feature `mutants`, which is never on by default, every question below is
//! answered "no" at compile time. With it, a test may switch one fault on for its own thread. Those
//! of a host are here as well, so that one switch is enough for a simulation of both.

/// A fault that a test must catch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// A host takes over a clock from the far future.
    ClockTooFar,
    /// A batch is stored although the one before it is not held.
    AcceptGap,
    /// A batch that is held is stored once more.
    NoDuplicateCheck,
    /// Batches are acknowledged, and sent on, before they are durable.
    EarlyAck,
    /// A host goes on under its id although another copy writes under it.
    NoNewId,
    /// The branches of a fork get names that depend on which came first.
    AliasByArrival,
    /// A host takes a new id when a peer says that its log goes on, and proves nothing.
    BelieveHeads,
    /// A fold goes on from its newest state although an event came late.
    ForgetToRebase,
    /// What a row was given in a life that has ended shows in the next one.
    KeepOlderLife,
    /// Of two values of a column the one that arrived last stays.
    LastByArrival,
    /// A past state is made from one that holds what arrived later.
    MixTimes,
    /// Rows that were kept count as if they held all that the log holds.
    SkipBehindKept,
    /// What became of a consumer's events is said to be kept, and is not written.
    SettleUnwritten,
    /// A consumer has looked at events before they can be read and given.
    LookBeforeGive,
    /// An attempt is counted before the consumer's event can be read.
    CountBeforeRead,
}

impl Mutant {
    /// The mutants that sync must catch, with their names.
    pub const ALL: [(Self, &'static str); 7] = [
        (Self::ClockTooFar, "clock_too_far"),
        (Self::AcceptGap, "accept_gap"),
        (Self::NoDuplicateCheck, "no_duplicate_check"),
        (Self::EarlyAck, "early_ack"),
        (Self::NoNewId, "no_new_id"),
        (Self::AliasByArrival, "alias_by_arrival"),
        (Self::BelieveHeads, "believe_heads"),
    ];
}

/// Is this fault on, in this thread?
#[cfg(not(feature = "mutants"))]
#[must_use]
pub const fn is_active(_mutant: Mutant) -> bool {
    false
}

#[cfg(feature = "mutants")]
pub use switch::{is_active, with};

#[cfg(feature = "mutants")]
mod switch {
    extern crate std;

    use core::cell::Cell;

    use super::Mutant;

    std::thread_local! {
        static HERE: Cell<Option<Mutant>> = const { Cell::new(None) };
    }

    /// Is this fault on, in this thread?
    #[must_use]
    pub fn is_active(mutant: Mutant) -> bool {
        HERE.get() == Some(mutant)
    }

    /// Runs `act` with this fault on in the current thread.
    pub fn with<T>(mutant: Mutant, act: impl FnOnce() -> T) -> T {
        let before = HERE.replace(Some(mutant));
        let outcome = act();
        HERE.set(before);
        outcome
    }
}
