//! `laterbase stats`: what the database holds.

use clap::Args;
use laterbase::{Database, Statistics, Timestamp, VersionVector};
use serde_json::{Value, json};

use super::{Context, Place};
use crate::failure::Failure;
use crate::output::{Ink, Style};
use crate::refusals;
use crate::time::Clockface;
use crate::values::version_vector_text;

/// Show what the database holds: events by root, sizes, replicas
#[derive(Debug, Args)]
pub(crate) struct Stats {}

impl Stats {
    pub(super) fn run(self, context: &mut Context) -> Result<(), Failure> {
        match context.open_to_read()? {
            Place::Here(database) => held(&database, context),
            #[cfg(feature = "remote")]
            Place::There(there) => described(&there.describe()?, context),
        }
    }
}

/// What a database here holds.
fn held(database: &Database, context: &mut Context) -> Result<(), Failure> {
    let statistics = database.statistics().map_err(|error| refusals::reading(&error))?;
    let vector = database.version_vector().map_err(|error| refusals::reading(&error))?;
    if context.json() {
        let document = document(&statistics, &vector, &context.clock());
        return context.out.line(document);
    }
    let text = text(&statistics, &vector, context.out.style());
    context.out.bytes(text.as_bytes())
}

/// What a server says of its database.
#[cfg(feature = "remote")]
fn described(database: &Value, context: &mut Context) -> Result<(), Failure> {
    if context.json() {
        return context.out.line(database);
    }
    let style = context.out.style();
    let number = |name: &str| database[name].as_u64().unwrap_or_default();
    let text = |name: &str| database[name].as_str().unwrap_or_default().to_owned();
    let mut fields = vec![
        ("database", text("database")),
        ("replica", text("replica")),
        ("events", style.paint(Ink::Strong, &grouped(number("events")))),
    ];
    for (index, (root, logs)) in database["roots"].as_object().into_iter().flatten().enumerate() {
        let logs = logs.as_object().map_or(0, serde_json::Map::len);
        let root = style.paint(Ink::Name, root);
        let label = if index == 0 { "roots" } else { "" };
        fields.push((label, format!("{root}  {}", counted(logs as u64, "log"))));
    }
    let segments = counted(number("segments"), "segment");
    fields.push(("log", format!("{} in {segments}", size(number("log_bytes")))));
    fields.push(("index", size(number("index_bytes"))));
    fields.push(("vv", text("vv")));
    for (name, value) in fields {
        let label = style.paint(Ink::Faint, &format!("{name:<9}"));
        context.out.line(format_args!("{label}  {value}"))?;
    }
    Ok(())
}

fn document(statistics: &Statistics, vector: &VersionVector, clock: &Clockface) -> Value {
    let logs: Vec<Value> = vector
        .iter()
        .map(|(root, replica, seq)| {
            json!({ "root": root.as_str(), "replica": replica.to_string(), "seq": seq })
        })
        .collect();
    let roots: serde_json::Map<String, Value> = statistics
        .roots
        .iter()
        .map(|(root, held)| (root.clone(), json!({ "events": held.events, "logs": held.logs })))
        .collect();
    let last_tx = statistics
        .clock
        .map(|clock_value| clock.format(Timestamp::from_hlc(clock_value).as_micros()));
    json!({
        "database": statistics.database.to_string(),
        "replica": statistics.replica.to_string(),
        "events": statistics.events,
        "flushed_position": statistics.flushed.as_u64(),
        "last_tx": last_tx,
        "roots": roots,
        "log": {
            "segments": statistics.segments.len(),
            "sealed": statistics.segments.iter().filter(|segment| segment.sealed).count(),
            "bytes": log_bytes(statistics),
        },
        "index": {
            "runs": statistics.index.runs,
            "entries": index_entries(statistics),
            "bytes": statistics.index.run_bytes,
        },
        "vv": version_vector_text(vector),
        "logs": logs,
    })
}

fn text(statistics: &Statistics, vector: &VersionVector, style: Style) -> String {
    let mut text = String::new();
    let mut field = |name: &str, value: &str| {
        let label = style.paint(Ink::Faint, &format!("{name:<9}"));
        text.push_str(&format!("{label}  {value}\n"));
    };
    field("database", &statistics.database.to_string());
    field("replica", &statistics.replica.to_string());
    field("events", &style.paint(Ink::Strong, &grouped(statistics.events)));
    for (index, (root, held)) in statistics.roots.iter().enumerate() {
        let logs = if held.logs == 1 { String::new() } else { format!(" in {} logs", held.logs) };
        let root = style.paint(Ink::Name, root);
        let label = if index == 0 { "roots" } else { "" };
        field(label, &format!("{root}  {}{logs}", grouped(held.events)));
    }
    let segments = counted(statistics.segments.len() as u64, "segment");
    field("log", &format!("{} in {segments}", size(log_bytes(statistics))));
    let index = &statistics.index;
    let entries = index_entries(statistics);
    let runs = counted(index.runs as u64, "run");
    field("index", &format!("{} in {runs}, {} entries", size(index.run_bytes), grouped(entries)));
    field("vv", &version_vector_text(vector));
    text
}

/// What the events take: not what is set aside for those to come.
fn log_bytes(statistics: &Statistics) -> u64 {
    let bytes = |segment: &laterbase_log::SegmentInfo| {
        if segment.sealed { segment.file_bytes } else { segment.stream_bytes }
    };
    statistics.segments.iter().map(bytes).sum()
}

fn index_entries(statistics: &Statistics) -> u64 {
    statistics.index.run_entries.saturating_add(statistics.index.memtable_entries)
}

pub(super) fn counted(count: u64, noun: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{} {noun}{ending}", grouped(count))
}

/// Digits in groups of three: `1,234,567`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && digits.len().saturating_sub(index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Bytes in the largest unit that leaves a number above one.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    for (unit, name) in UNITS {
        if bytes >= unit {
            let tenths = bytes / (unit / 10);
            return format!("{}.{} {name}", tenths / 10, tenths % 10);
        }
    }
    format!("{bytes} B")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_sizes_are_easy_to_read() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(size(17), "17 B");
        assert_eq!(size(1 << 20), "1.0 MiB");
        assert_eq!(size(1_610_612_736), "1.5 GiB");
    }
}
