//! Events as text: JSON, CSV, table rows, and the card that `get` shows.

mod card;
mod csv;
mod json;
mod rows;

pub(crate) use card::card;
pub(crate) use csv::{CSV_HEADER, write_csv};
pub(crate) use json::write_json;
pub(crate) use rows::{COLUMNS, row};

/// When this replica came to hold an event, in microseconds since 1970.
fn arrival_micros(recorded: &laterbase::Recorded) -> i64 {
    laterbase::Timestamp::from_hlc(recorded.arrival).as_micros()
}

/// When an event was recorded, in microseconds since 1970.
pub(crate) fn tx_micros(recorded: &laterbase::Recorded) -> i64 {
    laterbase::Timestamp::from_hlc(recorded.event.id.hlc()).as_micros()
}

/// The payload as JSON text, if that is what it says it is and is.
fn payload_json(event: &laterbase::Event) -> Option<&str> {
    let media_type = event.content_type.split(';').next().unwrap_or_default().trim();
    let is_json = media_type.eq_ignore_ascii_case(laterbase::CONTENT_TYPE_JSON)
        || media_type.to_ascii_lowercase().ends_with("+json");
    if !is_json {
        return None;
    }
    serde_json::from_slice::<&serde_json::value::RawValue>(&event.payload)
        .ok()
        .map(serde_json::value::RawValue::get)
}
