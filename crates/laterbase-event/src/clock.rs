//! The hybrid logical clock of one replica.
//!
//! Sans-IO: the caller brings the wall clock with each call and recovers the state from its log.
//! The clock only ever rises, whatever the wall clock does; a full counter moves to the next
//! millisecond. "The wall" below is the later of the wall clock and the build date, so that a
//! device without a battery-backed clock neither writes in 1970 nor takes itself for a time
//! traveller.
//!
//! It leaves out what to do when the clock runs ahead: the caller mints a new replica id and
//! starts a fresh clock.

use crate::{Hlc, ReplicaId};

/// The clock of one replica.
///
/// ```
/// use laterbase_event::{Clock, Hlc, Observed, ReplicaId};
/// let mut clock = Clock::new(ReplicaId::from_u64(7), Hlc::ZERO, Hlc::ZERO, 300_000);
/// assert_eq!(clock.tick(1_000, 3)?, Hlc::new(1_000, 0));
/// // The wall clock stepped back; ids rise all the same.
/// assert_eq!(clock.tick(500, 1)?, Hlc::new(1_000, 3));
/// assert_eq!(clock.observe(Hlc::new(2_000, 0), 1_000), Observed::Taken);
/// assert_eq!(clock.tick(1_000, 1)?, Hlc::new(2_000, 1));
/// # Ok::<(), laterbase_event::ClockError>(())
/// ```
///
/// Source: Kulkarni, Demirbas et al., "Logical Physical Clocks", 2014.
#[derive(Clone, Debug)]
pub struct Clock {
    replica: ReplicaId,
    last: Hlc,
    build_floor: Hlc,
    max_drift_ms: u64,
}

/// What [`Clock::observe`] made of a remote clock value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Observed {
    /// The clock is now at least at the remote value.
    Taken,
    /// The value is further in the future than the drift bound; the clock did not move. Store and
    /// forward the event all the same, and mark it locally.
    ClockSuspect,
}

/// Why the clock gave no ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClockError {
    /// No ids were asked for.
    #[error("no ids were asked for; ask for at least one")]
    NoIds,
    /// The 64 bits are used up: only a wall clock in the year 10889 leads here.
    #[error("the clock is at its end; set the wall clock and mint a new replica id")]
    Exhausted,
}

impl Clock {
    /// A clock that continues after `recovered`, the highest value that this replica's log holds
    /// in the local frame, and never reads below `build_floor`.
    ///
    /// `max_drift_ms` bounds how far ahead of the wall a remote value may be to be taken.
    #[must_use]
    pub fn new(replica: ReplicaId, recovered: Hlc, build_floor: Hlc, max_drift_ms: u64) -> Self {
        Self { replica, last: recovered, build_floor, max_drift_ms }
    }

    /// Whose clock it is.
    #[must_use]
    pub fn replica(&self) -> ReplicaId {
        self.replica
    }

    /// The highest value given out, read or taken so far.
    #[must_use]
    pub fn last(&self) -> Hlc {
        self.last
    }

    /// Hands out `count` consecutive values and returns the first; `now_ms` is the wall clock.
    ///
    /// All are above every value given out, read or taken before.
    ///
    /// # Errors
    /// [`ClockError::NoIds`] for a count of 0, [`ClockError::Exhausted`] at the end of time;
    /// the clock is then unchanged.
    pub fn tick(&mut self, now_ms: u64, count: u32) -> Result<Hlc, ClockError> {
        let steps = count.checked_sub(1).ok_or(ClockError::NoIds)?;
        let next = self.last.checked_add(1).ok_or(ClockError::Exhausted)?;
        let first = next.max(self.wall(now_ms));
        self.last = first.checked_add(u64::from(steps)).ok_or(ClockError::Exhausted)?;
        Ok(first)
    }

    /// Reads the clock for an arrival time: at least the last value, at least the wall. Later
    /// readings are not lower, later ids are higher.
    pub fn read(&mut self, now_ms: u64) -> Hlc {
        self.last = self.last.max(self.wall(now_ms));
        self.last
    }

    /// Takes a remote value that came with an event, unless it is further ahead of the wall than
    /// the drift bound.
    pub fn observe(&mut self, remote: Hlc, now_ms: u64) -> Observed {
        if self.is_ahead(remote, now_ms) {
            return Observed::ClockSuspect;
        }
        self.last = self.last.max(remote).max(self.wall(now_ms));
        Observed::Taken
    }

    /// Goes on for another replica: what it gave out and took so far still counts.
    pub fn reincarnate(&mut self, replica: ReplicaId) {
        self.replica = replica;
    }

    /// Whether this clock itself is further ahead of the wall than the drift bound. Asked when a
    /// database opens: if so, it mints a new replica id and starts a fresh clock at the wall.
    #[must_use]
    pub fn runs_ahead(&self, now_ms: u64) -> bool {
        self.is_ahead(self.last, now_ms)
    }

    fn wall(&self, now_ms: u64) -> Hlc {
        Hlc::new(now_ms, 0).max(self.build_floor)
    }

    fn is_ahead(&self, hlc: Hlc, now_ms: u64) -> bool {
        hlc.millis() > self.wall(now_ms).millis().saturating_add(self.max_drift_ms)
    }
}
