//! Checks a batch that nobody has vouched for: within all limits, and encoded in the one canonical
//! way.
//!
//! What is canonical is not written down a second time here. A verifier decodes each event, pushes
//! it into a builder, which checks the limits and the names as for an event of our own, and
//! compares the builder's bytes with the given ones. So whatever is accepted encodes to the same
//! bytes again, by construction; the cost is one decoding and one encoding without the payloads.
//!
//! It leaves out what needs the log: that the previous hash and the sequence continue it.

use alloc::vec::Vec;

use super::{
    builder::BatchBuilder, cursor::DecodeScratch, decode_error::DecodeError,
    envelope_view::EnvelopeView, group_decoder::RawCause, view::BatchView,
};
use crate::{CauseDraft, DraftError, EventDraft, Hash, KeyDraft, Limits};

/// Verifies batches, keeping its memory from one to the next.
///
/// ```
/// use laterbase_event::{BatchView, Limits, Verifier};
/// fn received(bytes: &[u8]) -> Result<(), Box<dyn std::error::Error>> {
///     let mut verifier = Verifier::new(Limits::default());
///     let hash = verifier.verify(&BatchView::parse(bytes)?)?;
///     println!("{hash}");
///     Ok(())
/// }
/// # assert!(received(b"no batch").is_err());
/// ```
#[derive(Debug)]
pub struct Verifier {
    limits: Limits,
    scratch: DecodeScratch,
    builder: Option<BatchBuilder>,
    /// Empty between events: kept for its memory.
    tags: Vec<(&'static str, &'static str)>,
    meta: Vec<(&'static str, &'static str)>,
}

/// Why a batch is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The bytes make no sense.
    #[error("event {index} of the batch: {source}")]
    Decode {
        /// The event that could not be read, from 0.
        index: u32,
        /// What is wrong.
        source: DecodeError,
    },
    /// An event is not allowed.
    #[error("event {index} of the batch: {source}")]
    Draft {
        /// Which event, from 0.
        index: u32,
        /// What is wrong.
        source: DraftError,
    },
    /// An event's cause is not an earlier event.
    #[error("a cause in the batch is not an earlier event; refuse the batch")]
    CauseNotEarlier,
    /// The header says the wrong thing about default valid times.
    #[error("the batch's flags contradict its events; refuse the batch")]
    Flags,
    /// The envelopes are not in canonical form.
    #[error("byte {offset} of the batch's envelopes is not canonical; refuse the batch")]
    NotCanonical {
        /// The first byte that differs from the canonical form.
        offset: usize,
    },
}

impl Verifier {
    /// A verifier with these limits.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let scratch = DecodeScratch::default();
        Self { limits, scratch, builder: None, tags: Vec::new(), meta: Vec::new() }
    }

    /// Checks everything that can be checked without the log, and returns the batch's hash.
    ///
    /// # Errors
    /// [`VerifyError`] if a builder with these limits would not have written these bytes.
    pub fn verify(&mut self, view: &BatchView<'_>) -> Result<Hash, VerifyError> {
        let header = view.header();
        let limits = self.limits;
        let builder =
            self.builder.get_or_insert_with(|| BatchBuilder::with_limits(header.root, limits));
        builder.reset(header.root);
        let mut events = view
            .events(&mut self.scratch)
            .map_err(|source| VerifyError::Decode { index: 0, source })?;
        let mut index = 0;
        while let Some(event) =
            events.next().map_err(|source| VerifyError::Decode { index, source })?
        {
            let envelope = event.envelope();
            let mut tags = recycle(core::mem::take(&mut self.tags));
            let mut meta = recycle(core::mem::take(&mut self.meta));
            tags.extend(envelope.tags());
            meta.extend(envelope.meta());
            let pushed = push(builder, envelope, &tags, &meta);
            self.tags = recycle(tags);
            self.meta = recycle(meta);
            pushed.map_err(|source| VerifyError::Draft { index, source })?;
            index += 1;
        }
        let later = builder
            .causes()
            .iter()
            .any(|cause| cause.replica() == header.replica && cause.hlc() >= header.commit_hlc);
        if later || u64::from(builder.cause_reach()) > header.commit_distance() {
            return Err(VerifyError::CauseNotEarlier);
        }
        if builder.has_default_valid() != header.has_default_valid {
            return Err(VerifyError::Flags);
        }
        match first_difference(builder.envelopes(), view.envelopes()) {
            Some(offset) => Err(VerifyError::NotCanonical { offset }),
            None => Ok(view.hash()),
        }
    }
}

/// Pushes a decoded event as the draft that it came from.
fn push(
    builder: &mut BatchBuilder,
    event: &EnvelopeView<'_>,
    tags: &[(&str, &str)],
    meta: &[(&str, &str)],
) -> Result<(), DraftError> {
    let cause = match event.raw_cause() {
        RawCause::None => CauseDraft::None,
        // A distance that does not fit reaches further than any commit does.
        RawCause::Back(distance) => {
            CauseDraft::Back { distance: u32::try_from(distance).unwrap_or(u32::MAX) }
        }
        RawCause::Id(id) => CauseDraft::Id(id),
    };
    let draft = EventDraft {
        key: if event.key_is_own_id() { KeyDraft::OwnId } else { event.key().into() },
        type_name: event.type_name(),
        version: event.version(),
        valid_at: event.explicit_valid_at(),
        tags,
        cause,
        idempotency: event.idempotency(),
        meta,
        content_type: event.content_type(),
        payload: &[],
    };
    builder.push_envelope(&draft, event.payload_len()).map(|_| ())
}

/// The same memory for texts of another lifetime: collecting in place keeps the allocation.
fn recycle<'to>(mut texts: Vec<(&str, &str)>) -> Vec<(&'to str, &'to str)> {
    texts.clear();
    texts.into_iter().map(|_| ("", "")).collect()
}

fn first_difference(left: &[u8], right: &[u8]) -> Option<usize> {
    if left == right {
        return None;
    }
    Some(left.iter().zip(right).take_while(|(a, b)| a == b).count())
}
