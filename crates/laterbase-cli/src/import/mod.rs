//! From files to events: what `laterbase import` does.
//!
//! ```text
//! source ──▶ reader (JSON, NDJSON, CSV) ──▶ record ──▶ mapping or preserve ──▶ draft ──▶ batches
//!              │                              │                                    │
//!              └──── refused, with file, line and reason: never the whole run ─────┘
//! ```
//!
//! Invariants: NDJSON and CSV are read in bounded memory; a record is either imported whole or
//! refused with its file, line and reason; nothing here panics on any input (the fuzz target
//! `import` feeds it bytes of every kind).

#[cfg(feature = "csv")]
mod csv;
mod draft;
mod feed;
mod format;
mod json;
mod mapping;
mod ndjson;
mod preserve;
mod record;
mod sink;
mod source;
mod writer;

pub use draft::{Draft, Original};
pub use format::{Format, read_records};
pub use mapping::Mapping;
pub use preserve::preserve;
pub use record::{Reason, Record, Refused, Visit};
pub use source::{Fingerprint, Keys, Source, SourceError};

pub(crate) use feed::{Feed, Item, Place, Recipe};
pub(crate) use sink::{DatabaseSink, Sink};
#[cfg(feature = "remote")]
pub(crate) use sink::{Pushed, Settled};
pub(crate) use writer::{Acknowledged, Writer, WriterEvent};
