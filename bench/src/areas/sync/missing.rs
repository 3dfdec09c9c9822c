//! Replicas that lack a hundred events, and replicas that lack nothing.

use laterbase::{Database, DatabaseId, EventDraft, Options, ReplicaId, RootName};
use laterbase_client::Report as Synced;
use laterbase_sync::MemoryReplica;

use super::events::{COLD, Kind};
use super::ours;
use super::served::{Meeting, Served};
use crate::areas::Context;
use crate::error::StoreError;
use crate::measurement::Better;
use crate::report::Report;

const MISSING: usize = 100;
const LOGS: usize = 1_000;

pub(super) fn run(context: &Context, report: &mut Report) -> Result<(), StoreError> {
    for kind in Kind::ALL {
        missing(kind, context, report)?;
    }
    for shape in Shape::ALL {
        nothing(shape, context, report)?;
    }
    Ok(())
}

/// What went over the wire, as rows of one case.
fn add(report: &mut Report, case: &str, synced: &Synced) {
    let rows = [
        ("bytes up", "B", synced.bytes_out as f64),
        ("bytes down", "B", synced.bytes_in as f64),
        ("round trips", "", f64::from(synced.round_trips)),
    ];
    for (what, unit, value) in rows {
        report.add(ours(&format!("{case}: {what}"), unit, Better::Lower, value));
    }
}

/// Two replicas with 10,000 events; one writes a hundred more, and the replica asks.
fn missing(kind: Kind, context: &Context, report: &mut Report) -> Result<(), StoreError> {
    let scratch = context.scratch("sync-missing").map_err(|error| error.to_string())?;
    let folder = scratch.path().join("server");
    let database = Database::create(&folder, Options::default())?;
    kind.append(&database, 0, COLD, MISSING)?;
    let served = Served::new(database)?;
    let replica = served.join(&scratch.path().join("replica"), Options::default())?;
    served.sync(&replica, Meeting::Strangers)?;
    let mut held = COLD;
    for _ in 0..context.rounds {
        for (recorded, batch) in [("one by one", 1), ("as one batch", MISSING)] {
            for (direction, writer) in [("pull", &served.database), ("push", &replica)] {
                kind.append(writer, held, MISSING, batch)?;
                held += MISSING;
                let synced = served.sync(&replica, Meeting::Again)?;
                let moved = synced.progress.pull_events + synced.progress.push_events;
                if moved != MISSING as u64 {
                    return Err(format!("{moved} events were synced, not {MISSING}").into());
                }
                let name = kind.name();
                add(report, &format!("{direction} {MISSING}, {name}, {recorded}"), &synced);
            }
        }
    }
    Ok(())
}

/// A thousand logs on both sides, and nothing to do.
fn nothing(shape: Shape, context: &Context, report: &mut Report) -> Result<(), StoreError> {
    let scratch = context.scratch("sync-nothing").map_err(|error| error.to_string())?;
    let folder = scratch.path().join("server");
    let served = Served::new(Database::create(&folder, Options::default())?)?;
    served.fill(&mut shape.logs(served.database.id())?)?;
    let replica = served.join(&scratch.path().join("replica"), Options::default())?;
    served.sync(&replica, Meeting::Strangers)?;
    let logs = replica.log_heads()?.len();
    if logs != LOGS {
        return Err(format!("{logs} logs instead of {LOGS}").into());
    }
    for _ in 0..context.rounds {
        for (known, meeting) in [("again", Meeting::Again), ("strangers", Meeting::Strangers)] {
            let synced = served.sync(&replica, meeting)?;
            add(report, &format!("nothing to do, {}, {known}", shape.name), &synced);
        }
    }
    Ok(())
}

/// How a thousand logs come about.
#[derive(Debug, Clone, Copy)]
struct Shape {
    name: &'static str,
    writers: usize,
    /// Under which each of them wrote.
    roots: usize,
}

impl Shape {
    const ALL: [Self; 2] = [
        Self { name: "1,000 logs of one root", writers: LOGS, roots: 1 },
        Self { name: "1,000 logs of 100 roots", writers: LOGS / 100, roots: 100 },
    ];

    /// A replica in memory that holds them, with one event each.
    fn logs(self, id: DatabaseId) -> Result<MemoryReplica, StoreError> {
        let mut logs = MemoryReplica::new(id, ReplicaId::from_u64(1));
        for number in 1..=self.writers as u64 {
            logs.reincarnate(ReplicaId::from_u64(number));
            for root in 0..self.roots {
                let root = RootName::try_from(format!("root-{root}").as_str())?;
                let now_ms = 1_700_000_000_000 + number;
                if !logs.append(&root, now_ms, &[EventDraft::new("S-000001", "departed")]) {
                    return Err("a replica in memory refused an event".into());
                }
            }
        }
        Ok(logs)
    }
}
