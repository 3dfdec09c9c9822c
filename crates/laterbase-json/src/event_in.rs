//! An event as a client writes it: JSON in, an event to be recorded out.
//!
//! A member that is not known would be lost, so it is refused. The payload is kept as it was
//! written, digit for digit.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use laterbase::{CONTENT_TYPE_JSON, Cause, NewEvent, Timestamp};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::time::{self, TimeError};

/// One event, read and not judged yet.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventIn<'a> {
    root: Option<String>,
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

/// A text is no event.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EventInError {
    /// Not JSON, or not of this shape.
    #[error("it is not an event: {0}")]
    Shape(serde_json::Error),
    /// A root that is not the path's.
    #[error("its `root` is `{own}`, but the path says `{path}`: leave `root` out, or mend one")]
    OtherRoot {
        /// The event's.
        own: String,
        /// The path's.
        path: String,
    },
    /// No root at all.
    #[error("`root` is missing: name the kind of thing that it happened to")]
    NoRoot,
    /// Both forms of the payload.
    #[error("give `data` or `data_base64`, not both")]
    TwoPayloads,
    /// None of them.
    #[error("`data` is missing: give the payload, `null` if there is none")]
    NoPayload,
    /// Not base64.
    #[error("`data_base64` is not base64: {0}")]
    Base64(base64::DecodeError),
    /// Not a time.
    #[error("`valid_at`: {0}")]
    ValidAt(TimeError),
    /// Not a tag.
    #[error("`tags`: {0}")]
    Tag(laterbase::ParseTagError),
    /// Not an event id.
    #[error("`cause`: {0}")]
    Cause(laterbase::ParseEventIdError),
}

/// A payload that is `null` is a payload.
pub(crate) fn present<'de, D: Deserializer<'de>>(
    value: D,
) -> Result<Option<&'de RawValue>, D::Error> {
    Deserialize::deserialize(value).map(Some)
}

impl<'a> EventIn<'a> {
    /// Reads one event from JSON text.
    ///
    /// # Errors
    /// [`EventInError::Shape`].
    pub fn read(json: &'a str) -> Result<Self, EventInError> {
        serde_json::from_str(json).map_err(EventInError::Shape)
    }

    /// The event to be recorded: under `root`, or, without one, under the root that it names.
    ///
    /// # Errors
    /// [`EventInError`]. What the database itself refuses shows when the event is pushed.
    pub fn into_event(self, root: Option<&str>) -> Result<NewEvent, EventInError> {
        let root = match (root, self.root) {
            (Some(path), Some(own)) if own != path => {
                return Err(EventInError::OtherRoot { own, path: path.to_owned() });
            }
            (Some(path), Some(_) | None) => path.to_owned(),
            (None, Some(own)) => own,
            (None, None) => return Err(EventInError::NoRoot),
        };
        let payload = match (self.data, self.data_base64) {
            (Some(data), None) => data.get().as_bytes().to_vec(),
            (None, Some(text)) => STANDARD.decode(text).map_err(EventInError::Base64)?,
            (Some(_), Some(_)) => return Err(EventInError::TwoPayloads),
            (None, None) => return Err(EventInError::NoPayload),
        };
        let valid_at = self.valid_at.as_deref().map(time::parse).transpose();
        let tags = self.tags.iter().map(|tag| tag.parse()).collect::<Result<_, _>>();
        let cause = match self.cause {
            None => Cause::None,
            Some(id) => Cause::Id(id.parse().map_err(EventInError::Cause)?),
        };
        Ok(NewEvent {
            root,
            key: self.key,
            type_name: self.type_name,
            version: self.version.unwrap_or(1),
            valid_at: valid_at.map_err(EventInError::ValidAt)?.map(Timestamp::from_micros),
            tags: tags.map_err(EventInError::Tag)?,
            cause,
            idempotency_key: self.idempotency_key.map(String::into_bytes),
            meta: self.meta,
            content_type: self.content_type.unwrap_or_else(|| CONTENT_TYPE_JSON.to_owned()),
            payload,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_refused(json: &str, words: &str) {
        let error = EventIn::read(json).and_then(|event| event.into_event(None)).unwrap_err();
        assert!(error.to_string().contains(words), "{json}: {error}");
    }

    #[test]
    fn what_is_no_event_is_refused_with_what_to_write() {
        check_refused(r#"{"type":"a","data":1}"#, "`root` is missing");
        check_refused(r#"{"root":"r","type":"a"}"#, "`data` is missing");
        check_refused(r#"{"root":"r","type":"a","data":1,"colour":2}"#, "unknown field `colour`");
        check_refused(r#"{"root":"r","type":"a","data":1,"data_base64":""}"#, "not both");
        check_refused(r#"{"root":"r","type":"a","data_base64":"!"}"#, "not base64");
        check_refused(r#"{"root":"r","type":"a","data":1,"valid_at":"soon"}"#, "RFC 3339");
        check_refused(r#"{"root":"r","type":"a","data":1,"tags":["x"]}"#, "`tags`");
        check_refused(r#"{"root":"r","type":"a","data":1,"cause":"x"}"#, "`cause`");
    }

    #[test]
    fn a_payload_keeps_its_digits_and_null_is_one() {
        let event = EventIn::read(r#"{"type":"a","data":1.50}"#).unwrap();
        assert_eq!(event.into_event(Some("r")).unwrap().payload, b"1.50");
        let event = EventIn::read(r#"{"type":"a","data":null}"#).unwrap();
        assert_eq!(event.into_event(Some("r")).unwrap().payload, b"null");
    }
}
