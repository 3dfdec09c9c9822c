//! The event that says which schema was applied.
//!
//! Root `_sys`, key and type `schema`, JSON:
//!
//! | member | is |
//! |---|---|
//! | `version` | 1 |
//! | `text` | the canonical text of the schema |
//! | `base` | that of the schema it was made of; empty if there was none |
//! | `settles` | ids of earlier changes whose conflicts were known; left out if there are none |
//!
//! An event that cannot be read so is left out, and named to whoever asks for the history.

use std::sync::Arc;

use laterbase_event::EventId;
use laterbase_lang::schema::{self, Schema};
use laterbase_lang::{has_errors, parse};
use serde_json::json;

/// The key and the type of events that apply schemas.
pub(super) const SCHEMA: &str = "schema";

/// The only version there is.
const VERSION: u64 = 1;

/// What the event says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SchemaRecord {
    pub(super) text: Arc<str>,
    pub(super) base: Arc<str>,
    pub(super) settles: Vec<EventId>,
}

impl SchemaRecord {
    pub(super) fn to_json(&self) -> serde_json::Value {
        let mut content = json!({ "version": VERSION, "text": *self.text, "base": *self.base });
        if !self.settles.is_empty() {
            let settles: Vec<String> = self.settles.iter().map(ToString::to_string).collect();
            if let Some(members) = content.as_object_mut() {
                members.insert("settles".to_owned(), settles.into());
            }
        }
        content
    }

    /// What a payload says; `None` if it is nothing that this version can read.
    pub(super) fn of_payload(payload: &[u8]) -> Option<Self> {
        let content: serde_json::Value = serde_json::from_slice(payload).ok()?;
        if content.get("version")?.as_u64()? != VERSION {
            return None;
        }
        let text = |name: &str| content.get(name)?.as_str().map(Arc::from);
        let settles = match content.get("settles") {
            None => Vec::new(),
            Some(ids) => {
                let ids = ids.as_array()?.iter().map(|id| id.as_str()?.parse().ok());
                ids.collect::<Option<Vec<EventId>>>()?
            }
        };
        Some(Self { text: text("text")?, base: text("base")?, settles })
    }
}

/// The schema that a recorded text declares; `None` if it declares none.
pub(super) fn declared_by(text: &str) -> Option<Schema> {
    let parsed = parse(text);
    let (schema, diagnostics) = schema::declare(&parsed.statements);
    let is_wrong = has_errors(&parsed.diagnostics) || has_errors(&diagnostics);
    (!is_wrong).then(|| schema.without_spans())
}
