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

/// A log that goes further than a vector.
#[derive(Debug, Clone)]
pub(crate) struct Beyond {
    /// The hash of its writer and root.
    pub(crate) log: u64,
    /// The last seq that the vector covers.
    pub(crate) covered: u64,
    pub(crate) batches: LogBatches,
}

/// How the batches of a log are found.
#[derive(Debug, Clone)]
pub(crate) enum LogBatches {
    /// By the index, up to this seq.
    Indexed(u64),
    /// These: first seq, count and position of each. So it is where a log is forked.
    Listed(Vec<(u64, u64, Position)>),
}

/// The rest of one log.
struct LogWalk {
    entries: Entries,
    run: Option<Run>,
    /// The last seq that the vector covers.
    covered: u64,
}

enum Entries {
    Indexed(Box<Cursor>),
    Listed(std::vec::IntoIter<(u64, u64, Position)>),
}

impl Entries {
    /// The next batch: first seq, count, position.
    fn next(&mut self) -> Result<Option<(u64, u64, Position)>, ReadError> {
        Ok(match self {
            Self::Indexed(cursor) => cursor
                .next()?
                .map(|entry| (entry.b, u64::from(entry.extra()), Position::new(entry.position()))),
            Self::Listed(listed) => listed.next(),
        })
    }
}

/// The events outside a version vector, in HLC order.
pub(crate) struct Missing {
    logs: Vec<LogWalk>,
    access: Arc<Access>,
}

impl Missing {
    /// Opens a walk over what follows `covered` in each log.
    pub(crate) fn open(
        snapshot: &Arc<IndexSnapshot>,
        access: Arc<Access>,
        logs: Vec<Beyond>,
        upto: Position,
    ) -> Result<Self, ReadError> {
        let mut walks = Vec::with_capacity(logs.len());
        for Beyond { log, covered, batches } in logs {
            let entries = match batches {
                LogBatches::Indexed(last) => {
                    // The batch that holds the first missing event may begin before it.
                    let end = Entry::ceiling(log, covered + 1);
                    let whole = Range::new(Family::Address, Entry::MIN, end);
                    let from = snapshot
                        .last(&whole)?
                        .filter(|entry| entry.a == log)
                        .unwrap_or(Entry::floor(log, 0));
                    let to = Entry::ceiling(log, last);
                    let range = Range::new(Family::Address, from, to).upto(upto);
                    Entries::Indexed(Box::new(snapshot.cursor(&range)))
                }
                LogBatches::Listed(mut listed) => {
                    listed.retain(|(_, _, position)| *position <= upto);
                    Entries::Listed(listed.into_iter())
                }
            };
            let mut walk = LogWalk { entries, run: None, covered };
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
        while let Some((first_seq, count, position)) = self.entries.next()? {
            let first_missing = self.covered + 1;
            if first_seq + count <= first_missing {
                continue;
            }
            let run = access.run(position)?;
            self.run = Some(run.without_first(first_missing.saturating_sub(first_seq)));
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
