//! What a consumer has been given and has done: a pure state, without clock, files or events.
//!
//! ```text
//!   positions   1 ─────────── settled ──────────── looked_to ────────── flushed
//!               all done         some open: given, not acknowledged      not looked at yet
//! ```
//! Everything up to `looked_to` is done, open, dead or does not match. What is open is given again
//! when its time is up, and after so many attempts it is dead: kept aside, with the last reason.

use std::collections::BTreeMap;

use laterbase_event::Position;
use serde::{Deserialize, Serialize};

/// What a consumer is given, and how it deals with what is not acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsumerConfig {
    /// Events of this root only.
    pub root: Option<String>,
    /// Events of any of these types; empty: of any type.
    pub types: Vec<String>,
    /// Events that carry all of these tags, `root:key` each.
    pub tags: Vec<String>,
    /// How many events may be given and not acknowledged; then nothing new is given. At least 1.
    pub open_max: usize,
    /// After how long an event that was given is given again, in milliseconds.
    pub redeliver_ms: u64,
    /// How often an event is given before it is dead. At least 1.
    pub attempts_max: u32,
}

impl Default for ConsumerConfig {
    fn default() -> Self {
        Self {
            root: None,
            types: Vec::new(),
            tags: Vec::new(),
            open_max: 1000,
            redeliver_ms: 30_000,
            attempts_max: 5,
        }
    }
}

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

    /// Everything up to here is done, dead or does not match.
    pub(super) fn settled(&self) -> Position {
        let before = self.open.keys().next().map_or(self.looked_to, |first| first - 1);
        Position::new(before)
    }

    /// What is to be given again now, at most `max`; what was given too often becomes dead.
    pub(super) fn take_due(&mut self, now_us: i64, max: usize) -> Vec<(Position, u32)> {
        let due: Vec<u64> = self
            .open
            .iter()
            .filter(|(_, open)| open.due_us <= now_us)
            .map(|(position, _)| *position)
            .collect();
        let mut again = Vec::new();
        for position in due {
            if again.len() == max {
                break;
            }
            let Some(open) = self.open.get_mut(&position) else { continue };
            if open.attempts >= self.config.attempts_max.max(1) {
                self.bury(position, now_us);
                continue;
            }
            open.attempts += 1;
            open.due_us = due_us(now_us, self.config.redeliver_ms);
            again.push((Position::new(position), open.attempts));
        }
        again
    }

    /// How many new events may be given.
    pub(super) fn room(&self) -> usize {
        self.config.open_max.max(1).saturating_sub(self.open.len())
    }

    /// Notes that a new event is given.
    pub(super) fn give(&mut self, position: Position, now_us: i64) {
        let due_us = due_us(now_us, self.config.redeliver_ms);
        self.open.insert(position.as_u64(), Open { attempts: 1, due_us, reason: None });
        self.looked_to = self.looked_to.max(position.as_u64());
    }

    /// Notes that an event is done; `false` if it was not open.
    pub(super) fn acknowledge(&mut self, position: Position) -> bool {
        self.open.remove(&position.as_u64()).is_some()
    }

    /// Notes that an event could not be dealt with: it is given again after a pause that doubles
    /// with each attempt, or is dead. `false` if it was not open.
    pub(super) fn reject(&mut self, position: Position, reason: &str, now_us: i64) -> bool {
        let Some(open) = self.open.get_mut(&position.as_u64()) else { return false };
        open.reason = Some(reason.to_owned());
        if open.attempts >= self.config.attempts_max.max(1) {
            self.bury(position.as_u64(), now_us);
            return true;
        }
        let pause_ms = 100_u64.saturating_mul(1 << open.attempts.min(16));
        open.due_us = due_us(now_us, pause_ms.min(self.config.redeliver_ms));
        true
    }

    /// Gives dead events another life; how many.
    pub(super) fn revive(&mut self, positions: &[Position], now_us: i64) -> usize {
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
    pub(super) fn discard(&mut self, positions: &[Position]) -> usize {
        let before = self.dead.len();
        positions.iter().for_each(|position| drop(self.dead.remove(&position.as_u64())));
        before - self.dead.len()
    }

    fn bury(&mut self, position: u64, now_us: i64) {
        if let Some(Open { attempts, reason, .. }) = self.open.remove(&position) {
            self.dead.insert(position, Dead { attempts, since_us: now_us, reason });
        }
    }
}

fn due_us(now_us: i64, pause_ms: u64) -> i64 {
    let pause_us = i64::try_from(pause_ms).unwrap_or(i64::MAX).saturating_mul(1000);
    now_us.saturating_add(pause_us)
}
