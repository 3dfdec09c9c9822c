//! Bytes for each event of `laterbase sample --seed 1`, hot and sealed, with all indexes, beside
//! the bytes of the payloads alone and of those under `zstd -19`.
//!
//! Hot and sealed bytes are those of complete segments, so that what is allocated ahead and the
//! segment being written count for neither. Index bytes are those of the runs after closing.

use std::thread;
use std::time::Duration;

use laterbase::{Database, LogConfig, Options, Sealing, Statistics};

use super::{Context, blame};
use crate::engine::Engine;
use crate::error::{BenchError, StoreError};
use crate::measurement::{Better, Measurement};
use crate::report::{OURS, Report};
use crate::sample::{Line, lines, text};

const AREA: &str = "size";
const EVENTS: u64 = 200_000;
const BATCH: usize = 1_000;
const SEGMENT_BYTES: u64 = 16 << 20;
const ZSTD_LEVEL: i32 = 19;
/// How often the background is asked whether it has sealed everything, and how many times.
const PAUSE: Duration = Duration::from_millis(100);
const PATIENCE: usize = 600;

/// Bytes for each event.
struct Sizes {
    log: f64,
    index: f64,
}

pub(super) fn run(context: &Context, report: &mut Report) -> Result<(), BenchError> {
    let text = text(EVENTS);
    let lines = blame(Engine::Laterbase, lines(&text))?;
    let mut payloads = Vec::new();
    for line in &lines {
        payloads.extend_from_slice(line.data.get().as_bytes());
        payloads.push(b'\n');
    }
    let raw = payloads.len() as f64 / EVENTS as f64 - 1.0;
    let small = zstd::bulk::compress(&payloads, ZSTD_LEVEL)
        .map_err(|error| BenchError::Store { engine: Engine::Laterbase, source: error.into() })?
        .len() as f64
        / EVENTS as f64;
    let hot = blame(Engine::Laterbase, sizes(context, &lines, false))?;
    let sealed = blame(Engine::Laterbase, sizes(context, &lines, true))?;
    let rows = [
        ("sample, hot", OURS, hot.log + hot.index),
        ("sample, sealed", OURS, sealed.log + sealed.index),
        ("sample, sealed, log alone", OURS, sealed.log),
        ("sample, hot", "payloads", raw),
        ("sample, sealed", "payloads, zstd -19", small),
    ];
    for (case, subject, value) in rows {
        report.add(Measurement {
            area: AREA,
            case: case.to_owned(),
            subject: subject.to_owned(),
            unit: "bytes",
            better: Better::Lower,
            samples: vec![value],
        });
    }
    report.note(
        AREA,
        format!(
            "`laterbase sample --events {EVENTS} --seed 1`: payloads of {raw:.0} bytes, \
             {small:.0} under zstd -19. Hot with all indexes: payloads + {:.0} bytes \
             (target: 60). Sealed with all indexes: {:.2} times the latter (target: 1.5); \
             the log alone {:.2} times.",
            hot.log + hot.index - raw,
            (sealed.log + sealed.index) / small,
            sealed.log / small,
        ),
    );
    Ok(())
}

/// Appends the events to a new database and measures it.
fn sizes(context: &Context, lines: &[Line<'_>], sealed: bool) -> Result<Sizes, StoreError> {
    let scratch = context.scratch("sample-size")?;
    let mut options = Options::default();
    options.log.segment_bytes = SEGMENT_BYTES;
    if sealed {
        options.log.hot_bytes_max = 0;
        options.log.sealing = LogConfig::default().sealing;
    } else {
        options.log.sealing = Sealing::Off;
    }
    let database = Database::create(scratch.path(), options)?;
    let mut commit = database.commit();
    for batch in lines.chunks(BATCH) {
        commit.clear();
        for line in batch {
            line.push(&mut commit)?;
        }
        database.append(&mut commit)?.wait()?;
    }
    let mut statistics = database.statistics()?;
    for _ in 0..PATIENCE {
        let done = statistics.segments.iter().all(|segment| !segment.complete || segment.sealed);
        if done || !sealed {
            break;
        }
        thread::sleep(PAUSE);
        statistics = database.statistics()?;
    }
    // Closing writes the entries in memory as a run.
    database.close()?;
    let closed = Database::open_read_only(scratch.path(), Options::default())?;
    measured(&closed.statistics()?, sealed)
}

fn measured(statistics: &Statistics, sealed: bool) -> Result<Sizes, StoreError> {
    let mut bytes = 0;
    let mut events = 0;
    for segment in &statistics.segments {
        if segment.complete && segment.sealed == sealed {
            bytes += segment.file_bytes;
            events += segment.next_position.as_u64() - segment.first_position.as_u64();
        }
    }
    let index = &statistics.index;
    if events == 0 || index.run_entries == 0 {
        return Err("no segment is complete, or no run written: the sample is too small".into());
    }
    let entries = (index.run_entries + index.memtable_entries) as f64 / statistics.events as f64;
    let entry_bytes = index.run_bytes as f64 / index.run_entries as f64;
    Ok(Sizes { log: bytes as f64 / events as f64, index: entries * entry_bytes })
}
