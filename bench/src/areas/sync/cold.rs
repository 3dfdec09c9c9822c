//! An empty replica takes in 10,000 events, beside the peers from npm.
//!
//! Each subject takes its turn in each round, several times in a row; its sample is the median of
//! those. Only the exchange is timed: the events are recorded and the empty replica is created
//! before. The peers exchange in memory, without a network and without a device, all but PouchDB,
//! which replicates over HTTP into LevelDB as we do into our log.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use laterbase::{Database, Options, Order, Query};
use laterbase_client::Report as Synced;

use super::events::{COLD, Kind};
use super::others::{Installed, Other, Said};
use super::served::{Meeting, Served};
use super::{AREA, ours, theirs};
use crate::areas::{Context, Scratch, blame};
use crate::engine::Engine;
use crate::error::{BenchError, StoreError};
use crate::measurement::{Better, Measurement, median, ratio};
use crate::report::{OURS, Report};

/// Exchanges in a row, of which the median is one sample.
const RUNS: usize = 3;
/// Events that are recorded together.
const BATCHES: [usize; 3] = [100, 1, 1_000];
/// As many as the others record in one change.
const SHARED_BATCH: usize = 100;

/// One database to be copied, and its payloads for the others.
struct Case {
    kind: Kind,
    batch: usize,
    served: Served,
    payloads: PathBuf,
}

impl Case {
    fn new(kind: Kind, batch: usize, scratch: &Path) -> Result<Self, StoreError> {
        let folder = scratch.join(format!("{}-{batch}", kind.slug()));
        let database = Database::create(&folder, Options::default())?;
        kind.append(&database, 0, COLD, batch)?;
        let payloads = scratch.join(format!("{}.ndjson", kind.slug()));
        std::fs::write(&payloads, kind.payload_lines(COLD)?)?;
        Ok(Self { kind, batch, served: Served::new(database)?, payloads })
    }

    /// A case of the report, by how others hold the same events.
    fn title(&self, form: &str, what: &str) -> String {
        let recorded = match self.batch {
            SHARED_BATCH => "",
            1 => ", one by one",
            _ => ", in batches of 1,000",
        };
        let form = if form.is_empty() { String::new() } else { format!(", as {form}") };
        format!("cold, {}{recorded}{form}: {what}", self.kind.name())
    }

    /// Syncs into an empty replica; how long that took and what went over the wire.
    fn exchange(&self, folder: &Path) -> Result<(f64, Synced), StoreError> {
        let _ = std::fs::remove_dir_all(folder);
        let replica = self.served.join(folder, Options::default())?;
        let begun = Instant::now();
        let synced = self.served.sync(&replica, Meeting::Strangers)?;
        let ms = begun.elapsed().as_secs_f64() * 1e3;
        let mut count = 0;
        replica.visit(&Query::all().order(Order::Arrival), |_, _, _| {
            count += 1;
            ControlFlow::Continue(())
        })?;
        if count != COLD {
            return Err(format!("{count} events instead of {COLD} after a cold sync").into());
        }
        replica.close()?;
        Ok((ms, synced))
    }

    fn add(&self, report: &mut Report, folder: &Path) -> Result<(), StoreError> {
        let mut times = Vec::new();
        let mut last = Synced::default();
        for _ in 0..RUNS {
            let (ms, synced) = self.exchange(folder)?;
            times.push(ms);
            last = synced;
        }
        let bytes = (last.bytes_out + last.bytes_in) as f64;
        // One row for each form in which others hold the events, so that they stand side by side.
        let forms: &[&str] = if self.batch == SHARED_BATCH { &FORMS } else { &[""] };
        for form in forms {
            report.add(ours(&self.title(form, "time"), "ms", Better::Lower, median(&times)));
            report.add(ours(&self.title(form, "bytes"), "B", Better::Lower, bytes));
            let trips = f64::from(last.round_trips);
            report.add(ours(&self.title(form, "round trips"), "", Better::Lower, trips));
        }
        Ok(())
    }

    fn add_said(&self, report: &mut Report, said: &Said) -> Result<(), BenchError> {
        if said.events != COLD {
            return Err(BenchError::Child(format!("{} took in {} events", said.name, said.events)));
        }
        let (form, snapshot) = match said.form.strip_suffix(", snapshot") {
            Some(form) => (form, " snapshot"),
            None => (said.form.as_str(), ""),
        };
        let subject = format!("{} {}{snapshot}", said.name, said.version);
        let bytes = (said.bytes_up + said.bytes_down) as f64;
        let trips = said.round_trips as f64;
        let mut add = |what, unit, value| {
            report.add(theirs(&subject, &self.title(form, what), unit, Better::Lower, value));
        };
        add("time", "ms", said.milliseconds);
        add("bytes", "B", bytes);
        add("round trips", "", trips);
        Ok(())
    }
}

/// The forms in which the peers hold events.
const FORMS: [&str; 2] = ["opaque strings", "objects"];

pub(super) fn run(context: &Context, report: &mut Report) -> Result<(), BenchError> {
    let scratch: Scratch = context.scratch("sync-cold")?;
    let mut cases = Vec::new();
    for kind in Kind::ALL {
        for batch in BATCHES {
            cases.push(blame(Engine::Laterbase, Case::new(kind, batch, scratch.path()))?);
        }
    }
    let installed = Installed::new(context.folder.join("sync-peers"));
    match &installed {
        Ok(installed) => {
            report.note(AREA, format!("The peers from npm ran with {}.", installed.node))
        }
        Err(why) => {
            eprintln!("SKIPPED: the peers from npm: {why}");
            report.note(AREA, format!("SKIPPED: the peers from npm: {why}"));
        }
    }
    let text = "Cold: ours goes over HTTP from one database on the device into another, checked \
                and indexed. automerge, loro and yjs go from memory to memory; a snapshot of loro \
                is decoded only when it is read. pouchdb goes over HTTP into LevelDB, without \
                waiting for the device.";
    report.note(AREA, text);
    let replica = scratch.path().join("replica");
    for round in 0..context.rounds {
        for case in &cases {
            let we_begin = round % 2 == 0;
            if we_begin {
                blame(Engine::Laterbase, case.add(report, &replica))?;
            }
            if let Ok(installed) = &installed
                && case.batch == SHARED_BATCH
            {
                let mut others = Other::ALL;
                others.rotate_left(round % Other::ALL.len());
                for other in others {
                    for said in installed.run(other, &case.payloads, RUNS)? {
                        case.add_said(report, &said)?;
                    }
                }
            }
            if !we_begin {
                blame(Engine::Laterbase, case.add(report, &replica))?;
            }
        }
    }
    say_ratios(report);
    Ok(())
}

/// Says how many times faster than each of the others, and how many times smaller.
fn say_ratios(report: &mut Report) {
    let mut notes = Vec::new();
    let of_area = |row: &&Measurement| row.area == AREA && row.case.starts_with("cold");
    let rows: Vec<&Measurement> = report.measurements.iter().filter(of_area).collect();
    for mine in rows.iter().filter(|row| row.subject == OURS && !row.unit.is_empty()) {
        let mut said = Vec::new();
        for other in rows.iter().filter(|row| row.subject != OURS && row.case == mine.case) {
            let times = ratio(mine.better, mine.median(), other.median());
            said.push(format!("{} {times:.2}", other.subject));
        }
        if !said.is_empty() {
            notes.push(format!("{}, theirs to ours: {}.", mine.case, said.join(", ")));
        }
    }
    for note in notes {
        report.note(AREA, note);
    }
}
