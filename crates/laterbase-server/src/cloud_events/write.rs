//! CloudEvents out, in the JSON format.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use laterbase::{CONTENT_TYPE_JSON, Event};
use laterbase_json::time::Clockface;
use laterbase_json::{minify_into, payload_json};

use super::{META, PLACED, is_name};

/// Appends an event of a database to `out`, as a CloudEvent.
pub(crate) fn write(event: &Event, database: &str, out: &mut Vec<u8>) {
    let of_meta = |name: &str| {
        let found = event.meta.iter().find(|(key, _)| key.strip_prefix(META) == Some(name));
        found.map(|(_, value)| value.clone())
    };
    out.extend_from_slice(b"{\"specversion\":\"1.0\"");
    // An id counts within its source: both are the writer's, or both our own.
    let (id, source) = match (of_meta("id"), of_meta("source")) {
        (Some(id), Some(source)) => (id, source),
        (_, _) => (event.id.to_string(), format!("/db/{database}/e/{}", event.root)),
    };
    member(out, "id", &id);
    member(out, "source", &source);
    member(out, "type", &event.type_name);
    member(out, "subject", &event.key);
    let time = Clockface::utc().format(event.valid_at.as_micros());
    if !time.starts_with(['@', '-']) {
        member(out, "time", &time);
    }
    member(out, "root", &event.root);
    member(out, "laterbaseid", &event.id.to_string());
    for (name, value) in &event.meta {
        let bare = name.strip_prefix(META).unwrap_or(name);
        let placed = PLACED.contains(&bare) || bare == "id" || bare == "source";
        let repeated = bare == name && of_meta(bare).is_some();
        if is_name(bare) && !placed && !repeated {
            member(out, bare, value);
        }
    }
    let content_type = match event.content_type.as_str() {
        "" => CONTENT_TYPE_JSON,
        content_type => content_type,
    };
    member(out, "datacontenttype", content_type);
    match payload_json(event) {
        Some(json) => {
            out.extend_from_slice(b",\"data\":");
            minify_into(json, out);
        }
        None => member(out, "data_base64", &STANDARD.encode(&event.payload)),
    }
    out.push(b'}');
}

fn member(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
    // A string always has a JSON form, and writing to a vector cannot fail.
    let _ = serde_json::to_writer(out, value);
}
