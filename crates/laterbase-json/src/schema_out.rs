//! What there is to say about a database's schema, as documents.

use laterbase::{
    AppliedSchema, Conflict, DatabaseSchema, SchemaChange, SchemaDifference, Timestamp,
};
use serde_json::{Value, json};

use crate::time::Clockface;

/// The schema of a database: its text, conflicts, and who changed it when.
#[must_use]
pub fn schema(schema: &DatabaseSchema) -> Value {
    json!({
        "text": &*schema.text,
        "hash": schema.hash.to_string(),
        "conflicts": schema.conflicts.iter().map(conflict).collect::<Vec<_>>(),
        "history": schema.history.iter().map(applied).collect::<Vec<_>>(),
        "unreadable": schema.unreadable.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

/// What came of applying a schema.
#[must_use]
pub fn schema_change(change: &SchemaChange) -> Value {
    json!({
        "hash": change.hash.to_string(),
        "changes": change.changes.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "event": change.event.map(|event| event.to_string()),
        "settled": change.settled,
    })
}

/// What a schema would change.
#[must_use]
pub fn schema_difference(difference: &SchemaDifference) -> Value {
    json!({
        "hash": difference.hash.to_string(),
        "base": difference.base.to_string(),
        "changes": difference.changes.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

fn conflict(conflict: &Conflict) -> Value {
    json!({
        "what": conflict.what,
        "kept": conflict.kept,
        "other": conflict.other,
        "event": conflict.event.to_string(),
    })
}

fn applied(applied: &AppliedSchema) -> Value {
    let at = Timestamp::from_hlc(applied.event.hlc()).as_micros();
    json!({
        "event": applied.event.to_string(),
        "at": Clockface::utc().format(at),
        "replica": applied.event.replica().to_string(),
        "hash": applied.hash.to_string(),
        "base": applied.base.to_string(),
    })
}
