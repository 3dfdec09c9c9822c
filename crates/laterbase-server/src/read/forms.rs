//! The forms of a page: JSON, CBOR, CloudEvents, lines.

use axum::http::HeaderValue;
use axum::response::Response;
use ciborium::Value;
use laterbase::{EventId, Recorded};
use laterbase_json::time::Clockface;
use laterbase_json::write_json;

use super::MISSING;
use super::reader::Ends;
use crate::accept::Form;
use crate::cloud_events;
use crate::describe::text;
use crate::problem::Problem;

/// One page, in the form that was chosen.
pub(super) fn page(
    form: Form,
    events: &[Recorded],
    ends: &Ends,
    database: &str,
) -> Result<Response, Problem> {
    match form {
        Form::Cbor => {
            let end = |name: &str, text: &Option<String>| {
                let value = text.clone().map_or(Value::Null, Value::Text);
                (Value::Text(name.to_owned()), value)
            };
            let members = vec![
                events_member(events),
                end("next", &ends.next),
                end("vv", &ends.vv),
                end("cursor", &ends.cursor),
            ];
            cbor(members)
        }
        Form::CloudEvents | Form::CloudEvent | Form::BinaryCloudEvent => {
            Ok(cloud_events_page(events, database))
        }
        Form::Json | Form::Ndjson | Form::Csv | Form::Text | Form::EventStream => {
            let mut out = b"{\"events\":".to_vec();
            list(events, &mut out);
            for (name, end) in [("next", &ends.next), ("vv", &ends.vv), ("cursor", &ends.cursor)] {
                let end =
                    end.as_ref().map_or_else(|| "null".to_owned(), |end| format!("\"{end}\""));
                out.extend_from_slice(format!(",\"{name}\":{end}").as_bytes());
            }
            out.extend_from_slice(b"}\n");
            Ok(text(out, Form::Json.media_type()))
        }
    }
}

/// Events that were asked for by id, and the ids of those that are not here.
pub(super) fn found(
    form: Form,
    events: &[Recorded],
    missing: &[EventId],
    database: &str,
) -> Result<Response, Problem> {
    match form {
        Form::Cbor => {
            let ids = missing.iter().map(|id| Value::Text(id.to_string())).collect();
            cbor(vec![
                events_member(events),
                (Value::Text("missing".to_owned()), Value::Array(ids)),
            ])
        }
        Form::CloudEvents | Form::CloudEvent | Form::BinaryCloudEvent => {
            Ok(with_missing(cloud_events_page(events, database), missing))
        }
        Form::Ndjson => {
            let mut out = Vec::new();
            events.iter().for_each(|recorded| line(recorded, &mut out));
            Ok(with_missing(text(out, Form::Ndjson.media_type()), missing))
        }
        Form::Json | Form::Csv | Form::Text | Form::EventStream => {
            let mut out = b"{\"events\":".to_vec();
            list(events, &mut out);
            let ids: Vec<String> = missing.iter().map(|id| format!("\"{id}\"")).collect();
            out.extend_from_slice(format!(",\"missing\":[{}]}}\n", ids.join(",")).as_bytes());
            Ok(text(out, Form::Json.media_type()))
        }
    }
}

/// How many are missing, where the form has no member for their ids.
fn with_missing(mut response: Response, missing: &[EventId]) -> Response {
    response.headers_mut().insert(MISSING, HeaderValue::from(missing.len()));
    response
}

/// One event as a CloudEvent of its own.
pub(super) fn cloud_event(form: Form, recorded: &Recorded, database: &str) -> Response {
    if form == Form::BinaryCloudEvent {
        return cloud_events::binary(&recorded.event, database);
    }
    let mut out = Vec::new();
    cloud_events::write(&recorded.event, database, &mut out);
    out.push(b'\n');
    text(out, Form::CloudEvent.media_type())
}

/// An event and a line end.
pub(super) fn line(recorded: &Recorded, out: &mut Vec<u8>) {
    write_json(recorded, &Clockface::utc(), None, out);
    out.push(b'\n');
}

fn list(events: &[Recorded], out: &mut Vec<u8>) {
    let clock = Clockface::utc();
    for (index, recorded) in events.iter().enumerate() {
        out.push(if index == 0 { b'[' } else { b',' });
        write_json(recorded, &clock, None, out);
    }
    out.extend_from_slice(if events.is_empty() { b"[]" } else { b"]" });
}

fn cloud_events_page(events: &[Recorded], database: &str) -> Response {
    let mut out = Vec::new();
    for (index, recorded) in events.iter().enumerate() {
        out.push(if index == 0 { b'[' } else { b',' });
        cloud_events::write(&recorded.event, database, &mut out);
    }
    out.extend_from_slice(if events.is_empty() { b"[]\n" } else { b"]\n" });
    text(out, Form::CloudEvents.media_type())
}

fn events_member(events: &[Recorded]) -> (Value, Value) {
    let events = events.iter().map(event_value).collect();
    (Value::Text("events".to_owned()), Value::Array(events))
}

/// An event in CBOR: as in JSON, but the payload is always its bytes, with what they are.
fn event_value(recorded: &Recorded) -> Value {
    let (event, clock) = (&recorded.event, Clockface::utc());
    let time = |micros| Value::Text(clock.format(micros));
    let text = |text: &str| Value::Text(text.to_owned());
    let mut members = vec![
        ("id", text(&event.id.to_string())),
        ("root", text(&event.root)),
        ("key", text(&event.key)),
        ("type", text(&event.type_name)),
        ("version", Value::from(event.version)),
        ("valid_at", time(event.valid_at.as_micros())),
        ("tx", time(laterbase_json::tx_micros(recorded))),
        ("seq", Value::from(event.seq)),
        ("origin", text(&event.id.replica().to_string())),
        ("content_type", text(&event.content_type)),
        ("data", Value::Bytes(event.payload.clone())),
        ("position", Value::from(recorded.position.as_u64())),
        ("arrival", time(laterbase_json::arrival_micros(recorded))),
    ];
    if !event.tags.is_empty() {
        let tags = event.tags.iter().map(|(root, key)| Value::Text(format!("{root}:{key}")));
        members.push(("tags", Value::Array(tags.collect())));
    }
    if let Some(cause) = event.cause {
        members.push(("cause", text(&cause.to_string())));
    }
    if let Some(key) = &event.idempotency {
        members.push(("idempotency_key", Value::Bytes(key.clone())));
    }
    if !event.meta.is_empty() {
        let meta = event.meta.iter().map(|(name, value)| (text(name), text(value)));
        members.push(("meta", Value::Map(meta.collect())));
    }
    let members = members.into_iter().map(|(name, value)| (text(name), value));
    Value::Map(members.collect())
}

fn cbor(members: Vec<(Value, Value)>) -> Result<Response, Problem> {
    let mut out = Vec::new();
    ciborium::into_writer(&Value::Map(members), &mut out).map_err(Problem::failed)?;
    Ok(text(out, Form::Cbor.media_type()))
}
