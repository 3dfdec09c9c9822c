//! What a version vector does not cover, by log: the address family.
//!
//! Each log that has gone further than the vector gives a walk over the rest of it; the smallest id
//! among them comes next. The cost follows what is missing, not what there is.

use std::sync::Arc;

use laterbase_event::Position;
use laterbase_index::{Cursor, Entry, Family, IndexSnapshot, Range};

use super::batches::Run;
use super::{Candidate, Source};
use crate::read::{Access, ReadError};

/// The rest of one log.
struct LogWalk {
    cursor: Cursor,
    run: Option<Run>,
    /// The last seq that the vector covers.
    covered: u64,
}

/// The events outside a version vector, in HLC order.
pub(crate) struct Missing {
    logs: Vec<LogWalk>,
    access: Arc<Access>,
}

impl Missing {
    /// Opens a walk over what follows `covered` in each log, named by its hash.
    pub(crate) fn open(
        snapshot: &Arc<IndexSnapshot>,
        access: Arc<Access>,
        logs: &[(u64, u64)],
        upto: Position,
    ) -> Result<Self, ReadError> {
        let mut walks = Vec::with_capacity(logs.len());
        for &(log, covered) in logs {
            // The batch that holds the first missing event may begin before it.
            let whole = Range::new(Family::Address, Entry::MIN, Entry::ceiling(log, covered + 1));
            let from = snapshot
                .last(&whole)?
                .filter(|entry| entry.a == log)
                .unwrap_or(Entry::floor(log, 0));
            let range = Range::new(Family::Address, from, Entry::ceiling(log, u64::MAX)).upto(upto);
            let cursor = snapshot.cursor(&range);
            let mut walk = LogWalk { cursor, run: None, covered };
            walk.advance(&access)?;
            walks.push(walk);
        }
        Ok(Self { logs: walks, access })
    }
}

impl LogWalk {
    /// Goes on to the next batch that holds something missing.
    fn advance(&mut self, access: &Access) -> Result<(), ReadError> {
        self.run = None;
        while let Some(entry) = self.cursor.next()? {
            let count = u64::from(entry.extra());
            let first_missing = self.covered + 1;
            if entry.b + count <= first_missing {
                continue;
            }
            let run = access.run(Position::new(entry.position()))?;
            self.run = Some(run.without_first(first_missing.saturating_sub(entry.b)));
            break;
        }
        Ok(())
    }
}

impl Source for Missing {
    fn next(&mut self) -> Result<Option<Candidate>, ReadError> {
        let next = self
            .logs
            .iter_mut()
            .filter_map(|log| log.run.map(|run| (run.key(), log)))
            .min_by_key(|(key, _)| *key);
        let Some((_, log)) = next else { return Ok(None) };
        let Some(run) = &mut log.run else { return Ok(None) };
        let candidate = run.take_first();
        if run.count == 0 {
            log.advance(&self.access)?;
        }
        Ok(candidate)
    }
}
