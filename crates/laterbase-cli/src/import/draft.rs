//! An event that is about to be written, as text and bytes: what a record turned into.

use std::collections::BTreeMap;

use laterbase::EventId;

/// An event to be written. Whether its parts keep the limits of the store is decided when it is
/// pushed into a commit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Draft {
    /// The root under which it is recorded.
    pub root: String,
    /// The key; none means the event's own id.
    pub key: Option<String>,
    /// The type's name.
    pub type_name: String,
    /// The version of the type.
    pub version: u32,
    /// Valid time in microseconds since 1970; none means the transaction time.
    pub valid_at_micros: Option<i64>,
    /// Tags as (root, key).
    pub tags: Vec<(String, String)>,
    /// With `--preserve`: the id of what it followed from, where it comes from.
    pub original_cause: Option<EventId>,
    /// The writer's key for it.
    pub idempotency: Option<Vec<u8>>,
    /// Small facts about the recording.
    pub meta: BTreeMap<String, String>,
    /// What the payload is.
    pub content_type: String,
    /// The payload.
    pub payload: Vec<u8>,
    /// With `--preserve`: what it was where it comes from.
    pub original: Option<Original>,
}

/// Which event a preserved one is a copy of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Original {
    /// The id of the line that was read.
    pub id: EventId,
    /// Its place in its log, where the line says so.
    pub seq: Option<u64>,
    /// The event that it was first, where that is another one: id and place in its log.
    pub first: Option<(EventId, u64)>,
}

/// What JSON payloads are labelled with.
pub(crate) const JSON: &str = "application/json";
