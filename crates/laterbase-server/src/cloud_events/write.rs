//! CloudEvents out: in the JSON format, and in binary mode.
//!
//! ```text
//!   attributes ─┬─▶ write    members of a JSON object, the payload as `data` or `data_base64`
//!               └─▶ binary   headers `ce-…`, the payload as the body
//! ```

use std::borrow::Cow;

use axum::http::{HeaderName, HeaderValue, header};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use laterbase::{CONTENT_TYPE_JSON, Event};
use laterbase_json::time::Clockface;
use laterbase_json::{minify_into, payload_json};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::{META, PLACED, is_name};
use crate::describe::text;

/// What is percent-encoded in headers, beside all that is not ASCII: HTTP binding 1.0.2, 3.1.3.2.
const ENCODED: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'%');

/// What a browser may do with a payload that somebody else wrote: show it, and run none of it.
const POLICY: HeaderValue = HeaderValue::from_static("default-src 'none'; sandbox");

/// Appends an event of a database to `out`, as a CloudEvent.
pub(crate) fn write(event: &Event, database: &str, out: &mut Vec<u8>) {
    out.push(b'{');
    for (index, (name, value)) in attributes(event, database).into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        member(out, name, &value);
    }
    out.push(b',');
    member(out, "datacontenttype", content_type(event));
    match payload_json(event) {
        Some(json) => {
            out.extend_from_slice(b",\"data\":");
            minify_into(json, out);
        }
        // An event without data.
        None if event.payload.is_empty() => {}
        None => {
            out.push(b',');
            member(out, "data_base64", &STANDARD.encode(&event.payload));
        }
    }
    out.push(b'}');
}

/// An answer that is an event of a database, in binary mode.
pub(crate) fn binary(event: &Event, database: &str) -> Response {
    let mut response = text(event.payload.clone(), "application/octet-stream");
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(content_type(event)) {
        headers.insert(header::CONTENT_TYPE, value);
    }
    for (name, value) in attributes(event, database) {
        let value = utf8_percent_encode(&value, ENCODED).to_string();
        let name = HeaderName::from_bytes(format!("ce-{name}").as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(&value)) {
            headers.insert(name, value);
        }
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY);
    response
}

/// All attributes but what the data is, the required ones first.
fn attributes<'a>(event: &'a Event, database: &str) -> Vec<(&'a str, Cow<'a, str>)> {
    let of_meta = |name: &str| {
        let found = event.meta.iter().find(|(key, _)| key.strip_prefix(META) == Some(name));
        found.map(|(_, value)| Cow::Borrowed(value.as_str()))
    };
    // An id counts within its source: both are the writer's, or both our own.
    let (id, source) = match (of_meta("id"), of_meta("source")) {
        (Some(id), Some(source)) => (id, source),
        (_, _) => (event.id.to_string().into(), format!("/db/{database}/e/{}", event.root).into()),
    };
    let mut all = vec![
        ("specversion", Cow::Borrowed("1.0")),
        ("id", id),
        ("source", source),
        ("type", event.type_name.as_str().into()),
        ("subject", event.key.as_str().into()),
    ];
    let time = Clockface::utc().format(event.valid_at.as_micros());
    if !time.starts_with(['@', '-']) {
        all.push(("time", time.into()));
    }
    all.push(("root", event.root.as_str().into()));
    all.push(("laterbaseid", event.id.to_string().into()));
    for (name, value) in &event.meta {
        let bare = name.strip_prefix(META).unwrap_or(name);
        let placed = PLACED.contains(&bare) || bare == "id" || bare == "source";
        let repeated = bare == name && of_meta(bare).is_some();
        if is_name(bare) && !placed && !repeated {
            all.push((bare, value.as_str().into()));
        }
    }
    all
}

fn content_type(event: &Event) -> &str {
    match event.content_type.as_str() {
        "" => CONTENT_TYPE_JSON,
        content_type => content_type,
    }
}

fn member(out: &mut Vec<u8>, name: &str, value: &str) {
    out.push(b'"');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
    // A string always has a JSON form, and writing to a vector cannot fail.
    let _ = serde_json::to_writer(out, value);
}
