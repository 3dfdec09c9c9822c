//! Bytes on the device for each event, with all indexes, after the store has come to rest.
//!
//! Blocks that a file holds are counted, not its length; what was allocated ahead counts.

use super::{Context, SEED, blame, fill, sample_size};
use crate::engine::Engine;
use crate::error::BenchError;
use crate::machine::disk_bytes;
use crate::measurement::{Better, Measurement};
use crate::report::Report;
use crate::workload::Workload;

const AREA: &str = "size";
const BATCH: usize = 1_000;

pub(super) fn run(context: &Context, report: &mut Report) -> Result<(), BenchError> {
    let total = context.scaled(200_000, 2_000_000);
    let events = Workload::new(SEED, total as u64).take(total);
    for engine in &context.engines {
        let scratch = context.scratch(AREA)?;
        let store = engine.open(scratch.path())?;
        fill(*engine, &*store, &events, BATCH)?;
        if let Some(last) = events.last() {
            blame(*engine, store.stream(&last.key, &mut |_| ()))?;
        }
        let open = disk_bytes(scratch.path());
        drop(store);
        let closed = disk_bytes(scratch.path());
        for (case, bytes) in [("while open", open), ("after closing", closed)] {
            report.add(Measurement {
                area: AREA,
                case: case.to_owned(),
                subject: engine.name().to_owned(),
                unit: "bytes",
                better: Better::Lower,
                samples: vec![bytes as f64 / total as f64],
            });
        }
    }
    report.note(AREA, format!("Bytes for each of {total} events of about 240 bytes."));
    if context.engines.contains(&Engine::Laterbase) {
        sample_size::run(context, report)?;
    }
    Ok(())
}
