//! Events of declared types: written by the numbers of their fields, read by them or by name.

use std::collections::BTreeMap;
use std::sync::Arc;

use ciborium::Value as Cbor;
use laterbase_event::{EventId, Timestamp};
use laterbase_lang::Value;
use serde::Deserialize;

use super::{Typed, json};
use crate::ask::payload_field;
use crate::declared::{DECLARED_EVENT, SchemaHash, content_type, decode_value, encode_map};
use crate::new_event::NewEvent;
use crate::recorded::Recorded;

/// A row of a question for all events of a type.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct EventRow<T> {
    /// The event's id.
    #[serde(with = "crate::typed")]
    pub id: EventId,
    /// Which thing it happened to.
    pub key: String,
    /// When it happened.
    #[serde(with = "crate::typed")]
    pub at: Timestamp,
    /// What it says.
    pub fields: T,
}

/// A recorded event is not what a type of a program says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TypedError {
    /// It is of another type.
    #[error("this is a `{found}`, no `{wanted}`: look at an event's type before it is read")]
    OtherType {
        /// The type that was wanted, `root.type`.
        wanted: String,
        /// The type that it has.
        found: String,
    },
    /// It was written by another schema, whose numbers may mean other fields.
    #[error(
        "the event was written by the schema {found}, not by {wanted}: ask a question for it, which \
         knows both, or generate the module from the schema of the database"
    )]
    OtherSchema {
        /// The schema of the program.
        wanted: String,
        /// The schema of the event.
        found: String,
    },
    /// A field is absent, or is of another type.
    #[error("the event's field `{name}` is no {data_type}, or is absent")]
    Field {
        /// Its name.
        name: String,
        /// What it should be.
        data_type: String,
    },
}

/// An event of a declared type, to be recorded: its fields by number, written by a schema.
#[must_use]
pub fn event(
    schema_hash: &str,
    root: &str,
    type_name: &str,
    key: impl Into<String>,
    fields: &[(u32, Value)],
) -> NewEvent {
    let event = NewEvent::new(root, key, type_name);
    // Modules that are made have a hash that is one.
    let Ok(hash) = schema_hash.parse::<SchemaHash>() else { return event };
    event.bytes(content_type(DECLARED_EVENT, hash), encode_map(fields, &[]))
}

/// The fields of a recorded event.
#[derive(Debug)]
pub struct EventFields<'a> {
    payload: Payload<'a>,
}

#[derive(Debug)]
enum Payload<'a> {
    /// By number.
    Declared(BTreeMap<u32, Cbor>),
    /// By name: JSON, or CBOR.
    Named(&'a Recorded),
}

impl<'a> EventFields<'a> {
    /// Those of an event of a type.
    ///
    /// # Errors
    /// [`TypedError`] if it is of another one, or was written by another schema.
    pub fn of(
        recorded: &'a Recorded,
        schema_hash: &str,
        root: &str,
        type_name: &str,
    ) -> Result<Self, TypedError> {
        let event = &recorded.event;
        if event.root != root || event.type_name != type_name {
            let wanted = format!("{root}.{type_name}");
            let found = format!("{}.{}", event.root, event.type_name);
            return Err(TypedError::OtherType { wanted, found });
        }
        let Some(found) = SchemaHash::of_content_type(&event.content_type, DECLARED_EVENT) else {
            return Ok(Self { payload: Payload::Named(recorded) });
        };
        if found.to_string() != schema_hash {
            let (wanted, found) = (schema_hash.to_owned(), found.to_string());
            return Err(TypedError::OtherSchema { wanted, found });
        }
        let read: Result<Cbor, _> = ciborium::from_reader(event.payload.as_slice());
        let fields = if let Ok(Cbor::Map(fields)) = read { fields } else { Vec::new() };
        let numbered = fields.into_iter().filter_map(|(number, value)| {
            Some((u32::try_from(i128::from(number.as_integer()?)).ok()?, value))
        });
        Ok(Self { payload: Payload::Declared(numbered.collect()) })
    }

    /// A field; `None` of an `Option` where it is absent.
    ///
    /// # Errors
    /// [`TypedError::Field`] if it is no `T`.
    pub fn get<T: Typed>(&self, number: u32, name: &str) -> Result<T, TypedError> {
        T::from_value(&self.value::<T>(number, name)).ok_or_else(|| no_field::<T>(name))
    }

    /// A field, or its default, as JSON, where it is absent.
    ///
    /// # Errors
    /// [`TypedError::Field`] if it is no `T`.
    pub fn get_or<T: Typed>(
        &self,
        number: u32,
        name: &str,
        default: &str,
    ) -> Result<T, TypedError> {
        let mut value = self.value::<T>(number, name);
        if value.is_null() {
            value = json::read(default, &T::data_type()).unwrap_or_default();
        }
        T::from_value(&value).ok_or_else(|| no_field::<T>(name))
    }

    fn value<T: Typed>(&self, number: u32, name: &str) -> Value {
        match &self.payload {
            Payload::Declared(fields) => fields
                .get(&number)
                .map(|value| decode_value(value, &T::data_type()))
                .unwrap_or_default(),
            Payload::Named(recorded) => payload_field(
                &recorded.event.content_type,
                &recorded.event.payload,
                &Arc::from(name),
                &T::data_type(),
            ),
        }
    }
}

fn no_field<T: Typed>(name: &str) -> TypedError {
    TypedError::Field { name: name.to_owned(), data_type: T::data_type().to_string() }
}
