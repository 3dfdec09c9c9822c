//! Events as `laterbase read --format ndjson` wrote them, taken whole.
//!
//! Root, key, type, version, valid time, tags, cause, idempotency key, meta, content type and
//! payload become the new event's own. An id, a sequence number, a transaction time and a replica
//! cannot be given to another log; they are kept in meta as `origin.id`, `origin.seq`,
//! `origin.tx` and `origin.replica`. An event that came through here before has them already
//! and keeps the first ones. The idempotency key is the event's own, or else its original id,
//! so that the same event is never imported twice.
//!
//! The same shape without an id is what a program may write by hand or what `laterbase sample`
//! prints: only `type`, `data` and a root are needed.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use laterbase::EventId;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::draft::{Draft, JSON, Original};
use super::record::{Reason, Record};
use crate::time;
use laterbase_json::minify_into;

/// Meta keys under which an event's first identity is kept.
pub(crate) const ORIGIN_ID: &str = "origin.id";
const ORIGIN_SEQ: &str = "origin.seq";
const ORIGIN_TX: &str = "origin.tx";
const ORIGIN_REPLICA: &str = "origin.replica";

/// The event that `record` stands for. `default_root` is for records without one,
/// `fallback_key` for those that have neither an idempotency key nor an id.
///
/// # Errors
/// Why the record is no such event.
pub fn preserve(
    record: &Record<'_>,
    default_root: Option<&str>,
    fallback_key: &str,
) -> Result<Draft, Reason> {
    let line: EventLine<'_> = serde_json::from_str(record.json.get()).map_err(|error| {
        let text = error.to_string();
        not_an_event(text.split(" at line ").next().unwrap_or_default())
    })?;
    let root =
        line.root.as_deref().or(default_root).ok_or_else(|| {
            not_an_event("it has no `root`; name one for such records with --root")
        })?;
    let (content_type, payload) = payload(&line)?;
    let valid_at_micros = line.valid_at.as_deref().map(time::parse).transpose()?;
    if let Some(tx) = &line.tx {
        time::parse(tx)?;
    }
    let idempotency = match (&line.idempotency_key, &line.idempotency_key_base64, &line.id) {
        (Some(key), _, _) => key.as_bytes().to_vec(),
        (None, Some(key), _) => decode("idempotency_key_base64", key)?,
        (None, None, Some(id)) => id.as_bytes().to_vec(),
        (None, None, None) => fallback_key.as_bytes().to_vec(),
    };
    let tags = line.tags.iter().map(|tag| split_tag(tag)).collect::<Result<_, _>>()?;
    Ok(Draft {
        root: root.to_owned(),
        key: line.key.as_deref().map(str::to_owned),
        type_name: line.type_name.clone().into_owned(),
        version: line.version.unwrap_or(1),
        valid_at_micros,
        tags,
        original_cause: line.cause.as_deref().map(|id| event_id("cause", id)).transpose()?,
        idempotency: Some(idempotency),
        content_type,
        payload,
        original: original(&line)?,
        meta: meta(line),
    })
}

/// One line of `read --format ndjson`. A member that is not known would be lost: it is refused.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EventLine<'a> {
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    root: Option<Cow<'a, str>>,
    #[serde(borrow)]
    key: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "type")]
    type_name: Cow<'a, str>,
    version: Option<u32>,
    #[serde(borrow)]
    valid_at: Option<Cow<'a, str>>,
    #[serde(borrow)]
    tx: Option<Cow<'a, str>>,
    seq: Option<u64>,
    #[serde(borrow)]
    origin: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    tags: Vec<Cow<'a, str>>,
    #[serde(borrow)]
    cause: Option<Cow<'a, str>>,
    #[serde(default)]
    meta: BTreeMap<String, String>,
    #[serde(borrow)]
    idempotency_key: Option<Cow<'a, str>>,
    #[serde(borrow)]
    idempotency_key_base64: Option<Cow<'a, str>>,
    #[serde(borrow)]
    content_type: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "present")]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    data_base64: Option<Cow<'a, str>>,
    /// True of the copy that was read, not of the event.
    #[serde(rename = "position")]
    _position: Option<IgnoredAny>,
    #[serde(rename = "arrival")]
    _arrival: Option<IgnoredAny>,
    #[serde(rename = "clock_suspect")]
    _clock_suspect: Option<IgnoredAny>,
    #[serde(rename = "cursor")]
    _cursor: Option<IgnoredAny>,
}

/// A payload that is `null` is a payload.
fn present<'de, D: serde::Deserializer<'de>>(value: D) -> Result<Option<&'de RawValue>, D::Error> {
    Deserialize::deserialize(value).map(Some)
}

fn payload(line: &EventLine<'_>) -> Result<(String, Vec<u8>), Reason> {
    let content_type = line.content_type.as_deref().unwrap_or(JSON).to_owned();
    match (line.data, &line.data_base64) {
        (Some(data), None) => {
            let mut payload = Vec::new();
            minify_into(data.get(), &mut payload);
            Ok((content_type, payload))
        }
        (None, Some(data)) => Ok((content_type, decode("data_base64", data)?)),
        (Some(_), Some(_)) => Err(not_an_event("it has both `data` and `data_base64`")),
        (None, None) => Err(not_an_event("it has neither `data` nor `data_base64`")),
    }
}

/// Which event this line is a copy of.
fn original(line: &EventLine<'_>) -> Result<Option<Original>, Reason> {
    let Some(id) = line.id.as_deref().map(|id| event_id("id", id)).transpose()? else {
        return Ok(None);
    };
    let first_id = line.meta.get(ORIGIN_ID).and_then(|id| id.parse().ok());
    let first_seq = line.meta.get(ORIGIN_SEQ).and_then(|seq| seq.parse().ok());
    Ok(Some(Original { id, seq: line.seq, first: first_id.zip(first_seq) }))
}

fn event_id(field: &str, text: &str) -> Result<EventId, Reason> {
    text.parse().map_err(|error| not_an_event(&format!("`{field}`: {error}")))
}

fn meta(line: EventLine<'_>) -> BTreeMap<String, String> {
    let mut meta = line.meta;
    if meta.contains_key(ORIGIN_ID) {
        return meta;
    }
    if let Some(id) = line.id {
        meta.insert(ORIGIN_ID.to_owned(), id.into_owned());
        if let Some(seq) = line.seq {
            meta.insert(ORIGIN_SEQ.to_owned(), seq.to_string());
        }
        if let Some(tx) = line.tx {
            meta.insert(ORIGIN_TX.to_owned(), tx.into_owned());
        }
        if let Some(replica) = line.origin {
            meta.insert(ORIGIN_REPLICA.to_owned(), replica.into_owned());
        }
    }
    meta
}

fn split_tag(tag: &str) -> Result<(String, String), Reason> {
    match tag.split_once(':') {
        Some((root, key)) => Ok((root.to_owned(), key.to_owned())),
        None => Err(not_an_event("a tag is written root:key")),
    }
}

fn decode(field: &str, text: &str) -> Result<Vec<u8>, Reason> {
    STANDARD.decode(text).map_err(|error| not_an_event(&format!("`{field}`: {error}")))
}

fn not_an_event(message: &str) -> Reason {
    Reason::NotAnEvent { message: message.to_owned() }
}
