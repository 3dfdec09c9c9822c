//! Why an append did not happen, as a problem that says what to do.

use laterbase::{AppendError, Key, RootName};
use serde_json::json;

use crate::problem::{Kind, Problem, Refused};

/// The problem that an error is; 412 where a header demanded what did not hold.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the library may come to know more ways to fail; those are told as failures"
)]
pub(super) fn not_appended(
    error: &AppendError,
    by_header: bool,
    stream: &Option<(RootName, Key)>,
) -> Problem {
    match error {
        AppendError::VersionMismatch { root, key, actual, .. } => {
            let is_asked = stream.as_ref().is_some_and(|(of, name)| (of, name) == (root, key));
            let kind = if by_header && is_asked { Kind::Precondition } else { Kind::Version };
            Problem::new(kind)
                .detail(error)
                .field("stream", json!(format!("{root}:{key}")))
                .field("actual", json!(actual))
        }
        AppendError::ConditionFailed { id, .. } => {
            Problem::new(Kind::Condition).detail(error).field("event", json!(id.to_string()))
        }
        AppendError::IdempotencyConflict { index, existing } => Problem::new(Kind::Conflict)
            .detail(error)
            .field("index", json!(index))
            .field("event", json!(existing.to_string())),
        AppendError::PartlyApplied { applied, .. } => {
            let one = |(index, id): &(usize, laterbase::EventId)| {
                let id = id.to_string();
                json!({ "index": index, "id": id })
            };
            let applied: Vec<_> = applied.iter().map(one).collect();
            Problem::new(Kind::Conflict).detail(error).field("applied", json!(applied))
        }
        AppendError::RepeatedKey { second, .. } => {
            let detail = error.to_string();
            Problem::refused_events(&[Refused { index: *second, detail }])
        }
        AppendError::TooLarge(_) | AppendError::Stamp(_) => {
            Problem::refused_events(&[Refused { index: 0, detail: error.to_string() }])
        }
        AppendError::Cursor(_) => Problem::new(Kind::Cursor).detail(error),
        AppendError::Failed { .. } | AppendError::IndexesFull { .. } => {
            Problem::failed(error).of_kind(Kind::Storage)
        }
        AppendError::Closed => Problem::busy(),
        _ => Problem::failed(error),
    }
}
