//! What a consumer has been given and has done: a pure state, without clock, files or events.
//!
//! ```text
//!   positions   1 ─────────── settled ──────────── looked_to ────────── flushed
//!               all done         some open: given, not acknowledged      not looked at yet
//! ```
//! Everything up to `looked_to` is done, open, dead or does not match. What is open is given again
//! when its time is up, and after so many attempts it is spent, and dead as soon as the list of the
//! dead has room: kept aside, with the last reason.
//!
//! Invariants, held by [`State::check`] and relied on by the file: positions begin at 1 and lie at
//! or before `looked_to`, no position is open and dead at once, and at most [`OPEN_MAX`] +
//! [`DEAD_MAX`] positions are either. What is given needs room below [`OPEN_MAX`], what dies needs
//! room below [`DEAD_MAX`], and a retry moves one from the dead to the open: so it is for good.

use std::collections::BTreeMap;

use laterbase_event::Position;
use serde::{Deserialize, Serialize};

use super::config::ConsumerConfig;
use super::settlement::{Settled, Settlement};

/// How many events may be given and not acknowledged at the most.
pub(super) const OPEN_MAX: usize = 100_000;

/// How many dead events are kept.
pub(super) const DEAD_MAX: usize = 10_000;

/// The longest reason that is kept, in bytes of UTF-8.
pub(super) const REASON_BYTES_MAX: usize = 1024;

/// An event that was given and not acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Open {
    pub(super) attempts: u32,
    /// When it is given again, in microseconds since 1970.
    due_us: i64,
    reason: Option<String>,
}

/// An event that is not given any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Dead {
    pub(super) attempts: u32,
    /// When it was given up, in microseconds since 1970.
    pub(super) since_us: i64,
    pub(super) reason: Option<String>,
}

/// What a consumer has been given and has done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    pub(super) config: ConsumerConfig,
    /// Everything up to here was looked at.
    pub(super) looked_to: u64,
    pub(super) open: BTreeMap<u64, Open>,
    pub(super) dead: BTreeMap<u64, Dead>,
}

impl State {
    pub(super) fn new(config: ConsumerConfig, from: Position) -> Self {
        let looked_to = from.as_u64();
        Self { config, looked_to, open: BTreeMap::new(), dead: BTreeMap::new() }
    }

    /// Whether positions are such as can be; else what is wrong.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        let is_looked_at = |position: &u64| (1..=self.looked_to).contains(position);
        if !self.open.keys().chain(self.dead.keys()).all(is_looked_at) {
            return Err("a position is 0, or comes after `looked_to`");
        }
        if self.dead.keys().any(|position| self.open.contains_key(position)) {
            return Err("a position is open and dead at once");
        }
        Ok(())
    }

    /// Cuts reasons that are longer than what is kept.
    pub(super) fn cut_reasons(&mut self) {
        let open = self.open.values_mut().filter_map(|open| open.reason.as_mut());
        let dead = self.dead.values_mut().filter_map(|dead| dead.reason.as_mut());
        open.chain(dead).for_each(|reason| *reason = kept(reason));
    }

    /// Everything up to here is done, dead or does not match.
    pub(super) fn settled(&self) -> Position {
        let first_open = self.open.keys().next();
        Position::new(first_open.map_or(self.looked_to, |first| first.saturating_sub(1)))
    }

    /// What is to be given again now, in order.
    pub(super) fn due(&self, now_us: i64) -> Vec<Position> {
        let is_due = |open: &Open| open.due_us <= now_us && !self.is_spent(open);
        let due = self.open.iter().filter(|(_, open)| is_due(open));
        due.map(|(position, _)| Position::new(*position)).collect()
    }

    /// Notes that an event is given again; which attempt it is. `None` if it is not open any more.
    pub(super) fn give_again(&mut self, position: Position, now_us: i64) -> Option<u32> {
        let due_us = due_us(now_us, self.config.redeliver_ms);
        let open = self.open.get_mut(&position.as_u64())?;
        open.attempts = open.attempts.saturating_add(1);
        open.due_us = due_us;
        Some(open.attempts)
    }

    /// Whether an event was given for the last time, and nobody said in time what became of it.
    pub(super) fn has_spent(&self, now_us: i64) -> bool {
        self.open.values().any(|open| open.due_us <= now_us && self.is_spent(open))
    }

    /// Puts what is spent on the list of the dead, as far as that has room.
    pub(super) fn bury_spent(&mut self, now_us: i64) {
        let is_over = |open: &Open| open.due_us <= now_us && self.is_spent(open);
        let spent = self.open.iter().filter(|(_, open)| is_over(open));
        let room = DEAD_MAX.saturating_sub(self.dead.len());
        let positions: Vec<u64> = spent.map(|(position, _)| *position).take(room).collect();
        positions.into_iter().for_each(|position| self.bury(position, now_us));
    }

    /// How many new events may be given.
    pub(super) fn room(&self) -> usize {
        self.config.open_max.clamp(1, OPEN_MAX).saturating_sub(self.open.len())
    }

    /// Notes that new events are given, and that nothing else up to `looked_to` matches.
    pub(super) fn give(
        &mut self,
        positions: impl IntoIterator<Item = Position>,
        looked_to: Position,
        now_us: i64,
    ) {
        let due_us = due_us(now_us, self.config.redeliver_ms);
        for position in positions {
            self.open.insert(position.as_u64(), Open { attempts: 1, due_us, reason: None });
        }
        self.looked_to = self.looked_to.max(looked_to.as_u64());
    }

    /// Notes what became of events; of how many.
    pub(super) fn settle(&mut self, settlement: &Settlement, now_us: i64) -> Settled {
        let (acknowledge, reject) = (&settlement.acknowledge, &settlement.reject);
        let acknowledged = acknowledge.iter().filter(|position| self.acknowledge(**position));
        let acknowledged = acknowledged.count();
        let rejected = reject
            .iter()
            .filter(|rejection| self.reject(rejection.position, &rejection.reason, now_us))
            .count();
        let retried = self.revive(&settlement.retry, now_us);
        let discarded = self.discard(&settlement.discard);
        Settled { acknowledged, rejected, retried, discarded }
    }

    /// Notes that an event is done; `false` if it was not open.
    fn acknowledge(&mut self, position: Position) -> bool {
        self.open.remove(&position.as_u64()).is_some()
    }

    /// Notes that an event could not be dealt with: it is given again after a pause that doubles
    /// with each attempt, or is spent. `false` if it was not open.
    fn reject(&mut self, position: Position, reason: &str, now_us: i64) -> bool {
        let Some(open) = self.open.get_mut(&position.as_u64()) else { return false };
        open.reason = Some(kept(reason));
        if open.attempts >= self.config.attempts_max.max(1) {
            open.due_us = now_us;
            if self.dead.len() < DEAD_MAX {
                self.bury(position.as_u64(), now_us);
            }
            return true;
        }
        let pause_ms = 100_u64.saturating_mul(1 << open.attempts.min(16));
        open.due_us = due_us(now_us, pause_ms.min(self.config.redeliver_ms));
        true
    }

    /// Gives dead events another life; how many.
    fn revive(&mut self, positions: &[Position], now_us: i64) -> usize {
        let mut revived = 0;
        for position in positions {
            if self.dead.remove(&position.as_u64()).is_some() {
                let open = Open { attempts: 0, due_us: now_us, reason: None };
                self.open.insert(position.as_u64(), open);
                revived += 1;
            }
        }
        revived
    }

    /// Drops dead events for good; how many.
    fn discard(&mut self, positions: &[Position]) -> usize {
        let before = self.dead.len();
        positions.iter().for_each(|position| drop(self.dead.remove(&position.as_u64())));
        before - self.dead.len()
    }

    fn is_spent(&self, open: &Open) -> bool {
        open.attempts >= self.config.attempts_max.max(1)
    }

    fn bury(&mut self, position: u64, now_us: i64) {
        if let Some(Open { attempts, reason, .. }) = self.open.remove(&position) {
            self.dead.insert(position, Dead { attempts, since_us: now_us, reason });
        }
    }
}

/// What is kept of a reason: at most [`REASON_BYTES_MAX`] bytes of whole characters. Control
/// characters become spaces, but for line ends and tabs, so that none takes six bytes in the file.
fn kept(reason: &str) -> String {
    let end = reason.floor_char_boundary(REASON_BYTES_MAX);
    let kept = reason.get(..end).unwrap_or_default().chars();
    kept.map(|letter| match letter {
        '\n' | '\r' | '\t' => letter,
        '\0'..=' ' => ' ',
        _ => letter,
    })
    .collect()
}

fn due_us(now_us: i64, pause_ms: u64) -> i64 {
    let pause_us = i64::try_from(pause_ms).unwrap_or(i64::MAX).saturating_mul(1000);
    now_us.saturating_add(pause_us)
}

#[cfg(test)]
mod tests {
    use super::super::settlement::Rejection;
    use super::*;

    /// One attempt each, and `count` events that were given at 0.
    fn given(count: u64) -> State {
        let config = ConsumerConfig { attempts_max: 1, redeliver_ms: 1, ..Default::default() };
        let mut state = State::new(config, Position::NONE);
        state.give((1..=count).map(Position::new), Position::new(count), 0);
        state
    }

    fn rejection(position: u64, reason: &str) -> Settlement {
        let rejection = Rejection { position: Position::new(position), reason: reason.to_owned() };
        Settlement { reject: vec![rejection], ..Settlement::default() }
    }

    #[test]
    fn reasons_are_cut_between_characters() {
        let cases = [
            ("short\n\tone".to_owned(), "short\n\tone".to_owned()),
            ("a\0b\u{1b}c".to_owned(), "a b c".to_owned()),
            ("x".repeat(5000), "x".repeat(1024)),
            (format!("{}ü", "x".repeat(1023)), "x".repeat(1023)),
            (format!("{}ü", "x".repeat(1022)), format!("{}ü", "x".repeat(1022))),
        ];
        for (reason, expected) in cases {
            let mut state = given(1);
            assert_eq!(state.settle(&rejection(1, &reason), 1).rejected, 1);
            assert_eq!(state.dead[&1].reason.as_ref(), Some(&expected));
        }
    }

    #[test]
    fn the_list_of_the_dead_has_a_bound_and_nothing_is_lost_at_it() {
        let all = DEAD_MAX as u64 + 2;
        let mut state = given(all);
        assert!(!state.has_spent(999), "not due yet");
        state.bury_spent(1000);
        assert_eq!((state.dead.len(), state.open.len()), (DEAD_MAX, 2));
        assert_eq!(state.settle(&rejection(all, "again"), 2000).rejected, 1);
        assert_eq!((state.dead.len(), state.open.len()), (DEAD_MAX, 2));
        assert!(state.has_spent(2000) && state.due(2000).is_empty());
        let discard = Settlement { discard: vec![Position::new(7)], ..Settlement::default() };
        assert_eq!(state.settle(&discard, 2000).discarded, 1);
        state.bury_spent(2000);
        assert_eq!((state.dead.len(), state.open.len()), (DEAD_MAX, 1));
    }

    #[test]
    fn positions_that_cannot_be_are_found() {
        assert_eq!(given(3).check(), Ok(()));
        let of = |open: u64, dead: u64| {
            let mut state = given(3);
            let one = state.open.remove(&1).unwrap();
            state.open = BTreeMap::from([(open, one)]);
            state.dead = BTreeMap::from([(dead, Dead { attempts: 1, since_us: 0, reason: None })]);
            state
        };
        assert_eq!(of(3, 1).check(), Ok(()));
        for (open, dead) in [(0, 1), (4, 1), (1, 0), (1, 4), (2, 2)] {
            assert!(of(open, dead).check().is_err(), "{open} {dead}");
            assert_eq!(of(open, dead).settled().as_u64(), open.saturating_sub(1));
        }
    }
}
