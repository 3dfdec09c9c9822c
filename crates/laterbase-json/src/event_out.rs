//! An event as one line of JSON: the shape of the HTTP interface, and of `import --preserve`.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use laterbase::{
    CONTENT_TYPE_JSON, Cause, Cursor, Event, NewEvent, Options, Recorded, Tag, Timestamp,
};
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
        meta(out, event.meta.iter().map(|(name, value)| (name, value)));
    }
    payload(&event.content_type, &event.payload, Layout::OneLine, out);
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

/// Appends an event that is to be recorded to `out`, as [`EventIn`](crate::EventIn) reads it. An
/// idempotency key that is no text has no form there, and is answered with `false`; so is a cause
/// in the same commit.
#[must_use]
pub fn write_new(event: &NewEvent, out: &mut Vec<u8>) -> bool {
    out.extend_from_slice(b"{\"type\":");
    string(out, &event.type_name);
    member(out, "root", &event.root);
    if let Some(key) = &event.key {
        member(out, "key", key);
    }
    number(out, "version", event.version.into());
    if let Some(at) = event.valid_at {
        member(out, "valid_at", &Clockface::utc().format(at.as_micros()));
    }
    let mut is_whole = true;
    match &event.cause {
        Cause::None => {}
        Cause::Id(id) => {
            name(out, "cause");
            plain(out, id);
        }
        Cause::Earlier(_) => is_whole = false,
    }
    match event.idempotency_key.as_deref().map(std::str::from_utf8) {
        None => {}
        Some(Ok(key)) => member(out, "idempotency_key", key),
        Some(Err(_)) => is_whole = false,
    }
    if !event.tags.is_empty() {
        let tag = |tag: &Tag| (tag.root.as_str().to_owned(), tag.key.as_str().to_owned());
        tags(out, &event.tags.iter().map(tag).collect::<Vec<_>>());
    }
    if !event.meta.is_empty() {
        meta(out, &event.meta);
    }
    payload(&event.content_type, &event.payload, Layout::AsItIs, out);
    out.push(b'}');
    is_whole
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
    json_of(&event.content_type, &event.payload)
}

fn json_of<'a>(content_type: &str, payload: &'a [u8]) -> Option<&'a str> {
    if !is_json(content_type) {
        return None;
    }
    serde_json::from_slice::<&RawValue>(payload).ok().map(RawValue::get)
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

/// How JSON in an event is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    /// As it came.
    AsItIs,
    /// On one line.
    OneLine,
}

fn payload(content_type: &str, payload: &[u8], layout: Layout, out: &mut Vec<u8>) {
    if content_type != CONTENT_TYPE_JSON {
        member(out, "content_type", content_type);
    }
    match json_of(content_type, payload) {
        Some(json) => {
            name(out, "data");
            if layout == Layout::OneLine && json.contains(['\n', '\r']) {
                minify_into(json, out);
            } else {
                out.extend_from_slice(json.as_bytes());
            }
        }
        None => {
            if content_type == CONTENT_TYPE_JSON {
                // Labelled as JSON, which it is not: the label is still the writer's.
                member(out, "content_type", content_type);
            }
            member(out, "data_base64", &STANDARD.encode(payload));
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

fn meta<'a>(out: &mut Vec<u8>, meta: impl IntoIterator<Item = (&'a String, &'a String)>) {
    name(out, "meta");
    for (index, (key, value)) in meta.into_iter().enumerate() {
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

#[cfg(test)]
mod tests {
    use laterbase::EventId;

    use super::*;
    use crate::EventIn;

    #[test]
    fn what_is_to_be_recorded_is_read_as_it_was_written() {
        let mut event = NewEvent::new("ship", "7", "seen");
        event.version = 3;
        event.valid_at = Some(Timestamp::from_micros(1_772_366_400_000_001));
        event.tags = vec!["truck:a:b".parse().unwrap()];
        event.cause = Cause::Id("01M7YVZZM9000371QD66ER9RDN".parse::<EventId>().unwrap());
        event.idempotency_key = Some(b"once \"7\"".to_vec());
        event.meta.insert("by".to_owned(), "me\n".to_owned());
        for (content_type, payload) in [
            ("application/json", &b"{\"a\":\n 1.50}"[..]),
            ("text/plain", b"hi"),
            ("a/json", b"no"),
        ] {
            event.content_type = content_type.to_owned();
            event.payload = payload.to_vec();
            let mut out = Vec::new();
            assert!(write_new(&event, &mut out));
            let text = String::from_utf8(out).unwrap();
            let read = EventIn::read(&text).unwrap().into_event(None).unwrap();
            assert_eq!(format!("{read:?}"), format!("{event:?}"), "{text}");
        }
        event.idempotency_key = Some(vec![0xff]);
        assert!(!write_new(&event, &mut Vec::new()));
        event.idempotency_key = None;
        event.cause = Cause::Earlier(0);
        assert!(!write_new(&event, &mut Vec::new()));
    }
}
