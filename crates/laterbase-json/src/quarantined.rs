//! What is in quarantine, as JSON.

use laterbase::EventId;
use laterbase::sync::{QuarantinedBatch, Retried};
use serde_json::{Value, json};

/// A batch that a validator refused.
#[must_use]
pub fn quarantined(batch: &QuarantinedBatch) -> Value {
    let events: Vec<String> = batch.events.iter().map(EventId::to_string).collect();
    json!({
        "root": batch.root.as_str(),
        "log": batch.replica.to_string(),
        "seq": batch.first_seq,
        "events": events,
        "refused": batch.refusal.as_ref().map(|(id, _)| id.to_string()),
        "message": batch.refusal.as_ref().map(|(_, message)| message),
    })
}

/// What came of looking at all of them again.
#[must_use]
pub fn retried(retried: &Retried) -> Value {
    json!({
        "admitted": retried.admitted,
        "admitted_events": retried.admitted_events,
        "refused": retried.refused,
    })
}
