//! The data model of Laterbase as canonical bytes: event ids, the hybrid logical clock, version
//! vectors, events and batches.
//!
//! A writer fills a [`BatchBuilder`] with [`EventDraft`]s, which needs no clock and can happen on
//! any thread; [`BatchBuilder::finish`] yields a [`BatchBody`] that is encoded and hashed. Then,
//! one caller at a time, [`Clock::tick`] hands out the ids, a [`Stamp`] turns the body into a
//! [`BatchHeader`], and [`BatchBody::write_front`] gives the bytes that precede the body, and the
//! batch's [`struct@Hash`].
//!
//! A reader takes a [`BatchView`] of a whole batch and walks it with [`BatchView::events`], or
//! keeps a [`BatchDirectory`] and decodes single events out of two small reads.
//! [`Verifier::verify`] is for bytes that nobody has vouched for.
//!
//! Invariants:
//! - There is exactly one encoding of a batch and of a version vector; anything else is refused.
//! - Nothing here reads a clock, a random source, a file or an environment variable.
//! - No input panics, and none makes a decoder hold more than a small multiple of [`Limits`].
//! - `no_std` with `alloc`: it builds for microcontrollers and for the browser.
//!
//! Left out: where batches are stored and indexed (`laterbase-log`, `laterbase-index`), who may
//! append what (`laterbase`), and signatures: bytes are reserved for them, nothing checks them.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod batch;
mod clock;
mod draft;
mod event;
mod event_id;
mod hash;
mod hex;
mod hlc;
mod identity;
mod limits;
mod name;
mod reader;
mod tag;
mod time;
mod varint;
mod version_vector;

pub use batch::{
    BatchBody, BatchBuilder, BatchDirectory, BatchHeader, BatchView, DecodeError, DecodeScratch,
    EnvelopeView, EventCursor, EventView, Field, GroupRanges, MetaIter, PrefixError, Signature,
    Stamp, StampError, TagIter, Verifier, VerifyError, batch_hash,
};
pub use clock::{Clock, ClockError, Observed};
pub use draft::{BatchLimit, CauseDraft, DraftError, EventDraft, KeyDraft};
pub use event::Event;
pub use event_id::{EventId, ParseEventIdError};
pub use hash::Hash;
pub use hex::ParseHexError;
pub use hlc::Hlc;
pub use identity::{DatabaseId, ReplicaId};
pub use limits::Limits;
pub use name::{
    Key, NameError, RootName, TypeName, check_content_type, check_key, check_root, check_type_name,
};
pub use tag::{ParseTagError, Tag};
pub use time::{Position, Timestamp};
pub use version_vector::{Causality, VersionVector, VersionVectorError};
