//! Events in valid-time order: those with a valid time of their own, merged with those whose valid
//! time is their transaction time.
//!
//! The latter have no entries in the valid-time family: they stand in transaction order already, so
//! the HLC family serves. Keys are (valid time, HLC).

use std::sync::Arc;

use laterbase_event::{Hlc, Position, Timestamp};
use laterbase_index::{Cursor, Entry, Family, IndexSnapshot, Range};

use super::batches::Batches;
use super::postings::Bounds;
use super::{Candidate, Source};
use crate::query::{Direction, TimeRange};
use crate::read::{Access, ReadError};
use crate::terms::valid_order;

/// All events, in valid-time order.
pub(crate) struct ByValidTime {
    explicit: Cursor,
    explicit_next: Option<Candidate>,
    defaults: Batches,
    defaults_next: Option<Candidate>,
    direction: Direction,
}

impl ByValidTime {
    /// Opens a walk over the events of a range of valid times.
    pub(crate) fn open(
        snapshot: &Arc<IndexSnapshot>,
        access: Arc<Access>,
        valid: &TimeRange,
        bounds: &Bounds,
    ) -> Result<Self, ReadError> {
        let from = valid.from.unwrap_or(Timestamp::from_micros(i64::MIN));
        let last = match valid.until {
            None => Timestamp::from_micros(i64::MAX),
            Some(until) => Timestamp::from_micros(until.as_micros().saturating_sub(1)),
        };
        let lo = Entry::floor(valid_order(from), 0);
        let hi = Entry::ceiling(valid_order(last), u64::MAX);
        let range = Range::new(Family::Valid, lo, hi).after(bounds.after).upto(bounds.upto);
        let range = match bounds.direction {
            Direction::Forward => range,
            Direction::Backward => range.descending(),
        };
        let defaults_bounds = Bounds {
            from_hlc: bounds.from_hlc.max(first_hlc(from)),
            until_hlc: bounds.until_hlc.min(last_hlc(last).as_u64()),
            ..*bounds
        };
        let mut walk = Self {
            explicit: snapshot.cursor(&range),
            explicit_next: None,
            defaults: Batches::all(snapshot, access, defaults_bounds)?,
            defaults_next: None,
            direction: bounds.direction,
        };
        walk.pull_explicit()?;
        walk.pull_defaults()?;
        Ok(walk)
    }

    fn pull_explicit(&mut self) -> Result<(), ReadError> {
        self.explicit_next = self
            .explicit
            .next()?
            .map(|entry| Candidate::new((entry.a, entry.b), Position::new(entry.position())));
        Ok(())
    }

    fn pull_defaults(&mut self) -> Result<(), ReadError> {
        self.defaults_next = self.defaults.next()?.map(|candidate| {
            let hlc = candidate.key.0;
            let valid_at = Timestamp::from_hlc(Hlc::from_u64(hlc));
            let key = (valid_order(valid_at), hlc);
            Candidate { key, default_valid_only: true, ..candidate }
        });
        Ok(())
    }
}

impl Source for ByValidTime {
    fn next(&mut self) -> Result<Option<Candidate>, ReadError> {
        let explicit_first = match (self.explicit_next, self.defaults_next) {
            (None, None) => return Ok(None),
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (Some(explicit), Some(default)) => match self.direction {
                Direction::Forward => explicit.key <= default.key,
                Direction::Backward => explicit.key >= default.key,
            },
        };
        if explicit_first {
            let candidate = self.explicit_next;
            self.pull_explicit()?;
            Ok(candidate)
        } else {
            let candidate = self.defaults_next;
            self.pull_defaults()?;
            Ok(candidate)
        }
    }
}

/// The first HLC whose time is not before `at`.
pub(crate) fn first_hlc(at: Timestamp) -> u64 {
    let millis = at.as_micros().max(0).unsigned_abs().div_ceil(1000);
    if millis > Hlc::MILLIS_MAX { u64::MAX } else { Hlc::new(millis, 0).as_u64() }
}

/// The last HLC whose time is not after `at`.
pub(crate) fn last_hlc(at: Timestamp) -> Hlc {
    let Ok(micros) = u64::try_from(at.as_micros()) else { return Hlc::ZERO };
    Hlc::new((micros / 1000).min(Hlc::MILLIS_MAX), u16::MAX)
}
