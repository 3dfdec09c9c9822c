//! An event that is about to be written, as text and bytes: what a record turned into.

use std::collections::BTreeMap;

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
    /// What it followed from.
    pub cause: Option<Cause>,
    /// The writer's key for it.
    pub idempotency: Option<Vec<u8>>,
    /// Small facts about the recording.
    pub meta: BTreeMap<String, String>,
    /// What the payload is.
    pub content_type: String,
    /// The payload.
    pub payload: Vec<u8>,
    /// With `--preserve`: the id that it had where it comes from.
    pub original_id: Option<String>,
}

/// The id that a preserved event names as its cause, in text form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// The id, as it was where the event comes from.
    pub original_id: String,
}

/// What JSON payloads are labelled with.
pub(crate) const JSON: &str = "application/json";
