//! `POST …/e/{root}`: events in, ids out.
//!
//! The body is one event, an array of events, or NDJSON. All of them are one commit: recorded
//! together or not at all, and on the device before the answer.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use laterbase::{
    AppendError, Appended, CONTENT_TYPE_JSON, Cause, Database, NewEvent, Outcome, PushError, Tag,
    Timestamp,
};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::problem::Problem;

/// What a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyForm {
    /// One event or an array.
    Json,
    /// One event on each line.
    Ndjson,
}

/// One event as a client writes it. A member that is not known would be lost: it is refused.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EventIn<'a> {
    key: Option<String>,
    #[serde(rename = "type")]
    type_name: String,
    version: Option<u32>,
    valid_at: Option<String>,
    #[serde(borrow, default, deserialize_with = "present")]
    data: Option<&'a RawValue>,
    data_base64: Option<String>,
    content_type: Option<String>,
    #[serde(default)]
    tags: Vec<String>,
    cause: Option<String>,
    #[serde(default)]
    meta: BTreeMap<String, String>,
    idempotency_key: Option<String>,
}

/// A payload that is `null` is a payload.
fn present<'de, D: Deserializer<'de>>(value: D) -> Result<Option<&'de RawValue>, D::Error> {
    Deserialize::deserialize(value).map(Some)
}

/// Records the events of a body and answers with what they are called.
pub(crate) fn append(
    database: &Database,
    root: &str,
    form: BodyForm,
    key: Option<&str>,
    body: &[u8],
) -> Result<Value, Problem> {
    let text = std::str::from_utf8(body)
        .map_err(|error| Problem::bad_request(format_args!("the body is not UTF-8: {error}")))?;
    let mut events = events(root, form, text)?;
    if events.is_empty() {
        return Err(Problem::bad_request("the body has no events; send at least one"));
    }
    if let Some(key) = key {
        let [event] = events.as_mut_slice() else {
            return Err(Problem::bad_request(
                "the header Idempotency-Key is for one event; give each an `idempotency_key`",
            ));
        };
        event.idempotency_key.get_or_insert_with(|| key.as_bytes().to_vec());
    }
    let mut commit = database.commit();
    for (index, event) in events.iter().enumerate() {
        commit.push(event).map_err(|error| refused(index, &error))?;
    }
    let appended = database
        .append(&mut commit)
        .and_then(laterbase::Ticket::wait)
        .map_err(|error| not_appended(&error))?;
    answer(database, &appended)
}

fn events(root: &str, form: BodyForm, text: &str) -> Result<Vec<NewEvent>, Problem> {
    let not_json = |error: serde_json::Error| {
        Problem::bad_request(format_args!("the body is not what is expected: {error}"))
    };
    let read: Vec<EventIn<'_>> = match form {
        BodyForm::Json if text.trim_start().starts_with('[') => {
            serde_json::from_str(text).map_err(not_json)?
        }
        BodyForm::Json => vec![serde_json::from_str(text).map_err(not_json)?],
        BodyForm::Ndjson => {
            let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
            let read = lines.map(|(index, line)| {
                serde_json::from_str(line).map_err(|error| {
                    Problem::bad_request(format_args!("line {}: {error}", index + 1))
                })
            });
            read.collect::<Result<_, _>>()?
        }
    };
    read.into_iter().enumerate().map(|(index, event)| new_event(root, index, event)).collect()
}

fn new_event(root: &str, index: usize, event: EventIn<'_>) -> Result<NewEvent, Problem> {
    let refused = |detail: String| Problem::refused_event(index, detail);
    let content_type = event.content_type.unwrap_or_else(|| CONTENT_TYPE_JSON.to_owned());
    let payload = match (event.data, event.data_base64) {
        (Some(data), None) => data.get().as_bytes().to_vec(),
        (None, Some(text)) => STANDARD
            .decode(text)
            .map_err(|error| refused(format!("`data_base64` is not base64: {error}")))?,
        (Some(_), Some(_)) => {
            return Err(refused("give `data` or `data_base64`, not both".to_owned()));
        }
        (None, None) => return Err(refused("`data` is missing".to_owned())),
    };
    let valid_at = event.valid_at.as_deref().map(moment).transpose().map_err(refused)?;
    let tags: Result<Vec<Tag>, _> = event.tags.iter().map(|tag| tag.parse()).collect();
    let cause = match event.cause.as_deref().map(str::parse) {
        None => Cause::None,
        Some(Ok(id)) => Cause::Id(id),
        Some(Err(error)) => return Err(refused(format!("`cause`: {error}"))),
    };
    Ok(NewEvent {
        root: root.to_owned(),
        key: event.key,
        type_name: event.type_name,
        version: event.version.unwrap_or(1),
        valid_at,
        tags: tags.map_err(|error| refused(format!("`tags`: {error}")))?,
        cause,
        idempotency_key: event.idempotency_key.map(String::into_bytes),
        meta: event.meta,
        content_type,
        payload,
    })
}

/// RFC 3339, cut off at the microsecond.
fn moment(text: &str) -> Result<Timestamp, String> {
    let time: jiff::Timestamp = text.parse().map_err(|_| {
        format!("`valid_at` is `{text}`; write RFC 3339, such as 2026-03-01T12:00:00Z")
    })?;
    let micros = i64::try_from(time.as_nanosecond().div_euclid(1_000));
    micros.map(Timestamp::from_micros).map_err(|_| "`valid_at` is out of range".to_owned())
}

fn refused(index: usize, error: &PushError) -> Problem {
    Problem::refused_event(index, error)
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the library may come to know more ways to fail; those are told as failures"
)]
fn not_appended(error: &AppendError) -> Problem {
    match error {
        AppendError::VersionMismatch { .. }
        | AppendError::ConditionFailed { .. }
        | AppendError::IdempotencyConflict { .. }
        | AppendError::PartlyApplied { .. }
        | AppendError::RepeatedKey { .. } => Problem::conflict(error),
        AppendError::TooLarge(_) | AppendError::Stamp(_) => Problem::refused_event(0, error),
        AppendError::Failed { .. } | AppendError::IndexesFull { .. } => Problem::storage(error),
        AppendError::Closed => Problem::busy(),
        _ => Problem::internal(),
    }
}

fn answer(database: &Database, appended: &Appended) -> Result<Value, Problem> {
    let mut events = Vec::with_capacity(appended.len());
    for (index, id) in appended.ids().enumerate() {
        let seq = match appended.seq(index) {
            Some(seq) => Some(seq),
            None => {
                let found = database.get(id).map_err(|_| Problem::internal())?;
                found.map(|recorded| recorded.event.seq)
            }
        };
        events.push(json!({ "id": id.to_string(), "seq": seq }));
    }
    let outcome = match appended.outcome {
        Outcome::Recorded => "recorded",
        Outcome::AlreadyApplied => "already_applied",
    };
    let held = database.version_vector().map_err(|_| Problem::internal())?;
    let vv = URL_SAFE_NO_PAD.encode(held.encode());
    Ok(json!({ "outcome": outcome, "events": events, "vv": vv }))
}
