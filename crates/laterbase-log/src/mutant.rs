//! Faults built in on purpose, so that the tests of a safety property can be seen to fail.
//!
//! Without the cargo feature `mutants`, which is never on by default, every question below is
//! answered "no" at compile time. With it, the environment variable `LATERBASE_MUTANT` names one
//! fault for the whole process, read once; a test may also switch one on for its own thread.

/// A fault that a test must catch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// A group is acknowledged without a sync.
    SkipSync,
    /// A group is acknowledged before its sync; the sync comes with the next group.
    EarlyAck,
    /// The segment's epoch is left out of the checksums.
    NoEpoch,
    /// A failed sync is tried again, and believed.
    RetrySync,
    /// A directory is not synced after a file in it was created or renamed.
    SkipDirSync,
    /// What recovery found and cannot prove durable is taken as it is.
    NoResync,
    /// Damage before an intact frame of a later group is taken for a torn tail.
    LaterGroupIsTorn,
}

impl Mutant {
    /// Every mutant, with its name in `LATERBASE_MUTANT`.
    pub const ALL: [(Self, &'static str); 7] = [
        (Self::SkipSync, "skip_sync"),
        (Self::EarlyAck, "early_ack"),
        (Self::NoEpoch, "no_epoch"),
        (Self::RetrySync, "retry_sync"),
        (Self::SkipDirSync, "skip_dir_sync"),
        (Self::NoResync, "no_resync"),
        (Self::LaterGroupIsTorn, "later_group_is_torn"),
    ];
}

/// Is this fault on, in this thread?
#[cfg(not(feature = "mutants"))]
pub(crate) const fn is_active(_mutant: Mutant) -> bool {
    false
}

/// Is this fault on, in this thread?
#[cfg(feature = "mutants")]
pub fn is_active(mutant: Mutant) -> bool {
    switch::is_active(mutant)
}

#[cfg(feature = "mutants")]
pub use switch::with;

#[cfg(feature = "mutants")]
mod switch {
    use super::Mutant;
    use std::cell::Cell;
    use std::sync::OnceLock;

    thread_local! {
        static HERE: Cell<Option<Mutant>> = const { Cell::new(None) };
    }

    fn of_the_process() -> Option<Mutant> {
        static NAMED: OnceLock<Option<Mutant>> = OnceLock::new();
        *NAMED.get_or_init(|| {
            let name = std::env::var("LATERBASE_MUTANT").ok()?;
            Mutant::ALL.into_iter().find(|(_, known)| *known == name).map(|(mutant, _)| mutant)
        })
    }

    pub(super) fn is_active(mutant: Mutant) -> bool {
        HERE.get() == Some(mutant) || of_the_process() == Some(mutant)
    }

    /// Runs `act` with this fault on in the current thread.
    pub fn with<T>(mutant: Mutant, act: impl FnOnce() -> T) -> T {
        let before = HERE.replace(Some(mutant));
        let outcome = act();
        HERE.set(before);
        outcome
    }
}
