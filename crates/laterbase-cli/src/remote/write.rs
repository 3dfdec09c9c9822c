//! Events recorded at a server.

use laterbase::{EventId, Expected, NewEvent};
use laterbase_client::{RemoteError, WireError};
use laterbase_json::write_new;
use serde::Deserialize;
use serde_json::{Value, json};

use super::There;
use crate::failure::{Exit, Failure};

/// What a server answers to a write.
#[derive(Debug, Deserialize)]
pub(super) struct AppendedIn {
    pub(super) outcome: String,
    pub(super) events: Vec<NamedIn>,
}

#[derive(Debug, Deserialize)]
pub(super) struct NamedIn {
    pub(super) id: String,
}

/// What became of one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NewOne {
    pub(crate) id: EventId,
    pub(crate) recorded: bool,
    /// How many events its stream has.
    pub(crate) version: u64,
}

/// Records one event, if its stream is as expected.
pub(crate) fn append(
    there: &There,
    event: &NewEvent,
    expected: Option<Expected>,
) -> Result<NewOne, Failure> {
    let mut line = Vec::new();
    if !write_new(event, &mut line) {
        return Err(Failure::new(Exit::Internal, "the event has no form in JSON"));
    }
    let mut body = b"{\"events\":[".to_vec();
    body.append(&mut line);
    body.push(b']');
    if let (Some(expected), Some(key)) = (expected, &event.key) {
        let stream = format!("{}:{key}", event.root);
        let expect = json!({ stream: expectation(expected) });
        body.extend_from_slice(format!(",\"expect\":{expect}").as_bytes());
    }
    body.push(b'}');
    let posted = there.remote.post("/e", "application/json", &body);
    let appended = match posted {
        Ok(document) => read(there, document)?,
        Err(RemoteError::Wire(error @ WireError::Lost { .. })) => {
            let hint = "whether it was recorded is not known: look with `laterbase read`; with \
                        --idempotency-key it can be repeated without a thought";
            return Err(there.failed(&error.into()).hint(hint));
        }
        Err(error) => return Err(there.failed(&error)),
    };
    let [named] = appended.events.as_slice() else {
        return Err(there.foreign("it recorded another number of events"));
    };
    let id: EventId = named.id.parse().map_err(|error| there.foreign(error))?;
    let version = stream_version(there, event, id)?;
    Ok(NewOne { id, recorded: appended.outcome == "recorded", version })
}

/// How many events a stream has there: what its entity tag says, `"REPLICA-VERSION-FORM"`.
fn stream_version(there: &There, event: &NewEvent, id: EventId) -> Result<u64, Failure> {
    let key = event.key.clone().unwrap_or_else(|| id.to_string());
    let parameters = [("root", event.root.clone()), ("key", key), ("limit", "1".to_owned())];
    let tag = there.remote.header("/e", &parameters, "etag");
    let tag = tag.map_err(|error| there.failed(&error))?.unwrap_or_default();
    let version = tag.split('-').nth(1).and_then(|version| version.parse().ok());
    version.ok_or_else(|| there.foreign("it does not tell a stream's version"))
}

fn expectation(expected: Expected) -> Value {
    match expected {
        Expected::Any => json!("any"),
        Expected::None => json!("none"),
        Expected::Exists => json!("exists"),
        Expected::At(version) => json!(version),
    }
}

/// What a server answered to a write.
pub(super) fn read(there: &There, document: Value) -> Result<AppendedIn, Failure> {
    serde_json::from_value(document).map_err(|error| there.foreign(error))
}
