//! Collects drafts into the envelopes and payloads of one batch.
//!
//! A draft is checked in full before anything changes, so a refused one leaves the batch as it
//! was. Every buffer is kept across [`BatchBuilder::clear`]: a warm builder allocates nothing.
//!
//! It leaves out everything that needs a clock, a replica or a log's head: see
//! [`BatchBody::stamp`].

use alloc::vec::Vec;

use super::{
    body::BatchBody,
    draft_check::DraftCheck,
    group_encoder::{Cause, CheckedDraft, GroupEncoder},
    interner::Interner,
    shape,
};
use crate::{
    BatchLimit, CauseDraft, DraftError, EventDraft, EventId, Hash, Limits, RootName, varint,
};

/// Builds the body of one batch: events of one root, in the order in which they are pushed.
///
/// ```
/// use laterbase_event::{BatchBuilder, CauseDraft, EventDraft, RootName};
/// let mut batch = BatchBuilder::new(RootName::try_from("shipment")?);
/// let booked = batch.push(&EventDraft::new("4711", "booked"))?;
/// batch.push(&EventDraft {
///     cause: CauseDraft::Earlier { index_in_batch: booked },
///     ..EventDraft::new("4711", "departed")
/// })?;
/// assert_eq!(batch.finish().count, 2);
/// batch.clear();
/// assert!(batch.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct BatchBuilder {
    root: RootName,
    limits: Limits,
    count: u32,
    tags_count: u32,
    has_default_valid: bool,
    cause_reach: u32,
    causes: Vec<EventId>,
    shapes: Interner,
    shape: u16,
    roots: Interner,
    encoder: GroupEncoder,
    /// Where each full group ends, in `groups` and in the payloads.
    group_ends: Vec<(u32, u32)>,
    groups: Vec<u8>,
    payloads: Vec<u8>,
    /// The payloads' length; ahead of `payloads` only while verifying, which brings none.
    payloads_len: u32,
    orders: DraftCheck,
    envelopes: Vec<u8>,
}

/// What [`BatchBuilder::check`] found out about a draft.
struct Checked {
    cause: Cause,
    /// Not more than this many bytes are added to envelopes and payloads together.
    bytes_max: usize,
}

impl BatchBuilder {
    /// A builder for events of `root`, within the default limits.
    #[must_use]
    pub fn new(root: RootName) -> Self {
        Self::with_limits(root, Limits::default())
    }

    /// A builder for events of `root`, within `limits`.
    #[must_use]
    pub fn with_limits(root: RootName, limits: Limits) -> Self {
        Self {
            root,
            limits,
            count: 0,
            tags_count: 0,
            has_default_valid: false,
            cause_reach: 0,
            causes: Vec::new(),
            shapes: Interner::default(),
            shape: 0,
            roots: Interner::default(),
            encoder: GroupEncoder::default(),
            group_ends: Vec::new(),
            groups: Vec::new(),
            payloads: Vec::new(),
            payloads_len: 0,
            orders: DraftCheck::default(),
            envelopes: Vec::new(),
        }
    }

    /// Drops the events and keeps the memory.
    pub fn clear(&mut self) {
        self.count = 0;
        self.tags_count = 0;
        self.has_default_valid = false;
        self.cause_reach = 0;
        self.causes.clear();
        self.shapes.clear();
        self.shape = 0;
        self.roots.clear();
        self.group_ends.clear();
        self.groups.clear();
        self.payloads.clear();
        self.payloads_len = 0;
        self.envelopes.clear();
    }

    /// Drops the events, keeps the memory, and goes on with another root.
    pub fn reset(&mut self, root: RootName) {
        self.clear();
        self.root = root;
    }

    /// The root of its events.
    #[must_use]
    pub fn root(&self) -> &RootName {
        &self.root
    }

    /// How many events it holds.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.count
    }

    /// Whether it holds no events.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// About how many bytes the batch has so far: for deciding when to finish it.
    #[must_use]
    pub fn body_bytes(&self) -> usize {
        let dictionaries = self.shapes.bytes().len() + self.roots.bytes().len();
        dictionaries + 8 * self.group_ends.len() + self.groups.len() + self.payloads_len as usize
    }

    /// Adds an event and returns its index in the batch, from 0.
    ///
    /// # Errors
    /// [`DraftError`], and the batch is as before. [`DraftError::BatchFull`] is checked last: it
    /// alone says that the event is fine and the batch is not.
    pub fn push(&mut self, draft: &EventDraft<'_>) -> Result<u16, DraftError> {
        let bytes = draft.payload.len();
        let bytes_max = self.limits.payload_bytes();
        let payload_len = u32::try_from(bytes).unwrap_or(u32::MAX);
        if payload_len > bytes_max {
            return Err(DraftError::PayloadBytes { bytes, bytes_max });
        }
        let checked = self.check(draft)?;
        if self.body_bytes() + checked.bytes_max + bytes > Limits::BODY_BYTES_MAX {
            return Err(DraftError::BatchFull { limit: BatchLimit::Bytes });
        }
        let index = self.write(draft, checked.cause, payload_len);
        self.payloads.extend_from_slice(draft.payload);
        Ok(index)
    }

    /// Adds a decoded event's envelope without its payload: encoding again, to compare. That the
    /// body is not too long is known from the header.
    pub(super) fn push_envelope(
        &mut self,
        draft: &EventDraft<'_>,
        payload_len: u32,
    ) -> Result<u16, DraftError> {
        let bytes_max = self.limits.payload_bytes();
        if payload_len > bytes_max {
            return Err(DraftError::PayloadBytes { bytes: payload_len as usize, bytes_max });
        }
        let checked = self.check(draft)?;
        Ok(self.write(draft, checked.cause, payload_len))
    }

    /// Encodes and hashes what was pushed. The builder stays as it is until it is cleared; more
    /// may be pushed, and the body finished again.
    pub fn finish(&mut self) -> BatchBody<'_> {
        self.assemble();
        BatchBody {
            root: self.root,
            count: self.count,
            has_default_valid: self.has_default_valid,
            envelopes: &self.envelopes,
            payloads: &self.payloads,
            envelopes_hash: Hash::of(&self.envelopes),
            payloads_hash: Hash::of(&self.payloads),
            cause_reach: self.cause_reach,
            causes: &self.causes,
        }
    }

    /// The envelopes of what was pushed, for comparing.
    pub(super) fn envelopes(&mut self) -> &[u8] {
        self.assemble();
        &self.envelopes
    }

    pub(super) fn has_default_valid(&self) -> bool {
        self.has_default_valid
    }

    pub(super) fn cause_reach(&self) -> u32 {
        self.cause_reach
    }

    pub(super) fn causes(&self) -> &[EventId] {
        &self.causes
    }

    fn assemble(&mut self) {
        let out = &mut self.envelopes;
        out.clear();
        varint::write(self.shapes.len() as u64, out);
        out.extend_from_slice(self.shapes.bytes());
        varint::write(self.roots.len() as u64, out);
        out.extend_from_slice(self.roots.bytes());
        for (groups_end, payloads_end) in &self.group_ends {
            out.extend_from_slice(&groups_end.to_le_bytes());
            out.extend_from_slice(&payloads_end.to_le_bytes());
        }
        out.extend_from_slice(&self.groups);
    }

    /// Decides whether the draft can be taken; fills the two orders.
    fn check(&mut self, draft: &EventDraft<'_>) -> Result<Checked, DraftError> {
        let is_known_shape = self.is_last_shape(draft);
        let bytes_max = self.orders.check(&self.root, draft, is_known_shape)?;
        let cause = self.resolve_cause(draft.cause)?;
        if self.count >= Limits::BATCH_EVENTS_MAX {
            return Err(DraftError::BatchFull { limit: BatchLimit::Events });
        }
        let tags = self.orders.tags.len();
        if self.tags_count as usize + tags > Limits::BATCH_TAGS_MAX as usize {
            return Err(DraftError::BatchFull { limit: BatchLimit::Tags });
        }
        if self.roots.len() + tags > Limits::BATCH_TAG_ROOTS_MAX {
            self.check_new_roots(draft)?;
        }
        Ok(Checked { cause, bytes_max })
    }

    /// Adds a checked draft.
    fn write(&mut self, draft: &EventDraft<'_>, cause: Cause, payload_len: u32) -> u16 {
        if self.count.is_multiple_of(Limits::GROUP_EVENTS) {
            if self.count > 0 {
                self.group_ends.push((self.groups.len() as u32, self.payloads_len));
            }
            self.encoder.start();
        }
        if !self.is_last_shape(draft) {
            self.shape = self.shapes.intern_recent(
                shape::hint(draft),
                |entry| shape::is(entry, draft),
                |bytes| shape::write(draft, bytes),
            );
        }
        match cause {
            Cause::None => {}
            Cause::Back(distance) => {
                self.cause_reach = self.cause_reach.max(distance.saturating_sub(self.count));
            }
            Cause::Id(id) => note_cause(&mut self.causes, id),
        }
        let checked = CheckedDraft {
            draft,
            shape: self.shape,
            cause,
            payload_len,
            tag_order: &self.orders.tags,
            meta_order: &self.orders.meta,
        };
        self.encoder.write(&checked, &mut self.roots, &mut self.groups);
        let index = self.count as u16;
        self.count += 1;
        self.tags_count += self.orders.tags.len() as u32;
        self.has_default_valid |= draft.valid_at.is_none();
        self.payloads_len += payload_len;
        index
    }

    /// Whether the event before had the same type, version and content type.
    fn is_last_shape(&self, draft: &EventDraft<'_>) -> bool {
        shape::is(self.shapes.entry(self.shape), draft)
    }

    /// Counts exactly, close to the limit: which of the draft's roots would be new?
    fn check_new_roots(&self, draft: &EventDraft<'_>) -> Result<(), DraftError> {
        let mut encoded = Vec::with_capacity(1 + Limits::ROOT_BYTES_MAX);
        let mut new = 0;
        let mut before = "";
        for (root, _) in
            self.orders.tags.iter().filter_map(|index| draft.tags.get(usize::from(*index)))
        {
            if *root != before {
                encoded.clear();
                encoded.push(root.len() as u8);
                encoded.extend_from_slice(root.as_bytes());
                new += usize::from(!self.roots.contains(&encoded));
            }
            before = root;
        }
        if self.roots.len() + new > Limits::BATCH_TAG_ROOTS_MAX {
            return Err(DraftError::BatchFull { limit: BatchLimit::TagRoots });
        }
        Ok(())
    }

    fn resolve_cause(&self, cause: CauseDraft) -> Result<Cause, DraftError> {
        match cause {
            CauseDraft::None => Ok(Cause::None),
            CauseDraft::Earlier { index_in_batch } => {
                match self.count.checked_sub(u32::from(index_in_batch)) {
                    Some(0) | None => Err(DraftError::CauseNotEarlier),
                    Some(distance) => Ok(Cause::Back(distance)),
                }
            }
            CauseDraft::Back { distance: 0 } => Err(DraftError::CauseNotEarlier),
            CauseDraft::Back { distance } => Ok(Cause::Back(distance)),
            CauseDraft::Id(id) => Ok(Cause::Id(id)),
        }
    }
}

/// Keeps the highest id of each run of one replica: enough to refuse causes that are not earlier.
fn note_cause(causes: &mut Vec<EventId>, id: EventId) {
    match causes.last_mut() {
        Some(last) if last.replica() == id.replica() => *last = (*last).max(id),
        Some(_) | None => causes.push(id),
    }
}
