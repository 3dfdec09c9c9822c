//! What may be appended to declared roots.
//!
//! In this order: the type, the form of the payload, each of its fields, what is missing. JSON and
//! CBOR by names are looked at as they are and stored as given; what was written by a schema is
//! read by it, and must be the one encoding of what it says. Roots that no schema declares, and the
//! database's own, are free.

use std::collections::BTreeSet;
use std::sync::Arc;

use ciborium::Value as Cbor;
use laterbase_lang::Value;
use laterbase_lang::schema::{EventType, Merge, Owner, Root};

use super::read::{number_of, reads_as};
use super::{DECLARED_EVENT, Declared, SchemaHash, decode_value, json_of_cbor};
use crate::ask::{Form, form};

/// How far down a payload may go.
const DEPTH_MAX: usize = 128;

/// An event that wants to be appended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Candidate<'a> {
    pub(crate) root: &'a str,
    pub(crate) type_name: &'a str,
    pub(crate) content_type: &'a str,
    pub(crate) payload: &'a [u8],
}

/// A type that is appended to.
struct Place<'a> {
    name: &'a str,
    root: &'a Root,
    number: u32,
    event: &'a EventType,
}

impl Declared {
    /// Whether an event may be appended; the message says what to do.
    pub(crate) fn check(&self, candidate: &Candidate<'_>) -> Result<(), String> {
        let Some((name, root)) = self.schema.roots.get_key_value(candidate.root) else {
            return Ok(());
        };
        let is_stored = |event: &&EventType| {
            event.stored_names.iter().any(|stored| **stored == *candidate.type_name)
        };
        let found = root.events.iter().find(|(_, event)| is_stored(event));
        let Some((number, event)) = found else {
            return self.undeclared(name, root, candidate.type_name);
        };
        let place = Place { name, root, number: *number, event };
        if candidate.payload.is_empty() {
            return place.complete(&BTreeSet::new());
        }
        if let Some(hash) = SchemaHash::of_content_type(candidate.content_type, DECLARED_EVENT) {
            return self.check_written(&place, hash, candidate);
        }
        let members = members_of(candidate)
            .map_err(|message| format!("the payload of `{}` {message}", place.path()))?;
        self.check_members(&place, &members)
    }

    fn undeclared(&self, name: &str, root: &Root, type_name: &str) -> Result<(), String> {
        if let Some((_, event)) = root.event(type_name) {
            let stored = event.stored_names.first().map_or("", |stored| stored);
            return Err(format!(
                "`{name}.{type_name}` is a newer name of events that are stored as `{stored}`: \
                 append them with the type `{stored}`"
            ));
        }
        let number = self.lineage.number_of_stored(name, type_name);
        if number.is_some_and(|number| root.removed.contains(&number)) {
            return Err(format!(
                "`{name}.{type_name}` was removed from the schema: what is stored can be read, and \
                 nothing is added; declare another type with a new number"
            ));
        }
        if root.is_lax {
            return Ok(());
        }
        let known: Vec<&str> = root.events.values().map(|event| &*event.name).collect();
        Err(format!(
            "`{name}` has no event `{type_name}`: declare it (`laterbase schema apply`), or make \
             the root lax; its events are {}",
            listed(&known)
        ))
    }

    /// Members by name.
    fn check_members(
        &self,
        place: &Place<'_>,
        members: &[(Arc<str>, Value)],
    ) -> Result<(), String> {
        let mut said = BTreeSet::new();
        let mut numbers = BTreeSet::new();
        for (member, value) in members {
            if !said.insert(member) {
                return Err(format!("`{}` says `{member}` twice: say it once", place.path()));
            }
            match place.event.fields.field(member) {
                Some((number, field)) => {
                    if !reads_as(value, &field.data_type) {
                        return Err(place.wrong_type(member, &field.type_text(), value));
                    }
                    if !value.is_null() {
                        numbers.insert(number);
                    }
                }
                None => self.check_undeclared(place, member)?,
            }
        }
        place.complete(&numbers)
    }

    /// A member that is not declared.
    fn check_undeclared(&self, place: &Place<'_>, member: &str) -> Result<(), String> {
        let owner = place.owner();
        let mut fields = place.event.fields.fields.iter();
        let now = fields.find(|(number, _)| self.lineage.has_name(&owner, **number, member));
        if let Some((_, field)) = now {
            return Err(format!(
                "the field `{member}` of `{}` is called `{}` now: use that name",
                place.path(),
                field.name
            ));
        }
        if place.root.is_lax {
            return Ok(());
        }
        let known: Vec<&str> = place.event.fields.names().collect();
        Err(format!(
            "`{}` has no field `{member}`: declare it (`laterbase schema apply`), or make the root \
             lax; its fields are {}",
            place.path(),
            listed(&known)
        ))
    }

    /// A payload that says by which schema it was written.
    fn check_written(
        &self,
        place: &Place<'_>,
        hash: SchemaHash,
        candidate: &Candidate<'_>,
    ) -> Result<(), String> {
        let path = place.path();
        let Some((_, writer)) = self.event_of_writer(hash, place.name, candidate.type_name) else {
            return Err(format!(
                "the payload of `{path}` was written by the schema {hash}, which does not declare \
                 it or is not known here: use the schema of this database"
            ));
        };
        let broken = || {
            format!("the payload of `{path}` is no CBOR in its one form: write it with the library")
        };
        let read: Cbor =
            ciborium::de::from_reader_with_recursion_limit(candidate.payload, DEPTH_MAX)
                .map_err(|_| broken())?;
        let mut again = Vec::new();
        ciborium::into_writer(&read, &mut again).map_err(|_| broken())?;
        let Cbor::Map(members) = read else { return Err(broken()) };
        let is_sorted = members.is_sorted_by(|(a, _), (b, _)| key_bytes(a) < key_bytes(b));
        if again != candidate.payload || !is_sorted {
            return Err(broken());
        }
        let owner = place.owner();
        let mut numbers = BTreeSet::new();
        for (key, value) in &members {
            let Some(number) = number_of(key) else {
                let Some(name) = key.as_text() else { return Err(broken()) };
                self.check_undeclared(place, name)?;
                continue;
            };
            let of_writer = writer.fields.fields.get(&number);
            let ours = place.event.fields.fields.get(&number);
            let (Some(of_writer), Some(ours)) = (of_writer, ours) else {
                return Err(format!("`{path}` has no field {number}: use the current schema"));
            };
            if !self.lineage.has_name(&owner, number, &of_writer.name) {
                return Err(format!(
                    "field {number} of `{path}` is `{}` here, and was written as `{}`: use the \
                     current schema",
                    ours.name, of_writer.name
                ));
            }
            let decoded = decode_value(value, &of_writer.data_type);
            if decoded.is_null() || !reads_as(&decoded, &ours.data_type) {
                let shown = json_of_cbor(value);
                return Err(place.wrong_type(&ours.name, &ours.type_text(), &shown));
            }
            numbers.insert(number);
        }
        place.complete(&numbers)
    }
}

impl Place<'_> {
    fn path(&self) -> String {
        format!("{}.{}", self.name, self.event.name)
    }

    fn owner(&self) -> Owner {
        Owner::Event(Arc::from(self.name), self.number)
    }

    fn wrong_type(&self, field: &str, type_text: &str, value: &Value) -> String {
        let path = self.path();
        let mut shown = value.to_string();
        if let Some((end, _)) = shown.char_indices().nth(60) {
            shown.truncate(end);
            shown.push('…');
        }
        format!("`{path}.{field}` is {type_text}, and {shown} is none: give a value of that type")
    }

    /// Whether nothing is missing.
    fn complete(&self, numbers: &BTreeSet<u32>) -> Result<(), String> {
        let missing = self.event.fields.fields.iter().find(|(number, field)| {
            let may_lack = field.is_optional || field.default.is_some();
            !may_lack && field.merge == Merge::LastWriter && !numbers.contains(number)
        });
        let Some((_, field)) = missing else { return Ok(()) };
        Err(format!(
            "`{}.{}` is missing: give it, or make it optional in the schema with `?`",
            self.path(),
            field.name
        ))
    }
}

/// The members of a payload by names, with those that are said twice.
fn members_of(candidate: &Candidate<'_>) -> Result<Vec<(Arc<str>, Value)>, String> {
    match form(candidate.content_type) {
        Form::Json => crate::ask::json_members(candidate.payload)
            .ok_or_else(|| "is no object of JSON: write its fields by name".to_owned()),
        Form::Cbor => {
            let read: Result<Cbor, _> =
                ciborium::de::from_reader_with_recursion_limit(candidate.payload, DEPTH_MAX);
            let Ok(Cbor::Map(members)) = read else {
                return Err("is no map of CBOR: write its fields by name".to_owned());
            };
            let member = |(name, value): (Cbor, Cbor)| {
                Some((Arc::from(name.as_text()?), json_of_cbor(&value)))
            };
            let members: Option<Vec<_>> = members.into_iter().map(member).collect();
            members.ok_or_else(|| "has keys that are no names".to_owned())
        }
        Form::Bytes => Err(format!(
            "is `{}`, of which nothing can be checked: write JSON or CBOR",
            candidate.content_type
        )),
    }
}

/// A key as it is written, by which keys are sorted.
fn key_bytes(key: &Cbor) -> Vec<u8> {
    let mut bytes = Vec::new();
    // What cannot be written is never equal to what was.
    let _ = ciborium::into_writer(key, &mut bytes);
    bytes
}

fn listed(names: &[&str]) -> String {
    if names.is_empty() {
        return "none yet".to_owned();
    }
    let shown: Vec<String> = names.iter().take(10).map(|name| format!("`{name}`")).collect();
    let more = if names.len() > shown.len() { ", …" } else { "" };
    format!("{}{more}", shown.join(", "))
}
