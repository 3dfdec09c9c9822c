//! Replicas that lack a hundred events, and replicas that lack nothing.

use laterbase::{Database, NewEvent, Options};
use laterbase_client::Report as Synced;

use super::events::{COLD, Kind};
use super::served::{Meeting, Served};
use super::{AREA, ours};
use crate::areas::Context;
use crate::error::StoreError;
use crate::measurement::Better;
use crate::report::Report;

const MISSING: usize = 100;
/// Replicas that wrote, and roots that each of them wrote under: a thousand logs.
const WRITERS: usize = 10;
const ROOTS: usize = 100;

pub(super) fn run(context: &Context, report: &mut Report) -> Result<(), StoreError> {
    for kind in Kind::ALL {
        missing(kind, context, report)?;
    }
    nothing(context, report)
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
    let served = Served::new(&folder, database)?;
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
fn nothing(context: &Context, report: &mut Report) -> Result<(), StoreError> {
    let scratch = context.scratch("sync-nothing").map_err(|error| error.to_string())?;
    let folder = scratch.path().join("server");
    let served = Served::new(&folder, Database::create(&folder, Options::default())?)?;
    for writer in 0..WRITERS {
        let path = scratch.path().join(format!("writer-{writer}"));
        let replica = served.join(&path, Options::default())?;
        let mut commit = replica.commit();
        for root in 0..ROOTS {
            let event = NewEvent::new(format!("root-{root}"), "S-000001", "departed");
            commit.push(&event.json(&writer)?)?;
        }
        replica.append(&mut commit)?.wait()?;
        served.sync(&replica, Meeting::Strangers)?;
    }
    let replica = served.join(&scratch.path().join("replica"), Options::default())?;
    served.sync(&replica, Meeting::Strangers)?;
    let logs = replica.log_heads()?.len();
    if logs < WRITERS * ROOTS {
        return Err(format!("{logs} logs instead of {}", WRITERS * ROOTS).into());
    }
    for _ in 0..context.rounds {
        for (known, meeting) in [("again", Meeting::Again), ("strangers", Meeting::Strangers)] {
            let synced = served.sync(&replica, meeting)?;
            add(report, &format!("nothing to do, {known}"), &synced);
        }
    }
    report.note(AREA, format!("Nothing to do: both hold the same {logs} logs."));
    Ok(())
}
