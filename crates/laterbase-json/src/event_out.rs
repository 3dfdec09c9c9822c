//! An event as one line of JSON: the shape of the HTTP interface, and of `import --preserve`.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use laterbase::{CONTENT_TYPE_JSON, Cursor, Event, Options, Recorded, Timestamp};
use serde_json::value::RawValue;

use crate::minify::minify_into;
use crate::time::Clockface;

/// Appends the event to `out`, on one line and without a line end.
pub fn write_json(
    recorded: &Recorded,
    clock: &Clockface,
    cursor: Option<&Cursor>,
    out: &mut Vec<u8>,
) {
    let event = &recorded.event;
    out.extend_from_slice(b"{\"id\":");
    plain(out, &event.id);
    member(out, "root", &event.root);
    member(out, "key", &event.key);
    member(out, "type", &event.type_name);
    number(out, "version", event.version.into());
    member(out, "valid_at", &clock.format(event.valid_at.as_micros()));
    member(out, "tx", &clock.format(tx_micros(recorded)));
    number(out, "seq", event.seq);
    name(out, "origin");
    plain(out, &event.id.replica());
    if !event.tags.is_empty() {
        tags(out, &event.tags);
    }
    if let Some(cause) = event.cause {
        name(out, "cause");
        plain(out, &cause);
    }
    match event.idempotency.as_deref().map(|key| (key, std::str::from_utf8(key))) {
        None => {}
        Some((_, Ok(key))) => member(out, "idempotency_key", key),
        Some((key, Err(_))) => member(out, "idempotency_key_base64", &STANDARD.encode(key)),
    }
    if !event.meta.is_empty() {
        meta(out, &event.meta);
    }
    payload(recorded, out);
    number(out, "position", recorded.position.as_u64());
    member(out, "arrival", &clock.format(arrival_micros(recorded)));
    if recorded.is_clock_suspect(Options::default().max_drift_ms) {
        name(out, "clock_suspect");
        out.extend_from_slice(b"true");
    }
    if let Some(cursor) = cursor {
        member(out, "cursor", &cursor.to_string());
    }
    out.push(b'}');
}

/// When this replica came to hold an event, in microseconds since 1970.
#[must_use]
pub fn arrival_micros(recorded: &Recorded) -> i64 {
    Timestamp::from_hlc(recorded.arrival).as_micros()
}

/// When an event was recorded, in microseconds since 1970.
#[must_use]
pub fn tx_micros(recorded: &Recorded) -> i64 {
    Timestamp::from_hlc(recorded.event.id.hlc()).as_micros()
}

/// The payload as JSON text, if that is what it says it is and is.
#[must_use]
pub fn payload_json(event: &Event) -> Option<&str> {
    if !is_json(&event.content_type) {
        return None;
    }
    serde_json::from_slice::<&RawValue>(&event.payload).ok().map(RawValue::get)
}

/// Whether a media type is one of JSON: its subtype is `json`, or ends in `+json`.
///
/// Source: CloudEvents 1.0.2, JSON format, 3.1.
#[must_use]
pub fn is_json(content_type: &str) -> bool {
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    let subtype = media_type.split_once('/').map_or("", |(_, subtype)| subtype);
    let subtype = subtype.to_ascii_lowercase();
    subtype == "json" || subtype.ends_with("+json")
}

fn payload(recorded: &Recorded, out: &mut Vec<u8>) {
    let event = &recorded.event;
    if event.content_type != CONTENT_TYPE_JSON {
        member(out, "content_type", &event.content_type);
    }
    match payload_json(event) {
        Some(json) => {
            name(out, "data");
            if json.contains(['\n', '\r']) {
                minify_into(json, out);
            } else {
                out.extend_from_slice(json.as_bytes());
            }
        }
        None => {
            if event.content_type == CONTENT_TYPE_JSON {
                // Labelled as JSON, which it is not: the label is still the writer's.
                member(out, "content_type", &event.content_type);
            }
            member(out, "data_base64", &STANDARD.encode(&event.payload));
        }
    }
}

fn tags(out: &mut Vec<u8>, tags: &[(String, String)]) {
    name(out, "tags");
    for (index, (root, key)) in tags.iter().enumerate() {
        out.push(if index == 0 { b'[' } else { b',' });
        string(out, &format!("{root}:{key}"));
    }
    out.push(b']');
}

fn meta(out: &mut Vec<u8>, meta: &[(String, String)]) {
    name(out, "meta");
    for (index, (key, value)) in meta.iter().enumerate() {
        out.push(if index == 0 { b'{' } else { b',' });
        string(out, key);
        out.push(b':');
        string(out, value);
    }
    out.push(b'}');
}

fn name(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

fn member(out: &mut Vec<u8>, key: &str, value: &str) {
    name(out, key);
    string(out, value);
}

fn number(out: &mut Vec<u8>, key: &str, value: u64) {
    name(out, key);
    // Writing to a vector cannot fail.
    let _ = write!(out, "{value}");
}

/// A text in which nothing needs an escape.
fn plain(out: &mut Vec<u8>, value: &dyn std::fmt::Display) {
    let _ = write!(out, "\"{value}\"");
}

fn string(out: &mut Vec<u8>, text: &str) {
    // A string always has a JSON form, and writing to a vector cannot fail.
    let _ = serde_json::to_writer(out, text);
}
