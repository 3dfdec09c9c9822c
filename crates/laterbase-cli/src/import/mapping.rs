//! From a record to an event, by JSON Pointers.

use super::draft::{Draft, JSON};
use super::record::{Reason, Record};
use crate::pointer::{Found, Pointer};
use crate::time::{self, TimeError, TimeUnit};
use laterbase_json::minify_into;

/// Which part of a record becomes which part of the event.
///
/// The payload is the whole record, or what `data` points to, without the white space between
/// tokens.
#[derive(Clone, Debug)]
pub struct Mapping {
    /// The root of every event.
    pub root: String,
    /// Where the key is; without it the event's own id is its key.
    pub key: Option<Pointer>,
    /// Where the type is; without it every event is of type `event`.
    pub type_name: Option<Pointer>,
    /// Where the valid time is; without it the transaction time counts.
    pub valid_at: Option<Pointer>,
    /// What a number counts where the valid time is one.
    pub time_unit: Option<TimeUnit>,
    /// Tags: a root, and where the key or an array of keys is.
    pub tags: Vec<(String, Pointer)>,
    /// Where the idempotency key is.
    pub idempotency: Option<Pointer>,
    /// Where the payload is; without it the whole record is.
    pub data: Option<Pointer>,
}

impl Mapping {
    /// The event that `record` stands for. `fallback_key` is its idempotency key where the
    /// record has none.
    ///
    /// # Errors
    /// Why the record is refused: a key, type, valid time or payload that was asked for and is
    /// not there or has no text form.
    pub fn draft(&self, record: &Record<'_>, fallback_key: &str) -> Result<Draft, Reason> {
        let text = |field, pointer: &Pointer| needed(field, pointer, record);
        let key = self.key.as_ref().map(|pointer| text("key", pointer)).transpose()?;
        let type_name = match &self.type_name {
            Some(pointer) => text("type", pointer)?,
            None => "event".to_owned(),
        };
        let valid_at_micros =
            self.valid_at.as_ref().map(|pointer| self.time(pointer, record)).transpose()?;
        let mut tags = Vec::new();
        for (root, pointer) in &self.tags {
            push_tags(root, pointer, record, &mut tags)?;
        }
        let idempotency = match &self.idempotency {
            Some(pointer) => optional("idempotency key", pointer, record)?,
            None => None,
        };
        let data = match &self.data {
            Some(pointer) => pointer
                .resolve(record.json)
                .ok_or_else(|| Reason::Missing { field: "data", pointer: pointer.clone() })?,
            None => record.json,
        };
        let mut payload = Vec::new();
        minify_into(data.get(), &mut payload);
        Ok(Draft {
            root: self.root.clone(),
            key,
            type_name,
            version: 1,
            valid_at_micros,
            tags,
            idempotency: Some(idempotency.unwrap_or_else(|| fallback_key.to_owned()).into_bytes()),
            content_type: JSON.to_owned(),
            payload,
            ..Draft::default()
        })
    }

    fn time(&self, pointer: &Pointer, record: &Record<'_>) -> Result<i64, Reason> {
        let text = needed("valid time", pointer, record)?;
        let is_number = pointer
            .resolve(record.json)
            .is_some_and(|found| found.get().starts_with(|c: char| c == '-' || c.is_ascii_digit()));
        match (is_number, self.time_unit) {
            (true, None) => Err(TimeError::NoUnit { text }.into()),
            (true, Some(unit)) => Ok(time::parse_number(&text, unit)?),
            (false, None) => Ok(time::parse(&text)?),
            // A CSV file has numbers as strings.
            (false, Some(unit)) => {
                Ok(time::parse_number(&text, unit).or_else(|_| time::parse(&text))?)
            }
        }
    }
}

/// A text that must be there.
fn needed(field: &'static str, pointer: &Pointer, record: &Record<'_>) -> Result<String, Reason> {
    optional(field, pointer, record)?
        .ok_or_else(|| Reason::Missing { field, pointer: pointer.clone() })
}

/// A text that may be missing, but must not be an object or array.
fn optional(
    field: &'static str,
    pointer: &Pointer,
    record: &Record<'_>,
) -> Result<Option<String>, Reason> {
    let not_text = |found| Reason::NotText { field, pointer: pointer.clone(), found };
    match Found::new(pointer.resolve(record.json)) {
        Found::Nothing => Ok(None),
        Found::Scalar(text) => Ok(Some(text.into_owned())),
        Found::Array(_) => Err(not_text("an array")),
        Found::Object => Err(not_text("an object")),
    }
}

/// One tag, or one for each element of an array.
fn push_tags(
    root: &str,
    pointer: &Pointer,
    record: &Record<'_>,
    tags: &mut Vec<(String, String)>,
) -> Result<(), Reason> {
    let not_text = |found| Reason::NotText { field: "tag", pointer: pointer.clone(), found };
    match Found::new(pointer.resolve(record.json)) {
        Found::Nothing => {}
        Found::Scalar(key) => tags.push((root.to_owned(), key.into_owned())),
        Found::Object => return Err(not_text("an object")),
        Found::Array(elements) => {
            for element in elements {
                match Found::new(Some(element)) {
                    Found::Nothing => {}
                    Found::Scalar(key) => tags.push((root.to_owned(), key.into_owned())),
                    Found::Object => return Err(not_text("an array with an object in it")),
                    Found::Array(_) => return Err(not_text("an array with an array in it")),
                }
            }
        }
    }
    Ok(())
}
