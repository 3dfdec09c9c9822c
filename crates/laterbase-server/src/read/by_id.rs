//! `GET …/e?keys=ULID,ULID`: events by id.

use std::collections::BTreeSet;

use axum::response::Response;
use laterbase::{Database, EventId, Found, Recorded};

use super::Reading;
use super::forms;
use super::reader::{PAGE_BYTES_MAX, not_read, settle};
use crate::accept::Form;
use crate::parameters::wrong;
use crate::problem::{Kind, Problem};

/// Ids of one request at the most.
const IDS_MAX: usize = 1_000;
/// Ids that are looked up at once: so many of the largest events are held.
const AT_ONCE: usize = 8;

/// Answers with the events and the ids of those that are not here.
pub(super) fn answer(reading: &Reading, form: Form) -> Result<Response, Problem> {
    let (parameters, database) = (&reading.parameters, &reading.hosted.database);
    if let Some(other) = parameters.names().find(|name| !matches!(*name, "keys" | "ce_mode")) {
        return Err(wrong(other, "`keys` names the events: leave this out"));
    }
    let text = parameters.one("keys")?.unwrap_or_default();
    let ids = text.split(',').map(str::parse::<EventId>).collect::<Result<Vec<_>, _>>();
    let ids = ids.map_err(|error| wrong("keys", error))?;
    if ids.len() > IDS_MAX {
        return Err(wrong("keys", format_args!("{IDS_MAX} ids at the most, in one request")));
    }
    let mut found = find(database, &ids)?;
    if let Some(root) = reading.root {
        // Under a root, what is under another one is not here.
        let elsewhere = |recorded: &Recorded| recorded.event.root != root.as_str();
        found.missing.extend(found.events.iter().filter(|r| elsewhere(r)).map(Recorded::id));
        found.events.retain(|recorded| !elsewhere(recorded));
    }
    settle(database)?;
    let named = found.events.into_iter().map(|event| database.with_names(event));
    found.events = named.collect::<Result<_, _>>().map_err(|error| not_read(&error))?;
    if matches!(form, Form::CloudEvent | Form::BinaryCloudEvent) {
        return match (found.events.as_slice(), ids.len()) {
            ([one], 1) => Ok(forms::cloud_event(form, one, &reading.hosted.name)),
            ([], 1) => Err(Problem::new(Kind::NoSuchEvent).detail(Kind::NoSuchEvent.advice())),
            (_, _) => Err(Problem::not_acceptable(
                "application/cloudevents-batch+json for several events",
            )),
        };
    }
    forms::found(form, &found.events, &found.missing, &reading.hosted.name)
}

/// The events of these ids, each once.
fn find(database: &Database, ids: &[EventId]) -> Result<Found, Problem> {
    let mut seen = BTreeSet::new();
    let ids: Vec<EventId> = ids.iter().copied().filter(|id| seen.insert(*id)).collect();
    let (mut all, mut bytes) = (Found::default(), 0);
    for some in ids.chunks(AT_ONCE) {
        let found = database.get_many(some).map_err(|error| not_read(&error))?;
        bytes += found.events.iter().map(|recorded| recorded.event.payload.len()).sum::<usize>();
        if bytes > PAGE_BYTES_MAX && ids.len() > 1 {
            let detail = format_args!(
                "these events are larger than {PAGE_BYTES_MAX} bytes together: ask for fewer at a \
                 time, down to one"
            );
            return Err(wrong("keys", detail));
        }
        all.events.extend(found.events);
        all.missing.extend(found.missing);
    }
    Ok(all)
}
