//! An event as JSON, and times as text: one shape for the command line, for HTTP and for files.
//!
//! ```text
//!   text ──▶ event_in ──▶ NewEvent        what a client writes
//!   Recorded ──▶ event_out ──▶ text       what it reads
//!   text ──▶ recorded_in ──▶ Recorded     the same, back
//!   time, minify                          the parts of both
//! ```
//! Payloads go through digit for digit: no number is parsed and printed again. What the shape is,
//! member by member, is described in `docs/reference/http.md`.
//!
//! Left out: media types, requests and answers, and whatever else is HTTP's own.
#![forbid(unsafe_code)]

mod event_in;
mod event_out;
mod minify;
mod quarantined;
mod recorded_in;
#[cfg(feature = "query")]
mod schema_out;
pub mod time;

pub use event_in::{EventIn, EventInError};
pub use event_out::{arrival_micros, is_json, payload_json, tx_micros, write_json, write_new};
pub use minify::minify_into;
pub use quarantined::{quarantined, retried};
pub use recorded_in::{RecordedIn, RecordedInError};
#[cfg(feature = "query")]
pub use schema_out::{schema, schema_change, schema_difference};
