//! An event as a row of CSV (RFC 4180, line ends without carriage returns).
//!
//! Tags and meta are JSON in their fields; a payload that is not JSON is base64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use laterbase::Recorded;

use super::{arrival_micros, payload_json, tx_micros};
use crate::time::Clockface;
use laterbase_json::minify_into;

/// The columns, in order.
pub(crate) const CSV_HEADER: &str = "id,root,key,type,version,valid_at,tx,seq,origin,tags,cause,\
     idempotency_key,meta,content_type,data,position,arrival";

/// Appends the event to `out`, with its line end.
pub(crate) fn write_csv(recorded: &Recorded, clock: &Clockface, out: &mut Vec<u8>) {
    let event = &recorded.event;
    let tags: Vec<String> = event.tags.iter().map(|(root, key)| format!("{root}:{key}")).collect();
    let meta: serde_json::Map<String, serde_json::Value> =
        event.meta.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
    let idempotency = event.idempotency.as_deref().unwrap_or_default();
    let data = match payload_json(event) {
        Some(json) => {
            let mut text = Vec::new();
            minify_into(json, &mut text);
            String::from_utf8(text).unwrap_or_default()
        }
        None => STANDARD.encode(&event.payload),
    };
    let json = |empty: bool, value: serde_json::Value| {
        if empty { String::new() } else { value.to_string() }
    };
    let fields = [
        event.id.to_string(),
        event.root.clone(),
        event.key.clone(),
        event.type_name.clone(),
        event.version.to_string(),
        clock.format(event.valid_at.as_micros()),
        clock.format(tx_micros(recorded)),
        event.seq.to_string(),
        event.id.replica().to_string(),
        json(tags.is_empty(), tags.into()),
        event.cause.map_or_else(String::new, |cause| cause.to_string()),
        String::from_utf8_lossy(idempotency).into_owned(),
        json(meta.is_empty(), meta.into()),
        event.content_type.clone(),
        data,
        recorded.position.to_string(),
        clock.format(arrival_micros(recorded)),
    ];
    for (index, field) in fields.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        push_field(field, out);
    }
    out.push(b'\n');
}

fn push_field(field: &str, out: &mut Vec<u8>) {
    if !field.contains([',', '"', '\n', '\r']) {
        out.extend_from_slice(field.as_bytes());
        return;
    }
    out.push(b'"');
    out.extend_from_slice(field.replace('"', "\"\"").as_bytes());
    out.push(b'"');
}
