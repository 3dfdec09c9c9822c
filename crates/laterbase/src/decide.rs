//! Whether a commit may be appended: expected versions, append conditions, idempotency keys.
//!
//! [`decide`] looks at a snapshot that is complete up to a position; [`is_touched`] tells, under
//! the front lock, whether anything that was staged after that position could change the decision.
//! Together they are exact. `is_touched` may err on the side of deciding again, never on the other.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use laterbase_event::{EventId, EventView, Position};
use laterbase_index::{Family, PendingEntries, Range};

use crate::append::AppendError;
use crate::commit::{Demands, KeyedCause, KeyedEvent};
use crate::condition::{After, AppendCondition, ConditionMatch, Expectation};
use crate::content::ContentHash;
use crate::cursor::CursorError;
use crate::inner::Inner;
use crate::query::Query;
use crate::read::{Access, ReadError};
use crate::terms::{TermHash, TermHasher};
use crate::walk::{View, plan_everywhere};

/// What is to be done with a commit that meets its demands.
pub(crate) enum Decision {
    Append,
    /// All of it was recorded before, as these events.
    AlreadyApplied(Vec<EventId>),
}

/// Decides on everything up to a position.
pub(crate) fn decide(
    inner: &Arc<Inner>,
    demands: &Demands,
    decided_to: Position,
) -> Result<Decision, AppendError> {
    let view = inner.view_to(decided_to)?;
    // A repetition is answered before anything else: its first time met the demands.
    if let Some(ids) = already_applied(&view, demands)? {
        return Ok(Decision::AlreadyApplied(ids));
    }
    for expectation in &demands.expectations {
        check_expectation(&view, expectation)?;
    }
    for (index, condition) in demands.conditions.iter().enumerate() {
        check_condition(inner, &view, index, condition)?;
    }
    Ok(Decision::Append)
}

/// Whether something after `decided_to` that waits for the indexes could change the decision.
pub(crate) fn is_touched(
    hasher: &TermHasher,
    demands: &Demands,
    pending: &PendingEntries,
    decided_to: Position,
) -> bool {
    if pending.upto() <= decided_to {
        return false;
    }
    if !demands.conditions.is_empty() {
        return true;
    }
    let newer = |hash: TermHash| {
        pending.family(Family::Posting).iter().any(|entry| {
            entry.position() > decided_to.as_u64()
                && entry.a == hash.high
                && entry.extra() == hash.extra
        })
    };
    demands.keyed.iter().any(|keyed| newer(keyed.term))
        || demands.expectations.iter().any(|expectation| {
            newer(hasher.stream(expectation.root.as_str(), expectation.key.as_str()))
        })
}

fn check_expectation(view: &View, expectation: &Expectation) -> Result<(), AppendError> {
    let (root, key) = (&expectation.root, &expectation.key);
    let actual = stream_version(view, root.as_str(), key.as_str())?;
    if expectation.expected.is_met_by(actual) {
        return Ok(());
    }
    Err(AppendError::VersionMismatch {
        root: *root,
        key: key.clone(),
        expected: expectation.expected,
        actual,
    })
}

/// The number of a stream's events within the view.
pub(crate) fn stream_version(view: &View, root: &str, key: &str) -> Result<u64, ReadError> {
    let term = view.hasher.stream(root, key);
    let range = Range::term(Family::Posting, term.high).with_extra(term.extra).upto(view.bound);
    Ok(view.snapshot.count(&range)?)
}

fn check_condition(
    inner: &Inner,
    view: &View,
    index: usize,
    condition: &AppendCondition,
) -> Result<(), AppendError> {
    let mut query = Query::all();
    let mut after = Position::NONE;
    match &condition.after {
        After::Start => {}
        After::Cursor(cursor) => after = inner.arrival_of(cursor, view.bound)?,
        After::Vector(vector) => query.unknown_to = Some(vector.clone()),
    }
    let queries = match &condition.matches {
        ConditionMatch::All => vec![query],
        ConditionMatch::Items(items) => items
            .iter()
            .map(|item| Query {
                types: item.types.clone(),
                tags: item.tags.clone(),
                ..query.clone()
            })
            .collect(),
    };
    for query in &queries {
        let mut found = None;
        plan_everywhere(view, query, after)?.run(|event, position, _| {
            found = Some((event.id(), position));
            ControlFlow::Break(())
        })?;
        if let Some((id, position)) = found {
            return Err(AppendError::ConditionFailed { condition: index, id, position });
        }
    }
    Ok(())
}

/// The ids of the commit's events, if all were recorded before.
fn already_applied(view: &View, demands: &Demands) -> Result<Option<Vec<EventId>>, AppendError> {
    check_repeated(&demands.keyed, demands)?;
    let mut applied = Vec::new();
    for keyed in &demands.keyed {
        let wanted = demands.key_of(keyed);
        let Some(found) = find_keyed(view, keyed.term, wanted)? else { continue };
        let id = found.id;
        if found.content != keyed.content || !found.follows_from(keyed.cause, &applied) {
            return Err(AppendError::IdempotencyConflict { index: keyed.index, existing: id });
        }
        applied.push((keyed.index, id));
    }
    if applied.is_empty() {
        return Ok(None);
    }
    if applied.len() < demands.events {
        return Err(AppendError::PartlyApplied { applied, events: demands.events });
    }
    Ok(Some(applied.into_iter().map(|(_, id)| id).collect()))
}

fn check_repeated(keyed: &[KeyedEvent], demands: &Demands) -> Result<(), AppendError> {
    if keyed.len() < 2 {
        return Ok(());
    }
    let mut seen = HashMap::with_capacity(keyed.len());
    for event in keyed {
        if let Some(first) = seen.insert(demands.key_of(event), event.index) {
            return Err(AppendError::RepeatedKey { first, second: event.index });
        }
    }
    Ok(())
}

/// A recorded event that has an idempotency key.
struct Keyed {
    id: EventId,
    content: ContentHash,
    cause: Option<EventId>,
    commit: EventId,
}

impl Keyed {
    /// Whether its cause is the one that a repetition names: by id, or by its place in the commit,
    /// of whose events `applied` are recorded.
    fn follows_from(&self, cause: KeyedCause, applied: &[(usize, EventId)]) -> bool {
        let in_commit =
            |cause: EventId| cause.replica() == self.commit.replica() && cause >= self.commit;
        match (cause, self.cause) {
            (KeyedCause::None, recorded) => recorded.is_none(),
            (_, None) => false,
            (KeyedCause::Id(id), Some(recorded)) => id == recorded,
            (KeyedCause::SameCommit, Some(recorded)) => in_commit(recorded),
            (KeyedCause::Earlier(index), Some(recorded)) => {
                match applied.binary_search_by_key(&index, |(index, _)| *index) {
                    Ok(at) => applied.get(at).is_some_and(|(_, id)| *id == recorded),
                    Err(_) => in_commit(recorded),
                }
            }
        }
    }
}

/// The first event under a root with an idempotency key, and what it says.
fn find_keyed(
    view: &View,
    term: TermHash,
    wanted: (&str, &[u8]),
) -> Result<Option<Keyed>, ReadError> {
    find_keyed_with(view, term, wanted, |event, _| Keyed {
        id: event.id(),
        content: ContentHash::of_view(&view.hasher, event),
        cause: event.cause(),
        commit: event.header().commit(),
    })
}

/// The first event under a root with an idempotency key, read by `read`.
pub(crate) fn find_keyed_with<R>(
    view: &View,
    term: TermHash,
    (root, key): (&str, &[u8]),
    read: impl Fn(&EventView<'_>, Position) -> R,
) -> Result<Option<R>, ReadError> {
    let range = Range::term(Family::Posting, term.high).with_extra(term.extra).upto(view.bound);
    if !view.snapshot.contains(&range)? {
        return Ok(None);
    }
    let mut cursor = view.snapshot.cursor(&range);
    while let Some(entry) = cursor.next()? {
        let position = Position::new(entry.position());
        let found = view.access.with_event(position, |event, _: &Access| {
            let is_it = event.root() == root && event.idempotency() == Some(key);
            is_it.then(|| read(event, position))
        })?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

impl Inner {
    /// The arrival position that a cursor names.
    pub(crate) fn arrival_of(
        &self,
        cursor: &crate::cursor::Cursor,
        last: Position,
    ) -> Result<Position, CursorError> {
        let crate::cursor::CursorPlace::Arrival(position) = cursor.place else {
            let (expected, actual) = (crate::query::Order::Arrival, cursor.order());
            return Err(CursorError::OtherOrder { expected, actual });
        };
        if cursor.copy != self.copy {
            return Err(CursorError::OtherCopy);
        }
        if position > last {
            return Err(CursorError::Ahead { position, last });
        }
        Ok(position)
    }
}
