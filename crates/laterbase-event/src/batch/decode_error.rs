//! Why bytes could not be read: which field, and what about it.
//!
//! Small and without text, because it is made on hot paths; the caller knows which batch it was.

use core::fmt;

/// A field of a header, a dictionary, an envelope or a version vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// The byte that says which outer parts a batch has.
    Form,
    /// The format version.
    Format,
    /// The header's flags.
    HeaderFlags,
    /// The database id.
    Database,
    /// A replica id.
    Replica,
    /// The first event's clock value.
    FirstHlc,
    /// The hash of the log's batch before.
    Previous,
    /// A root's name.
    Root,
    /// A sequence number.
    FirstSeq,
    /// A number of entries.
    Count,
    /// The distance from the commit's first event.
    CommitDistance,
    /// The number of the part in the commit.
    Part,
    /// The number of parts of the commit.
    Parts,
    /// The length of the envelopes.
    EnvelopesLen,
    /// The length of the payloads.
    PayloadsLen,
    /// The signature.
    Signature,
    /// The dictionary of types, versions and content types.
    Shapes,
    /// The dictionary of tag roots.
    TagRoots,
    /// The table of where groups end.
    GroupTable,
    /// A group's envelopes: bytes follow its last event.
    GroupEnd,
    /// An event's flags.
    EventFlags,
    /// An event's index into the shapes.
    Shape,
    /// An event's key.
    Key,
    /// An event's valid time.
    ValidAt,
    /// An event's tags.
    Tags,
    /// An event's cause.
    Cause,
    /// An event's idempotency key.
    Idempotency,
    /// An event's meta.
    Meta,
    /// The length of an event's payload.
    PayloadLen,
    /// The number of an event in its batch.
    Index,
}

impl fmt::Display for Field {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Self::Form => "the batch's form",
            Self::Format => "the format version",
            Self::HeaderFlags => "the header's flags",
            Self::Database => "the database id",
            Self::Replica => "a replica id",
            Self::FirstHlc => "the first event's clock value",
            Self::Previous => "the hash of the batch before",
            Self::Root => "a root's name",
            Self::FirstSeq => "a sequence number",
            Self::Count => "a number of entries",
            Self::CommitDistance => "the distance from the commit's first event",
            Self::Part => "the part's number",
            Self::Parts => "the number of parts",
            Self::EnvelopesLen => "the length of the envelopes",
            Self::PayloadsLen => "the length of the payloads",
            Self::Signature => "the signature",
            Self::Shapes => "the dictionary of types",
            Self::TagRoots => "the dictionary of tag roots",
            Self::GroupTable => "the table of groups",
            Self::GroupEnd => "a group of events",
            Self::EventFlags => "an event's flags",
            Self::Shape => "an event's type",
            Self::Key => "an event's key",
            Self::ValidAt => "an event's valid time",
            Self::Tags => "an event's tags",
            Self::Cause => "an event's cause",
            Self::Idempotency => "an event's idempotency key",
            Self::Meta => "an event's meta",
            Self::PayloadLen => "the length of an event's payload",
            Self::Index => "an event's number in its batch",
        })
    }
}

/// Why a field could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end inside the field.
    #[error("the bytes end inside {field}; they are damaged or cut short")]
    Truncated {
        /// Which field.
        field: Field,
    },
    /// The value is not one that the field can have.
    #[error("{field} is out of range; the bytes are damaged or of a newer version")]
    OutOfRange {
        /// Which field.
        field: Field,
    },
    /// A number is not in its shortest form.
    #[error("{field} is not in its shortest form; the bytes are not canonical")]
    NotMinimal {
        /// Which field.
        field: Field,
    },
    /// Text is not UTF-8, or is cut within a character.
    #[error("{field} is not UTF-8; the bytes are damaged")]
    NotText {
        /// Which field.
        field: Field,
    },
    /// Bytes follow the end.
    #[error("bytes follow the end of {field}")]
    Trailing {
        /// After which field.
        field: Field,
    },
    /// The format version is not known.
    #[error("batch format {found} is unknown; it was written by a newer version")]
    UnknownFormat {
        /// The version byte.
        found: u8,
    },
    /// The form byte has bits that are not known.
    #[error("batch form {found:#04x} is unknown; it was written by a newer version")]
    UnknownForm {
        /// The form byte.
        found: u8,
    },
}

impl DecodeError {
    /// Whether longer bytes might have been read.
    pub(super) fn is_truncated(self) -> bool {
        matches!(self, Self::Truncated { .. })
    }
}
