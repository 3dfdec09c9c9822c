//! The events that are synced: of 188 bytes of JSON each, and those of the sample.

use laterbase::{Commit, Database, EventDraft, KeyDraft};

use crate::areas::SEED;
use crate::error::StoreError;
use crate::random::Random;
use crate::sample;
use crate::workload::ROOT;

/// How many events a cold replica takes in.
pub(super) const COLD: usize = 10_000;

/// What the payloads are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// 188 bytes of JSON, key and type, nothing else.
    Plain,
    /// `laterbase sample --seed 1`: 188 bytes of JSON on average, valid time, tags, idempotency
    /// key.
    Sample,
}

impl Kind {
    pub(super) const ALL: [Self; 2] = [Self::Plain, Self::Sample];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Plain => "188 B",
            Self::Sample => "sample",
        }
    }

    /// A name for folders and addresses.
    pub(super) fn slug(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Sample => "sample",
        }
    }

    /// The payloads of the first `count` events, one a line.
    pub(super) fn payload_lines(self, count: usize) -> Result<String, StoreError> {
        let mut text = String::new();
        match self {
            Self::Plain => {
                for event in plain_events(0, count) {
                    text.push_str(&event.payload);
                    text.push('\n');
                }
            }
            Self::Sample => {
                for line in sample::lines(&sample::text(count as u64))? {
                    text.push_str(line.data.get());
                    text.push('\n');
                }
            }
        }
        Ok(text)
    }

    /// Appends `count` events after the first `skip`, `batch` to a commit.
    pub(super) fn append(
        self,
        database: &Database,
        skip: usize,
        count: usize,
        batch: usize,
    ) -> Result<(), StoreError> {
        match self {
            Self::Plain => append_plain(database, ROOT, &plain_events(skip, count), batch),
            Self::Sample => {
                let text = sample::text((skip + count) as u64);
                let lines = sample::lines(&text)?;
                let lines = lines.get(skip..).unwrap_or_default();
                append_batches(database, lines, batch, |commit, line| line.push(commit))
            }
        }
    }
}

/// A plain event, ready to be recorded.
#[derive(Debug)]
pub(super) struct Plain {
    key: String,
    payload: String,
}

/// `count` plain events after the first `skip`.
pub(super) fn plain_events(skip: usize, count: usize) -> Vec<Plain> {
    let mut random = Random::new(SEED.wrapping_add(skip as u64));
    let event =
        |number| Plain { key: format!("S-{number:06}"), payload: plain(number, &mut random) };
    (skip..skip + count).map(event).collect()
}

/// Appends plain events under a root, `batch` to a commit.
pub(super) fn append_plain(
    database: &Database,
    root: &str,
    events: &[Plain],
    batch: usize,
) -> Result<(), StoreError> {
    append_batches(database, events, batch, |commit, event| {
        let draft = EventDraft {
            content_type: "application/json",
            payload: event.payload.as_bytes(),
            ..EventDraft::new(KeyDraft::Text(&event.key), "departed")
        };
        commit.push_draft(root, &draft)?;
        Ok(())
    })
}

/// Appends each batch and waits until it is on the device.
fn append_batches<T>(
    database: &Database,
    events: &[T],
    batch: usize,
    mut push: impl FnMut(&mut Commit, &T) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut commit = database.commit();
    for events in events.chunks(batch) {
        commit.clear();
        for event in events {
            push(&mut commit, event)?;
        }
        database.append(&mut commit)?.wait()?;
    }
    Ok(())
}

/// 188 bytes of JSON, of which the numbers differ from event to event.
fn plain(number: usize, random: &mut Random) -> String {
    format!(
        concat!(
            r#"{{"event":"departed","shipment":"S-{:06}","truck":"HH-XY {:04}","dock":"D{:02}","#,
            r#""weight_kg":{},"driver":"d{:05}","temperature":{},"#,
            r#""note":"left the yard on time, all seals were checked ok"}}"#,
        ),
        number,
        random.below(10_000),
        random.below(40),
        10_000 + random.below(20_000),
        random.below(3_000),
        100 + random.below(300),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_payload_is_json_of_188_bytes() {
        let text = Kind::Plain.payload_lines(1_000).unwrap();
        for line in text.lines() {
            assert_eq!(line.len(), 188, "{line}");
            serde_json::from_str::<serde_json::Value>(line).unwrap();
        }
        assert_eq!(text.lines().count(), 1_000);
    }

    #[test]
    fn payloads_of_the_sample_are_json_of_about_188_bytes() {
        let text = Kind::Sample.payload_lines(1_000).unwrap();
        for line in text.lines() {
            serde_json::from_str::<serde_json::Value>(line).unwrap();
        }
        assert!((178_000..=198_000).contains(&text.len()), "{}", text.len());
    }
}
