//! One decoded event with its payload, borrowed from the bytes and from the decoder's memory.

use super::{
    envelope_view::{EnvelopeView, MetaIter, TagIter},
    header::BatchHeader,
};
use crate::{EventId, Timestamp};

/// One event.
///
/// ```
/// # use laterbase_event::*;
/// # let mut batch = BatchBuilder::new(RootName::try_from("shipment")?);
/// # batch.push(&EventDraft { tags: &[("truck", "7")], ..EventDraft::new("4711", "booked") })?;
/// # let body = batch.finish();
/// # let hlc = Hlc::new(1_700_000_000_000, 0);
/// # let stamp = Stamp { database: DatabaseId::default(), replica: ReplicaId::from_u64(1),
/// #     first_seq: 1, first_hlc: hlc, commit_hlc: hlc, part: 0, parts: 1, previous: Hash::ZERO };
/// # let mut bytes = Vec::new();
/// # body.write_batch(&body.stamp(&stamp)?, &mut bytes);
/// let view = BatchView::parse(&bytes)?;
/// let mut scratch = DecodeScratch::default();
/// let mut events = view.events(&mut scratch)?;
/// while let Some(event) = events.next()? {
///     assert_eq!((event.root(), event.key(), event.type_name()), ("shipment", "4711", "booked"));
///     assert!(event.tags().eq([("truck", "7")]));
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct EventView<'a> {
    envelope: EnvelopeView<'a>,
    payload: &'a [u8],
}

impl<'a> EventView<'a> {
    pub(super) fn new(envelope: EnvelopeView<'a>, payload: &'a [u8]) -> Self {
        Self { envelope, payload }
    }

    /// Everything but the payload.
    #[must_use]
    pub fn envelope(&self) -> &EnvelopeView<'a> {
        &self.envelope
    }

    /// The payload.
    #[must_use]
    pub fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// The event's id.
    #[must_use]
    pub fn id(&self) -> EventId {
        self.envelope.id()
    }

    /// The header of its batch.
    #[must_use]
    pub fn header(&self) -> &'a BatchHeader {
        self.envelope.header()
    }

    /// Its index in the batch, from 0.
    #[must_use]
    pub fn index(&self) -> u32 {
        self.envelope.index()
    }

    /// The root under which it was recorded.
    #[must_use]
    pub fn root(&self) -> &'a str {
        self.envelope.root()
    }

    /// Its number in its log, from 1.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.envelope.seq()
    }

    /// Which thing under the root.
    #[must_use]
    pub fn key(&self) -> &'a str {
        self.envelope.key()
    }

    /// Whether the key is the event's own id, because its writer gave none.
    #[must_use]
    pub fn key_is_own_id(&self) -> bool {
        self.envelope.key_is_own_id()
    }

    /// The kind of event.
    #[must_use]
    pub fn type_name(&self) -> &'a str {
        self.envelope.type_name()
    }

    /// The version of the kind's schema.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.envelope.version()
    }

    /// When it happened: what the writer gave, or else the transaction time.
    #[must_use]
    pub fn valid_at(&self) -> Timestamp {
        self.envelope.valid_at()
    }

    /// Whether the writer gave no valid time.
    #[must_use]
    pub fn valid_is_default(&self) -> bool {
        self.envelope.valid_is_default()
    }

    /// The other things that it concerns, ascending, without its own root and key.
    #[must_use]
    pub fn tags(&self) -> TagIter<'a> {
        self.envelope.tags()
    }

    /// The event that it followed from.
    #[must_use]
    pub fn cause(&self) -> Option<EventId> {
        self.envelope.cause()
    }

    /// The writer's key for recording it once.
    #[must_use]
    pub fn idempotency(&self) -> Option<&'a [u8]> {
        self.envelope.idempotency()
    }

    /// Names and values, by name.
    #[must_use]
    pub fn meta(&self) -> MetaIter<'a> {
        self.envelope.meta()
    }

    /// What the payload is.
    #[must_use]
    pub fn content_type(&self) -> &'a str {
        self.envelope.content_type()
    }
}
