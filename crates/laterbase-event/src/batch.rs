//! Batches: consecutive events of one log that were recorded together, as canonical bytes.
//!
//! ```text
//! batch = form | header | envelopes | payloads | signature?
//!
//! form       u8      bit 0: a signature follows the payloads. Outside the hash.
//! header             who, where, which numbers, the hash of the log's batch before: header.rs
//! envelopes          dictionaries | group table | groups: dictionary.rs, group_encoder.rs
//! payloads           one after the other
//! signature  72      key id (8) and Ed25519 signature (64). Outside the hash; nothing checks it
//!
//! hash = BLAKE3(header || BLAKE3(envelopes) || BLAKE3(payloads))
//! ```
//! Byte by byte in `docs/reference/event-format.md`.
//!
//! There are two directions with one fact in common, the layout of a group, which
//! [`group_encoder`] writes and [`group_decoder`] reads. What is canonical is defined by the
//! encoder alone: [`verify`] decodes, encodes again and compares.

mod body;
mod builder;
mod cursor;
mod decode_error;
mod dictionary;
mod directory;
mod draft_check;
mod envelope_view;
mod event_view;
mod group_decoder;
mod group_encoder;
mod group_table;
mod header;
mod interner;
mod prefix;
mod shape;
mod verify;
mod view;

pub use body::{BatchBody, Stamp, StampError, batch_hash};
pub use builder::BatchBuilder;
pub use cursor::{DecodeScratch, EventCursor};
pub use decode_error::{DecodeError, Field};
pub use directory::{BatchDirectory, GroupRanges, PrefixError};
pub use envelope_view::{EnvelopeView, MetaIter, TagIter};
pub use event_view::EventView;
pub use header::BatchHeader;
pub use verify::{Verifier, VerifyError};
pub use view::{BatchView, Signature};
