//! An event as folds and views see it: what was recorded, brought up to today's version.

use std::borrow::Cow;

use laterbase_event::{EventId, EventView, MetaIter, TagIter, Timestamp};
use serde::de::DeserializeOwned;

use super::aggregate::ApplyError;
use super::upcast::Upcasters;
use crate::recorded::{PayloadError, cbor_of, json_of};

/// An event that is being folded.
#[derive(Debug)]
pub struct FoldEvent<'a> {
    view: &'a EventView<'a>,
    version: u32,
    payload: Cow<'a, [u8]>,
}

impl<'a> FoldEvent<'a> {
    /// The event after its upcasters.
    pub(crate) fn new(view: &'a EventView<'a>, upcasters: &Upcasters) -> Result<Self, ApplyError> {
        let (version, payload) = upcasters.apply(view)?;
        Ok(Self { view, version, payload })
    }

    /// The event's id, whose time is the transaction time.
    #[must_use]
    pub fn id(&self) -> EventId {
        self.view.id()
    }

    /// The root under which it was recorded.
    #[must_use]
    pub fn root(&self) -> &'a str {
        self.view.root()
    }

    /// Which thing under the root.
    #[must_use]
    pub fn key(&self) -> &'a str {
        self.view.key()
    }

    /// The kind of event.
    #[must_use]
    pub fn type_name(&self) -> &'a str {
        self.view.type_name()
    }

    /// The version of the kind's schema, after upcasters.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.version
    }

    /// When it happened.
    #[must_use]
    pub fn valid_at(&self) -> Timestamp {
        self.view.valid_at()
    }

    /// The other things that it concerns, as (root, key).
    #[must_use]
    pub fn tags(&self) -> TagIter<'a> {
        self.view.tags()
    }

    /// The key of the first tag of a root.
    #[must_use]
    pub fn tagged(&self, root: &str) -> Option<&'a str> {
        self.view.tags().find(|(tag_root, _)| *tag_root == root).map(|(_, key)| key)
    }

    /// The event that it followed from.
    #[must_use]
    pub fn cause(&self) -> Option<EventId> {
        self.view.cause()
    }

    /// Facts about the recording, as (name, value).
    #[must_use]
    pub fn meta(&self) -> MetaIter<'a> {
        self.view.meta()
    }

    /// What the payload is.
    #[must_use]
    pub fn content_type(&self) -> &'a str {
        self.view.content_type()
    }

    /// The payload, after upcasters.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// The payload as a value, from JSON.
    ///
    /// # Errors
    /// [`PayloadError`] when the payload is of another content type, or does not fit `T`.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, PayloadError> {
        json_of(self.content_type(), &self.payload)
    }

    /// The payload as a value, from CBOR.
    ///
    /// # Errors
    /// [`PayloadError`] when the payload is of another content type, or does not fit `T`.
    pub fn cbor<T: DeserializeOwned>(&self) -> Result<T, PayloadError> {
        cbor_of(self.content_type(), &self.payload)
    }
}
