//! An event as it is read: what was recorded, and where and when it came to stand here.

use laterbase_event::{Event, EventId, Hlc, Position};
use serde::de::DeserializeOwned;

use crate::new_event::{CONTENT_TYPE_CBOR, CONTENT_TYPE_JSON};

/// A recorded event and its place on this replica.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// The event.
    pub event: Event,
    /// Its place in the order of arrival here, from 1.
    pub position: Position,
    /// When it arrived here, in this replica's time.
    pub arrival: Hlc,
}

impl Recorded {
    /// The event's id.
    #[must_use]
    pub fn id(&self) -> EventId {
        self.event.id
    }

    /// Whether the event's time lies further ahead of its arrival than a clock may drift: it was
    /// written by a clock that ran ahead. `max_drift_ms` is
    /// [`Options::max_drift_ms`](crate::Options); such a time moved no clock here, and changes
    /// nothing about the event's place in any order.
    #[must_use]
    pub fn is_clock_suspect(&self, max_drift_ms: u64) -> bool {
        let arrival_ms = self.arrival.millis();
        self.event.id.hlc().millis() > arrival_ms.saturating_add(max_drift_ms)
    }

    /// The payload as a value, from JSON.
    ///
    /// # Errors
    /// [`PayloadError`] when the payload is of another content type, or does not fit `T`.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, PayloadError> {
        json_of(&self.event.content_type, &self.event.payload)
    }

    /// The payload as a value, from CBOR.
    ///
    /// # Errors
    /// [`PayloadError`] when the payload is of another content type, or does not fit `T`.
    pub fn cbor<T: DeserializeOwned>(&self) -> Result<T, PayloadError> {
        cbor_of(&self.event.content_type, &self.event.payload)
    }
}

/// A payload of a content type as a value, from JSON.
pub(crate) fn json_of<T: DeserializeOwned>(
    content_type: &str,
    payload: &[u8],
) -> Result<T, PayloadError> {
    expect_type(content_type, CONTENT_TYPE_JSON)?;
    serde_json::from_slice(payload).map_err(PayloadError::Json)
}

/// A payload of a content type as a value, from CBOR.
pub(crate) fn cbor_of<T: DeserializeOwned>(
    content_type: &str,
    payload: &[u8],
) -> Result<T, PayloadError> {
    expect_type(content_type, CONTENT_TYPE_CBOR)?;
    ciborium::from_reader(payload).map_err(|error| PayloadError::CborIn(error.to_string()))
}

fn expect_type(actual: &str, expected: &'static str) -> Result<(), PayloadError> {
    // Parameters (`; charset=utf-8`) do not change how the bytes are read.
    let media_type = actual.split(';').next().unwrap_or(actual).trim();
    if media_type.eq_ignore_ascii_case(expected) {
        return Ok(());
    }
    Err(PayloadError::ContentType { expected, actual: actual.to_owned() })
}

/// A payload has no such form.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PayloadError {
    /// Not JSON, or not of this shape.
    #[error("the payload does not fit as JSON: {0}")]
    Json(#[source] serde_json::Error),
    /// The value has no CBOR form.
    #[error("the value cannot be written as CBOR: {0}")]
    CborOut(String),
    /// Not CBOR, or not of this shape.
    #[error("the payload does not fit as CBOR: {0}")]
    CborIn(String),
    /// Another content type.
    #[error("the payload is `{actual}`, not `{expected}`: read its bytes instead")]
    ContentType {
        /// What was asked for.
        expected: &'static str,
        /// What it is.
        actual: String,
    },
}
