//! An event that is yet to be recorded, in owned form, with typed helpers.
//!
//! The convenient way to write. The frugal one is
//! [`Commit::push_draft`](crate::Commit::push_draft), which borrows everything and allocates
//! nothing.

use std::collections::BTreeMap;

use laterbase_event::{EventId, Tag, Timestamp};
use serde::Serialize;

use crate::recorded::PayloadError;

/// The content type of JSON payloads.
pub const CONTENT_TYPE_JSON: &str = "application/json";
/// The content type of CBOR payloads.
pub const CONTENT_TYPE_CBOR: &str = "application/cbor";

/// What an event followed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Cause {
    /// Nothing that is recorded.
    #[default]
    None,
    /// The event that was pushed to the same commit, under the same root, at this index (from 0,
    /// over the whole commit).
    Earlier(usize),
    /// An event that is recorded, here or elsewhere.
    Id(EventId),
}

/// An event to be recorded.
///
/// ```
/// use laterbase::{NewEvent, Timestamp};
///
/// let event = NewEvent::new("shipment", "4711", "departed")
///     .json(&serde_json::json!({ "port": "NLRTM" }))?
///     .valid_at(Timestamp::from_micros(1_772_366_400_000_000))
///     .tag("truck:7".parse()?);
/// assert_eq!(event.content_type, "application/json");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// The kind of thing it happened to.
    pub root: String,
    /// Which one; `None`: the event's own id.
    pub key: Option<String>,
    /// What kind of event it is.
    pub type_name: String,
    /// The version of its type's schema.
    pub version: u32,
    /// When it happened; `None`: when it is recorded.
    pub valid_at: Option<Timestamp>,
    /// Other things that it concerns.
    pub tags: Vec<Tag>,
    /// What it followed from.
    pub cause: Cause,
    /// The writer's key: recording the same again changes nothing.
    pub idempotency_key: Option<Vec<u8>>,
    /// Small facts about the recording: actor, correlation id.
    pub meta: BTreeMap<String, String>,
    /// The media type of the payload.
    pub content_type: String,
    /// What happened.
    pub payload: Vec<u8>,
}

impl NewEvent {
    /// An event of a type, with an empty JSON payload (`null`), that happens when it is recorded.
    pub fn new(
        root: impl Into<String>,
        key: impl Into<String>,
        type_name: impl Into<String>,
    ) -> Self {
        Self { key: Some(key.into()), ..Self::keyless(root, type_name) }
    }

    /// The same with the event's own id as its key.
    pub fn keyless(root: impl Into<String>, type_name: impl Into<String>) -> Self {
        Self {
            root: root.into(),
            key: None,
            type_name: type_name.into(),
            version: 1,
            valid_at: None,
            tags: Vec::new(),
            cause: Cause::None,
            idempotency_key: None,
            meta: BTreeMap::new(),
            content_type: CONTENT_TYPE_JSON.to_owned(),
            payload: b"null".to_vec(),
        }
    }

    /// With a JSON payload.
    ///
    /// # Errors
    /// [`PayloadError`] when the value has no JSON form.
    pub fn json(mut self, payload: &impl Serialize) -> Result<Self, PayloadError> {
        self.payload = serde_json::to_vec(payload).map_err(PayloadError::Json)?;
        CONTENT_TYPE_JSON.clone_into(&mut self.content_type);
        Ok(self)
    }

    /// With a CBOR payload.
    ///
    /// # Errors
    /// [`PayloadError`] when the value has no CBOR form.
    pub fn cbor(mut self, payload: &impl Serialize) -> Result<Self, PayloadError> {
        self.payload.clear();
        ciborium::into_writer(payload, &mut self.payload)
            .map_err(|error| PayloadError::CborOut(error.to_string()))?;
        CONTENT_TYPE_CBOR.clone_into(&mut self.content_type);
        Ok(self)
    }

    /// With any bytes as its payload.
    #[must_use]
    pub fn bytes(mut self, content_type: impl Into<String>, payload: impl Into<Vec<u8>>) -> Self {
        self.content_type = content_type.into();
        self.payload = payload.into();
        self
    }

    /// With the time at which it happened.
    #[must_use]
    pub fn valid_at(mut self, at: Timestamp) -> Self {
        self.valid_at = Some(at);
        self
    }

    /// With one more thing that it concerns.
    #[must_use]
    pub fn tag(mut self, tag: Tag) -> Self {
        self.tags.push(tag);
        self
    }

    /// With what it followed from.
    #[must_use]
    pub fn cause(mut self, cause: Cause) -> Self {
        self.cause = cause;
        self
    }

    /// With the writer's key, which makes a repeated append harmless.
    #[must_use]
    pub fn idempotency_key(mut self, key: impl Into<Vec<u8>>) -> Self {
        self.idempotency_key = Some(key.into());
        self
    }

    /// With one more fact about the recording.
    #[must_use]
    pub fn meta(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.meta.insert(name.into(), value.into());
        self
    }

    /// With another version of its type's schema than 1.
    #[must_use]
    pub fn version(mut self, version: u32) -> Self {
        self.version = version;
        self
    }
}
