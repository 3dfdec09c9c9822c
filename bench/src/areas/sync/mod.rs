//! Sync over HTTP on loopback: bytes of bodies, round trips, time.
//!
//! ```text
//!   cold     an empty replica takes in 10,000 events ◀── and so do automerge, loro, yjs, PouchDB
//!   missing  a replica that lacks a hundred of them, and one that lacks nothing of 1,000 logs
//!   hub      one database takes in what 64 peers push at once, against a local import
//! ```
//! Server and clients are threads of this process and share its processors; client and server each
//! have a database on the device, and what is taken in is on the device when the clock stops.

mod cold;
mod events;
mod hub;
mod missing;
mod others;
mod served;

use crate::areas::{Context, blame};
use crate::engine::Engine;
use crate::error::BenchError;
use crate::measurement::{Better, Measurement};
use crate::report::{OURS, Report};

const AREA: &str = "sync";

pub(super) fn run(context: &Context, report: &mut Report) -> Result<(), BenchError> {
    cold::run(context, report)?;
    blame(Engine::Laterbase, missing::run(context, report))?;
    blame(Engine::Laterbase, hub::run(context, report))
}

/// One sample of ours.
fn ours(case: &str, unit: &'static str, better: Better, sample: f64) -> Measurement {
    theirs(OURS, case, unit, better, sample)
}

/// One sample of somebody's.
fn theirs(
    subject: &str,
    case: &str,
    unit: &'static str,
    better: Better,
    sample: f64,
) -> Measurement {
    let (case, subject) = (case.to_owned(), subject.to_owned());
    Measurement { area: AREA, case, subject, unit, better, samples: vec![sample] }
}
