//! CloudEvents 1.0, in and out: <https://github.com/cloudevents/spec/blob/v1.0.2>.
//!
//! In: structured mode, batches, binary mode. Out: the same, binary mode for one event.
//!
//! ```text
//!   source, id       ⇄ meta `ce-source`, `ce-id`; together the idempotency key
//!   type             ⇄ type                 subject ⇄ key
//!   time             ⇄ valid_at             datacontenttype ⇄ content_type
//!   data, data_base64 ⇄ payload             dataschema, extensions ⇄ meta `ce-…`
//!   root (extension) ⇄ root, where the path names none
//! ```
//! An event that was not written as a CloudEvent has its own id, and the path of its root as its
//! source.

mod read;
mod write;

pub(crate) use read::{check_headers, is_binary, read, read_binary};
pub(crate) use write::{binary, write};

/// How the names of attributes begin in meta.
const META: &str = "ce-";
/// Attributes that have places of their own in an event.
const PLACED: [&str; 9] = [
    "specversion",
    "type",
    "subject",
    "time",
    "datacontenttype",
    "data",
    "data_base64",
    "root",
    "laterbaseid",
];

/// Whether a text can be the name of an attribute.
fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}
