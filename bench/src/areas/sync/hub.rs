//! One database takes in what 64 peers push to it at once, against a local import.
//!
//! ```text
//!   hub      64 threads: a peer's log ─▶ session ─▶ HTTP ─▶ server ─▶ hub's log     events/s
//!   import    1 thread:  events ─▶ batch ─▶ on the device, batch by batch           events/s
//!   import   64 threads: the same                                                  events/s
//! ```
//! Each peer writes under a root of its own and takes part in that alone, so nothing comes back.
//! The peers read, compress and send on the same processors that the hub takes in on, so the hub
//! has less than the whole machine, and the import has all of it. Hence processor time too, which
//! is that of the hub alone: that of the peers' threads is taken off.

use std::path::Path;
use std::time::Instant;

use laterbase::sync::{Roots, SessionConfig};
use laterbase::{Database, DatabaseId, Options, RootName};
use rustix::time::{ClockId, clock_gettime};

use super::events::{Plain, append_plain, plain_events};
use super::served::{Meeting, Served};
use super::{AREA, ours};
use crate::areas::Context;
use crate::error::StoreError;
use crate::measurement::{Better, Measurement};
use crate::report::{OURS, Report};

const PEERS: usize = 64;
const EVENTS_PER_PEER: usize = 2_000;
const BATCH: usize = 100;

/// What takes events in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Intake {
    Hub,
    Import,
    ImportOfMany,
}

impl Intake {
    const ALL: [Self; 3] = [Self::Hub, Self::Import, Self::ImportOfMany];

    fn name(self) -> &'static str {
        match self {
            Self::Hub => "hub, 64 peers push at once",
            Self::Import => "import, one thread",
            Self::ImportOfMany => "import, 64 threads",
        }
    }

    fn run(self, database: Database, peers: &[Peer]) -> Result<Cost, StoreError> {
        match self {
            Self::Hub => {
                let served = Served::new(database)?;
                at_once(peers, |peer| peer.push(&served))
            }
            Self::Import => alone(|| peers.iter().try_for_each(|peer| peer.import(&database))),
            Self::ImportOfMany => {
                let mut cost = at_once(peers, |peer| peer.import(&database))?;
                // Here the threads are a part of what takes in.
                cost.processor_s += cost.peers_processor_s;
                Ok(cost)
            }
        }
    }
}

/// What it took to take everything in.
#[derive(Debug, Clone, Copy)]
struct Cost {
    seconds: f64,
    /// Without the threads of the peers.
    processor_s: f64,
    peers_processor_s: f64,
}

/// A replica with events of its own, on small memory, and the same events to import.
struct Peer {
    root: String,
    database: Database,
    events: Vec<Plain>,
}

impl Peer {
    fn new(folder: &Path, id: DatabaseId, number: usize, each: usize) -> Result<Self, StoreError> {
        let path = folder.join(format!("peer-{number}"));
        let database = Database::create_joined(path, Options::small_device(), id)?;
        let root = format!("device-{number}");
        let events = plain_events(number * each, each);
        append_plain(&database, &root, &events, BATCH)?;
        Ok(Self { root, database, events })
    }

    fn push(&self, served: &Served) -> Result<(), StoreError> {
        let root = RootName::try_from(self.root.as_str())?;
        let config = SessionConfig { scope: Roots::Only([root].into()), ..Default::default() };
        let report = served.sync_as(&self.database, Meeting::Strangers, &config)?;
        let pushed = report.progress.push_events;
        if pushed < self.events.len() as u64 {
            return Err(format!("{pushed} of {} events were pushed", self.events.len()).into());
        }
        Ok(())
    }

    /// Each batch is on the device before the next one is made.
    fn import(&self, database: &Database) -> Result<(), StoreError> {
        append_plain(database, &self.root, &self.events, BATCH)
    }
}

pub(super) fn run(context: &Context, report: &mut Report) -> Result<(), StoreError> {
    let scratch = context.scratch("sync-hub").map_err(|error| error.to_string())?;
    let each = context.scaled(EVENTS_PER_PEER / 4, EVENTS_PER_PEER);
    let first = Database::create(scratch.path().join("first"), Options::default())?;
    let id = first.id();
    first.close()?;
    let peers = (0..PEERS).map(|number| Peer::new(scratch.path(), id, number, each));
    let peers = peers.collect::<Result<Vec<Peer>, StoreError>>()?;
    let events = (each * PEERS) as f64;
    for round in 0..context.rounds {
        let mut intakes = Intake::ALL;
        intakes.rotate_left(round % Intake::ALL.len());
        for intake in intakes {
            let folder = scratch.path().join("fresh");
            let _ = std::fs::remove_dir_all(&folder);
            let database = Database::create_joined(&folder, Options::default(), id)?;
            let cost = intake.run(database, &peers)?;
            let case = format!("{}: events", intake.name());
            report.add(ours(&case, "/s", Better::Higher, events / cost.seconds));
            let case = format!("{}: processor time for each event", intake.name());
            let us = cost.processor_s * 1e6 / events;
            report.add(ours(&case, "µs", Better::Lower, us));
            if intake == Intake::Hub {
                let us = cost.peers_processor_s * 1e6 / events;
                let case = "64 peers that push: processor time for each event".to_owned();
                report.add(ours(&case, "µs", Better::Lower, us));
            }
        }
    }
    say_ratios(report, each);
    Ok(())
}

/// Runs `work` on this thread.
fn alone(work: impl FnOnce() -> Result<(), StoreError>) -> Result<Cost, StoreError> {
    let (begun, processor_s) = (Instant::now(), processor_s(ClockId::ProcessCPUTime));
    work()?;
    let processor_s = self::processor_s(ClockId::ProcessCPUTime) - processor_s;
    Ok(Cost { seconds: begun.elapsed().as_secs_f64(), processor_s, peers_processor_s: 0.0 })
}

/// Runs `work` for each peer on a thread of its own.
fn at_once(
    peers: &[Peer],
    work: impl Fn(&Peer) -> Result<(), StoreError> + Sync,
) -> Result<Cost, StoreError> {
    let work = &work;
    let mut peers_processor_s = 0.0;
    let mut cost = alone(|| {
        std::thread::scope(|scope| {
            let on_thread = |peer| {
                scope.spawn(move || {
                    work(peer)?;
                    Ok::<f64, StoreError>(processor_s(ClockId::ThreadCPUTime))
                })
            };
            let threads: Vec<_> = peers.iter().map(on_thread).collect();
            for thread in threads {
                peers_processor_s += thread.join().map_err(|_| "a thread panicked")??;
            }
            Ok(())
        })
    })?;
    cost.processor_s -= peers_processor_s;
    cost.peers_processor_s = peers_processor_s;
    Ok(cost)
}

/// Seconds on processors so far.
fn processor_s(clock: ClockId) -> f64 {
    let time = clock_gettime(clock);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn say_ratios(report: &mut Report, each: usize) {
    let median = |intake: Intake, what: &str| {
        let case = format!("{}: {what}", intake.name());
        let is_it = |row: &&Measurement| row.area == AREA && row.subject == OURS;
        let mut rows = report.measurements.iter().filter(is_it);
        rows.find(|row| row.case == case).map_or(f64::NAN, Measurement::median)
    };
    let rate = |intake| median(intake, "events");
    let processor = |intake| median(intake, "processor time for each event");
    let note = format!(
        "Hub: {PEERS} peers of {each} events in batches of {BATCH}, on the same processors as the \
         hub. Events a second against an import in batches of {BATCH} by one thread: {:.2} \
         (target: 0.5); by {PEERS} threads: {:.2}. Processor time for each event, import by one \
         thread to hub without its peers: {:.2}; by {PEERS} threads: {:.2}.",
        rate(Intake::Hub) / rate(Intake::Import),
        rate(Intake::Hub) / rate(Intake::ImportOfMany),
        processor(Intake::Import) / processor(Intake::Hub),
        processor(Intake::ImportOfMany) / processor(Intake::Hub),
    );
    report.note(AREA, note);
}
