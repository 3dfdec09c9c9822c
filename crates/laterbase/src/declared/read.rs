//! Declared events as they are read: by the schema of their writer, as the schema of this copy.
//!
//! ```text
//!   payload {1: …, 2: …, "x": …}   content type: schema=HASH
//!      │ the writer's schema, its type of this stored name: number → name, type
//!      ▼
//!   a declared field: the number is equal, and the writer's name one that it ever had here
//!   anything else:    by the writer's name, as json
//! ```
//! A schema whose hash is not known yet says nothing: its fields are absent, and numbers are names.
//! Nothing here fails: what does not fit is nothing.

use std::sync::Arc;

use ciborium::Value as Cbor;
use laterbase_lang::schema::{EventType, Lineage, Owner, Schema};
use laterbase_lang::{DataType, Value};

use super::{DECLARED_EVENT, Declared, SchemaHash, decode_value, json_of_cbor};

/// A declared payload, and what its writer declared.
#[derive(Debug)]
pub(crate) struct Written<'a> {
    members: Vec<(Cbor, Cbor)>,
    event: Option<&'a EventType>,
}

impl Declared {
    /// A payload that was written by its schema; `None` if its content type says something else.
    pub(crate) fn written<'a>(
        &'a self,
        (root, type_name): (&str, &str),
        content_type: &str,
        payload: &[u8],
    ) -> Option<Written<'a>> {
        let hash = SchemaHash::of_content_type(content_type, DECLARED_EVENT)?;
        let members = match ciborium::from_reader(payload) {
            Ok(Cbor::Map(members)) => members,
            Ok(_) | Err(_) => Vec::new(),
        };
        let event = self.event_of_writer(hash, root, type_name).map(|(_, event)| event);
        Some(Written { members, event })
    }

    /// The type as the schema of a hash declares it, of an event that is stored under a name.
    pub(super) fn event_of_writer(
        &self,
        hash: SchemaHash,
        root: &str,
        stored: &str,
    ) -> Option<(u32, &EventType)> {
        let writer: &Schema = self.schema_of(hash)?;
        self.lineage.event_of_writer(writer, root, stored)
    }

    /// A payload as JSON has it, with names; `None` if it was not written by a schema.
    pub(crate) fn payload_json(
        &self,
        names: (&str, &str),
        content_type: &str,
        payload: &[u8],
    ) -> Option<String> {
        let whole = self.written(names, content_type, payload)?.whole();
        serde_json::to_string(&crate::ask::AsJson(&whole)).ok()
    }
}

impl Written<'_> {
    /// A declared field of the reader.
    pub(crate) fn field(&self, lineages: &[&Lineage], owner: &Owner, number: u32) -> Value {
        let is_name = |name: &str| lineages.iter().any(|it| it.has_name(owner, number, name));
        if let Some(field) = self.event.and_then(|event| event.fields.fields.get(&number)) {
            if !is_name(&field.name) {
                return Value::Null;
            }
            let value = self.member(|key| is_number(key, number));
            return value.map(|it| decode_value(it, &field.data_type)).unwrap_or_default();
        }
        if self.event.is_none() {
            return Value::Null;
        }
        // It was declared later, and its writer's root may have been lax.
        let value = self.member(|key| key.as_text().is_some_and(is_name));
        value.map(json_of_cbor).unwrap_or_default()
    }

    /// What nobody declares here, by the writer's name.
    pub(crate) fn member_named(&self, name: &str) -> Value {
        if let Some((number, field)) = self.event.and_then(|event| event.fields.field(name)) {
            let value = self.member(|key| is_number(key, number));
            return value.map(|it| decode_value(it, &field.data_type)).unwrap_or_default();
        }
        let value = self.member(|key| key_name(key).is_some_and(|key| *key == *name));
        value.map(json_of_cbor).unwrap_or_default()
    }

    /// All of it, by the writer's names.
    pub(crate) fn whole(&self) -> Value {
        let fields = self.members.iter().filter_map(|(key, value)| {
            let field = number_of(key).and_then(|number| self.event?.fields.fields.get(&number));
            match field {
                Some(field) => {
                    let name = Arc::clone(&field.name);
                    Some((name, decode_value(value, &field.data_type)))
                }
                None => Some((key_name(key)?, json_of_cbor(value))),
            }
        });
        Value::record(fields.collect())
    }

    fn member(&self, is_it: impl Fn(&Cbor) -> bool) -> Option<&Cbor> {
        self.members.iter().find(|(key, _)| is_it(key)).map(|(_, value)| value)
    }
}

/// The number of a field, if a key is one.
pub(super) fn number_of(key: &Cbor) -> Option<u32> {
    u32::try_from(i128::from(key.as_integer()?)).ok()
}

fn is_number(key: &Cbor, number: u32) -> bool {
    number_of(key) == Some(number)
}

/// A key as a name: numbers as they are written.
fn key_name(key: &Cbor) -> Option<Arc<str>> {
    match key.as_text() {
        Some(text) => Some(Arc::from(text)),
        None => Some(Arc::from(i128::from(key.as_integer()?).to_string())),
    }
}

/// Whether a value can be read as a declared type; what is absent can.
pub(super) fn reads_as(value: &Value, data_type: &DataType) -> bool {
    value.is_null() || crate::ask::read_as(value, data_type).is_some()
}
