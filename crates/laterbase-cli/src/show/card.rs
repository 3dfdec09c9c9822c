//! One event in full, for a person: a line for each field, the payload spread out.

use laterbase::Recorded;

use super::{arrival_micros, payload_json, tx_micros};
use crate::output::{Ink, Style};
use crate::table::visible;
use crate::time::Clockface;

/// The lines of the card.
pub(crate) fn card(recorded: &Recorded, clock: &Clockface, style: Style) -> String {
    let event = &recorded.event;
    let mut text = String::new();
    let mut field = |name: &str, ink: Ink, value: &str| {
        let label = style.paint(Ink::Faint, &format!("{name:<10}"));
        text.push_str(&format!("{label}  {}\n", style.paint(ink, &visible(value))));
    };
    let tx = tx_micros(recorded);
    field("id", Ink::Strong, &event.id.to_string());
    field("stream", Ink::Name, &format!("{}/{}", event.root, event.key));
    let type_name = if event.version == 1 {
        event.type_name.clone()
    } else {
        format!("{}  version {}", event.type_name, event.version)
    };
    field("type", Ink::Strong, &type_name);
    let valid_at = clock.format(event.valid_at.as_micros());
    let gap = gap(event.valid_at.as_micros(), tx);
    field("valid at", Ink::Plain, &format!("{valid_at}{gap}"));
    field("recorded", Ink::Plain, &clock.format(tx));
    if arrival_micros(recorded) != tx {
        field("arrived", Ink::Plain, &clock.format(arrival_micros(recorded)));
    }
    let log = format!("{} of {} by replica {}", event.seq, event.root, event.id.replica());
    field("log", Ink::Plain, &log);
    for (index, (root, key)) in event.tags.iter().enumerate() {
        field(if index == 0 { "tags" } else { "" }, Ink::Name, &format!("{root}:{key}"));
    }
    if let Some(cause) = event.cause {
        field("cause", Ink::Name, &cause.to_string());
    }
    if let Some(key) = &event.idempotency {
        field("once per", Ink::Plain, &String::from_utf8_lossy(key));
    }
    for (index, (name, value)) in event.meta.iter().enumerate() {
        field(if index == 0 { "meta" } else { "" }, Ink::Plain, &format!("{name} = {value}"));
    }
    text.push_str(&payload(recorded, style));
    text
}

/// How far valid time lies from transaction time, where that is worth a word.
fn gap(valid_micros: i64, tx_micros: i64) -> String {
    let seconds = tx_micros.saturating_sub(valid_micros) / 1_000_000;
    let word = if seconds > 0 { "before it was recorded" } else { "after it was recorded" };
    let seconds = seconds.unsigned_abs();
    let (count, unit) = match seconds {
        0..60 => return String::new(),
        60..7_200 => (seconds / 60, "min"),
        7_200..172_800 => (seconds / 3_600, "h"),
        172_800.. => (seconds / 86_400, "days"),
    };
    format!("  ({count} {unit} {word})")
}

fn payload(recorded: &Recorded, style: Style) -> String {
    let event = &recorded.event;
    let Some(json) = payload_json(event) else {
        let text = format!("{} bytes of {}", event.payload.len(), event.content_type);
        return format!("{}\n", style.paint(Ink::Faint, &visible(&text)));
    };
    let mut spread = String::new();
    spread_out(json, &mut spread);
    format!("{}\n", spread.lines().map(visible).collect::<Vec<_>>().join("\n"))
}

/// Puts each member and element on a line of its own. What stands in the text stays as it is.
fn spread_out(json: &str, out: &mut String) {
    let mut minified = Vec::new();
    laterbase_json::minify_into(json, &mut minified);
    let text = String::from_utf8(minified).unwrap_or_default();
    let mut depth = 0_usize;
    let (mut in_string, mut escaped) = (false, false);
    let mut letters = text.chars().peekable();
    let break_line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.push_str(&"  ".repeat(depth.min(40)));
    };
    while let Some(letter) = letters.next() {
        if in_string {
            out.push(letter);
            in_string = escaped || letter != '"';
            escaped = letter == '\\' && !escaped;
            continue;
        }
        match letter {
            '"' => {
                in_string = true;
                out.push(letter);
            }
            '{' | '[' => {
                out.push(letter);
                if let Some(close) = letters.next_if(|next| matches!(next, '}' | ']')) {
                    out.push(close);
                } else {
                    depth = depth.saturating_add(1);
                    break_line(out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                break_line(out, depth);
                out.push(letter);
            }
            ',' => {
                out.push(letter);
                break_line(out, depth);
            }
            ':' => out.push_str(": "),
            _ => out.push(letter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_are_spread_out_without_a_change_in_what_they_say() {
        let mut out = String::new();
        spread_out(r#"{"a":[1.10,{}],"b:,":"x\",{","c":[]}"#, &mut out);
        let expected =
            "{\n  \"a\": [\n    1.10,\n    {}\n  ],\n  \"b:,\": \"x\\\",{\",\n  \"c\": []\n}";
        assert_eq!(out, expected);
    }

    #[test]
    fn the_gap_between_the_times_is_said_in_words() {
        assert_eq!(gap(0, 1_000_000), "");
        assert_eq!(gap(0, 3 * 86_400_000_000), "  (3 days before it was recorded)");
        assert_eq!(gap(600_000_000, 0), "  (10 min after it was recorded)");
    }
}
