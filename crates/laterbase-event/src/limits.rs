//! Every limit of the data model in one place; checked when events are written and again when
//! bytes come from elsewhere.

/// The limits of events and batches. All are part of the format but
/// [`Limits::payload_bytes_max`], which each database may choose.
///
/// ```
/// use laterbase_event::Limits;
/// let limits = Limits { payload_bytes_max: 64 * 1024 };
/// assert!(limits.payload_bytes_max < Limits::PAYLOAD_BYTES_MAX);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one payload; at most [`Limits::PAYLOAD_BYTES_MAX`] counts.
    pub payload_bytes_max: u32,
}

impl Limits {
    /// Bytes of a root's name, of `a-z 0-9 _ . -`.
    pub const ROOT_BYTES_MAX: usize = 64;
    /// Bytes of a key.
    pub const KEY_BYTES_MAX: usize = 255;
    /// Bytes of a type's name.
    pub const TYPE_BYTES_MAX: usize = 128;
    /// Bytes of a content type.
    pub const CONTENT_TYPE_BYTES_MAX: usize = 255;
    /// Tags of one event.
    pub const TAGS_MAX: usize = 4096;
    /// Bytes of one event's tags together: roots and keys.
    pub const TAG_BYTES_MAX: usize = 64 * 1024;
    /// Bytes of an idempotency key.
    pub const IDEMPOTENCY_BYTES_MAX: usize = 128;
    /// Entries of one event's meta.
    pub const META_ENTRIES_MAX: usize = 256;
    /// Bytes of one event's meta together: names and values.
    pub const META_BYTES_MAX: usize = 4096;
    /// Bytes of one payload.
    pub const PAYLOAD_BYTES_MAX: u32 = 16 * 1024 * 1024;
    /// Events of one batch.
    pub const BATCH_EVENTS_MAX: u32 = 65_535;
    /// Bytes of one batch.
    pub const BATCH_BYTES_MAX: usize = 32 * 1024 * 1024;
    /// Bytes of one batch's envelopes and payloads together: a batch without its front and
    /// signature, for which 512 bytes are kept.
    pub const BODY_BYTES_MAX: usize = Self::BATCH_BYTES_MAX - 512;
    /// Tags of all events of one batch: bounds what one batch can put into an index, however
    /// small its bytes.
    pub const BATCH_TAGS_MAX: u32 = 1 << 20;
    /// Distinct roots among the tags of one batch.
    pub const BATCH_TAG_ROOTS_MAX: usize = 65_535;
    /// Batches of one commit.
    pub const COMMIT_PARTS_MAX: u32 = 65_535;
    /// Events whose envelopes are coded against each other: what must be read to decode one.
    pub const GROUP_EVENTS: u32 = 16;
    /// Bytes of encoded version vector that a decoder looks at.
    pub const VERSION_VECTOR_BYTES_MAX: usize = 16 * 1024 * 1024;

    /// The greatest payload that is allowed, however [`Limits::payload_bytes_max`] is set.
    #[must_use]
    pub fn payload_bytes(&self) -> u32 {
        self.payload_bytes_max.min(Self::PAYLOAD_BYTES_MAX)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { payload_bytes_max: Self::PAYLOAD_BYTES_MAX }
    }
}
