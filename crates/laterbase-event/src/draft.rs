//! What a writer hands in for one event, before it has an id.

use crate::{EventId, Limits, NameError};

/// One event to be recorded. Borrowed throughout, so that a warm builder allocates nothing.
///
/// ```
/// use laterbase_event::{BatchBuilder, EventDraft, RootName};
/// let mut batch = BatchBuilder::new(RootName::try_from("shipment")?);
/// let draft = EventDraft {
///     tags: &[("truck", "HH-AB 12")],
///     content_type: "application/json",
///     payload: br#"{"weight_kg":12}"#,
///     ..EventDraft::new("4711", "booked")
/// };
/// assert_eq!(batch.push(&draft)?, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct EventDraft<'a> {
    /// Which thing under the batch's root.
    pub key: KeyDraft<'a>,
    /// The kind of event: 1 to 128 bytes.
    pub type_name: &'a str,
    /// The version of the kind's schema.
    pub version: u32,
    /// When it happened, in microseconds since 1970; `None`: when it is recorded.
    pub valid_at: Option<i64>,
    /// Other things that it concerns, as (root, key), in any order. Repeated ones count once, and
    /// the event's own root and key are left out: they are implied.
    pub tags: &'a [(&'a str, &'a str)],
    /// The event that this one followed from.
    pub cause: CauseDraft,
    /// The writer's key for recording it once: 1 to 128 bytes.
    pub idempotency: Option<&'a [u8]>,
    /// Names and values, in any order, each name once: at most 256, together at most 4 KiB.
    pub meta: &'a [(&'a str, &'a str)],
    /// What the payload is: at most 255 bytes, may be empty.
    pub content_type: &'a str,
    /// Arbitrary bytes.
    pub payload: &'a [u8],
}

impl<'a> EventDraft<'a> {
    /// An event with just a key and a type: version 1, and everything else absent or empty.
    #[must_use]
    pub fn new(key: impl Into<KeyDraft<'a>>, type_name: &'a str) -> Self {
        Self {
            key: key.into(),
            type_name,
            version: 1,
            valid_at: None,
            tags: &[],
            cause: CauseDraft::None,
            idempotency: None,
            meta: &[],
            content_type: "",
            payload: &[],
        }
    }
}

/// The key of a new event.
///
/// ```
/// use laterbase_event::KeyDraft;
/// assert_eq!(KeyDraft::from("4711"), KeyDraft::Text("4711"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyDraft<'a> {
    /// This text: 1 to 255 bytes.
    Text(&'a str),
    /// The text form of the event's own id, which is not known yet: a thing that this one event
    /// happens to. Stored as such, in two bytes; [`crate::EventView::key`] gives the text.
    OwnId,
}

impl<'a> From<&'a str> for KeyDraft<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a alloc::string::String> for KeyDraft<'a> {
    fn from(text: &'a alloc::string::String) -> Self {
        Self::Text(text)
    }
}

/// The event that a new one followed from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CauseDraft {
    /// None is known.
    #[default]
    None,
    /// An event of the same batch, by its index, from 0.
    Earlier {
        /// What [`crate::BatchBuilder::push`] returned for it.
        index_in_batch: u16,
    },
    /// An event of the same commit, by how many events lie between: 1 is the event just before
    /// this one. Reaches into the commit's earlier batches, whose events come directly before
    /// this batch's first.
    Back {
        /// How many events back, from 1.
        distance: u32,
    },
    /// An event that has an id already.
    Id(EventId),
}

/// Which limit of a batch an event did not fit into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchLimit {
    /// [`Limits::BATCH_EVENTS_MAX`].
    Events,
    /// [`Limits::BODY_BYTES_MAX`].
    Bytes,
    /// [`Limits::BATCH_TAGS_MAX`].
    Tags,
    /// [`Limits::BATCH_TAG_ROOTS_MAX`].
    TagRoots,
}

impl core::fmt::Display for BatchLimit {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        out.pad(match self {
            Self::Events => "events",
            Self::Bytes => "bytes",
            Self::Tags => "tags",
            Self::TagRoots => "roots of tags",
        })
    }
}

/// Why an event was not taken into a batch. The batch is unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DraftError {
    /// The key is not allowed.
    #[error("the key: {0}")]
    Key(NameError),
    /// The type's name is not allowed.
    #[error("the type: {0}")]
    TypeName(NameError),
    /// The content type is not allowed.
    #[error("the content type: {0}")]
    ContentType(NameError),
    /// A tag's root is not allowed.
    #[error("the root of tag {index}: {source}")]
    TagRoot {
        /// Which tag of the draft, from 0.
        index: usize,
        /// What is wrong with it.
        source: NameError,
    },
    /// A tag's key is not allowed.
    #[error("the key of tag {index}: {source}")]
    TagKey {
        /// Which tag of the draft, from 0.
        index: usize,
        /// What is wrong with it.
        source: NameError,
    },
    /// There are too many tags.
    #[error("the event has {count} tags, at most {} are allowed; split it", Limits::TAGS_MAX)]
    TagCount {
        /// How many.
        count: usize,
    },
    /// The tags are too long together.
    #[error(
        "the event's tags have {bytes} bytes, at most {} are allowed; split it",
        Limits::TAG_BYTES_MAX
    )]
    TagBytes {
        /// How many bytes of roots and keys.
        bytes: usize,
    },
    /// The idempotency key is empty or too long.
    #[error(
        "the idempotency key has {bytes} bytes, 1 to {} are allowed; hash a longer one",
        Limits::IDEMPOTENCY_BYTES_MAX
    )]
    Idempotency {
        /// Its length.
        bytes: usize,
    },
    /// There are too many meta entries.
    #[error(
        "the event has {count} meta entries, at most {} are allowed; move them into the payload",
        Limits::META_ENTRIES_MAX
    )]
    MetaCount {
        /// How many.
        count: usize,
    },
    /// The name of a meta entry is empty or holds control characters.
    #[error("the name of meta entry {index}: {source}")]
    MetaName {
        /// Which entry of the draft, from 0.
        index: usize,
        /// What is wrong with it.
        source: NameError,
    },
    /// A name stands twice in meta.
    #[error("meta entry {index} repeats a name; give each name once")]
    MetaRepeated {
        /// Which entry of the draft, from 0.
        index: usize,
    },
    /// The meta entries are too long together.
    #[error(
        "the event's meta has {bytes} bytes, at most {} are allowed; move it into the payload",
        Limits::META_BYTES_MAX
    )]
    MetaBytes {
        /// How many bytes of names and values.
        bytes: usize,
    },
    /// The payload is too long.
    #[error(
        "the payload has {bytes} bytes, at most {bytes_max} are allowed; \
         store it elsewhere and record a reference"
    )]
    PayloadBytes {
        /// Its length.
        bytes: usize,
        /// The limit.
        bytes_max: u32,
    },
    /// The cause names an event of this commit that does not come before.
    #[error("the cause must come before its effect: it is not an earlier event of this batch")]
    CauseNotEarlier,
    /// The batch has no room left. Finish it and push the event into the next one.
    #[error(
        "the batch is full: it has room for no more {limit}; \
         finish it and push the event into the next one"
    )]
    BatchFull {
        /// Which limit was met.
        limit: BatchLimit,
    },
}
