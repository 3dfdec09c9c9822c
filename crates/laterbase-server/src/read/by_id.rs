//! `GET …/e?keys=ULID,ULID`: events by id.

use axum::response::Response;
use laterbase::{EventId, Recorded};

use super::Reading;
use super::forms;
use super::reader::{not_read, settle};
use crate::accept::Form;
use crate::parameters::wrong;
use crate::problem::{Kind, Problem};

/// Ids of one request at the most.
const IDS_MAX: usize = 1_000;

/// Answers with the events and the ids of those that are not here.
pub(super) fn answer(reading: &Reading, form: Form) -> Result<Response, Problem> {
    let (parameters, database) = (&reading.parameters, &reading.hosted.database);
    let alone = ["vv", "lc", "after", "as_of", "order", "limit", "key", "tag", "type", "root"];
    let ranges = ["tx_from", "tx_until", "valid_from", "valid_until"];
    if let Some(other) = alone.into_iter().chain(ranges).find(|name| parameters.has(name)) {
        return Err(wrong(other, "`keys` names the events: leave this out"));
    }
    let text = parameters.one("keys")?.unwrap_or_default();
    let ids = text.split(',').map(str::parse::<EventId>).collect::<Result<Vec<_>, _>>();
    let ids = ids.map_err(|error| wrong("keys", error))?;
    if ids.len() > IDS_MAX {
        return Err(wrong("keys", format_args!("{IDS_MAX} ids at the most, in one request")));
    }
    let mut found = database.get_many(&ids).map_err(|error| not_read(&error))?;
    if let Some(root) = reading.root {
        // Under a root, what is under another one is not here.
        let elsewhere = |recorded: &Recorded| recorded.event.root != root.as_str();
        found.missing.extend(found.events.iter().filter(|r| elsewhere(r)).map(Recorded::id));
        found.events.retain(|recorded| !elsewhere(recorded));
    }
    settle(database)?;
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
