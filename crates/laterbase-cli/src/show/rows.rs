//! An event as a row of a table.

use laterbase::Recorded;

use super::payload_json;
use crate::output::Ink;
use crate::table::Column;
use crate::time::Clockface;
use laterbase_json::minify_into;

/// More of a payload than this is never shown in a row.
const DATA_BYTES_MAX: usize = 400;

/// What a listing shows of an event.
pub(crate) const COLUMNS: [Column; 6] = [
    Column::whole("id", Ink::Faint),
    Column::whole("valid at", Ink::Plain),
    Column::text("stream", 14, Ink::Name),
    Column::text("type", 8, Ink::Strong),
    Column::text("tags", 14, Ink::Plain),
    Column::text("data", 10, Ink::Faint),
];

/// The cells of one event.
pub(crate) fn row(recorded: &Recorded, clock: &Clockface) -> Vec<String> {
    let event = &recorded.event;
    let tags: Vec<String> = event.tags.iter().map(|(root, key)| format!("{root}:{key}")).collect();
    let id = event.id.to_string();
    // The id stands in the row already.
    let stream = if event.key_is_own_id {
        format!("{}/…", event.root)
    } else {
        format!("{}/{}", event.root, event.key)
    };
    vec![
        id,
        clock.format_short(event.valid_at.as_micros()),
        stream,
        event.type_name.clone(),
        tags.join(" "),
        data(recorded),
    ]
}

fn data(recorded: &Recorded) -> String {
    let event = &recorded.event;
    let Some(json) = payload_json(event) else {
        return format!("{} bytes of {}", event.payload.len(), event.content_type);
    };
    let mut end = json.len().min(DATA_BYTES_MAX);
    while !json.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    let mut text = Vec::new();
    minify_into(json.get(..end).unwrap_or_default(), &mut text);
    let mut text = String::from_utf8(text).unwrap_or_default();
    if end < json.len() {
        text.push('…');
    }
    text
}
