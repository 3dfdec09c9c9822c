//! A recorded event as another program was told of it: one line of JSON back into what it was.
//!
//! What the line does not say is left as it usually is: whether the valid time was the writer's
//! own, and the counters behind the milliseconds of `arrival`.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use laterbase::{CONTENT_TYPE_JSON, Cursor, Event, EventId, Hlc, Position, Recorded, Timestamp};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::time;

/// A line of [`write_json`](crate::write_json), read.
#[derive(Debug, Deserialize)]
pub struct RecordedIn<'a> {
    id: String,
    root: String,
    key: String,
    #[serde(rename = "type")]
    type_name: String,
    version: u32,
    valid_at: String,
    seq: u64,
    #[serde(default)]
    tags: Vec<String>,
    cause: Option<String>,
    #[serde(default)]
    meta: BTreeMap<String, String>,
    idempotency_key: Option<String>,
    idempotency_key_base64: Option<String>,
    content_type: Option<String>,
    #[serde(borrow, default, deserialize_with = "crate::event_in::present")]
    data: Option<&'a RawValue>,
    data_base64: Option<String>,
    position: u64,
    arrival: String,
    cursor: Option<String>,
}

/// A line does not tell of a recorded event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no recorded event: {reason}")]
pub struct RecordedInError {
    reason: String,
}

fn wrong(reason: impl std::fmt::Display) -> RecordedInError {
    RecordedInError { reason: reason.to_string() }
}

impl<'a> RecordedIn<'a> {
    /// Reads a line.
    ///
    /// # Errors
    /// [`RecordedInError`].
    pub fn read(json: &'a str) -> Result<Self, RecordedInError> {
        serde_json::from_str(json).map_err(wrong)
    }

    /// The cursor behind the event, if the line has one.
    ///
    /// # Errors
    /// [`RecordedInError`].
    pub fn cursor(&self) -> Result<Option<Cursor>, RecordedInError> {
        self.cursor.as_deref().map(str::parse).transpose().map_err(wrong)
    }

    /// The event.
    ///
    /// # Errors
    /// [`RecordedInError`].
    pub fn into_recorded(self) -> Result<Recorded, RecordedInError> {
        let id: EventId = self.id.parse().map_err(wrong)?;
        let moment = |text: &str| time::parse(text).map_err(wrong);
        let bytes = |text: &str| STANDARD.decode(text).map_err(wrong);
        let payload = match (self.data, &self.data_base64) {
            (Some(data), None) => data.get().as_bytes().to_vec(),
            (None, Some(text)) => bytes(text)?,
            (Some(_), Some(_)) | (None, None) => return Err(wrong("it has no one payload")),
        };
        let idempotency = match (self.idempotency_key, &self.idempotency_key_base64) {
            (Some(key), _) => Some(key.into_bytes()),
            (None, Some(text)) => Some(bytes(text)?),
            (None, None) => None,
        };
        let tag = |tag: &String| {
            let parts = tag.split_once(':').ok_or_else(|| wrong("a tag is written root:key"));
            parts.map(|(root, key)| (root.to_owned(), key.to_owned()))
        };
        let arrival_ms = moment(&self.arrival)?.max(0).unsigned_abs() / 1000;
        Ok(Recorded {
            event: Event {
                key_is_own_id: self.key == self.id,
                id,
                root: self.root,
                seq: self.seq,
                key: self.key,
                type_name: self.type_name,
                version: self.version,
                valid_at: Timestamp::from_micros(moment(&self.valid_at)?),
                valid_is_default: false,
                tags: self.tags.iter().map(tag).collect::<Result<_, _>>()?,
                cause: self.cause.as_deref().map(str::parse).transpose().map_err(wrong)?,
                idempotency,
                meta: self.meta.into_iter().collect(),
                content_type: self.content_type.unwrap_or_else(|| CONTENT_TYPE_JSON.to_owned()),
                payload,
            },
            position: Position::new(self.position),
            arrival: Hlc::new(arrival_ms, 0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Clockface;
    use crate::write_json;

    const LINES: [&str; 2] = [
        concat!(
            r#"{"id":"01M7YVZY8K000FTRJT7KKJFCK3","root":"ship","key":"7","type":"seen","#,
            r#""version":2,"valid_at":"2026-03-01T12:00:00Z","tx":"TX","seq":3,"origin":"ORIGIN","#,
            r#""tags":["truck:7"],"cause":"01M7YVZZM9000371QD66ER9RDN","idempotency_key":"k","#,
            r#""meta":{"by":"me"},"data":{"a":1.50},"position":9,"#,
            r#""arrival":"2026-03-01T12:00:01Z"}"#,
        ),
        concat!(
            r#"{"id":"01M7YVZY8K000FTRJT7KKJFCK3","root":"ship","#,
            r#""key":"01M7YVZY8K000FTRJT7KKJFCK3","#,
            r#""type":"seen","version":1,"valid_at":"2026-03-01T12:00:00Z","tx":"TX","seq":3,"#,
            r#""origin":"ORIGIN","idempotency_key_base64":"/w==","content_type":"image/png","#,
            r#""data_base64":"AP8=","position":9,"arrival":"2026-03-01T12:00:01Z"}"#,
        ),
    ];

    #[test]
    fn what_is_written_is_read_as_it_was() {
        for line in LINES {
            let recorded = RecordedIn::read(line).unwrap().into_recorded().unwrap();
            let mut out = Vec::new();
            write_json(&recorded, &Clockface::utc(), None, &mut out);
            let replica = recorded.event.id.replica().to_string();
            let written = String::from_utf8(out).unwrap().replace(&replica, "ORIGIN");
            let tx = written.split("\"tx\":\"").nth(1).unwrap().split('"').next().unwrap();
            // The end of a suspect clock's event: its id lies ahead of this arrival.
            let written = written.replace(tx, "TX").replace(",\"clock_suspect\":true", "");
            assert_eq!(written, line);
        }
    }

    #[test]
    fn what_is_no_recorded_event_is_refused() {
        let good = LINES[0];
        for (from, to) in [
            ("\"id\":\"01M7", "\"id\":\"!"),
            ("\"data\":{\"a\":1.50},", ""),
            ("\"position\":9,", ""),
            ("truck:7", "truck"),
            ("12:00:01Z", "noon"),
        ] {
            let line = good.replace(from, to);
            assert_ne!(line, good);
            let read = RecordedIn::read(&line).and_then(RecordedIn::into_recorded);
            assert!(read.is_err(), "{line}");
        }
    }
}
