//! Parameters, bodies and answers that several routes share.

use super::{Answer, Content, Method, Parameter, Place, RootOf, Route};
use crate::access::Verb;

const fn query(name: &'static str, schema: &'static str, about: &'static str) -> Parameter {
    Parameter { name, place: Place::Query, schema, many: false, about }
}

const fn queries(name: &'static str, schema: &'static str, about: &'static str) -> Parameter {
    Parameter { name, place: Place::Query, schema, many: true, about }
}

const fn header(name: &'static str, schema: &'static str, about: &'static str) -> Parameter {
    Parameter { name, place: Place::Header, schema, many: false, about }
}

/// 200 with these contents.
pub(super) const fn ok(about: &'static str, contents: &'static [Content]) -> Answer {
    Answer { status: 200, about, contents, headers: &[] }
}

/// A GET without parameters, to be made into what a route is.
pub(super) const fn get(id: &'static str, path: &'static str, about: &'static str) -> Route {
    Route {
        id,
        method: Method::Get,
        path,
        short: None,
        about,
        verb: Verb::Ask,
        root_of: RootOf::Path,
        is_socket: false,
        parameters: &[],
        bodies: &[],
        body_required: false,
        answers: &[],
        problems: &[],
        run: |_| Box::pin(async { Err(crate::problem::Problem::no_such_path()) }),
    }
}

pub(super) const fn content(media_type: &'static str, schema: &'static str) -> Content {
    Content { media_type, schema }
}

pub(super) const VV: Parameter =
    query("vv", "VersionVector", "Only events outside of this version vector.");
pub(super) const LC: Parameter = query("lc", "VersionVector", "Another name of `vv`.");
pub(super) const AFTER: Parameter =
    query("after", "Cursor", "Go on behind this cursor of an earlier answer of this copy.");
pub(super) const KEYS: Parameter =
    query("keys", "EventIds", "Just the events with these ids, separated by commas.");
pub(super) const ROOT: Parameter = query("root", "Root", "Only events of this root.");
pub(super) const KEY: Parameter = query("key", "Key", "Only events of this key.");
pub(super) const TAG: Parameter =
    queries("tag", "Tag", "Only events that carry this tag; several are all required.");
pub(super) const TYPE: Parameter =
    queries("type", "TypeName", "Only events of this type; several are alternatives.");
pub(super) const TX_FROM: Parameter = query("tx_from", "Time", "Recorded then or later.");
pub(super) const TX_UNTIL: Parameter = query("tx_until", "Time", "Recorded before.");
pub(super) const VALID_FROM: Parameter = query("valid_from", "Time", "Happened then or later.");
pub(super) const VALID_UNTIL: Parameter = query("valid_until", "Time", "Happened before.");
pub(super) const AS_OF: Parameter = query(
    "as_of",
    "AsOf",
    "A time: what was known here then. `recorded:` and a time: what was recorded by then. A \
     version vector: exactly what it covers.",
);
pub(super) const ORDER: Parameter =
    query("order", "Order", "`tx` (by id), `valid` or `arrival`; `tx` if not given.");
pub(super) const REVERSE: Parameter =
    query("reverse", "Flag", "`true`: the last first. Not in streams.");
pub(super) const CAUSED_BY: Parameter =
    query("caused_by", "EventId", "Only events that followed directly from this one.");
pub(super) const CAUSES_OF: Parameter = query(
    "causes_of",
    "EventId",
    "Only events from which this one followed, over any number of steps.",
);
pub(super) const EFFECTS_OF: Parameter = query(
    "effects_of",
    "EventId",
    "Only events that followed from this one, over any number of steps.",
);
pub(super) const LIMIT: Parameter =
    query("limit", "Limit", "How many events at the most: 1000 if not given, except in streams.");
pub(super) const CE_MODE: Parameter = query(
    "ce_mode",
    "CeMode",
    "`binary`: the one event of `keys` as a CloudEvent in binary mode, whatever `Accept` says.",
);
pub(super) const LAST_EVENT_ID: Parameter = header(
    "Last-Event-ID",
    "HeaderText",
    "Where an event stream goes on: the id of the last event that came. Before `after`.",
);
pub(super) const IF_NONE_MATCH_READ: Parameter =
    header("If-None-Match", "HeaderText", "304 if the stream still has this version.");

pub(super) const VALID_AT: Parameter =
    query("valid_at", "Time", "With what had happened by then; all that is known if not given.");
pub(super) const FROM_KEY: Parameter = query("from", "Key", "The first key.");
pub(super) const UNTIL_KEY: Parameter =
    query("until", "Key", "The first key that is not wanted any more.");
pub(super) const LIMIT_ROWS: Parameter =
    query("limit", "RowLimit", "How many rows at the most: 100 if not given.");
pub(super) const AFTER_PAGE: Parameter =
    query("after", "Cursor", "Go on behind an earlier page, at the same moment: its `next`.");

pub(super) const IDEMPOTENCY_KEY: Parameter = header(
    "Idempotency-Key",
    "IdempotencyKey",
    "Records the body once. Of several events, and with `batch`, the first has the key `KEY/0`, \
     and so on, unless it has its own.",
);
pub(super) const BATCH: Parameter = query(
    "batch",
    "BatchEvents",
    "Takes NDJSON of any length, recorded in commits of so many events at the most as it arrives.",
);
pub(super) const IF_MATCH: Parameter = header(
    "If-Match",
    "EntityTags",
    "The version that the one stream of the body must have; `*`: it must have events.",
);
pub(super) const IF_NONE_MATCH_WRITE: Parameter =
    header("If-None-Match", "Star", "`*`: the one stream of the body must have no events.");
#[cfg(feature = "query")]
pub(super) const DRY_RUN: Parameter =
    query("dry_run", "Flag", "`true`: says what would change, and changes nothing.");
#[cfg(feature = "query")]
pub(super) const IF_MATCH_SCHEMA: Parameter =
    header("If-Match", "HeaderText", "The hash that the schema must have, as its entity tag.");
#[cfg(feature = "query")]
pub(super) const IF_NONE_MATCH_SCHEMA: Parameter =
    header("If-None-Match", "HeaderText", "304 if the schema still has this hash.");
pub(super) const CE_SPECVERSION: Parameter =
    header("ce-specversion", "CeSpecversion", "CloudEvents in binary mode: `1.0`.");
pub(super) const CE_ID: Parameter = header("ce-id", "CeText", "CloudEvents: id.");
pub(super) const CE_SOURCE: Parameter = header("ce-source", "CeText", "CloudEvents: source.");
pub(super) const CE_TYPE: Parameter = header("ce-type", "CeText", "CloudEvents: type.");
pub(super) const CE_SUBJECT: Parameter =
    header("ce-subject", "CeText", "CloudEvents: the event's key.");
pub(super) const CE_TIME: Parameter = header("ce-time", "Time", "CloudEvents: when it happened.");
pub(super) const SESSION: Parameter =
    header("Laterbase-Session", "Session", "The session that the flight belongs to.");

pub(super) const JSON: &str = "application/json";
pub(super) const NDJSON: &str = "application/x-ndjson";
pub(super) const FRAMES: &str = "application/vnd.laterbase.frames";
