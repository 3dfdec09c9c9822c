//! What a body is: one event, an array, an object with conditions, lines, or CloudEvents.

use std::collections::BTreeMap;

use axum::http::HeaderMap;
use laterbase::NewEvent;
use laterbase_json::EventIn;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::Read;
use super::conditions::{Conditions, FailIf};
use crate::cloud_events;
use crate::problem::Problem;
use crate::request::media_type;

/// The form of a body, by its headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Forms {
    /// One event, an array, or events with conditions.
    Json,
    /// One event on each line.
    Ndjson,
    /// CloudEvents: one in structured mode.
    CloudEvent,
    /// CloudEvents: a batch.
    CloudEvents,
    /// CloudEvents: one in binary mode.
    Binary,
}

/// Events with conditions.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Envelope<'a> {
    #[serde(borrow)]
    events: Vec<&'a RawValue>,
    #[serde(default)]
    expect: BTreeMap<String, Value>,
    fail_if: Option<FailIf>,
}

/// Whether a body is an envelope.
#[derive(Deserialize)]
struct Peek<'a> {
    #[serde(borrow)]
    events: Option<&'a RawValue>,
}

impl Forms {
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        // The media type decides first; headers that begin with `ce-` may repeat what stands in a
        // structured body (HTTP binding 1.0.2, 3).
        match media_type(headers).as_deref() {
            Some("application/cloudevents+json") => Ok(Self::CloudEvent),
            Some("application/cloudevents-batch+json") => Ok(Self::CloudEvents),
            Some(other) if other.starts_with("application/cloudevents") => {
                Err(Problem::media_type(
                    "application/cloudevents+json or application/cloudevents-batch+json",
                ))
            }
            _ if cloud_events::is_binary(headers) => Ok(Self::Binary),
            None | Some("application/json") => Ok(Self::Json),
            Some("application/x-ndjson") => Ok(Self::Ndjson),
            Some(_) => Err(Problem::media_type(
                "application/json, application/x-ndjson, application/cloudevents+json or \
                 application/cloudevents-batch+json",
            )),
        }
    }

    /// Reads the events of a body.
    pub(crate) fn read(
        self,
        headers: &HeaderMap,
        root: Option<&str>,
        body: &[u8],
    ) -> Result<Read, Problem> {
        let conditions = Conditions::default();
        if self == Self::Binary {
            let events = vec![cloud_events::read_binary(headers, root, body)];
            return Ok(Read { events, conditions });
        }
        cloud_events::check_headers(headers).map_err(Problem::bad_request)?;
        let text = std::str::from_utf8(body).map_err(|error| {
            Problem::bad_request(format_args!("the body is not UTF-8: {error}"))
        })?;
        let event = |json: &str| event(json, root);
        let cloud_event = |json: &&RawValue| cloud_events::read(json.get(), root);
        match self {
            Self::Json => read_json(text, event),
            Self::Ndjson => {
                let lines = text.lines().filter(|line| !line.trim().is_empty());
                Ok(Read { events: lines.map(event).collect(), conditions })
            }
            Self::CloudEvent => {
                let one: &RawValue = serde_json::from_str(text).map_err(not_json)?;
                Ok(Read { events: vec![cloud_event(&one)], conditions })
            }
            Self::CloudEvents | Self::Binary => {
                let all: Vec<&RawValue> = serde_json::from_str(text).map_err(not_json)?;
                Ok(Read { events: all.iter().map(cloud_event).collect(), conditions })
            }
        }
    }
}

/// Reads the events of some lines, one by one: each that is wrong is told as such.
pub(super) fn lines(text: &[u8], root: Option<&str>) -> Vec<Result<NewEvent, String>> {
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
    let read = |line: &[u8]| {
        let text =
            std::str::from_utf8(line).map_err(|error| format!("it is not UTF-8: {error}"))?;
        event(text, root)
    };
    lines.map(read).collect()
}

fn event(json: &str, root: Option<&str>) -> Result<NewEvent, String> {
    let event = EventIn::read(json).and_then(|event| event.into_event(root));
    event.map_err(|error| error.to_string())
}

fn read_json<'a>(
    text: &'a str,
    event: impl Fn(&'a str) -> Result<NewEvent, String>,
) -> Result<Read, Problem> {
    if text.trim_start().starts_with('[') {
        let all: Vec<&'a RawValue> = serde_json::from_str(text).map_err(not_json)?;
        let events = all.into_iter().map(|json| event(json.get())).collect();
        return Ok(Read { events, conditions: Conditions::default() });
    }
    let peek: Peek<'a> = serde_json::from_str(text).map_err(not_json)?;
    if peek.events.is_none() {
        return Ok(Read { events: vec![event(text)], conditions: Conditions::default() });
    }
    let envelope: Envelope<'a> = serde_json::from_str(text).map_err(not_json)?;
    let conditions = Conditions::read(envelope.expect, envelope.fail_if)?;
    let events = envelope.events.into_iter().map(|json| event(json.get())).collect();
    Ok(Read { events, conditions })
}

fn not_json(error: serde_json::Error) -> Problem {
    Problem::bad_request(format_args!("the body is not what is expected: {error}"))
}
