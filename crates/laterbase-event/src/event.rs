//! An event that owns what it holds, for keeping beyond the batch it was read from.

use alloc::{string::String, vec::Vec};

use crate::{EventId, EventView, Timestamp};

/// One event, owned: what [`EventView`] shows, copied out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The event's id.
    pub id: EventId,
    /// The root under which it was recorded.
    pub root: String,
    /// Its number in its log, from 1.
    pub seq: u64,
    /// Which thing under the root.
    pub key: String,
    /// Whether the key is the event's own id, because its writer gave none.
    pub key_is_own_id: bool,
    /// The kind of event.
    pub type_name: String,
    /// The version of the kind's schema.
    pub version: u32,
    /// When it happened: what the writer gave, or else the transaction time.
    pub valid_at: Timestamp,
    /// Whether the writer gave no valid time.
    pub valid_is_default: bool,
    /// The other things that it concerns, as (root, key), ascending.
    pub tags: Vec<(String, String)>,
    /// The event that it followed from.
    pub cause: Option<EventId>,
    /// The writer's key for recording it once.
    pub idempotency: Option<Vec<u8>>,
    /// Names and values, by name.
    pub meta: Vec<(String, String)>,
    /// What the payload is.
    pub content_type: String,
    /// The payload.
    pub payload: Vec<u8>,
}

impl From<&EventView<'_>> for Event {
    fn from(view: &EventView<'_>) -> Self {
        let owned = |(name, text): (&str, &str)| (String::from(name), String::from(text));
        Self {
            id: view.id(),
            root: String::from(view.root()),
            seq: view.seq(),
            key: String::from(view.key()),
            key_is_own_id: view.key_is_own_id(),
            type_name: String::from(view.type_name()),
            version: view.version(),
            valid_at: view.valid_at(),
            valid_is_default: view.valid_is_default(),
            tags: view.tags().map(owned).collect(),
            cause: view.cause(),
            idempotency: view.idempotency().map(Vec::from),
            meta: view.meta().map(owned).collect(),
            content_type: String::from(view.content_type()),
            payload: Vec::from(view.payload()),
        }
    }
}
