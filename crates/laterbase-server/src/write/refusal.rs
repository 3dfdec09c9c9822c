//! Why an append did not happen, as a problem that says what to do.

use laterbase::{AppendError, Cause, EventId, Key, NewEvent, RootName, StageError, StampError};
use serde_json::json;

use super::REFUSED_MAX;
use crate::problem::{Kind, Problem, Refused};

/// The problem that an error is. `by_header` is the stream of which a header demanded something:
/// 412 where that did not hold. `events` are those of the commit; `index` says for each which one
/// of the body it is.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the library may come to know more ways to fail; those are told as failures"
)]
pub(crate) fn not_appended(
    error: &AppendError,
    by_header: Option<&(RootName, Key)>,
    events: &[Result<NewEvent, String>],
    index: &dyn Fn(usize) -> usize,
) -> Problem {
    match error {
        AppendError::VersionMismatch { root, key, actual, .. } => {
            let is_asked = by_header.is_some_and(|(of, name)| (of, name) == (root, key));
            let kind = if is_asked { Kind::Precondition } else { Kind::Version };
            Problem::new(kind)
                .detail(error)
                .field("stream", json!(format!("{root}:{key}")))
                .field("actual", json!(actual))
        }
        AppendError::ConditionFailed { id, .. } => {
            Problem::new(Kind::Condition).detail(error).field("event", json!(id.to_string()))
        }
        AppendError::IdempotencyConflict { index: at, existing } => {
            let (index, existing) = (index(*at), *existing);
            Problem::new(Kind::Conflict)
                .detail(AppendError::IdempotencyConflict { index, existing })
                .field("index", json!(index))
                .field("event", json!(existing.to_string()))
        }
        AppendError::PartlyApplied { applied, .. } => {
            let one = |(at, id): &(usize, EventId)| {
                let id = id.to_string();
                json!({ "index": index(*at), "id": id })
            };
            let applied: Vec<_> = applied.iter().map(one).collect();
            Problem::new(Kind::Conflict).detail(error).field("applied", json!(applied))
        }
        AppendError::RepeatedKey { first, second } => {
            let (first, second) = (index(*first), index(*second));
            let detail = AppendError::RepeatedKey { first, second }.to_string();
            Problem::refused_events(&[Refused { index: second, detail }])
        }
        AppendError::TooLarge(StageError::TooLarge { bytes_max, .. }) => {
            Problem::too_large(*bytes_max)
        }
        AppendError::Stamp(StampError::CauseNotEarlier { cause }) => {
            Problem::refused_events(&not_earlier(*cause, events, index))
        }
        AppendError::Cursor(_) => Problem::new(Kind::Cursor).detail(error),
        AppendError::Failed { .. } | AppendError::IndexesFull { .. } => {
            Problem::failed(error).of_kind(Kind::Storage)
        }
        // Sent again, its events are held against the schema that there is now.
        AppendError::Closed | AppendError::SchemaChanged => Problem::busy(),
        _ => Problem::failed(error),
    }
}

/// The events that name `cause`, which comes later than they do.
fn not_earlier(
    cause: EventId,
    events: &[Result<NewEvent, String>],
    index: &dyn Fn(usize) -> usize,
) -> Vec<Refused> {
    let detail = format!("its cause {cause} is not an earlier event: leave it out, or mend it");
    let named = events
        .iter()
        .enumerate()
        .filter(|(_, event)| event.as_ref().is_ok_and(|event| event.cause == Cause::Id(cause)));
    let refused = named.map(|(at, _)| Refused { index: index(at), detail: detail.clone() });
    refused.take(REFUSED_MAX).collect()
}
