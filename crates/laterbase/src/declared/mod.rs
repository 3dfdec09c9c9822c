//! The schema of a database: what was applied, and how declared events are written and read by it.
//!
//! ```text
//!   apply ─▶ `_sys` / schema: {text, base} ─▶ fold in the order of ids ─▶ Declared
//!                                                    strict: what may be appended ─┤
//!                                                encode: values ─▶ CBOR by number ─┤
//!                                                decode: by the writer's schema ───┘
//! ```
//! A schema is made of events like everything else, so it comes by sync, and every copy with the
//! same events has the same schema. Every text that was applied, and every one that it was made of,
//! stays known by its hash: an event names the schema by which it was written.
//!
//! Left out: what a schema may change (`laterbase_lang::schema`), tables.

mod apply;
mod gate;
mod read;
mod record;
mod schema_hash;
mod state;
mod strict;
mod value;
mod write;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use apply::{AppliedSchema, DatabaseSchema, SchemaChange, SchemaDifference, SchemaError};
pub(crate) use gate::{Checked, SchemaGate};
use laterbase_event::{EventId, Position};
use laterbase_lang::Value;
use laterbase_lang::schema::{Lineage, Schema};
pub(crate) use read::Written;
pub use schema_hash::SchemaHash;
pub(crate) use state::SchemaState;
pub(crate) use value::{decode_value, encode_map, encode_value, json_of_cbor, json_of_float};

/// The media type of events that are written by their schema; behind it stands which one.
pub(crate) const DECLARED_EVENT: &str = "application/vnd.laterbase.event+cbor";

/// On what two changes of the schema did not agree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// About what.
    pub what: String,
    /// What holds: the change with the lower event id.
    pub kept: String,
    /// What the other one wanted.
    pub other: String,
    /// The event of the change that did not have its way.
    pub event: EventId,
}

/// The schema of the database at one moment, and all that are known by hash.
#[derive(Debug)]
pub(crate) struct Declared {
    pub(crate) schema: Schema,
    pub(crate) hash: SchemaHash,
    /// The canonical text.
    pub(crate) text: Arc<str>,
    pub(crate) lineage: Lineage,
    pub(crate) conflicts: Vec<Conflict>,
    pub(crate) history: Vec<AppliedSchema>,
    /// Events of schemas that this version cannot read.
    pub(crate) unreadable: Vec<EventId>,
    known: BTreeMap<SchemaHash, Arc<Schema>>,
    /// Whether an event of `_sys` holds the schema as it is, so that others know its hash.
    is_recorded: bool,
    /// Up to where events of `_sys` were looked at.
    upto: Position,
}

impl Declared {
    /// Whether nothing was ever applied.
    pub(crate) fn is_empty(&self) -> bool {
        self.history.is_empty()
    }

    /// A schema that was applied somewhere, or that one was made of.
    pub(crate) fn schema_of(&self, hash: SchemaHash) -> Option<&Arc<Schema>> {
        self.known.get(&hash)
    }

    /// The content type and the payload of an event with these fields, and undeclared members. What
    /// is absent is left out; types were checked before.
    pub(crate) fn encode_event(
        &self,
        fields: &[(u32, Value)],
        members: &[(Arc<str>, Value)],
    ) -> (String, Vec<u8>) {
        (content_type(DECLARED_EVENT, self.hash), value::encode_map(fields, members))
    }
}

/// A content type that names a schema.
pub(crate) fn content_type(media_type: &str, hash: SchemaHash) -> String {
    format!("{media_type}; schema={hash}")
}
