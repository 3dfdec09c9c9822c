//! One database takes in what 64 peers push to it at once, against a local import.
//!
//! ```text
//!   hub      64 threads: a peer's log ─▶ session ─▶ HTTP ─▶ server ─▶ hub's log     events/s
//!   import    1 thread:  events ─▶ batch ─▶ on the device, batch by batch           events/s
//!   import   64 threads: the same                                                  events/s
//! ```
//! Each peer writes under a root of its own and takes part in that alone, so nothing comes back.
//! The peers read, compress and send on the same processors that the hub takes in on, so the hub
//! has less than the whole machine, and the import has all of it.

use std::path::Path;
use std::time::Instant;

use laterbase::sync::{Roots, SessionConfig};
use laterbase::{Database, DatabaseId, Options, RootName};

use super::events::append_plain;
use super::served::{Meeting, Served};
use super::{AREA, ours};
use crate::areas::Context;
use crate::error::StoreError;
use crate::measurement::{Better, Measurement};
use crate::report::{OURS, Report};

const PEERS: usize = 64;
const EVENTS_PER_PEER: usize = 2_000;
const BATCH: usize = 100;

const HUB: &str = "hub, 64 peers push at once";
const IMPORT: &str = "import, one thread";
const IMPORT_MANY: &str = "import, 64 threads";

pub(super) fn run(context: &Context, report: &mut Report) -> Result<(), StoreError> {
    let scratch = context.scratch("sync-hub").map_err(|error| error.to_string())?;
    let each = context.scaled(EVENTS_PER_PEER / 4, EVENTS_PER_PEER);
    let first = Database::create(scratch.path().join("first"), Options::default())?;
    let id = first.id();
    drop(first);
    let peers = peers(scratch.path(), id, each)?;
    for round in 0..context.rounds {
        let mut subjects = [HUB, IMPORT, IMPORT_MANY];
        subjects.rotate_left(round % 3);
        for subject in subjects {
            let folder = scratch.path().join("fresh");
            let _ = std::fs::remove_dir_all(&folder);
            let database = Database::create_joined(&folder, Options::default(), id)?;
            let seconds = match subject {
                HUB => hub(&folder, database, &peers)?,
                IMPORT => import(&database, 1, each * PEERS)?,
                _ => import(&database, PEERS, each)?,
            };
            let rate = (each * PEERS) as f64 / seconds;
            report.add(ours(subject, "/s", Better::Higher, rate));
        }
    }
    say_ratios(report, each);
    Ok(())
}

/// Replicas with events of their own, on small memory.
fn peers(folder: &Path, id: DatabaseId, each: usize) -> Result<Vec<Database>, StoreError> {
    let mut peers = Vec::with_capacity(PEERS);
    for number in 0..PEERS {
        let path = folder.join(format!("peer-{number}"));
        let peer = Database::create_joined(path, Options::small_device(), id)?;
        append_plain(&peer, &root(number), number * each, each, BATCH)?;
        peers.push(peer);
    }
    Ok(peers)
}

/// Seconds until the hub holds what all peers hold.
fn hub(folder: &Path, database: Database, peers: &[Database]) -> Result<f64, StoreError> {
    let served = Served::new(folder, database)?;
    let begun = Instant::now();
    at_once(peers.iter().enumerate(), |(number, peer)| {
        let mut config = SessionConfig::default();
        config.scope = Roots::Only([RootName::try_from(root(number).as_str())?].into());
        served.sync_as(peer, Meeting::Strangers, &config).map(|_| ())
    })?;
    Ok(begun.elapsed().as_secs_f64())
}

/// The root that a peer writes under.
fn root(number: usize) -> String {
    format!("device-{number}")
}

/// Seconds until `threads` have each appended `each` events, each batch on the device before the
/// next one is made.
fn import(database: &Database, threads: usize, each: usize) -> Result<f64, StoreError> {
    let begun = Instant::now();
    at_once(0..threads, |number| {
        append_plain(database, &root(number), number * each, each, BATCH)
    })?;
    Ok(begun.elapsed().as_secs_f64())
}

/// Runs `work` for each item on a thread of its own.
fn at_once<T: Send>(
    items: impl Iterator<Item = T>,
    work: impl Fn(T) -> Result<(), StoreError> + Sync,
) -> Result<(), StoreError> {
    let work = &work;
    std::thread::scope(|scope| {
        let threads: Vec<_> = items.map(|item| scope.spawn(move || work(item))).collect();
        for thread in threads {
            thread.join().map_err(|_| "a thread panicked")??;
        }
        Ok(())
    })
}

fn say_ratios(report: &mut Report, each: usize) {
    let median = |case: &str| {
        let of_case = |row: &&Measurement| row.area == AREA && row.subject == OURS;
        let mut rows = report.measurements.iter().filter(of_case);
        rows.find(|row| row.case == case).map_or(f64::NAN, Measurement::median)
    };
    let (hub, one, many) = (median(HUB), median(IMPORT), median(IMPORT_MANY));
    let note = format!(
        "Hub: {PEERS} peers of {each} events in batches of {BATCH}. Against an import in batches \
         of {BATCH} by one thread {:.2} (target: 0.5), by {PEERS} threads {:.2}. The peers work \
         on the same processors.",
        hub / one,
        hub / many,
    );
    report.note(AREA, note);
}
